/*
 * AF_XDP: packets between one queue pair's virtqueues and its socket
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include "net/af-xdp-datapath.h"
#include "net/af-xdp-lines.h"

/*
 * Quota of a turn. Packets: what virtio-net takes in one go. Bytes: as many
 * full-sized frames, so that large ones do not make a turn ten times longer.
 */
#define TURN_PACKETS 256
#define TURN_BYTES (TURN_PACKETS * 1514u)

/* A header without num_buffers. */
#define HDR_LEN sizeof(struct virtio_net_hdr)

/* Chains taken from a ring at once. */
#define BURST 64

/*
 * Pieces of the chains held: as many as virtio-net's drivers use at most in
 * one chain (MAX_SKB_FRAGS + 2) for each of a burst, and one of the longest.
 */
#define POOL_SIZE (BURST * 19 + AF_XDP_VRING_CHAIN_MAX)

/*
 * Packets between what is copied and what is fetched into the cache: as many
 * as take the latency of memory. The guest's processor wrote or read it last.
 */
#define AHEAD 8

/* Chains taken at a time. Those from next on have not been used. */
typedef struct Held {
    AfXdpVringElem elems[BURST];
    uint32_t next;
    uint32_t n;
    AfXdpVringPool pool;
    struct iovec iov[POOL_SIZE];
    uint64_t gpa[POOL_SIZE];
} Held;

struct AfXdpDatapath {
    AfXdpCopy *copy;
    AfXdpVring *rx;
    AfXdpVring *tx;
    uint32_t hdr_len;
    bool mergeable;
    const char *rx_fault;       /* found here, not by the ring */
    const char *tx_fault;
    AfXdpDatapathStats stats;
    Held rx_held;
    Held tx_held;
};

static void held_init(Held *held)
{
    held->pool.iov = held->iov;
    held->pool.gpa = held->gpa;
    held->pool.max = POOL_SIZE;
}

AfXdpDatapath *af_xdp_datapath_new(AfXdpCopy *copy, AfXdpVring *rx,
                                   AfXdpVring *tx, uint64_t features)
{
    AfXdpDatapath *dp = af_xdp_lines_new0(sizeof(*dp));

    dp->copy = copy;
    dp->rx = rx;
    dp->tx = tx;
    dp->mergeable = features & (1ULL << VIRTIO_NET_F_MRG_RXBUF);
    /* virtio 1.2, 5.1.6: num_buffers is there with either of the two. */
    dp->hdr_len = dp->mergeable || (features & (1ULL << VIRTIO_F_VERSION_1)) ?
                  sizeof(struct virtio_net_hdr_mrg_rxbuf) : HDR_LEN;
    held_init(&dp->rx_held);
    held_init(&dp->tx_held);
    return dp;
}

void af_xdp_datapath_free(AfXdpDatapath *dp)
{
    free(dp);
}

/* --- Chains --- */

/* See that there are unused chains in @held; false if the guest has none. */
static bool held_refill(Held *held, AfXdpVring *vr)
{
    if (held->next < held->n) {
        return true;
    }
    held->pool.n = 0;
    held->next = 0;
    held->n = af_xdp_vring_pop(vr, held->elems, BURST, &held->pool);
    return held->n > 0;
}

/*
 * Fetch the beginning of a chain that will be used soon, and of what is behind
 * its header, into the cache: all of a short packet. (GCC takes a function
 * for one without effects if all it does is prefetch, and leaves out calls.)
 */
static inline QEMU_ALWAYS_INLINE
void held_prefetch(const Held *held, bool write)
{
    const AfXdpVringElem *elem;
    const char *header, *data;

    if (held->next + AHEAD >= held->n) {
        return;
    }
    elem = &held->elems[held->next + AHEAD];
    if (elem->n_iov == 0) {
        return;
    }
    header = elem->iov[0].iov_base;
    data = elem->iov[elem->n_iov - 1].iov_base;
    if (write) {
        __builtin_prefetch(header, 1);
        __builtin_prefetch(data + 64, 1);
    } else {
        __builtin_prefetch(header);
        __builtin_prefetch(data + 64);
    }
}

static void held_return(Held *held, AfXdpVring *vr)
{
    if (vr) {
        af_xdp_vring_unpop(vr, held->elems + held->next,
                           held->n - held->next);
        af_xdp_vring_flush(vr);
    }
    held->next = 0;
    held->n = 0;
    held->pool.n = 0;
}

void af_xdp_datapath_quiesce(AfXdpDatapath *dp)
{
    held_return(&dp->rx_held, dp->rx);
    held_return(&dp->tx_held, dp->tx);
}

static const char *ring_fault(const char *fault, const AfXdpVring *vr)
{
    if (!fault && vr && af_xdp_vring_fault(vr)) {
        fault = af_xdp_vring_fault_text(af_xdp_vring_fault(vr));
    }
    return fault;
}

const char *af_xdp_datapath_rx_fault(const AfXdpDatapath *dp)
{
    return ring_fault(dp->rx_fault, dp->rx);
}

const char *af_xdp_datapath_tx_fault(const AfXdpDatapath *dp)
{
    return ring_fault(dp->tx_fault, dp->tx);
}

/* --- Reception --- */

/* A place in chains that are written one after the other. */
typedef struct Cursor {
    char *to;
    size_t left;                /* in this piece */
    const struct iovec *next;   /* the pieces behind it, in this chain */
    const struct iovec *end;
    const AfXdpVringElem *elem; /* the chain behind this one */
} Cursor;

static void cursor_advance(Cursor *at)
{
    if (at->next == at->end) {
        at->next = at->elem->iov;
        at->end = at->next + at->elem->n_iov;
        at->elem++;
    } else {
        at->to = at->next->iov_base;
        at->left = at->next->iov_len;
        at->next++;
    }
}

/* Write @len bytes, which the chains have room for. */
static inline void scatter(Cursor *at, const void *buf, size_t len)
{
    const char *from = buf;

    while (len > 0) {
        size_t piece = MIN(len, at->left);

        if (unlikely(piece == 0)) {
            cursor_advance(at);
            continue;
        }
        memcpy(at->to, from, piece);
        at->to += piece;
        at->left -= piece;
        from += piece;
        len -= piece;
    }
}

/*
 * The copy: the header, then the packet @from, into @n_elems chains, which
 * are large enough.
 */
static void guest_write(const AfXdpDatapath *dp, const AfXdpVringElem *elems,
                        uint32_t n_elems, const struct iovec *from,
                        uint32_t n_from)
{
    const uint16_t num_buffers = htole16(n_elems);
    Cursor at = { .elem = elems };

    while (at.left == 0) {
        cursor_advance(&at);
    }
    /* All is 0 but num_buffers, which is the last. */
    if (likely(at.left >= dp->hdr_len)) {
        memset(at.to, 0, HDR_LEN);
        if (dp->hdr_len > HDR_LEN) {
            memcpy(at.to + HDR_LEN, &num_buffers, sizeof(num_buffers));
        }
        at.to += dp->hdr_len;
        at.left -= dp->hdr_len;
    } else {
        const char zeros[HDR_LEN] = { 0 };

        scatter(&at, zeros, HDR_LEN);
        scatter(&at, &num_buffers, dp->hdr_len - HDR_LEN);
    }
    for (uint32_t i = 0; i < n_from; i++) {
        scatter(&at, from[i].iov_base, from[i].iov_len);
    }
}

typedef enum Delivery {
    DELIVERED,
    NO_BUFFER,      /* not yet: give the packet back */
    TOO_LONG,       /* never */
    BAD_BUFFER,     /* the guest's fault */
} Delivery;

/*
 * See that the chains from held->next on have room for @need bytes; @n_elems
 * receives how many that takes.
 */
static Delivery reserve(AfXdpDatapath *dp, uint64_t need, uint32_t *n_elems)
{
    Held *held = &dp->rx_held;
    bool fresh = false;

    for (;;) {
        uint64_t room = 0;

        if (!held_refill(held, dp->rx)) {
            return NO_BUFFER;
        }
        if (held->elems[held->next].len < dp->hdr_len) {
            return BAD_BUFFER;
        }
        for (uint32_t i = held->next; i < held->n; i++) {
            room += held->elems[i].len;
            if (room >= need) {
                *n_elems = i - held->next + 1;
                return DELIVERED;
            }
            if (!dp->mergeable) {
                return TOO_LONG;
            }
        }
        /* The burst ends within the packet: begin one with this chain. */
        if (fresh) {
            /* More would not help, or not fit: a guest made them so small. */
            return held->n == BURST ||
                   held->pool.max - held->pool.n < AF_XDP_VRING_CHAIN_MAX ?
                   TOO_LONG : NO_BUFFER;
        }
        held_return(held, dp->rx);
        fresh = true;
    }
}

/* Put one packet into chains, and those into the used ring's shadow. */
static Delivery deliver(AfXdpDatapath *dp, const struct iovec *iov, uint32_t n)
{
    Held *held = &dp->rx_held;
    uint64_t need = dp->hdr_len;
    uint32_t n_elems = 0;
    Delivery d;

    for (uint32_t i = 0; i < n; i++) {
        need += iov[i].iov_len;
    }
    d = reserve(dp, need, &n_elems);
    if (d != DELIVERED) {
        return d;
    }
    held_prefetch(held, true);
    guest_write(dp, &held->elems[held->next], n_elems, iov, n);
    /* All but the last are full. */
    for (; n_elems > 0; n_elems--) {
        const AfXdpVringElem *elem = &held->elems[held->next++];
        uint32_t written = MIN(need, elem->len);

        af_xdp_vring_push(dp->rx, elem, written);
        need -= written;
    }
    return DELIVERED;
}

AfXdpTurn af_xdp_datapath_rx(AfXdpDatapath *dp, AfXdpCopy *from, bool *call)
{
    struct iovec iov[AF_XDP_MAX_SEGS];
    AfXdpTurn turn = AF_XDP_TURN_MORE;
    const AfXdpCopyStats *stats = af_xdp_copy_stats(from);
    uint64_t last = stats->rx_bytes + TURN_BYTES;
    uint32_t n;

    if (af_xdp_datapath_rx_fault(dp)) {
        return AF_XDP_TURN_FAULT;
    }
    for (uint32_t i = 0; i < TURN_PACKETS; i++) {
        Delivery d;

        if (stats->rx_bytes > last) {
            break;
        }
        n = af_xdp_copy_rx_next(from, iov);
        if (n == 0) {
            turn = AF_XDP_TURN_DONE;
            break;
        }
        d = deliver(dp, iov, n);
        if (d == TOO_LONG) {
            dp->stats.rx_too_long++;
        } else if (d == NO_BUFFER || d == BAD_BUFFER) {
            af_xdp_copy_rx_back(from);
            if (d == BAD_BUFFER) {
                dp->rx_fault = "a receive buffer is shorter than the header";
            }
            turn = AF_XDP_TURN_NO_BUFFERS;
            break;
        }
    }

    af_xdp_vring_flush(dp->rx);
    if (af_xdp_vring_should_call(dp->rx)) {
        dp->stats.rx_calls++;
        *call = true;
    }
    af_xdp_copy_rx_flush(from);
    if (af_xdp_datapath_rx_fault(dp)) {
        return AF_XDP_TURN_FAULT;
    }
    if (turn == AF_XDP_TURN_NO_BUFFERS) {
        dp->stats.rx_no_buffer++;
    }
    return turn;
}

/* --- Transmission --- */

AfXdpTurn af_xdp_datapath_tx(AfXdpDatapath *dp, bool *call,
                             AfXdpTxState *state)
{
    Held *held = &dp->tx_held;
    AfXdpTurn turn = AF_XDP_TURN_MORE;
    uint64_t bytes = 0;

    if (af_xdp_datapath_tx_fault(dp)) {
        /* What was copied before goes out all the same. */
        *state = af_xdp_copy_tx_flush(dp->copy);
        return AF_XDP_TURN_FAULT;
    }
    for (uint32_t i = 0; i < TURN_PACKETS && bytes < TURN_BYTES; i++) {
        AfXdpVringElem *elem;

        if (!held_refill(held, dp->tx)) {
            turn = AF_XDP_TURN_DONE;
            break;
        }
        elem = &held->elems[held->next];
        if (elem->len < dp->hdr_len) {
            dp->tx_fault = "a packet is shorter than its header";
            turn = AF_XDP_TURN_FAULT;
            break;
        }
        held_prefetch(held, false);
        if (af_xdp_copy_tx_part(dp->copy, elem->iov, dp->hdr_len,
                                elem->len - dp->hdr_len) == AF_XDP_TX_FULL) {
            turn = AF_XDP_TURN_NO_ROOM;
            break;
        }
        bytes += elem->len;
        af_xdp_vring_push(dp->tx, elem, 0);
        held->next++;
    }

    /* The packets have been copied: their buffers can go back at once. */
    af_xdp_vring_flush(dp->tx);
    if (af_xdp_vring_should_call(dp->tx)) {
        dp->stats.tx_calls++;
        *call = true;
    }
    *state = af_xdp_copy_tx_flush(dp->copy);
    return af_xdp_datapath_tx_fault(dp) ? AF_XDP_TURN_FAULT : turn;
}

const AfXdpDatapathStats *af_xdp_datapath_stats(const AfXdpDatapath *dp)
{
    return &dp->stats;
}
