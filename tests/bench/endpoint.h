/*
 * Benchmark: the near end of the wire
 *
 * What receives and sends frames through the thing that is measured: the
 * native guest driver (guest.h), or a bare AF_XDP socket (floor.h) to compare
 * with.
 *
 * Threads: each queue is used by one thread; no two queues share anything
 * that is written.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef TESTS_BENCH_ENDPOINT_H
#define TESTS_BENCH_ENDPOINT_H

#include <glib.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#define axb_container_of(ptr, type, member) \
    ((type *)((char *)(ptr) - G_STRUCT_OFFSET(type, member)))

/* Pieces that a received frame of AXB_FRAME_MAX may come in */
#define AXB_RX_PIECES 18

/*
 * A frame has come.
 * @iov, @n: its pieces, valid until the function returns
 * @len: bytes in all
 */
typedef void AxbRxFn(void *opaque, const struct iovec *iov, unsigned n,
                     uint32_t len);

typedef struct AxbEndpoint AxbEndpoint;

struct AxbEndpoint {
    /*
     * rx: hand all frames that are there to @fn, at most @max, and give
     * their buffers back. Returns how many.
     */
    unsigned (*rx)(AxbEndpoint *ep, unsigned queue, unsigned max, AxbRxFn *fn,
                   void *opaque);
    /*
     * tx: send @n frames numbered from @seq on and stamped with @time.
     * Returns how many found room.
     */
    unsigned (*tx)(AxbEndpoint *ep, unsigned queue, unsigned n, uint64_t seq,
                   uint64_t time);
    /* kicks: how often the other side had to be woken. */
    uint64_t (*kicks)(AxbEndpoint *ep);
    /* free: end it all. */
    void (*free)(AxbEndpoint *ep);
    pid_t pid;              /* the process whose time counts, or 0: our own */
};

#endif /* TESTS_BENCH_ENDPOINT_H */
