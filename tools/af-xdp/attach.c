/*
 * qemu-af-xdp attach, detach: VMs on the XDP program of a NIC
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "bound.h"
#include "host.h"
#include "link.h"
#include "queues.h"
#include "undo.h"
#include "net/af-xdp-device.h"
#include "net/af-xdp-error.h"

#define ABOUT_ATTACH \
"Attaches an XDP program to the NIC, if it is not there, makes a map\n" \
"of sockets for the VM, if there is none, and leads the queues to it.\n" \
"QEMU puts its sockets into the map (map-path=); until then, and on\n" \
"all other queues, frames go to the host as before. The program stays\n" \
"when QEMU ends.\n" \
"\n" \
"Each VM has a map of its own: who may write to it can take the\n" \
"frames of the queues that lead to it, and of no others. A program of\n" \
"somebody else on the NIC is never replaced.\n" \
"\n" \
"Examples:\n" \
"  qemu-af-xdp attach eth0 --vm web --queues 4,5\n" \
"  qemu-af-xdp attach eth0 --vm db --queues 6 --pin-owner qemu:kvm" \
" --pin-mode 0660\n" \
"  qemu-af-xdp attach eth0 --vm a --queues 3" \
" --mac-filter 52:54:00:12:34:56\n" \
"  qemu-af-xdp detach eth0 --vm web"

#define ABOUT_DETACH \
"Leads the VM's queues to the host again and removes its map. With\n" \
"the last VM the program leaves the NIC.\n" \
"\n" \
"Examples:\n" \
"  qemu-af-xdp detach eth0 --vm web\n" \
"  qemu-af-xdp detach eth0 --vm web --queues 5"

typedef struct Attach {
    AfXdpDevice nic;
    uint32_t nic_queues;    /* that the NIC can ever have */
    char *vm;
    GArray *queues;         /* NULL in detach: all */
    EbpfAfXdpMode mode;
    HostOwner owner;
    bool filter;
    uint8_t mac[MAC_LEN];
} Attach;

static void attach_clear(Attach *attach)
{
    g_clear_pointer(&attach->queues, g_array_unref);
    g_free(attach->vm);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Attach, attach_clear)

static char *attach_id(int ifindex, const char *vm)
{
    return g_strdup_printf("%d-%s", ifindex, vm);
}

/*
 * Take @queues, or with NULL all, from VM @vm; with its last queue its map, and
 * with the last VM the program.
 */
static bool take_away(const Tool *tool, Host *host, const char *vm,
                      const GArray *queues, GError **errp)
{
    GError *err = NULL;
    int fd = host_vm(host, vm, false, &err);
    uint32_t id = fd < 0 ? 0 : host_map_id(fd);
    g_autoptr(GPtrArray) vms = NULL;
    bool left = false;

    if (err) {
        g_propagate_error(errp, err);
        return false;
    }
    if (fd >= 0) {
        close(fd);
    }
    for (uint32_t queue = 0; id && queue < host->queues; queue++) {
        if (host_route(host, queue) != id) {
            continue;
        }
        if (queues && !numbers_contain(queues, queue)) {
            left = true;
            continue;
        }
        if (tool_step(tool, "lead queue %u of '%s' to the host again", queue,
                      host->nic) &&
            (!host_set_route(host, queue, -1, errp) ||
             !host_set_filter(host, queue, NULL, errp))) {
            return false;
        }
    }
    if (left) {
        return true;
    }
    if (id && tool_step(tool, "remove the map of VM '%s'", vm) &&
        !host_vm_remove(host, vm, errp)) {
        return false;
    }
    vms = host_vms(host);
    if (vms->len == 0 || (tool->dry_run && vms->len == 1)) {
        return !tool_step(tool, "take the XDP program off '%s'", host->nic) ||
               (bound_check(host->nic, host->ifindex, errp) &&
                host_remove(tool, host, errp));
    }
    return true;
}

/* host_open(), with what is left of a NIC or a run that is gone removed */
static Host *open_clean(const Tool *tool, const char *nic, int ifindex,
                        GError **errp)
{
    GError *err = NULL;
    Host *host = host_open(tool, nic, ifindex, &err);

    if (err && g_error_matches(err, AF_XDP_ERROR, ESTALE)) {
        g_clear_error(&err);
        if (tool_step(tool, "remove what is left in the BPF file system of "
                      "'%s'", nic) &&
            bound_check(nic, ifindex, errp)) {
            host_clean(tool, nic, errp);
        }
    } else if (err) {
        g_propagate_error(errp, err);
    }
    return host;
}

bool attach_undo(const Tool *tool, Entry *entry, GError **errp)
{
    char name[IF_NAMESIZE];
    GError *err = NULL;
    g_autoptr(Host) host = open_clean(tool, entry_string(entry, "nic"),
                                      entry_int(entry, "ifindex", 0), &err);

    if (err && g_error_matches(err, AF_XDP_ERROR, EEXIST) &&
        !if_indextoname(entry_int(entry, "ifindex", 0), name)) {
        /* It has taken everything along; its successor's is not ours. */
        g_error_free(err);
        return tool->dry_run || entry_remove(entry, errp);
    }
    if (err) {
        g_propagate_error(errp, err);
        return false;
    }
    if (host && !take_away(tool, host, entry_string(entry, "vm"), NULL,
                           errp)) {
        return false;
    }
    return tool->dry_run || entry_remove(entry, errp);
}

/* Which VM has the map with number @id? To be freed; NULL if none */
static char *vm_of(Host *host, uint32_t id)
{
    g_autoptr(GPtrArray) vms = host_vms(host);

    for (guint i = 0; i < vms->len; i++) {
        int fd = host_vm(host, vms->pdata[i], false, NULL);
        uint32_t found = fd < 0 ? 0 : host_map_id(fd);

        if (fd >= 0) {
            close(fd);
        }
        if (found == id) {
            return g_strdup(vms->pdata[i]);
        }
    }
    return NULL;
}

/* May the VM have these queues? */
static bool check_queues(const Attach *attach, Host *host, GError **errp)
{
    uint32_t mine = 0;
    int fd;

    if (host) {
        fd = host_vm(host, attach->vm, false, NULL);
        if (fd >= 0) {
            mine = host_map_id(fd);
            close(fd);
        }
    }
    for (guint i = 0; i < attach->queues->len; i++) {
        uint32_t queue = g_array_index(attach->queues, uint32_t, i);
        uint32_t id = 0;

        if (queue >= attach->nic_queues ||
            queue >= MAX(attach->nic.rx_queues, 1)) {
            g_autofree char *hint = g_strdup_printf(
                "'ethtool -l %s' shows how many it has.", attach->nic.name);

            af_xdp_error_set(errp, 0, hint,
                             "'%s' has no receive queue %u: it has %u, counted "
                             "from 0", attach->nic.name, queue,
                             MIN(attach->nic.rx_queues, attach->nic_queues));
            return false;
        }
        if (host && queue < host->queues) {
            id = host_route(host, queue);
        }
        if (id && id != mine) {
            g_autofree char *vm = vm_of(host, id);
            g_autofree char *hint = g_strdup_printf(
                "'qemu-af-xdp detach %s --vm %s' frees it.", attach->nic.name,
                vm ?: "NAME");

            af_xdp_error_set(errp, EBUSY, hint,
                             "queue %u of '%s' belongs to VM '%s'", queue,
                             attach->nic.name, vm ?: "?");
            return false;
        }
    }
    return true;
}

/* A leased queue needs native mode: its frames have no other way. */
static bool check_leases(const Attach *attach, GError **errp)
{
    g_autoptr(GArray) queues = NULL;

    if (attach->mode != EBPF_AF_XDP_MODE_SKB) {
        return true;
    }
    queues = queues_list(attach->nic.ifindex, NULL);
    for (guint i = 0; queues && i < attach->queues->len; i++) {
        uint32_t id = g_array_index(attach->queues, uint32_t, i);
        const Queue *queue = queues_find(queues, id);

        if (queue && queue->leased) {
            af_xdp_error_set(errp, 0, "Leave out '--mode skb'.",
                             "queue %u of '%s' is leased, which skb mode does "
                             "not serve", id, attach->nic.name);
            return false;
        }
    }
    return true;
}

static bool route_all(const Tool *tool, const Attach *attach, Host *host,
                      GError **errp)
{
    int fd = host_vm(host, attach->vm, true, errp);
    uint32_t id;
    bool done = fd >= 0 && host_vm_owner(host, attach->vm, &attach->owner,
                                         errp);

    id = fd < 0 ? 0 : host_map_id(fd);
    for (guint i = 0; done && i < attach->queues->len; i++) {
        uint32_t queue = g_array_index(attach->queues, uint32_t, i);

        tool_step(tool, "lead queue %u of '%s' to VM '%s'", queue, host->nic,
                  attach->vm);
        /* The filter first: no frame that is not the VM's gets through. */
        done = host_set_filter(host, queue, attach->filter ? attach->mac : NULL,
                               errp) &&
               (host_route(host, queue) == id ||
                host_set_route(host, queue, fd, errp));
    }
    if (fd >= 0) {
        close(fd);
    }
    return done;
}

/* The queues that lead to the VM, ascending */
static GArray *vm_queues(Host *host, const char *vm)
{
    GArray *queues = g_array_new(FALSE, FALSE, sizeof(uint32_t));
    int fd = host_vm(host, vm, false, NULL);
    uint32_t id = fd < 0 ? 0 : host_map_id(fd);

    for (uint32_t queue = 0; id && queue < host->queues; queue++) {
        if (host_route(host, queue) == id) {
            g_array_append_val(queues, queue);
        }
    }
    if (fd >= 0) {
        close(fd);
    }
    return queues;
}

/*
 * Attach, undoing what this run has added if it fails: the VM as a whole if it
 * is new, else only the queues that it did not have.
 */
static bool attach_all(const Tool *tool, const Attach *attach,
                       Journal *journal, Host **result, GError **errp)
{
    g_autofree char *id = attach_id(attach->nic.ifindex, attach->vm);
    g_autoptr(Entry) entry = entry_new(journal, "attach", id,
                                       attach->nic.name, attach->nic.ifindex);
    GError *err = NULL, *second = NULL;
    g_autoptr(GArray) before = NULL, added = NULL;
    g_autoptr(Host) host = open_clean(tool, attach->nic.name,
                                      attach->nic.ifindex, &err);

    if (err || !check_queues(attach, host, &err)) {
        g_propagate_error(errp, err);
        return false;
    }
    if (host && attach->mode != EBPF_AF_XDP_MODE_AUTO &&
        host->native != (attach->mode == EBPF_AF_XDP_MODE_NATIVE)) {
        af_xdp_error_set(errp, EBUSY, "Leave out --mode, or detach all VMs "
                         "first.",
                         "the program runs on '%s' in %s mode already",
                         attach->nic.name, host->native ? "native" : "skb");
        return false;
    }
    before = host ? vm_queues(host, attach->vm)
                  : g_array_new(FALSE, FALSE, sizeof(uint32_t));
    json_object_set_string_member(entry->data, "vm", attach->vm);
    entry_set_numbers(entry, "queues", attach->queues);
    json_object_set_boolean_member(entry->data, "complete", before->len > 0);
    if (!entry_write(entry, errp)) {
        return false;
    }
    if (!host) {
        EbpfAfXdpMode mode = attach->mode == EBPF_AF_XDP_MODE_AUTO
            ? EBPF_AF_XDP_MODE_NATIVE : attach->mode;

        tool_step(tool, "attach the XDP program to '%s' in %s mode",
                  attach->nic.name, ebpf_af_xdp_mode_name(mode));
        if (bound_check(attach->nic.name, attach->nic.ifindex, errp)) {
            host = host_attach(tool, attach->nic.name, attach->nic.ifindex,
                               attach->nic_queues, mode, errp);
        }
        if (!host) {
            entry_remove(entry, NULL);
            return false;
        }
    }
    if (route_all(tool, attach, host, errp)) {
        g_autoptr(GArray) now = vm_queues(host, attach->vm);

        entry_set_numbers(entry, "queues", now);
        if (entry_complete(entry, errp)) {
            *result = g_steal_pointer(&host);
            return true;
        }
    }
    added = g_array_new(FALSE, FALSE, sizeof(uint32_t));
    for (guint i = 0; i < attach->queues->len; i++) {
        uint32_t queue = g_array_index(attach->queues, uint32_t, i);

        if (!numbers_contain(before, queue)) {
            g_array_append_val(added, queue);
        }
    }
    if (!take_away(tool, host, attach->vm, before->len ? added : NULL,
                   &second) ||
        (before->len == 0 && !entry_remove(entry, &second))) {
        tool_warn(tool, second);
    }
    return false;
}

/* Can the map's new owner get at it? */
static void note_search(const Tool *tool, const char *path, uid_t owner)
{
    g_autofree char *dir = g_path_get_dirname(path);
    struct stat st;

    while (owner && owner != (uid_t)-1 && strlen(dir) > 1) {
        char *up;

        if (stat(dir, &st) == 0 && st.st_uid != owner &&
            !(st.st_mode & S_IXOTH)) {
            tool_note(tool, "'%s' cannot be searched by others: use 'chmod "
                      "o+x', or bind-mount the map's file to where its owner "
                      "can open it", dir);
        }
        up = g_path_get_dirname(dir);
        g_free(dir);
        dir = up;
    }
}

/*
 * What the guest's netdev is to name: the NIC; or, if the first queue is
 * leased, the netkit device that has it, with all that it has. @link receives
 * that.
 */
static void find_guest_side(const Attach *attach, const GArray *queues,
                            NetdevLine *line, GArray *theirs, GArray *keys,
                            Link *link)
{
    g_autoptr(GArray) all = queues_list(attach->nic.ifindex, NULL);
    uint32_t holder = 0;
    int32_t nsid = 0;

    line->ifname = attach->nic.name;
    for (guint i = 0; i < queues->len; i++) {
        uint32_t id = g_array_index(queues, uint32_t, i);
        const Queue *queue = all ? queues_find(all, id) : NULL;
        bool leased = queue && queue->leased;

        if (i == 0 && leased &&
            link_get(NULL, queue->lease_ifindex, queue->lease_nsid,
                     link) == 0) {
            holder = queue->lease_ifindex;
            nsid = queue->lease_nsid;
            line->ifname = link->name;
        }
        if (leased && holder && (queue->lease_ifindex != holder ||
                                 queue->lease_nsid != nsid)) {
            continue;
        }
        if (holder && !leased) {
            continue;
        }
        g_array_append_val(keys, id);
        g_array_append_val(theirs, *(holder ? &queue->lease_queue : &id));
    }
}

static void print_attach(const Tool *tool, const Attach *attach, Host *host)
{
    g_autofree char *path = host_map_path(tool, host, attach->nic.name,
                                          attach->vm);
    g_autoptr(GArray) queues = vm_queues(host, attach->vm);
    g_autoptr(GArray) theirs = g_array_new(FALSE, FALSE, sizeof(uint32_t));
    g_autoptr(GArray) keys = g_array_new(FALSE, FALSE, sizeof(uint32_t));
    g_autofree char *text = options_queues_text(queues);
    JsonArray *list = json_array_new(), *netdevs = json_array_new();
    JsonObject *root = json_object_new();
    NetdevLine line = { .map = path, .queues = theirs, .keys = keys };
    g_auto(GStrv) lines = NULL;
    Link link;

    find_guest_side(attach, queues, &line, theirs, keys, &link);
    lines = netdev_lines(&line);
    if (!*lines) {
        tool_note(tool, "the name '%s' has control characters: no -netdev for "
                  "it", line.ifname);
    }
    tool_say(tool, "'%s' runs XDP program id %u in %s mode", attach->nic.name,
             host->prog_id, host->native ? "native" : "skb");
    tool_say(tool, "queues %s lead to VM '%s', map %s", text, attach->vm,
             path);
    for (char **each = lines; *each; each++) {
        tool_say(tool, "-netdev %s", *each);
        json_array_add_string_element(netdevs, *each);
    }
    if (line.ifname == attach->nic.name && !*attach->nic.kind) {
        tool_say(tool, "That is for a guest on '%s' itself; for leased queues "
                 "'lease' prints another.", attach->nic.name);
    }
    for (guint i = 0; i < queues->len; i++) {
        json_array_add_int_element(list, g_array_index(queues, uint32_t, i));
    }
    json_object_set_string_member(root, "nic", attach->nic.name);
    json_object_set_string_member(root, "vm", attach->vm);
    json_object_set_string_member(root, "map", path);
    json_object_set_string_member(root, "mode",
                                  host->native ? "native" : "skb");
    json_object_set_int_member(root, "program", host->prog_id);
    json_object_set_array_member(root, "queues", list);
    json_object_set_array_member(root, "netdev", netdevs);
    note_search(tool, path, attach->owner.uid);
    tool_json(tool, root);
}

static bool one_nic(int argc, const char *command, GError **errp)
{
    g_autofree char *hint = g_strdup_printf("'qemu-af-xdp %s --help' has "
                                            "examples.", command);

    if (argc != 2) {
        tool_usage_error(errp, hint, "one NIC is needed");
    }
    return argc == 2;
}

static bool need_vm(const char *vm, GError **errp)
{
    if (!vm) {
        tool_usage_error(errp, "--vm NAME says whose queues they are.",
                         "a VM is needed");
    }
    return vm && options_vm(vm, errp);
}

static bool parse_mode(const char *text, EbpfAfXdpMode *mode, GError **errp)
{
    if (!text) {
        *mode = EBPF_AF_XDP_MODE_AUTO;
    } else if (!strcmp(text, "native")) {
        *mode = EBPF_AF_XDP_MODE_NATIVE;
    } else if (!strcmp(text, "skb")) {
        *mode = EBPF_AF_XDP_MODE_SKB;
    } else {
        tool_usage_error(errp, "There are 'native' and 'skb'.",
                         "'--mode %s' is not a mode", text);
        return false;
    }
    return true;
}

/* The device must be there, and something that a program can serve. */
static bool find_nic(const char *ifname, Attach *attach, GError **errp)
{
    Link link;

    if (!link_query(ifname, &attach->nic, errp)) {
        return false;
    }
    if (attach->nic.is_netkit) {
        af_xdp_error_set(errp, 0, "Name the NIC whose queues it has: "
                         "'qemu-af-xdp status' shows it.",
                         "netkit device '%s' takes no XDP program", ifname);
        return false;
    }
    /* What it can ever have, as the maps' sizes are for good. */
    attach->nic_queues = attach->nic.rx_queues;
    if (link_get(NULL, attach->nic.ifindex, LINK_HERE, &link) == 0) {
        attach->nic_queues = MAX(attach->nic_queues, link.rx_queues);
    }
    return true;
}

bool attach_main(Tool *tool, int argc, char **argv, GError **errp)
{
    g_auto(Attach) attach = { .owner = { .uid = -1, .gid = -1 } };
    g_autofree char *queues = NULL, *mode = NULL, *owner = NULL, *pin = NULL,
                    *mac = NULL;
    const GOptionEntry entries[] = {
        { "vm", 0, 0, G_OPTION_ARG_STRING, &attach.vm,
          "Whose queues they are; names its map", "NAME" },
        { "queues", 0, 0, G_OPTION_ARG_STRING, &queues,
          "Queues of the NIC, as in 4,5 or 4-7", "LIST" },
        { "mode", 0, 0, G_OPTION_ARG_STRING, &mode,
          "native (default) or skb", "MODE" },
        { "mac-filter", 0, 0, G_OPTION_ARG_STRING, &mac,
          "Of these queues' frames only those for MAC and for groups", "MAC" },
        { "pin-owner", 0, 0, G_OPTION_ARG_STRING, &owner,
          "Owner and group of the map", "USER[:GROUP]" },
        { "pin-mode", 0, 0, G_OPTION_ARG_STRING, &pin,
          "Mode of the map (0600)", "OCTAL" },
        { NULL }
    };
    g_autoptr(Journal) journal = NULL;
    g_autoptr(Host) host = NULL;

    if (!tool_parse(tool, entries, "NIC", ABOUT_ATTACH, &argc, &argv, errp) ||
        !one_nic(argc, "attach", errp) || !need_vm(attach.vm, errp) ||
        !parse_mode(mode, &attach.mode, errp) ||
        (mac && !options_unicast(mac, attach.mac, errp)) ||
        (pin && !options_mode(pin, &attach.owner.mode, errp)) ||
        (owner && !options_owner(owner, &attach.owner.uid, &attach.owner.gid,
                                 errp))) {
        return false;
    }
    attach.filter = mac != NULL;
    attach.owner.set_mode = pin != NULL;
    if (!queues) {
        tool_usage_error(errp, "As in '--queues 4,5'.",
                         "--queues is needed");
        return false;
    }
    attach.queues = options_queues(queues, errp);
    if (!attach.queues || !find_nic(argv[1], &attach, errp) ||
        !tool_initial_user_namespace(errp)) {
        return false;
    }
    journal = journal_open(tool, tool->dry_run, errp);
    if (!journal || !undo_unfinished(tool, journal, attach.nic.ifindex, errp) ||
        !check_leases(&attach, errp)) {
        return false;
    }
    if (tool->dry_run) {
        GError *err = NULL;

        host = open_clean(tool, attach.nic.name, attach.nic.ifindex, &err);
        if (err || !check_queues(&attach, host, &err)) {
            g_propagate_error(errp, err);
            return false;
        }
        if (!host) {
            tool_step(tool, "attach the XDP program to '%s'",
                      attach.nic.name);
        }
        tool_step(tool, "lead queues %s of '%s' to VM '%s'", queues,
                  attach.nic.name, attach.vm);
        return true;
    }
    if (!attach_all(tool, &attach, journal, &host, errp)) {
        return false;
    }
    print_attach(tool, &attach, host);
    return true;
}

/* Bring the entry of a VM up to date after some of its queues went. */
static bool shrink_entry(Journal *journal, const AfXdpDevice *nic,
                         const char *vm, GArray *left, GError **errp)
{
    g_autofree char *id = attach_id(nic->ifindex, vm);
    g_autoptr(Entry) entry = entry_new(journal, "attach", id, nic->name,
                                       nic->ifindex);

    if (left->len == 0) {
        return entry_remove(entry, errp);
    }
    json_object_set_string_member(entry->data, "vm", vm);
    entry_set_numbers(entry, "queues", left);
    return entry_complete(entry, errp);
}

bool detach_main(Tool *tool, int argc, char **argv, GError **errp)
{
    g_auto(Attach) attach = { 0 };
    g_autofree char *queues = NULL;
    const GOptionEntry entries[] = {
        { "vm", 0, 0, G_OPTION_ARG_STRING, &attach.vm, "Whose", "NAME" },
        { "queues", 0, 0, G_OPTION_ARG_STRING, &queues,
          "Only these of its queues", "LIST" },
        { NULL }
    };
    g_autoptr(Journal) journal = NULL;
    g_autoptr(GArray) left = NULL;
    g_autoptr(Host) host = NULL;
    GError *err = NULL;

    if (!tool_parse(tool, entries, "NIC", ABOUT_DETACH, &argc, &argv, errp) ||
        !one_nic(argc, "detach", errp) || !need_vm(attach.vm, errp)) {
        return false;
    }
    attach.queues = queues ? options_queues(queues, errp) : NULL;
    if ((queues && !attach.queues) || !find_nic(argv[1], &attach, errp)) {
        return false;
    }
    journal = journal_open(tool, tool->dry_run, errp);
    if (!journal || !undo_unfinished(tool, journal, attach.nic.ifindex, errp)) {
        return false;
    }
    host = open_clean(tool, attach.nic.name, attach.nic.ifindex, &err);
    if (err) {
        g_propagate_error(errp, err);
        return false;
    }
    left = host ? vm_queues(host, attach.vm)
                : g_array_new(FALSE, FALSE, sizeof(uint32_t));
    if (!left->len) {
        tool_note(tool, "no queue of '%s' leads to VM '%s'", attach.nic.name,
                  attach.vm);
    }
    if (host && !take_away(tool, host, attach.vm, attach.queues, errp)) {
        return false;
    }
    if (tool->dry_run) {
        return true;
    }
    for (guint i = left->len; i-- > 0;) {
        if (!attach.queues ||
            numbers_contain(attach.queues, g_array_index(left, uint32_t, i))) {
            g_array_remove_index(left, i);
        }
    }
    return shrink_entry(journal, &attach.nic, attach.vm, left, errp);
}
