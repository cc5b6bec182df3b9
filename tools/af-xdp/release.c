/*
 * qemu-af-xdp release: everything back
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <net/if.h>
#include "bound.h"
#include "host.h"
#include "link.h"
#include "netns.h"
#include "nic.h"
#include "undo.h"
#include "net/af-xdp-error.h"

#define ABOUT \
"Undoes what lease, attach and steer have done: for a NIC, for one\n" \
"netkit device, for a VM, or for everything. Also what a run that was\n" \
"killed has left half done. What others have made is not touched.\n" \
"What is gone already is no failure.\n" \
"\n" \
"A QEMU that uses the queues sees its device disappear.\n" \
"\n" \
"Examples:\n" \
"  qemu-af-xdp release nk0\n" \
"  qemu-af-xdp release nk0 --netns pod1\n" \
"  qemu-af-xdp release eth0\n" \
"  qemu-af-xdp release --vm web\n" \
"  qemu-af-xdp release --all"

bool undo_entry(const Tool *tool, Entry *entry, GError **errp)
{
    const char *kind = entry_string(entry, "kind");

    if (!strcmp(kind, "lease")) {
        return lease_undo(tool, entry, errp);
    }
    if (!strcmp(kind, "attach")) {
        return attach_undo(tool, entry, errp);
    }
    if (!strcmp(kind, "steer")) {
        return steer_undo(tool, entry, errp);
    }
    return true;
}

bool undo_unfinished(const Tool *tool, Journal *journal, int ifindex,
                     GError **errp)
{
    g_autoptr(GPtrArray) entries = NULL;

    if (tool->dry_run) {
        return true;
    }
    entries = journal_entries(journal, NULL, errp);
    for (guint i = 0; entries && i < entries->len; i++) {
        Entry *entry = entries->pdata[i];
        GError *err = NULL;

        if (entry_is_complete(entry)) {
            continue;
        }
        tool_note(tool, "a run before this one did not end: undoing its %s on "
                  "'%s'", entry_string(entry, "kind"),
                  entry_string(entry, "nic"));
        if (undo_entry(tool, entry, &err)) {
            continue;
        }
        if (entry_int(entry, "ifindex", 0) == ifindex) {
            g_propagate_error(errp, err);
            return false;
        }
        /* No reason to serve no other NIC */
        tool_warn(tool, err);
    }
    return entries != NULL;
}

typedef struct Release {
    const char *name;       /* of a NIC or a netkit device */
    int ifindex;            /* of that, 0 if there is none */
    const char *lease;      /* the file of its lease's entry, or NULL */
    char *netns;            /* where that netkit device is, if not here */
    char *vm;
    gboolean all;
} Release;

/* Was the device of @entry moved to @netns, the namespace with @inode? */
static bool is_in(const Entry *entry, const char *netns, uint64_t inode)
{
    /* It may be gone, and have left no more than its name. */
    return inode ? entry_int(entry, "target", 0) == (int64_t)inode
                 : !strcmp(entry_string(entry, "namespace"), netns);
}

/*
 * Which lease is meant by the name alone? Pods' devices all have the same one:
 * only that in this namespace, or in that of --netns.
 */
static bool find_lease(Release *release, const GPtrArray *entries,
                       GError **errp)
{
    g_autoptr(GString) others = g_string_new(NULL);
    uint64_t inode = 0;

    if (release->netns) {
        g_autofree char *path = netns_path(release->netns);
        int fd = netns_open(path, &inode, NULL);

        if (fd >= 0) {
            close(fd);
        }
    }
    for (guint i = 0; release->name && i < entries->len; i++) {
        const Entry *entry = entries->pdata[i];
        bool here = entry_int(entry, "target", 0) ==
                    (int64_t)entry->journal->netns;

        if (strcmp(entry_string(entry, "kind"), "lease")) {
            continue;
        }
        if (!release->netns && here && release->ifindex) {
            /* It may have got another name since, and this one another. */
            if (entry_int(entry, "netkit", 0) == release->ifindex) {
                release->lease = entry->file;
                return true;
            }
            continue;
        }
        if (strcmp(entry_string(entry, "name"), release->name)) {
            continue;
        }
        if (release->netns ? is_in(entry, release->netns, inode) : here) {
            release->lease = entry->file;
            return true;
        }
        g_string_append_printf(others, "%s'%s'", others->len ? ", " : "",
                               entry_string(entry, "namespace"));
    }
    if (others->len && (release->netns || !release->ifindex)) {
        af_xdp_error_set(errp, ENODEV, "Name its namespace with --netns, or "
                         "the VM with --vm.",
                         "there is no '%s' %s, but in %s", release->name,
                         release->netns ? "there" : "here", others->str);
        return false;
    }
    return true;
}

/* Is this entry meant? By name also if the device is gone. */
static bool is_meant(const Release *release, const Entry *entry)
{
    if (release->all) {
        return true;
    }
    if (release->vm) {
        return !strcmp(release->vm, entry_string(entry, "vm"));
    }
    if (release->lease && !strcmp(release->lease, entry->file)) {
        return true;
    }
    if (release->netns) {
        return false;
    }
    return release->ifindex
        ? entry_int(entry, "ifindex", 0) == release->ifindex
        : !strcmp(entry_string(entry, "nic"), release->name);
}

/* Undo in this order, so that no frame gets to a queue that nobody serves. */
static const char *const order[] = { "steer", "attach", "lease" };

/* Returns how many entries there were; failures are noted and counted. */
static unsigned undo_meant(const Tool *tool, const Release *release,
                           const GPtrArray *entries, unsigned *failed)
{
    unsigned found = 0;

    for (size_t kind = 0; kind < ARRAY_SIZE(order); kind++) {
        for (guint i = 0; i < entries->len; i++) {
            Entry *entry = entries->pdata[i];
            GError *err = NULL;

            if (strcmp(entry_string(entry, "kind"), order[kind]) ||
                !is_meant(release, entry)) {
                continue;
            }
            found++;
            if (!undo_entry(tool, entry, &err)) {
                tool_warn(tool, err);
                (*failed)++;
            }
        }
    }
    return found;
}

/* Pins that no entry knows of: the journal was lost. */
static unsigned remove_pins(const Tool *tool, const Release *release,
                            unsigned *failed)
{
    g_autoptr(GPtrArray) nics = host_nics(tool);
    g_autofree char *wanted = release->name
        ? options_file_name(release->name) : NULL;
    unsigned found = 0;

    for (guint i = 0; i < nics->len; i++) {
        const char *file = nics->pdata[i];
        int ifindex = host_ifindex_of(tool, file);
        GError *err = NULL;

        if (ifindex < 0 ||
            (!release->all && !(wanted && !strcmp(wanted, file)) &&
             !(release->ifindex && ifindex == release->ifindex))) {
            continue;
        }
        found++;
        if (tool_step(tool, "remove the program and the pins '%s'", file) &&
            (!bound_check(file, ifindex, &err) ||
             !host_clean_file(tool, file, &err))) {
            tool_warn(tool, err);
            (*failed)++;
        }
    }
    return found;
}

/* NICs whose steering has gone, but not their own entry */
static void forget_nics(const Release *release, Journal *journal)
{
    g_autoptr(GPtrArray) entries = journal_entries(journal, "nic", NULL);
    char name[IF_NAMESIZE];

    for (guint i = 0; entries && i < entries->len; i++) {
        if (is_meant(release, entries->pdata[i]) &&
            !if_indextoname(entry_int(entries->pdata[i], "ifindex", 0),
                            name)) {
            entry_remove(entries->pdata[i], NULL);
        }
    }
}

/* A netkit device that somebody else has made is his. */
static bool check_foreign(const Release *release, GError **errp)
{
    Link link;

    if (!release->name || release->netns ||
        link_get(release->name, 0, LINK_HERE, &link) ||
        strcmp(link.kind, "netkit")) {
        return true;
    }
    af_xdp_error_set(errp, EPERM, "'ip link delete dev NAME' deletes it, and "
                     "with it its leases.",
                     "netkit device '%s' was not made by this program, or "
                     "the journal is lost", release->name);
    return false;
}

bool release_main(Tool *tool, int argc, char **argv, GError **errp)
{
    g_autofree char *vm = NULL, *netns = NULL;
    Release release = { 0 };
    const GOptionEntry options[] = {
        { "vm", 0, 0, G_OPTION_ARG_STRING, &vm,
          "All of this VM's, on all NICs", "NAME" },
        { "netns", 0, 0, G_OPTION_ARG_STRING, &netns,
          "The netkit device of this name that is there", "NETNS" },
        { "all", 0, 0, G_OPTION_ARG_NONE, &release.all,
          "Everything in this network namespace", NULL },
        { NULL }
    };
    g_autoptr(GPtrArray) entries = NULL;
    g_autoptr(Journal) journal = NULL;
    unsigned found, others, failed = 0;

    if (!tool_parse(tool, options, "[NIC|NETKIT]", ABOUT, &argc, &argv,
                    errp)) {
        return false;
    }
    if (argc > 2 || (argc == 2) + (vm != NULL) + !!release.all != 1) {
        tool_usage_error(errp, "'qemu-af-xdp release --help' has examples.",
                         "give one device, or --vm, or --all");
        return false;
    }
    if (netns && argc != 2) {
        tool_usage_error(errp, "As in 'release nk0 --netns pod1'.",
                         "--netns goes with the name of a netkit device");
        return false;
    }
    if (vm && !options_vm(vm, errp)) {
        return false;
    }
    release.vm = vm;
    if (argc == 2) {
        release.name = argv[1];
        release.netns = netns;
        release.ifindex = netns ? 0 : if_nametoindex(release.name);
    }
    journal = journal_open(tool, tool->dry_run, errp);
    entries = journal ? journal_entries(journal, NULL, errp) : NULL;
    if (!entries || !find_lease(&release, entries, errp)) {
        return false;
    }
    found = undo_meant(tool, &release, entries, &failed);
    if (!vm && !netns) {
        found += remove_pins(tool, &release, &failed);
    }
    if (!tool->dry_run) {
        forget_nics(&release, journal);
    }
    others = release.all ? journal_elsewhere(journal) : 0;
    if (others) {
        tool_note(tool, "%u things belong to NICs of other network "
                  "namespaces: run this there", others);
    }
    if (failed) {
        af_xdp_error_set(errp, EBUSY, "The notes say what and why. Repeat the "
                         "command when that is mended.",
                         "%u of %u things could not be released", failed,
                         found);
        return false;
    }
    if (!found) {
        if (!check_foreign(&release, errp)) {
            return false;
        }
        tool_note(tool, "nothing of '%s' is known, nothing to release",
                  release.name ?: vm ?: "all");
    }
    return true;
}
