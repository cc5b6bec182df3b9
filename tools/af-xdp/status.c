/*
 * qemu-af-xdp status: what there is
 *
 * Everything is asked from the kernel; the journal only says what of it is
 * ours. The result is made once, as JSON, and written in words from that.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <net/if.h>
#include "ethtool.h"
#include "host.h"
#include "journal.h"
#include "link.h"
#include "netns.h"
#include "queues.h"
#include "sockets.h"
#include "net/af-xdp-device.h"
#include "net/af-xdp-error.h"

#define ABOUT \
"Shows NICs with leased queues or with a program of this tool: who\n" \
"has which queue, which sockets are bound, counters, and what is\n" \
"steered. Frames count as redirected when given to a socket, passed\n" \
"when the queue had none, filtered when they were not for\n" \
"--mac-filter's address, dropped when they carried metadata that\n" \
"could not be taken off.\n" \
"\n" \
"Without root, what only root may see is missing.\n" \
"\n" \
"Examples:\n" \
"  qemu-af-xdp status\n" \
"  qemu-af-xdp status eth0\n" \
"  qemu-af-xdp status --json | jq '.nics[].queues[]'"

typedef struct Status {
    const Tool *tool;
    GPtrArray *entries;     /* the journal's */
    GArray *sockets;        /* of this namespace; NULL: not told */
    GHashTable *elsewhere;  /* nsid -> the same of another one */
} Status;

/* The sockets in the namespace @nsid; NULL if they cannot be seen */
static GArray *sockets_of(Status *status, int32_t nsid)
{
    gpointer key = GINT_TO_POINTER(nsid);
    GArray *sockets = NULL;
    int back;

    if (nsid == LINK_HERE) {
        return status->sockets;
    }
    if (g_hash_table_lookup_extended(status->elsewhere, key, NULL,
                                     (gpointer *)&sockets)) {
        return sockets;
    }
    back = netns_enter_nsid(nsid);
    if (back >= 0) {
        sockets = sockets_list();
        netns_leave(back);
    }
    g_hash_table_insert(status->elsewhere, key, sockets);
    return sockets;
}

static void add_socket(JsonObject *object, const GArray *sockets,
                       uint32_t ifindex, uint32_t queue)
{
    for (guint i = 0; sockets && i < sockets->len; i++) {
        const Socket *each = &g_array_index(sockets, Socket, i);
        JsonObject *socket;

        if (each->ifindex != ifindex || each->queue != queue) {
            continue;
        }
        socket = json_object_new();
        json_object_set_boolean_member(socket, "zero-copy", each->zero_copy);
        if (each->pid) {
            json_object_set_int_member(socket, "pid", each->pid);
            json_object_set_string_member(socket, "command", each->command);
        }
        json_object_set_object_member(object, "socket", socket);
        return;
    }
}

static void add_lease(Status *status, JsonObject *object, const Queue *queue)
{
    JsonObject *lease = json_object_new();
    bool ours = false;
    Link link;

    if (link_get(NULL, queue->lease_ifindex, queue->lease_nsid, &link) == 0) {
        json_object_set_string_member(lease, "netkit", link.name);
        json_object_set_boolean_member(lease, "up", link.up);
    }
    json_object_set_int_member(lease, "ifindex", queue->lease_ifindex);
    json_object_set_int_member(lease, "queue", queue->lease_queue);
    if (queue->lease_nsid != LINK_HERE) {
        g_autofree char *name = netns_name(queue->lease_nsid);

        json_object_set_string_member(lease, "namespace", name);
    }
    for (guint i = 0; i < status->entries->len && !ours; i++) {
        const Entry *entry = status->entries->pdata[i];
        g_autoptr(GArray) queues = entry_numbers(entry, "queues");

        ours = !strcmp(entry_string(entry, "kind"), "lease") &&
               entry_int(entry, "ifindex", 0) == queue->ifindex &&
               numbers_contain(queues, queue->id);
        if (ours && *entry_string(entry, "vm")) {
            json_object_set_string_member(lease, "vm",
                                          entry_string(entry, "vm"));
        }
    }
    json_object_set_boolean_member(lease, "ours", ours);
    json_object_set_object_member(object, "lease", lease);
    add_socket(object, sockets_of(status, queue->lease_nsid),
               queue->lease_ifindex, queue->lease_queue);
}

static void add_counters(JsonObject *object, Host *host, uint32_t queue)
{
    JsonObject *counters = json_object_new();
    EbpfAfXdpCounters sum;

    host_counters(host, queue, &sum);
    json_object_set_int_member(counters, "redirected", sum.redirected);
    json_object_set_int_member(counters, "passed", sum.passed);
    json_object_set_int_member(counters, "filtered", sum.filtered);
    json_object_set_int_member(counters, "dropped", sum.dropped);
    json_object_set_object_member(object, "counters", counters);
}

/* Names of VMs by the numbers of their maps */
static GHashTable *vm_names(Host *host)
{
    GHashTable *names = g_hash_table_new_full(NULL, NULL, NULL, g_free);
    g_autoptr(GPtrArray) vms = host_vms(host);

    for (guint i = 0; i < vms->len; i++) {
        int fd = host_vm(host, vms->pdata[i], false, NULL);

        if (fd >= 0) {
            g_hash_table_insert(names, GUINT_TO_POINTER(host_map_id(fd)),
                                g_strdup(vms->pdata[i]));
            close(fd);
        }
    }
    return names;
}

static JsonArray *nic_queues(Status *status, const AfXdpDevice *nic,
                             Host *host)
{
    g_autoptr(GHashTable) vms = host ? vm_names(host) : NULL;
    g_autoptr(GArray) queues = queues_list(nic->ifindex, NULL);
    JsonArray *list = json_array_new();
    uint32_t n = MAX(nic->rx_queues, host ? host->queues : 0);

    for (uint32_t id = 0; id < n; id++) {
        const Queue *queue = queues ? queues_find(queues, id) : NULL;
        uint32_t map = host && id < host->queues ? host_route(host, id) : 0;
        JsonObject *object = json_object_new();

        json_object_set_int_member(object, "queue", id);
        if (queue && queue->leased) {
            add_lease(status, object, queue);
        } else {
            add_socket(object, status->sockets, nic->ifindex, id);
        }
        if (queue && queue->xsk) {
            json_object_set_boolean_member(object, "in-use", TRUE);
        }
        if (map) {
            const char *vm = g_hash_table_lookup(vms, GUINT_TO_POINTER(map));
            uint8_t mac[MAC_LEN];

            json_object_set_string_member(object, "vm", vm ?: "?");
            if (host_filter(host, id, mac)) {
                g_autofree char *text = options_mac_text(mac);

                json_object_set_string_member(object, "mac-filter", text);
            }
            add_counters(object, host, id);
        }
        /* Only those that have something to say */
        if (json_object_get_size(object) > 1) {
            json_array_add_object_element(list, object);
        } else {
            json_object_unref(object);
        }
    }
    return list;
}

/* Our steering, and which queues RSS spreads the rest to */
static void add_steering(Status *status, JsonObject *root,
                         const AfXdpDevice *nic)
{
    JsonArray *list = json_array_new();
    GArray *table = NULL;

    for (guint i = 0; i < status->entries->len; i++) {
        const Entry *entry = status->entries->pdata[i];
        static const char *const members[] = {
            "queues", "flows", "addresses", "context", "vm",
        };
        JsonObject *object;

        if (strcmp(entry_string(entry, "kind"), "steer") ||
            entry_int(entry, "ifindex", 0) != nic->ifindex) {
            continue;
        }
        object = json_object_new();
        for (size_t k = 0; k < ARRAY_SIZE(members); k++) {
            if (json_object_has_member(entry->data, members[k])) {
                json_object_set_member(object, members[k],
                    json_object_dup_member(entry->data, members[k]));
            }
        }
        json_array_add_object_element(list, object);
    }
    json_object_set_array_member(root, "steering", list);

    if (ethtool_table(nic->name, &table) == 0) {
        JsonArray *rss = json_array_new();

        for (uint32_t queue = 0; queue < nic->rx_queues; queue++) {
            if (numbers_contain(table, queue)) {
                json_array_add_int_element(rss, queue);
            }
        }
        g_array_unref(table);
        json_object_set_array_member(root, "rss", rss);
    }
}

static void add_program(Status *status, JsonObject *root,
                        const AfXdpDevice *nic, Host *host)
{
    JsonObject *program;
    g_autoptr(GPtrArray) vms = NULL;
    JsonArray *list;

    if (!host && !nic->xdp_prog_id) {
        return;
    }
    program = json_object_new();
    json_object_set_int_member(program, "id",
                               host ? host->prog_id : nic->xdp_prog_id);
    json_object_set_boolean_member(program, "ours", host != NULL);
    if (host) {
        json_object_set_string_member(program, "mode",
                                      host->native ? "native" : "skb");
        list = json_array_new();
        vms = host_vms(host);
        for (guint i = 0; i < vms->len; i++) {
            g_autofree char *path = host_map_path(status->tool, host,
                                                  nic->name, vms->pdata[i]);
            JsonObject *vm = json_object_new();

            json_object_set_string_member(vm, "name", vms->pdata[i]);
            json_object_set_string_member(vm, "map", path);
            json_array_add_object_element(list, vm);
        }
        json_object_set_array_member(program, "vms", list);
    }
    json_object_set_object_member(root, "program", program);
}

static JsonObject *nic_status(Status *status, const char *name, GError **errp)
{
    JsonObject *root;
    AfXdpDevice nic;
    GError *err = NULL;
    g_autoptr(Host) host = NULL;

    if (!link_query(name, &nic, errp)) {
        return NULL;
    }
    host = host_open(status->tool, nic.name, nic.ifindex, &err);
    if (err) {
        tool_warn(status->tool, err);
    }
    root = json_object_new();
    json_object_set_string_member(root, "name", nic.name);
    json_object_set_int_member(root, "ifindex", nic.ifindex);
    json_object_set_string_member(root, "driver", nic.driver);
    json_object_set_boolean_member(root, "up", nic.up);
    json_object_set_int_member(root, "mtu", nic.mtu);
    json_object_set_int_member(root, "rx-queues", nic.rx_queues);
    add_program(status, root, &nic, host);
    json_object_set_array_member(root, "queues",
                                 nic_queues(status, &nic, host));
    add_steering(status, root, &nic);
    return root;
}

static const char *text_of(JsonObject *object, const char *name)
{
    return json_object_get_string_member_with_default(object, name, "");
}

static void print_queue(const Tool *tool, JsonObject *queue)
{
    GString *line = g_string_new(NULL);
    JsonObject *part;

    g_string_append_printf(line, "  queue %d:",
                           (int)json_object_get_int_member(queue, "queue"));
    if (json_object_has_member(queue, "vm")) {
        g_string_append_printf(line, " VM '%s',", text_of(queue, "vm"));
    }
    if (json_object_has_member(queue, "lease")) {
        part = json_object_get_object_member(queue, "lease");
        g_string_append_printf(line, " leased to '%s' queue %d",
                               text_of(part, "netkit"),
                               (int)json_object_get_int_member(part, "queue"));
        if (*text_of(part, "namespace")) {
            g_string_append_printf(line, " in namespace %s",
                                   text_of(part, "namespace"));
        }
        if (!json_object_get_boolean_member(part, "ours")) {
            g_string_append(line, " (not by this program)");
        }
        g_string_append_c(line, ',');
    }
    if (json_object_has_member(queue, "mac-filter")) {
        g_string_append_printf(line, " only for %s,",
                               text_of(queue, "mac-filter"));
    }
    if (json_object_has_member(queue, "socket")) {
        part = json_object_get_object_member(queue, "socket");
        g_string_append_printf(line, " bound%s",
            json_object_get_boolean_member(part, "zero-copy")
            ? " in driver zero-copy" : "");
        if (json_object_has_member(part, "pid")) {
            g_string_append_printf(line, " by %s (%d)",
                                   text_of(part, "command"),
                                   (int)json_object_get_int_member(part,
                                                                   "pid"));
        }
    } else if (json_object_has_member(queue, "in-use")) {
        g_string_append(line, " bound");
    } else {
        g_string_append(line, " not bound");
    }
    if (json_object_has_member(queue, "counters")) {
        static const char *const names[] = {
            "redirected", "passed", "filtered", "dropped",
        };

        part = json_object_get_object_member(queue, "counters");
        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
            g_string_append_printf(line, ", %" G_GINT64_FORMAT " %s",
                json_object_get_int_member(part, names[i]), names[i]);
        }
    }
    tool_say(tool, "%s", line->str);
    g_string_free(line, TRUE);
}

/* A list of numbers or words with commas between them, to be freed */
static char *list_text(JsonArray *list)
{
    GString *text = g_string_new(NULL);

    for (guint i = 0; i < json_array_get_length(list); i++) {
        JsonNode *node = json_array_get_element(list, i);

        g_string_append(text, i ? ", " : "");
        if (json_node_get_value_type(node) == G_TYPE_INT64) {
            g_string_append_printf(text, "%d", (int)json_node_get_int(node));
        } else {
            g_string_append(text, json_node_get_string(node));
        }
    }
    return g_string_free(text, FALSE);
}

static void print_nic(const Tool *tool, JsonObject *nic)
{
    JsonArray *list;

    tool_say(tool, "%s: driver %s, %d receive queues, MTU %d, %s",
             text_of(nic, "name"),
             *text_of(nic, "driver") ? text_of(nic, "driver") : "unknown",
             (int)json_object_get_int_member(nic, "rx-queues"),
             (int)json_object_get_int_member(nic, "mtu"),
             json_object_get_boolean_member(nic, "up") ? "up" : "down");
    if (json_object_has_member(nic, "program")) {
        JsonObject *program = json_object_get_object_member(nic, "program");
        bool ours = json_object_get_boolean_member(program, "ours");

        tool_say(tool, "  XDP program id %d%s%s",
                 (int)json_object_get_int_member(program, "id"),
                 ours ? ", mode " : ", not of this program",
                 ours ? text_of(program, "mode") : "");
        list = ours ? json_object_get_array_member(program, "vms") : NULL;
        for (guint i = 0; list && i < json_array_get_length(list); i++) {
            JsonObject *vm = json_array_get_object_element(list, i);

            tool_say(tool, "  VM '%s': map %s", text_of(vm, "name"),
                     text_of(vm, "map"));
        }
    }
    list = json_object_get_array_member(nic, "queues");
    for (guint i = 0; i < json_array_get_length(list); i++) {
        print_queue(tool, json_array_get_object_element(list, i));
    }
    list = json_object_get_array_member(nic, "steering");
    for (guint i = 0; i < json_array_get_length(list); i++) {
        JsonObject *steering = json_array_get_object_element(list, i);
        g_autofree char *queues =
            list_text(json_object_get_array_member(steering, "queues"));
        g_autofree char *flows = json_object_has_member(steering, "flows")
            ? list_text(json_object_get_array_member(steering, "flows"))
            : g_strdup("");

        tool_say(tool, "  steered to queue %s: %s", queues,
                 *flows ? flows : "nothing");
    }
    if (json_object_has_member(nic, "rss")) {
        g_autofree char *rss =
            list_text(json_object_get_array_member(nic, "rss"));

        tool_say(tool, "  RSS uses queue %s", rss);
    }
}

/* Add the name of the interface, if it is there, and once */
static void add_name(GPtrArray *names, int ifindex)
{
    char name[IF_NAMESIZE];

    if (ifindex > 0 && if_indextoname(ifindex, name) &&
        !g_ptr_array_find_with_equal_func(names, name, g_str_equal, NULL)) {
        g_ptr_array_add(names, g_strdup(name));
    }
}

/* All NICs with something to show */
static GPtrArray *find_nics(const Status *status)
{
    GPtrArray *names = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GPtrArray) pins = host_nics(status->tool);
    g_autoptr(GArray) queues = queues_list(0, NULL);

    for (guint i = 0; queues && i < queues->len; i++) {
        const Queue *queue = &g_array_index(queues, Queue, i);

        if (queue->leased) {
            add_name(names, queue->ifindex);
        }
    }
    for (guint i = 0; i < pins->len; i++) {
        add_name(names, host_ifindex_of(status->tool, pins->pdata[i]));
    }
    for (guint i = 0; i < status->entries->len; i++) {
        add_name(names, entry_int(status->entries->pdata[i], "ifindex", 0));
    }
    return names;
}

static void free_sockets(gpointer sockets)
{
    if (sockets) {
        g_array_unref(sockets);
    }
}

bool status_main(Tool *tool, int argc, char **argv, GError **errp)
{
    Status status = { .tool = tool };
    g_autoptr(GHashTable) elsewhere = g_hash_table_new_full(NULL, NULL, NULL,
                                                            free_sockets);
    g_autoptr(GPtrArray) entries = NULL, names = NULL;
    g_autoptr(Journal) journal = NULL;
    g_autoptr(GArray) sockets = NULL;
    JsonObject *root;
    JsonArray *list;
    unsigned unfinished = 0;

    if (!tool_parse(tool, NULL, "[NIC]", ABOUT, &argc, &argv, errp)) {
        return false;
    }
    if (argc > 2) {
        tool_usage_error(errp, NULL, "one NIC at most");
        return false;
    }
    journal = journal_open(tool, true, errp);
    entries = journal ? journal_entries(journal, NULL, errp) : NULL;
    if (!entries) {
        return false;
    }
    status.entries = entries;
    status.sockets = sockets = sockets_list();
    status.elsewhere = elsewhere;
    if (argc == 2) {
        names = g_ptr_array_new_with_free_func(g_free);
        g_ptr_array_add(names, g_strdup(argv[1]));
    } else {
        names = find_nics(&status);
    }

    root = json_object_new();
    list = json_array_new();
    json_object_set_array_member(root, "nics", list);
    for (guint i = 0; i < names->len; i++) {
        GError *err = NULL;
        JsonObject *nic = nic_status(&status, names->pdata[i], &err);

        if (nic) {
            json_array_add_object_element(list, nic);
            print_nic(tool, nic);
        } else if (argc == 2) {
            json_object_unref(root);
            g_propagate_error(errp, err);
            return false;
        } else {
            g_error_free(err);      /* it has just gone */
        }
    }
    for (guint i = 0; i < entries->len; i++) {
        unfinished += !entry_is_complete(entries->pdata[i]);
    }
    json_object_set_int_member(root, "unfinished", unfinished);
    if (unfinished) {
        tool_note(tool, "%u things were left half done, by a run that was "
                  "killed or that is still at it; the next run undoes what "
                  "is left", unfinished);
    }
    if (!names->len) {
        tool_say(tool, "nothing is leased or attached");
    }
    if (geteuid()) {
        tool_note(tool, "only root sees everything");
    }
    tool_json(tool, root);
    return true;
}
