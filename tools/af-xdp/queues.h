/*
 * qemu-af-xdp: a NIC's receive queues and their leases
 *
 * The generic netlink family "netdev": queue-get since Linux 6.8, queue-create
 * since 7.1.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef AF_XDP_TOOL_QUEUES_H
#define AF_XDP_TOOL_QUEUES_H

#include <glib.h>

struct nlmsghdr;

typedef struct Queue {
    uint32_t id;
    uint32_t ifindex;           /* of its device */
    bool xsk;                   /* an AF_XDP socket uses it */
    bool memory;                /* it has a memory provider */
    bool leased;                /* to: */
    uint32_t lease_ifindex;
    uint32_t lease_queue;
    int32_t lease_nsid;         /* -1: in this network namespace */
} Queue;

/*
 * queues_can_lease: does the kernel know leases?
 * Returns false with @errp set if it does not, or cannot be asked.
 */
bool queues_can_lease(GError **errp);

/*
 * queues_list: the receive queues in use.
 * @ifindex: of one device, or 0 for all of this network namespace. A device
 *           that is down has none.
 * Returns an array of Queue; NULL with @errp set on failure. An older kernel
 * that cannot list them gives an empty array.
 */
GArray *queues_list(int ifindex, GError **errp);

/* queues_find: NULL if it is not there */
const Queue *queues_find(const GArray *queues, uint32_t id);

/*
 * queues_lease: make a queue of a netkit device, and lease it one of a NIC.
 * @id: receives the new queue's number.
 * @words: receives the kernel's words, see netlink_once().
 * Returns 0 or a negative errno.
 */
int queues_lease(int netkit, int nic, uint32_t nic_queue, uint32_t *id,
                 char **words);

/*
 * queues_put_lease: the message of queues_lease(), for a buffer of
 * NETLINK_REQUEST_SIZE.
 * @family: the number that the kernel has given the family
 */
struct nlmsghdr *queues_put_lease(char *buf, uint16_t family, int netkit,
                                  int nic, uint32_t nic_queue);

#endif /* AF_XDP_TOOL_QUEUES_H */
