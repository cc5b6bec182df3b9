/*
 * AF_XDP: kernel interface that older Linux headers lack
 *
 * Debian 12's headers are those of Linux 6.1; what came later is defined here
 * with the kernel that brought it. Include this after the kernel's headers
 * and ask the running kernel, not the headers, whether a feature is there.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef NET_AF_XDP_UAPI_H
#define NET_AF_XDP_UAPI_H

#include <linux/if_xdp.h>

/* Linux 6.6: packets over several descriptors. Flag for bind(). */
#ifndef XDP_USE_SG
#define XDP_USE_SG (1 << 4)
#endif

/* Linux 6.6: in xdp_desc.options, the packet goes on in the next descriptor. */
#ifndef XDP_PKT_CONTD
#define XDP_PKT_CONTD (1 << 0)
#endif

/* Linux 6.18: setsockopt(), copy-mode descriptors sent per system call. */
#ifndef XDP_MAX_TX_SKB_BUDGET
#define XDP_MAX_TX_SKB_BUDGET 9
#endif

/* Linux 5.14: getsockopt(), identity of a socket's network namespace. */
#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

/*
 * Linux 6.8: generic netlink family "netdev", command queue-get. Its header
 * has enumerators, which cannot be tested for, so these names are our own.
 */
#define AF_XDP_NETDEV_FAMILY            "netdev"
#define AF_XDP_NETDEV_CMD_QUEUE_GET     10
#define AF_XDP_NETDEV_A_QUEUE_ID        1
#define AF_XDP_NETDEV_A_QUEUE_IFINDEX   2
#define AF_XDP_NETDEV_A_QUEUE_TYPE      3
#define AF_XDP_NETDEV_QUEUE_TYPE_RX     0
#define AF_XDP_NETDEV_QUEUE_TYPE_TX     1

/*
 * Linux 7.1: in IFLA_INFO_DATA of a netkit device, whether it has a peer;
 * queues can be leased to it then.
 */
#define AF_XDP_IFLA_NETKIT_PAIRING      10

#endif /* NET_AF_XDP_UAPI_H */
