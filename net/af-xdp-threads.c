/*
 * AF_XDP network backend: who moves the packets
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <sys/eventfd.h>
#include "hw/virtio/virtio.h"
#include "net/af-xdp-ram.h"
#include "net/af-xdp-threads.h"
#include "net/af-xdp-vhost.h"
#include "qapi/error.h"
#include "qemu/error-report.h"
#include "qemu/id.h"
#include "standard-headers/linux/virtio_config.h"

/*
 * By default poll about as long as going to sleep and waking up costs: then
 * polling in vain never costs more than twice what sleeping would have.
 */
#define POLL_MAX_NS 1000

struct AfXdpThreads {
    AfXdpVhostMode mode;
    const char *because;        /* the option that wants it, if on */
    IOThread **named;           /* the user's, referenced */
    uint32_t n_named;           /* 0: each queue has one of its own */
    int64_t poll_max_ns;        /* for those */
    int64_t poll_grow;
    int64_t poll_shrink;
    char *why_not;              /* the main loop moves packets, because */
};

/* --- Threads --- */

static IOThread *find_named(const char *id, Error **errp)
{
    ERRP_GUARD();
    Object *obj = object_resolve_path_component(object_get_objects_root(), id);
    IOThread *iothread;

    if (!obj) {
        error_setg(errp, "'iothread=%s': there is no object of that id", id);
        if (id_wellformed(id)) {
            error_append_hint(errp, "-object iothread,id=%s makes one.\n", id);
        }
        return NULL;
    }
    iothread = (IOThread *)object_dynamic_cast(obj, TYPE_IOTHREAD);
    if (!iothread) {
        error_setg(errp, "'iothread=%s': this is a %s, not an iothread", id,
                   object_get_typename(obj));
    }
    return iothread;
}

/*
 * As iothread_create(), with properties: once the thread runs it reads them
 * without a lock.
 */
static IOThread *make_thread(const AfXdpThreads *t, const char *id,
                             Error **errp)
{
    g_autofree char *max = g_strdup_printf("%" PRId64, t->poll_max_ns);
    g_autofree char *grow = g_strdup_printf("%" PRId64, t->poll_grow);
    g_autofree char *shrink = g_strdup_printf("%" PRId64, t->poll_shrink);
    Object *obj = object_new_with_props(TYPE_IOTHREAD,
                                        object_get_internal_root(), id, errp,
                                        "poll-max-ns", max,
                                        "poll-grow", grow,
                                        "poll-shrink", shrink, NULL);

    return obj ? IOTHREAD(obj) : NULL;
}

/*
 * A netdev that was deleted keeps its threads until its NIC goes; another one
 * may have its name by then.
 */
static char *free_id(const char *netdev, unsigned int queue)
{
    char *id = g_strdup_printf("%s-q%u", netdev, queue);

    for (unsigned int i = 1;
         object_resolve_path_component(object_get_internal_root(), id); i++) {
        g_free(id);
        id = g_strdup_printf("%s-q%u.%u", netdev, queue, i);
    }
    return id;
}

/*
 * GLib ends the process if there is no descriptor for a new thread's context,
 * so there must be enough before it asks: for a thread and a vhost device.
 */
static bool enough_descriptors(Error **errp)
{
    ERRP_GUARD();
    int fds[8], n = 0, err = 0;

    while (n < ARRAY_SIZE(fds) && !err) {
        fds[n] = eventfd(0, EFD_CLOEXEC);
        if (fds[n] < 0) {
            err = errno;
        } else {
            n++;
        }
    }
    while (n > 0) {
        close(fds[--n]);
    }
    if (err) {
        error_setg_errno(errp, err, "no file descriptors for vhost's threads");
        error_append_hint(errp, "'ulimit -n' raises the limit.\n");
    }
    return !err;
}

/* The thread for queue @s, with a reference to it. */
static IOThread *get_thread(AfXdpState *s, Error **errp)
{
    AfXdpThreads *t = s->dev->threads;
    g_autofree char *id = NULL;
    IOThread *iothread;

    if (t->n_named > 0) {
        iothread = t->named[s->nc.queue_index % t->n_named];
        object_ref(OBJECT(iothread));
        return iothread;
    }
    id = free_id(s->dev->name, s->nc.queue_index);
    iothread = make_thread(t, id, errp);
    if (iothread) {
        object_ref(OBJECT(iothread));
    }
    return iothread;
}

static void put_thread(AfXdpState *s)
{
    if (!s->iothread) {
        return;
    }
    if (s->dev->threads->n_named == 0) {
        iothread_destroy(s->iothread);
    }
    object_unref(OBJECT(s->iothread));
    s->iothread = NULL;
}

/* --- Starting --- */

static void stop_all(AfXdpNetdev *dev)
{
    for (uint32_t i = 0; i < dev->n_queues; i++) {
        af_xdp_threads_release(dev->queues[i]);
    }
}

/*
 * Give each queue pair a thread and a vhost device. All have it or none, for
 * the first receives for those that the guest does not drive.
 */
static bool start_all(AfXdpNetdev *dev, Error **errp)
{
    for (uint32_t i = 0; i < dev->n_queues; i++) {
        AfXdpState *s = dev->queues[i];

        s->iothread = enough_descriptors(errp) ? get_thread(s, errp) : NULL;
        if (!s->iothread) {
            stop_all(dev);
            return false;
        }
        if (!af_xdp_vhost_new(s, iothread_get_aio_context(s->iothread))) {
            error_setg(errp, "queue %u gets no vhost device", i);
            stop_all(dev);
            return false;
        }
    }
    return true;
}

bool af_xdp_threads_init(AfXdpNetdev *dev, const AfXdpOptions *opts,
                         Error **errp)
{
    AfXdpThreads *t = g_new0(AfXdpThreads, 1);

    dev->threads = t;
    t->mode = opts->vhost;
    t->because = "vhost=on";
    if (opts->zero_copy == AF_XDP_ZERO_COPY_ON && t->mode != AF_XDP_VHOST_ON) {
        t->mode = AF_XDP_VHOST_ON;
        t->because = "zero-copy=on";
    }
    t->poll_max_ns = opts->poll_max_ns < 0 ? POLL_MAX_NS : opts->poll_max_ns;
    t->poll_grow = MAX(opts->poll_grow, 0);
    t->poll_shrink = MAX(opts->poll_shrink, 0);
    if (opts->iothreads) {
        t->named = g_new0(IOThread *, g_strv_length(opts->iothreads));
        for (uint32_t i = 0; opts->iothreads[i]; i++) {
            IOThread *iothread = find_named(opts->iothreads[i], errp);

            if (!iothread) {
                return false;
            }
            object_ref(OBJECT(iothread));
            t->named[t->n_named++] = iothread;
        }
    }
    if (t->mode == AF_XDP_VHOST_ON && !af_xdp_vhost_available()) {
        error_setg(errp, "'%s' needs a QEMU with vhost-net, this one was "
                   "configured without it", t->because);
        return false;
    }
    return true;
}

bool af_xdp_threads_start(AfXdpNetdev *dev, Error **errp)
{
    if (dev->threads->mode == AF_XDP_VHOST_ON) {
        return start_all(dev, errp);
    }
    /* With -net there is a peer from the beginning. */
    af_xdp_threads_nic_changed(dev);
    return true;
}

void af_xdp_threads_release(AfXdpState *s)
{
    af_xdp_vhost_free(s);
    put_thread(s);
}

void af_xdp_threads_free(AfXdpNetdev *dev)
{
    AfXdpThreads *t = dev->threads;

    if (!t) {
        return;
    }
    while (t->n_named > 0) {
        object_unref(OBJECT(t->named[--t->n_named]));
    }
    g_free(t->named);
    g_free(t->why_not);
    g_free(t);
    dev->threads = NULL;
}

/* --- The NIC --- */

static bool is_virtio_net(const char *model)
{
    return g_str_has_prefix(model, "virtio-net-");
}

/* Why vhost cannot serve the NIC @peer, or NULL if it can. */
static char *refuse(AfXdpNetdev *dev, NetClientState *peer)
{
    for (uint32_t i = 0; i < dev->n_queues; i++) {
        if (!QTAILQ_EMPTY(&dev->queues[i]->nc.filters)) {
            return g_strdup("a filter object is on the netdev");
        }
    }
    if (peer->info->type != NET_CLIENT_DRIVER_NIC) {
        return g_strdup("the netdev is behind a hub");
    }
    if (!is_virtio_net(peer->model)) {
        return g_strdup_printf("the NIC is %s, not virtio-net", peer->model);
    }
    if (virtio_host_has_feature(VIRTIO_DEVICE(qemu_get_nic_opaque(peer)),
                                VIRTIO_F_IOMMU_PLATFORM)) {
        return g_strdup("the NIC has iommu_platform=on");
    }
    if (!af_xdp_vhost_available()) {
        return g_strdup("QEMU was configured without vhost-net");
    }
    return NULL;
}

bool af_xdp_threads_check_nic(NetClientState *nc, ObjectClass *oc,
                              Error **errp)
{
    ERRP_GUARD();
    AfXdpNetdev *dev = DO_UPCAST(AfXdpState, nc, nc)->dev;

    if (dev->threads->mode == AF_XDP_VHOST_ON &&
        !is_virtio_net(object_class_get_name(oc))) {
        error_setg(errp, "netdev '%s' has '%s', which needs a virtio-net "
                   "device", dev->name, dev->threads->because);
        error_append_hint(errp, "With 'auto' or without it the netdev serves "
                          "any network card. -nic takes "
                          "'model=virtio-net-pci'.\n");
        return false;
    }
    return !af_xdp_ram_wanted(dev) || af_xdp_ram_check(dev, errp);
}

void af_xdp_threads_nic_changed(AfXdpNetdev *dev)
{
    AfXdpThreads *t = dev->threads;
    NetClientState *peer = dev->queues[0]->nc.peer;
    Error *err = NULL;

    if (!peer || t->mode == AF_XDP_VHOST_OFF) {
        return;
    }
    g_free(t->why_not);
    t->why_not = refuse(dev, peer);
    if (t->why_not && t->mode == AF_XDP_VHOST_ON) {
        /* QEMU refuses the NIC next, but without a word about the netdev. */
        warn_report("af-xdp '%s': '%s' is not possible: %s; 'auto' leaves "
                    "packets to the main loop then", dev->name, t->because,
                    t->why_not);
        if (peer->info->type != NET_CLIENT_DRIVER_NIC) {
            /* It cannot refuse a hub. */
            stop_all(dev);
        }
        return;
    }
    if (t->why_not) {
        /* A NIC before this one may have been of another kind. */
        stop_all(dev);
    } else if (!dev->queues[0]->vhost && !start_all(dev, &err)) {
        t->why_not = g_strdup(error_get_pretty(err));
        error_free(err);
    }
    if (t->why_not) {
        info_report("af-xdp '%s': no vhost: %s; QEMU's main loop moves its "
                    "packets", dev->name, t->why_not);
    }
}

char *af_xdp_threads_info(AfXdpState *s)
{
    AfXdpThreads *t = s->dev->threads;

    if (af_xdp_vhost_running(s)) {
        return g_strdup("on");
    }
    if (s->vhost) {
        return g_strdup("ready");
    }
    return t->why_not ? g_strdup_printf("off (%s)", t->why_not)
                      : g_strdup("off");
}
