/*
 * qemu-af-xdp: a NIC's RSS table, contexts and rules, with a way back
 *
 * What concerns the NIC as a whole is in a journal entry of the kind "nic":
 * the operator's RSS table and ours (see rss.h), and whether flow rules were
 * switched on by us. It is there as long as one of the kind "steer" is.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef AF_XDP_TOOL_NIC_H
#define AF_XDP_TOOL_NIC_H

#include "ethtool.h"
#include "journal.h"

/* nic_check_queues: can frames be steered to @queues, and leave one free? */
bool nic_check_queues(const char *nic, const GArray *queues, GError **errp);

/*
 * nic_spread: bring the NIC's RSS table in line with the journal's steering.
 * @entry: the steering that has come, or gone: its NIC is meant.
 * @gone: it must not count any more. When it was the last, everything is as
 *        the operator had it, and the NIC's entry is removed.
 */
bool nic_spread(const Tool *tool, Entry *entry, const char *nic, bool gone,
                GError **errp);

/* nic_forget: the NIC is gone, and with it what is in its entry. */
bool nic_forget(Entry *entry, GError **errp);

/*
 * nic_add_context: an RSS context over the queues of @entry, noted there. If
 * the NIC has none, that is said, and no failure.
 */
bool nic_add_context(const Tool *tool, Entry *entry, const char *nic,
                     GError **errp);

/* nic_undo_context: delete it, if there is one. */
bool nic_undo_context(const Tool *tool, Entry *entry, const char *nic,
                      GError **errp);

/*
 * nic_add_rule: add a flow rule, having the NIC switched to flow rules if it
 * is not.
 * @words: the flow, for messages
 */
bool nic_add_rule(const Tool *tool, Entry *entry, const char *nic, Rule *rule,
                  const char *words, GError **errp);

#endif /* AF_XDP_TOOL_NIC_H */
