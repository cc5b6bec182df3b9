/*
 * AF_XDP: what the kernel says of a network device: what the files share
 *
 *     af-xdp-device.c        now
 *     af-xdp-device-watch.c  later
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef NET_AF_XDP_DEVICE_INT_H
#define NET_AF_XDP_DEVICE_INT_H

#include <libmnl/libmnl.h>
#include "net/af-xdp-device.h"

/*
 * Room for one datagram of the kernel's. A link with many alternative names
 * outgrows libmnl's 8 KiB; iproute2 reads with as much as this.
 */
#define NL_BUF_SIZE (32 * 1024)

/*
 * Open a netlink socket, closed by mnl_socket_close(); NULL, and errno, on
 * failure. @flags: SOCK_NONBLOCK or 0.
 */
struct mnl_socket *device_nl_open(int bus, int flags, unsigned groups);

/*
 * Fill in @dev with what an RTM_NEWLINK message says. Some say little: news of
 * a wireless device come without its name and MTU.
 */
void device_parse_link(const struct nlmsghdr *nlh, AfXdpDevice *dev);

/*
 * Ask for one link, by @ifname, or by @ifindex if that is NULL.
 * Returns 0 or a negative errno.
 */
int device_get(const char *ifname, int ifindex, AfXdpDevice *dev);

/* Ask ethtool for @dev->name's driver and bus. */
void device_find_driver(AfXdpDevice *dev);

#endif /* NET_AF_XDP_DEVICE_INT_H */
