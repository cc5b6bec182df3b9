/*
 * AF_XDP network backend: the event loop side of the fast path
 *
 * A worker runs one queue pair's datapath in an AioContext, outside the big
 * QEMU lock. It waits for the guest's kicks and for the socket, polls both
 * while it is worth it (the context's poll-max-ns), and interrupts the guest.
 *
 * A worker may also receive for queues that the guest does not drive: their
 * sockets are lent to it as guests of its own receive virtqueue.
 *
 * Threads: every function here is called in the main loop, under the big QEMU
 * lock, and waits until the worker's thread has done what was asked. After
 * a function returns, the thread uses nothing that was replaced.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef NET_AF_XDP_WORKER_H
#define NET_AF_XDP_WORKER_H

#include "block/aio.h"
#include "net/af-xdp-datapath.h"

enum { AF_XDP_RX, AF_XDP_TX, AF_XDP_RINGS };

typedef struct AfXdpWorkerRing {
    bool ready;             /* the guest has set this virtqueue up */
    AfXdpVringConfig config;
    int kick;               /* eventfds, owned by others; -1: none */
    int call;
} AfXdpWorkerRing;

typedef struct AfXdpWorker AfXdpWorker;

/* af_xdp_worker_new: a worker that is stopped. @name: for messages. */
AfXdpWorker *af_xdp_worker_new(AioContext *ctx, AfXdpCopy *copy,
                               const char *name);

/* af_xdp_worker_free: it must be stopped. NULL is allowed. */
void af_xdp_worker_free(AfXdpWorker *w);

/*
 * af_xdp_worker_start: take over virtqueues and socket.
 * @rings: the virtqueues, indexed by AF_XDP_RX and AF_XDP_TX.
 * @features: as negotiated.
 */
bool af_xdp_worker_start(AfXdpWorker *w, const AfXdpWorkerRing *rings,
                         uint64_t features, GError **errp);

/*
 * af_xdp_worker_stop: let go of virtqueues and socket. No guest memory is
 * touched afterwards; all descriptors are used or given back.
 * @base: receives where each ring has to go on.
 */
void af_xdp_worker_stop(AfXdpWorker *w, uint32_t base[AF_XDP_RINGS]);

bool af_xdp_worker_running(const AfXdpWorker *w);

/* af_xdp_worker_set_active: false: hold still, keep the virtqueues. */
void af_xdp_worker_set_active(AfXdpWorker *w, bool active);

/* af_xdp_worker_base: the same as stop gives for ring @i, without stopping. */
uint32_t af_xdp_worker_base(AfXdpWorker *w, int i);

/* Replacements while running. */
void af_xdp_worker_set_call(AfXdpWorker *w, int i, int fd);
void af_xdp_worker_set_kick(AfXdpWorker *w, int i, int fd);
void af_xdp_worker_set_memory(AfXdpWorker *w, const AfXdpMemory *memory);
void af_xdp_worker_set_log(AfXdpWorker *w, const AfXdpLog *log);

/* af_xdp_worker_tx: the interface is back, send what waits for it. */
void af_xdp_worker_tx(AfXdpWorker *w);

/* af_xdp_worker_lend: receive also from @copy, which nobody else uses now. */
void af_xdp_worker_lend(AfXdpWorker *w, AfXdpCopy *copy);

/* af_xdp_worker_take_back: the end of that; nothing if @copy is not lent. */
void af_xdp_worker_take_back(AfXdpWorker *w, AfXdpCopy *copy);

/*
 * af_xdp_worker_call: run @func(@opaque) in the worker's thread and wait for
 * it, to use what the worker uses: counters, or the socket for a packet of
 * QEMU's own.
 */
void af_xdp_worker_call(AfXdpWorker *w, void (*func)(void *), void *opaque);

/* af_xdp_worker_notify: interrupt the guest for both rings. */
void af_xdp_worker_notify(AfXdpWorker *w);

/*
 * af_xdp_worker_datapath: for af_xdp_worker_call(), or anybody while the worker
 * is inactive; NULL if stopped.
 */
AfXdpDatapath *af_xdp_worker_datapath(AfXdpWorker *w);

#endif /* NET_AF_XDP_WORKER_H */
