/*
 * qemu-af-xdp: sockets that are in the way of a change
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "bound.h"
#include "netns.h"
#include "sockets.h"
#include "net/af-xdp-error.h"

#define WAIT_TRIES 20
#define WAIT_INTERVAL_US 50000

static const Socket *find_socket(const GArray *sockets, uint32_t ifindex,
                                 const uint32_t *queue)
{
    for (guint i = 0; sockets && i < sockets->len; i++) {
        const Socket *each = &g_array_index(sockets, Socket, i);

        if (each->ifindex == ifindex && (!queue || each->queue == *queue)) {
            return each;
        }
    }
    return NULL;
}

const Queue *bound_lost(const GArray *queues, int ifindex,
                        const GArray *sockets)
{
    for (guint i = 0; queues && sockets && i < queues->len; i++) {
        const Queue *queue = &g_array_index(queues, Queue, i);

        /* The socket of a leased queue is in another namespace. */
        if (queue->xsk && !queue->leased &&
            !find_socket(sockets, ifindex, &queue->id)) {
            return queue;
        }
    }
    return NULL;
}

bool bound_check(const char *nic, int ifindex, GError **errp)
{
    uint32_t id = 0;

    for (unsigned i = 0; i < WAIT_TRIES; i++) {
        /* The sockets last: one that has come since is no harm. */
        g_autoptr(GArray) queues = queues_list(ifindex, NULL);
        g_autoptr(GArray) sockets = sockets_list();
        const Queue *lost = bound_lost(queues, ifindex, sockets);

        if (!lost) {
            return true;
        }
        id = lost->id;
        g_usleep(WAIT_INTERVAL_US);
    }
    af_xdp_error_set(errp, EBUSY, "The kernel's log has 'Failed to disable "
                     "zero-copy!'. A change of the XDP program could crash it "
                     "now: restart the host.",
                     "queue %u of '%s' was not given back by a socket that is "
                     "gone", id, nic);
    return false;
}

/* Has a queue of the lease a socket? */
static bool is_bound(const Entry *entry, const GArray *wanted)
{
    g_autoptr(GArray) queues = queues_list(entry_int(entry, "ifindex", 0),
                                           NULL);

    for (guint i = 0; queues && i < queues->len; i++) {
        const Queue *queue = &g_array_index(queues, Queue, i);

        if (queue->xsk && queue->leased &&
            numbers_contain(wanted, queue->id)) {
            return true;
        }
    }
    return false;
}

void bound_wait(const Tool *tool, const Entry *entry, const Link *link,
                int32_t nsid)
{
    g_autoptr(GArray) wanted = entry_numbers(entry, "queues");
    g_autoptr(GArray) sockets = NULL;
    const Socket *socket;
    unsigned tries = 0;
    int back = -1;

    while (is_bound(entry, wanted) && tries < WAIT_TRIES) {
        g_usleep(WAIT_INTERVAL_US);
        tries++;
    }
    if (tries < WAIT_TRIES) {
        return;
    }
    if (nsid != LINK_HERE) {
        back = netns_enter_nsid(nsid);
    }
    if (nsid == LINK_HERE || back >= 0) {
        sockets = sockets_list();
    }
    if (back >= 0) {
        netns_leave(back);
    }
    socket = find_socket(sockets, link->ifindex, NULL);
    if (socket && socket->pid) {
        tool_note(tool, "process %d (%s) loses its sockets on netkit device "
                  "'%s'", socket->pid, socket->command, link->name);
    } else {
        tool_note(tool, "somebody loses his sockets on netkit device '%s'",
                  link->name);
    }
}
