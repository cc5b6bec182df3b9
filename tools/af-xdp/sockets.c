/*
 * qemu-af-xdp: who has AF_XDP sockets on which queues
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <sys/socket.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <linux/xdp_diag.h>
#include "netlink.h"
#include "sockets.h"

static int socket_cb(const struct nlmsghdr *nlh, void *opaque)
{
    const struct xdp_diag_msg *msg = mnl_nlmsg_get_payload(nlh);
    const struct xdp_diag_info *info;
    const struct xdp_diag_umem *umem;
    Socket found = { .inode = msg->xdiag_ino };
    const struct nlattr *attr;
    GArray *sockets = opaque;

    mnl_attr_for_each(attr, nlh, sizeof(*msg)) {
        switch (mnl_attr_get_type(attr)) {
        case XDP_DIAG_INFO:
            info = mnl_attr_get_payload(attr);
            found.ifindex = info->ifindex;
            found.queue = info->queue_id;
            break;
        case XDP_DIAG_UMEM:
            umem = mnl_attr_get_payload(attr);
            found.zero_copy = umem->flags & XDP_DU_F_ZEROCOPY;
            break;
        }
    }
    if (found.ifindex) {
        g_array_append_val(sockets, found);
    }
    return MNL_CB_OK;
}

/* Which of the sockets does the process @pid have open? */
static void look_into(const char *pid, GArray *sockets)
{
    g_autofree char *path = g_build_filename("/proc", pid, "fd", NULL);
    g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
    const char *fd;

    while (dir && (fd = g_dir_read_name(dir))) {
        g_autofree char *file = g_build_filename(path, fd, NULL);
        g_autofree char *comm = g_build_filename("/proc", pid, "comm", NULL);
        g_autofree char *name = NULL;
        char target[64];
        ssize_t len = readlink(file, target, sizeof(target) - 1);
        uint32_t inode;

        target[MAX(len, 0)] = '\0';
        if (sscanf(target, "socket:[%u]", &inode) != 1) {
            continue;
        }
        for (guint i = 0; i < sockets->len; i++) {
            Socket *each = &g_array_index(sockets, Socket, i);

            if (each->inode == inode && !each->pid &&
                g_file_get_contents(comm, &name, NULL, NULL)) {
                each->pid = atoi(pid);
                g_strlcpy(each->command, g_strchomp(name),
                          sizeof(each->command));
                g_clear_pointer(&name, g_free);
            }
        }
    }
}

GArray *sockets_list(void)
{
    char buf[NETLINK_REQUEST_SIZE] QEMU_ALIGNED(8);
    g_autoptr(GArray) sockets = g_array_new(FALSE, FALSE, sizeof(Socket));
    struct nlmsghdr *nlh = netlink_begin(buf);
    g_autoptr(GDir) proc = NULL;
    struct xdp_diag_req *req;
    const char *pid;

    nlh->nlmsg_type = SOCK_DIAG_BY_FAMILY;
    nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
    req = mnl_nlmsg_put_extra_header(nlh, sizeof(*req));
    req->sdiag_family = AF_XDP;
    req->xdiag_show = XDP_SHOW_INFO | XDP_SHOW_UMEM;
    if (netlink_once(NETLINK_SOCK_DIAG, nlh, socket_cb, sockets, NULL)) {
        return NULL;
    }
    proc = sockets->len ? g_dir_open("/proc", 0, NULL) : NULL;
    while (proc && (pid = g_dir_read_name(proc))) {
        if (g_ascii_isdigit(*pid)) {
            look_into(pid, sockets);
        }
    }
    return g_steal_pointer(&sockets);
}
