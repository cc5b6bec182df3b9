/*
 * Benchmark: the native guest driver
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <linux/virtio_ring.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "cpu.h"
#include "frame.h"
#include "guest.h"
#include "qemu.h"
#include "virtio-pci.h"
#include "vring.h"

#define BIT(n) (1ull << (n))
#define HDR sizeof(struct virtio_net_hdr_v1)
/* Above everything that firmware or devices might own below. */
#define ARENA_START (16u << 20)
/*
 * A receive buffer as Linux has it: a full frame with its header, rounded;
 * larger ones for jumbo frames, which then take three.
 */
#define RX_BUFFER 1536u
#define RX_BUFFER_JUMBO 3584u
/* Without mergeable buffers each must hold the longest frame. */
#define RX_BUFFER_WHOLE 9088u
/* Keeps buffers from all starting in the same set of the cache. */
#define CACHE_LINE 64u
#define MAX_QUEUES 16
#define MAX_EVENTFDS 64

typedef struct GuestQueue {
    AxbVq vq;
    unsigned index;             /* of the virtqueue */
    uint64_t notify;            /* register */
    int kick_fd;                /* or -1 */
    uint32_t stride;            /* from buffer to buffer, in bytes */
    uint32_t buf_len;
    uint64_t buf_gpa;
    uint8_t *bufs;
    uint64_t kicks;
    uint16_t *free;             /* tx: slots that may be used */
    unsigned n_free;
    /* rx: a frame of which not all buffers have come back */
    struct iovec iov[AXB_RX_PIECES];
    uint16_t slots[AXB_RX_PIECES];
    unsigned n_iov;
    unsigned expected;
    uint32_t frame_len;
} __attribute__((aligned(128))) GuestQueue;

typedef struct Guest {
    AxbEndpoint ep;
    AxbGuestConfig config;
    AxbQemu *qemu;
    AxbVirtio virtio;
    uint64_t arena;             /* next free guest-physical address */
    uint64_t start_ns;          /* that the device took to start */
    GuestQueue *queues;         /* rx0, tx0, rx1, tx1, ..., control */
} Guest;

static uint64_t arena_alloc(Guest *g, size_t bytes)
{
    uint64_t at = g->arena;

    g->arena = (at + bytes + 4095) & ~4095ull;
    g_assert(g->arena <= AXB_RAM_SIZE);
    return at;
}

static void queue_kick(Guest *g, GuestQueue *q)
{
    uint64_t one = 1;

    q->kicks++;
    if (q->kick_fd >= 0) {
        if (write(q->kick_fd, &one, sizeof(one)) == sizeof(one)) {
            return;
        }
    }
    axb_qtest_write(g->virtio.qtest, q->notify, 2, q->index);
}

static void queue_publish(Guest *g, GuestQueue *q)
{
    if (axb_vq_publish(&q->vq)) {
        queue_kick(g, q);
    }
}

/* --- Receiving --- */

static void rx_offer(GuestQueue *q, uint16_t slot)
{
    AxbSeg seg = {
        .addr = q->buf_gpa + (uint64_t)slot * q->stride,
        .len = q->buf_len,
        .write = true,
    };

    axb_vq_add(&q->vq, slot, &seg, 1);
}

/* Take one buffer; true if it completes a frame. */
static bool rx_take(Guest *g, GuestQueue *q, uint16_t slot, uint32_t len)
{
    uint8_t *buf = q->bufs + (size_t)slot * q->stride;
    uint32_t skip = 0;

    if (!q->n_iov) {
        const struct virtio_net_hdr_v1 *hdr = (void *)buf;

        q->expected = g->config.mergeable ? hdr->num_buffers : 1;
        q->frame_len = 0;
        skip = HDR;
    }
    q->iov[q->n_iov].iov_base = buf + skip;
    q->iov[q->n_iov].iov_len = len - skip;
    q->slots[q->n_iov++] = slot;
    q->frame_len += len - skip;
    return q->n_iov >= q->expected || q->n_iov == AXB_RX_PIECES;
}

static unsigned guest_rx(AxbEndpoint *ep, unsigned queue, unsigned max,
                         AxbRxFn *fn, void *opaque)
{
    Guest *g = axb_container_of(ep, Guest, ep);
    GuestQueue *q = &g->queues[2 * queue];
    unsigned n = 0;
    uint16_t slot;
    uint32_t len;

    while (n < max && axb_vq_get(&q->vq, &slot, &len)) {
        if (!rx_take(g, q, slot, len)) {
            continue;
        }
        fn(opaque, q->iov, q->n_iov, q->frame_len);
        for (unsigned i = 0; i < q->n_iov; i++) {
            rx_offer(q, q->slots[i]);
        }
        q->n_iov = 0;
        n++;
    }
    if (n) {
        axb_vq_rest(&q->vq);
        queue_publish(g, q);
    }
    return n;
}

/* --- Sending --- */

static void tx_reclaim(GuestQueue *q)
{
    uint16_t slot;
    uint32_t len;
    bool any = false;

    while (axb_vq_get(&q->vq, &slot, &len)) {
        q->free[q->n_free++] = slot;
        any = true;
    }
    if (any) {
        axb_vq_rest(&q->vq);
    }
}

static unsigned guest_tx(AxbEndpoint *ep, unsigned queue, unsigned n,
                         uint64_t seq, uint64_t time)
{
    Guest *g = axb_container_of(ep, Guest, ep);
    GuestQueue *q = &g->queues[2 * queue + 1];
    unsigned done;

    if (q->n_free < n) {
        tx_reclaim(q);
    }
    for (done = 0; done < n && q->n_free; done++) {
        uint16_t slot = q->free[--q->n_free];
        uint64_t gpa = q->buf_gpa + (uint64_t)slot * q->stride;
        uint8_t *frame = q->bufs + (size_t)slot * q->stride + HDR;
        AxbSeg segs[2] = {
            { .addr = gpa, .len = HDR + g->config.len },
        };

        axb_frame_set_word(frame, AXB_OFF_SEQ, seq + done);
        axb_frame_set_word(frame, AXB_OFF_TIME, time);
        if (g->config.indirect) {
            segs[0].len = HDR;
            segs[1].addr = gpa + HDR;
            segs[1].len = g->config.len;
        }
        axb_vq_add(&q->vq, slot, segs, g->config.indirect ? 2 : 1);
    }
    queue_publish(g, q);
    return done;
}

static uint64_t guest_kicks(AxbEndpoint *ep)
{
    Guest *g = axb_container_of(ep, Guest, ep);
    uint64_t sum = 0;

    for (unsigned i = 0; i < 2 * g->config.queues; i++) {
        sum += g->queues[i].kicks;
    }
    return sum;
}

/* --- Setting up --- */

static bool queue_setup(Guest *g, GuestQueue *q, unsigned index,
                        uint16_t limit, uint16_t segs, bool indirect,
                        GError **errp)
{
    AxbVqConfig config = {
        .size = axb_virtio_queue_size(&g->virtio, index),
        .segs = segs,
        .packed = g->config.packed,
        .event_idx = g->config.event_idx,
        .indirect = indirect,
    };
    uint64_t gpa;

    config.size = MIN(config.size, limit);
    if (!config.size) {
        g_set_error(errp, G_FILE_ERROR, G_FILE_ERROR_FAILED,
                    "the device has no queue %u", index);
        return false;
    }
    gpa = arena_alloc(g, axb_vq_bytes(&config));
    axb_vq_init(&q->vq, &config, g->qemu->ram + gpa, gpa);
    q->index = index;
    q->kick_fd = -1;
    q->notify = axb_virtio_queue_enable(&g->virtio, index, config.size,
                                        q->vq.desc_gpa, q->vq.driver_gpa,
                                        q->vq.device_gpa);
    return true;
}

static void queue_buffers(Guest *g, GuestQueue *q, uint32_t len)
{
    unsigned slots = axb_vq_slots(&q->vq.config);

    q->buf_len = len;
    /* An odd number of cache lines, the next but one after the buffer. */
    q->stride = ((len + CACHE_LINE - 1) / CACHE_LINE | 1) * CACHE_LINE +
                2 * CACHE_LINE;
    q->buf_gpa = arena_alloc(g, (size_t)slots * q->stride);
    q->bufs = g->qemu->ram + q->buf_gpa;
}

static bool setup_pair(Guest *g, unsigned pair, GError **errp)
{
    GuestQueue *rx = &g->queues[2 * pair];
    GuestQueue *tx = rx + 1;
    uint32_t rx_len = !g->config.mergeable ? RX_BUFFER_WHOLE :
                      g->config.len > AXB_FRAME_PAGE ? RX_BUFFER_JUMBO :
                                                       RX_BUFFER;

    if (!queue_setup(g, rx, 2 * pair, g->config.ring, 1, false, errp) ||
        !queue_setup(g, tx, 2 * pair + 1, g->config.ring, 1,
                     g->config.indirect, errp)) {
        return false;
    }
    queue_buffers(g, rx, rx_len);
    for (unsigned i = 0; i < axb_vq_slots(&rx->vq.config); i++) {
        rx_offer(rx, i);
    }
    axb_vq_publish(&rx->vq);        /* it kicks itself off at the start */

    queue_buffers(g, tx, HDR + g->config.len);
    tx->free = g_new(uint16_t, axb_vq_slots(&tx->vq.config));
    for (unsigned i = 0; i < axb_vq_slots(&tx->vq.config); i++) {
        axb_frame_fill(tx->bufs + (size_t)i * tx->stride + HDR,
                       g->config.len);
        tx->free[tx->n_free++] = i;
    }
    return true;
}

/* Wait for something that takes QEMU microseconds, 20 ms at most. */
static bool wait_used(GuestQueue *q, uint16_t *slot)
{
    uint64_t end = axb_now() + 20000000;
    uint32_t len;

    do {
        if (axb_vq_get(&q->vq, slot, &len)) {
            return true;
        }
        g_usleep(20);
    } while (axb_now() < end);
    return false;
}

/* Tell the device to use all pairs; it begins with one. */
static bool enable_pairs(Guest *g, GError **errp)
{
    GuestQueue *q = &g->queues[2 * g->config.queues];
    uint64_t gpa = arena_alloc(g, 16);
    uint8_t *mem = g->qemu->ram + gpa;
    uint16_t pairs = g->config.queues;
    AxbSeg segs[3] = {
        { .addr = gpa, .len = 2 },
        { .addr = gpa + 2, .len = 2 },
        { .addr = gpa + 4, .len = 1, .write = true },
    };
    uint16_t slot;

    mem[0] = VIRTIO_NET_CTRL_MQ;
    mem[1] = VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET;
    memcpy(mem + 2, &pairs, 2);
    mem[4] = VIRTIO_NET_ERR;
    axb_vq_add(&q->vq, 0, segs, 3);
    axb_vq_publish(&q->vq);
    queue_kick(g, q);
    if (!wait_used(q, &slot) || mem[4] != VIRTIO_NET_OK) {
        g_set_error(errp, G_FILE_ERROR, G_FILE_ERROR_FAILED,
                    "the device does not take %u queue pairs", pairs);
        return false;
    }
    return true;
}

/*
 * Which eventfd wakes which queue? Send a frame that nobody counts and try
 * one after the other until it goes. The receive queue's was made right
 * before. A device that sends it unasked is polling, and needs none of them.
 *
 * The newest first: the receive queue's eventfd, too, wakes a thread that
 * then polls all of its queues, and would pass for the other one, until
 * the thread stops polling.
 */
static void find_kick_fds(Guest *g)
{
    int fds[MAX_EVENTFDS], numbers[MAX_EVENTFDS];
    unsigned n = axb_qemu_new_eventfds(g->qemu, fds, numbers, MAX_EVENTFDS);
    bool taken[MAX_EVENTFDS] = { false };

    for (unsigned pair = g->config.queues; pair-- > 0;) {
        GuestQueue *rx = &g->queues[2 * pair];
        GuestQueue *tx = rx + 1;
        uint16_t slot = tx->free[--tx->n_free];
        uint8_t *frame = tx->bufs + (size_t)slot * tx->stride + HDR;
        AxbSeg seg = {
            .addr = tx->buf_gpa + (uint64_t)slot * tx->stride,
            .len = HDR + g->config.len,
        };
        bool gone;

        memset(frame + 12, 0xff, 2);        /* no type that is known */
        axb_vq_add(&tx->vq, slot, &seg, 1);
        axb_vq_publish(&tx->vq);
        gone = wait_used(tx, &slot);
        for (unsigned i = n; i-- > 0 && !gone;) {
            uint64_t one = 1;

            if (taken[i] || write(fds[i], &one, sizeof(one)) != sizeof(one)) {
                continue;
            }
            gone = wait_used(tx, &slot);
            if (gone) {
                tx->kick_fd = dup(fds[i]);
                taken[i] = true;
                if (i > 0 && !taken[i - 1]) {
                    rx->kick_fd = dup(fds[i - 1]);
                    taken[i - 1] = true;
                }
            }
        }
        if (!gone) {
            queue_kick(g, tx);
            wait_used(tx, &slot);
        }
        axb_vq_rest(&tx->vq);
        axb_frame_fill(frame, g->config.len);
        tx->free[tx->n_free++] = slot;
        tx->kicks = rx->kicks = 0;
    }
    for (unsigned i = 0; i < n; i++) {
        close(fds[i]);
    }
}

static bool guest_setup(Guest *g, GError **errp)
{
    const AxbGuestConfig *c = &g->config;
    uint64_t need = BIT(VIRTIO_F_VERSION_1) |
                    (c->packed ? BIT(VIRTIO_F_RING_PACKED) : 0) |
                    (c->mergeable ? BIT(VIRTIO_NET_F_MRG_RXBUF) : 0);
    uint64_t want = need | BIT(VIRTIO_NET_F_MAC) | BIT(VIRTIO_NET_F_STATUS);
    uint64_t start;

    if (c->event_idx) {
        want |= BIT(VIRTIO_RING_F_EVENT_IDX);
    }
    if (c->indirect) {
        need |= BIT(VIRTIO_RING_F_INDIRECT_DESC);
        want |= need;
    }
    if (c->queues > 1) {
        need |= BIT(VIRTIO_NET_F_MQ) | BIT(VIRTIO_NET_F_CTRL_VQ);
        want |= need;
    }
    if (!axb_virtio_find(&g->virtio, g->qemu->qtest, errp) ||
        !axb_virtio_negotiate(&g->virtio, want, need, errp)) {
        return false;
    }
    g->config.event_idx = g->virtio.features & BIT(VIRTIO_RING_F_EVENT_IDX);
    for (unsigned i = 0; i < c->queues; i++) {
        if (!setup_pair(g, i, errp)) {
            return false;
        }
    }
    if (c->queues > 1 &&
        !queue_setup(g, &g->queues[2 * c->queues], 2 * c->queues, 64,
                     AXB_VQ_SEGS, false, errp)) {
        return false;
    }
    axb_qemu_mark_eventfds(g->qemu);
    start = axb_now();
    if (!axb_virtio_start(&g->virtio, errp)) {
        return false;
    }
    g->start_ns = axb_now() - start;
    if (c->queues > 1 && !enable_pairs(g, errp)) {
        return false;
    }
    if (!c->qtest_kicks) {
        find_kick_fds(g);
    }
    for (unsigned i = 0; i < c->queues; i++) {
        /* Whatever was received before there were buffers is let in now. */
        queue_kick(g, &g->queues[2 * i]);
        g->queues[2 * i].kicks = 0;
    }
    return true;
}

static void queues_free(Guest *g)
{
    for (unsigned i = 0; i < 2 * g->config.queues + 1; i++) {
        if (g->queues[i].kick_fd >= 0) {
            close(g->queues[i].kick_fd);
        }
        g_free(g->queues[i].free);
    }
}

static void guest_free(AxbEndpoint *ep)
{
    Guest *g = axb_container_of(ep, Guest, ep);

    if (g->qemu) {
        if (g->virtio.common) {
            axb_virtio_stop(&g->virtio);
        }
        axb_qemu_free(g->qemu);
    }
    axb_process_end(g->config.companion);
    queues_free(g);
    free(g->queues);
    g_free(g);
}

static void queues_init(Guest *g)
{
    unsigned n = 2 * g->config.queues + 1;

    memset(g->queues, 0, n * sizeof(*g->queues));
    for (unsigned i = 0; i < n; i++) {
        g->queues[i].kick_fd = -1;
    }
    g->arena = ARENA_START;
}

AxbEndpoint *axb_guest_new(const AxbGuestConfig *config, GError **errp)
{
    Guest *g = g_new0(Guest, 1);
    unsigned n = 2 * config->queues + 1;
    g_autofree char *device = NULL;

    g_assert(config->queues >= 1 && config->queues <= MAX_QUEUES);
    g->config = *config;
    g->config.ring = config->ring ?: 1024;
    g->queues = aligned_alloc(128, n * sizeof(*g->queues));
    queues_init(g);
    g->ep.rx = guest_rx;
    g->ep.tx = guest_tx;
    g->ep.kicks = guest_kicks;
    g->ep.free = guest_free;

    device = g_strdup_printf("virtio-net-pci,id=nic0,netdev=net0,addr=4,"
                             "mac=" AXB_GUEST_MAC ",romfile=,"
                             "disable-legacy=on,vectors=0,rx_queue_size=%u,"
                             "mq=%s,packed=%s%s%s",
                             g->config.ring,
                             config->queues > 1 ? "on" : "off",
                             config->packed ? "on" : "off",
                             config->device ? "," : "", config->device ?: "");
    g->qemu = axb_qemu_new(config->qemu, config->netdev, device,
                           &config->ram, config->extra, config->cpus,
                           config->n_cpus, errp);
    if (!g->qemu || !guest_setup(g, errp)) {
        guest_free(&g->ep);
        return NULL;
    }
    g->ep.pid = config->companion ?: g->qemu->pid;
    return &g->ep;
}

uint64_t axb_guest_start_ns(const AxbEndpoint *ep)
{
    return axb_container_of(ep, Guest, ep)->start_ns;
}

uint64_t axb_guest_restart(AxbEndpoint *ep, GError **errp)
{
    Guest *g = axb_container_of(ep, Guest, ep);

    axb_virtio_stop(&g->virtio);
    queues_free(g);
    queues_init(g);
    memset(g->qemu->ram + ARENA_START, 0, AXB_RAM_SIZE - ARENA_START);
    return guest_setup(g, errp) ? g->start_ns : 0;
}

void axb_guest_kick_cost(AxbEndpoint *ep, unsigned n, AxbKickCost *cost)
{
    Guest *g = axb_container_of(ep, Guest, ep);
    GuestQueue *q = &g->queues[1];
    int kick_fd = q->kick_fd;

    memset(cost, 0, sizeof(*cost));
    for (unsigned way = 0; way < 2; way++) {
        AxbCpuTime before, after;
        uint64_t spent = 0;

        q->kick_fd = way ? kick_fd : -1;
        if (way && kick_fd < 0) {
            break;
        }
        axb_cpu_time(g->qemu->pid, 0, &before);
        for (unsigned i = 0; i < n; i++) {
            uint64_t start = axb_now();

            queue_kick(g, q);
            spent += axb_now() - start;
            g_usleep(100);
        }
        axb_cpu_time(g->qemu->pid, 0, &after);
        *(way ? &cost->eventfd_ns : &cost->qtest_ns) = (double)spent / n;
        *(way ? &cost->eventfd_cpu_ns : &cost->qtest_cpu_ns) =
            (double)(after.busy_ns - before.busy_ns) / n;
    }
    q->kick_fd = kick_fd;
}
