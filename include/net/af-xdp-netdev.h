/*
 * AF_XDP network backend: what the netdev's files share
 *
 * The glue between QEMU and the AF_XDP core:
 *
 *     af-xdp.c          a -netdev begins and ends
 *     af-xdp-open.c     its program and sockets, at the beginning and later
 *     af-xdp-events.c   what happens to its interface
 *     af-xdp-queue.c    packets between the net layer and one queue
 *     af-xdp-threads.c  main loop or threads?
 *     af-xdp-vhost.c    a queue pair as virtio-net's vhost device
 *     af-xdp-ram.c      guest RAM as the sockets' memory
 *     af-xdp-worker.c   packets between virtqueues and one queue, in a thread
 *
 *     -netdev af-xdp ---- AfXdpNetdev --+-- EbpfAfXdp         the XDP program
 *                                       +-- AfXdpEvents       rtnetlink
 *                                       +-- AfXdpState * queues
 *                                             |
 *     NIC model <--> NetClientState <--> AfXdpCopy  the core, one per queue
 *
 * Rings, frames and system calls are the core's business.
 *
 * Threads: main loop only, under the big QEMU lock; the worker's header says
 * what is different there.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef NET_AF_XDP_NETDEV_H
#define NET_AF_XDP_NETDEV_H

#include "ebpf/ebpf_af_xdp.h"
#include "net/af-xdp-copy.h"
#include "net/af-xdp-device.h"
#include "net/af-xdp-options.h"
#include "net/net.h"
#include "system/iothread.h"

typedef struct AfXdpEvents AfXdpEvents;
typedef struct AfXdpNetdev AfXdpNetdev;
typedef struct AfXdpRam AfXdpRam;
typedef struct AfXdpThreads AfXdpThreads;
typedef struct AfXdpVhost AfXdpVhost;

/* One queue. */
typedef struct AfXdpState {
    NetClientState nc;
    AfXdpNetdev *dev;
    AfXdpCopy *copy;
    AfXdpVhost *vhost;          /* the fast path, or NULL */
    IOThread *iothread;         /* its thread */
    bool lent;                  /* a worker has the socket */
    uint32_t queue;             /* of the interface */

    bool enabled;               /* the net layer wants packets */
    VMChangeStateEntry *vm_changed;
    bool read_poll;             /* handlers that are registered */
    bool write_poll;

    /*
     * A packet that the NIC does not take is parked in the NIC's queue, one
     * for each socket, and its socket is not read until it is delivered. The
     * NIC's first queue may hold packets of several sockets, delivered in the
     * order in which they were parked.
     */
    NetClientState *rx_wait;    /* through which this socket's waits */
    bool rx_own_parked;         /* one waits in the NIC's queue of our own */
    GQueue rx_parked;           /* AfXdpState * whose wait in our NIC queue */
    QEMUTimer *rx_timer;
    bool tx_wait;               /* a sender was told to wait */
    bool tx_soon;               /* the bottom half is scheduled */
    bool tx_writable;           /* flush when the socket is writable */
    QEMUBH *tx_bh;
    QEMUTimer *tx_timer;
} AfXdpState;

/* One -netdev. */
struct AfXdpNetdev {
    char *name;
    char *ifname;
    AfXdpOptions opts;
    /* NULL with sock-fds; our own also while the interface is gone */
    EbpfAfXdp *prog;
    AfXdpEvents *events;
    AfXdpThreads *threads;
    AfXdpRam *ram;
    bool leased;                /* queues of a NIC behind a netkit device */
    bool down;                  /* the interface is, or that NIC */
    bool gone;                  /* the interface does not exist (any more) */
    uint32_t n_queues;
    uint32_t n_live;            /* queues not yet cleaned up */
    AfXdpState *queues[];       /* NULL: cleaned up */
};

/*
 * af_xdp_queue_new: make an opened queue a client of the net layer.
 * @dev: the netdev; its @queues and @n_live are updated.
 * @index: number of the queue in the netdev, from 0, in ascending order.
 * @peer: the hub port or NIC to connect to, or NULL.
 * @name: the client's name, or NULL to have the net layer make one up.
 * @copy: the queue; owned by the client from here on.
 * @queue: the interface's number of it.
 *
 * Packets flow as soon as the main loop runs.
 */
AfXdpState *af_xdp_queue_new(AfXdpNetdev *dev, uint32_t index,
                             NetClientState *peer, const char *name,
                             AfXdpCopy *copy, uint32_t queue);

/*
 * af_xdp_queue_halt: the interface is gone: do not touch the socket any more,
 * let waiting senders go on. @dev->gone and the link state must be set.
 */
void af_xdp_queue_halt(AfXdpState *s);

/* af_xdp_queue_resume: it is back: there is a new socket. */
void af_xdp_queue_resume(AfXdpState *s);

/*
 * af_xdp_queue_lend: let a worker have the socket, or take it back. What
 * arrives through the net layer meanwhile goes to the worker.
 */
void af_xdp_queue_lend(AfXdpState *s, bool lent);

/* af_xdp_queue_send: send what waits in the queue, the interface is up. */
void af_xdp_queue_send(AfXdpState *s);

/*
 * af_xdp_queue_multi_buffer: may a packet take more than one frame? Program
 * and socket must agree.
 */
bool af_xdp_queue_multi_buffer(AfXdpState *s);

/* af_xdp_queue_mode: the mode in use, in words; a constant string. */
const char *af_xdp_queue_mode(AfXdpState *s);

/* af_xdp_netdev_learn_mac: tell the filter which NIC there is now, if any. */
void af_xdp_netdev_learn_mac(AfXdpNetdev *dev);

/* af_xdp_netdev_error: move an error of the core into one of QEMU's. */
void af_xdp_netdev_error(Error **errp, GError *gerr);

/*
 * af_xdp_netdev_warn: warn of an error of the core that something goes on
 * without, and free it.
 * @what: the consequence.
 */
void af_xdp_netdev_warn(AfXdpNetdev *dev, GError *gerr, const char *what);

/* af_xdp_netdev_free: the last queue is gone, take the rest down. */
void af_xdp_netdev_free(AfXdpNetdev *dev);

#endif /* NET_AF_XDP_NETDEV_H */
