/*
 * AF_XDP network backend: who moves the packets
 *
 * Either QEMU's main loop, through the net layer, or a thread for each queue
 * pair, as a vhost device of virtio-net. The threads are those of the user's
 * iothread objects or the netdev's own, with the ids NETDEV-qN.
 *
 *     vhost=off   the main loop
 *     vhost=on    threads, from the beginning; other NICs are refused
 *     vhost=auto  threads as soon as there is a NIC that can use them; else
 *                 the main loop, and one line that says why
 *
 * Threads: main loop, under the big QEMU lock.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef NET_AF_XDP_THREADS_H
#define NET_AF_XDP_THREADS_H

#include "net/af-xdp-netdev.h"
#include "net/af-xdp-options.h"

/*
 * af_xdp_threads_init: look at the options and find the threads they name.
 * The netdev must have its name; to be freed with af_xdp_threads_free(), also
 * after a failure.
 */
bool af_xdp_threads_init(AfXdpNetdev *dev, const AfXdpOptions *opts,
                         Error **errp);

/*
 * af_xdp_threads_start: all queues are clients of the net layer now. With
 * vhost=on, give them threads.
 */
bool af_xdp_threads_start(AfXdpNetdev *dev, Error **errp);

/* af_xdp_threads_release: queue @s ends; give up its thread, if any. */
void af_xdp_threads_release(AfXdpState *s);

/* af_xdp_threads_free: the end, after all queues have been released. */
void af_xdp_threads_free(AfXdpNetdev *dev);

/*
 * af_xdp_threads_check_nic: may a NIC of class @oc have the netdev of queue
 * @nc? A NetClientInfo's check_peer_type.
 */
bool af_xdp_threads_check_nic(NetClientState *nc, ObjectClass *oc,
                              Error **errp);

/* af_xdp_threads_nic_changed: the first queue has another peer, or none. */
void af_xdp_threads_nic_changed(AfXdpNetdev *dev);

/* af_xdp_threads_info: for "info network"; to be freed. */
char *af_xdp_threads_info(AfXdpState *s);

#endif /* NET_AF_XDP_THREADS_H */
