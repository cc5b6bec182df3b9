/*
 * AF_XDP network backend: the netdev
 *
 * Turns options into a configuration, begins a netdev, and takes everything
 * down again. What it is made of stands in net/af-xdp-netdev.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "clients.h"
#include "net/af-xdp-error.h"
#include "net/af-xdp-events.h"
#include "net/af-xdp-open.h"
#include "net/af-xdp-ram.h"
#include "net/af-xdp-threads.h"
#include "net/eth.h"
#include "qapi/error.h"
#include "qemu/error-report.h"
#include "trace.h"

QEMU_BUILD_BUG_ON(AF_XDP_MAX_QUEUES != MAX_QUEUE_NUM);

void af_xdp_netdev_error(Error **errp, GError *gerr)
{
    ERRP_GUARD();
    g_autofree char *msg = NULL;
    const char *hint = NULL;

    af_xdp_error_split(gerr, &msg, &hint);
    error_setg(errp, "%s", msg);
    if (hint) {
        error_append_hint(errp, "%s\n", hint);
    }
    g_error_free(gerr);
}

void af_xdp_netdev_warn(AfXdpNetdev *dev, GError *gerr, const char *what)
{
    Error *err = NULL;

    af_xdp_netdev_error(&err, gerr);
    error_prepend(&err, "af-xdp '%s': %s: ", dev->name, what);
    warn_report_err(err);
}

void af_xdp_netdev_learn_mac(AfXdpNetdev *dev)
{
    static const uint8_t nobody[ETH_ALEN];
    NetClientState *peer = dev->queues[0]->nc.peer;
    const uint8_t *mac = nobody;
    g_autofree char *str = NULL;
    GError *gerr = NULL;

    if (!dev->opts.mac_filter || dev->gone) {
        return;
    }
    if (peer && peer->info->type == NET_CLIENT_DRIVER_NIC) {
        mac = qemu_get_nic(peer)->conf->macaddr.a;
    }
    str = qemu_mac_strdup_printf(mac);
    trace_af_xdp_mac_filter(dev->name, str);
    if (!ebpf_af_xdp_set_mac(dev->prog, mac, &gerr)) {
        af_xdp_netdev_warn(dev, gerr, "the MAC filter does not know its NIC");
    }
}

void af_xdp_netdev_free(AfXdpNetdev *dev)
{
    GError *gerr = NULL;

    af_xdp_events_free(dev);
    if (!ebpf_af_xdp_detach(dev->prog, &gerr)) {
        af_xdp_netdev_warn(dev, gerr, "the XDP program stays");
    }
    af_xdp_threads_free(dev);
    af_xdp_ram_free(dev);
    af_xdp_options_clear(&dev->opts);
    g_free(dev->ifname);
    g_free(dev->name);
    g_free(dev);
}

static void af_xdp_read_options(const NetdevAFXDPOptions *opts,
                                AfXdpOptionsIn *in)
{
    *in = (AfXdpOptionsIn) {
        .ifname = opts->ifname,
        .has_mode = opts->has_mode,
        .mode = opts->mode == AFXDP_MODE_SKB ? AF_XDP_MODE_SKB
                                             : AF_XDP_MODE_NATIVE,
        .has_force_copy = opts->has_force_copy,
        .force_copy = opts->force_copy,
        .has_queues = opts->has_queues,
        .queues = opts->queues,
        .has_queue_start = opts->has_queue_start,
        .queue_start = opts->queue_start,
        .has_start_queue = opts->has_start_queue,
        .start_queue = opts->start_queue,
        .has_inhibit = opts->has_inhibit,
        .inhibit = opts->inhibit,
        .sock_fds = opts->sock_fds,
        .map_path = opts->map_path,
        .has_map_start_index = opts->has_map_start_index,
        .map_start_index = opts->map_start_index,
        .has_mac_filter = opts->has_mac_filter,
        .mac_filter = opts->mac_filter,
        .has_vhost = opts->has_vhost,
        .vhost = opts->vhost == ON_OFF_AUTO_ON ? AF_XDP_VHOST_ON :
                 opts->vhost == ON_OFF_AUTO_OFF ? AF_XDP_VHOST_OFF :
                                                  AF_XDP_VHOST_AUTO,
        .iothread = opts->iothread,
        .has_poll_max_ns = opts->has_poll_max_ns,
        .poll_max_ns = opts->poll_max_ns,
        .has_poll_grow = opts->has_poll_grow,
        .poll_grow = opts->poll_grow,
        .has_poll_shrink = opts->has_poll_shrink,
        .poll_shrink = opts->poll_shrink,
        .has_zero_copy = opts->has_zero_copy,
        .zero_copy = opts->zero_copy == ON_OFF_AUTO_ON ? AF_XDP_ZERO_COPY_ON :
                     opts->zero_copy == ON_OFF_AUTO_OFF ? AF_XDP_ZERO_COPY_OFF :
                                                          AF_XDP_ZERO_COPY_AUTO,
        .has_zero_copy_limit = opts->has_zero_copy_limit,
        .zero_copy_limit = opts->zero_copy_limit,
    };
}

/* Everything is open: become visible to the net layer. */
static void af_xdp_publish(AfXdpNetdev *dev, AfXdpCopy **copies,
                           NetClientState *peer, const char *name)
{
    for (uint32_t i = 0; i < dev->n_queues; i++) {
        AfXdpState *s = af_xdp_queue_new(dev, i, peer, name, copies[i],
                                         dev->opts.queue_start + i);

        if (!name) {
            /* The net layer made one up; all queues must share it. */
            g_free(dev->name);
            dev->name = g_strdup(s->nc.name);
            name = dev->name;
        }
        trace_af_xdp_queue_start(dev->name, dev->ifname, s->queue,
                                 af_xdp_queue_mode(s),
                                 af_xdp_queue_multi_buffer(s));
    }
    af_xdp_events_start(dev);
}

/*
 * The exported init function.
 *
 * ... -netdev af-xdp,ifname="..."
 */
int net_init_af_xdp(const Netdev *netdev, const char *name,
                    NetClientState *peer, Error **errp)
{
    g_autofree AfXdpCopy **copies = NULL;
    AfXdpOptionsIn in;
    AfXdpOptions opts;
    AfXdpDevice info;
    AfXdpNetdev *dev = NULL;
    GError *gerr = NULL;
    int ret = -1;
    uint32_t i;

    af_xdp_read_options(&netdev->u.af_xdp, &in);
    if (!af_xdp_options_check(&in, &opts, &gerr) ||
        !af_xdp_open_check(opts.ifname, &opts, &info, &gerr)) {
        goto fail;
    }

    if (peer && opts.queues > 1) {
        error_setg(errp, "'queues=%u' needs -netdev: a hub connects one queue",
                   opts.queues);
        goto fail;
    }
    if (peer && opts.mac_filter) {
        error_setg(errp, "'mac-filter=on' needs -netdev: behind a hub there "
                   "may be more than one NIC");
        goto fail;
    }
    if (peer && (opts.vhost == AF_XDP_VHOST_ON ||
                 opts.zero_copy == AF_XDP_ZERO_COPY_ON)) {
        error_setg(errp, "'%s' needs -netdev and a virtio-net device",
                   opts.vhost == AF_XDP_VHOST_ON ? "vhost=on"
                                                 : "zero-copy=on");
        goto fail;
    }

    dev = g_malloc0(sizeof(*dev) + opts.queues * sizeof(dev->queues[0]));
    dev->name = g_strdup(name ?: "af-xdp");
    dev->ifname = g_strdup(info.name);
    dev->n_queues = opts.queues;
    dev->opts = opts;
    memset(&opts, 0, sizeof(opts));
    dev->leased = af_xdp_device_is_leased(&info, dev->opts.queue_start);
    af_xdp_ram_init(dev, &dev->opts, &info);
    if (!af_xdp_threads_init(dev, &dev->opts, errp)) {
        goto fail;
    }
    /* Asked again, so that no change falls between question and watch. */
    if (!af_xdp_events_init(dev, info.ifindex, &gerr) ||
        !af_xdp_open_check(info.name, &dev->opts, &info, &gerr) ||
        !af_xdp_open_program(dev, &info, &gerr)) {
        goto fail;
    }
    af_xdp_open_warn(dev, &info);

    copies = g_new0(AfXdpCopy *, dev->n_queues);
    for (i = 0; i < dev->n_queues; i++) {
        copies[i] = af_xdp_open_queue(dev, &info, i, errp);
        if (!copies[i]) {
            goto fail_queue;
        }
    }
    af_xdp_publish(dev, copies, peer, name);
    if (af_xdp_threads_start(dev, errp)) {
        ret = 0;
    } else {
        qemu_del_net_client(&dev->queues[0]->nc);
    }
    goto out;

fail_queue:
    while (i-- > 0) {
        if (dev->prog) {
            ebpf_af_xdp_clear_socket(dev->prog, i);
        }
        af_xdp_copy_free(copies[i]);
    }
fail:
    if (gerr) {
        af_xdp_netdev_error(errp, gerr);
    }
    if (dev) {
        af_xdp_netdev_free(dev);
    }
out:
    af_xdp_options_clear(&opts);
    return ret;
}
