/*
 * AF_XDP: inside of the data path: what its files share
 *
 *     af-xdp-datapath.c    turns, and packets that are copied
 *     af-xdp-direct-rx.c   receive buffers of the guest that are posted
 *     af-xdp-direct-tx.c   packets that are sent from guest memory
 *
 * Every chain that was taken from a receive virtqueue is in one place:
 *
 *     pop                post                     packet, end
 *   ------> Held.elems -------> DirectRx.fifo ---------------> push, unpop
 *              |                   ^
 *              |  a copied packet  | was not needed
 *              +-----------------> push
 *
 * A buffer of the guest is posted behind frames of ours only while there are
 * more chains, in Held or not taken yet, than such frames: so whatever arrives
 * first can be delivered, and packets never wait for a buffer that is posted
 * behind them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef NET_AF_XDP_DATAPATH_INT_H
#define NET_AF_XDP_DATAPATH_INT_H

#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include "net/af-xdp-datapath.h"

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
    uint32_t popped;            /* chains ever taken and not put back */
    AfXdpVringPool pool;
    struct iovec iov[POOL_SIZE];
    uint64_t gpa[POOL_SIZE];
} Held;

/* Why a receive buffer is not posted. */
typedef enum DirectFit {
    FIT_OK,
    FIT_UNKNOWN,
    FIT_SHORT,
    FIT_CHAIN,
    FIT_OUTSIDE,
    FIT_PAGE,
} DirectFit;

/* What it takes to return a chain. */
typedef struct DirectChain {
    uint32_t number;            /* the how many-th chain popped, from 0 */
    uint16_t id;
    uint16_t n_slots;
} DirectChain;

/* A receive buffer of the guest: where its header and its data begin. */
typedef struct DirectBuf {
    uint64_t addr;              /* as posted; DIRECT_NONE: taken out */
    char *header;
    char *data;
    uint64_t header_gpa;
    uint64_t data_gpa;
    uint32_t data_len;          /* bytes in that piece */
    DirectChain chain;
} DirectBuf;

#define DIRECT_NONE UINT64_MAX

/*
 * What is posted, in that order, which is the order in which it comes back,
 * too, but for what the kernel has kept for itself for a while.
 */
typedef struct DirectRx {
    DirectBuf *fifo;
    uint32_t mask;
    uint32_t head;
    uint32_t tail;
    uint32_t next;              /* what should come next */
    uint32_t n;                 /* posted; the rest up to tail was taken out */
    bool stopping;              /* post no more */
    DirectFit why;              /* of what is posted as frames */
    char *scratch;              /* for a packet that is put together */
} DirectRx;

/* A chain of a transmit virtqueue that the kernel may still read. */
typedef struct DirectSent {
    uint32_t end;               /* af_xdp_copy_tx_queued() behind it */
    DirectChain chain;
} DirectSent;

typedef struct DirectTx {
    DirectSent *fifo;
    uint32_t mask;
    uint32_t head;
    uint32_t tail;
} DirectTx;

typedef enum Delivery {
    DELIVERED,
    NO_BUFFER,      /* not yet: give the packet back */
    TOO_LONG,       /* never */
    BAD_BUFFER,     /* the guest's fault */
} Delivery;

struct AfXdpDatapath {
    AfXdpCopy *copy;
    AfXdpVring *rx;
    AfXdpVring *tx;
    uint32_t hdr_len;
    bool mergeable;
    const char *rx_fault;       /* found here, not by the ring */
    const char *tx_fault;
    AfXdpDatapathStats stats;
    AfXdpDirectConfig direct;
    DirectRx rx_direct;         /* in use if fifo is not NULL */
    DirectTx tx_direct;
    Held rx_held;
    Held tx_held;
};

/* See that there are unused chains in @held; false if the guest has none. */
static inline bool held_refill(Held *held, AfXdpVring *vr)
{
    if (held->next < held->n) {
        return true;
    }
    held->pool.n = 0;
    held->next = 0;
    held->n = af_xdp_vring_pop(vr, held->elems, BURST, &held->pool);
    held->popped += held->n;
    return held->n > 0;
}

/* To return chain held->next. */
static inline DirectChain held_chain(const Held *held)
{
    const AfXdpVringElem *elem = &held->elems[held->next];

    return (DirectChain) {
        .number = held->popped - (held->n - held->next),
        .id = elem->id,
        .n_slots = elem->n_slots,
    };
}

/* Put back what was not used, publish what was. */
void held_return(Held *held, AfXdpVring *vr);

/*
 * The header, then the packet @from, into @n_elems chains, which are large
 * enough.
 */
void guest_write(const AfXdpDatapath *dp, const AfXdpVringElem *elems,
                 uint32_t n_elems, const struct iovec *from, uint32_t n_from);

/* Write a header in one piece. */
static inline void header_write(const AfXdpDatapath *dp, char *to,
                                uint16_t num_buffers)
{
    const uint16_t n = htole16(num_buffers);

    /* All is 0 but num_buffers, which is the last. */
    memset(to, 0, HDR_LEN);
    if (likely(dp->hdr_len > HDR_LEN)) {
        memcpy(to + HDR_LEN, &n, sizeof(n));
    }
}

/* Did any of the last packet from @from come in a buffer of the guest? */
static inline bool direct_received(const AfXdpDatapath *dp,
                                   const AfXdpCopy *from)
{
    return dp->rx_direct.fifo && from == dp->copy &&
           af_xdp_copy_rx_outside(from);
}

/* Deliver such a packet; false if it was lost. */
bool direct_rx_deliver(AfXdpDatapath *dp, const struct iovec *iov, uint32_t n);

/* A packet in frames was delivered: count why. */
void direct_rx_copied(AfXdpDatapath *dp);

void direct_rx_begin(AfXdpDatapath *dp);
void direct_rx_end(AfXdpDatapath *dp);

/*
 * Send the packet of @elem from where it is. Returns false, and has done
 * nothing, if it is to be copied; else what became of it.
 */
bool direct_tx_send(AfXdpDatapath *dp, const AfXdpVringElem *elem,
                    AfXdpTxResult *result);

/* Push what the kernel has let go of; true if it still has some. */
bool direct_tx_reap(AfXdpDatapath *dp);

void direct_tx_begin(AfXdpDatapath *dp);
void direct_tx_end(AfXdpDatapath *dp);

/* Driver zero-copy: does a device find this in one piece? */
static inline bool direct_in_page(const AfXdpDirectConfig *direct, uint64_t at,
                                  uint32_t len)
{
    at -= direct->front;
    return !direct->page_size ||
           at / direct->page_size == (at + len - 1) / direct->page_size;
}

/*
 * Return @n @chains, which were popped and not pushed, at the end.
 * @unpop: those popped last, as far as all are among these, are put back as if
 *         they had never been popped.
 *
 * Returns how many were pushed, with nothing in them.
 */
uint32_t direct_give_back(AfXdpVring *vr, Held *held,
                          const DirectChain *chains, uint32_t n, bool unpop);

#endif /* NET_AF_XDP_DATAPATH_INT_H */
