/*
 * qemu-af-xdp: the host's XDP program on a NIC, and its maps
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <dirent.h>
#include <sys/vfs.h>
#include <linux/if_link.h>
#include <linux/magic.h>
#include <bpf/bpf.h>
#include "host.h"
#include "ebpf/ebpf_af_xdp_int.h"
#include "ebpf/af_xdp_host.bpf.skeleton.h"
#include "net/af-xdp-error.h"

#define BASE "qemu-af-xdp"
#define VM_PREFIX "vm-"

/* As in af_xdp_frame.bpf.h */
typedef union Filter {
    struct {
        uint8_t mac[MAC_LEN];
        uint8_t enabled;
        uint8_t have_mac;
    };
    uint64_t word;
} Filter;

#define BPF_HINT "This needs root (CAP_BPF, CAP_NET_ADMIN and CAP_SYS_ADMIN) " \
                 "in the initial user namespace."

/* Without a mode everybody may make names there. */
#define MOUNT_HINT "Mount one: 'mount -t bpf -o mode=0700 bpf /sys/fs/bpf', " \
                   "or name another with --bpffs"

static char *nic_dir(const Tool *tool, const char *nic)
{
    g_autofree char *file = options_file_name(nic);

    return g_build_filename(tool->bpffs, BASE, file, NULL);
}

static char *vm_path(const char *dir, const char *vm)
{
    return g_strdup_printf("%s/" VM_PREFIX "%s", dir, vm);
}

char *host_map_path(const Tool *tool, const Host *host, const char *nic,
                    const char *vm)
{
    g_autofree char *dir = nic_dir(tool, nic);

    return vm_path(host ? host->dir : dir, vm);
}

static bool check_bpffs(const Tool *tool, GError **errp)
{
    struct statfs fs;

    if (statfs(tool->bpffs, &fs)) {
        af_xdp_error_set(errp, errno, MOUNT_HINT ".",
                         "there is no BPF file system at '%s'", tool->bpffs);
        return false;
    }
    if (fs.f_type != BPF_FS_MAGIC) {
        af_xdp_error_set(errp, 0, MOUNT_HINT ". 'ip netns exec' hides it, "
                         "'nsenter --net=' does not.",
                         "there is no BPF file system at '%s'", tool->bpffs);
        return false;
    }
    return true;
}

static bool is_ours(const struct stat *st)
{
    return S_ISDIR(st->st_mode) &&
           (st->st_uid == 0 || st->st_uid == geteuid());
}

/*
 * Open the directory of all pins. We follow names in it as root: nobody else
 * may be able to change it, nor to put another one in its place.
 * Returns -1 if there is none, or with @errp set.
 */
static int open_base(const Tool *tool, GError **errp)
{
    g_autofree char *path = g_build_filename(tool->bpffs, BASE, NULL);
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    struct stat st, above;
    struct statfs fs;

    if (fd < 0 && errno == ENOENT) {
        return -1;
    }
    if (fd < 0 && errno != ENOTDIR && errno != ELOOP) {
        af_xdp_error_set(errp, errno, BPF_HINT, "cannot open '%s'", path);
        return -1;
    }
    if (fd >= 0 && fstat(fd, &st) == 0 && fstatat(fd, "..", &above, 0) == 0 &&
        fstatfs(fd, &fs) == 0 && fs.f_type == BPF_FS_MAGIC &&
        is_ours(&st) && !(st.st_mode & (S_IWGRP | S_IWOTH)) &&
        is_ours(&above) && (!(above.st_mode & (S_IWGRP | S_IWOTH)) ||
                            (above.st_mode & S_ISVTX))) {
        return fd;
    }
    af_xdp_error_set(errp, EPERM, "Somebody else has made it, or may change "
                     "it: look what is there, remove it, and keep others out "
                     "with 'chmod 0700' of the directory above. 'mount -t bpf "
                     "-o mode=0700' does so from the start.",
                     "'%s' is not a directory in a BPF file system that only "
                     "root can change", path);
    if (fd >= 0) {
        close(fd);
    }
    return -1;
}

/* Is it safe to use? It need not be there. */
static bool check_base(const Tool *tool, GError **errp)
{
    GError *err = NULL;
    int fd = open_base(tool, &err);

    if (err) {
        g_propagate_error(errp, err);
        return false;
    }
    if (fd >= 0) {
        close(fd);
    }
    return true;
}

/* Open what is pinned as @name; -1 with errno set */
static int open_pin(const char *dir, const char *name)
{
    g_autofree char *path = g_build_filename(dir, name, NULL);
    int fd = bpf_obj_get(path);

    if (fd < 0) {
        errno = -fd;
        return -1;
    }
    return fd;
}

static int link_ifindex(int fd, uint32_t *prog_id)
{
    struct bpf_link_info info = { 0 };
    uint32_t len = sizeof(info);

    if (bpf_obj_get_info_by_fd(fd, &info, &len) ||
        info.type != BPF_LINK_TYPE_XDP) {
        return 0;
    }
    *prog_id = info.prog_id;
    return info.xdp.ifindex;
}

static Host *host_new(const Tool *tool, const char *nic, int ifindex)
{
    Host *host = g_new0(Host, 1);

    host->dir = nic_dir(tool, nic);
    host->nic = g_strdup(nic);
    host->ifindex = ifindex;
    host->link_fd = -1;
    host->routes_fd = -1;
    host->filters_fd = -1;
    host->counters_fd = -1;
    return host;
}

void host_close(Host *host)
{
    ebpf_af_xdp_close_fd(&host->link_fd);
    ebpf_af_xdp_close_fd(&host->routes_fd);
    ebpf_af_xdp_close_fd(&host->filters_fd);
    ebpf_af_xdp_close_fd(&host->counters_fd);
    g_free(host->nic);
    g_free(host->dir);
    g_free(host);
}

static void find_mode(Host *host)
{
    LIBBPF_OPTS(bpf_xdp_query_opts, opts);

    host->native = bpf_xdp_query(host->ifindex, 0, &opts) == 0 &&
                   opts.drv_prog_id == host->prog_id;
}

/* The program on a device of this network namespace; 0 if there is none */
static uint32_t device_prog_id(int ifindex)
{
    LIBBPF_OPTS(bpf_xdp_query_opts, opts);

    if (bpf_xdp_query(ifindex, 0, &opts)) {
        return 0;
    }
    return opts.drv_prog_id ?: opts.skb_prog_id ?: opts.hw_prog_id;
}

/* A NIC may have got another name since: look for the program it runs. */
static void follow_rename(const Tool *tool, Host *host)
{
    g_autoptr(GPtrArray) nics = host_nics(tool);
    uint32_t running = device_prog_id(host->ifindex);

    for (guint i = 0; i < nics->len && running; i++) {
        g_autofree char *dir = g_build_filename(tool->bpffs, BASE,
                                                nics->pdata[i], NULL);
        int fd = open_pin(dir, "link");
        uint32_t id = 0;

        if (fd < 0) {
            continue;
        }
        if (link_ifindex(fd, &id) == host->ifindex && id == running) {
            g_free(host->dir);
            host->dir = g_steal_pointer(&dir);
        }
        close(fd);
    }
}

Host *host_open(const Tool *tool, const char *nic, int ifindex, GError **errp)
{
    g_autoptr(Host) host = host_new(tool, nic, ifindex);
    struct bpf_map_info info = { 0 };
    uint32_t len = sizeof(info);
    int where;

    if (!check_base(tool, errp)) {
        return NULL;
    }
    if (access(host->dir, F_OK)) {
        follow_rename(tool, host);
        if (access(host->dir, F_OK)) {
            return NULL;
        }
    }
    host->link_fd = open_pin(host->dir, "link");
    if (host->link_fd < 0 && errno != ENOENT) {
        af_xdp_error_set(errp, errno, BPF_HINT,
                         "cannot open the pins in '%s'", host->dir);
        return NULL;
    }
    host->routes_fd = open_pin(host->dir, "routes");
    host->filters_fd = open_pin(host->dir, "filters");
    host->counters_fd = open_pin(host->dir, "counters");
    where = host->link_fd < 0 ? 0 : link_ifindex(host->link_fd,
                                                 &host->prog_id);
    if (where && (where != ifindex ||
                  device_prog_id(ifindex) != host->prog_id)) {
        af_xdp_error_set(errp, EEXIST, "A NIC that had this name, or has it in "
                         "another network namespace: release it there, or by "
                         "the name it has now.",
                         "the pins in '%s' belong to another NIC (ifindex %d)",
                         host->dir, where);
        return NULL;
    }
    if (!where || host->routes_fd < 0 || host->filters_fd < 0 ||
        host->counters_fd < 0 ||
        bpf_obj_get_info_by_fd(host->routes_fd, &info, &len)) {
        af_xdp_error_set(errp, ESTALE, "'qemu-af-xdp release' removes them.",
                         "the pins in '%s' are of a NIC or a run that is gone",
                         host->dir);
        return NULL;
    }
    host->queues = info.max_entries;
    find_mode(host);
    return g_steal_pointer(&host);
}

/* Say whose program is in the way */
static void error_busy(const char *nic, int ifindex, GError **errp)
{
    struct bpf_prog_info info = { 0 };
    uint32_t len = sizeof(info), id = device_prog_id(ifindex);
    g_autofree char *hint = NULL;
    int fd;

    fd = id ? bpf_prog_get_fd_by_id(id) : -1;
    if (fd >= 0) {
        bpf_obj_get_info_by_fd(fd, &info, &len);
        close(fd);
    }
    if (!strcmp(info.name, "xdp_dispatcher")) {
        hint = g_strdup_printf("It is libxdp's dispatcher, and the programs "
                               "in it may do what they like with the frames "
                               "first. See them with 'xdp-loader status %s'; "
                               "'xdp-loader unload %s --all' makes room.",
                               nic, nic);
    } else if (g_str_has_prefix(info.name, "af_xdp_")) {
        hint = g_strdup("It is that of a QEMU, or of this program with another "
                        "--bpffs. End the QEMU and start it with the -netdev "
                        "that this program prints.");
    } else {
        hint = g_strdup_printf("It is never replaced. 'bpftool net show dev "
                               "%s' shows it; have its owner detach it.", nic);
    }
    af_xdp_error_set(errp, EBUSY, hint,
                     "'%s' already runs XDP program id %u%s%s%s", nic, id,
                     *info.name ? " '" : "", info.name,
                     *info.name ? "'" : "");
}

static void error_attach(const char *nic, int ifindex, int errnum,
                         EbpfAfXdpMode mode, GError **errp)
{
    g_autofree char *detail = ebpf_af_xdp_log_detail();
    g_autofree char *hint = NULL;

    switch (errnum) {
    case EBUSY:
    case EEXIST:
        error_busy(nic, ifindex, errp);
        return;
    case EPERM:
        hint = g_strdup(BPF_HINT);
        break;
    default:
        hint = mode == EBPF_AF_XDP_MODE_NATIVE
            ? g_strdup_printf("The driver may not take XDP programs, or not "
                              "with this MTU, number of queues or offloads: "
                              "'dmesg' may say why. '--mode skb' works on "
                              "any device, slowly, without driver zero-copy "
                              "and not for leased queues.")
            : NULL;
    }
    af_xdp_error_set(errp, errnum, hint,
                     "cannot attach the XDP program to '%s' in %s mode%s", nic,
                     ebpf_af_xdp_mode_name(mode), detail);
}

/* A map of sockets of the size that the routes take */
static int new_sockets(const char *name, uint32_t queues)
{
    return bpf_map_create(BPF_MAP_TYPE_XSKMAP, name, sizeof(uint32_t),
                          sizeof(uint32_t), queues, NULL);
}

/* Load the program, its maps made for @queues queues */
static int load(struct af_xdp_host_bpf *skel, uint32_t queues)
{
    /* What all inner maps must be like; the kernel keeps its measures. */
    int inner = new_sockets("af_xdp_inner", queues);
    int ret;

    if (inner < 0) {
        return -errno;
    }
    ret = bpf_map__set_inner_map_fd(skel->maps.af_xdp_routes, inner);
    if (ret == 0) {
        ret = bpf_map__set_max_entries(skel->maps.af_xdp_routes, queues);
    }
    if (ret == 0) {
        ret = bpf_map__set_max_entries(skel->maps.af_xdp_filters, queues);
    }
    if (ret == 0) {
        ret = bpf_map__set_max_entries(skel->maps.af_xdp_counters, queues);
    }
    if (ret == 0) {
        ret = af_xdp_host_bpf__load(skel);
    }
    close(inner);
    return ret;
}

static int pin(const char *dir, const char *name, int fd)
{
    g_autofree char *path = g_build_filename(dir, name, NULL);

    return bpf_obj_pin(fd, path) ? -errno : 0;
}

/*
 * The link is pinned last: until then the kernel takes the program off again
 * when we end.
 */
static int attach_and_pin(Host *host, struct af_xdp_host_bpf *skel,
                          EbpfAfXdpMode mode)
{
    LIBBPF_OPTS(bpf_link_create_opts, opts,
                .flags = mode == EBPF_AF_XDP_MODE_SKB ? XDP_FLAGS_SKB_MODE
                                                      : XDP_FLAGS_DRV_MODE);
    int ret;

    host->link_fd = bpf_link_create(bpf_program__fd(skel->progs.af_xdp_host),
                                    host->ifindex, BPF_XDP, &opts);
    if (host->link_fd < 0) {
        return -errno;
    }
    host->routes_fd = fcntl(bpf_map__fd(skel->maps.af_xdp_routes),
                            F_DUPFD_CLOEXEC, 3);
    host->filters_fd = fcntl(bpf_map__fd(skel->maps.af_xdp_filters),
                             F_DUPFD_CLOEXEC, 3);
    host->counters_fd = fcntl(bpf_map__fd(skel->maps.af_xdp_counters),
                              F_DUPFD_CLOEXEC, 3);
    if (host->routes_fd < 0 || host->filters_fd < 0 ||
        host->counters_fd < 0) {
        return -errno;
    }
    ret = pin(host->dir, "routes", host->routes_fd);
    if (ret == 0) {
        ret = pin(host->dir, "filters", host->filters_fd);
    }
    if (ret == 0) {
        ret = pin(host->dir, "counters", host->counters_fd);
    }
    if (ret == 0) {
        ret = pin(host->dir, "link", host->link_fd);
    }
    return ret;
}

/* Remove all that is pinned in the directory @name of @base */
static bool remove_pins(int base, const char *name)
{
    int fd = openat(base, name,
                    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *list = fd < 0 ? NULL : fdopendir(fd);
    struct dirent *each;
    bool done = list;
    int saved_errno;

    while (done && (each = readdir(list))) {
        if (strcmp(each->d_name, ".") && strcmp(each->d_name, "..")) {
            done = unlinkat(fd, each->d_name, 0) == 0 || errno == ENOENT;
        }
    }
    done = done && unlinkat(base, name, AT_REMOVEDIR) == 0;
    saved_errno = errno;
    if (list) {
        closedir(list);
    } else if (fd >= 0) {
        close(fd);
    }
    errno = saved_errno;
    return done || errno == ENOENT;
}

static bool remove_dir(const Tool *tool, const char *dir, GError **errp)
{
    g_autofree char *base_path = g_build_filename(tool->bpffs, BASE, NULL);
    g_autofree char *name = g_path_get_basename(dir);
    GError *err = NULL;
    int base = open_base(tool, &err), fd;
    bool done;

    if (base < 0) {
        if (err) {
            g_propagate_error(errp, err);
        }
        return !err;
    }
    fd = open_pin(dir, "link");
    if (fd >= 0) {
        /* Somebody may hold another reference to it. */
        bpf_link_detach(fd);
        close(fd);
    }
    done = remove_pins(base, name);
    if (!done) {
        af_xdp_error_set(errp, errno, BPF_HINT, "cannot remove '%s'", dir);
    }
    close(base);
    rmdir(base_path);   /* if it was the last NIC */
    return done;
}

static bool make_dirs(const Tool *tool, const char *dir, GError **errp)
{
    g_autofree char *base = g_build_filename(tool->bpffs, BASE, NULL);
    /* Whoever may use a map must be able to get there. */
    mode_t old = umask(022);
    bool made = mkdir(base, 0755) == 0 || errno == EEXIST;
    bool safe = !made || check_base(tool, errp);

    made = made && safe && mkdir(dir, 0755) == 0;
    if (!made && safe) {
        af_xdp_error_set(errp, errno, BPF_HINT,
                         "cannot make the directory '%s'", dir);
    }
    umask(old);
    return made;
}

Host *host_attach(const Tool *tool, const char *nic, int ifindex,
                  uint32_t queues, EbpfAfXdpMode mode, GError **errp)
{
    g_autoptr(Host) host = host_new(tool, nic, ifindex);
    struct af_xdp_host_bpf *skel;
    int ret;

    if (!check_bpffs(tool, errp)) {
        return NULL;
    }
    ebpf_af_xdp_log_begin();
    skel = af_xdp_host_bpf__open();
    ret = skel ? load(skel, queues) : -errno;
    if (ret) {
        g_autofree char *detail = ebpf_af_xdp_log_detail();

        af_xdp_error_set(errp, -ret, ret == -EPERM ? BPF_HINT :
                         "Linux 5.18 or later is needed.",
                         "cannot load the XDP program%s", detail);
    } else if (!make_dirs(tool, host->dir, errp)) {
        ret = -1;
    } else {
        ret = attach_and_pin(host, skel, mode);
        if (ret) {
            error_attach(nic, ifindex, -ret, mode, errp);
            ebpf_af_xdp_close_fd(&host->link_fd);
            remove_dir(tool, host->dir, NULL);
        }
    }
    if (skel) {
        af_xdp_host_bpf__destroy(skel);
    }
    ebpf_af_xdp_log_end();
    if (ret) {
        return NULL;
    }
    host->queues = queues;
    link_ifindex(host->link_fd, &host->prog_id);
    find_mode(host);
    return g_steal_pointer(&host);
}

bool host_remove(const Tool *tool, Host *host, GError **errp)
{
    return remove_dir(tool, host->dir, errp);
}

bool host_clean(const Tool *tool, const char *nic, GError **errp)
{
    g_autofree char *file = options_file_name(nic);

    return host_clean_file(tool, file, errp);
}

bool host_clean_file(const Tool *tool, const char *file, GError **errp)
{
    g_autofree char *dir = g_build_filename(tool->bpffs, BASE, file, NULL);

    return remove_dir(tool, dir, errp);
}

int host_vm(Host *host, const char *vm, bool create, GError **errp)
{
    g_autofree char *file = g_strconcat(VM_PREFIX, vm, NULL);
    int fd = open_pin(host->dir, file), ret;

    if (fd >= 0 || (errno == ENOENT && !create)) {
        return fd;
    }
    if (errno != ENOENT) {
        af_xdp_error_set(errp, errno, BPF_HINT,
                         "cannot open the map of VM '%s' for '%s'", vm,
                         host->nic);
        return -1;
    }
    fd = new_sockets("af_xdp_sockets", host->queues);
    ret = fd < 0 ? -errno : pin(host->dir, file, fd);
    if (ret) {
        af_xdp_error_set(errp, -ret, BPF_HINT,
                         "cannot make the map of VM '%s' for '%s'", vm,
                         host->nic);
        ebpf_af_xdp_close_fd(&fd);
    }
    return fd;
}

bool host_vm_owner(Host *host, const char *vm, const HostOwner *owner,
                   GError **errp)
{
    g_autofree char *path = vm_path(host->dir, vm);

    struct stat st;

    if (lstat(path, &st) == 0 && !S_ISREG(st.st_mode)) {
        af_xdp_error_set(errp, EPERM, "Find out who has made it, and remove "
                         "it.", "'%s' is not a map", path);
        return false;
    }
    if (((owner->uid != (uid_t)-1 || owner->gid != (gid_t)-1) &&
         lchown(path, owner->uid, owner->gid)) ||
        (owner->set_mode && chmod(path, owner->mode))) {
        af_xdp_error_set(errp, errno, BPF_HINT,
                         "cannot set owner and mode of '%s'", path);
        return false;
    }
    return true;
}

bool host_vm_remove(Host *host, const char *vm, GError **errp)
{
    g_autofree char *path = vm_path(host->dir, vm);

    if (unlink(path) && errno != ENOENT) {
        af_xdp_error_set(errp, errno, BPF_HINT, "cannot remove '%s'", path);
        return false;
    }
    return true;
}

static gint by_name(gconstpointer left, gconstpointer right)
{
    return strcmp(*(char *const *)left, *(char *const *)right);
}

/* The names in @dir that begin with @prefix, without it, sorted */
static GPtrArray *names_in(const char *dir, const char *prefix)
{
    GPtrArray *names = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GDir) list = g_dir_open(dir, 0, NULL);
    const char *name;

    while (list && (name = g_dir_read_name(list))) {
        if (g_str_has_prefix(name, prefix)) {
            g_ptr_array_add(names, g_strdup(name + strlen(prefix)));
        }
    }
    g_ptr_array_sort(names, by_name);
    return names;
}

GPtrArray *host_vms(Host *host)
{
    return names_in(host->dir, VM_PREFIX);
}

GPtrArray *host_nics(const Tool *tool)
{
    g_autofree char *base = g_build_filename(tool->bpffs, BASE, NULL);

    /* With a prefix that no name has there is none. */
    return names_in(base, check_base(tool, NULL) ? "" : "/");
}

int host_ifindex_of(const Tool *tool, const char *file)
{
    g_autofree char *dir = g_build_filename(tool->bpffs, BASE, file, NULL);
    int fd = open_pin(dir, "link"), ifindex = 0;
    uint32_t id = 0;

    if (fd >= 0) {
        ifindex = link_ifindex(fd, &id);
        close(fd);
    }
    /* An index may stand for something else in another namespace. */
    return ifindex && device_prog_id(ifindex) != id ? -1 : ifindex;
}

uint32_t host_map_id(int fd)
{
    struct bpf_map_info info = { 0 };
    uint32_t len = sizeof(info);

    return bpf_obj_get_info_by_fd(fd, &info, &len) ? 0 : info.id;
}

uint32_t host_route(Host *host, uint32_t queue)
{
    uint32_t id = 0;

    return bpf_map_lookup_elem(host->routes_fd, &queue, &id) ? 0 : id;
}

static void clear_counters(Host *host, uint32_t queue)
{
    int cpus = libbpf_num_possible_cpus();
    g_autofree EbpfAfXdpCounters *zero = NULL;

    if (cpus > 0) {
        zero = g_new0(EbpfAfXdpCounters, cpus);
        bpf_map_update_elem(host->counters_fd, &queue, zero, BPF_ANY);
    }
}

bool host_set_route(Host *host, uint32_t queue, int fd, GError **errp)
{
    int ret;

    if (fd >= 0) {
        clear_counters(host, queue);
        ret = bpf_map_update_elem(host->routes_fd, &queue, &fd, BPF_ANY);
    } else {
        ret = bpf_map_delete_elem(host->routes_fd, &queue);
        ret = ret && errno == ENOENT ? 0 : ret;
    }
    if (ret) {
        af_xdp_error_set(errp, errno, BPF_HINT,
                         "cannot change where queue %u of '%s' leads", queue,
                         host->nic);
    }
    return ret == 0;
}

bool host_filter(Host *host, uint32_t queue, uint8_t mac[MAC_LEN])
{
    Filter filter = { 0 };

    bpf_map_lookup_elem(host->filters_fd, &queue, &filter.word);
    memcpy(mac, filter.mac, MAC_LEN);
    return filter.enabled;
}

bool host_set_filter(Host *host, uint32_t queue, const uint8_t *mac,
                     GError **errp)
{
    Filter filter = { 0 };

    if (mac) {
        memcpy(filter.mac, mac, MAC_LEN);
        filter.enabled = 1;
        filter.have_mac = 1;
    }
    if (bpf_map_update_elem(host->filters_fd, &queue, &filter.word, BPF_ANY)) {
        af_xdp_error_set(errp, errno, BPF_HINT,
                         "cannot set the MAC filter of '%s' queue %u",
                         host->nic, queue);
        return false;
    }
    return true;
}

void host_counters(Host *host, uint32_t queue, EbpfAfXdpCounters *counters)
{
    g_autofree EbpfAfXdpCounters *per_cpu = NULL;
    int cpus = libbpf_num_possible_cpus();

    memset(counters, 0, sizeof(*counters));
    if (cpus <= 0) {
        return;
    }
    per_cpu = g_new0(EbpfAfXdpCounters, cpus);
    if (bpf_map_lookup_elem(host->counters_fd, &queue, per_cpu)) {
        return;
    }
    for (int i = 0; i < cpus; i++) {
        counters->redirected += per_cpu[i].redirected;
        counters->passed += per_cpu[i].passed;
        counters->filtered += per_cpu[i].filtered;
        counters->dropped += per_cpu[i].dropped;
    }
}
