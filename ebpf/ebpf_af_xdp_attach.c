/*
 * AF_XDP: attaching the XDP program to a device, beside whoever is there
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <net/if.h>
#include <linux/if_link.h>
#include <bpf/bpf.h>
#include "net/af-xdp-error.h"
#include "ebpf/ebpf_af_xdp_int.h"

/* What libxdp calls its dispatcher */
#define DISPATCHER_NAME "xdp_dispatcher"

/*
 * Programs come and go between our looking and our attaching; so often do we
 * look again before somebody else is told to sort it out.
 */
#define MAX_TRIES 5

/*
 * Which program does the device run? Returns 0 and the id, which is 0 if there
 * is none, or a negative errno.
 */
static int device_query(int ifindex, uint32_t *id, const char **mode)
{
    LIBBPF_OPTS(bpf_xdp_query_opts, opts);
    char name[IF_NAMESIZE];
    int ret;

    *id = 0;
    *mode = "";
    /* libbpf filters a dump of all devices: a missing one is no error to it. */
    if (!if_indextoname(ifindex, name)) {
        return errno == ENXIO ? -ENODEV : -errno;
    }
    ret = bpf_xdp_query(ifindex, 0, &opts);
    if (ret) {
        return ret;
    }
    if (opts.drv_prog_id) {
        *id = opts.drv_prog_id;
        *mode = "native";
    } else if (opts.skb_prog_id) {
        *id = opts.skb_prog_id;
        *mode = "generic";
    } else if (opts.hw_prog_id) {
        *id = opts.hw_prog_id;
        *mode = "offloaded";
    }
    return 0;
}

/* The id of the link that holds program @prog_id on the device, 0 if none */
static uint32_t device_link_id(int ifindex, uint32_t prog_id)
{
    uint32_t id = 0;

    /* Fails for want of CAP_SYS_ADMIN; the message is poorer then. */
    while (bpf_link_get_next_id(id, &id) == 0) {
        struct bpf_link_info info = { 0 };
        uint32_t len = sizeof(info);
        int fd = bpf_link_get_fd_by_id(id);
        bool found;

        if (fd < 0) {
            continue;
        }
        found = bpf_obj_get_info_by_fd(fd, &info, &len) == 0 &&
                info.type == BPF_LINK_TYPE_XDP && info.prog_id == prog_id &&
                info.xdp.ifindex == (uint32_t)ifindex;
        close(fd);
        if (found) {
            return id;
        }
    }
    return 0;
}

/* The name of a program, to be freed; NULL if we may not know */
static char *program_name(uint32_t id)
{
    struct bpf_prog_info info = { 0 };
    uint32_t len = sizeof(info);
    int fd = bpf_prog_get_fd_by_id(id);
    char *name = NULL;

    if (fd >= 0 && bpf_obj_get_info_by_fd(fd, &info, &len) == 0) {
        name = g_strdup(info.name);
    }
    ebpf_af_xdp_close_fd(&fd);
    return name;
}

/* Refuse politely: whose program is in the way, and what can be done? */
static void error_foreign(GError **errp, const EbpfAfXdp *prog, uint32_t id,
                          const char *mode)
{
    static const char share[] =
        "Or let the programs share the device: load the other one with "
        "'xdp-loader load', or have its owner pin the map of sockets and "
        "use inhibit=on,map-path=.";
    g_autofree char *name = program_name(id);
    g_autofree char *quoted = NULL;
    g_autofree char *hint = NULL;
    uint32_t link = device_link_id(prog->ifindex, id);

    if (name && !strcmp(name, DISPATCHER_NAME)) {
        hint = g_strdup_printf(
            "It is libxdp's dispatcher, but what it runs cannot be seen. "
            "libxdp keeps that in the BPF file system: mount it at "
            "/sys/fs/bpf ('ip netns exec' hides it, 'nsenter --net=' does "
            "not), run as root, and compare 'xdp-loader status %s'.",
            prog->name);
    } else if (name && (!strcmp(name, EBPF_AF_XDP_PROG_NAME) ||
                        !strcmp(name, EBPF_AF_XDP_SINGLE_NAME))) {
        hint = g_strdup_printf(
            "It is this program of this or another QEMU. One netdev can use "
            "several queues of a device; for several netdevs attach a "
            "program with a pinned map to '%s' and use "
            "inhibit=on,map-path= in each.",
            prog->name);
    } else if (link) {
        hint = g_strdup_printf(
            "A process holds it through BPF link id %u: stop that process, "
            "or use 'bpftool link detach id %u'. %s", link, link, share);
    } else {
        hint = g_strdup_printf(
            "If it is not needed, detach it with 'ip link set dev %s %s off'. "
            "%s", prog->name,
            !strcmp(mode, "generic") ? "xdpgeneric" :
            !strcmp(mode, "native") ? "xdpdrv" : "xdpoffload", share);
    }
    quoted = name ? g_strdup_printf(" '%s'", name) : g_strdup("");
    af_xdp_error_set(errp, EBUSY, hint,
                     "device '%s' already runs XDP program id %u%s (%s)",
                     prog->name, id, quoted, mode);
}

/* Would skb mode fail for the same cause as native mode did? */
static bool worth_fallback(int errnum)
{
    switch (errnum) {
    case EPERM:
    case EBUSY:
    case EEXIST:
    case ENODEV:
        return false;
    default:
        return true;
    }
}

/* What a driver means with its errno, as far as it is known */
static const char *native_refusal(int errnum)
{
    switch (errnum) {
    case EOPNOTSUPP:
        return "the driver cannot run XDP programs, or not with its settings";
    case ERANGE:    /* veth */
        return "the MTU is too large; a veth's peer counts";
    case ENOSPC:    /* veth */
        return "the device has fewer receive queues than its peer has "
               "transmit queues; 'ethtool -L PEER tx N' lowers those";
    case ENOMEM:
        return "the driver lacks memory or queues of its own for XDP";
    default:
        return "the driver may not like the MTU, the number of queues or an "
               "offload";
    }
}

static int link_create(EbpfAfXdp *prog, EbpfAfXdpMode mode)
{
    LIBBPF_OPTS(bpf_link_create_opts, opts,
                .flags = mode == EBPF_AF_XDP_MODE_SKB ? XDP_FLAGS_SKB_MODE
                                                      : XDP_FLAGS_DRV_MODE);

    prog->link_fd = bpf_link_create(prog->prog_fd, prog->ifindex, BPF_XDP,
                                    &opts);
    if (prog->link_fd < 0) {
        return -errno;
    }
    prog->mode = mode;
    return 0;
}

/*
 * Attach to a device without a program. Returns 0, or a negative errno with
 * @errp set; -EAGAIN, with @errp not set, if there is a program by now.
 */
static int attach_link(EbpfAfXdp *prog, const EbpfAfXdpConfig *cfg,
                       GError **errp)
{
    EbpfAfXdpMode mode = cfg->mode;
    int ret;

    prog->kind = EBPF_AF_XDP_OWN_LINK;
    ret = ebpf_af_xdp_load(prog, cfg->dev_queues);
    if (ret < 0) {
        g_autofree char *detail = ebpf_af_xdp_log_detail();

        af_xdp_error_step(errp, AF_XDP_STEP_PROGRAM, -ret, cfg->ifname, -1,
                          "cannot load the XDP program%s", detail);
        return ret;
    }
    ebpf_af_xdp_loaded(prog);

    if (mode == EBPF_AF_XDP_MODE_AUTO) {
        mode = EBPF_AF_XDP_MODE_NATIVE;
    }
    ret = link_create(prog, mode);
    if (ret < 0 && cfg->mode == EBPF_AF_XDP_MODE_AUTO &&
        worth_fallback(-ret)) {
        prog->reason = g_strdup_printf("%s: %s",
                                       g_strerror(-ret),
                                       native_refusal(-ret));
        mode = EBPF_AF_XDP_MODE_SKB;
        ret = link_create(prog, mode);
    }
    if (ret == -EBUSY || ret == -EEXIST) {
        return -EAGAIN;
    }
    if (ret < 0) {
        af_xdp_error_step(errp, AF_XDP_STEP_PROGRAM, -ret, cfg->ifname, -1,
                          "cannot attach the XDP program in %s mode",
                          ebpf_af_xdp_mode_name(mode));
    }
    return ret;
}

/*
 * Is this member of a dispatcher ours, and its process dead? Yes only if that
 * is certain: the map it names as its owner's does not exist any more. Map ids
 * are given out in a cycle of 2^31, and a reused one means "no".
 */
static bool member_is_stale(struct xdp_program *member)
{
    uint32_t ids[8];
    struct bpf_prog_info info = {
        .nr_map_ids = ARRAY_SIZE(ids),
        .map_ids = (uintptr_t)ids,
    };
    uint32_t len = sizeof(info);
    uint64_t owner = 0;

    if ((strcmp(xdp_program__name(member), EBPF_AF_XDP_PROG_NAME) &&
         strcmp(xdp_program__name(member), EBPF_AF_XDP_FIXED_NAME)) ||
        bpf_obj_get_info_by_fd(xdp_program__fd(member), &info, &len)) {
        return false;
    }
    for (uint32_t i = 0; i < MIN(info.nr_map_ids, ARRAY_SIZE(ids)); i++) {
        struct bpf_map_info map = { 0 };
        uint32_t key = EBPF_AF_XDP_CONFIG_OWNER;
        int fd = bpf_map_get_fd_by_id(ids[i]);

        len = sizeof(map);
        if (fd >= 0 && bpf_obj_get_info_by_fd(fd, &map, &len) == 0 &&
            map.type == BPF_MAP_TYPE_ARRAY &&
            map.value_size == sizeof(owner) &&
            !strcmp(map.name, EBPF_AF_XDP_CONFIG_NAME)) {
            bpf_map_lookup_elem(fd, &key, &owner);
        }
        ebpf_af_xdp_close_fd(&fd);
    }
    if (owner) {
        int fd = bpf_map_get_fd_by_id(owner);

        if (fd < 0 && errno == ENOENT) {
            return true;
        }
        ebpf_af_xdp_close_fd(&fd);
    }
    return false;
}

/* Take what dead processes left out of the dispatcher. Returns how many. */
static unsigned remove_stale(struct xdp_multiprog *dispatcher, int ifindex)
{
    struct xdp_program *member = NULL;
    unsigned removed = 0;

    while ((member = xdp_multiprog__next_prog(member, dispatcher))) {
        if (member_is_stale(member) &&
            xdp_program__detach(member, ifindex,
                                xdp_multiprog__attach_mode(dispatcher),
                                0) == 0) {
            removed++;
        }
    }
    return removed;
}

/* Join the dispatcher with one of the programs. Returns a negative errno. */
static int join_dispatcher(EbpfAfXdp *prog, const EbpfAfXdpConfig *cfg,
                           enum xdp_attach_mode xdp_mode,
                           EbpfAfXdpVariant variant)
{
    DECLARE_LIBXDP_OPTS(xdp_program_opts, opts);
    int ret = ebpf_af_xdp_open(prog, cfg->dev_queues, variant);

    if (ret) {
        return ret;
    }
    opts.obj = prog->obj;
    opts.prog_name = bpf_program__name(prog->variant);
    prog->member = xdp_program__create(&opts);
    ret = libxdp_get_error(prog->member);
    if (ret) {
        prog->member = NULL;
        return ret;
    }
    /* libxdp asks the kernel, and the dispatcher's other members. */
    xdp_program__set_xdp_frags_support(prog->member, true);
    return xdp_program__attach(prog->member, prog->ifindex, xdp_mode, 0);
}

/* Join the dispatcher that the device runs. Returns a negative errno. */
static int attach_dispatcher(EbpfAfXdp *prog, const EbpfAfXdpConfig *cfg,
                             enum xdp_attach_mode xdp_mode, GError **errp)
{
    g_autofree char *detail = NULL;
    struct xdp_multiprog *dispatcher;
    int ret;

    prog->kind = EBPF_AF_XDP_DISPATCHER;
    prog->mode = xdp_mode == XDP_MODE_SKB ? EBPF_AF_XDP_MODE_SKB
                                          : EBPF_AF_XDP_MODE_NATIVE;
    if (cfg->mode != EBPF_AF_XDP_MODE_AUTO && cfg->mode != prog->mode) {
        af_xdp_error_set(errp, EBUSY,
                         "Leave out mode=, or ask for the mode in which the "
                         "dispatcher runs.",
                         "cannot attach the XDP program on '%s' in %s mode: "
                         "the device runs libxdp's dispatcher in %s mode",
                         cfg->ifname, ebpf_af_xdp_mode_name(cfg->mode),
                         ebpf_af_xdp_mode_name(prog->mode));
        return -EBUSY;
    }
    if (prog->mode == EBPF_AF_XDP_MODE_SKB &&
        cfg->mode == EBPF_AF_XDP_MODE_AUTO) {
        prog->reason = g_strdup("the device's dispatcher runs in skb mode");
    }

    ret = join_dispatcher(prog, cfg, xdp_mode, EBPF_AF_XDP_FRAGS);
    if (ret == -EINVAL) {
        /*
         * The kernel does not let a program that moves the start of metadata
         * take the place of one that does not, and the dispatcher of libxdp
         * before 1.5.5 has only such places.
         */
        if (prog->member) {
            xdp_program__close(prog->member);
            prog->member = NULL;
        }
        ebpf_af_xdp_close(prog);
        ebpf_af_xdp_log_end();
        ebpf_af_xdp_log_begin();
        ret = join_dispatcher(prog, cfg, xdp_mode, EBPF_AF_XDP_FIXED);
    }
    if (ret) {
        detail = ebpf_af_xdp_log_detail();
        af_xdp_error_step(errp, AF_XDP_STEP_PROGRAM, -ret, cfg->ifname, -1,
                          "cannot join libxdp's dispatcher%s", detail);
        return ret;
    }
    ebpf_af_xdp_loaded(prog);

    prog->multi_buffer = false;
    dispatcher = xdp_multiprog__get_from_ifindex(prog->ifindex);
    if (!libxdp_get_error(dispatcher)) {
        prog->multi_buffer = xdp_multiprog__xdp_frags_support(dispatcher);
        xdp_multiprog__close(dispatcher);
    }
    return 0;
}

/*
 * Look at the device and do what fits. As attach_link(): only -EAGAIN without
 * @errp set asks for another try.
 */
static int attach_once(EbpfAfXdp *prog, const EbpfAfXdpConfig *cfg,
                       GError **errp)
{
    struct xdp_multiprog *dispatcher;
    enum xdp_attach_mode xdp_mode;
    const char *mode;
    uint32_t id;
    int ret;

    ret = device_query(prog->ifindex, &id, &mode);
    if (ret) {
        af_xdp_error_step(errp, AF_XDP_STEP_DEVICE, -ret, cfg->ifname, -1,
                          "cannot ask for the XDP program");
        return ret;
    }
    if (!id) {
        return attach_link(prog, cfg, errp);
    }

    dispatcher = xdp_multiprog__get_from_ifindex(prog->ifindex);
    ret = libxdp_get_error(dispatcher);
    if (ret == -ENOENT || ret == -EBUSY) {
        return -EAGAIN;
    }
    if (ret || xdp_multiprog__is_legacy(dispatcher)) {
        if (!ret) {
            xdp_multiprog__close(dispatcher);
        }
        error_foreign(errp, prog, id, mode);
        return -EBUSY;
    }
    if (remove_stale(dispatcher, prog->ifindex)) {
        xdp_multiprog__close(dispatcher);
        return -EAGAIN;
    }
    xdp_mode = xdp_multiprog__attach_mode(dispatcher);
    xdp_multiprog__close(dispatcher);
    return attach_dispatcher(prog, cfg, xdp_mode, errp);
}

EbpfAfXdp *ebpf_af_xdp_attach(const EbpfAfXdpConfig *cfg, GError **errp)
{
    EbpfAfXdp *prog = NULL;
    GError *err = NULL;
    int ifindex = cfg->ifindex ?: (int)if_nametoindex(cfg->ifname);
    int ret = -EAGAIN;

    if (!ifindex) {
        af_xdp_error_step(errp, AF_XDP_STEP_DEVICE, errno, cfg->ifname, -1,
                          "cannot attach the XDP program");
        return NULL;
    }
    if (!cfg->queues || cfg->queue_start >= cfg->dev_queues ||
        cfg->queues > cfg->dev_queues - cfg->queue_start) {
        af_xdp_error_set(errp, 0, NULL,
                         "device '%s' has %u receive queues, not %u from "
                         "queue %u on", cfg->ifname, cfg->dev_queues,
                         cfg->queues, cfg->queue_start);
        return NULL;
    }

    ebpf_af_xdp_log_begin();
    /* The kernel's own EAGAIN comes with an error, and is one. */
    for (int i = 0; ret == -EAGAIN && !err && i < MAX_TRIES; i++) {
        if (prog) {
            ebpf_af_xdp_free(prog);
            ebpf_af_xdp_log_end();
            ebpf_af_xdp_log_begin();
        }
        prog = ebpf_af_xdp_new(EBPF_AF_XDP_OWN_LINK);
        prog->name = g_strdup(cfg->ifname);
        prog->ifindex = ifindex;
        prog->base = cfg->queue_start;
        prog->queues = cfg->queues;
        prog->mac_filter = cfg->mac_filter;
        ret = attach_once(prog, cfg, &err);
    }
    if (ret == -EAGAIN && !err) {
        af_xdp_error_step(&err, AF_XDP_STEP_PROGRAM, EBUSY, cfg->ifname, -1,
                          "cannot attach the XDP program, as others come and "
                          "go");
    }
    if (ret) {
        g_propagate_error(errp, err);
        ebpf_af_xdp_free(prog);
        prog = NULL;
    }
    ebpf_af_xdp_log_end();
    return prog;
}

/* Leave the dispatcher. Returns a negative errno. */
static int leave_dispatcher(EbpfAfXdp *prog)
{
    enum xdp_attach_mode mode = prog->mode == EBPF_AF_XDP_MODE_SKB
                                ? XDP_MODE_SKB : XDP_MODE_NATIVE;
    int ret = xdp_program__detach(prog->member, prog->ifindex, mode, 0);

    /* Somebody else has taken us out, or the device is gone. */
    return ret == -ENOENT ? 0 : ret;
}

bool ebpf_af_xdp_detach(EbpfAfXdp *prog, GError **errp)
{
    int ret = 0;

    if (!prog) {
        return true;
    }
    ebpf_af_xdp_log_begin();
    if (prog->kind == EBPF_AF_XDP_DISPATCHER) {
        ret = leave_dispatcher(prog);
        if (ret) {
            g_autofree char *detail = ebpf_af_xdp_log_detail();

            af_xdp_error_set(errp, -ret,
                             "It passes all packets on. See 'xdp-loader "
                             "status', 'xdp-loader unload --id ID'.",
                             "cannot take XDP program id %u out of libxdp's "
                             "dispatcher on '%s'%s", prog->prog_id,
                             prog->name, detail);
        }
    }
    ebpf_af_xdp_free(prog);
    ebpf_af_xdp_log_end();
    return ret == 0;
}
