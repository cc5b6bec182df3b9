/*
 * AF_XDP: the copying data path of one queue
 *
 * Packets arrive and leave as I/O vectors, the form that QEMU's net layer
 * speaks, so this path serves every NIC model. One copy each way:
 *
 *   receive: rx_next() shows each packet where the kernel put it, the caller
 *            copies it to the guest, rx_flush() recycles the whole batch;
 *   send:    tx() gathers a packet straight into free frames,
 *            tx_flush() hands all gathered packets to the kernel at once.
 *
 * Nothing is allocated, logged or locked per packet, and the kernel is
 * entered once per batch.
 *
 * Threads: not locked; one thread at a time. Those of different queues share no
 * cache line (af-xdp-lines.h).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef NET_AF_XDP_COPY_H
#define NET_AF_XDP_COPY_H

#include <sys/uio.h>
#include "net/af-xdp-socket.h"

/* What a queue counts: field, and name in "info network". */
#define AF_XDP_COPY_COUNTERS(X)                                         \
    X(rx_packets,    "rx")              /* handed to the caller */      \
    X(rx_bytes,      "rx-bytes")                                        \
    X(rx_malformed,  "rx-malformed")    /* descriptors make no packet */\
    X(tx_packets,    "tx")              /* handed to the kernel */      \
    X(tx_bytes,      "tx-bytes")                                        \
    X(tx_oversize,   "tx-oversize")     /* too long for this socket */  \
    X(tx_runt,       "tx-runt")         /* no room for its header */    \
    X(tx_refused,    "tx-refused")      /* dropped by the device */

typedef struct AfXdpCopyStats {
#define AF_XDP_COPY_FIELD(field, name) uint64_t field;
    AF_XDP_COPY_COUNTERS(AF_XDP_COPY_FIELD)
#undef AF_XDP_COPY_FIELD
} AfXdpCopyStats;

/* What became of a packet given to af_xdp_copy_tx(). */
typedef enum AfXdpTxResult {
    AF_XDP_TX_QUEUED,       /* gathered; the packet's memory is free again */
    AF_XDP_TX_FULL,         /* no room now: keep it, send it again later */
    AF_XDP_TX_DROPPED,      /* can never be sent; counted */
} AfXdpTxResult;

/* What af_xdp_copy_tx_flush() left to do. */
typedef enum AfXdpTxState {
    AF_XDP_TX_IDLE,         /* the kernel needs no more calls */
    AF_XDP_TX_POLL,         /* flush again when the socket is writable */
    AF_XDP_TX_RETRY,        /* flush again after AF_XDP_TX_RETRY_NS */
    AF_XDP_TX_DOWN,         /* device down or gone: wait until it is back */
} AfXdpTxState;

/*
 * Pause before the kernel is asked again after it sent nothing (out of
 * buffers, or the device's own queue is full). Time for a 1 Mpps receiver to
 * empty a good third of veth's 256 entry queue, so it never runs dry.
 */
#define AF_XDP_TX_RETRY_NS 100000

typedef struct AfXdpCopy AfXdpCopy;

/*
 * af_xdp_copy_new: open one queue.
 * @ifname, @queue: device and queue to bind.
 * @fd: an unbound AF_XDP socket to use instead of a new one, or -1; taken
 *      over on success only.
 * @frame_max: longest Ethernet frame expected, in bytes.
 * @zero_copy: whether driver zero-copy may be tried.
 *
 * Makes a UMEM and a socket of its own and posts frames for reception.
 * Returns NULL and sets @errp on failure.
 */
AfXdpCopy *af_xdp_copy_new(const char *ifname, uint32_t queue, int fd,
                           uint32_t frame_max, bool zero_copy, GError **errp);

/* af_xdp_copy_free: close the socket, return the memory. NULL is allowed. */
void af_xdp_copy_free(AfXdpCopy *c);

/* The queue's socket, for its descriptor, its mode and its statistics. */
AfXdpSocket *af_xdp_copy_socket(AfXdpCopy *c);

/* The queue's frames, to see where they are. */
const AfXdpUmem *af_xdp_copy_umem(const AfXdpCopy *c);

const AfXdpCopyStats *af_xdp_copy_stats(const AfXdpCopy *c);

/*
 * af_xdp_copy_rx_next: look at the next received packet.
 * @iov: receives up to AF_XDP_MAX_SEGS pieces; they stay valid until
 *       af_xdp_copy_rx_flush().
 *
 * Returns the number of pieces, or 0 when no whole packet is there.
 */
uint32_t af_xdp_copy_rx_next(AfXdpCopy *c, struct iovec *iov);

/* af_xdp_copy_rx_pending: has the kernel received anything not yet shown? */
bool af_xdp_copy_rx_pending(const AfXdpCopy *c);

/*
 * af_xdp_copy_rx_back: put the packet of the last af_xdp_copy_rx_next() back,
 * to be returned by the next one. At most once after each.
 */
void af_xdp_copy_rx_back(AfXdpCopy *c);

/*
 * af_xdp_copy_rx_flush: give all packets seen since the last call back to
 * the kernel and post fresh frames.
 */
void af_xdp_copy_rx_flush(AfXdpCopy *c);

/*
 * af_xdp_copy_tx: gather one Ethernet frame for sending.
 * @iov, @n: its pieces; any number, any length, zero included.
 *
 * Returns what became of it. The kernel sees it at the next
 * af_xdp_copy_tx_flush(). When this returns AF_XDP_TX_FULL it has flushed
 * and found no room still, or a flush has just asked for a pause.
 */
AfXdpTxResult af_xdp_copy_tx(AfXdpCopy *c, const struct iovec *iov, int n);

/*
 * af_xdp_copy_tx_part: the same for a part of a vector.
 * @skip: bytes before the frame begins.
 * @size: bytes of the frame. @iov must have @skip + @size at least.
 */
AfXdpTxResult af_xdp_copy_tx_part(AfXdpCopy *c, const struct iovec *iov,
                                  size_t skip, size_t size);

/*
 * af_xdp_copy_tx_flush: make the kernel send what was gathered, take back
 * frames that were sent. Returns what the caller has to do next.
 */
AfXdpTxState af_xdp_copy_tx_flush(AfXdpCopy *c);

/*
 * af_xdp_copy_tx_ready: is there room for a packet of any legal size?
 * A sender that met AF_XDP_TX_FULL should be woken when this is true.
 */
bool af_xdp_copy_tx_ready(AfXdpCopy *c);

#endif /* NET_AF_XDP_COPY_H */
