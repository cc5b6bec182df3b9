/*
 * qemu-af-xdp: what has been done, on disk
 *
 * A JSON file for each thing made (a lease, a VM attached to a NIC, steering),
 * in the directory "journal" below the run directory. It is written, and
 * synced, before the kernel is asked for anything that it describes: a step
 * that is in no entry has not been taken. Members that all have:
 *
 *   kind      "lease", "attach", "steer" or "nic"
 *   netns     the network namespace, by its inode, of the NIC
 *   nic       the NIC's name at that time
 *   ifindex   its index, which counts
 *   complete  false from the first step to the last; an entry that still says
 *             so when somebody else has the lock was left by a crash
 *
 * The entries say what is ours to undo; what is there is always asked from the
 * kernel.
 *
 * The journal's lock is held from journal_open() to journal_close(), so that
 * two runs of the program never overlap.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef AF_XDP_TOOL_JOURNAL_H
#define AF_XDP_TOOL_JOURNAL_H

#include "tool.h"

typedef struct Journal {
    char *dir;
    int lock_fd;
    uint64_t netns;         /* the thread's network namespace */
} Journal;

typedef struct Entry {
    Journal *journal;
    char *file;             /* name in the journal's directory */
    JsonObject *data;
} Entry;

/*
 * journal_open: take the lock, waiting for it, and make what is missing.
 * @readonly: only look: neither make nor lock anything.
 * Returns NULL with @errp set if that fails, EPERM if others than root and the
 * caller may write there. Signals that end a program are
 * blocked until journal_close(): no step is interrupted.
 */
Journal *journal_open(const Tool *tool, bool readonly, GError **errp);
void journal_close(Journal *journal);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Journal, journal_close)

/*
 * journal_entries: the entries of this network namespace, of @kind or, if that
 * is NULL, of all kinds. Entries that cannot be read are errors.
 * Returns Entry pointers, to be freed with g_ptr_array_unref().
 */
GPtrArray *journal_entries(Journal *journal, const char *kind, GError **errp);

/* journal_elsewhere: how many entries belong to other network namespaces? */
unsigned journal_elsewhere(Journal *journal);

/*
 * entry_new: an entry that is not on disk yet.
 * @id: tells it from the others of its kind.
 */
Entry *entry_new(Journal *journal, const char *kind, const char *id,
                 const char *nic, int ifindex);

/* entry_copy: the same entry once more, to outlive the list it is in. */
Entry *entry_copy(const Entry *entry);
void entry_free(Entry *entry);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Entry, entry_free)

/* entry_write: to disk, whole or not at all; on disk when it returns true. */
bool entry_write(Entry *entry, GError **errp);

/* entry_complete: mark it complete and write it. */
bool entry_complete(Entry *entry, GError **errp);

/* entry_remove: what it describes is no more. */
bool entry_remove(Entry *entry, GError **errp);

/* Members, with a default for one that is missing or of another type */
const char *entry_string(const Entry *entry, const char *name);
int64_t entry_int(const Entry *entry, const char *name, int64_t otherwise);
bool entry_is_complete(const Entry *entry);

/* Lists of numbers (uint32_t); an empty one if it is missing */
void entry_set_numbers(Entry *entry, const char *name, const GArray *numbers);
GArray *entry_numbers(const Entry *entry, const char *name);

/* numbers_contain: is @number in @numbers (uint32_t)? */
bool numbers_contain(const GArray *numbers, uint32_t number);

#endif /* AF_XDP_TOOL_JOURNAL_H */
