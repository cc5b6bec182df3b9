/*
 * AF_XDP network backend: the netdev
 *
 * Turns options into a configuration, opens program and queues, follows what
 * happens to the interface, and takes everything down again. What the netdev
 * is made of stands in net/af-xdp-netdev.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "clients.h"
#include "monitor/monitor.h"
#include "net/af-xdp-error.h"
#include "net/af-xdp-netdev.h"
#include "net/af-xdp-options.h"
#include "net/af-xdp-ram.h"
#include "net/af-xdp-threads.h"
#include "net/af-xdp-vhost.h"
#include "net/eth.h"
#include "qapi/error.h"
#include "qemu/ctype.h"
#include "qemu/error-report.h"
#include "qemu/main-loop.h"
#include "trace.h"

QEMU_BUILD_BUG_ON(AF_XDP_MAX_QUEUES != MAX_QUEUE_NUM);

/* Move an error of the core, with its hint, into one of QEMU's. */
static void af_xdp_propagate(Error **errp, GError *gerr)
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

/* Warn of an error of the core that something goes on without. */
static void af_xdp_warn(AfXdpNetdev *dev, GError *gerr, const char *what)
{
    Error *err = NULL;

    af_xdp_propagate(&err, gerr);
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

    if (!dev->mac_filter || dev->gone) {
        return;
    }
    if (peer && peer->info->type == NET_CLIENT_DRIVER_NIC) {
        mac = qemu_get_nic(peer)->conf->macaddr.a;
    }
    str = qemu_mac_strdup_printf(mac);
    trace_af_xdp_mac_filter(dev->name, str);
    if (!ebpf_af_xdp_set_mac(dev->prog, mac, &gerr)) {
        af_xdp_warn(dev, gerr, "the MAC filter does not know its NIC");
    }
}

/* --- The interface changes --- */

/*
 * The guest's end of the link, the NIC's, is ours to set; the netdev's own is
 * left to the user. Not qmp_set_link(): after netdev_del, while the NIC lives
 * on, another netdev may have the name.
 */
static void af_xdp_set_link(AfXdpNetdev *dev, bool up)
{
    NetClientState *peer = dev->queues[0]->nc.peer;
    bool nic = peer && peer->info->type == NET_CLIENT_DRIVER_NIC;

    dev->link_lowered = !up;
    if (nic && qemu_get_nic(peer)->peer_deleted) {
        return;
    }
    for (uint32_t i = 0; i < dev->n_queues; i++) {
        NetClientState *nc = &dev->queues[i]->nc;

        if (nic) {
            nc->peer->link_down = !up;
        }
        /* Lowered when there was no NIC, it is raised when there is one. */
        if (!nic || up) {
            nc->link_down = !up;
        }
    }
    if (peer && peer->info->link_status_changed) {
        peer->info->link_status_changed(peer);
    }
}

/* Whatever we did to the link is the user's now. */
void af_xdp_netdev_link_set(AfXdpNetdev *dev)
{
    dev->link_lowered = false;
}

void af_xdp_netdev_check_link(AfXdpNetdev *dev)
{
    NetClientState *peer = dev->queues[0]->nc.peer;

    if (dev->link_lowered && peer && !peer->link_down) {
        af_xdp_set_link(dev, false);
    }
}

/* A NIC has come while the interface is down. */
static void af_xdp_tell_nic(void *opaque)
{
    AfXdpNetdev *dev = opaque;

    if (dev->link_lowered && dev->queues[0]->nc.peer) {
        af_xdp_set_link(dev, false);
    }
}

static void af_xdp_device_gone(AfXdpNetdev *dev, bool moved)
{
    dev->gone = true;
    af_xdp_set_link(dev, false);
    for (uint32_t i = 0; i < dev->n_queues; i++) {
        af_xdp_queue_halt(dev->queues[i]);
    }
    warn_report("af-xdp '%s': interface '%s' was %s; the guest's link is "
                "down until the netdev is created anew", dev->name,
                dev->ifname, moved ? "moved to another network namespace"
                                   : "deleted");
}

static void af_xdp_device_new_mtu(AfXdpNetdev *dev, uint32_t mtu)
{
    bool again = af_xdp_ram_new_mtu(dev, mtu);
    GError *gerr = NULL;

    for (uint32_t i = 0; again && i < dev->n_queues; i++) {
        af_xdp_vhost_restart(dev->queues[i]);
    }
    for (uint32_t i = 0; i < dev->n_queues; i++) {
        AfXdpState *s = dev->queues[i];

        if (!af_xdp_socket_check_mtu(dev->ifname, s->queue,
                                     mtu + AF_XDP_FRAME_OVERHEAD,
                                     af_xdp_copy_socket(s->copy)->rx_room,
                                     af_xdp_queue_multi_buffer(s), &gerr)) {
            af_xdp_warn(dev, gerr, "longer frames are lost");
            return;
        }
    }
}

static void af_xdp_device_down(AfXdpNetdev *dev)
{
    NetClientState *nc = &dev->queues[0]->nc;

    dev->down = true;
    if (nc->link_down || (nc->peer && nc->peer->link_down)) {
        /* By the user, who will raise it again. */
        return;
    }
    warn_report("af-xdp '%s': interface '%s' is down, and with it the "
                "guest's link", dev->name, dev->ifname);
    af_xdp_set_link(dev, false);
}

static void af_xdp_device_up(AfXdpNetdev *dev)
{
    dev->down = false;
    if (dev->link_lowered) {
        warn_report("af-xdp '%s': interface '%s' is up again", dev->name,
                    dev->ifname);
        af_xdp_set_link(dev, true);
    }
    for (uint32_t i = 0; i < dev->n_queues; i++) {
        af_xdp_queue_send(dev->queues[i]);
    }
}

static void af_xdp_device_event(void *opaque)
{
    AfXdpNetdev *dev = opaque;
    AfXdpDeviceEvent event;

    if (!af_xdp_device_watch_read(dev->watch, &event)) {
        return;
    }
    trace_af_xdp_device_event(dev->name, dev->ifname, event.changes, event.up);

    if (event.changes & AF_XDP_DEVICE_GONE) {
        qemu_set_fd_handler(af_xdp_device_watch_fd(dev->watch),
                            NULL, NULL, NULL);
        af_xdp_device_gone(dev, event.moved);
        return;
    }
    if (event.changes & AF_XDP_DEVICE_RENAMED) {
        g_free(dev->ifname);
        dev->ifname = g_strdup(event.name);
    }
    if (event.changes & AF_XDP_DEVICE_MTU) {
        af_xdp_device_new_mtu(dev, event.mtu);
    }
    if (!event.up && !dev->down) {
        af_xdp_device_down(dev);
    } else if (event.up && (event.changes & AF_XDP_DEVICE_UP)) {
        /* Even if it was down so briefly that nobody noticed. */
        af_xdp_device_up(dev);
    }
}

/* --- Beginning and end --- */

void af_xdp_netdev_free(AfXdpNetdev *dev)
{
    GError *gerr = NULL;

    if (dev->link_bh) {
        qemu_bh_delete(dev->link_bh);
    }
    if (dev->watch) {
        qemu_set_fd_handler(af_xdp_device_watch_fd(dev->watch),
                            NULL, NULL, NULL);
        af_xdp_device_watch_free(dev->watch);
    }
    if (!ebpf_af_xdp_detach(dev->prog, &gerr)) {
        af_xdp_warn(dev, gerr, "the XDP program stays");
    }
    af_xdp_threads_free(dev);
    af_xdp_ram_free(dev);
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

/* What is allowed, and yet most likely not meant. */
static void af_xdp_warn_of_loss(AfXdpNetdev *dev, const AfXdpOptions *opts,
                                const AfXdpDevice *info)
{
    /* A netkit's program is on the NIC that lends it queues. */
    if (opts->inhibit && !info->xdp_prog_id && !info->is_netkit) {
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

/*
 * Attach our program, or open the map of another one. With sock-fds there is
 * nothing to do.
 */
static bool af_xdp_start_program(AfXdpNetdev *dev, const AfXdpOptions *opts,
                                 const AfXdpDevice *info, GError **gerrp)
{
    EbpfAfXdpConfig config = {
        .ifname = info->name,
        .ifindex = info->ifindex,
        .dev_queues = info->rx_queues,
        .queue_start = opts->queue_start,
        .queues = opts->queues,
        .mode = opts->mode == AF_XDP_MODE_NATIVE ? EBPF_AF_XDP_MODE_NATIVE :
                opts->mode == AF_XDP_MODE_SKB ? EBPF_AF_XDP_MODE_SKB :
                                                EBPF_AF_XDP_MODE_AUTO,
        .mac_filter = opts->mac_filter,
    };

    af_xdp_warn_of_loss(dev, opts, info);
    if (opts->sock_fds) {
        return true;
    }
    if (opts->map_path) {
        dev->prog = ebpf_af_xdp_use_map(opts->map_path, opts->map_start_index,
                                        opts->queues, gerrp);
    } else {
        dev->prog = ebpf_af_xdp_attach(&config, gerrp);
    }
    if (!dev->prog) {
        return false;
    }
    trace_af_xdp_program(dev->name, dev->ifname,
                         ebpf_af_xdp_prog_id(dev->prog));
    if (!af_xdp_socket_check_mtu(info->name, opts->queue_start,
                                 info->mtu + AF_XDP_FRAME_OVERHEAD,
                                 AF_XDP_RX_ROOM,
                                 ebpf_af_xdp_multi_buffer(dev->prog),
                                 gerrp)) {
        return false;
    }
    if (ebpf_af_xdp_fallback_reason(dev->prog)) {
        warn_report("af-xdp '%s': '%s' takes no native XDP program (%s), "
                    "using the slower skb mode", dev->name, info->name,
                    ebpf_af_xdp_fallback_reason(dev->prog));
    }
    return true;
}

/* Open queue @i and put its socket into the program's map. */
static AfXdpCopy *af_xdp_start_queue(AfXdpNetdev *dev,
                                     const AfXdpOptions *opts,
                                     const AfXdpDevice *info, uint32_t i,
                                     Error **errp)
{
    bool skb = dev->prog && !opts->inhibit &&
               ebpf_af_xdp_mode(dev->prog) == EBPF_AF_XDP_MODE_SKB;
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
    /* A driver's zero-copy queue feeds native programs only. */
    copy = af_xdp_copy_new(info->name, opts->queue_start + i, fd,
                           info->mtu + AF_XDP_FRAME_OVERHEAD,
                           !opts->force_copy && !skb, &gerr);
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
        af_xdp_propagate(errp, gerr);
    }
    return copy;
}

/* Everything is open: become visible to the net layer. */
static void af_xdp_publish(AfXdpNetdev *dev, const AfXdpOptions *opts,
                           AfXdpCopy **copies, NetClientState *peer,
                           const char *name)
{
    for (uint32_t i = 0; i < dev->n_queues; i++) {
        AfXdpState *s = af_xdp_queue_new(dev, i, peer, name, copies[i],
                                         opts->queue_start + i);

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
    qemu_set_fd_handler(af_xdp_device_watch_fd(dev->watch),
                        af_xdp_device_event, NULL, dev);
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
        !af_xdp_device_query(opts.ifname, &info, &gerr) ||
        !af_xdp_device_check(&info, opts.queue_start, opts.queues, &gerr)) {
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
    dev->mac_filter = opts.mac_filter;
    dev->link_bh = qemu_bh_new(af_xdp_tell_nic, dev);
    af_xdp_ram_init(dev, &opts, &info);
    if (!af_xdp_threads_init(dev, &opts, errp)) {
        goto fail;
    }
    dev->watch = af_xdp_device_watch_new(info.ifindex, &gerr);
    /* Asked again, so that no change falls between question and watch. */
    if (!dev->watch ||
        !af_xdp_device_query(info.name, &info, &gerr) ||
        !af_xdp_device_check(&info, opts.queue_start, opts.queues, &gerr) ||
        !af_xdp_start_program(dev, &opts, &info, &gerr)) {
        goto fail;
    }

    copies = g_new0(AfXdpCopy *, opts.queues);
    for (i = 0; i < opts.queues; i++) {
        copies[i] = af_xdp_start_queue(dev, &opts, &info, i, errp);
        if (!copies[i]) {
            goto fail_queue;
        }
    }
    af_xdp_publish(dev, &opts, copies, peer, name);
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
        af_xdp_propagate(errp, gerr);
    }
    if (dev) {
        af_xdp_netdev_free(dev);
    }
out:
    af_xdp_options_clear(&opts);
    return ret;
}
