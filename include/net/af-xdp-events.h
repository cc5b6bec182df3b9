/*
 * AF_XDP network backend: what happens to the interface
 *
 *                   down                    deleted, moved away
 *            +-----------------> DOWN ----------------------------+
 *            |                    |                               v
 *     --> PRESENT <---------------+                             GONE
 *            | ^        up                                       | ^
 *            | +-------------------------------------------------+ |
 *            |       it is back, and bound again                   |
 *            +-----------------------------------------------------+
 *
 * The guest's link follows, unless the user has set it, and a QMP event tells
 * of each step. What the interface's own rtnetlink messages do not tell is
 * looked for by a timer: its return, and whether the NIC behind a netkit device
 * is up.
 *
 * Threads: main loop, under the big QEMU lock.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef NET_AF_XDP_EVENTS_H
#define NET_AF_XDP_EVENTS_H

#include "net/af-xdp-netdev.h"

/*
 * af_xdp_events_init: watch the interface.
 * @ifindex: from af_xdp_device_query(). Ask again afterwards, so that no change
 *           falls in between.
 *
 * To be ended by af_xdp_events_free(), also after a failure.
 */
bool af_xdp_events_init(AfXdpNetdev *dev, int ifindex, GError **errp);

/* af_xdp_events_start: all queues are open: let what happens take effect. */
void af_xdp_events_start(AfXdpNetdev *dev);

void af_xdp_events_free(AfXdpNetdev *dev);

/* af_xdp_events_nic_changed: queue @s has another NIC, or none. */
void af_xdp_events_nic_changed(AfXdpState *s);

/* af_xdp_events_link_set: the user has set the netdev's link. */
void af_xdp_events_link_set(AfXdpNetdev *dev);

/*
 * af_xdp_events_vm_runs: the VM runs again; a migration may have brought the
 * link's state of another host, where the interface was up.
 */
void af_xdp_events_vm_runs(AfXdpNetdev *dev);

/*
 * af_xdp_events_info: what is wrong with the interface, from the comma on, to
 * be freed; or NULL.
 */
char *af_xdp_events_info(const AfXdpNetdev *dev);

#endif /* NET_AF_XDP_EVENTS_H */
