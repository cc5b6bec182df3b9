/*
 * AF_XDP: fuzzing: the kernel behind one socket
 *
 * Decides, as the input says, what arrives and when, what is sent, which
 * errors there are, and when it lies; and knows where each frame must be.
 * With direct buffers it takes entries from the fill ring early, and packets
 * come to either of two sockets, as they do while an XSKMAP is changed.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef AF_XDP_FUZZ_KERNEL_H
#define AF_XDP_FUZZ_KERNEL_H

#include "net/af-xdp-copy.h"
#include "af-xdp-fake-socket.h"
#include "guest.h"

#define FUZZ_PACKET_MAX (AF_XDP_MAX_SEGS * AF_XDP_FRAME_SIZE)

/* Longest packet that is made. */
#define FUZZ_PIECES 16u

typedef struct FuzzKernel {
    AfXdpCopy *copy;
    AfXdpFakeSocket *fake;
    uint64_t base;              /* where its frames begin */
    GArray *taken;              /* of the fill ring, early: addresses */
    uint64_t arrived;           /* packets */
    uint64_t unsent;            /* packets that were lost with a socket */
    bool lied;                  /* it did what it never does */
    AfXdpFakeKick kicks[4];
    /* Called when it has written to memory that is no frame. */
    void (*wrote)(const void *at, uint32_t len);
} FuzzKernel;

/* fuzz_kernel_init: @copy: a socket that was opened just now. */
void fuzz_kernel_init(FuzzKernel *k, AfXdpCopy *copy);
void fuzz_kernel_free(FuzzKernel *k);

/* fuzz_kernel_moved: it has a new socket: what the old one held is lost. */
void fuzz_kernel_moved(FuzzKernel *k, uint64_t base);

/* fuzz_kernel_closed: the second socket is gone, with what was in its rings. */
void fuzz_kernel_closed(FuzzKernel *k);

/* Of the input: packets arrive; kicks have results; a descriptor is a lie. */
void fuzz_kernel_receive(FuzzKernel *k, FuzzInput *in, uint32_t what);
void fuzz_kernel_kicks(FuzzKernel *k, FuzzInput *in);
void fuzz_kernel_lie(FuzzKernel *k, FuzzInput *in, uint32_t what);

/* fuzz_kernel_take: it takes up to @n entries from the fill ring. */
void fuzz_kernel_take(FuzzKernel *k, uint32_t n);

/* fuzz_kernel_arrive_taken: all that it took comes back, in packets. */
void fuzz_kernel_arrive_taken(FuzzKernel *k, uint32_t pieces, bool to_base);

/* Packets, and descriptors, that wait in its rx rings. */
uint32_t fuzz_kernel_packets(const FuzzKernel *k);
uint32_t fuzz_kernel_waiting(const FuzzKernel *k);

/*
 * fuzz_kernel_check: every frame is in one place, every packet accounted for.
 * Returns the buffers that are no frames among those for reception.
 */
uint32_t fuzz_kernel_check(const FuzzKernel *k);

/* What the kernel may write to (else read) that is no frame. */
typedef void FuzzOutsideFn(const void *at, uint32_t len, bool write);

/* fuzz_kernel_outside: call @fn for each of these. */
void fuzz_kernel_outside(const FuzzKernel *k, FuzzOutsideFn *fn);

/*
 * In a target linked with --wrap of these: what is called instead, at moments
 * when the kernel may go on while the other side is busy; and the originals.
 */
uint32_t __wrap_af_xdp_umem_take(AfXdpUmem *umem, AfXdpPool pool,
                                 uint64_t *addrs, uint32_t n);
uint32_t __real_af_xdp_umem_take(AfXdpUmem *umem, AfXdpPool pool,
                                 uint64_t *addrs, uint32_t n);
void __wrap_af_xdp_socket_close_second(AfXdpSocket *s);
void __real_af_xdp_socket_close_second(AfXdpSocket *s);

#endif /* AF_XDP_FUZZ_KERNEL_H */
