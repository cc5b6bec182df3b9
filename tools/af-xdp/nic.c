/*
 * qemu-af-xdp: a NIC's RSS table, contexts and rules, with a way back
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "nic.h"
#include "options.h"
#include "queues.h"
#include "rss.h"
#include "net/af-xdp-error.h"

/*
 * Contexts have small numbers, but no command lists them for all drivers. To
 * find one that a crash has left, so many are asked for.
 */
#define CONTEXTS_MAX 64

bool nic_check_queues(const char *nic, const GArray *queues, GError **errp)
{
    uint32_t rings, last = g_array_index(queues, uint32_t, queues->len - 1);
    int ret = ethtool_rings(nic, &rings);

    if (ret) {
        af_xdp_error_set(errp, -ret, ret == -EPERM
                         ? "This needs root (CAP_NET_ADMIN)."
                         : "The driver has no RSS: one queue gets everything, "
                           "or the device chooses in its own way.",
                         "cannot steer frames of '%s'", nic);
        return false;
    }
    if (last >= rings) {
        g_autofree char *hint = g_strdup_printf(
            "'ethtool -l %s' shows how many it has.", nic);

        af_xdp_error_set(errp, 0, hint,
                         "'%s' has no receive queue %u: it has %u, counted "
                         "from 0", nic, last, rings);
        return false;
    }
    if (numbers_contain(queues, 0)) {
        tool_usage_error(errp, "What no rule matches has to go somewhere.",
                         "queue 0 of '%s' must stay the host's", nic);
        return false;
    }
    return true;
}

/* The NIC's entry, or a new one, not written yet */
static Entry *nic_entry(Entry *of, bool *is_new, GError **errp)
{
    g_autoptr(GPtrArray) entries = journal_entries(of->journal, "nic", errp);
    int64_t ifindex = entry_int(of, "ifindex", 0);
    g_autofree char *id = g_strdup_printf("%d", (int)ifindex);

    if (!entries) {
        return NULL;
    }
    for (guint i = 0; i < entries->len; i++) {
        if (entry_int(entries->pdata[i], "ifindex", 0) == ifindex) {
            *is_new = false;
            return entry_copy(entries->pdata[i]);
        }
    }
    *is_new = true;
    return entry_new(of->journal, "nic", id, entry_string(of, "nic"), ifindex);
}

/* All queues that are steered on the NIC of @of; without its own if @gone */
static GArray *steered(Entry *of, bool gone, GError **errp)
{
    g_autoptr(GPtrArray) entries = journal_entries(of->journal, "steer", errp);
    GArray *taken;

    if (!entries) {
        return NULL;
    }
    taken = g_array_new(FALSE, FALSE, sizeof(uint32_t));
    for (guint i = 0; i < entries->len; i++) {
        const Entry *entry = entries->pdata[i];
        g_autoptr(GArray) queues = entry_numbers(entry, "queues");

        if (entry_int(entry, "ifindex", 0) == entry_int(of, "ifindex", 0) &&
            !(gone && !strcmp(entry->file, of->file))) {
            g_array_append_vals(taken, queues->data, queues->len);
        }
    }
    return taken;
}

bool nic_forget(Entry *entry, GError **errp)
{
    bool is_new;
    g_autoptr(Entry) nic = nic_entry(entry, &is_new, errp);

    return nic && entry_remove(nic, errp);
}

/* Write @table to the NIC, unless it has it */
static bool write_table(const Tool *tool, const char *nic, const GArray *now,
                        const GArray *table, bool as_default, GError **errp)
{
    int ret;

    if (rss_equal(now, table)) {
        return true;
    }
    tool_step(tool, as_default
              ? "set the RSS table of '%s' back to its default"
              : "write the RSS table of '%s'", nic);
    ret = as_default ? ethtool_reset_table(nic) : -EINVAL;
    if (ret) {
        ret = ethtool_set_table(nic, table);
    }
    if (ret) {
        af_xdp_error_set(errp, -ret, ret == -EPERM
                         ? "This needs root (CAP_NET_ADMIN)."
                         : "'ethtool -X' may say more.",
                         "cannot change the RSS table of '%s'", nic);
    }
    return ret == 0;
}

/* Flow rules off again, if it was us who switched them on */
static void restore_ntuple(const Tool *tool, const Entry *entry,
                           const char *nic)
{
    g_autoptr(GArray) rules = NULL;

    if (entry_int(entry, "ntuple", 0) && ethtool_rules(nic, &rules) == 0 &&
        rules->len == 0 &&
        tool_step(tool, "switch flow rules of '%s' off again", nic)) {
        ethtool_set_ntuple(nic, false);
    }
}

/* Queues that are leased, steered or not */
static GArray *leased(int ifindex)
{
    g_autoptr(GArray) queues = queues_list(ifindex, NULL);
    GArray *found = g_array_new(FALSE, FALSE, sizeof(uint32_t));

    for (guint i = 0; queues && i < queues->len; i++) {
        const Queue *queue = &g_array_index(queues, Queue, i);

        if (queue->leased) {
            g_array_append_val(found, queue->id);
        }
    }
    return found;
}

bool nic_spread(const Tool *tool, Entry *entry, const char *nic, bool gone,
                GError **errp)
{
    g_autoptr(GArray) now = NULL, base = NULL, taken = NULL, table = NULL;
    g_autoptr(GArray) old_base = NULL, last = NULL, ours = NULL, spared = NULL;
    g_autoptr(Entry) state = NULL;
    uint32_t rings;
    bool is_new;
    int ret;

    if (tool->dry_run) {
        tool_step(tool, "bring the RSS table of '%s' in line", nic);
        return true;
    }
    state = nic_entry(entry, &is_new, errp);
    taken = state ? steered(entry, gone, errp) : NULL;
    if (!taken) {
        return false;
    }
    ret = ethtool_rings(nic, &rings) ?: ethtool_table(nic, &now);
    if (ret) {
        if (gone && is_new) {
            return true;
        }
        af_xdp_error_set(errp, -ret, ret == -EOPNOTSUPP
                         ? "Its driver has no RSS table (ethtool -x): its "
                           "queues cannot be kept from the host's frames."
                         : NULL,
                         "cannot read the RSS table of '%s'", nic);
        return false;
    }
    old_base = entry_numbers(state, "base");
    last = entry_numbers(state, "last");
    ours = entry_numbers(state, "ours");
    base = rss_base(old_base, last, ours, now);
    spared = leased(entry_int(entry, "ifindex", 0));
    table = rss_without(base, taken, spared, rings);
    if (!table) {
        af_xdp_error_set(errp, 0, "Leave the host a queue.",
                         "'%s' would have no queue left", nic);
        return false;
    }
    if (taken->len) {
        entry_set_numbers(state, "base", base);
        entry_set_numbers(state, "last", now);
        entry_set_numbers(state, "ours", table);
        json_object_set_boolean_member(state->data, "complete", TRUE);
        return entry_write(state, errp) &&
               write_table(tool, nic, now, table, false, errp);
    }
    if (is_new) {
        return true;
    }
    restore_ntuple(tool, state, nic);
    return write_table(tool, nic, now, table, rss_is_default(table, rings),
                       errp) &&
           entry_remove(state, errp);
}

/* Is each queue of @table one of @queues? */
static bool within(const GArray *table, const GArray *queues)
{
    for (guint i = 0; i < table->len; i++) {
        if (!numbers_contain(queues, g_array_index(table, uint32_t, i))) {
            return false;
        }
    }
    return table->len > 0;
}

/* The numbers of the NIC's RSS contexts */
static GArray *contexts(const char *nic)
{
    GArray *found = g_array_new(FALSE, FALSE, sizeof(uint32_t));

    for (uint32_t id = 1; id <= CONTEXTS_MAX; id++) {
        GArray *table = NULL;
        int ret = ethtool_context(nic, id, &table);

        if (ret == 0) {
            g_array_unref(table);
            g_array_append_val(found, id);
        } else if (ret == -EOPNOTSUPP) {
            break;
        }
    }
    return found;
}

bool nic_add_context(const Tool *tool, Entry *entry, const char *nic,
                     GError **errp)
{
    g_autoptr(GArray) queues = entry_numbers(entry, "queues");
    g_autoptr(GArray) table = NULL, spread = NULL, before = NULL;
    uint32_t id;
    int ret = ethtool_table(nic, &table);

    if (entry_int(entry, "context", 0)) {
        return true;
    }
    spread = g_array_new(FALSE, FALSE, sizeof(uint32_t));
    for (guint i = 0; ret == 0 && i < table->len; i++) {
        g_array_append_val(spread, g_array_index(queues, uint32_t,
                                                 i % queues->len));
    }
    if (ret == 0) {
        before = contexts(nic);
        entry_set_numbers(entry, "contexts-before", before);
        if (!entry_write(entry, errp)) {
            return false;
        }
        tool_step(tool, "make an RSS context on '%s'", nic);
        ret = ethtool_new_context(nic, spread, &id);
    }
    if (ret == 0) {
        json_object_set_int_member(entry->data, "context", id);
        return entry_write(entry, errp);
    }
    if (ret == -EPERM) {
        af_xdp_error_set(errp, EPERM, "This needs root (CAP_NET_ADMIN).",
                         "cannot make an RSS context on '%s'", nic);
        return false;
    }
    tool_note(tool, "'%s' has no RSS contexts (%s): all frames go to queue %u, "
              "the first; rules of --ntuple for each queue can spread them",
              nic, g_strerror(-ret), g_array_index(queues, uint32_t, 0));
    json_object_remove_member(entry->data, "contexts-before");
    return true;
}

bool nic_undo_context(const Tool *tool, Entry *entry, const char *nic,
                      GError **errp)
{
    g_autoptr(GArray) queues = entry_numbers(entry, "queues");
    g_autoptr(GArray) before = entry_numbers(entry, "contexts-before");
    g_autoptr(GArray) there = NULL;
    uint32_t id = entry_int(entry, "context", 0);

    if (!json_object_has_member(entry->data, "contexts-before")) {
        return true;
    }
    /* A crash may have come between making it and noting its number. */
    there = contexts(nic);
    for (guint i = 0; i < there->len && !id; i++) {
        uint32_t each = g_array_index(there, uint32_t, i);
        g_autoptr(GArray) table = NULL;

        if (!numbers_contain(before, each) &&
            ethtool_context(nic, each, &table) == 0 &&
            within(table, queues)) {
            id = each;
        }
    }
    if (id && numbers_contain(there, id) &&
        tool_step(tool, "delete RSS context %u of '%s'", id, nic)) {
        int ret = ethtool_delete_context(nic, id);

        if (ret && ret != -ENOENT) {
            af_xdp_error_set(errp, -ret, "A rule that is not ours may use it: "
                             "'ethtool -n NIC'.",
                             "cannot delete RSS context %u of '%s'", id, nic);
            return false;
        }
    }
    return true;
}

/* Note that flow rules will be on by our doing, and switch them on. */
static int switch_on(const Tool *tool, Entry *entry, const char *nic,
                     GError **errp)
{
    bool is_new, on;
    g_autoptr(Entry) state = nic_entry(entry, &is_new, errp);
    int ret = ethtool_ntuple(nic, &on);

    if (!state) {
        return -EIO;
    }
    if (ret || on) {
        return -EOPNOTSUPP;
    }
    json_object_set_int_member(state->data, "ntuple", 1);
    if (!entry_write(state, errp)) {
        return -EIO;
    }
    tool_step(tool, "switch flow rules of '%s' on", nic);
    return ethtool_set_ntuple(nic, true);
}

bool nic_add_rule(const Tool *tool, Entry *entry, const char *nic, Rule *rule,
                  const char *words, GError **errp)
{
    int ret = ethtool_add_rule(nic, rule);
    GError *err = NULL;

    if (ret == -EOPNOTSUPP || ret == -EINVAL) {
        /* What drivers say as long as the feature "ntuple" is off */
        int on = switch_on(tool, entry, nic, &err);

        if (err) {
            g_propagate_error(errp, err);
            return false;
        }
        ret = on ? ret : ethtool_add_rule(nic, rule);
    }
    if (ret) {
        const char *hint = "'ethtool -N' may say more, and 'dmesg'.";

        switch (ret) {
        case -EOPNOTSUPP:
        case -EINVAL:
            hint = "The NIC has no flow rules, or none of this kind. Without "
                   "them frames reach a queue by RSS only; let the VM have "
                   "the NIC's all queues, or attach with --mac-filter to "
                   "queues that the host uses too.";
            break;
        case -ENOSPC:
            hint = "Its table of rules is full: 'ethtool -n' shows them.";
            break;
        case -EPERM:
            hint = "This needs root (CAP_NET_ADMIN).";
            break;
        }
        af_xdp_error_set(errp, -ret, hint,
                         "cannot add a rule for '%s' to '%s'", words, nic);
    }
    return ret == 0;
}
