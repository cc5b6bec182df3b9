/*
 * AF_XDP network backend: a vhost backend inside QEMU
 *
 * To virtio-net, a queue pair of the netdev is a vhost device, with the
 * features, the memory table, the dirty log and the migration of one; its
 * requests are answered here, by a worker of this process instead of a
 * kernel's or another process's.
 *
 * Threads: main loop, under the big QEMU lock.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef NET_AF_XDP_VHOST_H
#define NET_AF_XDP_VHOST_H

#include "net/af-xdp-datapath.h"
#include "net/af-xdp-netdev.h"
#include "net/vhost_net.h"
#include "block/aio.h"

#ifdef CONFIG_VHOST_NET

/* af_xdp_vhost_available: is there a vhost layer in this QEMU? */
static inline bool af_xdp_vhost_available(void)
{
    return true;
}

/*
 * af_xdp_vhost_new: give queue pair @s a vhost device.
 * @ctx: where its packets are to be moved.
 *
 * Returns false, with a message printed by the vhost layer, on failure.
 */
bool af_xdp_vhost_new(AfXdpState *s, AioContext *ctx);

/* af_xdp_vhost_free: the end of it; virtio-net has stopped it. */
void af_xdp_vhost_free(AfXdpState *s);

/* af_xdp_vhost_running: do the guest's rings belong to a worker now? */
bool af_xdp_vhost_running(const AfXdpState *s);

/*
 * af_xdp_vhost_call: run @func(@opaque) where @s's socket and counters may be
 * used: in the thread that works with them, or here if none does.
 */
void af_xdp_vhost_call(AfXdpState *s, void (*func)(void *), void *opaque);

/*
 * af_xdp_vhost_datapath: for counters, in af_xdp_vhost_call(); NULL if the
 * fast path is not in use.
 */
AfXdpDatapath *af_xdp_vhost_datapath(AfXdpState *s);

/* af_xdp_vhost_restart: let the queue's memory be given out anew. */
void af_xdp_vhost_restart(AfXdpState *s);

/* af_xdp_vhost_tx: send what waits for the interface, which is back. */
void af_xdp_vhost_tx(AfXdpState *s);

#else

/* A QEMU without vhost has no fast path. */
static inline bool af_xdp_vhost_available(void)
{
    return false;
}

static inline bool af_xdp_vhost_running(const AfXdpState *s)
{
    return false;
}

static inline void af_xdp_vhost_tx(AfXdpState *s)
{
}

static inline void af_xdp_vhost_restart(AfXdpState *s)
{
}

static inline bool af_xdp_vhost_new(AfXdpState *s, AioContext *ctx)
{
    return false;
}

static inline void af_xdp_vhost_free(AfXdpState *s)
{
}

static inline void af_xdp_vhost_call(AfXdpState *s, void (*func)(void *),
                                     void *opaque)
{
    func(opaque);
}

static inline AfXdpDatapath *af_xdp_vhost_datapath(AfXdpState *s)
{
    return NULL;
}

#endif

#endif /* NET_AF_XDP_VHOST_H */
