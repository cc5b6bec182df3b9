/*
 * AF_XDP: inside of the copying data path: what its files share
 *
 *     af-xdp-copy.c          frames of ours, which packets are copied through
 *     af-xdp-copy-outside.c  buffers of others among them
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef NET_AF_XDP_COPY_INT_H
#define NET_AF_XDP_COPY_INT_H

#include "net/af-xdp-copy.h"
#include "net/af-xdp-uapi.h"

/*
 * Packets that may wait in each direction while QEMU's main loop is busy
 * elsewhere: 2 ms of 1 Mpps. There are as many frames as ring entries, so no
 * ring can be overrun.
 */
#define RING_SIZE AF_XDP_COPY_RING

/* Ring entries that are looked at, and frames that are moved, at a time. */
#define BATCH 64

struct AfXdpCopy {
    AfXdpSocket *sock;
    AfXdpUmem *umem;
    char *area;                 /* the UMEM's memory */
    uint64_t size;              /* ... in bytes */
    struct xsk_ring_cons *rx;   /* what is being read: one of the socket's */
    bool outside;               /* others post buffers, too */
    uint32_t rx_posting;        /* fill entries not submitted */
    uint32_t rx_peeked;         /* descriptors there and not released */
    uint32_t rx_seen;           /* those of them that were shown */
    uint32_t rx_last;           /* those of the last packet among these */
    uint32_t rx_last_bytes;
    uint32_t tx_gathered;       /* descriptors the kernel does not see yet */
    bool tx_pause;              /* the kernel is not to be asked just now */
    uint32_t tx_queued;         /* descriptors ever, free running */
    uint32_t tx_completed;      /* those of them that came back */
    uint32_t rx_outside;        /* pieces of the last packet, by bit */
    uint64_t rx_addr[AF_XDP_MAX_SEGS];
    AfXdpCopyStats stats;

    /* Control only. */
    uint32_t queue;
    AfXdpBind bind;
    bool covered;               /* frames may be nowhere: see rx_reclaim() */
};

/* Post frames if nobody else posts; submit whatever is posted. */
void copy_rx_refill(AfXdpCopy *c);

/* See which of two sockets is to be read next. */
void copy_rx_choose(AfXdpCopy *c);

/* Let the kernel see what was gathered. */
void copy_tx_submit(AfXdpCopy *c);

/* Take back what was sent. */
void copy_tx_reap(AfXdpCopy *c);

/* No room: send, unless a pause is due, and take back what was sent. */
void copy_tx_make_room(AfXdpCopy *c);

#endif /* NET_AF_XDP_COPY_INT_H */
