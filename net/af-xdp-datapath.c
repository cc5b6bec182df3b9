/*
 * AF_XDP: packets between one queue pair's virtqueues and its socket
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "net/af-xdp-datapath-int.h"
#include "net/af-xdp-lines.h"

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
    if (!dp) {
        return;
    }
    free(dp->rx_direct.fifo);
    free(dp->rx_direct.scratch);
    free(dp->tx_direct.fifo);
    free(dp);
}

/* --- Chains --- */

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

void held_return(Held *held, AfXdpVring *vr)
{
    held->popped -= held->n - held->next;
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

void guest_write(const AfXdpDatapath *dp, const AfXdpVringElem *elems,
                 uint32_t n_elems, const struct iovec *from, uint32_t n_from)
{
    Cursor at = { .elem = elems };

    while (at.left == 0) {
        cursor_advance(&at);
    }
    if (likely(at.left >= dp->hdr_len)) {
        header_write(dp, at.to, n_elems);
        at.to += dp->hdr_len;
        at.left -= dp->hdr_len;
    } else {
        char header[sizeof(struct virtio_net_hdr_mrg_rxbuf)];

        header_write(dp, header, n_elems);
        scatter(&at, header, dp->hdr_len);
    }
    for (uint32_t i = 0; i < n_from; i++) {
        scatter(&at, from[i].iov_base, from[i].iov_len);
    }
}

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
    struct iovec iov[AF_XDP_MAX_SEGS] AF_XDP_UNINITIALIZED;
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
        if (dp->rx_direct.fifo && (i + 1) % BURST == 0) {
            /* The guest's ring is short: let it have these, post others. */
            af_xdp_vring_flush(dp->rx);
            af_xdp_datapath_rx_refill(dp);
        }
        if (direct_received(dp, from)) {
            if (unlikely(!direct_rx_deliver(dp, iov, n))) {
                dp->stats.rx_lost++;
            }
            continue;
        }
        d = deliver(dp, iov, n);
        if (d == DELIVERED && dp->rx_direct.fifo) {
            direct_rx_copied(dp);
        } else if (d == TOO_LONG) {
            dp->stats.rx_too_long++;
        } else if (d == NO_BUFFER && dp->rx_direct.n > 0) {
            /* What is posted may be behind it: it must not wait for more. */
            dp->stats.rx_lost++;
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
        return turn;
    }
    if (dp->rx_direct.fifo) {
        AfXdpTurn refill = af_xdp_datapath_rx_refill(dp);

        return turn == AF_XDP_TURN_MORE && refill != AF_XDP_TURN_FAULT ? turn
                                                                       : refill;
    }
    return turn;
}

/* --- Transmission --- */

AfXdpTurn af_xdp_datapath_tx(AfXdpDatapath *dp, bool *call,
                             AfXdpTxState *state)
{
    Held *held = &dp->tx_held;
    AfXdpTurn turn = AF_XDP_TURN_MORE;
    AfXdpTxResult result;
    uint64_t bytes = 0;

    if (af_xdp_datapath_tx_fault(dp)) {
        /* What was queued before goes out all the same. */
        *state = af_xdp_copy_tx_flush(dp->copy);
        if (dp->tx_direct.fifo) {
            direct_tx_reap(dp);
            af_xdp_vring_flush(dp->tx);
        }
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
        if (dp->tx_direct.fifo && direct_tx_send(dp, elem, &result)) {
            if (result == AF_XDP_TX_FULL) {
                turn = AF_XDP_TURN_NO_ROOM;
                break;
            }
        } else if (af_xdp_copy_tx_part(dp->copy, elem->iov, dp->hdr_len,
                                       elem->len - dp->hdr_len) ==
                   AF_XDP_TX_FULL) {
            turn = AF_XDP_TURN_NO_ROOM;
            break;
        } else {
            /* Copied: it can go back at once. */
            af_xdp_vring_push(dp->tx, elem, 0);
        }
        bytes += elem->len;
        held->next++;
    }

    *state = AF_XDP_TX_IDLE;
    if (dp->tx_direct.fifo) {
        /* It goes back when the kernel has read it: now, most likely. */
        *state = af_xdp_copy_tx_flush(dp->copy);
        if (direct_tx_reap(dp) && *state == AF_XDP_TX_IDLE) {
            *state = AF_XDP_TX_WAIT;
        }
    }
    af_xdp_vring_flush(dp->tx);
    if (af_xdp_vring_should_call(dp->tx)) {
        dp->stats.tx_calls++;
        *call = true;
    }
    if (!dp->tx_direct.fifo) {
        *state = af_xdp_copy_tx_flush(dp->copy);
    }
    return af_xdp_datapath_tx_fault(dp) ? AF_XDP_TURN_FAULT : turn;
}

/* --- Direct buffers --- */

void af_xdp_datapath_direct_begin(AfXdpDatapath *dp,
                                  const AfXdpDirectConfig *config)
{
    /* What is held has addresses of the time before. */
    af_xdp_datapath_quiesce(dp);
    dp->direct = *config;
    if (dp->rx) {
        direct_rx_begin(dp);
    }
    if (dp->tx && config->tx) {
        direct_tx_begin(dp);
    }
}

/*
 * What has come for a ring that is broken is lost. Left in the socket's ring, a
 * buffer would be taken for one that is posted after the next start.
 */
static void discard(AfXdpDatapath *dp)
{
    struct iovec iov[AF_XDP_MAX_SEGS] AF_XDP_UNINITIALIZED;

    while (af_xdp_copy_rx_next(dp->copy, iov) > 0) {
        dp->stats.rx_lost++;
    }
    af_xdp_copy_rx_flush(dp->copy);
}

/*
 * Deliver all that is there and finds room. A turn that finds nothing may have
 * looked at the other one of two sockets; two find a packet without an end.
 */
static void drain(AfXdpDatapath *dp, bool *call)
{
    const AfXdpCopyStats *stats = af_xdp_copy_stats(dp->copy);
    int idle = 0;

    while (idle < 2 && af_xdp_copy_rx_pending(dp->copy)) {
        uint64_t before = stats->rx_packets + stats->rx_malformed;

        if (af_xdp_datapath_rx_fault(dp)) {
            discard(dp);
        } else if (af_xdp_datapath_rx(dp, dp->copy, call) ==
                   AF_XDP_TURN_NO_BUFFERS) {
            /* None is posted, either: these are all in frames. */
            break;
        }
        idle = stats->rx_packets + stats->rx_malformed == before ? idle + 1
                                                                 : 0;
    }
}

void af_xdp_datapath_direct_stop(AfXdpDatapath *dp, bool *call)
{
    dp->rx_direct.stopping = true;
    af_xdp_copy_outside_cover(dp->copy);
    if (dp->rx) {
        drain(dp, call);
    }
    af_xdp_copy_tx_flush(dp->copy);
    if (dp->tx_direct.fifo) {
        direct_tx_reap(dp);
    }
    af_xdp_copy_outside_close(dp->copy);
    if (dp->rx) {
        drain(dp, call);
    }
}

void af_xdp_datapath_direct_end(AfXdpDatapath *dp, bool *call)
{
    af_xdp_datapath_quiesce(dp);
    if (dp->rx_direct.fifo) {
        direct_rx_end(dp);
        *call |= af_xdp_vring_should_call(dp->rx);
    }
    if (dp->tx_direct.fifo) {
        direct_tx_end(dp);
        *call |= af_xdp_vring_should_call(dp->tx);
    }
    af_xdp_copy_outside_end(dp->copy);
}

bool af_xdp_datapath_direct(const AfXdpDatapath *dp)
{
    return dp->rx_direct.fifo || dp->tx_direct.fifo;
}

uint32_t af_xdp_datapath_rx_posted(const AfXdpDatapath *dp)
{
    return dp->rx_direct.n;
}

/*
 * Of the chains numbered below @popped those in @chains are not returned: how
 * many of the last ones can be put back.
 */
static uint32_t unpoppable(uint32_t popped, const DirectChain *chains,
                           uint32_t n)
{
    g_autofree bool *left = g_new0(bool, n);
    uint32_t k = 0;

    for (uint32_t i = 0; i < n; i++) {
        uint32_t from_end = popped - 1 - chains[i].number;

        if (from_end < n) {
            left[from_end] = true;
        }
    }
    while (k < n && left[k]) {
        k++;
    }
    return k;
}

uint32_t direct_give_back(AfXdpVring *vr, Held *held,
                          const DirectChain *chains, uint32_t n, bool unpop)
{
    uint32_t back = unpop ? unpoppable(held->popped, chains, n) : 0;
    uint32_t slots = 0;

    for (uint32_t i = 0; i < n; i++) {
        if (held->popped - 1 - chains[i].number < back) {
            slots += chains[i].n_slots;
        } else {
            af_xdp_vring_push_id(vr, chains[i].id, chains[i].n_slots, 0);
        }
    }
    af_xdp_vring_flush(vr);
    af_xdp_vring_unpop_slots(vr, slots);
    held->popped -= back;
    return n - back;
}

const AfXdpDatapathStats *af_xdp_datapath_stats(const AfXdpDatapath *dp)
{
    return &dp->stats;
}
