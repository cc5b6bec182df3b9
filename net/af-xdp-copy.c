/*
 * AF_XDP: the copying data path of one queue
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <net/ethernet.h>
#include "net/af-xdp-copy.h"
#include "net/af-xdp-lines.h"
#include "net/af-xdp-uapi.h"

/*
 * Packets that may wait in each direction while QEMU's main loop is busy
 * elsewhere: 2 ms of 1 Mpps. There are as many frames as ring entries, so no
 * ring can be overrun.
 */
#define RING_SIZE 2048

/* Ring entries that are looked at, and frames that are moved, at a time. */
#define BATCH 64

/*
 * Packets between what is copied and what is fetched into the cache: as many
 * as take the latency of memory. They were written by another processor.
 */
#define AHEAD 8

/*
 * The least that one system call sends in copy mode (TX_BATCH_SIZE in
 * net/xdp/xsk.c): a full ring needs RING_SIZE / TX_LEAST calls on a kernel
 * that cannot be told a larger budget.
 */
#define TX_LEAST 32

struct AfXdpCopy {
    AfXdpSocket *sock;
    AfXdpUmem *umem;
    char *area;                 /* the UMEM's memory */
    uint32_t rx_peeked;         /* descriptors there and not released */
    uint32_t rx_seen;           /* those of them that were shown */
    uint32_t rx_last;           /* those of the last packet among these */
    uint32_t rx_last_bytes;
    uint32_t tx_gathered;       /* descriptors the kernel does not see yet */
    bool tx_pause;              /* the kernel is not to be asked just now */
    AfXdpCopyStats stats;
};

static void rx_refill(AfXdpCopy *c)
{
    struct xsk_ring_prod *fill = &c->sock->fill;
    uint64_t addrs[BATCH];
    uint32_t i, n, idx = 0;

    do {
        n = MIN(xsk_prod_nb_free(fill, BATCH), BATCH);
        n = af_xdp_umem_take(c->umem, AF_XDP_POOL_RX, addrs, n);
        if (n == 0) {
            break;
        }
        xsk_ring_prod__reserve(fill, n, &idx);
        for (i = 0; i < n; i++) {
            *xsk_ring_prod__fill_addr(fill, idx + i) = addrs[i];
        }
        xsk_ring_prod__submit(fill, n);
    } while (n == BATCH);
    af_xdp_socket_kick_rx(c->sock);
}

AfXdpCopy *af_xdp_copy_new(const char *ifname, uint32_t queue, int fd,
                           uint32_t frame_max, bool zero_copy, GError **errp)
{
    AfXdpSocketConfig config = {
        .ifname = ifname,
        .queue = queue,
        .fd = fd,
        .rx_size = RING_SIZE,
        .tx_size = RING_SIZE,
        .frame_max = frame_max,
        .zero_copy = zero_copy,
    };
    AfXdpCopy *c = af_xdp_lines_new0(sizeof(*c));

    c->umem = af_xdp_umem_new(RING_SIZE, RING_SIZE, errp);
    if (!c->umem) {
        af_xdp_copy_free(c);
        return NULL;
    }
    c->area = af_xdp_umem_area(c->umem);
    c->sock = af_xdp_socket_new(&config, c->umem, errp);
    if (!c->sock) {
        af_xdp_copy_free(c);
        return NULL;
    }
    rx_refill(c);
    return c;
}

void af_xdp_copy_free(AfXdpCopy *c)
{
    if (!c) {
        return;
    }
    af_xdp_socket_free(c->sock);
    af_xdp_umem_free(c->umem);
    free(c);
}

AfXdpSocket *af_xdp_copy_socket(AfXdpCopy *c)
{
    return c->sock;
}

const AfXdpUmem *af_xdp_copy_umem(const AfXdpCopy *c)
{
    return c->umem;
}

const AfXdpCopyStats *af_xdp_copy_stats(const AfXdpCopy *c)
{
    return &c->stats;
}

/* Descriptor number @i of those not released. */
static inline const struct xdp_desc *rx_desc(const AfXdpCopy *c, uint32_t i)
{
    const struct xsk_ring_cons *rx = &c->sock->rx;

    return xsk_ring_cons__rx_desc(rx, rx->cached_cons - c->rx_peeked + i);
}

/* Always inline: GCC leaves out calls of what does nothing but prefetch. */
static inline QEMU_ALWAYS_INLINE
void rx_prefetch(const AfXdpCopy *c, uint32_t i)
{
    if (i < c->rx_peeked) {
        /* An address that was not checked; it will be. */
        __builtin_prefetch((void *)((uintptr_t)c->area + rx_desc(c, i)->addr));
    }
}

/* See whether the kernel has received more. */
static bool rx_more(AfXdpCopy *c)
{
    uint32_t idx, n = xsk_ring_cons__peek(&c->sock->rx, BATCH, &idx);

    c->rx_peeked += n;
    for (uint32_t i = 0; i < MIN(n, AHEAD); i++) {
        rx_prefetch(c, c->rx_peeked - n + i);
    }
    return n > 0;
}

/* Is there a descriptor number @i, if all before it are? */
static inline bool rx_has(AfXdpCopy *c, uint32_t i)
{
    return likely(i < c->rx_peeked) || rx_more(c);
}

/*
 * Count the descriptors of the packet that begins after those already seen.
 * Returns 0 if its last one is not there yet.
 */
static inline uint32_t rx_packet_descs(AfXdpCopy *c)
{
    uint32_t n = 0;

    while (rx_has(c, c->rx_seen + n)) {
        if (!(rx_desc(c, c->rx_seen + n++)->options & XDP_PKT_CONTD)) {
            return n;
        }
    }
    return 0;
}

/*
 * Take the frames of the next packet, which has @n descriptors. Returns its
 * bytes; 0 if the descriptors make no packet.
 */
static inline uint32_t rx_packet(AfXdpCopy *c, uint32_t n, struct iovec *iov)
{
    bool good = n <= AF_XDP_MAX_SEGS;
    uint32_t bytes = 0;

    for (uint32_t i = 0; i < n; i++) {
        const struct xdp_desc *desc = rx_desc(c, c->rx_seen++);
        uint32_t len = desc->len;
        void *data = af_xdp_umem_received(c->umem, desc->addr, len);

        good = good && data;
        if (good) {
            iov[i].iov_base = data;
            iov[i].iov_len = len;
            bytes += len;
        }
    }
    return good ? bytes : 0;
}

uint32_t af_xdp_copy_rx_next(AfXdpCopy *c, struct iovec *iov)
{
    uint32_t n;

    while ((n = rx_packet_descs(c)) > 0) {
        uint32_t bytes = rx_packet(c, n, iov);

        rx_prefetch(c, c->rx_seen + AHEAD);
        if (likely(bytes > 0)) {
            c->stats.rx_packets++;
            c->stats.rx_bytes += bytes;
            c->rx_last = n;
            c->rx_last_bytes = bytes;
            return n;
        }
        c->stats.rx_malformed++;
    }
    return 0;
}

bool af_xdp_copy_rx_pending(const AfXdpCopy *c)
{
    const struct xsk_ring_cons *rx = &c->sock->rx;

    return c->rx_seen < c->rx_peeked ||
           rx->cached_cons != __atomic_load_n(rx->producer, __ATOMIC_ACQUIRE);
}

void af_xdp_copy_rx_back(AfXdpCopy *c)
{
    c->rx_seen -= c->rx_last;
    for (uint32_t i = 0; i < c->rx_last; i++) {
        af_xdp_umem_unreceive(c->umem, rx_desc(c, c->rx_seen + i)->addr);
    }
    c->stats.rx_packets--;
    c->stats.rx_bytes -= c->rx_last_bytes;
    c->rx_last = 0;
}

void af_xdp_copy_rx_flush(AfXdpCopy *c)
{
    uint64_t addrs[BATCH];
    uint32_t n;

    if (c->rx_seen == 0) {
        return;
    }
    for (uint32_t done = 0; done < c->rx_seen; done += n) {
        n = MIN(c->rx_seen - done, BATCH);
        for (uint32_t i = 0; i < n; i++) {
            addrs[i] = rx_desc(c, done + i)->addr;
        }
        /* Refuses what rx_next() refused. */
        af_xdp_umem_put(c->umem, addrs, n, AF_XDP_FRAME_RECEIVED);
    }
    xsk_ring_cons__release(&c->sock->rx, c->rx_seen);
    c->rx_peeked -= c->rx_seen;
    c->rx_seen = 0;
    rx_refill(c);
}

static void tx_submit(AfXdpCopy *c)
{
    if (c->tx_gathered) {
        xsk_ring_prod__submit(&c->sock->tx, c->tx_gathered);
        c->tx_gathered = 0;
    }
}

/* Take back the frames that were sent. */
static void tx_reap(AfXdpCopy *c)
{
    struct xsk_ring_cons *comp = &c->sock->comp;
    uint64_t addrs[BATCH];
    uint32_t n, idx = 0;

    while ((n = xsk_ring_cons__peek(comp, BATCH, &idx)) > 0) {
        for (uint32_t i = 0; i < n; i++) {
            addrs[i] = *xsk_ring_cons__comp_addr(comp, idx + i);
        }
        af_xdp_umem_put(c->umem, addrs, n, AF_XDP_FRAME_TX);
        xsk_ring_cons__release(comp, n);
    }
}

/* Take @n frames and as many ring entries, from @idx on; both or neither. */
static inline bool tx_reserve(AfXdpCopy *c, uint64_t *addrs, uint32_t n,
                              uint32_t *idx)
{
    uint32_t taken = af_xdp_umem_take(c->umem, AF_XDP_POOL_TX, addrs, n);

    if (likely(taken == n &&
               xsk_ring_prod__reserve(&c->sock->tx, n, idx) == n)) {
        return true;
    }
    af_xdp_umem_put(c->umem, addrs, taken, AF_XDP_FRAME_TX);
    return false;
}

/* One attempt to send; what is left to do afterwards. */
static AfXdpTxState tx_kick(AfXdpCopy *c)
{
    AfXdpSocket *s = c->sock;
    uint32_t before = af_xdp_socket_tx_pending(s);
    uint32_t after;
    int ret;

    if (before == 0) {
        return AF_XDP_TX_IDLE;
    }
    ret = af_xdp_socket_kick_tx(s);
    after = af_xdp_socket_tx_pending(s);

    switch (ret) {
    case 0:
        /* The kernel sends the rest by itself, or it is all sent. */
        return AF_XDP_TX_IDLE;
    case -ENETDOWN:
    case -ENXIO:
    case -ENODEV:
        return AF_XDP_TX_DOWN;
    case -EBUSY:
        /*
         * The device's queue is full: the kernel has dropped one frame.
         * More haste would drop more.
         */
        c->stats.tx_refused++;
        return AF_XDP_TX_RETRY;
    default:
        if (after < before) {
            return AF_XDP_TX_POLL;
        }
        /*
         * No progress. The socket counts as writable while its tx ring is at
         * most half full (xsk_tx_writeable() in net/xdp/xsk.c), so polling
         * waits only above that.
         */
        return after > RING_SIZE / 2 ? AF_XDP_TX_POLL : AF_XDP_TX_RETRY;
    }
}

AfXdpTxState af_xdp_copy_tx_flush(AfXdpCopy *c)
{
    AfXdpTxState state = AF_XDP_TX_IDLE;
    uint32_t before;

    tx_submit(c);
    for (int i = 0; i < RING_SIZE / TX_LEAST; i++) {
        before = af_xdp_socket_tx_pending(c->sock);
        state = tx_kick(c);
        if (state != AF_XDP_TX_POLL ||
            af_xdp_socket_tx_pending(c->sock) >= before) {
            break;
        }
    }
    tx_reap(c);
    c->tx_pause = state == AF_XDP_TX_RETRY;
    return state;
}

/* A place in an I/O vector. */
typedef struct Cursor {
    const struct iovec *iov;
    size_t off;
} Cursor;

/* Copy the next @len bytes, which are there. */
static inline void gather(char *to, Cursor *from, size_t len)
{
    while (len > 0) {
        size_t piece = MIN(len, from->iov->iov_len - from->off);

        if (piece > 0) {
            memcpy(to, (const char *)from->iov->iov_base + from->off, piece);
            to += piece;
            len -= piece;
        }
        from->off += piece;
        if (from->off == from->iov->iov_len) {
            from->iov++;
            from->off = 0;
        }
    }
}

AfXdpTxResult af_xdp_copy_tx_part(AfXdpCopy *c, const struct iovec *iov,
                                  size_t skip, size_t size)
{
    struct xsk_ring_prod *tx = &c->sock->tx;
    uint64_t addrs[AF_XDP_MAX_SEGS];
    Cursor from = { iov, skip };
    uint32_t n, idx = 0;

    if (size < ETH_HLEN) {
        c->stats.tx_runt++;
        return AF_XDP_TX_DROPPED;
    }
    if (size > (size_t)c->sock->max_tx_segs * AF_XDP_FRAME_SIZE) {
        c->stats.tx_oversize++;
        return AF_XDP_TX_DROPPED;
    }

    n = DIV_ROUND_UP(size, AF_XDP_FRAME_SIZE);
    if (!tx_reserve(c, addrs, n, &idx)) {
        if (c->tx_pause) {
            tx_reap(c);
        } else {
            af_xdp_copy_tx_flush(c);
        }
        if (!tx_reserve(c, addrs, n, &idx)) {
            return AF_XDP_TX_FULL;
        }
    }
    while (from.off >= from.iov->iov_len) {
        from.off -= from.iov->iov_len;
        from.iov++;
    }
    c->stats.tx_packets++;
    c->stats.tx_bytes += size;
    for (uint32_t i = 0; i < n; i++) {
        struct xdp_desc *desc = xsk_ring_prod__tx_desc(tx, idx + i);
        uint32_t part = MIN(size, AF_XDP_FRAME_SIZE);

        gather(c->area + addrs[i], &from, part);
        size -= part;
        desc->addr = addrs[i];
        desc->len = part;
        desc->options = size > 0 ? XDP_PKT_CONTD : 0;
    }
    c->tx_gathered += n;
    return AF_XDP_TX_QUEUED;
}

AfXdpTxResult af_xdp_copy_tx(AfXdpCopy *c, const struct iovec *iov, int n)
{
    size_t size = 0;

    for (int i = 0; i < n; i++) {
        size += iov[i].iov_len;
    }
    return af_xdp_copy_tx_part(c, iov, 0, size);
}

bool af_xdp_copy_tx_ready(AfXdpCopy *c)
{
    uint32_t n = c->sock->max_tx_segs;

    tx_reap(c);
    return af_xdp_umem_available(c->umem, AF_XDP_POOL_TX) >= n &&
           xsk_prod_nb_free(&c->sock->tx, n) >= n;
}
