/*
 * AF_XDP network backend: what happens to the interface
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <net/if.h>
#include "net/af-xdp-error.h"
#include "net/af-xdp-events.h"
#include "net/af-xdp-open.h"
#include "net/af-xdp-ram.h"
#include "net/af-xdp-vhost.h"
#include "qapi/error.h"
#include "qapi/qapi-events-net.h"
#include "qemu/error-report.h"
#include "qemu/main-loop.h"
#include "qemu/timer.h"
#include "trace.h"

/*
 * An interface that is gone is looked for after the first time, then after
 * twice as long, up to the last. Longer than a script takes to make it anew,
 * shorter than a guest's connections take to break.
 */
#define RETURN_FIRST_NS (100 * SCALE_MS)
#define RETURN_LAST_NS (1000 * SCALE_MS)

/*
 * One that cannot be used is tried more and more rarely, up to this: to attach
 * a program resets many a NIC. To see whether it is still the same is cheap.
 */
#define FAILED_LAST_NS (8000LL * SCALE_MS)

/*
 * How often to look at the NIC behind a netkit device. In this network
 * namespace no message tells that it is down.
 */
#define NIC_LOOK_NS (500 * SCALE_MS)

/* The same when it takes new sockets to find out. */
#define NIC_TRY_NS (2000LL * SCALE_MS)

struct AfXdpEvents {
    AfXdpDeviceWatch *watch;    /* NULL while the interface is gone */
    QEMUTimer *timer;
    int64_t pause;              /* ns to the next look for its return */
    bool interface_down;
    bool nic_down;              /* the one behind a netkit device */
    bool nic_missing;           /* ... did not answer the last time */
    bool link_lowered;          /* by us, because of one of these */
    QEMUBH *link_bh;            /* tells a NIC that has come meanwhile */
    char *failure;              /* why it cannot be bound again, as told */
    int failed_ifindex;         /* the interface that could not be, or 0 */
    int64_t failed_pause;       /* ns from that attempt to the next */
    int64_t failed_until;       /* when that is, on the timer's clock */
};

static void report(AfXdpNetdev *dev, AfXdpInterfaceStatus status,
                   const char *reason)
{
    qapi_event_send_netdev_af_xdp_status_changed(dev->name, dev->ifname,
                                                 status, reason);
}

/* --- The guest's link --- */

static NetClientState *peer_of(const AfXdpNetdev *dev)
{
    return dev->queues[0]->nc.peer;
}

static bool has_nic(const AfXdpNetdev *dev)
{
    NetClientState *peer = peer_of(dev);

    return peer && peer->info->type == NET_CLIENT_DRIVER_NIC;
}

/* After netdev_del, while the NIC lives on. */
static bool is_deleted(const AfXdpNetdev *dev)
{
    return has_nic(dev) && qemu_get_nic(peer_of(dev))->peer_deleted;
}

/*
 * The guest's end of the link, the NIC's, is ours to set; the netdev's own is
 * left to the user. Not qmp_set_link(): after netdev_del, while the NIC lives
 * on, another netdev may have the name.
 */
static void set_link(AfXdpNetdev *dev, bool up)
{
    NetClientState *peer = peer_of(dev);
    bool nic = has_nic(dev);

    dev->events->link_lowered = !up;
    if (is_deleted(dev)) {
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

/* Lower the link, unless the user has: then he will raise it again. */
static bool lower_link(AfXdpNetdev *dev)
{
    NetClientState *nc = &dev->queues[0]->nc;

    if (!dev->events->link_lowered &&
        (nc->link_down || (nc->peer && nc->peer->link_down))) {
        return false;
    }
    set_link(dev, false);
    return true;
}

static void raise_link(AfXdpNetdev *dev)
{
    if (dev->events->link_lowered) {
        set_link(dev, true);
    }
}

/* Whatever we did to the link is the user's now. */
void af_xdp_events_link_set(AfXdpNetdev *dev)
{
    dev->events->link_lowered = false;
}

void af_xdp_events_vm_runs(AfXdpNetdev *dev)
{
    NetClientState *peer = peer_of(dev);

    if (dev->events->link_lowered && peer && !peer->link_down) {
        set_link(dev, false);
    }
}

static void tell_nic(void *opaque)
{
    AfXdpNetdev *dev = opaque;

    if (dev->events->link_lowered && peer_of(dev)) {
        set_link(dev, false);
    }
}

void af_xdp_events_nic_changed(AfXdpState *s)
{
    AfXdpEvents *e = s->dev->events;

    if (s->nc.peer && (s->dev->down || s->dev->gone) &&
        (e->link_lowered || !s->nc.link_down)) {
        s->nc.peer->link_down = true;
        e->link_lowered = true;
        /* The NIC is not ready to be told yet. */
        qemu_bh_schedule(e->link_bh);
    }
}

static bool vhost_runs(const AfXdpNetdev *dev)
{
    for (uint32_t i = 0; i < dev->n_queues; i++) {
        if (af_xdp_vhost_running(dev->queues[i])) {
            return true;
        }
    }
    return false;
}

/* --- Down and up --- */

static void send_all(AfXdpNetdev *dev)
{
    for (uint32_t i = 0; i < dev->n_queues; i++) {
        af_xdp_queue_send(dev->queues[i]);
    }
}

/* The interface or the NIC behind it went down or came up. */
static void update_down(AfXdpNetdev *dev)
{
    AfXdpEvents *e = dev->events;
    bool down = e->interface_down || e->nic_down;
    const char *what = e->nic_down ? "the NIC behind interface" : "interface";

    if (down == dev->down) {
        return;
    }
    dev->down = down;
    if (down) {
        report(dev, AF_XDP_INTERFACE_STATUS_DOWN, NULL);
        if (lower_link(dev)) {
            warn_report("af-xdp '%s': %s '%s' is down, and with it the "
                        "guest's link", dev->name, what, dev->ifname);
        }
        return;
    }
    g_clear_pointer(&e->failure, g_free);
    report(dev, AF_XDP_INTERFACE_STATUS_UP, NULL);
    if (e->link_lowered) {
        warn_report("af-xdp '%s': interface '%s' is up again", dev->name,
                    dev->ifname);
        raise_link(dev);
    }
    send_all(dev);
}

static void new_mtu(AfXdpNetdev *dev, uint32_t mtu)
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
            af_xdp_netdev_warn(dev, gerr, "longer frames are lost");
            return;
        }
    }
}

/* --- Gone --- */

static void watch_free(AfXdpEvents *e)
{
    if (e->watch) {
        qemu_set_fd_handler(af_xdp_device_watch_fd(e->watch), NULL, NULL,
                            NULL);
        af_xdp_device_watch_free(e->watch);
        e->watch = NULL;
    }
}

static void plan_look(AfXdpEvents *e, int64_t pause)
{
    timer_mod(e->timer, qemu_clock_get_ns(QEMU_CLOCK_REALTIME) + pause);
}

static void forget_failure(AfXdpEvents *e)
{
    g_clear_pointer(&e->failure, g_free);
    e->failed_ifindex = 0;
}

/*
 * The kernel has taken the sockets off the interface, and the interface off
 * what it had of our memory.
 */
static void device_gone(AfXdpNetdev *dev, AfXdpInterfaceStatus status,
                        const char *what)
{
    AfXdpEvents *e = dev->events;
    bool comes_back;

    watch_free(e);
    timer_del(e->timer);
    dev->gone = true;
    dev->down = false;
    e->interface_down = false;
    e->nic_down = false;
    e->nic_missing = false;
    forget_failure(e);
    /* This ends what vhost does with the sockets. */
    lower_link(dev);
    for (uint32_t i = 0; i < dev->n_queues; i++) {
        af_xdp_queue_halt(dev->queues[i]);
    }
    comes_back = !dev->opts.sock_fds && !is_deleted(dev) && !vhost_runs(dev);
    if (comes_back) {
        af_xdp_open_close(dev);
        e->pause = RETURN_FIRST_NS;
        plan_look(e, e->pause);
    }
    warn_report("af-xdp '%s': interface '%s' %s; the guest's link is down "
                "until %s", dev->name, dev->ifname, what,
                comes_back ? "an interface of this name can be used" :
                dev->opts.sock_fds ? "the netdev is created anew, as sockets "
                "given by sock-fds= cannot be bound again" :
                "the netdev is created anew");
    report(dev, status, NULL);
}

/* --- Back --- */

static void device_event(void *opaque);

/* Say why not, but not the same twice. */
static void device_failed(AfXdpNetdev *dev, GError *gerr)
{
    AfXdpEvents *e = dev->events;
    g_autofree char *failure = NULL;
    const char *hint;

    af_xdp_error_split(gerr, &failure, &hint);
    if (g_strcmp0(failure, e->failure) == 0) {
        g_error_free(gerr);
        return;
    }
    g_free(e->failure);
    e->failure = g_steal_pointer(&failure);
    report(dev, AF_XDP_INTERFACE_STATUS_FAILED, e->failure);
    af_xdp_netdev_warn(dev, gerr, "the interface is back, but cannot be used "
                       "yet");
}

/* Bind to the interface again, if there is one that is up. */
static bool bind_again(AfXdpNetdev *dev, GError **errp)
{
    AfXdpEvents *e = dev->events;
    AfXdpDevice info;

    if (!af_xdp_open_check(dev->ifname, &dev->opts, &info, errp)) {
        return false;
    }
    if (vhost_runs(dev)) {
        /* The user has raised the link; the sockets are to be replaced. */
        set_link(dev, false);
    }
    if (vhost_runs(dev)) {
        af_xdp_error_set(errp, EBUSY, NULL,
                         "cannot stop the guest's use of interface '%s'",
                         dev->ifname);
        return false;
    }
    e->watch = af_xdp_device_watch_new(info.ifindex, errp);
    return e->watch &&
           af_xdp_open_check(info.name, &dev->opts, &info, errp) &&
           af_xdp_open_again(dev, &info, errp);
}

static void device_back(AfXdpNetdev *dev)
{
    AfXdpEvents *e = dev->events;

    dev->gone = false;
    forget_failure(e);
    qemu_set_fd_handler(af_xdp_device_watch_fd(e->watch), device_event, NULL,
                        dev);
    af_xdp_netdev_learn_mac(dev);
    for (uint32_t i = 0; i < dev->n_queues; i++) {
        af_xdp_queue_resume(dev->queues[i]);
    }
    warn_report("af-xdp '%s': interface '%s' is back and in use again",
                dev->name, dev->ifname);
    report(dev, AF_XDP_INTERFACE_STATUS_UP, NULL);
    raise_link(dev);
    send_all(dev);
}

/* The interface could not be used: not again at once. */
static void plan_attempt(AfXdpEvents *e, int ifindex)
{
    if (e->failed_ifindex == ifindex) {
        e->failed_pause = MIN(2 * e->failed_pause, FAILED_LAST_NS);
    } else {
        e->failed_ifindex = ifindex;
        e->failed_pause = RETURN_LAST_NS;
    }
    e->failed_until = qemu_clock_get_ns(QEMU_CLOCK_REALTIME) + e->failed_pause;
    e->pause = RETURN_LAST_NS;
    plan_look(e, e->pause);
}

/* Is there an interface that it is time to try? Asks nobody else to wait. */
static bool may_try(AfXdpNetdev *dev, int ifindex)
{
    AfXdpEvents *e = dev->events;

    if (ifindex == e->failed_ifindex) {
        return ifindex &&
               qemu_clock_get_ns(QEMU_CLOCK_REALTIME) >= e->failed_until;
    }
    /* What was wrong was so with another one. */
    forget_failure(e);
    return ifindex;
}

static void look_for_return(AfXdpNetdev *dev)
{
    AfXdpEvents *e = dev->events;
    int ifindex = if_nametoindex(dev->ifname);
    GError *gerr = NULL;

    if (is_deleted(dev)) {
        return;
    }
    if (!may_try(dev, ifindex)) {
        e->pause = MIN(2 * e->pause, RETURN_LAST_NS);
        plan_look(e, e->pause);
        return;
    }
    if (bind_again(dev, &gerr)) {
        trace_af_xdp_device_return(dev->name, dev->ifname, 0);
        device_back(dev);
        if (dev->leased) {
            plan_look(e, NIC_LOOK_NS);
        }
        return;
    }
    trace_af_xdp_device_return(dev->name, dev->ifname, gerr->code);
    watch_free(e);
    if (gerr->code == ENODEV || gerr->code == ENETDOWN) {
        /* Nothing wrong: whoever makes it is not done. */
        g_error_free(gerr);
        e->pause = MIN(2 * e->pause, RETURN_LAST_NS);
        plan_look(e, e->pause);
    } else {
        device_failed(dev, gerr);
        plan_attempt(e, ifindex);
    }
}

/* --- The NIC behind a netkit device --- */

/*
 * Sockets were lost as the NIC was down; with them the guest can go on.
 * Returns false if that is still not so.
 */
static bool nic_reopen(AfXdpNetdev *dev)
{
    GError *gerr = NULL;

    if (vhost_runs(dev)) {
        /* The user has raised the link: not while the queues are in use. */
        return false;
    }
    if (af_xdp_open_missing(dev, &gerr)) {
        return true;
    }
    if (gerr->code == ENETDOWN) {
        g_error_free(gerr);
    } else {
        device_failed(dev, gerr);
    }
    return false;
}

static void look_at_nic(AfXdpNetdev *dev)
{
    AfXdpEvents *e = dev->events;
    bool down = false, unbound = false, waits = false, absent = false;

    for (uint32_t i = 0; i < dev->n_queues; i++) {
        AfXdpSocket *sock = af_xdp_copy_socket(dev->queues[i]->copy);
        int ret;

        if (sock->ifindex == 0) {
            absent = true;
            continue;
        }
        waits |= af_xdp_socket_tx_pending(sock) > 0;
        ret = af_xdp_socket_probe(sock);
        down |= ret == -ENETDOWN;
        unbound |= ret == -ENXIO || ret == -ENODEV;
    }
    /* A driver may answer like this for a moment, too. */
    if (unbound && e->nic_missing) {
        device_gone(dev, AF_XDP_INTERFACE_STATUS_DELETED,
                    "has lost the NIC behind it");
        return;
    }
    e->nic_missing = unbound;
    if (absent && e->nic_down && !down) {
        down = !nic_reopen(dev);
    }
    /* The interface's own state has a message. */
    if (!e->interface_down) {
        e->nic_down = down;
        update_down(dev);
    }
    if (waits && !dev->down) {
        /* It may have waited for a NIC that was down only briefly. */
        send_all(dev);
    }
    plan_look(e, absent && e->nic_down ? NIC_TRY_NS : NIC_LOOK_NS);
}

static void look(void *opaque)
{
    AfXdpNetdev *dev = opaque;

    if (dev->gone) {
        look_for_return(dev);
    } else if (dev->leased) {
        look_at_nic(dev);
    }
}

/* --- Messages --- */

static void device_event(void *opaque)
{
    AfXdpNetdev *dev = opaque;
    AfXdpEvents *e = dev->events;
    AfXdpDeviceEvent event;

    if (!af_xdp_device_watch_read(e->watch, &event)) {
        return;
    }
    trace_af_xdp_device_event(dev->name, dev->ifname, event.changes, event.up);

    if (event.changes & AF_XDP_DEVICE_GONE) {
        device_gone(dev, event.moved ? AF_XDP_INTERFACE_STATUS_MOVED
                                     : AF_XDP_INTERFACE_STATUS_DELETED,
                    event.moved ? "was moved to another network namespace"
                                : "was deleted");
        return;
    }
    if (event.changes & AF_XDP_DEVICE_RENAMED) {
        g_free(dev->ifname);
        dev->ifname = g_strdup(event.name);
    }
    if (event.changes & AF_XDP_DEVICE_MTU) {
        new_mtu(dev, event.mtu);
    }
    e->interface_down = !event.up;
    update_down(dev);
    if (event.up && (event.changes & AF_XDP_DEVICE_UP)) {
        /* Even if it was down so briefly that nobody noticed. */
        send_all(dev);
    }
}

/* --- Beginning and end --- */

bool af_xdp_events_init(AfXdpNetdev *dev, int ifindex, GError **errp)
{
    AfXdpEvents *e = g_new0(AfXdpEvents, 1);

    dev->events = e;
    e->link_bh = qemu_bh_new(tell_nic, dev);
    e->timer = timer_new_ns(QEMU_CLOCK_REALTIME, look, dev);
    e->watch = af_xdp_device_watch_new(ifindex, errp);
    return e->watch;
}

void af_xdp_events_start(AfXdpNetdev *dev)
{
    AfXdpEvents *e = dev->events;

    qemu_set_fd_handler(af_xdp_device_watch_fd(e->watch), device_event, NULL,
                        dev);
    if (dev->leased) {
        plan_look(e, NIC_LOOK_NS);
    }
}

void af_xdp_events_free(AfXdpNetdev *dev)
{
    AfXdpEvents *e = dev->events;

    if (!e) {
        return;
    }
    watch_free(e);
    timer_free(e->timer);
    qemu_bh_delete(e->link_bh);
    g_free(e->failure);
    g_free(e);
    dev->events = NULL;
}

char *af_xdp_events_info(const AfXdpNetdev *dev)
{
    const AfXdpEvents *e = dev->events;
    const char *what = dev->gone ? "interface gone" :
                       e->nic_down ? "NIC down" : "interface down";

    if (!dev->gone && !dev->down) {
        return NULL;
    }
    return e->failure ? g_strdup_printf(",%s (%s)", what, e->failure)
                      : g_strdup_printf(",%s", what);
}
