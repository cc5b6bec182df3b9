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
    AF_XDP_TX_WAIT,         /* all sent, not all let go of: look again then */
} AfXdpTxState;

/*
 * Pause before the kernel is asked again after it sent nothing (out of
 * buffers, or the device's own queue is full). Time for a 1 Mpps receiver to
 * empty a good third of veth's 256 entry queue, so it never runs dry.
 */
#define AF_XDP_TX_RETRY_NS 100000

/* How many frames a queue has in each direction; as many entries, its rings. */
#define AF_XDP_COPY_RING 2048u
#define AF_XDP_COPY_FRAMES (2 * AF_XDP_COPY_RING)

typedef struct AfXdpCopy AfXdpCopy;

/*
 * af_xdp_copy_new: open one queue.
 * @ifname, @queue: device and queue to bind.
 * @fd: an unbound AF_XDP socket to use instead of a new one, or -1; taken
 *      over on success only.
 * @frame_max: longest Ethernet frame expected, in bytes.
 * @bind: the kind of socket; it is kept for later ones of the queue.
 *
 * Makes a UMEM and a socket of its own and posts frames for reception.
 * Returns NULL and sets @errp on failure.
 */
AfXdpCopy *af_xdp_copy_new(const char *ifname, uint32_t queue, int fd,
                           uint32_t frame_max, AfXdpBind bind, GError **errp);

/* Where af_xdp_copy_move() moves a queue. */
typedef struct AfXdpMove {
    const char *ifname;     /* as the device is called now, for messages */
    int ifindex;            /* what it is: names change hands */
    uint32_t frame_max;     /* longest Ethernet frame expected, in bytes */
    /* Holds AF_XDP_COPY_FRAMES frames; NULL: memory of the queue's own. */
    const AfXdpPlace *place;
    AfXdpCopy *share;       /* has registered that memory, or NULL */
    uint32_t patience;      /* ms until the kernel must have let go; 0: 500 */
    /* Even if driver zero-copy would be better; not if it is a must. */
    bool copy_mode;
} AfXdpMove;

/*
 * af_xdp_copy_move: close the socket, and open another one on other memory.
 * @errp: set on failure.
 *
 * What the old socket held is lost. The new one has another descriptor, which
 * is in no XSKMAP. On failure there is no socket any more: nothing is received
 * or sent until a later move succeeds. That the kernel has let go of all the
 * old memory is sure only after a success. The socket must not be a given one.
 */
bool af_xdp_copy_move(AfXdpCopy *c, const AfXdpMove *move, GError **errp);

/*
 * af_xdp_copy_close: close the socket: from here on all is as after a move that
 * failed, for good or until a move that succeeds.
 */
void af_xdp_copy_close(AfXdpCopy *c);

/* af_xdp_copy_set_bind: the kind of socket that later moves are to make. */
void af_xdp_copy_set_bind(AfXdpCopy *c, AfXdpBind bind);

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

/*
 * Beyond copying: buffers of somebody else, such as the guest's, in the same
 * memory. They go through the rings among our frames:
 *
 *     begin   rx_post(address)... rx_submit   rx_next, rx_outside   ...   end
 *                                 tx_outside  tx_flush  tx_taken
 *
 * The end has three steps, because packets go on arriving meanwhile. In copy
 * mode the XSKMAP must name af_xdp_copy_base_fd() again before the first.
 */

/*
 * af_xdp_copy_outside_begin: from now on only what is posted explicitly is
 * posted. In copy mode this binds a second socket, see
 * af_xdp_socket_open_second(); it belongs into the XSKMAP then.
 *
 * Returns false and sets @errp if that fails; nothing has changed then.
 */
bool af_xdp_copy_outside_begin(AfXdpCopy *c, GError **errp);

/*
 * af_xdp_copy_outside_cover: first step of the end: see that what is posted
 * and not used yet is not used from now on: frames take its place.
 */
void af_xdp_copy_outside_cover(AfXdpCopy *c);

/*
 * af_xdp_copy_outside_close: second step: what was received so far has been
 * read. When this returns, no buffer of others is written to any more, and
 * the last ones to be have been received; read again what is there.
 *
 * In driver zero-copy this and cover do nothing: only af_xdp_copy_move() ends
 * it.
 */
void af_xdp_copy_outside_close(AfXdpCopy *c);

/* af_xdp_copy_outside_end: last step: all is as before the beginning. */
void af_xdp_copy_outside_end(AfXdpCopy *c);

/* af_xdp_copy_is_absent: is there no socket, see af_xdp_copy_move()? */
bool af_xdp_copy_is_absent(const AfXdpCopy *c);

/* af_xdp_copy_is_outside: has it begun, and not ended? */
bool af_xdp_copy_is_outside(const AfXdpCopy *c);

/* af_xdp_copy_base_pending: has that socket received what was not shown? */
bool af_xdp_copy_base_pending(const AfXdpCopy *c);

/* af_xdp_copy_base_fd: the socket that stays. */
int af_xdp_copy_base_fd(const AfXdpCopy *c);

/*
 * af_xdp_copy_rx_post: post a buffer, at the next af_xdp_copy_rx_submit().
 * @addr: where the kernel is to put a packet, less AF_XDP_RX_HEADROOM and the
 *        headroom of the place; it and the AF_XDP_FRAME_SIZE bytes behind it
 *        must be in the place.
 *
 * Returns false if the ring is full.
 */
bool af_xdp_copy_rx_post(AfXdpCopy *c, uint64_t addr);

/* af_xdp_copy_rx_post_frames: post up to @n frames; returns how many. */
uint32_t af_xdp_copy_rx_post_frames(AfXdpCopy *c, uint32_t n);

void af_xdp_copy_rx_submit(AfXdpCopy *c);

/* af_xdp_copy_rx_frames: frames that are posted, or received and not shown. */
uint32_t af_xdp_copy_rx_frames(const AfXdpCopy *c);

/*
 * af_xdp_copy_rx_outside: which pieces of the last packet of
 * af_xdp_copy_rx_next() are not in frames: a bit for each.
 */
uint32_t af_xdp_copy_rx_outside(const AfXdpCopy *c);

/* af_xdp_copy_rx_addr: where piece @i of that packet was posted. */
uint64_t af_xdp_copy_rx_addr(const AfXdpCopy *c, uint32_t i);

/* A piece of a packet to send. */
typedef struct AfXdpSpan {
    uint64_t addr;
    uint32_t len;           /* bytes, 1 to AF_XDP_FRAME_SIZE */
} AfXdpSpan;

/*
 * af_xdp_copy_tx_outside: queue a frame that is sent from where it is.
 * @spans, @n: its pieces, in the place; at most the socket's max_tx_segs.
 * @size: bytes of all of them, at least an Ethernet header.
 *
 * Returns AF_XDP_TX_QUEUED, or AF_XDP_TX_FULL, see af_xdp_copy_tx(). The
 * memory is the kernel's until af_xdp_copy_tx_taken() has passed what
 * af_xdp_copy_tx_queued() is afterwards.
 */
AfXdpTxResult af_xdp_copy_tx_outside(AfXdpCopy *c, const AfXdpSpan *spans,
                                     uint32_t n, uint32_t size);

/* Free running numbers of pieces: queued ever, and of those let go of. */
uint32_t af_xdp_copy_tx_queued(const AfXdpCopy *c);
uint32_t af_xdp_copy_tx_taken(AfXdpCopy *c);

#endif /* NET_AF_XDP_COPY_H */
