/*
 * AF_XDP: packets between one queue pair's virtqueues and its socket
 *
 * The fast path's inner loop. Sockets and frames are those of the copying
 * path (af-xdp-copy.h), the net layer is replaced by the guest's rings:
 *
 *     receive virtqueue  <---- rx() ----  fill and rx rings
 *     transmit virtqueue ----- tx() --->  tx and completion rings
 *
 * Each call is one turn: a bounded number of packets and bytes, one look for
 * the guest's buffers per burst, one publication of used buffers, one kick.
 * Packets are copied once, in guest_write() and af_xdp_copy_tx().
 *
 * Or not at all: with direct buffers (guest zero-copy) the socket's UMEM holds
 * guest RAM, the guest's receive buffers are posted to the fill ring as they
 * are, and its packets sent from where they are. Frames of our own take what
 * that does not fit, so that nothing is lost by it.
 *
 * A guest's fault stops that ring only; what was taken from it is given back.
 *
 * Threads: not locked; one thread at a time. Those of different queues share no
 * cache line (af-xdp-lines.h).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef NET_AF_XDP_DATAPATH_H
#define NET_AF_XDP_DATAPATH_H

#include "net/af-xdp-copy.h"
#include "net/af-xdp-vring.h"

/* What a turn left to do. */
typedef enum AfXdpTurn {
    AF_XDP_TURN_DONE,       /* nothing more to do now */
    AF_XDP_TURN_MORE,       /* the quota ended it: take another turn */
    AF_XDP_TURN_NO_BUFFERS, /* rx: packets wait, the guest has no buffer */
    AF_XDP_TURN_NO_ROOM,    /* tx: packets wait, the socket has no room */
    AF_XDP_TURN_FAULT,      /* the guest broke its ring: it is stopped */
    AF_XDP_TURN_LOW,        /* rx: done, but few direct buffers are left */
} AfXdpTurn;

/* What a queue pair counts beside what its socket counts. */
#define AF_XDP_DATAPATH_COUNTERS(X)                                     \
    X(rx_no_buffer,  "rx-no-buffer")    /* turns ended for want of any */\
    X(rx_too_long,   "rx-too-long")     /* packets that fit no buffer */ \
    X(rx_calls,      "rx-calls")        /* interrupts asked for */       \
    X(tx_calls,      "tx-calls")                                        \
    /* With direct buffers: packets received in them, or copied, because */ \
    X(rx_direct,     "rx-direct")                                       \
    X(rx_early,      "rx-copied-early")     /* no buffer was known yet */ \
    X(rx_short,      "rx-copied-short")     /* buffers are too short */ \
    X(rx_chain,      "rx-copied-chain")     /* ... in too many pieces */ \
    X(rx_outside,    "rx-copied-outside")   /* ... not in the window */ \
    X(rx_page,       "rx-copied-page")      /* ... across two pages */  \
    X(rx_mixed,      "rx-copied-mixed")     /* part of it was copied */ \
    X(rx_lost,       "rx-lost")             /* no room left for it */   \
    X(tx_direct,     "tx-direct")                                       \
    X(tx_pieces,     "tx-copied-pieces")    /* many, or cheaper so */   \
    X(tx_outside,    "tx-copied-outside")                               \
    X(tx_lost,       "tx-lost")             /* unsent at a stop */

typedef struct AfXdpDatapathStats {
#define AF_XDP_DATAPATH_FIELD(field, name) uint64_t field;
    AF_XDP_DATAPATH_COUNTERS(AF_XDP_DATAPATH_FIELD)
#undef AF_XDP_DATAPATH_FIELD
} AfXdpDatapathStats;

typedef struct AfXdpDatapath AfXdpDatapath;

/*
 * af_xdp_datapath_new: join rings and socket.
 * @copy: the queue's socket; not owned.
 * @rx, @tx: the virtqueues; either may be NULL if the guest does not use it.
 *           Not owned.
 * @features: as negotiated; MRG_RXBUF and VERSION_1 are looked at.
 */
AfXdpDatapath *af_xdp_datapath_new(AfXdpCopy *copy, AfXdpVring *rx,
                                   AfXdpVring *tx, uint64_t features);

/*
 * af_xdp_datapath_free: NULL is allowed. af_xdp_datapath_quiesce() must have
 * been called, or buffers of the guest are lost.
 */
void af_xdp_datapath_free(AfXdpDatapath *dp);

/*
 * af_xdp_datapath_quiesce: give back to the rings what was taken from them
 * and not used, publish what was used. Turns may go on afterwards.
 */
void af_xdp_datapath_quiesce(AfXdpDatapath *dp);

/* What direct buffers are made of. */
typedef struct AfXdpDirectConfig {
    char *area;             /* the socket's registered memory: a window */
    uint64_t size;          /* ... in bytes */
    uint64_t front;         /* of which so many are not guest RAM */
    uint32_t headroom;      /* as registered */
    /*
     * Bytes behind the header that a receive buffer must have: no less than
     * the kernel may write.
     */
    uint32_t room;
    /*
     * Driver zero-copy: bytes that are contiguous for a device; neither what
     * is posted nor what is sent may cross a multiple of it. 0: no matter.
     */
    uint64_t page_size;
    bool rx;                /* post receive buffers */
    bool tx;                /* send from where the guest has it */
    uint32_t spare;         /* receive buffers to leave to other sockets */
} AfXdpDirectConfig;

/*
 * af_xdp_datapath_direct_begin: use the guest's buffers from now on. The
 * guest memory table of the rings must name addresses in @config->area for
 * what is to be used, and af_xdp_copy_outside_begin() must have succeeded.
 */
void af_xdp_datapath_direct_begin(AfXdpDatapath *dp,
                                  const AfXdpDirectConfig *config);

/*
 * af_xdp_datapath_direct_stop: deliver what has arrived, then see that nothing
 * more is written to the guest's buffers. In copy mode that is so when this
 * returns; in driver zero-copy when an af_xdp_copy_move() that follows has
 * succeeded.
 * @call: set to true if the guest is to be interrupted, else left alone.
 */
void af_xdp_datapath_direct_stop(AfXdpDatapath *dp, bool *call);

/*
 * af_xdp_datapath_direct_end: after that: give all buffers back. Those that
 * can be are put back into the available ring, the rest is returned empty.
 */
void af_xdp_datapath_direct_end(AfXdpDatapath *dp, bool *call);

/* af_xdp_datapath_direct: are direct buffers in use? */
bool af_xdp_datapath_direct(const AfXdpDatapath *dp);

/* af_xdp_datapath_rx_posted: receive buffers of the guest that are posted. */
uint32_t af_xdp_datapath_rx_posted(const AfXdpDatapath *dp);

/*
 * af_xdp_datapath_rx_refill: post what the guest has made available; every
 * turn does so at its end. Returns AF_XDP_TURN_DONE, _LOW or _FAULT.
 */
AfXdpTurn af_xdp_datapath_rx_refill(AfXdpDatapath *dp);

/*
 * af_xdp_datapath_rx: deliver received packets.
 * @from: the socket to take them from: the queue pair's own, or that of
 *        a queue that the guest does not drive.
 * @call: set to true if the guest is to be interrupted, else left alone.
 */
AfXdpTurn af_xdp_datapath_rx(AfXdpDatapath *dp, AfXdpCopy *from, bool *call);

/*
 * af_xdp_datapath_tx: send what the guest made available.
 * @call: as above.
 * @state: what the socket needs next, see AfXdpTxState.
 */
AfXdpTurn af_xdp_datapath_tx(AfXdpDatapath *dp, bool *call,
                             AfXdpTxState *state);

const AfXdpDatapathStats *af_xdp_datapath_stats(const AfXdpDatapath *dp);

/*
 * af_xdp_datapath_rx_fault, af_xdp_datapath_tx_fault: what the guest did wrong
 * in that ring, in words, or NULL. The ring takes no more turns then.
 */
const char *af_xdp_datapath_rx_fault(const AfXdpDatapath *dp);
const char *af_xdp_datapath_tx_fault(const AfXdpDatapath *dp);

#endif /* NET_AF_XDP_DATAPATH_H */
