/*
 * qemu-af-xdp: other network namespaces
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <sched.h>
#include <sys/vfs.h>
#include <linux/magic.h>
#include <linux/net_namespace.h>
#include <linux/rtnetlink.h>
#include "link.h"
#include "netlink.h"
#include "netns.h"
#include "tool.h"
#include "net/af-xdp-error.h"

#define NETNS_DIR "/run/netns"

char *netns_path(const char *text)
{
    const char *digit = text;

    if (strchr(text, '/')) {
        return g_strdup(text);
    }
    while (g_ascii_isdigit(*digit)) {
        digit++;
    }
    if (digit != text && !*digit) {
        return g_strdup_printf("/proc/%s/ns/net", text);
    }
    return g_build_filename(NETNS_DIR, text, NULL);
}

int netns_open(const char *path, uint64_t *inode, GError **errp)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct statfs fs;
    struct stat st;

    if (fd < 0 || fstat(fd, &st) || fstatfs(fd, &fs)) {
        af_xdp_error_set(errp, errno, "Give a name that 'ip netns list' shows, "
                         "the path of a namespace's file, or the id of a "
                         "process in it.",
                         "cannot open the network namespace '%s'", path);
    } else if (fs.f_type != NSFS_MAGIC) {
        af_xdp_error_set(errp, 0, "The namespace it was for may be gone.",
                         "'%s' is not a network namespace", path);
    } else {
        *inode = st.st_ino;
        return fd;
    }
    if (fd >= 0) {
        close(fd);
    }
    return -1;
}

int netns_enter(int fd)
{
    int back = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    int saved_errno;

    if (back >= 0 && setns(fd, CLONE_NEWNET)) {
        saved_errno = errno;
        close(back);
        errno = saved_errno;
        back = -1;
    }
    return back;
}

void netns_leave(int back)
{
    if (setns(back, CLONE_NEWNET)) {
        /* Anything done from here on would hit another namespace's devices. */
        g_error("cannot return to the network namespace: %s",
                g_strerror(errno));
    }
    close(back);
}

static int nsid_cb(const struct nlmsghdr *nlh, void *opaque)
{
    const struct nlattr *attr;
    int32_t *nsid = opaque;

    mnl_attr_for_each(attr, nlh, sizeof(struct rtgenmsg)) {
        if (mnl_attr_get_type(attr) == NETNSA_NSID) {
            *nsid = mnl_attr_get_u32(attr);
        }
    }
    return MNL_CB_OK;
}

/* Our number for the namespace of @fd; -1 if it has none */
static int32_t nsid_of(int fd)
{
    char buf[NETLINK_REQUEST_SIZE] QEMU_ALIGNED(8);
    struct nlmsghdr *nlh = netlink_begin(buf);
    struct rtgenmsg *gen;
    int32_t nsid = -1;

    nlh->nlmsg_type = RTM_GETNSID;
    nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
    gen = mnl_nlmsg_put_extra_header(nlh, sizeof(*gen));
    gen->rtgen_family = AF_UNSPEC;
    mnl_attr_put_u32(nlh, NETNSA_FD, fd);
    if (netlink_once(NETLINK_ROUTE, nlh, nsid_cb, &nsid, NULL)) {
        return -1;
    }
    return nsid;
}

/* Open @path if it is the namespace with number @nsid, else -1 */
static int open_if(const char *path, int32_t nsid)
{
    uint64_t inode;
    int fd = netns_open(path, &inode, NULL);

    if (fd >= 0 && nsid_of(fd) != nsid) {
        close(fd);
        fd = -1;
    }
    return fd;
}

/*
 * Find it by its names below @dir, with @suffix: a name, or a process.
 * @label: receives what was found, to be freed
 */
static int search(const char *dir_name, const char *suffix, int32_t nsid,
                  char **label)
{
    g_autoptr(GDir) dir = g_dir_open(dir_name, 0, NULL);
    const char *name;

    while (dir && (name = g_dir_read_name(dir))) {
        g_autofree char *path = g_build_filename(dir_name, name, suffix, NULL);
        int fd;

        if (suffix && !g_ascii_isdigit(*name)) {
            continue;
        }
        fd = open_if(path, nsid);
        if (fd >= 0) {
            *label = g_strdup(name);
            return fd;
        }
    }
    return -1;
}

static int find_nsid(int32_t nsid, char **label)
{
    int fd = search(NETNS_DIR, NULL, nsid, label);

    if (fd < 0) {
        g_autofree char *pid = NULL;

        fd = search("/proc", "ns/net", nsid, &pid);
        if (fd >= 0) {
            *label = g_strdup_printf("that of process %s", pid);
        }
    }
    return fd;
}

int netns_enter_nsid(int32_t nsid)
{
    g_autofree char *label = NULL;
    int fd = find_nsid(nsid, &label), back = -1;

    if (fd >= 0) {
        back = netns_enter(fd);
        close(fd);
    }
    return back;
}

char *netns_name(int32_t nsid)
{
    char *label = NULL;
    int fd = find_nsid(nsid, &label);

    if (fd >= 0) {
        close(fd);
    }
    return label ?: g_strdup_printf("with number %d", nsid);
}

uint64_t netns_inode(int32_t nsid)
{
    g_autofree char *label = NULL;
    int fd = find_nsid(nsid, &label);
    struct stat st = { 0 };

    if (fd >= 0) {
        fstat(fd, &st);
        close(fd);
    }
    return st.st_ino;
}
