/*
 * AF_XDP network backend: the interface's program and queues, opened and closed
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "monitor/monitor.h"
#include "net/af-xdp-netkit.h"
#include "net/af-xdp-open.h"
#include "net/af-xdp-ram.h"
#include "qemu/ctype.h"
#include "qemu/error-report.h"
#include "trace.h"

/*
 * How long to wait for a queue of an interface that is back, in ms: hardly, as
 * all of QEMU waits, and there is another attempt.
 */
#define AGAIN_PATIENCE_MS 1

bool af_xdp_open_check(const char *ifname, const AfXdpOptions *opts,
                       AfXdpDevice *info, GError **errp)
{
    return af_xdp_device_query(ifname, info, errp) &&
           af_xdp_device_check(info, opts->queue_start, opts->queues, errp) &&
           af_xdp_netkit_check(info, opts, errp);
}

/* --- Program --- */

/* What is allowed, and yet most likely not meant. */
static void warn_of_loss(AfXdpNetdev *dev, const AfXdpDevice *info)
{
    const AfXdpOptions *opts = &dev->opts;

    /* The program of leased queues is on the NIC that lends them. */
    if (opts->inhibit && !info->xdp_prog_id &&
        !af_xdp_device_is_leased(info, opts->queue_start)) {
        warn_report("af-xdp '%s': no XDP program on '%s' yet: nothing is "
                    "received until one is attached", dev->name, info->name);
    }
    /* A NIC has queues for others, too; a veth is made for one purpose. */
    if (!opts->inhibit && g_str_equal(info->kind, "veth") &&
        opts->queue_start == 0 && opts->queues < info->rx_queues) {
        warn_report("af-xdp '%s': '%s' has %u receive queues, the netdev uses "
                    "%u: what arrives on the others goes to the host",
                    dev->name, info->name, info->rx_queues, opts->queues);
    }
}

static void warn_of_skb(AfXdpNetdev *dev, const AfXdpDevice *info)
{
    if (!dev->prog) {
        return;
    }
    if (ebpf_af_xdp_fallback_reason(dev->prog)) {
        warn_report("af-xdp '%s': '%s' takes no native XDP program (%s), "
                    "using the slower skb mode", dev->name, info->name,
                    ebpf_af_xdp_fallback_reason(dev->prog));
    } else if (info->is_netkit && dev->opts.mode == AF_XDP_MODE_AUTO &&
               ebpf_af_xdp_mode(dev->prog) == EBPF_AF_XDP_MODE_SKB) {
        warn_report("af-xdp '%s': queue %u of netkit device '%s' is not leased "
                    "from a NIC, using the slower skb mode, in which the "
                    "kernel copies ('mode=skb' says that this is meant)",
                    dev->name, dev->opts.queue_start, info->name);
    }
}

void af_xdp_open_warn(AfXdpNetdev *dev, const AfXdpDevice *info)
{
    warn_of_loss(dev, info);
    warn_of_skb(dev, info);
}

static EbpfAfXdp *attach(AfXdpNetdev *dev, const AfXdpDevice *info,
                         GError **errp)
{
    const AfXdpOptions *opts = &dev->opts;
    /* A netkit device takes none in native mode. */
    bool skb = opts->mode == AF_XDP_MODE_SKB || info->is_netkit;
    EbpfAfXdpConfig config = {
        .ifname = info->name,
        .ifindex = info->ifindex,
        .dev_queues = info->rx_queues,
        .queue_start = opts->queue_start,
        .queues = opts->queues,
        .mode = skb ? EBPF_AF_XDP_MODE_SKB :
                opts->mode == AF_XDP_MODE_NATIVE ? EBPF_AF_XDP_MODE_NATIVE :
                                                   EBPF_AF_XDP_MODE_AUTO,
        .mac_filter = opts->mac_filter,
    };

    return ebpf_af_xdp_attach(&config, errp);
}

/* The pinned map; maybe another one than last time, under the same name. */
static EbpfAfXdp *open_map(AfXdpNetdev *dev, GError **errp)
{
    const AfXdpOptions *opts = &dev->opts;
    GError *gerr = NULL;
    EbpfAfXdp *map = ebpf_af_xdp_use_map(opts->map_path, opts->map_start_index,
                                         opts->queues, &gerr);

    if (map) {
        ebpf_af_xdp_detach(dev->prog, NULL);
        return map;
    }
    if (dev->prog && (gerr->code == EPERM || gerr->code == EACCES)) {
        /* QEMU has given up the privileges that it took. */
        g_error_free(gerr);
        return dev->prog;
    }
    g_propagate_error(errp, gerr);
    return NULL;
}

bool af_xdp_open_program(AfXdpNetdev *dev, const AfXdpDevice *info,
                         GError **errp)
{
    const AfXdpOptions *opts = &dev->opts;
    EbpfAfXdp *prog;

    if (opts->sock_fds) {
        return true;
    }
    prog = opts->map_path ? open_map(dev, errp) : attach(dev, info, errp);
    if (!prog) {
        return false;
    }
    dev->prog = prog;
    trace_af_xdp_program(dev->name, dev->ifname, ebpf_af_xdp_prog_id(prog));
    return af_xdp_socket_check_mtu(info->name, opts->queue_start,
                                   info->mtu + AF_XDP_FRAME_OVERHEAD,
                                   AF_XDP_RX_ROOM,
                                   ebpf_af_xdp_multi_buffer(prog), errp);
}

/* --- Queues --- */

static AfXdpBind bind_of(const AfXdpNetdev *dev, const AfXdpDevice *info)
{
    if (af_xdp_device_is_leased(info, dev->opts.queue_start)) {
        return AF_XDP_BIND_ZERO_COPY;
    }
    /* A driver's zero-copy queue feeds native programs only. */
    if (dev->opts.force_copy ||
        (dev->prog && !dev->opts.inhibit &&
         ebpf_af_xdp_mode(dev->prog) == EBPF_AF_XDP_MODE_SKB)) {
        return AF_XDP_BIND_COPY;
    }
    return AF_XDP_BIND_BEST;
}

AfXdpCopy *af_xdp_open_queue(AfXdpNetdev *dev, const AfXdpDevice *info,
                             uint32_t i, Error **errp)
{
    const AfXdpOptions *opts = &dev->opts;
    GError *gerr = NULL;
    AfXdpCopy *copy;
    bool named = false;
    int fd = -1;

    if (opts->sock_fds) {
        fd = monitor_fd_param(monitor_cur(), opts->sock_fds[i], errp);
        if (fd < 0) {
            return NULL;
        }
        named = !qemu_isdigit(opts->sock_fds[i][0]);
    }
    copy = af_xdp_copy_new(info->name, opts->queue_start + i, fd,
                           info->mtu + AF_XDP_FRAME_OVERHEAD,
                           bind_of(dev, info), &gerr);
    if (!copy && named) {
        /* Given by getfd, it is ours; a number may be a typing error. */
        close(fd);
    }
    if (copy && dev->prog &&
        !ebpf_af_xdp_set_socket(dev->prog, i, af_xdp_copy_socket(copy)->fd,
                                &gerr)) {
        af_xdp_copy_free(copy);
        copy = NULL;
    }
    if (!copy) {
        af_xdp_netdev_error(errp, gerr);
    }
    return copy;
}

/* --- Again --- */

bool af_xdp_open_socket(AfXdpState *s, int ifindex, uint32_t frame_max,
                        uint32_t patience, GError **errp)
{
    EbpfAfXdp *prog = s->dev->prog;
    AfXdpMove move = {
        .ifname = s->dev->ifname,
        .ifindex = ifindex,
        .frame_max = frame_max,
        .patience = patience,
    };

    if (!af_xdp_copy_move(s->copy, &move, errp)) {
        return false;
    }
    if (prog && !ebpf_af_xdp_set_socket(prog, s->nc.queue_index,
                                        af_xdp_copy_socket(s->copy)->fd,
                                        errp)) {
        /* The entry is another's, and must not be cleared at the end. */
        af_xdp_copy_close(s->copy);
        return false;
    }
    return true;
}

static bool queue_again(AfXdpState *s, const AfXdpDevice *info, GError **errp)
{
    af_xdp_copy_set_bind(s->copy, bind_of(s->dev, info));
    return af_xdp_open_socket(s, info->ifindex,
                              info->mtu + AF_XDP_FRAME_OVERHEAD,
                              AGAIN_PATIENCE_MS, errp);
}

bool af_xdp_open_again(AfXdpNetdev *dev, const AfXdpDevice *info,
                       GError **errp)
{
    bool ok = af_xdp_open_program(dev, info, errp);

    for (uint32_t i = 0; ok && i < dev->n_queues; i++) {
        ok = queue_again(dev->queues[i], info, errp);
    }
    if (!ok) {
        af_xdp_open_close(dev);
        return false;
    }
    dev->leased = af_xdp_device_is_leased(info, dev->opts.queue_start);
    af_xdp_ram_new_device(dev, info);
    af_xdp_open_warn(dev, info);
    return true;
}

bool af_xdp_open_missing(AfXdpNetdev *dev, GError **errp)
{
    AfXdpDevice info;

    if (!af_xdp_open_check(dev->ifname, &dev->opts, &info, errp)) {
        return false;
    }
    for (uint32_t i = 0; i < dev->n_queues; i++) {
        AfXdpState *s = dev->queues[i];

        if (af_xdp_copy_is_absent(s->copy)) {
            bool ok;

            /* The descriptor that is polled is another one afterwards. */
            af_xdp_queue_lend(s, true);
            ok = queue_again(s, &info, errp);
            af_xdp_queue_lend(s, false);
            if (!ok) {
                return false;
            }
        }
    }
    return true;
}

void af_xdp_open_close(AfXdpNetdev *dev)
{
    for (uint32_t i = 0; i < dev->n_queues; i++) {
        af_xdp_copy_close(dev->queues[i]->copy);
    }
    af_xdp_ram_closed(dev);
    if (dev->prog && !dev->opts.map_path) {
        /* What fails is the leaving of an interface that is not there. */
        ebpf_af_xdp_detach(dev->prog, NULL);
        dev->prog = NULL;
    }
}
