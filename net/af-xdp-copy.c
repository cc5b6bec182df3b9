/*
 * AF_XDP: the copying data path of one queue
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <net/ethernet.h>
#include "net/af-xdp-copy.h"
#include "net/af-xdp-uapi.h"

/*
 * Packets that may wait in each direction while QEMU's main loop is busy
 * elsewhere: 2 ms of 1 Mpps. There are as many frames as ring entries, so no
 * ring can be overrun.
 */
#define RING_SIZE 2048

/* Frames moved from the pool to the fill ring at a time. */
#define REFILL_BATCH 64

/*
 * The least that one system call sends in copy mode (TX_BATCH_SIZE in
 * net/xdp/xsk.c): a full ring needs RING_SIZE / TX_LEAST calls on a kernel
 * that cannot be told a larger budget.
 */
#define TX_LEAST 32

struct AfXdpCopy {
    AfXdpSocket *sock;
    AfXdpUmem *umem;
    uint32_t rx_first;          /* first descriptor not yet released */
    uint32_t rx_seen;           /* descriptors shown since then */
    uint32_t rx_last;           /* those of the last packet among them */
    uint32_t rx_last_bytes;
    uint32_t tx_gathered;       /* descriptors the kernel does not see yet */
    bool tx_pause;              /* the kernel is not to be asked just now */
    AfXdpCopyStats stats;
};

static void rx_refill(AfXdpCopy *c)
{
    struct xsk_ring_prod *fill = &c->sock->fill;
    uint64_t addrs[REFILL_BATCH];
    uint32_t i, n, idx = 0;

    do {
        n = MIN(xsk_prod_nb_free(fill, REFILL_BATCH), REFILL_BATCH);
        n = af_xdp_umem_take(c->umem, AF_XDP_POOL_RX, addrs, n);
        if (n == 0) {
            break;
        }
        xsk_ring_prod__reserve(fill, n, &idx);
        for (i = 0; i < n; i++) {
            *xsk_ring_prod__fill_addr(fill, idx + i) = addrs[i];
        }
        xsk_ring_prod__submit(fill, n);
    } while (n == REFILL_BATCH);
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
    AfXdpCopy *c = g_new0(AfXdpCopy, 1);

    c->umem = af_xdp_umem_new(RING_SIZE, RING_SIZE, errp);
    if (!c->umem) {
        af_xdp_copy_free(c);
        return NULL;
    }
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
    g_free(c);
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

/*
 * Count the descriptors of the packet that begins after those already seen.
 * Returns 0 if its last one is not there yet.
 */
static uint32_t rx_packet_descs(AfXdpCopy *c)
{
    struct xsk_ring_cons *rx = &c->sock->rx;
    uint32_t n = 0, idx = 0;

    while (xsk_ring_cons__peek(rx, 1, &idx)) {
        if (c->rx_seen + n == 0) {
            c->rx_first = idx;
        }
        n++;
        if (!(xsk_ring_cons__rx_desc(rx, idx)->options & XDP_PKT_CONTD)) {
            return n;
        }
    }
    xsk_ring_cons__cancel(rx, n);
    return 0;
}

uint32_t af_xdp_copy_rx_next(AfXdpCopy *c, struct iovec *iov)
{
    struct xsk_ring_cons *rx = &c->sock->rx;
    uint32_t i, n;

    while ((n = rx_packet_descs(c)) > 0) {
        uint32_t first = c->rx_first + c->rx_seen;
        uint64_t bytes = 0;
        bool good = n <= AF_XDP_MAX_SEGS;

        c->rx_seen += n;
        for (i = 0; i < n; i++) {
            const struct xdp_desc *desc = xsk_ring_cons__rx_desc(rx, first + i);
            void *data = af_xdp_umem_received(c->umem, desc->addr, desc->len);

            good = good && data;
            if (good) {
                iov[i].iov_base = data;
                iov[i].iov_len = desc->len;
                bytes += desc->len;
            }
        }
        if (good && bytes > 0) {
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

    return rx->cached_cons != __atomic_load_n(rx->producer, __ATOMIC_ACQUIRE);
}

void af_xdp_copy_rx_back(AfXdpCopy *c)
{
    struct xsk_ring_cons *rx = &c->sock->rx;

    c->rx_seen -= c->rx_last;
    for (uint32_t i = 0; i < c->rx_last; i++) {
        uint32_t idx = c->rx_first + c->rx_seen + i;

        af_xdp_umem_unreceive(c->umem, xsk_ring_cons__rx_desc(rx, idx)->addr);
    }
    xsk_ring_cons__cancel(rx, c->rx_last);
    c->stats.rx_packets--;
    c->stats.rx_bytes -= c->rx_last_bytes;
    c->rx_last = 0;
}

void af_xdp_copy_rx_flush(AfXdpCopy *c)
{
    struct xsk_ring_cons *rx = &c->sock->rx;

    if (c->rx_seen == 0) {
        return;
    }
    for (uint32_t i = 0; i < c->rx_seen; i++) {
        uint64_t addr = xsk_ring_cons__rx_desc(rx, c->rx_first + i)->addr;

        /* Refuses what rx_next() refused. */
        af_xdp_umem_put(c->umem, addr, AF_XDP_FRAME_RECEIVED);
    }
    xsk_ring_cons__release(rx, c->rx_seen);
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
    uint32_t i, n, idx = 0;

    n = xsk_ring_cons__peek(comp, RING_SIZE, &idx);
    for (i = 0; i < n; i++) {
        af_xdp_umem_put(c->umem, *xsk_ring_cons__comp_addr(comp, idx + i),
                        AF_XDP_FRAME_TX);
    }
    if (n) {
        xsk_ring_cons__release(comp, n);
    }
}

static bool tx_has_room(AfXdpCopy *c, uint32_t n)
{
    return af_xdp_umem_available(c->umem, AF_XDP_POOL_TX) >= n &&
           xsk_prod_nb_free(&c->sock->tx, n) >= n;
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

AfXdpTxResult af_xdp_copy_tx(AfXdpCopy *c, const struct iovec *iov, int n_iov)
{
    struct xsk_ring_prod *tx = &c->sock->tx;
    uint64_t addrs[AF_XDP_MAX_SEGS];
    size_t size = 0, room = 0;
    char *to = NULL;
    uint32_t n, idx = 0, used = 0;

    for (int i = 0; i < n_iov; i++) {
        size += iov[i].iov_len;
    }
    if (size < ETH_HLEN) {
        c->stats.tx_runt++;
        return AF_XDP_TX_DROPPED;
    }
    if (size > (size_t)c->sock->max_tx_segs * AF_XDP_FRAME_SIZE) {
        c->stats.tx_oversize++;
        return AF_XDP_TX_DROPPED;
    }

    n = DIV_ROUND_UP(size, AF_XDP_FRAME_SIZE);
    if (!tx_has_room(c, n)) {
        if (c->tx_pause) {
            tx_reap(c);
        } else {
            af_xdp_copy_tx_flush(c);
        }
        if (!tx_has_room(c, n)) {
            return AF_XDP_TX_FULL;
        }
    }
    af_xdp_umem_take(c->umem, AF_XDP_POOL_TX, addrs, n);
    xsk_ring_prod__reserve(tx, n, &idx);

    for (int i = 0; i < n_iov; i++) {
        const char *from = iov[i].iov_base;
        size_t left = iov[i].iov_len;

        while (left > 0) {
            size_t chunk;

            if (room == 0) {
                to = af_xdp_umem_data(c->umem, addrs[used++]);
                room = AF_XDP_FRAME_SIZE;
            }
            chunk = MIN(left, room);
            memcpy(to, from, chunk);
            to += chunk;
            from += chunk;
            room -= chunk;
            left -= chunk;
        }
    }

    for (uint32_t i = 0; i < n; i++) {
        struct xdp_desc *desc = xsk_ring_prod__tx_desc(tx, idx + i);
        bool last = i == n - 1;

        desc->addr = addrs[i];
        desc->len = last ? AF_XDP_FRAME_SIZE - room : AF_XDP_FRAME_SIZE;
        desc->options = last ? 0 : XDP_PKT_CONTD;
    }
    c->tx_gathered += n;
    c->stats.tx_packets++;
    c->stats.tx_bytes += size;
    return AF_XDP_TX_QUEUED;
}

bool af_xdp_copy_tx_ready(AfXdpCopy *c)
{
    tx_reap(c);
    return tx_has_room(c, c->sock->max_tx_segs);
}
