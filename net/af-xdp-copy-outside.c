/*
 * AF_XDP: the copying data path of one queue: buffers of others
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "net/af-xdp-copy-int.h"

/*
 * Entries of the second socket's tx ring that are never used: what the kernel
 * has taken of a packet of which it has not taken the end, and the end of the
 * one before, can be read as long as no others are written over them.
 */
#define TX_SPARE AF_XDP_MAX_TX_SEGS

/* --- Sending --- */

AfXdpTxResult af_xdp_copy_tx_outside(AfXdpCopy *c, const AfXdpSpan *spans,
                                     uint32_t n, uint32_t size)
{
    struct xsk_ring_prod *tx = &c->sock->tx;
    uint32_t idx = 0;

    if (unlikely(xsk_ring_prod__reserve(tx, n, &idx) == 0)) {
        copy_tx_make_room(c);
        if (xsk_ring_prod__reserve(tx, n, &idx) == 0) {
            return AF_XDP_TX_FULL;
        }
    }
    c->stats.tx_packets++;
    c->stats.tx_bytes += size;
    for (uint32_t i = 0; i < n; i++) {
        struct xdp_desc *desc = xsk_ring_prod__tx_desc(tx, idx + i);

        desc->addr = spans[i].addr;
        desc->len = spans[i].len;
        desc->options = i + 1 < n ? XDP_PKT_CONTD : 0;
    }
    c->tx_gathered += n;
    c->tx_queued += n;
    return AF_XDP_TX_QUEUED;
}

uint32_t af_xdp_copy_tx_queued(const AfXdpCopy *c)
{
    return c->tx_queued;
}

uint32_t af_xdp_copy_tx_taken(AfXdpCopy *c)
{
    if (c->sock->zero_copy) {
        /* The device reads it until it says that it has sent it. */
        copy_tx_reap(c);
        return c->tx_completed;
    }
    /* The kernel has copied what it has taken from the ring. */
    return c->tx_queued - c->tx_gathered - af_xdp_socket_tx_pending(c->sock);
}

/* --- Beginning and end --- */

bool af_xdp_copy_is_absent(const AfXdpCopy *c)
{
    return c->sock->ifindex == 0;
}

bool af_xdp_copy_is_outside(const AfXdpCopy *c)
{
    return c->outside;
}

int af_xdp_copy_base_fd(const AfXdpCopy *c)
{
    return c->sock->base_fd >= 0 ? c->sock->base_fd : c->sock->fd;
}

bool af_xdp_copy_outside_begin(AfXdpCopy *c, GError **errp)
{
    AfXdpSocket *s = c->sock;

    /* What was gathered for the first socket is sent by it. */
    af_xdp_copy_tx_flush(c);
    if (!s->zero_copy) {
        if (!af_xdp_socket_open_second(s, errp)) {
            return false;
        }
        c->rx = &s->base_rx;
        /* What libxdp finds free; where entries are is the mask's business. */
        s->tx.size -= TX_SPARE;
        s->tx.cached_cons -= TX_SPARE;
    }
    c->outside = true;
    c->tx_queued = 0;
    c->tx_completed = 0;
    c->tx_pause = false;
    copy_rx_choose(c);
    return true;
}

void af_xdp_copy_outside_cover(AfXdpCopy *c)
{
    struct xsk_ring_prod *fill = &c->sock->fill;
    uint32_t producer, consumer;

    if (c->sock->base_fd < 0) {
        return;
    }
    af_xdp_copy_rx_submit(c);
    consumer = __atomic_load_n(fill->consumer, __ATOMIC_ACQUIRE);
    producer = *fill->producer;
    for (uint32_t i = consumer; i != producer; i++) {
        __u64 *entry = xsk_ring_prod__fill_addr(fill, i);
        uint64_t frame = 0;

        if (af_xdp_umem_has(c->umem, *entry)) {
            continue;
        }
        /*
         * There are enough: with the frames that are posted they make no more
         * than the ring has entries. An address that is none would do, but
         * kernels count it as a buffer, and then find no memory behind it.
         */
        if (af_xdp_umem_take(c->umem, AF_XDP_POOL_RX, &frame, 1) == 0) {
            af_xdp_umem_take(c->umem, AF_XDP_POOL_TX, &frame, 1);
        }
        __atomic_store_n(entry, frame, __ATOMIC_RELEASE);
    }
    c->covered = true;
}

/*
 * Does entry @at of the tx ring go on with the packet of the one before? For
 * what the kernel takes next, and up to TX_SPARE entries before that.
 */
static bool tx_in_packet(AfXdpSocket *s, uint32_t at)
{
    return at != 0 && (xsk_ring_prod__tx_desc(&s->tx, at - 1)->options &
                       XDP_PKT_CONTD);
}

/* Packets that the kernel has not taken: the first socket sends them. */
static void tx_hand_over(AfXdpCopy *c)
{
    AfXdpSocket *s = c->sock;
    uint32_t to, idx = 0, n = 0, at = *s->tx.consumer;
    uint64_t addr;
    bool begun;

    copy_tx_submit(c);
    /*
     * A packet of which it has taken the beginning is lost, and completions
     * of that never come (xsk_drop_skb() in net/xdp/xsk.c).
     */
    begun = tx_in_packet(s, at);
    for (uint32_t i = at; at - i < TX_SPARE && tx_in_packet(s, i); i--) {
        addr = xsk_ring_prod__tx_desc(&s->tx, i - 1)->addr;
        af_xdp_umem_put(c->umem, &addr, 1, AF_XDP_FRAME_TX);
    }
    for (; at != *s->tx.producer; at++) {
        const struct xdp_desc *desc = xsk_ring_prod__tx_desc(&s->tx, at);

        addr = desc->addr;
        if (begun || !af_xdp_umem_has(c->umem, addr)) {
            begun = begun && (desc->options & XDP_PKT_CONTD);
            af_xdp_umem_put(c->umem, &addr, 1, AF_XDP_FRAME_TX);
        } else if (xsk_ring_prod__reserve(&s->base_tx, 1, &to) == 1) {
            *xsk_ring_prod__tx_desc(&s->base_tx, to) = *desc;
            idx = to;
            n++;
        } else {
            af_xdp_umem_put(c->umem, &addr, 1, AF_XDP_FRAME_TX);
        }
    }
    if (n > 0) {
        /* One that found no room to its end ends there. */
        xsk_ring_prod__tx_desc(&s->base_tx, idx)->options = 0;
        xsk_ring_prod__submit(&s->base_tx, n);
    }
}

void af_xdp_copy_outside_close(AfXdpCopy *c)
{
    AfXdpSocket *s = c->sock;

    if (s->base_fd < 0) {
        return;
    }
    tx_hand_over(c);
    if (c->rx == &s->rx) {
        /* What was looked at only is lost with its ring. */
        c->rx_peeked = 0;
        c->rx_seen = 0;
    }
    af_xdp_socket_close_second(s);
    c->rx = &s->rx;
    c->tx_pause = false;
}

/* Add the frames in the first socket's rx ring to @kept. Returns how many. */
static uint32_t rx_frames(const AfXdpCopy *c, uint64_t *kept)
{
    const struct xsk_ring_cons *rx = &c->sock->rx;
    uint32_t n = 0, producer = __atomic_load_n(rx->producer, __ATOMIC_ACQUIRE);

    for (uint32_t i = *rx->consumer; i != producer; i++) {
        uint64_t addr = xsk_ring_cons__rx_desc(rx, i)->addr;

        if (af_xdp_umem_has(c->umem, addr)) {
            kept[n++] = addr;
        }
    }
    return n;
}

/*
 * Frames that are nowhere: the kernel took the buffer that they were to
 * replace, or they were in the ring that is closed. The kernel goes on
 * meanwhile: what it takes from the fill ring appears in the rx ring a moment
 * later. So before anything is said to be lost, that is waited for: closing a
 * second socket is a barrier for all that was taken before.
 */
static void rx_reclaim(AfXdpCopy *c)
{
    const struct xsk_ring_prod *fill = &c->sock->fill;
    g_autofree uint64_t *kept = g_new(uint64_t, 3 * RING_SIZE);
    uint32_t consumer, n = rx_frames(c, kept);

    consumer = __atomic_load_n(fill->consumer, __ATOMIC_ACQUIRE);
    for (uint32_t i = consumer; i != *fill->producer; i++) {
        uint64_t addr = ((uint64_t *)fill->ring)[i & fill->mask];

        if (af_xdp_umem_has(c->umem, addr)) {
            kept[n++] = addr;
        }
    }
    if (n < af_xdp_umem_count(c->umem, AF_XDP_FRAME_FILL) &&
        af_xdp_socket_open_second(c->sock, NULL)) {
        af_xdp_socket_close_second(c->sock);
        n += rx_frames(c, kept + n);
        af_xdp_umem_reclaim(c->umem, kept, n);
    }
}

void af_xdp_copy_outside_end(AfXdpCopy *c)
{
    if (c->covered) {
        rx_reclaim(c);
        c->covered = false;
    }
    c->outside = false;
    copy_rx_refill(c);
    af_xdp_copy_tx_flush(c);
}
