/*
 * AF_XDP network backend: what the rest of QEMU may ask
 *
 * Threads: main loop, under the big QEMU lock.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef NET_AF_XDP_H
#define NET_AF_XDP_H

#include "net/vhost_net.h"

/*
 * af_xdp_get_vhost_net: the vhost device of a queue pair.
 * @nc: a client of type NET_CLIENT_DRIVER_AF_XDP.
 *
 * Returns NULL if the fast path is off.
 */
VHostNetState *af_xdp_get_vhost_net(NetClientState *nc);

#endif /* NET_AF_XDP_H */
