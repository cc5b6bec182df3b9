/*
 * AF_XDP: the copying data path of one queue
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <net/ethernet.h>
#include "net/af-xdp-copy-int.h"
#include "net/af-xdp-lines.h"
#include "net/af-xdp-uapi.h"

/*
 * Frames posted by ourselves where others post buffers of their own now and
 * then: these come behind all that are there, so not too many.
 */
#define FRAMES_PLACED 512u

/*
 * Packets between what is copied and what is fetched into the cache: as many
 * as take the latency of memory. They were written by another processor.
 */
#define AHEAD 8

/* A cache line, in bytes. If it is another size, less is prefetched. */
#define LINE 64

/*
 * The least that one system call sends in copy mode (TX_BATCH_SIZE in
 * net/xdp/xsk.c): a full ring needs RING_SIZE / TX_LEAST calls on a kernel
 * that cannot be told a larger budget.
 */
#define TX_LEAST 32

/* --- Frames for reception --- */

uint32_t af_xdp_copy_rx_post_frames(AfXdpCopy *c, uint32_t n)
{
    struct xsk_ring_prod *fill = &c->sock->fill;
    uint32_t i, some, idx = 0, done = 0;
    uint64_t addrs[BATCH] AF_XDP_UNINITIALIZED;

    while (done < n) {
        some = MIN(n - done, BATCH);
        some = MIN(xsk_prod_nb_free(fill, some), some);
        some = af_xdp_umem_take(c->umem, AF_XDP_POOL_RX, addrs, some);
        if (some == 0) {
            break;
        }
        xsk_ring_prod__reserve(fill, some, &idx);
        for (i = 0; i < some; i++) {
            *xsk_ring_prod__fill_addr(fill, idx + i) = addrs[i];
        }
        c->rx_posting += some;
        done += some;
    }
    return done;
}

bool af_xdp_copy_rx_post(AfXdpCopy *c, uint64_t addr)
{
    struct xsk_ring_prod *fill = &c->sock->fill;
    uint32_t idx = 0;

    if (unlikely(xsk_ring_prod__reserve(fill, 1, &idx) == 0)) {
        return false;
    }
    *xsk_ring_prod__fill_addr(fill, idx) = addr;
    if (idx % (LINE / sizeof(addr)) == 0) {
        /* The other processor has read what was there before. */
        __builtin_prefetch(xsk_ring_prod__fill_addr(fill, idx + 4 * AHEAD), 1);
    }
    c->rx_posting++;
    return true;
}

void af_xdp_copy_rx_submit(AfXdpCopy *c)
{
    if (c->rx_posting > 0) {
        xsk_ring_prod__submit(&c->sock->fill, c->rx_posting);
        c->rx_posting = 0;
    }
    af_xdp_socket_kick_rx(c->sock);
}

uint32_t af_xdp_copy_rx_frames(const AfXdpCopy *c)
{
    return RING_SIZE - af_xdp_umem_available(c->umem, AF_XDP_POOL_RX);
}

/* Post what belongs into the fill ring while nobody else posts. */
void copy_rx_refill(AfXdpCopy *c)
{
    uint32_t target = af_xdp_umem_is_placed(c->umem) ? FRAMES_PLACED
                                                     : RING_SIZE;
    uint32_t there = af_xdp_copy_rx_frames(c);

    if (!c->outside && there < target) {
        af_xdp_copy_rx_post_frames(c, target - there);
    }
    af_xdp_copy_rx_submit(c);
}

/* --- Beginning and end --- */

/* Nothing of the socket before is true of a new one. */
static void reset(AfXdpCopy *c)
{
    c->rx = &c->sock->rx;
    c->area = af_xdp_umem_area(c->umem);
    c->size = af_xdp_umem_size(c->umem);
    c->outside = false;
    c->rx_posting = 0;
    c->rx_peeked = 0;
    c->rx_seen = 0;
    c->rx_last = 0;
    c->rx_outside = 0;
    c->tx_gathered = 0;
    c->tx_pause = false;
    c->tx_queued = 0;
    c->tx_completed = 0;
    c->covered = false;
}

static bool copy_open(AfXdpCopy *c, const AfXdpSocketConfig *config,
                      const AfXdpPlace *place, GError **errp)
{
    c->umem = place ? af_xdp_umem_new_at(place, RING_SIZE, RING_SIZE)
                    : af_xdp_umem_new(RING_SIZE, RING_SIZE, errp);
    if (!c->umem) {
        return false;
    }
    c->sock = af_xdp_socket_new(config, c->umem, errp);
    if (!c->sock) {
        return false;
    }
    reset(c);
    copy_rx_refill(c);
    return true;
}

AfXdpCopy *af_xdp_copy_new(const char *ifname, uint32_t queue, int fd,
                           uint32_t frame_max, AfXdpBind bind, GError **errp)
{
    AfXdpSocketConfig config = {
        .ifname = ifname,
        .queue = queue,
        .fd = fd,
        .rx_size = RING_SIZE,
        .tx_size = RING_SIZE,
        .frame_max = frame_max,
        .bind = bind,
    };
    AfXdpCopy *c = af_xdp_lines_new0(sizeof(*c));

    c->queue = queue;
    c->bind = bind;
    if (!copy_open(c, &config, NULL, errp)) {
        af_xdp_copy_free(c);
        return NULL;
    }
    return c;
}

/* Go on without a socket. */
static void copy_absent(AfXdpCopy *c)
{
    const AfXdpPlace nowhere = { 0 };

    af_xdp_umem_free(c->umem);
    c->umem = af_xdp_umem_new_at(&nowhere, RING_SIZE, RING_SIZE);
    c->sock = af_xdp_socket_absent();
    if (!c->sock) {
        /* It had a descriptor a moment ago. */
        g_error("no file descriptor for queue %u", c->queue);
    }
    reset(c);
}

/* No socket for a moment; what the kernel has counted goes on. */
static void copy_shut(AfXdpCopy *c, uint64_t *rx_dropped, uint64_t *tx_invalid)
{
    af_xdp_socket_stats(c->sock, rx_dropped, tx_invalid);
    af_xdp_socket_free(c->sock);
    c->sock = NULL;
    af_xdp_umem_free(c->umem);
    c->umem = NULL;
}

bool af_xdp_copy_move(AfXdpCopy *c, const AfXdpMove *move, GError **errp)
{
    AfXdpSocketConfig config = {
        .ifname = move->ifname,
        .ifindex = move->ifindex,
        .again = true,
        .queue = c->queue,
        .fd = -1,
        .rx_size = RING_SIZE,
        .tx_size = RING_SIZE,
        .frame_max = move->frame_max,
        .bind = move->copy_mode && c->bind != AF_XDP_BIND_ZERO_COPY ?
                AF_XDP_BIND_COPY : c->bind,
        .patience = move->patience,
        .share = move->share ? move->share->sock : NULL,
    };
    uint64_t rx_dropped, tx_invalid;
    bool ok;

    copy_shut(c, &rx_dropped, &tx_invalid);
    ok = copy_open(c, &config, move->place, errp);
    if (!ok) {
        copy_absent(c);
    }
    c->sock->rx_dropped = rx_dropped;
    c->sock->tx_invalid = tx_invalid;
    return ok;
}

void af_xdp_copy_close(AfXdpCopy *c)
{
    uint64_t rx_dropped, tx_invalid;

    copy_shut(c, &rx_dropped, &tx_invalid);
    copy_absent(c);
    c->sock->rx_dropped = rx_dropped;
    c->sock->tx_invalid = tx_invalid;
}

void af_xdp_copy_set_bind(AfXdpCopy *c, AfXdpBind bind)
{
    c->bind = bind;
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

/* --- Reception --- */

/* Descriptor number @i of those not released. */
static inline const struct xdp_desc *rx_desc(const AfXdpCopy *c, uint32_t i)
{
    const struct xsk_ring_cons *rx = c->rx;

    return xsk_ring_cons__rx_desc(rx, rx->cached_cons - c->rx_peeked + i);
}

/* Always inline: GCC leaves out calls of what does nothing but prefetch. */
static inline QEMU_ALWAYS_INLINE
void rx_prefetch(const AfXdpCopy *c, uint32_t i)
{
    if (i < c->rx_peeked) {
        uint64_t addr = af_xdp_addr_data(rx_desc(c, i)->addr);

        /* An address that was not checked; it will be. */
        __builtin_prefetch((void *)((uintptr_t)c->area + addr));
    }
}

/* See whether the kernel has received more. */
static bool rx_more(AfXdpCopy *c)
{
    uint32_t idx, n = xsk_ring_cons__peek(c->rx, BATCH, &idx);

    c->rx_peeked += n;
    /* All of them at once: else each line is waited for. */
    for (uint32_t i = 0; i < n; i += LINE / sizeof(struct xdp_desc)) {
        __builtin_prefetch(rx_desc(c, c->rx_peeked - n + i));
    }
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

/* Where a packet is that came in a buffer of others; NULL: nowhere. */
static inline void *outside_data(const AfXdpCopy *c, uint64_t addr,
                                 uint32_t len)
{
    uint64_t at = af_xdp_addr_data(addr);

    return likely(len <= AF_XDP_FRAME_SIZE && at < c->size &&
                  len <= c->size - at) ? c->area + at : NULL;
}

/*
 * Take the frames of the next packet, which has @n descriptors. Returns its
 * bytes; 0 if the descriptors make no packet.
 */
static inline uint32_t rx_packet(AfXdpCopy *c, uint32_t n, struct iovec *iov)
{
    bool good = n <= AF_XDP_MAX_SEGS;
    uint32_t bytes = 0;

    c->rx_outside = 0;
    for (uint32_t i = 0; i < n; i++) {
        const struct xdp_desc *desc = rx_desc(c, c->rx_seen++);
        uint32_t len = desc->len;
        void *data;

        if (c->outside && !af_xdp_umem_has(c->umem, desc->addr)) {
            /* Not our frame: the caller knows what it posted. */
            data = outside_data(c, desc->addr, len);
            if (i < AF_XDP_MAX_SEGS) {
                c->rx_outside |= 1u << i;
                c->rx_addr[i] = af_xdp_addr_posted(desc->addr);
            }
        } else {
            data = af_xdp_umem_received(c->umem, desc->addr, len);
        }
        good = good && data;
        if (good) {
            iov[i].iov_base = data;
            iov[i].iov_len = len;
            bytes += len;
        }
    }
    return good ? bytes : 0;
}

/* Is there something in @rx that was not looked at? */
static inline bool ring_pending(const struct xsk_ring_cons *rx)
{
    return rx->cached_cons != __atomic_load_n(rx->producer, __ATOMIC_ACQUIRE);
}

/*
 * Two sockets: what came to the first is older, or came when it took over
 * for a moment. Rings are changed between packets that were given back only.
 */
void copy_rx_choose(AfXdpCopy *c)
{
    AfXdpSocket *s = c->sock;

    if (s->base_fd >= 0 && c->rx_peeked == 0) {
        c->rx = ring_pending(&s->base_rx) ? &s->base_rx : &s->rx;
    }
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
    const AfXdpSocket *s = c->sock;

    return c->rx_seen < c->rx_peeked || ring_pending(&s->rx) ||
           af_xdp_copy_base_pending(c);
}

bool af_xdp_copy_base_pending(const AfXdpCopy *c)
{
    const AfXdpSocket *s = c->sock;

    return s->base_fd >= 0 && ring_pending(&s->base_rx);
}

uint32_t af_xdp_copy_rx_outside(const AfXdpCopy *c)
{
    return c->rx_outside;
}

uint64_t af_xdp_copy_rx_addr(const AfXdpCopy *c, uint32_t i)
{
    return c->rx_addr[i];
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
    uint64_t addrs[BATCH] AF_XDP_UNINITIALIZED;
    uint32_t n;

    if (c->rx_seen == 0) {
        copy_rx_choose(c);
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
    xsk_ring_cons__release(c->rx, c->rx_seen);
    c->rx_peeked -= c->rx_seen;
    c->rx_seen = 0;
    copy_rx_choose(c);
    copy_rx_refill(c);
}

/* --- Sending --- */

void copy_tx_submit(AfXdpCopy *c)
{
    if (c->tx_gathered) {
        xsk_ring_prod__submit(&c->sock->tx, c->tx_gathered);
        c->tx_gathered = 0;
    }
}

/* Take back the frames that were sent. */
void copy_tx_reap(AfXdpCopy *c)
{
    struct xsk_ring_cons *comp = &c->sock->comp;
    uint64_t addrs[BATCH] AF_XDP_UNINITIALIZED;
    uint32_t n, idx = 0;

    while ((n = xsk_ring_cons__peek(comp, BATCH, &idx)) > 0) {
        for (uint32_t i = 0; i < n; i++) {
            addrs[i] = *xsk_ring_cons__comp_addr(comp, idx + i);
        }
        af_xdp_umem_put(c->umem, addrs, n, AF_XDP_FRAME_TX);
        xsk_ring_cons__release(comp, n);
        c->tx_completed += n;
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
        return s->ifindex == 0 ? AF_XDP_TX_DOWN : AF_XDP_TX_IDLE;
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

    copy_tx_submit(c);
    for (int i = 0; i < RING_SIZE / TX_LEAST; i++) {
        before = af_xdp_socket_tx_pending(c->sock);
        state = tx_kick(c);
        if (state != AF_XDP_TX_POLL ||
            af_xdp_socket_tx_pending(c->sock) >= before) {
            break;
        }
    }
    copy_tx_reap(c);
    c->tx_pause = state == AF_XDP_TX_RETRY;
    return state;
}

void copy_tx_make_room(AfXdpCopy *c)
{
    if (c->tx_pause) {
        copy_tx_reap(c);
    } else {
        af_xdp_copy_tx_flush(c);
    }
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
    uint64_t addrs[AF_XDP_MAX_SEGS] AF_XDP_UNINITIALIZED;
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
        copy_tx_make_room(c);
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
    c->tx_queued += n;
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

    copy_tx_reap(c);
    return af_xdp_umem_available(c->umem, AF_XDP_POOL_TX) >= n &&
           xsk_prod_nb_free(&c->sock->tx, n) >= n;
}
