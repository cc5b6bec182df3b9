/*
 * qemu-af-xdp lease: a netkit device with queues of a NIC
 *
 * The device is made under a name that nobody else has, so that what a crash
 * leaves can be told; it gets its own name, its namespace and its state in one
 * step at the end.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "bound.h"
#include "host.h"
#include "link.h"
#include "netns.h"
#include "queues.h"
#include "undo.h"
#include "net/af-xdp-device.h"
#include "net/af-xdp-error.h"

#define ABOUT \
"Makes a netkit device without a peer, with a receive queue for each\n" \
"queue of the NIC that it leases, and queue 0, which is nobody's. It\n" \
"is set up, unless --no-up, and has the NIC's MTU. Needs root and\n" \
"Linux 7.1, and a NIC whose driver can manage single queues (mlx5,\n" \
"gve).\n" \
"\n" \
"A lease cannot be taken back from a device: 'release' deletes it. It\n" \
"does not keep the host's frames away from the queue: see 'steer'.\n" \
"Until a program is attached, see 'attach', nothing arrives.\n" \
"\n" \
"Examples:\n" \
"  qemu-af-xdp lease eth0 --queues 4,5 --name nk0 --vm web\n" \
"  qemu-af-xdp lease eth0 --count 2 --name nk0 --netns pod1\n" \
"  qemu-af-xdp lease eth0 --queues 15 --netns 4711 --json\n" \
"  qemu-af-xdp release nk0"

/* Names that no crash-proof name generator of others is likely to give */
#define TEMPORARY "qax%08x"

typedef struct Lease {
    GArray *nic_queues;
    GArray *queues;         /* of the netkit device, in the same order */
    int count;
    char *name;
    char *mac_text;
    int mtu;
    char *netns;
    char *vm;
    gboolean no_up;

    AfXdpDevice nic;
    uint8_t mac[MAC_LEN];
    int netns_fd;           /* -1: stay here */
    uint64_t netns_inode;
} Lease;

static void lease_clear(Lease *lease)
{
    g_clear_pointer(&lease->nic_queues, g_array_unref);
    g_clear_pointer(&lease->queues, g_array_unref);
    g_free(lease->name);
    g_free(lease->mac_text);
    g_free(lease->netns);
    g_free(lease->vm);
    if (lease->netns_fd >= 0) {
        close(lease->netns_fd);
    }
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Lease, lease_clear)

/*
 * Is this the device of @entry, or one that came after it? Names, queues and
 * the numbers of namespaces are given out again; its index and address both,
 * and in the same namespace, are not.
 */
bool lease_is(const Entry *entry, const Link *link, uint64_t netns)
{
    int64_t target = entry_int(entry, "target", 0);
    const char *mac = entry_string(entry, "mac");
    g_autofree char *now = options_mac_text(link->mac);

    if (strcmp(link->kind, "netkit")) {
        return false;
    }
    if (!strcmp(link->name, entry_string(entry, "temporary"))) {
        return true;
    }
    /* Not moved by us: somebody may have done it since. */
    if (netns && (uint64_t)target != netns &&
        (uint64_t)target != entry->journal->netns) {
        return false;
    }
    /* Where it was moved to it may have got another index, noted last. */
    return !strcmp(mac, now) &&
           (entry_is_complete(entry)
            ? entry_int(entry, "netkit", 0) == link->ifindex
            : !strcmp(link->name, entry_string(entry, "name")));
}

/* Find the device that has queues of @entry's leased, if it is its own. */
static bool find_holder(const Entry *entry, Link *link, int32_t *nsid)
{
    g_autoptr(GArray) wanted = entry_numbers(entry, "queues");
    g_autoptr(GArray) queues = queues_list(entry_int(entry, "ifindex", 0),
                                           NULL);

    for (guint i = 0; queues && i < queues->len; i++) {
        const Queue *queue = &g_array_index(queues, Queue, i);

        *nsid = queue->lease_nsid;
        if (queue->leased && numbers_contain(wanted, queue->id) &&
            link_get(NULL, queue->lease_ifindex, *nsid, link) == 0 &&
            lease_is(entry, link, *nsid == LINK_HERE ? entry->journal->netns
                                                     : netns_inode(*nsid))) {
            return true;
        }
    }
    return false;
}

/* The netkit device of @entry; false if there is none. */
static bool find_netkit(const Entry *entry, Link *link, int32_t *nsid)
{
    uint64_t here = entry->journal->netns;

    if (find_holder(entry, link, nsid)) {
        return true;
    }
    /* No queue is leased yet; or the NIC is down and does not tell. */
    *nsid = LINK_HERE;
    return (link_get(entry_string(entry, "temporary"), 0, LINK_HERE,
                     link) == 0 && lease_is(entry, link, here)) ||
           ((uint64_t)entry_int(entry, "target", 0) == here &&
            link_get(NULL, entry_int(entry, "netkit", 0), LINK_HERE,
                     link) == 0 && lease_is(entry, link, here));
}

/* The device of @entry is gone. Has another one its queues? */
static void note_others(const Tool *tool, const Entry *entry)
{
    g_autoptr(GArray) wanted = entry_numbers(entry, "queues");
    g_autoptr(GArray) queues = queues_list(entry_int(entry, "ifindex", 0),
                                           NULL);

    for (guint i = 0; queues && i < queues->len; i++) {
        const Queue *queue = &g_array_index(queues, Queue, i);
        Link link;

        if (queue->leased && numbers_contain(wanted, queue->id) &&
            link_get(NULL, queue->lease_ifindex, queue->lease_nsid,
                     &link) == 0) {
            tool_note(tool, "queue %u of '%s' is leased to '%s', which is not "
                      "the device that was made, or has got another address; "
                      "it is left alone", queue->id,
                      entry_string(entry, "nic"), link.name);
        }
    }
}

bool lease_undo(const Tool *tool, Entry *entry, GError **errp)
{
    g_autofree char *words = NULL;
    Link link;
    int32_t nsid;
    int ret;

    if (find_netkit(entry, &link, &nsid)) {
        g_autofree char *where = nsid == LINK_HERE ? NULL : netns_name(nsid);

        if (!tool_step(tool, "delete netkit device '%s'%s%s", link.name,
                       where ? " in namespace " : "", where ?: "")) {
            return true;
        }
        bound_wait(tool, entry, &link, nsid);
        ret = link_delete(link.ifindex, nsid, &words);
        if (ret && ret != -ENODEV) {
            af_xdp_error_set(errp, -ret, NULL,
                             "cannot delete netkit device '%s'%s", link.name,
                             words);
            return false;
        }
    } else {
        note_others(tool, entry);
    }
    return tool->dry_run || entry_remove(entry, errp);
}

/* One queue of the NIC: is it there, and free? */
static bool check_queue(const Lease *lease, const GArray *queues,
                        uint32_t id, GError **errp)
{
    const Queue *queue = queues_find(queues, id);
    const char *nic = lease->nic.name;

    if (id == 0) {
        tool_usage_error(errp, "Choose from queue 1 on; NICs serve what "
                         "nobody steers elsewhere on queue 0.",
                         "queue 0 of '%s' cannot be leased", nic);
    } else if (!queue) {
        g_autofree char *hint = g_strdup_printf(
            "'ethtool -L %s combined N' gives it more, if it can; 'ethtool -l "
            "%s' shows how many.", nic, nic);

        af_xdp_error_set(errp, 0, hint,
                         "'%s' has no receive queue %u: it has %u, counted "
                         "from 0", nic, id, queues->len);
    } else if (queue->leased) {
        Link link;
        bool known = link_get(NULL, queue->lease_ifindex, queue->lease_nsid,
                              &link) == 0;

        af_xdp_error_set(errp, EBUSY, "'qemu-af-xdp status' shows all leases; "
                         "'qemu-af-xdp release NETKIT' ends one.",
                         "queue %u of '%s' is leased to '%s' already", id, nic,
                         known ? link.name : "?");
    } else if (queue->xsk || queue->memory) {
        af_xdp_error_set(errp, EBUSY, queue->xsk
                         ? "'ss --xdp -ap' shows sockets and their processes."
                         : "devmem or io_uring receive from it.",
                         "queue %u of '%s' is used by %s", id, nic,
                         queue->xsk ? "an AF_XDP socket"
                                    : "a memory provider");
    } else {
        return true;
    }
    return false;
}

/* --count: the last of the free queues, in one run if there is one */
static bool choose_queues(Lease *lease, const GArray *queues, GError **errp)
{
    uint32_t run = 0, total = 0;

    lease->nic_queues = g_array_new(FALSE, FALSE, sizeof(uint32_t));
    for (uint32_t id = queues->len; id-- > 1;) {
        if (!check_queue(lease, queues, id, NULL)) {
            run = 0;
            continue;
        }
        total++;
        if (++run == (uint32_t)lease->count) {
            for (uint32_t i = 0; i < run; i++) {
                uint32_t queue = id + i;

                g_array_append_val(lease->nic_queues, queue);
            }
            return true;
        }
    }
    af_xdp_error_set(errp, EBUSY, "'qemu-af-xdp status' shows what uses them. "
                     "A guest's queues must follow one another.",
                     "'%s' has no %d free queues in a row; %u of its %u are "
                     "free", lease->nic.name, lease->count, total,
                     queues->len);
    return false;
}

static bool check_nic(Lease *lease, const char *ifname, GError **errp)
{
    g_autoptr(GArray) queues = NULL;

    if (!tool_initial_user_namespace(errp) ||
        !link_query(ifname, &lease->nic, errp) ||
        !queues_can_lease(errp)) {
        return false;
    }
    if (*lease->nic.kind) {
        g_autofree char *hint = g_strdup_printf(
            "Name the NIC. A '%s' has no queues of hardware to lease.",
            lease->nic.kind);

        af_xdp_error_set(errp, 0, hint, "'%s' is a virtual device (%s)",
                         ifname, lease->nic.kind);
        return false;
    }
    if (!lease->nic.up) {
        g_autofree char *hint = g_strdup_printf(
            "'ip link set dev %s up': a NIC that is down has no queues.",
            ifname);

        af_xdp_error_set(errp, ENETDOWN, hint, "cannot lease queues of '%s'",
                         ifname);
        return false;
    }
    queues = queues_list(lease->nic.ifindex, errp);
    if (!queues) {
        return false;
    }
    if (!lease->nic_queues) {
        return choose_queues(lease, queues, errp);
    }
    for (guint i = 0; i < lease->nic_queues->len; i++) {
        if (!check_queue(lease, queues,
                         g_array_index(lease->nic_queues, uint32_t, i),
                         errp)) {
            return false;
        }
    }
    return true;
}

/* What the driver, or the kernel, means with its errno */
static void error_lease(const Lease *lease, int errnum, uint32_t queue,
                        const char *words, GError **errp)
{
    const char *hint = NULL;

    switch (errnum) {
    case EPERM:
        hint = "This needs root (CAP_NET_ADMIN) in the initial user "
               "namespace.";
        break;
    case EOPNOTSUPP:
        hint = "Its driver cannot manage single queues, or not in its present "
               "state. Of Linux 7.2's drivers mlx5 and gve can, and have "
               "driver zero-copy too.";
        break;
    case EBUSY:
        hint = "The queue is leased or used already: 'qemu-af-xdp status' and "
               "'ss --xdp -ap' show by whom.";
        break;
    case EINVAL:
    case ERANGE:
        hint = "'ethtool -l' shows how many queues it has, 'ethtool -S' what "
               "they do.";
        break;
    }
    af_xdp_error_set(errp, errnum, hint,
                     "cannot lease queue %u of '%s' (driver %s)%s", queue,
                     lease->nic.name, *lease->nic.driver ? lease->nic.driver
                                                         : "unknown", words);
}

static bool make_device(const Tool *tool, const Lease *lease, Entry *entry,
                        GError **errp)
{
    const char *temporary = entry_string(entry, "temporary");
    LinkNetkit netkit = {
        .name = temporary,
        .rx_queues = lease->nic_queues->len + 1,
        .mtu = lease->mtu ?: (int)lease->nic.mtu,
        .mac = lease->mac_text ? lease->mac : NULL,
    };
    g_autofree char *words = NULL, *mac = NULL;
    Link link;
    int ret;

    tool_step(tool, "create netkit device '%s' with %u receive queues",
              temporary, netkit.rx_queues);
    ret = link_create_netkit(&netkit, &words);
    if (ret == 0) {
        ret = link_get(temporary, 0, LINK_HERE, &link);
    }
    if (ret) {
        af_xdp_error_set(errp, -ret,
                         ret == -EPERM ? "This needs root (CAP_NET_ADMIN)." :
                         ret == -EOPNOTSUPP ? "The kernel lacks CONFIG_NETKIT, "
                         "or is older than Linux 7.1." :
                         ret == -EINVAL ? "It is about --mtu or --mac, or the "
                         "kernel is older than Linux 7.1." : NULL,
                         "cannot create a netkit device%s", words);
        return false;
    }
    mac = options_mac_text(link.mac);
    json_object_set_int_member(entry->data, "netkit", link.ifindex);
    json_object_set_string_member(entry->data, "mac", mac);
    return entry_write(entry, errp);
}

static bool lease_queues(const Tool *tool, Lease *lease, Entry *entry,
                         GError **errp)
{
    lease->queues = g_array_new(FALSE, FALSE, sizeof(uint32_t));
    for (guint i = 0; i < lease->nic_queues->len; i++) {
        uint32_t queue = g_array_index(lease->nic_queues, uint32_t, i), id;
        g_autofree char *words = NULL;
        int ret;

        tool_step(tool, "lease queue %u of '%s' to it", queue,
                  lease->nic.name);
        ret = queues_lease(entry_int(entry, "netkit", 0), lease->nic.ifindex,
                           queue, &id, &words);
        if (ret) {
            error_lease(lease, -ret, queue, words, errp);
            return false;
        }
        g_array_append_val(lease->queues, id);
    }
    entry_set_numbers(entry, "netkit-queues", lease->queues);
    return true;
}

static bool place_device(const Tool *tool, const Lease *lease, Entry *entry,
                         GError **errp)
{
    g_autofree char *words = NULL;
    int32_t nsid;
    Link link;
    int ret;

    tool_step(tool, "name it '%s'%s%s%s", lease->name,
              lease->netns ? ", move it to namespace " : "",
              lease->netns ?: "", lease->no_up ? "" : ", set it up");
    ret = link_place(entry_int(entry, "netkit", 0), lease->name,
                     lease->netns_fd, !lease->no_up, &words);
    if (ret) {
        af_xdp_error_set(errp, -ret, ret == -EEXIST
                         ? "A device of this name is there: choose another "
                           "--name, or delete it."
                         : NULL,
                         "cannot make it '%s'%s%s%s", lease->name,
                         lease->netns ? " in namespace " : "",
                         lease->netns ?: "", words);
        return false;
    }
    if (find_holder(entry, &link, &nsid)) {
        /* Its index there, if the old one was taken */
        json_object_set_int_member(entry->data, "netkit", link.ifindex);
    }
    return true;
}

/*
 * The queues are free, and a lease ends with its device: entries that have
 * them are of devices that are gone.
 */
static bool forget_gone(const Lease *lease, Journal *journal, GError **errp)
{
    g_autoptr(GPtrArray) entries = journal_entries(journal, "lease", errp);

    for (guint i = 0; entries && i < entries->len; i++) {
        Entry *entry = entries->pdata[i];
        g_autoptr(GArray) queues = entry_numbers(entry, "queues");
        bool gone = false;

        for (guint k = 0; k < queues->len; k++) {
            gone |= numbers_contain(lease->nic_queues,
                                    g_array_index(queues, uint32_t, k));
        }
        if (gone && entry_int(entry, "ifindex", 0) == lease->nic.ifindex &&
            !entry_remove(entry, errp)) {
            return false;
        }
    }
    return entries != NULL;
}

static bool make_lease(const Tool *tool, Lease *lease, Journal *journal,
                       Entry **result, GError **errp)
{
    g_autofree char *temporary = g_strdup_printf(TEMPORARY, g_random_int());
    g_autoptr(Entry) entry = entry_new(journal, "lease", temporary,
                                       lease->nic.name, lease->nic.ifindex);
    GError *second = NULL;

    if (!lease->name) {
        /* As unlike others' names as the temporary one, and not that */
        lease->name = g_strdup_printf("nk%08x", g_random_int());
    }
    json_object_set_string_member(entry->data, "temporary", temporary);
    json_object_set_string_member(entry->data, "name", lease->name);
    json_object_set_string_member(entry->data, "namespace",
                                  lease->netns ?: "");
    json_object_set_int_member(entry->data, "target", lease->netns
                               ? lease->netns_inode : journal->netns);
    json_object_set_string_member(entry->data, "vm", lease->vm ?: "");
    entry_set_numbers(entry, "queues", lease->nic_queues);
    if (!entry_write(entry, errp)) {
        return false;
    }
    if (make_device(tool, lease, entry, errp) &&
        lease_queues(tool, lease, entry, errp) &&
        place_device(tool, lease, entry, errp) &&
        entry_complete(entry, errp)) {
        *result = g_steal_pointer(&entry);
        return true;
    }
    if (!lease_undo(tool, entry, &second)) {
        tool_warn(tool, second);
    }
    return false;
}

/*
 * Has a run before this one made this lease? *@found receives its entry.
 * Returns false with @errp set if it made another one that is in the way.
 */
static bool find_made(const Tool *tool, Lease *lease, Journal *journal,
                      Entry **found, GError **errp)
{
    g_autoptr(GPtrArray) entries = journal_entries(journal, "lease", errp);
    uint64_t target = lease->netns ? lease->netns_inode : journal->netns;

    *found = NULL;
    if (!entries) {
        return false;
    }
    for (guint i = 0; i < entries->len; i++) {
        Entry *entry = entries->pdata[i];
        g_autoptr(GArray) queues = entry_numbers(entry, "queues");
        g_autofree char *text = options_queues_text(queues);
        int32_t nsid;
        Link link;
        bool same_name = lease->name &&
            !strcmp(lease->name, entry_string(entry, "name")) &&
            target == (uint64_t)entry_int(entry, "target", 0);
        bool same_queues = lease->nic_queues
            ? queues->len == lease->nic_queues->len &&
              !memcmp(queues->data, lease->nic_queues->data,
                      queues->len * sizeof(uint32_t))
            : same_name && queues->len == (guint)lease->count;

        if (entry_int(entry, "ifindex", 0) != lease->nic.ifindex) {
            same_queues = false;
        }
        if (!same_name && (lease->name || !same_queues ||
                           target != (uint64_t)entry_int(entry, "target",
                                                         0))) {
            continue;
        }
        if (!find_netkit(entry, &link, &nsid)) {
            /* Gone by itself, or with its namespace; or who knows where */
            if (!tool->dry_run && lease->nic.up && !entry_remove(entry, errp)) {
                return false;
            }
            continue;
        }
        if (!same_queues) {
            af_xdp_error_set(errp, EEXIST, "Release it first, or choose "
                             "another --name.",
                             "'%s' has been made with queues %s of '%s'",
                             lease->name, text, entry_string(entry, "nic"));
            return false;
        }
        *found = entry_copy(entry);
        return true;
    }
    return true;
}

/* The device's name, where it is now; that of @entry if it cannot be asked */
static void netkit_now(const Entry *entry, Link *link)
{
    int32_t nsid;

    if (!find_netkit(entry, link, &nsid)) {
        memset(link, 0, sizeof(*link));
        g_strlcpy(link->name, entry_string(entry, "name"),
                  sizeof(link->name));
    }
}

static void print_lease(const Tool *tool, const Entry *entry)
{
    g_autoptr(GArray) nic_queues = entry_numbers(entry, "queues");
    g_autoptr(GArray) queues = entry_numbers(entry, "netkit-queues");
    const char *nic = entry_string(entry, "nic");
    const char *vm = entry_string(entry, "vm");
    const char *netns = entry_string(entry, "namespace");
    g_autoptr(Host) host = host_open(tool, nic,
                                     entry_int(entry, "ifindex", 0), NULL);
    g_autofree char *map = *vm ? host_map_path(tool, host, nic, vm) : NULL;
    g_autofree char *mac = NULL;
    g_auto(GStrv) lines = NULL;
    JsonObject *root = json_object_new(), *netkit = json_object_new();
    JsonArray *pairs = json_array_new(), *netdevs = json_array_new();
    NetdevLine line = { .map = map, .queues = queues, .keys = nic_queues };
    Link link;

    netkit_now(entry, &link);
    mac = options_mac_text(link.mac);
    line.ifname = link.name;
    lines = netdev_lines(&line);
    if (!*lines) {
        tool_note(tool, "the name '%s' has control characters: no -netdev for "
                  "it", line.ifname);
    }

    tool_say(tool, "netkit device '%s', ifindex %d, address %s, MTU %u%s%s%s",
             link.name, link.ifindex, mac, link.mtu,
             *netns ? ", in namespace " : "", netns, link.up ? "" : ", down");
    for (guint i = 0; i < queues->len && i < nic_queues->len; i++) {
        JsonObject *pair = json_object_new();
        uint32_t ours = g_array_index(queues, uint32_t, i);
        uint32_t theirs = g_array_index(nic_queues, uint32_t, i);

        tool_say(tool, "  its queue %u is queue %u of '%s'", ours, theirs,
                 nic);
        json_object_set_int_member(pair, "netkit", ours);
        json_object_set_int_member(pair, "nic", theirs);
        json_array_add_object_element(pairs, pair);
    }
    for (char **text = lines; *text; text++) {
        tool_say(tool, "-netdev %s", *text);
        json_array_add_string_element(netdevs, *text);
    }
    if (!map) {
        tool_say(tool, "PATH is what 'attach' prints; with --vm it is known "
                 "here.");
    }

    json_object_set_string_member(netkit, "name", link.name);
    json_object_set_int_member(netkit, "ifindex", link.ifindex);
    json_object_set_string_member(netkit, "mac", mac);
    json_object_set_int_member(netkit, "mtu", link.mtu);
    json_object_set_boolean_member(netkit, "up", link.up);
    json_object_set_string_member(netkit, "namespace", netns);
    json_object_set_string_member(root, "nic", nic);
    json_object_set_object_member(root, "netkit", netkit);
    if (*vm) {
        json_object_set_string_member(root, "vm", vm);
        json_object_set_string_member(root, "map", map);
    }
    json_object_set_array_member(root, "queues", pairs);
    json_object_set_array_member(root, "netdev", netdevs);
    tool_json(tool, root);
}

static bool parse(Tool *tool, int argc, char **argv, Lease *lease,
                  const char **nic, GError **errp)
{
    g_autofree char *queues = NULL;
    const GOptionEntry entries[] = {
        { "queues", 0, 0, G_OPTION_ARG_STRING, &queues,
          "Queues of the NIC to lease, as in 4,5 or 4-7", "LIST" },
        { "count", 0, 0, G_OPTION_ARG_INT, &lease->count,
          "Lease so many free ones instead", "N" },
        { "name", 0, 0, G_OPTION_ARG_STRING, &lease->name,
          "Call the device so (nk and a number)", "NAME" },
        { "mac", 0, 0, G_OPTION_ARG_STRING, &lease->mac_text,
          "Its address (random)", "MAC" },
        { "mtu", 0, 0, G_OPTION_ARG_INT, &lease->mtu,
          "Its MTU (the NIC's)", "BYTES" },
        { "netns", 0, 0, G_OPTION_ARG_STRING, &lease->netns,
          "Move it there: a name of 'ip netns', a path, a process's id",
          "NETNS" },
        { "vm", 0, 0, G_OPTION_ARG_STRING, &lease->vm,
          "Whose it is, for 'attach' and 'release'", "NAME" },
        { "no-up", 0, 0, G_OPTION_ARG_NONE, &lease->no_up,
          "Leave it down", NULL },
        { NULL }
    };

    if (!tool_parse(tool, entries, "NIC", ABOUT, &argc, &argv, errp)) {
        return false;
    }
    if (argc != 2) {
        tool_usage_error(errp, "'qemu-af-xdp lease --help' has examples.",
                         "one NIC is needed");
        return false;
    }
    *nic = argv[1];
    if (!queues == !lease->count) {
        tool_usage_error(errp, "--queues 4,5 names them, --count 2 leaves the "
                         "choice.", "give either --queues or --count");
        return false;
    }
    if (lease->count < 0 || lease->count > 4096) {
        tool_usage_error(errp, NULL, "'--count %d' is out of range",
                         lease->count);
        return false;
    }
    lease->nic_queues = queues ? options_queues(queues, errp) : NULL;
    if ((queues && !lease->nic_queues) ||
        (lease->name && !options_ifname(lease->name, errp)) ||
        (lease->vm && !options_vm(lease->vm, errp)) ||
        (lease->mac_text &&
         !options_unicast(lease->mac_text, lease->mac, errp))) {
        return false;
    }
    if (lease->mtu && (lease->mtu < 68 || lease->mtu > 65535)) {
        tool_usage_error(errp, "From 68 to what the NIC has.",
                         "'--mtu %d' is out of range", lease->mtu);
        return false;
    }
    if (lease->netns) {
        g_autofree char *path = netns_path(lease->netns);

        lease->netns_fd = netns_open(path, &lease->netns_inode, errp);
        return lease->netns_fd >= 0;
    }
    return true;
}

bool lease_main(Tool *tool, int argc, char **argv, GError **errp)
{
    g_auto(Lease) lease = { .netns_fd = -1 };
    g_autoptr(Journal) journal = NULL;
    g_autoptr(Entry) entry = NULL;
    const char *nic;

    if (!parse(tool, argc, argv, &lease, &nic, errp)) {
        return false;
    }
    journal = journal_open(tool, tool->dry_run, errp);
    if (!journal || !link_query(nic, &lease.nic, errp) ||
        !undo_unfinished(tool, journal, lease.nic.ifindex, errp) ||
        !find_made(tool, &lease, journal, &entry, errp)) {
        return false;
    }
    if (!entry) {
        if (!check_nic(&lease, nic, errp)) {
            return false;
        }
        if (lease.mtu > (int)lease.nic.mtu) {
            g_autofree char *hint = g_strdup_printf(
                "Raise the NIC's first: 'ip link set dev %s mtu %d'.",
                lease.nic.name, lease.mtu);

            af_xdp_error_set(errp, 0, hint, "'--mtu %d' is more than '%s' can "
                             "carry (%u)", lease.mtu, lease.nic.name,
                             lease.nic.mtu);
            return false;
        }
        if (tool->dry_run) {
            g_autofree char *text = options_queues_text(lease.nic_queues);

            tool_step(tool, "lease queues %s of '%s' to a new netkit device "
                      "'%s'%s%s", text, lease.nic.name, lease.name ?: "nk...",
                      lease.netns ? " in namespace " : "", lease.netns ?: "");
            return true;
        }
        if (!forget_gone(&lease, journal, errp) ||
            !make_lease(tool, &lease, journal, &entry, errp)) {
            return false;
        }
    }
    print_lease(tool, entry);
    return true;
}
