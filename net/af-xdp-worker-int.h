/*
 * AF_XDP network backend: inside of a worker: what its files share
 *
 *     af-xdp-worker.c          in the worker's thread
 *     af-xdp-worker-control.c  requests of the main loop
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef NET_AF_XDP_WORKER_INT_H
#define NET_AF_XDP_WORKER_INT_H

#include "net/af-xdp-worker.h"
#include "qemu/event_notifier.h"
#include "qemu/thread.h"
#include "qemu/timer.h"

/* A socket to receive from. */
typedef struct Source {
    AfXdpWorker *w;
    AfXdpCopy *copy;
    bool reading;               /* its handler is registered */
} Source;

struct AfXdpWorker {
    AioContext *ctx;
    char *name;
    bool running;
    bool active;

    AfXdpVring *ring[AF_XDP_RINGS];
    EventNotifier kick[AF_XDP_RINGS];   /* around the fd of somebody else */
    bool kick_set[AF_XDP_RINGS];
    int call[AF_XDP_RINGS];
    AfXdpDatapath *dp;

    Source own;
    GPtrArray *lent;            /* Source * */
    bool starved;               /* the guest has no receive buffers */
    bool low;                   /* few of its buffers are posted */
    guint rx_next;              /* whose turn it is when there are some */
    bool tx_polling;            /* the context polls: no kicks wanted */
    bool tx_waiting;            /* for the socket, not for the guest */
    bool tx_writable;
    bool told[AF_XDP_RINGS];    /* of a fault */
    QEMUBH *tx_bh;
    QEMUTimer *tx_timer;
    QemuSemaphore done;         /* what control has asked for */
};

/* Interrupt the guest for ring @i. */
void worker_notify(AfXdpWorker *w, int i);

/* Register or remove handlers, as the worker's state wants it. */
void worker_source_update(Source *source);
void worker_sources_update(AfXdpWorker *w);
void worker_kick_attach(AfXdpWorker *w, int i);
void worker_kick_detach(AfXdpWorker *w, int i);

/* The guest has receive buffers again. */
void worker_rx_kicked(AfXdpWorker *w);

/* A turn of sending; @opaque is the worker. A bottom half. */
void worker_tx_bh_run(void *opaque);

/* Begin, and end, to move packets. */
void worker_attach(AfXdpWorker *w);
void worker_detach(AfXdpWorker *w);

#endif /* NET_AF_XDP_WORKER_INT_H */
