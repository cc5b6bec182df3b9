/*
 * AF_XDP network backend: a vhost backend inside QEMU
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "hw/virtio/vhost.h"
#include "net/af-xdp.h"
#include "net/af-xdp-ram.h"
#include "net/af-xdp-vhost.h"
#include "net/af-xdp-worker.h"
#include "qapi/error.h"
#include "qemu/error-report.h"
#include "standard-headers/linux/vhost_types.h"
#include "standard-headers/linux/virtio_config.h"
#include "standard-headers/linux/virtio_net.h"
#include "standard-headers/linux/virtio_ring.h"
#include "linux-headers/linux/vhost.h"

/*
 * What virtio-net may offer when we move the packets. Bits that the vhost
 * layer does not ask us about (see vhost_net_get_feature_bits()) are decided
 * by virtio-net alone.
 */
#define FEATURES                                                        \
    ((1ULL << VHOST_F_LOG_ALL) |                                        \
      (1ULL << VIRTIO_F_ANY_LAYOUT) |                                    \
     (1ULL << VIRTIO_F_VERSION_1) |                                     \
     (1ULL << VIRTIO_F_RING_PACKED) |                                   \
     (1ULL << VIRTIO_RING_F_INDIRECT_DESC) |                            \
     (1ULL << VIRTIO_RING_F_EVENT_IDX) |                                \
     (1ULL << VIRTIO_NET_F_MRG_RXBUF) |                                 \
     (1ULL << VIRTIO_NET_F_GUEST_ANNOUNCE) |                            \
     (1ULL << VIRTIO_NET_F_MQ) |                                        \
     (1ULL << VIRTIO_NET_F_MTU))

struct AfXdpVhost {
    AfXdpState *s;
    struct vhost_net *net;
    AfXdpWorker *worker;
    AfXdpWorkerRing ring[AF_XDP_RINGS];
    uint64_t features;          /* as acknowledged, with VHOST_F_LOG_ALL */
    AfXdpRegion *regions;       /* as QEMU has the guest's memory mapped */
    uint32_t n_regions;
    AfXdpMemory *memory;        /* as the rings see it */
    AfXdpLog logs[2];           /* the one in use, and room for the next */
    uint32_t log;               /* which is in use */
    bool enabled;               /* the guest drives this queue pair */
    bool active;                /* its worker moves packets */
};

static AfXdpVhost *dev_vhost(struct vhost_dev *dev)
{
    return dev->opaque;
}

bool af_xdp_vhost_running(const AfXdpState *s)
{
    return s->vhost && af_xdp_worker_running(s->vhost->worker);
}

static bool is_first(const AfXdpVhost *v)
{
    return v->s->nc.queue_index == 0;
}

/*
 * Who receives for queue pairs that the guest does not drive, or NULL at the
 * end, when the first queue goes before the others.
 */
static AfXdpVhost *first(const AfXdpVhost *v)
{
    AfXdpState *s = v->s->dev->queues[0];

    return s ? s->vhost : NULL;
}

static bool first_running(const AfXdpVhost *v)
{
    return first(v) && af_xdp_worker_running(first(v)->worker);
}

/* What is known of the rings is void: they have been unmapped. */
static void forget_rings(AfXdpVhost *v)
{
    for (int i = 0; i < AF_XDP_RINGS; i++) {
        v->ring[i].ready = false;
    }
}

static const AfXdpLog *current_log(AfXdpVhost *v)
{
    const AfXdpLog *log = &v->logs[v->log];

    return (v->features & (1ULL << VHOST_F_LOG_ALL)) && log->words ? log
                                                                   : NULL;
}

/*
 * Let a running worker move packets, or hold still. Buffers of the guest are
 * with the kernel only in between.
 */
static void set_active(AfXdpVhost *v, bool active)
{
    bool call = false;

    if (v->active == active) {
        return;
    }
    v->active = active;
    if (active) {
        af_xdp_ram_begin(v->s, af_xdp_worker_datapath(v->worker),
                         v->ring[AF_XDP_RX].config.num);
        af_xdp_worker_set_active(v->worker, true);
        return;
    }
    af_xdp_worker_set_active(v->worker, false);
    af_xdp_ram_end(v->s, af_xdp_worker_datapath(v->worker), &call);
    if (call) {
        af_xdp_worker_notify(v->worker);
    }
}

/*
 * Decide who receives what arrives for queue pair @v: its own worker if the
 * guest drives it, else the first one's. The first one is always driven.
 */
static void assign(AfXdpVhost *v, bool was_lent)
{
    AfXdpVhost *f = first(v);
    bool own = af_xdp_worker_running(v->worker) && v->enabled;

    if (is_first(v) || !first_running(v)) {
        return;
    }
    if (own) {
        af_xdp_worker_take_back(f->worker, v->s->copy);
        set_active(v, true);
    } else if (!was_lent) {
        if (af_xdp_worker_running(v->worker)) {
            set_active(v, false);
        }
        af_xdp_worker_lend(f->worker, v->s->copy);
    }
}

/* --- VhostOps --- */

static int vhost_af_xdp_init(struct vhost_dev *dev, void *opaque, Error **errp)
{
    dev->opaque = opaque;
    return 0;
}

static int vhost_af_xdp_cleanup(struct vhost_dev *dev)
{
    dev->opaque = NULL;
    return 0;
}

static int vhost_af_xdp_memslots_limit(struct vhost_dev *dev)
{
    return INT_MAX;
}

static int vhost_af_xdp_set_owner(struct vhost_dev *dev)
{
    return 0;
}

static int vhost_af_xdp_get_features(struct vhost_dev *dev, uint64_t *features)
{
    *features = FEATURES;
    return 0;
}

static int vhost_af_xdp_set_features(struct vhost_dev *dev, uint64_t features)
{
    AfXdpVhost *v = dev_vhost(dev);

    v->features = features;
    if (af_xdp_worker_running(v->worker)) {
        af_xdp_worker_set_log(v->worker, current_log(v));
    } else {
        /* A start begins with this: no ring is known yet. */
        forget_rings(v);
    }
    return 0;
}

/* Make the rings' table of @v->regions; the old one ends. */
static int update_memory(AfXdpVhost *v)
{
    AfXdpMemory *old = v->memory;
    GError *gerr = NULL;
    int ret = 0;

    v->memory = af_xdp_ram_table(v->s->dev, v->regions, v->n_regions, &gerr);
    if (!v->memory) {
        error_report("af-xdp '%s': %s", v->s->dev->name, gerr->message);
        g_error_free(gerr);
        /* The old one is void all the same: from now on there is nothing. */
        v->memory = af_xdp_memory_new(NULL, 0, NULL);
        ret = -EINVAL;
    }
    if (af_xdp_worker_running(v->worker)) {
        af_xdp_worker_set_memory(v->worker, v->memory);
    }
    /* Nobody uses the old one any more: its sections may go. */
    af_xdp_memory_free(old);
    return ret;
}

static int vhost_af_xdp_set_mem_table(struct vhost_dev *dev,
                                      struct vhost_memory *mem)
{
    AfXdpVhost *v = dev_vhost(dev);

    g_free(v->regions);
    v->regions = g_new(AfXdpRegion, mem->nregions);
    v->n_regions = mem->nregions;
    for (uint32_t i = 0; i < mem->nregions; i++) {
        v->regions[i] = (AfXdpRegion) {
            .gpa = mem->regions[i].guest_phys_addr,
            .size = mem->regions[i].memory_size,
            .host = (void *)(uintptr_t)mem->regions[i].userspace_addr,
        };
    }
    return update_memory(v);
}

static int vhost_af_xdp_set_log_base(struct vhost_dev *dev, uint64_t base,
                                     struct vhost_log *log)
{
    AfXdpVhost *v = dev_vhost(dev);

    /*
     * The worker goes from one log to the other in one step: what it writes
     * meanwhile must be in one of the two.
     */
    v->log = !v->log;
    v->logs[v->log].words = base ? (unsigned long *)log->log : NULL;
    v->logs[v->log].n_words = base ? log->size : 0;
    if (af_xdp_worker_running(v->worker)) {
        af_xdp_worker_set_log(v->worker, current_log(v));
    }
    return 0;
}

static int vhost_af_xdp_set_vring_num(struct vhost_dev *dev,
                                      struct vhost_vring_state *state)
{
    AfXdpWorkerRing *ring = &dev_vhost(dev)->ring[state->index];

    ring->config.num = state->num;
    return 0;
}

static int vhost_af_xdp_set_vring_base(struct vhost_dev *dev,
                                       struct vhost_vring_state *state)
{
    AfXdpWorkerRing *ring = &dev_vhost(dev)->ring[state->index];

    ring->config.base = state->num;
    return 0;
}

static int vhost_af_xdp_get_vring_base(struct vhost_dev *dev,
                                       struct vhost_vring_state *state)
{
    AfXdpVhost *v = dev_vhost(dev);

    if (af_xdp_worker_running(v->worker)) {
        state->num = af_xdp_worker_base(v->worker, state->index);
    } else {
        /* The ring ends, maybe without having begun: another one failed. */
        state->num = v->ring[state->index].config.base;
        v->ring[state->index].ready = false;
    }
    return 0;
}

static int vhost_af_xdp_set_vring_addr(struct vhost_dev *dev,
                                       struct vhost_vring_addr *addr)
{
    AfXdpWorkerRing *ring = &dev_vhost(dev)->ring[addr->index];

    ring->config.desc = (void *)(uintptr_t)addr->desc_user_addr;
    ring->config.driver = (void *)(uintptr_t)addr->avail_user_addr;
    ring->config.device = (void *)(uintptr_t)addr->used_user_addr;
    ring->config.device_gpa = addr->log_guest_addr;
    ring->ready = true;
    return 0;
}

/* Rings are little-endian here: virtio-net serves a legacy other one. */
static int vhost_af_xdp_set_vring_endian(struct vhost_dev *dev,
                                         struct vhost_vring_state *state)
{
    return state->num ? -ENOTSUP : 0;
}

static int vhost_af_xdp_set_vring_kick(struct vhost_dev *dev,
                                       struct vhost_vring_file *file)
{
    AfXdpVhost *v = dev_vhost(dev);

    v->ring[file->index].kick = file->fd;
    if (af_xdp_worker_running(v->worker)) {
        af_xdp_worker_set_kick(v->worker, file->index, file->fd);
    }
    return 0;
}

static int vhost_af_xdp_set_vring_call(struct vhost_dev *dev,
                                       struct vhost_vring_file *file)
{
    AfXdpVhost *v = dev_vhost(dev);

    v->ring[file->index].call = file->fd;
    if (af_xdp_worker_running(v->worker)) {
        af_xdp_worker_set_call(v->worker, file->index, file->fd);
    }
    return 0;
}

static int vhost_af_xdp_get_vq_index(struct vhost_dev *dev, int idx)
{
    return idx - dev->vq_index;
}

static int vhost_af_xdp_set_vring_enable(struct vhost_dev *dev, int enable)
{
    AfXdpVhost *v = dev_vhost(dev);

    if (v->enabled != enable) {
        bool was_lent = !v->enabled;

        v->enabled = enable;
        assign(v, was_lent);
    }
    return 0;
}

static void vhost_stop(AfXdpVhost *v)
{
    AfXdpNetdev *dev = v->s->dev;
    uint32_t base[AF_XDP_RINGS];

    if (!af_xdp_worker_running(v->worker)) {
        return;
    }
    set_active(v, false);
    af_xdp_worker_stop(v->worker, base);
    for (int i = 0; i < AF_XDP_RINGS; i++) {
        v->ring[i].config.base = base[i];
    }
    forget_rings(v);
    af_xdp_queue_lend(v->s, false);
    if (is_first(v)) {
        for (uint32_t i = 1; i < dev->n_queues; i++) {
            AfXdpVhost *other = dev->queues[i]->vhost;

            if (!af_xdp_worker_running(other->worker)) {
                af_xdp_queue_lend(other->s, false);
            }
        }
    }
}

/* Give back the sockets of queues that nobody drives. */
static void unlend_idle(AfXdpNetdev *dev)
{
    for (uint32_t i = 0; i < dev->n_queues; i++) {
        AfXdpVhost *v = dev->queues[i]->vhost;

        if (!af_xdp_worker_running(v->worker)) {
            af_xdp_queue_lend(v->s, false);
        }
    }
}

/*
 * The first queue pair begins: let all of them have memory that fits. Queue
 * pairs that run already keep what they have.
 */
static void prepare_memory(AfXdpVhost *v)
{
    AfXdpNetdev *dev = v->s->dev;

    for (uint32_t i = 1; i < dev->n_queues; i++) {
        if (af_xdp_worker_running(dev->queues[i]->vhost->worker)) {
            return;
        }
    }
    /* Their sockets change: nobody may be waiting for one. */
    for (uint32_t i = 0; i < dev->n_queues; i++) {
        af_xdp_queue_lend(dev->queues[i], true);
    }
    af_xdp_ram_prepare(dev, v->regions, v->n_regions,
                       v->features & (1ULL << VIRTIO_NET_F_MRG_RXBUF));
}

/*
 * Where packed rings are for the log; of split ones nothing is written there.
 * Their addresses are QEMU's, not the window's.
 */
static void find_descs(AfXdpVhost *v)
{
    AfXdpMemory *plain = af_xdp_memory_new(v->regions, v->n_regions, NULL);

    for (int i = 0; i < AF_XDP_RINGS; i++) {
        AfXdpVringConfig *config = &v->ring[i].config;

        if (!plain || !v->ring[i].ready ||
            !af_xdp_memory_find_host(plain, config->desc,
                                     config->num * sizeof(struct vring_desc),
                                     &config->desc_gpa)) {
            config->desc_gpa = 0;
        }
    }
    af_xdp_memory_free(plain);
}

static int vhost_start(AfXdpVhost *v)
{
    AfXdpNetdev *dev = v->s->dev;
    GError *gerr = NULL;

    /* virtio-net may have forgotten to, when a guest gave up MQ. */
    vhost_stop(v);

    if (is_first(v)) {
        prepare_memory(v);
    }
    /* The window may be another one than when the table was made. */
    update_memory(v);
    for (int i = 0; i < AF_XDP_RINGS; i++) {
        AfXdpVringConfig *config = &v->ring[i].config;

        config->features = v->features;
        config->writable = i == AF_XDP_RX;
        config->memory = v->memory;
        config->log = current_log(v);
    }
    find_descs(v);

    /* The socket changes hands, see af_xdp_update_handlers(). */
    af_xdp_queue_lend(v->s, true);
    if (!is_first(v) && first(v)) {
        af_xdp_worker_take_back(first(v)->worker, v->s->copy);
    }
    af_xdp_worker_set_active(v->worker, false);
    if (!af_xdp_worker_start(v->worker, v->ring, v->features, &gerr)) {
        error_report("af-xdp '%s': %s", dev->name, gerr->message);
        g_error_free(gerr);
        forget_rings(v);
        if (is_first(v)) {
            unlend_idle(dev);
        } else {
            af_xdp_queue_lend(v->s, false);
        }
        return -EINVAL;
    }
    set_active(v, is_first(v) || v->enabled || !first_running(v));
    if (!is_first(v)) {
        assign(v, false);
        return 0;
    }
    for (uint32_t i = 1; i < dev->n_queues; i++) {
        AfXdpVhost *other = dev->queues[i]->vhost;

        if (!af_xdp_worker_running(other->worker)) {
            af_xdp_queue_lend(other->s, true);
            assign(other, false);
        }
    }
    return 0;
}

static int vhost_af_xdp_dev_start(struct vhost_dev *dev, bool started)
{
    AfXdpVhost *v = dev_vhost(dev);

    if (started) {
        if (!(v->features & (1ULL << VIRTIO_F_VERSION_1)) &&
            dev->vdev->device_endian == VIRTIO_DEVICE_ENDIAN_BIG) {
            forget_rings(v);
            return -ENOTSUP;
        }
        return vhost_start(v);
    }
    vhost_stop(v);
    return 0;
}

const VhostOps af_xdp_ops = {
    .backend_type = VHOST_BACKEND_TYPE_AF_XDP,
    .vhost_backend_init = vhost_af_xdp_init,
    .vhost_backend_cleanup = vhost_af_xdp_cleanup,
    .vhost_backend_memslots_limit = vhost_af_xdp_memslots_limit,
    .vhost_set_owner = vhost_af_xdp_set_owner,
    .vhost_get_features = vhost_af_xdp_get_features,
    .vhost_set_features = vhost_af_xdp_set_features,
    .vhost_set_mem_table = vhost_af_xdp_set_mem_table,
    .vhost_set_log_base = vhost_af_xdp_set_log_base,
    .vhost_set_vring_num = vhost_af_xdp_set_vring_num,
    .vhost_set_vring_base = vhost_af_xdp_set_vring_base,
    .vhost_get_vring_base = vhost_af_xdp_get_vring_base,
    .vhost_set_vring_addr = vhost_af_xdp_set_vring_addr,
    .vhost_set_vring_endian = vhost_af_xdp_set_vring_endian,
    .vhost_set_vring_kick = vhost_af_xdp_set_vring_kick,
    .vhost_set_vring_call = vhost_af_xdp_set_vring_call,
    .vhost_set_vring_enable = vhost_af_xdp_set_vring_enable,
    .vhost_get_vq_index = vhost_af_xdp_get_vq_index,
    .vhost_dev_start = vhost_af_xdp_dev_start,
};

/* --- For the netdev --- */

bool af_xdp_vhost_new(AfXdpState *s, AioContext *ctx)
{
    AfXdpVhost *v = g_new0(AfXdpVhost, 1);
    VhostNetOptions options = {
        .backend_type = VHOST_BACKEND_TYPE_AF_XDP,
        .net_backend = &s->nc,
        .nvqs = AF_XDP_RINGS,
        .opaque = v,
    };

    v->s = s;
    v->worker = af_xdp_worker_new(ctx, s->copy, s->dev->name);
    v->ring[AF_XDP_RX].kick = v->ring[AF_XDP_RX].call = -1;
    v->ring[AF_XDP_TX].kick = v->ring[AF_XDP_TX].call = -1;
    s->vhost = v;
    v->net = vhost_net_init(&options);
    if (!v->net) {
        af_xdp_worker_free(v->worker);
        g_free(v);
        s->vhost = NULL;
        return false;
    }
    return true;
}

void af_xdp_vhost_free(AfXdpState *s)
{
    AfXdpVhost *v = s->vhost;

    if (!v) {
        return;
    }
    vhost_stop(v);
    vhost_net_cleanup(v->net);
    g_free(v->net);
    af_xdp_worker_free(v->worker);
    af_xdp_memory_free(v->memory);
    g_free(v->regions);
    g_free(v);
    s->vhost = NULL;
}

void af_xdp_vhost_call(AfXdpState *s, void (*func)(void *), void *opaque)
{
    AfXdpVhost *v = s->vhost;

    if (v && af_xdp_worker_running(v->worker) &&
        (v->enabled || is_first(v) || !first_running(v))) {
        af_xdp_worker_call(v->worker, func, opaque);
    } else if (v && first_running(v)) {
        af_xdp_worker_call(first(v)->worker, func, opaque);
    } else {
        func(opaque);
    }
}

AfXdpDatapath *af_xdp_vhost_datapath(AfXdpState *s)
{
    return af_xdp_vhost_running(s) ? af_xdp_worker_datapath(s->vhost->worker)
                                   : NULL;
}

void af_xdp_vhost_restart(AfXdpState *s)
{
    AfXdpVhost *v = s->vhost;

    if (v && af_xdp_worker_running(v->worker) && v->active) {
        set_active(v, false);
        set_active(v, true);
    }
}

void af_xdp_vhost_tx(AfXdpState *s)
{
    if (af_xdp_vhost_running(s)) {
        af_xdp_worker_tx(s->vhost->worker);
    }
}

VHostNetState *af_xdp_get_vhost_net(NetClientState *nc)
{
    AfXdpState *s = DO_UPCAST(AfXdpState, nc, nc);

    return s->vhost ? s->vhost->net : NULL;
}
