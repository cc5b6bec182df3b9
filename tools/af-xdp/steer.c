/*
 * qemu-af-xdp steer: which frames a NIC puts on a VM's queues
 *
 * What a NIC does with its tables and rules is in nic.c; here is what was
 * asked for, step by step, each noted before it is taken.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "ethtool.h"
#include "flow.h"
#include "link.h"
#include "nic.h"
#include "undo.h"
#include "net/af-xdp-device.h"
#include "net/af-xdp-error.h"

#define ABOUT \
"Takes the queues out of the NIC's RSS table, so that the host's\n" \
"frames do not get there, and makes flow rules for what the VM is to\n" \
"get: frames for a MAC address, or a flow in the words of 'ethtool\n" \
"-N'. The NIC is told to receive frames for these addresses too.\n" \
"Several queues share the frames by RSS, if the NIC has RSS contexts;\n" \
"otherwise the first gets all.\n" \
"\n" \
"Frames to groups, such as ARP's broadcasts, stay the host's unless\n" \
"they are steered as well: --mac ff:ff:ff:ff:ff:ff gives all of them\n" \
"to this VM, and none to the host.\n" \
"\n" \
"--undo removes the rules, and gives the queues back to the host: the\n" \
"RSS table is as it was, unless somebody has written another one since.\n" \
"\n" \
"Examples:\n" \
"  qemu-af-xdp steer eth0 --queues 4,5 --vm web --mac 52:54:00:12:34:56\n" \
"  qemu-af-xdp steer eth0 --queues 6" \
" --ntuple 'flow-type udp4 dst-port 4789'\n" \
"  qemu-af-xdp steer eth0 --queues 7\n" \
"  qemu-af-xdp steer eth0 --undo --queues 4,5\n" \
"  qemu-af-xdp steer eth0 --undo"

typedef struct Steer {
    AfXdpDevice nic;
    GArray *queues;
    GPtrArray *flows;       /* in words: "mac MAC", or those of --ntuple */
    char *vm;
} Steer;

static void steer_clear(Steer *steer)
{
    g_clear_pointer(&steer->queues, g_array_unref);
    g_clear_pointer(&steer->flows, g_ptr_array_unref);
    g_free(steer->vm);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Steer, steer_clear)

#define MAC_WORD "mac "

/* The rule for a flow in words, without where it leads */
static bool make_rule(Rule *rule, const char *words, GError **errp)
{
    uint8_t mac[MAC_LEN];

    if (!g_str_has_prefix(words, MAC_WORD)) {
        return flow_parse(rule, words, errp);
    }
    if (!options_mac(words + strlen(MAC_WORD), mac, errp)) {
        return false;
    }
    flow_mac(rule, mac);
    return true;
}

/* Lists of words in an entry */
static JsonArray *entry_words(Entry *entry, const char *name)
{
    JsonNode *node = json_object_get_member(entry->data, name);

    if (!node || !JSON_NODE_HOLDS_ARRAY(node)) {
        json_object_set_array_member(entry->data, name, json_array_new());
    }
    return json_object_get_array_member(entry->data, name);
}

static bool words_contain(JsonArray *words, const char *word)
{
    for (guint i = 0; i < json_array_get_length(words); i++) {
        if (!strcmp(json_array_get_string_element(words, i), word)) {
            return true;
        }
    }
    return false;
}

/* Where the rules of @entry lead: to its context if it has one */
static void lead(Rule *rule, const Entry *entry)
{
    g_autoptr(GArray) queues = entry_numbers(entry, "queues");

    flow_to(rule, g_array_index(queues, uint32_t, 0),
            entry_int(entry, "context", 0));
}

/* The location of a rule like @rule; -1 if there is none */
static int64_t find_rule(const char *nic, const Rule *rule)
{
    g_autoptr(GArray) rules = NULL;

    if (ethtool_rules(nic, &rules)) {
        return -1;
    }
    for (guint i = 0; i < rules->len; i++) {
        const Rule *each = &g_array_index(rules, Rule, i);

        if (ethtool_rule_equal(each, rule)) {
            return each->flow.location;
        }
    }
    return -1;
}

static bool undo_rules(const Tool *tool, Entry *entry, const char *nic,
                       GError **errp)
{
    JsonArray *flows = entry_words(entry, "flows");

    for (guint i = 0; i < json_array_get_length(flows); i++) {
        const char *words = json_array_get_string_element(flows, i);
        int64_t location;
        Rule rule;
        int ret;

        if (!make_rule(&rule, words, errp)) {
            return false;
        }
        lead(&rule, entry);
        location = find_rule(nic, &rule);
        if (location < 0 ||
            !tool_step(tool, "delete the rule for '%s' on '%s'", words, nic)) {
            continue;
        }
        ret = ethtool_delete_rule(nic, location);
        if (ret && ret != -ENOENT) {
            af_xdp_error_set(errp, -ret, NULL,
                             "cannot delete rule %d of '%s'", (int)location,
                             nic);
            return false;
        }
    }
    return true;
}

static bool undo_addresses(const Tool *tool, Entry *entry, const char *nic,
                           GError **errp)
{
    JsonArray *addresses = entry_words(entry, "addresses");

    for (guint i = 0; i < json_array_get_length(addresses); i++) {
        const char *text = json_array_get_string_element(addresses, i);
        g_autofree char *words = NULL;
        uint8_t mac[MAC_LEN];
        int ret;

        if (!options_mac(text, mac, errp)) {
            return false;
        }
        if (!tool_step(tool, "have '%s' receive frames for %s no longer", nic,
                       text)) {
            continue;
        }
        ret = link_address(entry_int(entry, "ifindex", 0), mac, false, &words);
        if (ret && ret != -ENOENT) {
            af_xdp_error_set(errp, -ret, NULL, "cannot take address %s from "
                             "'%s'%s", text, nic, words);
            return false;
        }
    }
    return true;
}

bool steer_undo(const Tool *tool, Entry *entry, GError **errp)
{
    char nic[IF_NAMESIZE];

    if (!if_indextoname(entry_int(entry, "ifindex", 0), nic)) {
        /* It has taken everything along. */
        return tool->dry_run ||
               (nic_forget(entry, errp) && entry_remove(entry, errp));
    }
    /* Whoever comes after a crash in the midst of this will go on with it. */
    json_object_set_boolean_member(entry->data, "complete", FALSE);
    return (tool->dry_run || entry_write(entry, errp)) &&
           undo_rules(tool, entry, nic, errp) &&
           nic_undo_context(tool, entry, nic, errp) &&
           undo_addresses(tool, entry, nic, errp) &&
           nic_spread(tool, entry, nic, true, errp) &&
           (tool->dry_run || entry_remove(entry, errp));
}

/* Have the NIC receive frames for the address, if it does not. */
static bool add_address(const Tool *tool, const Steer *steer, Entry *entry,
                        const char *text, GError **errp)
{
    JsonArray *addresses = entry_words(entry, "addresses");
    int ifindex = steer->nic.ifindex, ret;
    g_autofree char *words = NULL;
    uint8_t mac[MAC_LEN];
    Link link;

    if (!options_mac(text, mac, errp)) {
        return false;
    }
    /* Groups are received, or not, as the host's own applications ask for. */
    if ((mac[0] & 1) || words_contain(addresses, text) ||
        (link_get(NULL, ifindex, LINK_HERE, &link) == 0 &&
         !memcmp(link.mac, mac, MAC_LEN)) ||
        link_has_address(ifindex, mac) == 1) {
        return true;
    }
    json_array_add_string_element(addresses, text);
    if (!entry_write(entry, errp)) {
        return false;
    }
    tool_step(tool, "have '%s' receive frames for %s", steer->nic.name, text);
    ret = link_address(ifindex, mac, true, &words);
    if (ret == -EEXIST) {
        return true;
    }
    if (ret) {
        af_xdp_error_set(errp, -ret, "'bridge fdb add MAC dev NIC self' is "
                         "what was tried.", "cannot add address %s to '%s'%s",
                         text, steer->nic.name, words);
        return false;
    }
    return true;
}

static bool add_flow(const Tool *tool, const Steer *steer, Entry *entry,
                     const char *words, GError **errp)
{
    JsonArray *flows = entry_words(entry, "flows");
    Rule rule;

    if (!make_rule(&rule, words, errp) ||
        (g_str_has_prefix(words, MAC_WORD) &&
         !add_address(tool, steer, entry, words + strlen(MAC_WORD), errp))) {
        return false;
    }
    lead(&rule, entry);
    if (find_rule(steer->nic.name, &rule) >= 0) {
        if (!words_contain(flows, words)) {
            tool_note(tool, "'%s' has a rule for '%s' already; it is not "
                      "touched", steer->nic.name, words);
        }
        return true;
    }
    if (!words_contain(flows, words)) {
        json_array_add_string_element(flows, words);
    }
    if (!entry_write(entry, errp)) {
        return false;
    }
    tool_step(tool, "add a rule for '%s' to '%s'", words, steer->nic.name);
    return nic_add_rule(tool, entry, steer->nic.name, &rule, words, errp);
}

/* What is steered already: for this VM, or for none yet? */
static bool claim(const Steer *steer, const char *queues, Entry *entry,
                  GError **errp)
{
    const char *vm = entry_string(entry, "vm");
    g_autofree char *hint = NULL;

    if (!steer->vm || !strcmp(steer->vm, vm)) {
        return true;
    }
    if (!*vm) {
        json_object_set_string_member(entry->data, "vm", steer->vm);
        return true;
    }
    hint = g_strdup_printf("'qemu-af-xdp steer %s --undo --queues %s' first.",
                           steer->nic.name, queues);
    af_xdp_error_set(errp, EBUSY, hint,
                     "queues %s of '%s' are steered for VM '%s'", queues,
                     steer->nic.name, vm);
    return false;
}

/* The steering of the same queues, by a run before this one; or a new one */
static bool find_entry(const Steer *steer, Journal *journal, Entry **found,
                       GError **errp)
{
    g_autoptr(GPtrArray) entries = journal_entries(journal, "steer", errp);
    g_autofree char *text = options_queues_text(steer->queues);
    g_autofree char *id = g_strdup_printf("%d-%s", steer->nic.ifindex, text);

    if (!entries) {
        return false;
    }
    *found = NULL;
    for (guint i = 0; i < entries->len; i++) {
        Entry *entry = entries->pdata[i];
        g_autoptr(GArray) queues = entry_numbers(entry, "queues");
        g_autofree char *other = options_queues_text(queues);

        if (entry_int(entry, "ifindex", 0) != steer->nic.ifindex) {
            continue;
        }
        if (!strcmp(text, other)) {
            *found = entry_copy(entry);
            return claim(steer, text, *found, errp);
        }
        for (guint k = 0; k < queues->len; k++) {
            uint32_t queue = g_array_index(queues, uint32_t, k);

            if (numbers_contain(steer->queues, queue)) {
                g_autofree char *hint = g_strdup_printf(
                    "Steer these together, or 'qemu-af-xdp steer %s --undo "
                    "--queues %s' first.", steer->nic.name, other);

                af_xdp_error_set(errp, EBUSY, hint,
                                 "queue %u of '%s' is steered as one of %s",
                                 queue, steer->nic.name, other);
                return false;
            }
        }
    }
    *found = entry_new(journal, "steer", id, steer->nic.name,
                       steer->nic.ifindex);
    entry_set_numbers(*found, "queues", steer->queues);
    json_object_set_string_member((*found)->data, "vm", steer->vm ?: "");
    return true;
}

static bool steer_all(const Tool *tool, const Steer *steer, Entry *entry,
                      GError **errp)
{
    bool old = entry_is_complete(entry);
    GError *second = NULL;

    if (entry_write(entry, errp) &&
        nic_spread(tool, entry, steer->nic.name, false, errp) &&
        (!steer->flows->len || steer->queues->len == 1 ||
         nic_add_context(tool, entry, steer->nic.name, errp))) {
        bool done = true;

        for (guint i = 0; i < steer->flows->len && done; i++) {
            done = add_flow(tool, steer, entry, steer->flows->pdata[i], errp);
        }
        if (done && entry_complete(entry, errp)) {
            return true;
        }
    }
    /* What an earlier run has steered stays. */
    if (!old && !steer_undo(tool, entry, &second)) {
        tool_warn(tool, second);
    }
    return false;
}

static void print_steer(const Tool *tool, const Steer *steer, Entry *entry)
{
    g_autofree char *text = options_queues_text(steer->queues);
    JsonArray *flows = entry_words(entry, "flows");
    JsonObject *root = json_object_new();
    JsonArray *list = json_array_new();
    int64_t context = entry_int(entry, "context", 0);

    tool_say(tool, "queues %s of '%s' are not among those that RSS uses", text,
             steer->nic.name);
    for (guint i = 0; i < json_array_get_length(flows); i++) {
        const char *words = json_array_get_string_element(flows, i);

        if (context) {
            tool_say(tool, "frames of '%s' go to queues %s, by RSS", words,
                     text);
        } else {
            tool_say(tool, "frames of '%s' go to queue %u", words,
                     g_array_index(steer->queues, uint32_t, 0));
        }
    }
    json_object_set_string_member(root, "nic", steer->nic.name);
    for (guint i = 0; i < steer->queues->len; i++) {
        json_array_add_int_element(list, g_array_index(steer->queues, uint32_t,
                                                       i));
    }
    json_object_set_array_member(root, "queues", list);
    json_object_set_array_member(root, "flows", json_array_ref(flows));
    json_object_set_int_member(root, "context", context);
    tool_json(tool, root);
}

/* --undo: all steering of the NIC, or only of these queues or this VM */
static bool undo_all(const Tool *tool, const Steer *steer, Journal *journal,
                     GError **errp)
{
    g_autoptr(GPtrArray) entries = journal_entries(journal, "steer", errp);
    unsigned undone = 0;

    if (!entries) {
        return false;
    }
    for (guint i = 0; i < entries->len; i++) {
        Entry *entry = entries->pdata[i];
        g_autoptr(GArray) queues = entry_numbers(entry, "queues");
        bool wanted = !steer->queues;

        for (guint k = 0; k < queues->len && !wanted; k++) {
            wanted = numbers_contain(steer->queues,
                                     g_array_index(queues, uint32_t, k));
        }
        if (entry_int(entry, "ifindex", 0) != steer->nic.ifindex || !wanted ||
            (steer->vm && strcmp(steer->vm, entry_string(entry, "vm")))) {
            continue;
        }
        if (!steer_undo(tool, entry, errp)) {
            return false;
        }
        undone++;
    }
    if (!undone) {
        tool_note(tool, "nothing like that is steered on '%s'",
                  steer->nic.name);
    }
    return true;
}

static bool parse_flows(Steer *steer, char **macs, char **ntuples,
                        GError **errp)
{
    steer->flows = g_ptr_array_new_with_free_func(g_free);
    for (char **mac = macs; mac && *mac; mac++) {
        g_autofree char *lower = g_ascii_strdown(*mac, -1);
        uint8_t bytes[MAC_LEN];

        if (!options_mac(*mac, bytes, errp)) {
            return false;
        }
        g_ptr_array_add(steer->flows, g_strconcat(MAC_WORD, lower, NULL));
    }
    for (char **ntuple = ntuples; ntuple && *ntuple; ntuple++) {
        Rule rule;

        if (!flow_parse(&rule, *ntuple, errp)) {
            return false;
        }
        g_ptr_array_add(steer->flows, g_strdup(*ntuple));
    }
    return true;
}

static bool run_steer(const Tool *tool, Steer *steer, Journal *journal,
                      GError **errp)
{
    g_autoptr(Entry) entry = NULL;

    if (!find_entry(steer, journal, &entry, errp) ||
        !nic_check_queues(steer->nic.name, steer->queues, errp)) {
        return false;
    }
    if (tool->dry_run) {
        g_autofree char *text = options_queues_text(steer->queues);

        tool_step(tool, "take queues %s of '%s' out of its RSS table", text,
                  steer->nic.name);
        for (guint i = 0; i < steer->flows->len; i++) {
            tool_step(tool, "add a rule for '%s'",
                      (char *)steer->flows->pdata[i]);
        }
        return true;
    }
    if (!steer_all(tool, steer, entry, errp)) {
        return false;
    }
    print_steer(tool, steer, entry);
    return true;
}

bool steer_main(Tool *tool, int argc, char **argv, GError **errp)
{
    g_auto(Steer) steer = { 0 };
    g_auto(GStrv) macs = NULL, ntuples = NULL;
    g_autofree char *queues = NULL;
    gboolean undo = FALSE;
    const GOptionEntry entries[] = {
        { "queues", 0, 0, G_OPTION_ARG_STRING, &queues,
          "Queues of the NIC, as in 4,5 or 4-7", "LIST" },
        { "mac", 0, 0, G_OPTION_ARG_STRING_ARRAY, &macs,
          "Steer frames for this address; repeatable", "MAC" },
        { "ntuple", 0, 0, G_OPTION_ARG_STRING_ARRAY, &ntuples,
          "Steer this flow, in words of 'ethtool -N'; repeatable", "FLOW" },
        { "vm", 0, 0, G_OPTION_ARG_STRING, &steer.vm,
          "Whose they are, for 'release'", "NAME" },
        { "undo", 0, 0, G_OPTION_ARG_NONE, &undo,
          "Steer no longer", NULL },
        { NULL }
    };
    g_autoptr(Journal) journal = NULL;

    if (!tool_parse(tool, entries, "NIC", ABOUT, &argc, &argv, errp)) {
        return false;
    }
    if (argc != 2) {
        tool_usage_error(errp, "'qemu-af-xdp steer --help' has examples.",
                         "one NIC is needed");
        return false;
    }
    if (undo ? macs || ntuples : !queues) {
        tool_usage_error(errp, undo ? "--undo goes with --queues and --vm, or "
                         "alone." : "As in '--queues 4,5'.",
                         undo ? "--undo does not go with --mac and --ntuple"
                              : "--queues is needed");
        return false;
    }
    steer.queues = queues ? options_queues(queues, errp) : NULL;
    if ((queues && !steer.queues) ||
        (steer.vm && !options_vm(steer.vm, errp)) ||
        !parse_flows(&steer, macs, ntuples, errp) ||
        !link_query(argv[1], &steer.nic, errp)) {
        return false;
    }
    journal = journal_open(tool, tool->dry_run, errp);
    if (!journal || !undo_unfinished(tool, journal, steer.nic.ifindex, errp)) {
        return false;
    }
    return undo ? undo_all(tool, &steer, journal, errp)
                : run_steer(tool, &steer, journal, errp);
}
