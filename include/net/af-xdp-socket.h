/*
 * AF_XDP: one socket, bound to one queue of a network device
 *
 * An AF_XDP socket has four rings, shared with the kernel; libxdp's verbs in
 * <xdp/xsk.h> operate them (reserve/submit to produce, peek/release to
 * consume) and hold the memory barriers, which pair with those drawn in
 * net/xdp/xsk_queue.h of the kernel:
 *
 *      fill  ---> kernel ---> rx      empty frames in, received packets out
 *      tx    ---> kernel ---> comp    packets to send in, sent frames out
 *
 * This room opens the socket, registers a UMEM with it, binds it in the best
 * mode that the device offers, and knows when the kernel needs a system call
 * to make progress. It loads no XDP program; see ebpf/ebpf_af_xdp.h.
 *
 * Threads: not locked; one thread at a time. Those of different queues share no
 * cache line (af-xdp-lines.h).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef NET_AF_XDP_SOCKET_H
#define NET_AF_XDP_SOCKET_H

#include <xdp/xsk.h>
#include "net/af-xdp-umem.h"

/*
 * Most descriptors of a received packet: one for the linear part and one for
 * each of the MAX_SKB_FRAGS (17) fragments of an skb. A sent packet takes one
 * less on devices that refuse a linear part (IFF_TX_SKB_NO_LINEAR, see
 * xsk_build_skb() in net/xdp/xsk.c).
 */
#define AF_XDP_MAX_SEGS 18u
#define AF_XDP_MAX_TX_SEGS 17u

/* An Ethernet header and one VLAN tag travel beside the MTU. */
#define AF_XDP_FRAME_OVERHEAD (14u + 4u)

/* Which kind of socket is wanted. */
typedef enum AfXdpBind {
    AF_XDP_BIND_COPY,       /* copy mode */
    AF_XDP_BIND_BEST,       /* driver zero-copy, and copy mode if it fails */
    AF_XDP_BIND_ZERO_COPY,  /* driver zero-copy or nothing */
} AfXdpBind;

typedef struct AfXdpSocket AfXdpSocket;

typedef struct AfXdpSocketConfig {
    const char *ifname;     /* device, in the current network namespace */
    uint32_t queue;         /* queue of the device */
    int fd;                 /* an unbound AF_XDP socket to use, or -1 */
    uint32_t rx_size;       /* entries of the fill and rx rings, power of 2 */
    uint32_t tx_size;       /* entries of the tx and comp rings, power of 2 */
    uint32_t frame_max;     /* longest frame expected, in bytes */
    AfXdpBind bind;
    uint32_t patience;      /* ms to wait for a queue that is busy; 0: 500 */
    int ifindex;            /* of the device, if it is known; else 0 */
    bool again;             /* memory that was let go of may count as locked */
    AfXdpSocket *share;     /* has registered the same memory, or NULL */
} AfXdpSocketConfig;

/* Mappings of one socket's rings. */
typedef struct AfXdpRingMap {
    void *at;
    size_t size;
} AfXdpRingMap;

struct AfXdpSocket {
    struct xsk_ring_prod fill;
    struct xsk_ring_cons rx;
    struct xsk_ring_prod tx;
    struct xsk_ring_cons comp;

    int fd;                 /* for poll() and an XSKMAP; owned by the socket */
    bool zero_copy;         /* bound in driver zero-copy mode */
    bool multi_buffer;      /* packets may span frames, both ways */
    uint32_t max_tx_segs;   /* most frames one sent packet may take */
    uint32_t rx_room;       /* most bytes that one frame receives */

    /* Of the socket that was bound first, while there is a second one. */
    int base_fd;            /* -1: there is none */
    struct xsk_ring_cons base_rx;
    struct xsk_ring_prod base_tx;

    /* What was counted for sockets before, see af_xdp_socket_stats(). */
    uint64_t rx_dropped;
    uint64_t tx_invalid;

    AfXdpRingMap map[6];
    int ifindex;                /* 0: bound to nothing */
    uint32_t queue;
};

/*
 * af_xdp_socket_new: open, register @umem, bind.
 * @config: what to bind. @config->fd is taken over on success only: after
 *          a failure it is as it was, for it may be somebody's mistake.
 *          With @config->share nothing is registered, @umem must be in the
 *          same memory, and the mode is the other socket's.
 * @umem: must outlive the socket.
 * @errp: set on failure; the code is the errno of the step that failed.
 *
 * Modes are tried from the best down: driver zero-copy if wanted (with
 * multi-buffer only when @config->frame_max needs it), copy mode with
 * multi-buffer (kernel >= 6.6), plain copy mode. A bind that is refused with
 * EBUSY is repeated for a while, since the kernel takes tens of milliseconds
 * to let go of a zero-copy socket closed before. In memory that is somebody
 * else's, driver zero-copy and multi-buffer never meet: drivers keep notes
 * behind the data of such frames (skb_shared_info), and trust them.
 *
 * Returns NULL and leaves nothing behind on failure, also when no mode that
 * works can carry a frame of @config->frame_max bytes.
 */
AfXdpSocket *af_xdp_socket_new(const AfXdpSocketConfig *config,
                               AfXdpUmem *umem, GError **errp);

/*
 * af_xdp_socket_absent: a socket that is bound to nothing: it receives
 * nothing, takes nothing, and says that the device is down. For who must have
 * one. Returns NULL if there is no file descriptor for it.
 */
AfXdpSocket *af_xdp_socket_absent(void);

/*
 * af_xdp_socket_open_second: bind another socket to the same queue.
 * @errp: set on failure; nothing has changed then.
 *
 * The two share the fill and comp rings, each has rx and tx rings. @s->rx,
 * @s->tx and @s->fd are the second one's from here on, those of the first are
 * kept: what comes to it in @s->base_rx. Closing the second one is a barrier:
 * afterwards no packet is on its way from the fill ring that was taken before
 * (the kernel waits for all readers of its sockets, xsk_unbind_dev() in
 * net/xdp/xsk.c). For copy mode only.
 */
bool af_xdp_socket_open_second(AfXdpSocket *s, GError **errp);

/*
 * af_xdp_socket_close_second: the end of that, if it was opened. What is left
 * in its rings is lost, so empty them before.
 */
void af_xdp_socket_close_second(AfXdpSocket *s);

/*
 * af_xdp_socket_try: would the kernel take this memory? Registers it, and
 * lets it go again; that takes as long as it takes, 0.1 s per GiB, say.
 */
bool af_xdp_socket_try(const AfXdpPlace *place, GError **errp);

/*
 * af_xdp_socket_free: unmap the rings, then close. @s may be NULL.
 *
 * In copy mode the kernel writes nothing to the UMEM after that; in driver
 * zero-copy it may write received packets for some more milliseconds. Frames
 * that were sent may still be read.
 */
void af_xdp_socket_free(AfXdpSocket *s);

/*
 * af_xdp_socket_check_mtu: can frames of @frame_max bytes be received?
 * @room: bytes that one buffer receives.
 * @multi_buffer: whether packets may span frames.
 *
 * Returns false and sets @errp (EMSGSIZE, naming the largest MTU that fits)
 * if they cannot.
 */
bool af_xdp_socket_check_mtu(const char *ifname, uint32_t queue,
                             uint32_t frame_max, uint32_t room,
                             bool multi_buffer, GError **errp);

/*
 * af_xdp_socket_kick_tx: one system call to make the kernel send what is in
 * the tx ring, if it needs one.
 *
 * Returns 0, or a negative errno: EAGAIN (more remains), EBUSY (the device
 * dropped a frame), ENOBUFS, ENETDOWN (device down), ENXIO (device gone)...
 */
int af_xdp_socket_kick_tx(AfXdpSocket *s);

/*
 * af_xdp_socket_probe: would the kernel send now? One system call, which may
 * make a driver look at its rings; nothing else happens. While another thread
 * uses the socket this may be called as well.
 *
 * Returns 0, -ENETDOWN (the device is down, or the one behind it), or -ENXIO
 * (the socket has lost its device).
 */
int af_xdp_socket_probe(const AfXdpSocket *s);

/*
 * af_xdp_socket_kick_rx: tell the kernel that the fill ring has entries
 * again, if it asked to be told.
 */
void af_xdp_socket_kick_rx(AfXdpSocket *s);

/* Entries in the tx ring that the kernel has not consumed yet. */
uint32_t af_xdp_socket_tx_pending(const AfXdpSocket *s);

/*
 * af_xdp_socket_error: the error that woke poll() with POLLERR, as a
 * positive errno, or 0. Reading it clears it.
 */
int af_xdp_socket_error(AfXdpSocket *s);

/*
 * af_xdp_socket_stats: what the kernel counted.
 * @rx_dropped: frames dropped because the fill or rx ring had no room, or
 *              because they did not fit a frame.
 * @tx_invalid: descriptors of ours that the kernel refused; a bug if not 0.
 *
 * Returns false if the kernel does not say.
 */
bool af_xdp_socket_stats(const AfXdpSocket *s, uint64_t *rx_dropped,
                         uint64_t *tx_invalid);

#endif /* NET_AF_XDP_SOCKET_H */
