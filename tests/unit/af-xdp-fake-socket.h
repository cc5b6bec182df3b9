/*
 * AF_XDP: a socket without a kernel, for tests of what stands on it
 *
 * This takes the place of net/af-xdp-socket.c: a program linked with it has
 * the same af_xdp_socket_*(), with rings in plain memory, and plays the
 * kernel itself. So the data path runs as it is, without root, and its tests
 * decide what the kernel does and when:
 *
 *      fill --> receive() --> rx           the test's packets
 *      tx ----> kick -------> in flight ---- complete() ---> comp
 *
 * A kick sends everything and completes it at once, unless told otherwise.
 * Descriptors are checked as the kernel checks them. With a second socket
 * (af_xdp_socket_open_second()) @to_base says which of the two the XSKMAP
 * names.
 *
 * Threads: one.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef AF_XDP_FAKE_SOCKET_H
#define AF_XDP_FAKE_SOCKET_H

#include "net/af-xdp-socket.h"

/* What a kick does once; then it is as if there had been none. */
typedef struct AfXdpFakeKick {
    int result;             /* 0 or a negative errno */
    uint32_t budget;        /* frames that it sends at most */
} AfXdpFakeKick;

/* What was taken from a tx ring of a packet whose end was not. */
typedef struct AfXdpFakeHalf {
    uint64_t addrs[AF_XDP_MAX_TX_SEGS];
    uint32_t n;
} AfXdpFakeHalf;

typedef struct AfXdpFakeSocket {
    AfXdpSocket sock;

    /* The test may change these at any time. */
    bool late;              /* frames stay in flight until complete() */
    bool to_base;           /* packets go to the first of two sockets */
    bool fail_second;       /* the next second socket cannot be opened */
    /* What was taken from the fill ring shows when the packet does. */
    bool lazy;
    /* Called while the second socket closes: the last of its packets. */
    void (*closing)(void *opaque);
    AfXdpFakeKick *kicks;   /* what the next kicks do; NULL: send it all */
    uint32_t n_kicks;
    /* Called for each descriptor sent, with its data. NULL is allowed. */
    void (*sent)(void *opaque, const struct xdp_desc *desc, const void *data);
    void *opaque;           /* of both */

    /* What happened. */
    uint64_t kicked;        /* system calls for sending */
    uint64_t tx_packets;    /* whole packets sent */
    uint64_t tx_invalid;    /* descriptors that the kernel would refuse */
    uint32_t n_in_flight;

    /* The kernel's side. */
    char *area;
    uint64_t size;          /* of the area, in bytes */
    uint32_t headroom;
    bool unaligned;         /* buffers may be at any address */
    uint64_t *in_flight;    /* addresses, oldest first */
    AfXdpFakeHalf half, base_half;  /* of each of the sockets */
    uint32_t fill_cons, comp_prod;
} AfXdpFakeSocket;

/*
 * af_xdp_fake_limit: sizes of the rings of sockets made from now on, instead
 * of what is asked for; powers of two, 0 for no limit.
 */
void af_xdp_fake_limit(uint32_t rx_size, uint32_t tx_size);

/* af_xdp_fake_driver_zero_copy: sockets made from now on are bound in it. */
void af_xdp_fake_driver_zero_copy(bool on);

/* The fake behind a socket. */
AfXdpFakeSocket *af_xdp_fake(AfXdpSocket *s);

/*
 * af_xdp_fake_receive: a packet arrives.
 * @data, @len: its bytes; @data may be NULL: nothing is written.
 * @piece: longest piece, at most the socket's rx_room; a longer packet takes
 *         more frames.
 *
 * Returns false, and drops it, if frames or room in the rx ring are wanting.
 */
bool af_xdp_fake_receive(AfXdpFakeSocket *f, const void *data, uint32_t len,
                         uint32_t piece);

/* af_xdp_fake_rx: a descriptor of any content, as no kernel would make it. */
bool af_xdp_fake_rx(AfXdpFakeSocket *f, uint64_t addr, uint32_t len,
                    uint32_t options);

/*
 * af_xdp_fake_taken: the same as af_xdp_fake_receive() for a packet whose
 * buffers the kernel took before: @addrs are those, by af_xdp_fake_take().
 */
bool af_xdp_fake_taken(AfXdpFakeSocket *f, const uint64_t *addrs,
                       const void *data, uint32_t len, uint32_t piece);

/*
 * af_xdp_fake_take: take up to @n entries from the fill ring, as a driver does
 * long before packets arrive. Those that the kernel refuses are thrown away.
 * Returns how many there are.
 */
uint32_t af_xdp_fake_take(AfXdpFakeSocket *f, uint64_t *addrs, uint32_t n);

/*
 * af_xdp_fake_complete: up to @n frames in flight are completed, the oldest
 * first. Returns how many: the comp ring may be full.
 */
uint32_t af_xdp_fake_complete(AfXdpFakeSocket *f, uint32_t n);

/* af_xdp_fake_comp: a completion of any address. */
bool af_xdp_fake_comp(AfXdpFakeSocket *f, uint64_t addr);

/* Entries that wait in the rings: for the kernel, and for the other side. */
uint32_t af_xdp_fake_in_fill(const AfXdpFakeSocket *f);
uint32_t af_xdp_fake_in_rx(const AfXdpFakeSocket *f);
uint32_t af_xdp_fake_in_comp(const AfXdpFakeSocket *f);

/* Is no frame of @umem in two places of the four rings and in flight? */
bool af_xdp_fake_frames_once(const AfXdpFakeSocket *f, const AfXdpUmem *umem);

/* Whole packets that wait in the rx ring. */
uint32_t af_xdp_fake_packets_in_rx(const AfXdpFakeSocket *f);

#endif /* AF_XDP_FAKE_SOCKET_H */
