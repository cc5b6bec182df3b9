/*
 * qemu-af-xdp: taking back what a journal entry describes
 *
 * Each undoes as much of its kind of entry as there is, in any state in which
 * a crash may have left it, and removes the entry; nothing happens for what is
 * gone already. On failure the entry stays, to be tried again.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef AF_XDP_TOOL_UNDO_H
#define AF_XDP_TOOL_UNDO_H

#include "journal.h"
#include "link.h"

/*
 * Delete the netkit device, if it is the one that was made; another one that
 * has the queues now is left alone.
 */
bool lease_undo(const Tool *tool, Entry *entry, GError **errp);

/*
 * lease_is: is @link the device that the lease @entry describes?
 * @netns: the inode of the namespace it is in; 0: not known
 */
bool lease_is(const Entry *entry, const Link *link, uint64_t netns);

/* Detach the VM, and the program if it was the last. */
bool attach_undo(const Tool *tool, Entry *entry, GError **errp);

/* Remove rules, context and addresses; put the queues back into RSS. */
bool steer_undo(const Tool *tool, Entry *entry, GError **errp);

/*
 * undo_entry: any of them. Entries of the kind "nic" go with their last
 * steering.
 */
bool undo_entry(const Tool *tool, Entry *entry, GError **errp);

/*
 * undo_unfinished: undo what runs that were killed have left, on all NICs.
 * @ifindex: the NIC that is to be worked on
 * Returns false with @errp set if that fails there; elsewhere it is a warning.
 */
bool undo_unfinished(const Tool *tool, Journal *journal, int ifindex,
                     GError **errp);

/* What the result's -netdev needs to know */
typedef struct NetdevLine {
    const char *ifname;
    const char *map;        /* path; or NULL: unknown yet */
    const GArray *queues;   /* of the interface, ascending */
    const GArray *keys;     /* in the map, likewise */
} NetdevLine;

/*
 * netdev_lines: the -netdev options for a guest. One for each run of queues
 * that has no gap, neither in the interface nor in the map. None if a name has
 * control characters: whoever has the device chooses its name.
 * Returns a list, to be freed.
 */
char **netdev_lines(const NetdevLine *line);

#endif /* AF_XDP_TOOL_UNDO_H */
