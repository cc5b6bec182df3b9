/*
 * AF_XDP: what the queues of a netkit device can do, and what they need
 *
 * A netkit device has queue 0 of its own, which only copies. Any other is a
 * queue of a NIC that the host has leased to it: a socket on it is one on the
 * NIC, whose program and XSKMAP are on the NIC too, where this network
 * namespace cannot reach. A leased queue sends in driver zero-copy only.
 *
 * Threads: any.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef NET_AF_XDP_NETKIT_H
#define NET_AF_XDP_NETKIT_H

#include "net/af-xdp-device.h"
#include "net/af-xdp-options.h"

/*
 * af_xdp_netkit_check: do the options fit the queues that they name?
 * @dev: any device; one that is no netkit passes.
 * @opts: as checked by af_xdp_options_check().
 * @errp: set on failure, with what to do instead; code EINVAL, or EMSGSIZE for
 *        the MTU.
 *
 * Returns false on failure.
 */
bool af_xdp_netkit_check(const AfXdpDevice *dev, const AfXdpOptions *opts,
                         GError **errp);

#endif /* NET_AF_XDP_NETKIT_H */
