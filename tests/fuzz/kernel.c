/*
 * AF_XDP: fuzzing: the kernel behind one socket
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "net/af-xdp-uapi.h"
#include "kernel.h"

void fuzz_kernel_init(FuzzKernel *k, AfXdpCopy *copy)
{
    k->copy = copy;
    k->fake = af_xdp_fake(af_xdp_copy_socket(copy));
    k->taken = g_array_new(false, false, sizeof(uint64_t));
}

void fuzz_kernel_free(FuzzKernel *k)
{
    g_array_free(k->taken, true);
    af_xdp_copy_free(k->copy);
}

/* Packets that were given to the kernel and are in its rings. */
static uint64_t unsent_in(const struct xsk_ring_prod *tx)
{
    const struct xdp_desc *ring = tx->ring;
    uint64_t n = 0;

    for (uint32_t i = *tx->consumer; i != *tx->producer; i++) {
        n += !(ring[i & tx->mask].options & XDP_PKT_CONTD);
    }
    return n;
}

static uint64_t unsent(const FuzzKernel *k)
{
    const AfXdpSocket *s = &k->fake->sock;

    return unsent_in(&s->tx) + (s->base_fd >= 0 ? unsent_in(&s->base_tx) : 0);
}

/* Packets that were looked at; those of a broken ring may be nobody's. */
static uint64_t received(const FuzzKernel *k)
{
    const AfXdpCopyStats *stats = af_xdp_copy_stats(k->copy);

    return stats->rx_packets + stats->rx_malformed;
}

void fuzz_kernel_closed(FuzzKernel *k)
{
    const AfXdpCopyStats *stats = af_xdp_copy_stats(k->copy);
    uint64_t sent = k->fake->tx_packets + unsent(k) + k->unsent;

    k->arrived = received(k) + fuzz_kernel_packets(k);
    g_assert(k->lied || sent <= stats->tx_packets);
    k->unsent += stats->tx_packets - sent;
}

void fuzz_kernel_moved(FuzzKernel *k, uint64_t base)
{
    const AfXdpCopyStats *stats = af_xdp_copy_stats(k->copy);

    k->fake = af_xdp_fake(af_xdp_copy_socket(k->copy));
    k->base = base;
    g_array_set_size(k->taken, 0);
    k->arrived = received(k);
    k->unsent = stats->tx_packets;
}

/* --- Reception --- */

/* The two rx rings, or one and NULL. */
static void rx_rings(const FuzzKernel *k, const struct xsk_ring_cons *rings[2])
{
    const AfXdpSocket *s = &k->fake->sock;

    rings[0] = &s->rx;
    rings[1] = s->base_fd >= 0 ? &s->base_rx : NULL;
}

static uint32_t used(const struct xsk_ring_cons *rx)
{
    return *rx->producer - *rx->consumer;
}

uint32_t fuzz_kernel_waiting(const FuzzKernel *k)
{
    const struct xsk_ring_cons *rings[2];

    rx_rings(k, rings);
    return used(rings[0]) + (rings[1] ? used(rings[1]) : 0);
}

uint32_t fuzz_kernel_packets(const FuzzKernel *k)
{
    const struct xsk_ring_cons *rings[2];
    uint32_t n = 0;

    rx_rings(k, rings);
    for (int r = 0; r < 2 && rings[r]; r++) {
        for (uint32_t i = *rings[r]->consumer; i != *rings[r]->producer; i++) {
            n += !(xsk_ring_cons__rx_desc(rings[r], i)->options &
                   XDP_PKT_CONTD);
        }
    }
    return n;
}

/*
 * Descriptors that find room in every rx ring beside what was taken: the rings
 * of the product are as large as all buffers together.
 */
static uint32_t room(const FuzzKernel *k)
{
    const struct xsk_ring_cons *rings[2];
    uint32_t n;

    rx_rings(k, rings);
    n = rings[0]->size - used(rings[0]);
    if (rings[1]) {
        n = MIN(n, rings[1]->size - used(rings[1]));
    }
    return n - MIN(n, k->taken->len);
}

static bool no_frame(const FuzzKernel *k, uint64_t addr)
{
    return !af_xdp_umem_has(af_xdp_copy_umem(k->copy), addr);
}

static char *data_of(const FuzzKernel *k, uint64_t addr)
{
    return k->fake->area + af_xdp_addr_posted(addr) + AF_XDP_RX_HEADROOM +
           k->fake->headroom;
}

void fuzz_kernel_take(FuzzKernel *k, uint32_t n)
{
    uint64_t addr;

    for (n = MIN(n, room(k)); n > 0; n--) {
        if (af_xdp_fake_take(k->fake, &addr, 1) == 0) {
            break;
        }
        g_array_append_val(k->taken, addr);
    }
}

/* A packet comes in the first @n that were taken. */
static bool arrive(FuzzKernel *k, const uint8_t *data, uint32_t len,
                   uint32_t piece, uint32_t n)
{
    const uint64_t *addrs = (uint64_t *)k->taken->data;

    if (!af_xdp_fake_taken(k->fake, addrs, data, len, piece)) {
        return false;
    }
    for (uint32_t i = 0; i < n; i++) {
        if (no_frame(k, addrs[i]) && k->wrote) {
            k->wrote(data_of(k, addrs[i]), MIN(len - i * piece, piece));
        }
    }
    g_array_remove_range(k->taken, 0, n);
    k->arrived++;
    return true;
}

void fuzz_kernel_arrive_taken(FuzzKernel *k, uint32_t pieces, bool to_base)
{
    static uint8_t data[FUZZ_PACKET_MAX];
    bool before = k->fake->to_base;

    memset(data, 0x70 + pieces, sizeof(data));
    k->fake->to_base = to_base;
    while (k->taken->len > 0) {
        uint32_t n = MIN(k->taken->len, pieces);
        uint32_t piece = MIN(k->fake->sock.rx_room, 60 + 400 * pieces);

        if (!arrive(k, data, n * piece - n / 2, piece, n)) {
            /* The ring is full of lies. */
            g_assert(k->lied);
            g_array_set_size(k->taken, 0);
        }
    }
    k->fake->to_base = before;
}

void fuzz_kernel_receive(FuzzKernel *k, FuzzInput *in, uint32_t what)
{
    uint32_t len = fuzz_take(in, 2), most = k->fake->sock.rx_room;
    uint32_t pieces = 1 + (what >> 1 & (FUZZ_PIECES - 1));
    uint32_t count = 1 + (what >> 5) * 9, piece, n;
    static uint8_t data[FUZZ_PACKET_MAX];

    if (!k->fake->sock.multi_buffer) {
        pieces = 1;
    }
    len = 1 + len % (pieces * MIN(most, 2000));
    piece = DIV_ROUND_UP(len, pieces);
    n = DIV_ROUND_UP(len, piece);
    memset(data, 0xa0 + what, len);
    while (count-- > 0) {
        if (k->taken->len < n) {
            if (room(k) < n - k->taken->len ||
                af_xdp_fake_in_fill(k->fake) < n - k->taken->len) {
                return;
            }
            fuzz_kernel_take(k, n - k->taken->len);
        }
        /* What is in no UMEM it has thrown away. */
        if (k->taken->len < n || !arrive(k, data, len, piece, n)) {
            return;
        }
    }
}

/* --- Sending, and lies --- */

void fuzz_kernel_kicks(FuzzKernel *k, FuzzInput *in)
{
    static const int results[] = {
        0, -EAGAIN, -EBUSY, -ENOBUFS, -ENETDOWN, -ENXIO, -ENODEV, -EINVAL,
    };
    uint32_t n = 1 + fuzz_take(in, 1) % ARRAY_SIZE(k->kicks);

    for (uint32_t i = 0; i < n; i++) {
        uint32_t what = fuzz_take(in, 1);

        k->kicks[i].result = results[what & 7];
        k->kicks[i].budget = what >> 3;
    }
    k->fake->kicks = k->kicks;
    k->fake->n_kicks = n;
}

void fuzz_kernel_lie(FuzzKernel *k, FuzzInput *in, uint32_t what)
{
    uint64_t addr = (uint64_t)(fuzz_take(in, 2) % 5000) << 12;

    if (what & 2) {
        addr += fuzz_take(in, 4);
    }
    if (what & 4) {
        addr |= UINT64_C(1) << 63 >> (what >> 4);
    }
    k->lied = true;
    if (what & 8) {
        af_xdp_fake_comp(k->fake, addr);
    } else {
        uint32_t len = fuzz_take(in, 2);

        af_xdp_fake_rx(k->fake, addr, what & 4 ? ~len : len,
                       fuzz_take(in, 1) & 1 ? XDP_PKT_CONTD : 0);
    }
}

/* --- Checks --- */

typedef struct Count {
    const FuzzKernel *k;
    uint8_t *seen;              /* by frame */
    uint32_t n;                 /* frames */
    uint32_t others;
} Count;

static void count_addr(Count *c, uint64_t addr)
{
    if (no_frame(c->k, addr)) {
        c->others += addr != AF_XDP_ADDR_MASK;
        return;
    }
    addr = (af_xdp_addr_data(addr) - c->k->base) / AF_XDP_FRAME_SIZE;
    g_assert(c->k->lied || !c->seen[addr]);
    c->seen[addr] = 1;
    c->n++;
}

static void count_tx(Count *c, const struct xsk_ring_prod *tx)
{
    const struct xdp_desc *ring = tx->ring;

    for (uint32_t i = *tx->consumer; i != *tx->producer; i++) {
        count_addr(c, ring[i & tx->mask].addr);
    }
}

static Count count_receive(const FuzzKernel *k, uint8_t *seen)
{
    const struct xsk_ring_prod *fill = &k->fake->sock.fill;
    const uint64_t *ring = fill->ring;
    const struct xsk_ring_cons *rx[2];
    Count c = { k, seen };

    for (uint32_t i = *fill->consumer; i != *fill->producer; i++) {
        count_addr(&c, ring[i & fill->mask]);
    }
    rx_rings(k, rx);
    for (int r = 0; r < 2 && rx[r]; r++) {
        for (uint32_t i = *rx[r]->consumer; i != *rx[r]->producer; i++) {
            count_addr(&c, xsk_ring_cons__rx_desc(rx[r], i)->addr);
        }
    }
    for (uint32_t i = 0; i < k->taken->len; i++) {
        count_addr(&c, g_array_index(k->taken, uint64_t, i));
    }
    return c;
}

static Count count_send(const FuzzKernel *k, uint8_t *seen)
{
    const AfXdpFakeSocket *fake = k->fake;
    const struct xsk_ring_cons *comp = &fake->sock.comp;
    const uint64_t *ring = comp->ring;
    Count c = { k, seen };

    count_tx(&c, &fake->sock.tx);
    if (fake->sock.base_fd >= 0) {
        count_tx(&c, &fake->sock.base_tx);
    }
    for (uint32_t i = 0; i < fake->n_in_flight; i++) {
        count_addr(&c, fake->in_flight[i]);
    }
    for (uint32_t i = 0; i < fake->half.n; i++) {
        count_addr(&c, fake->half.addrs[i]);
    }
    for (uint32_t i = 0; i < fake->base_half.n; i++) {
        count_addr(&c, fake->base_half.addrs[i]);
    }
    for (uint32_t i = *comp->consumer; i != *comp->producer; i++) {
        count_addr(&c, ring[i & comp->mask]);
    }
    return c;
}

uint32_t fuzz_kernel_check(const FuzzKernel *k)
{
    const AfXdpUmem *umem = af_xdp_copy_umem(k->copy);
    const AfXdpCopyStats *stats = af_xdp_copy_stats(k->copy);
    static uint8_t seen[AF_XDP_COPY_FRAMES];
    uint64_t sum = 0;
    Count rx, tx;

    for (int state = 0; state < AF_XDP_FRAME__MAX; state++) {
        sum += af_xdp_umem_count(umem, state);
    }
    g_assert(sum == AF_XDP_COPY_FRAMES);
    /* Between turns no packet is half done. */
    g_assert(af_xdp_umem_count(umem, AF_XDP_FRAME_RECEIVED) == 0);
    g_assert(k->fake->tx_invalid == 0);
    memset(seen, 0, sizeof(seen));
    rx = count_receive(k, seen);
    tx = count_send(k, seen);
    if (k->lied) {
        return 0;
    }
    g_assert(af_xdp_umem_count(umem, AF_XDP_FRAME_FILL) == rx.n);
    g_assert(af_xdp_umem_count(umem, AF_XDP_FRAME_TX) == tx.n);
    g_assert(received(k) + fuzz_kernel_packets(k) == k->arrived);
    /* Nothing that was not sent, and nothing twice. */
    g_assert(k->fake->tx_packets + unsent(k) + k->unsent ==
             stats->tx_packets);
    return rx.others;
}

void fuzz_kernel_outside(const FuzzKernel *k, FuzzOutsideFn *fn)
{
    const AfXdpSocket *s = &k->fake->sock;
    const uint64_t *fill = s->fill.ring;
    const struct xdp_desc *tx = s->tx.ring;

    for (uint32_t i = *s->fill.consumer; i != *s->fill.producer; i++) {
        uint64_t addr = fill[i & s->fill.mask];

        if (no_frame(k, addr) && addr != AF_XDP_ADDR_MASK) {
            fn(data_of(k, addr), s->rx_room, true);
        }
    }
    for (uint32_t i = 0; i < k->taken->len; i++) {
        uint64_t addr = g_array_index(k->taken, uint64_t, i);

        if (no_frame(k, addr)) {
            fn(data_of(k, addr), s->rx_room, true);
        }
    }
    for (uint32_t i = *s->tx.consumer; i != *s->tx.producer; i++) {
        const struct xdp_desc *desc = &tx[i & s->tx.mask];

        if (no_frame(k, desc->addr)) {
            fn(k->fake->area + desc->addr, desc->len, false);
        }
    }
    /* A device reads what it sends until it says that it has. */
    for (uint32_t i = 0; s->zero_copy && i < k->fake->n_in_flight; i++) {
        if (no_frame(k, k->fake->in_flight[i])) {
            fn(k->fake->area + k->fake->in_flight[i], 1, false);
        }
    }
}
