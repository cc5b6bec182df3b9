/*
 * qemu-af-xdp: sockets that are in the way of a change
 *
 * In driver zero-copy the kernel takes a queue back some tens of milliseconds
 * after its socket was closed. If the netkit device is deleted in between,
 * Linux 7.2 cannot do that ("Failed to disable zero-copy!" in its log), and
 * frees what the NIC's driver still has: a change of the NIC's XDP program,
 * which sets up the queues anew, then crashes the kernel.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef AF_XDP_TOOL_BOUND_H
#define AF_XDP_TOOL_BOUND_H

#include "journal.h"
#include "link.h"
#include "queues.h"

/*
 * bound_lost: find a queue that was not given back.
 * @queues: of the NIC, see queues_list().
 * @ifindex: of the NIC.
 * @sockets: of its network namespace, see sockets_list(); NULL: not known.
 * Returns one of @queues; NULL if there is none, or it cannot be told.
 */
const Queue *bound_lost(const GArray *queues, int ifindex,
                        const GArray *sockets);

/*
 * bound_check: may the NIC's XDP program come or go? Waits for queues that are
 * about to be given back, a second at most.
 * Returns false with @errp set if one was not.
 */
bool bound_check(const char *nic, int ifindex, GError **errp);

/*
 * bound_wait: wait until no queue of the lease @entry has a socket, a second at
 * most. A note says which process has one even then.
 * @link, @nsid: its netkit device, and where that is (see link.h).
 */
void bound_wait(const Tool *tool, const Entry *entry, const Link *link,
                int32_t nsid);

#endif /* AF_XDP_TOOL_BOUND_H */
