/*
 * AF_XDP: the XDP program that feeds the sockets, and its map
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <sys/vfs.h>
#include <linux/magic.h>
#include <bpf/bpf.h>
#include "net/af-xdp-error.h"
#include "ebpf/ebpf_af_xdp_int.h"
#include "ebpf/af_xdp_redirect.bpf.skeleton.h"

/* As in af_xdp_redirect.bpf.c */
typedef union Filter {
    struct {
        uint8_t mac[6];
        uint8_t enabled;
        uint8_t have_mac;
    };
    uint64_t word;
} Filter;

/*
 * What libbpf and libxdp say during a call. The callbacks belong to the
 * process, the text to the thread: messages from another thread's work go
 * where they would have gone without us.
 */
#define LOG_MAX 4096

static __thread GString *log_text;
static libbpf_print_fn_t log_old_libbpf;
static libxdp_print_fn_t log_old_libxdp;

static void G_GNUC_PRINTF(1, 0) log_append(const char *fmt, va_list ap)
{
    if (log_text->len < LOG_MAX) {
        g_string_append_vprintf(log_text, fmt, ap);
    }
}

static int G_GNUC_PRINTF(2, 0)
log_libbpf(enum libbpf_print_level level, const char *fmt, va_list ap)
{
    if (!log_text) {
        return log_old_libbpf ? log_old_libbpf(level, fmt, ap) : 0;
    }
    if (level == LIBBPF_WARN) {
        log_append(fmt, ap);
    }
    return 0;
}

static int G_GNUC_PRINTF(2, 0)
log_libxdp(enum libxdp_print_level level, const char *fmt, va_list ap)
{
    if (!log_text) {
        return log_old_libxdp ? log_old_libxdp(level, fmt, ap) : 0;
    }
    if (level == LIBXDP_WARN) {
        log_append(fmt, ap);
    }
    return 0;
}

/* The libraries' own callback types lack the attribute that ours have. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wsuggest-attribute=format"
void ebpf_af_xdp_log_begin(void)
{
    g_assert(!log_text);
    log_text = g_string_new(NULL);
    log_old_libbpf = libbpf_set_print(log_libbpf);
    log_old_libxdp = libxdp_set_print(log_libxdp);
}
#pragma GCC diagnostic pop

void ebpf_af_xdp_log_end(void)
{
    libxdp_set_print(log_old_libxdp);
    libbpf_set_print(log_old_libbpf);
    g_string_free(log_text, TRUE);
    log_text = NULL;
}

/*
 * The kernel's own words say most, then the first complaint: the later ones
 * are about its consequences.
 */
char *ebpf_af_xdp_log_detail(void)
{
    static const char kernel[] = "Kernel error message: ";
    static const char prefix[] = "libbpf: ";
    const char *line = strstr(log_text->str, kernel);
    g_autofree char *text = NULL;

    if (line) {
        line += strlen(kernel);
    } else {
        line = log_text->str;
        if (g_str_has_prefix(line, prefix)) {
            line += strlen(prefix);
        }
    }
    text = g_strstrip(g_strndup(line, strcspn(line, "\n")));
    return *text ? g_strdup_printf(" (%s)", text) : g_strdup("");
}

static const char *const mode_names[] = {
    [EBPF_AF_XDP_MODE_AUTO] = "auto",
    [EBPF_AF_XDP_MODE_NATIVE] = "native",
    [EBPF_AF_XDP_MODE_SKB] = "skb",
};

const char *ebpf_af_xdp_mode_name(EbpfAfXdpMode mode)
{
    g_assert(mode < ARRAY_SIZE(mode_names));
    return mode_names[mode];
}

EbpfAfXdp *ebpf_af_xdp_new(EbpfAfXdpKind kind)
{
    EbpfAfXdp *prog = g_new0(EbpfAfXdp, 1);

    prog->kind = kind;
    prog->prog_fd = -1;
    prog->sockets_fd = -1;
    prog->config_fd = -1;
    prog->link_fd = -1;
    prog->owner_fd = -1;
    return prog;
}

void ebpf_af_xdp_free(EbpfAfXdp *prog)
{
    if (prog->link_fd >= 0) {
        /* A child process may hold a copy of the descriptor. */
        bpf_link_detach(prog->link_fd);
    }
    ebpf_af_xdp_close_fd(&prog->link_fd);
    if (prog->member) {
        xdp_program__close(prog->member);
    }
    if (prog->skel) {
        af_xdp_redirect_bpf__destroy(prog->skel);
    } else {    /* pinned */
        ebpf_af_xdp_close_fd(&prog->sockets_fd);
    }
    ebpf_af_xdp_close_fd(&prog->config_fd);
    ebpf_af_xdp_close_fd(&prog->owner_fd);
    g_free(prog->reason);
    g_free(prog->name);
    g_free(prog);
}

/* The id of a map; 0 on failure, which is no map's id */
static uint32_t map_id(int fd)
{
    struct bpf_map_info info = { 0 };
    uint32_t len = sizeof(info);

    return bpf_obj_get_info_by_fd(fd, &info, &len) ? 0 : info.id;
}

static bool config_write(EbpfAfXdp *prog, uint32_t key, uint64_t value)
{
    return bpf_map_update_elem(prog->config_fd, &key, &value, BPF_ANY) == 0;
}

/*
 * The map of settings is made here and not by libbpf, so that it is filled in
 * before the program can run.
 */
int ebpf_af_xdp_open(EbpfAfXdp *prog, uint32_t dev_queues,
                     EbpfAfXdpVariant variant)
{
    Filter filter = { .enabled = prog->mac_filter };
    struct af_xdp_redirect_bpf *skel;
    int ret;

    prog->config_fd = bpf_map_create(BPF_MAP_TYPE_ARRAY,
                                     EBPF_AF_XDP_CONFIG_NAME,
                                     sizeof(uint32_t), sizeof(uint64_t),
                                     EBPF_AF_XDP_CONFIG_ENTRIES, NULL);
    if (prog->config_fd < 0 ||
        !config_write(prog, EBPF_AF_XDP_CONFIG_FILTER, filter.word)) {
        return -errno;
    }
    if (prog->kind == EBPF_AF_XDP_DISPATCHER) {
        uint32_t id;

        prog->owner_fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "af_xdp_owner",
                                        sizeof(uint32_t), sizeof(uint32_t),
                                        1, NULL);
        if (prog->owner_fd < 0) {
            return -errno;
        }
        id = map_id(prog->owner_fd);
        if (!id || !config_write(prog, EBPF_AF_XDP_CONFIG_OWNER, id)) {
            return -errno;
        }
    }

    skel = prog->skel = af_xdp_redirect_bpf__open();
    if (!skel) {
        return -errno;
    }
    prog->obj = skel->obj;
    prog->multi_buffer = variant != EBPF_AF_XDP_SINGLE;
    prog->variant =
        variant == EBPF_AF_XDP_SINGLE ? skel->progs.af_xdp_single :
        variant == EBPF_AF_XDP_FIXED ? skel->progs.af_xdp_fixed :
                                       skel->progs.af_xdp_redirect;
    bpf_program__set_autoload(skel->progs.af_xdp_redirect, false);
    bpf_program__set_autoload(skel->progs.af_xdp_single, false);
    bpf_program__set_autoload(skel->progs.af_xdp_fixed, false);
    bpf_program__set_autoload(prog->variant, true);
    if (bpf_map__value_size(skel->maps.af_xdp_counters) !=
            sizeof(EbpfAfXdpCounters) ||
        bpf_map__max_entries(skel->maps.af_xdp_config) !=
            EBPF_AF_XDP_CONFIG_ENTRIES) {
        return -EPROTO;     /* the skeleton is not the one we know */
    }
    ret = bpf_map__set_max_entries(skel->maps.af_xdp_sockets, dev_queues);
    if (ret == 0) {
        ret = bpf_map__set_max_entries(skel->maps.af_xdp_counters,
                                       dev_queues);
    }
    if (ret == 0) {
        ret = bpf_map__reuse_fd(skel->maps.af_xdp_config, prog->config_fd);
    }
    return ret;
}

void ebpf_af_xdp_close(EbpfAfXdp *prog)
{
    af_xdp_redirect_bpf__destroy(prog->skel);
    prog->skel = NULL;
    prog->obj = NULL;
    prog->variant = NULL;
    ebpf_af_xdp_close_fd(&prog->config_fd);
    ebpf_af_xdp_close_fd(&prog->owner_fd);
}

int ebpf_af_xdp_load(EbpfAfXdp *prog, uint32_t dev_queues)
{
    int ret = ebpf_af_xdp_open(prog, dev_queues, EBPF_AF_XDP_FRAGS);

    if (ret == 0) {
        ret = af_xdp_redirect_bpf__load(prog->skel);
    }
    if (ret == -EINVAL) {
        /* Linux before 5.18 does not know the flag of "xdp.frags". */
        ebpf_af_xdp_close(prog);
        ret = ebpf_af_xdp_open(prog, dev_queues, EBPF_AF_XDP_SINGLE);
        if (ret == 0) {
            ret = af_xdp_redirect_bpf__load(prog->skel);
        }
    }
    return ret;
}

void ebpf_af_xdp_loaded(EbpfAfXdp *prog)
{
    struct bpf_prog_info info = { 0 };
    uint32_t len = sizeof(info);

    prog->sockets_fd = bpf_map__fd(prog->skel->maps.af_xdp_sockets);
    prog->prog_fd = bpf_program__fd(prog->variant);
    if (bpf_obj_get_info_by_fd(prog->prog_fd, &info, &len) == 0) {
        prog->prog_id = info.id;
    }
}

/* Is @fd a BPF map? A program or a link can be pinned just as well. */
static bool fd_is_map(int fd)
{
    char path[64], target[64];
    ssize_t len;

    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    len = readlink(path, target, sizeof(target) - 1);
    if (len < 0) {
        return true;    /* no /proc: let the type decide */
    }
    target[len] = '\0';
    return !strcmp(target, "anon_inode:bpf-map");
}

/* Opens @path; -1 with @errp set if that fails or it is no XSKMAP */
static int pinned_open(const char *path, struct bpf_map_info *info,
                       GError **errp)
{
    uint32_t len = sizeof(*info);
    struct statfs fs;
    struct stat st;
    int fd = bpf_obj_get(path);

    if (fd < 0) {
        int errnum = errno;

        if (statfs(path, &fs) == 0 && fs.f_type != BPF_FS_MAGIC) {
            af_xdp_error_set(errp, EINVAL,
                             "map-path= must name a map pinned in a BPF file "
                             "system, such as 'bpftool map pin id ID "
                             "/sys/fs/bpf/NAME' makes.",
                             "'%s' is not in a BPF file system", path);
        } else if (stat(path, &st) == 0 && S_ISDIR(st.st_mode)) {
            /* The kernel says "Permission denied", whatever they are. */
            af_xdp_error_set(errp, 0,
                             "'bpftool map show pinned PATH' shows what a "
                             "file in it is.",
                             "'%s' is a directory, name a map in it", path);
        } else {
            af_xdp_error_step(errp, AF_XDP_STEP_MAP, errnum, NULL, -1,
                              "cannot open pinned map '%s'", path);
        }
        return -1;
    }
    if (!fd_is_map(fd)) {
        af_xdp_error_step(errp, AF_XDP_STEP_MAP, EINVAL, NULL, -1,
                          "'%s' is a pinned BPF object, but not a map", path);
    } else if (bpf_obj_get_info_by_fd(fd, info, &len)) {
        af_xdp_error_step(errp, AF_XDP_STEP_MAP, errno, NULL, -1,
                          "cannot get the properties of pinned map '%s'",
                          path);
    } else if (info->type != BPF_MAP_TYPE_XSKMAP) {
        const char *type = libbpf_bpf_map_type_str(info->type);
        g_autofree char *number = g_strdup_printf("%u", info->type);

        /* A type newer than libbpf has no name. */
        af_xdp_error_step(errp, AF_XDP_STEP_MAP, EINVAL, NULL, -1,
                          "pinned map '%s' is of type %s, not an XSKMAP",
                          path, type ?: number);
    } else {
        return fd;
    }
    close(fd);
    return -1;
}

EbpfAfXdp *ebpf_af_xdp_use_map(const char *path, uint32_t start_index,
                               uint32_t n_queues, GError **errp)
{
    struct bpf_map_info info = { 0 };
    EbpfAfXdp *prog;
    int fd;

    ebpf_af_xdp_log_begin();
    fd = pinned_open(path, &info, errp);
    ebpf_af_xdp_log_end();
    if (fd < 0) {
        return NULL;
    }
    if (n_queues > info.max_entries ||
        start_index > info.max_entries - n_queues) {
        af_xdp_error_set(errp, 0,
                         "map-start-index= plus queues= must not exceed the "
                         "size of the map.",
                         "pinned map '%s' is too small: it has %u entries, "
                         "and %u from index %u on are needed", path,
                         info.max_entries, n_queues, start_index);
        close(fd);
        return NULL;
    }

    prog = ebpf_af_xdp_new(EBPF_AF_XDP_PINNED_MAP);
    prog->name = g_strdup(path);
    prog->sockets_fd = fd;
    prog->base = start_index;
    prog->queues = n_queues;
    prog->multi_buffer = true;
    return prog;
}

bool ebpf_af_xdp_set_socket(EbpfAfXdp *prog, uint32_t queue, int xsk_fd,
                            GError **errp)
{
    bool pinned = prog->kind == EBPF_AF_XDP_PINNED_MAP;
    uint32_t key = prog->base + queue;

    g_assert(queue < prog->queues);

    /* Without BPF_NOEXIST the kernel would put out who is there. */
    if (bpf_map_update_elem(prog->sockets_fd, &key, &xsk_fd,
                            BPF_NOEXIST) == 0) {
        return true;
    }
    if (errno == EEXIST) {
        af_xdp_error_set(errp, EEXIST,
                         "Choose other positions with map-start-index=, or "
                         "stop the process whose socket is there.",
                         "cannot put the socket of queue %u into index %u of "
                         "map '%s', which holds another socket", queue, key,
                         prog->name);
    } else if (errno == EOPNOTSUPP || errno == ENOTSOCK) {
        af_xdp_error_set(errp, errno, NULL,
                         "cannot put descriptor %d into the map of '%s': it "
                         "is not an AF_XDP socket, or not set up", xsk_fd,
                         prog->name);
    } else {
        g_autofree char *map = pinned
            ? g_strdup_printf("pinned map '%s'", prog->name)
            : g_strdup("the program's map");

        af_xdp_error_step(errp, AF_XDP_STEP_MAP, errno,
                          pinned ? NULL : prog->name, -1,
                          "cannot put the socket of queue %u into index %u "
                          "of %s", queue, key, map);
    }
    return false;
}

bool ebpf_af_xdp_replace_socket(EbpfAfXdp *prog, uint32_t queue, int xsk_fd,
                                GError **errp)
{
    uint32_t key = prog->base + queue;

    g_assert(queue < prog->queues);
    return bpf_map_update_elem(prog->sockets_fd, &key, &xsk_fd,
                               BPF_EXIST) == 0 ||
           ebpf_af_xdp_set_socket(prog, queue, xsk_fd, errp);
}

void ebpf_af_xdp_clear_socket(EbpfAfXdp *prog, uint32_t queue)
{
    uint32_t key = prog->base + queue;

    g_assert(queue < prog->queues);
    bpf_map_delete_elem(prog->sockets_fd, &key);
}

bool ebpf_af_xdp_set_mac(EbpfAfXdp *prog, const uint8_t mac[6], GError **errp)
{
    Filter filter = { .enabled = 1, .have_mac = 1 };

    if (!prog->mac_filter) {
        return true;
    }
    memcpy(filter.mac, mac, sizeof(filter.mac));
    if (!config_write(prog, EBPF_AF_XDP_CONFIG_FILTER, filter.word)) {
        af_xdp_error_step(errp, AF_XDP_STEP_PROGRAM, errno, prog->name, -1,
                          "cannot set the address of the MAC filter");
        return false;
    }
    return true;
}

bool ebpf_af_xdp_read_counters(EbpfAfXdp *prog, uint32_t queue,
                               EbpfAfXdpCounters *counters)
{
    g_autofree EbpfAfXdpCounters *per_cpu = NULL;
    uint32_t key = prog->base + queue;
    int cpus;

    g_assert(queue < prog->queues);
    memset(counters, 0, sizeof(*counters));
    if (prog->kind == EBPF_AF_XDP_PINNED_MAP) {
        return false;
    }
    cpus = libbpf_num_possible_cpus();
    if (cpus <= 0) {
        return false;
    }
    /* The kernel rounds each CPU's value up to 8 bytes; ours is 4 times 8. */
    per_cpu = g_new0(EbpfAfXdpCounters, cpus);
    if (bpf_map_lookup_elem(bpf_map__fd(prog->skel->maps.af_xdp_counters),
                            &key, per_cpu)) {
        return false;
    }
    for (int i = 0; i < cpus; i++) {
        counters->redirected += per_cpu[i].redirected;
        counters->passed += per_cpu[i].passed;
        counters->filtered += per_cpu[i].filtered;
        counters->dropped += per_cpu[i].dropped;
    }
    return true;
}

EbpfAfXdpKind ebpf_af_xdp_kind(const EbpfAfXdp *prog)
{
    return prog->kind;
}

EbpfAfXdpMode ebpf_af_xdp_mode(const EbpfAfXdp *prog)
{
    return prog->mode;
}

const char *ebpf_af_xdp_fallback_reason(const EbpfAfXdp *prog)
{
    return prog->reason;
}

bool ebpf_af_xdp_multi_buffer(const EbpfAfXdp *prog)
{
    return prog->multi_buffer;
}

uint32_t ebpf_af_xdp_prog_id(const EbpfAfXdp *prog)
{
    return prog->prog_id;
}

int ebpf_af_xdp_prog_fd(const EbpfAfXdp *prog)
{
    return prog->prog_fd;
}
