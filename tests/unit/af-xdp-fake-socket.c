/*
 * AF_XDP: a socket without a kernel, for tests of what stands on it
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "net/af-xdp-uapi.h"
#include "af-xdp-fake-socket.h"

static uint32_t rx_limit, tx_limit;
static bool driver_zero_copy;

void af_xdp_fake_driver_zero_copy(bool on)
{
    driver_zero_copy = on;
}

void af_xdp_fake_limit(uint32_t rx_size, uint32_t tx_size)
{
    rx_limit = rx_size;
    tx_limit = tx_size;
}

AfXdpFakeSocket *af_xdp_fake(AfXdpSocket *s)
{
    return container_of(s, AfXdpFakeSocket, sock);
}

/* --- The rings: two indices, flags and entries, each in its own memory --- */

/* Zeroed, and on lines of its own, as the kernel's are. */
static void *lines_new(size_t size)
{
    void *p = aligned_alloc(64, ROUND_UP(size, 64));

    g_assert(p);
    return memset(p, 0, size);
}

static void prod_init(struct xsk_ring_prod *r, uint32_t size, size_t entry)
{
    memset(r, 0, sizeof(*r));
    r->cached_cons = size;
    r->mask = size - 1;
    r->size = size;
    r->producer = lines_new(sizeof(uint32_t));
    r->consumer = lines_new(sizeof(uint32_t));
    r->flags = lines_new(sizeof(uint32_t));
    r->ring = lines_new(size * entry);
    /* In copy mode sending always wants a call. */
    *r->flags = XDP_RING_NEED_WAKEUP;
}

static void cons_init(struct xsk_ring_cons *r, uint32_t size, size_t entry)
{
    memset(r, 0, sizeof(*r));
    r->mask = size - 1;
    r->size = size;
    r->producer = lines_new(sizeof(uint32_t));
    r->consumer = lines_new(sizeof(uint32_t));
    r->flags = lines_new(sizeof(uint32_t));
    r->ring = lines_new(size * entry);
}

static void ring_free(uint32_t *producer, uint32_t *consumer, uint32_t *flags,
                      void *ring)
{
    free(producer);
    free(consumer);
    free(flags);
    free(ring);
}

static uint32_t ring_used(const uint32_t *producer, const uint32_t *consumer)
{
    return __atomic_load_n(producer, __ATOMIC_ACQUIRE) -
           __atomic_load_n(consumer, __ATOMIC_ACQUIRE);
}

uint32_t af_xdp_fake_in_fill(const AfXdpFakeSocket *f)
{
    return ring_used(f->sock.fill.producer, f->sock.fill.consumer);
}

uint32_t af_xdp_fake_in_rx(const AfXdpFakeSocket *f)
{
    return ring_used(f->sock.rx.producer, f->sock.rx.consumer);
}

uint32_t af_xdp_fake_in_comp(const AfXdpFakeSocket *f)
{
    return ring_used(f->sock.comp.producer, f->sock.comp.consumer);
}

uint32_t af_xdp_fake_packets_in_rx(const AfXdpFakeSocket *f)
{
    const struct xsk_ring_cons *rx = &f->sock.rx;
    uint32_t packets = 0, at = *rx->consumer;

    for (uint32_t n = af_xdp_fake_in_rx(f); n > 0; n--, at++) {
        packets += !(xsk_ring_cons__rx_desc(rx, at)->options & XDP_PKT_CONTD);
    }
    return packets;
}

static bool in_umem(const AfXdpFakeSocket *f, uint64_t addr, uint64_t len)
{
    if (!f->unaligned && len > AF_XDP_FRAME_SIZE - addr % AF_XDP_FRAME_SIZE) {
        return false;
    }
    return len <= AF_XDP_FRAME_SIZE && len <= f->size &&
           addr <= f->size - len;
}

/* Mark the frame of @addr, if it is one; false if it is marked already. */
static bool mark(const AfXdpUmem *umem, uint64_t base, uint8_t *seen,
                 uint64_t addr)
{
    return !af_xdp_umem_has(umem, addr) ||
           !seen[(af_xdp_addr_data(addr) - base) / AF_XDP_FRAME_SIZE]++;
}

bool af_xdp_fake_frames_once(const AfXdpFakeSocket *f, const AfXdpUmem *umem)
{
    const AfXdpSocket *s = &f->sock;
    uint32_t n = 0;
    uint64_t base = 0;
    g_autofree uint8_t *seen = NULL;
    const struct xdp_desc *rx = s->rx.ring, *tx = s->tx.ring;
    const uint64_t *fill = s->fill.ring, *comp = s->comp.ring;
    bool once = true;

    for (int i = 0; i < AF_XDP_FRAME__MAX; i++) {
        n += af_xdp_umem_count(umem, i);
    }
    while (!af_xdp_umem_has(umem, base)) {
        base += AF_XDP_FRAME_SIZE;
    }
    seen = g_new0(uint8_t, n);
    for (uint32_t i = *s->fill.consumer; i != *s->fill.producer; i++) {
        once &= mark(umem, base, seen, fill[i & s->fill.mask]);
    }
    for (uint32_t i = *s->rx.consumer; i != *s->rx.producer; i++) {
        once &= mark(umem, base, seen, rx[i & s->rx.mask].addr);
    }
    for (uint32_t i = *s->tx.consumer; i != *s->tx.producer; i++) {
        once &= mark(umem, base, seen, tx[i & s->tx.mask].addr);
    }
    for (uint32_t i = 0; i < f->n_in_flight; i++) {
        once &= mark(umem, base, seen, f->in_flight[i]);
    }
    for (uint32_t i = 0; i < f->half.n; i++) {
        once &= mark(umem, base, seen, f->half.addrs[i]);
    }
    for (uint32_t i = *s->comp.consumer; i != *s->comp.producer; i++) {
        once &= mark(umem, base, seen, comp[i & s->comp.mask]);
    }
    return once;
}

/* --- The kernel's part --- */

/* The rx ring that packets go to. */
static struct xsk_ring_cons *rx_ring(AfXdpFakeSocket *f)
{
    return f->to_base && f->sock.base_fd >= 0 ? &f->sock.base_rx : &f->sock.rx;
}

static uint32_t rx_room(AfXdpFakeSocket *f)
{
    const struct xsk_ring_cons *rx = rx_ring(f);

    return rx->size - ring_used(rx->producer, rx->consumer);
}

bool af_xdp_fake_rx(AfXdpFakeSocket *f, uint64_t addr, uint32_t len,
                    uint32_t options)
{
    struct xsk_ring_cons *rx = rx_ring(f);
    uint32_t at = *rx->producer;

    if (rx_room(f) == 0) {
        return false;
    }
    ((struct xdp_desc *)rx->ring)[at & rx->mask] =
        (struct xdp_desc) { .addr = addr, .len = len, .options = options };
    __atomic_store_n(rx->producer, at + 1, __ATOMIC_RELEASE);
    return true;
}

static void fill_show(AfXdpFakeSocket *f)
{
    __atomic_store_n(f->sock.fill.consumer, f->fill_cons, __ATOMIC_RELEASE);
}

uint32_t af_xdp_fake_take(AfXdpFakeSocket *f, uint64_t *addrs, uint32_t n)
{
    const struct xsk_ring_prod *fill = &f->sock.fill;
    const uint64_t *ring = fill->ring;
    uint32_t taken = 0;

    while (taken < n && f->fill_cons != *fill->producer) {
        uint64_t addr = __atomic_load_n(&ring[f->fill_cons & fill->mask],
                                        __ATOMIC_ACQUIRE);

        f->fill_cons++;
        if (!f->lazy) {
            fill_show(f);
        }
        if (in_umem(f, addr, AF_XDP_FRAME_SIZE)) {
            addrs[taken++] = addr;
        }
    }
    return taken;
}

bool af_xdp_fake_taken(AfXdpFakeSocket *f, const uint64_t *addrs,
                       const void *data, uint32_t len, uint32_t piece)
{
    const uint64_t gap = AF_XDP_RX_HEADROOM + f->headroom;
    uint32_t n = DIV_ROUND_UP(len, piece), off = 0;

    g_assert(piece > 0 && piece <= f->sock.rx_room);
    if (n > rx_room(f)) {
        return false;
    }
    for (uint32_t i = 0; i < n; i++) {
        uint32_t part = MIN(len - off, piece);

        if (data) {
            memcpy(f->area + addrs[i] + gap, (const char *)data + off, part);
        }
        off += part;
        af_xdp_fake_rx(f, f->unaligned ?
                       addrs[i] | gap << AF_XDP_ADDR_SHIFT : addrs[i] + gap,
                       part, off < len ? XDP_PKT_CONTD : 0);
    }
    fill_show(f);
    return true;
}

bool af_xdp_fake_receive(AfXdpFakeSocket *f, const void *data, uint32_t len,
                         uint32_t piece)
{
    uint32_t n = DIV_ROUND_UP(len, piece);
    uint64_t addrs[AF_XDP_MAX_SEGS + 64];

    g_assert(n <= ARRAY_SIZE(addrs));
    if (n > af_xdp_fake_in_fill(f) || n > rx_room(f) ||
        af_xdp_fake_take(f, addrs, n) < n) {
        return false;
    }
    return af_xdp_fake_taken(f, addrs, data, len, piece);
}

bool af_xdp_fake_comp(AfXdpFakeSocket *f, uint64_t addr)
{
    struct xsk_ring_cons *comp = &f->sock.comp;

    if (af_xdp_fake_in_comp(f) == comp->size) {
        return false;
    }
    ((uint64_t *)comp->ring)[f->comp_prod & comp->mask] = addr;
    f->comp_prod++;
    __atomic_store_n(comp->producer, f->comp_prod, __ATOMIC_RELEASE);
    return true;
}

uint32_t af_xdp_fake_complete(AfXdpFakeSocket *f, uint32_t n)
{
    uint32_t done = 0;

    n = MIN(n, f->n_in_flight);
    /* Copy mode clears bit 0 of the address. */
    while (done < n && af_xdp_fake_comp(f, f->in_flight[done] & ~1ULL)) {
        done++;
    }
    f->n_in_flight -= done;
    memmove(f->in_flight, f->in_flight + done,
            f->n_in_flight * sizeof(f->in_flight[0]));
    return done;
}

/* Send one descriptor; false if its completion would find no room. */
static bool send_one(AfXdpFakeSocket *f)
{
    const struct xsk_ring_prod *tx = &f->sock.tx;
    const struct xdp_desc *desc = (struct xdp_desc *)tx->ring +
                                  (*tx->consumer & tx->mask);
    AfXdpFakeHalf *half = &f->half;

    /* The kernel reserves it before it sends. */
    if (af_xdp_fake_in_comp(f) + f->n_in_flight + half->n + f->base_half.n >=
        f->sock.comp.size) {
        return false;
    }
    if (desc->len == 0 || !in_umem(f, desc->addr, desc->len)) {
        f->tx_invalid++;
        return true;
    }
    if (f->sent) {
        f->sent(f->opaque, desc, f->area + desc->addr);
    }
    g_assert(half->n < ARRAY_SIZE(half->addrs));
    half->addrs[half->n++] = desc->addr;
    if (!(desc->options & XDP_PKT_CONTD)) {
        memcpy(f->in_flight + f->n_in_flight, half->addrs,
               half->n * sizeof(half->addrs[0]));
        f->n_in_flight += half->n;
        f->tx_packets++;
        if (!f->late) {
            af_xdp_fake_complete(f, half->n);
        }
        half->n = 0;
    }
    return true;
}

/* --- What takes the place of net/af-xdp-socket.c --- */

AfXdpSocket *af_xdp_socket_new(const AfXdpSocketConfig *config,
                               AfXdpUmem *umem, GError **errp)
{
    AfXdpFakeSocket *f = g_new0(AfXdpFakeSocket, 1);
    uint32_t rx_size = rx_limit ? rx_limit : config->rx_size;
    uint32_t tx_size = tx_limit ? tx_limit : config->tx_size;

    prod_init(&f->sock.fill, rx_size, sizeof(uint64_t));
    cons_init(&f->sock.rx, rx_size, sizeof(struct xdp_desc));
    prod_init(&f->sock.tx, tx_size, sizeof(struct xdp_desc));
    cons_init(&f->sock.comp, tx_size, sizeof(uint64_t));
    *f->sock.fill.flags = 0;
    f->sock.fd = -1;
    f->sock.multi_buffer = true;
    f->sock.max_tx_segs = AF_XDP_MAX_TX_SEGS;
    f->sock.base_fd = -1;
    f->sock.ifindex = 1;
    f->sock.zero_copy = driver_zero_copy;
    f->sock.rx_room = af_xdp_umem_rx_room(umem);
    f->area = af_xdp_umem_area(umem);
    f->size = af_xdp_umem_size(umem);
    f->headroom = af_xdp_umem_headroom(umem);
    f->unaligned = af_xdp_umem_is_placed(umem);
    f->in_flight = g_new(uint64_t, tx_size);
    return &f->sock;
}

AfXdpSocket *af_xdp_socket_absent(void)
{
    g_assert_not_reached();
}

bool af_xdp_socket_open_second(AfXdpSocket *s, GError **errp)
{
    AfXdpFakeSocket *f = af_xdp_fake(s);

    if (f->fail_second) {
        f->fail_second = false;
        g_set_error_literal(errp, G_FILE_ERROR, G_FILE_ERROR_FAILED, "fake");
        return false;
    }
    s->base_fd = s->fd = 0;
    s->base_rx = s->rx;
    s->base_tx = s->tx;
    f->base_half = f->half;
    f->half.n = 0;
    cons_init(&s->rx, s->base_rx.size, sizeof(struct xdp_desc));
    prod_init(&s->tx, s->base_tx.size, sizeof(struct xdp_desc));
    return true;
}

void af_xdp_socket_close_second(AfXdpSocket *s)
{
    AfXdpFakeSocket *f = af_xdp_fake(s);

    if (s->base_fd < 0) {
        return;
    }
    if (f->closing) {
        f->closing(f->opaque);
    }
    /* The last that is on its way has arrived. */
    fill_show(f);
    /* What was taken of a packet is dropped, and never completed. */
    f->half = f->base_half;
    f->base_half.n = 0;
    ring_free(s->rx.producer, s->rx.consumer, s->rx.flags, s->rx.ring);
    ring_free(s->tx.producer, s->tx.consumer, s->tx.flags, s->tx.ring);
    s->rx = s->base_rx;
    s->tx = s->base_tx;
    s->base_fd = s->fd = -1;
}

void af_xdp_socket_free(AfXdpSocket *s)
{
    AfXdpFakeSocket *f;

    if (!s) {
        return;
    }
    f = af_xdp_fake(s);
    af_xdp_socket_close_second(s);
    ring_free(s->fill.producer, s->fill.consumer, s->fill.flags, s->fill.ring);
    ring_free(s->rx.producer, s->rx.consumer, s->rx.flags, s->rx.ring);
    ring_free(s->tx.producer, s->tx.consumer, s->tx.flags, s->tx.ring);
    ring_free(s->comp.producer, s->comp.consumer, s->comp.flags, s->comp.ring);
    g_free(f->in_flight);
    g_free(f);
}

int af_xdp_socket_kick_tx(AfXdpSocket *s)
{
    AfXdpFakeSocket *f = af_xdp_fake(s);
    AfXdpFakeKick kick = { .budget = UINT32_MAX };

    f->kicked++;
    if (f->n_kicks > 0) {
        kick = *f->kicks++;
        f->n_kicks--;
    }
    while (kick.budget > 0 && af_xdp_socket_tx_pending(s) > 0) {
        if (!send_one(f)) {
            /* Room for completions: only taking them makes more. */
            kick.result = kick.result ? kick.result : -EAGAIN;
            break;
        }
        kick.budget--;
        __atomic_store_n(s->tx.consumer, *s->tx.consumer + 1,
                         __ATOMIC_RELEASE);
    }
    return kick.result;
}

void af_xdp_socket_kick_rx(AfXdpSocket *s)
{
}

uint32_t af_xdp_socket_tx_pending(const AfXdpSocket *s)
{
    return ring_used(s->tx.producer, s->tx.consumer);
}

int af_xdp_socket_error(AfXdpSocket *s)
{
    return 0;
}

bool af_xdp_socket_stats(const AfXdpSocket *s, uint64_t *rx_dropped,
                         uint64_t *tx_invalid)
{
    *rx_dropped = 0;
    *tx_invalid = 0;
    return true;
}

bool af_xdp_socket_check_mtu(const char *ifname, uint32_t queue,
                             uint32_t frame_max, uint32_t room,
                             bool multi_buffer, GError **errp)
{
    return true;
}
