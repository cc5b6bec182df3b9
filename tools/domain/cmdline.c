/*
 * AF_XDP domain filter: the domain's <qemu:commandline>
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "domain-error.h"
#include "cmdline.h"
#include "json-text.h"

/* More than any domain has; bounds a search. */
#define IOTHREADS_LIMIT 4096

/* Has the argument @value, of either form, the option @name=@want? */
static bool has_option(const char *value, const char *name, const char *want)
{
    g_autofree char *option = g_strdup_printf("%s=%s", name, want);
    g_auto(GStrv) values = NULL;
    g_auto(GStrv) parts = NULL;
    g_autofree char *plain = NULL;

    if (*value == '{') {
        g_autoptr(JsonNode) root = json_text_parse(value, NULL);
        JsonNode *member = root && JSON_NODE_HOLDS_OBJECT(root) ?
            json_object_get_member(json_node_get_object(root), name) : NULL;

        return member &&
            json_node_get_value_type(member) == G_TYPE_STRING &&
            !strcmp(json_node_get_string(member), want);
    }
    /* ",," is a comma in a value. */
    values = g_strsplit(value, ",,", -1);
    plain = g_strjoinv("\n", values);
    parts = g_strsplit(plain, ",", -1);
    return g_strv_contains((const char *const *)parts, option);
}

/* The argument after @arg if @arg is @option; NULL otherwise. */
static xmlNode *value_of(const xmlNode *arg, const char *option)
{
    return xml_attr_is(arg, "value", option) ? xml_next(arg) : NULL;
}

/* The member @name of -device's @value if it is JSON; to be freed. */
static char *device_member(const char *value, const char *name)
{
    g_autoptr(JsonNode) root = NULL;
    JsonNode *member;

    if (!value || *value != '{') {
        return NULL;
    }
    root = json_text_parse(value, NULL);
    if (!root || !JSON_NODE_HOLDS_OBJECT(root)) {
        return NULL;
    }
    member = json_object_get_member(json_node_get_object(root), name);
    return member && json_node_get_value_type(member) == G_TYPE_STRING ?
        g_strdup(json_node_get_string(member)) : NULL;
}

/* Has this program made the argument for a netdev of the name @netdev? */
static bool is_made(const xmlNode *arg, const char *netdev)
{
    const xmlNode *backend = value_of(arg, "-netdev");
    const xmlNode *device = value_of(arg, "-device");
    g_autofree char *value = NULL;

    if (!backend && !device) {
        return false;
    }
    value = xml_attr(backend ? backend : device, "value");
    return value && (backend ? g_str_has_prefix(value, "af-xdp,") &&
                     has_option(value, "id", netdev) :
                     has_option(value, "netdev", netdev));
}

/* Arguments of the name @netdev, of which nobody is the owner, are @nic's. */
static void own(GHashTable *owners, const xmlNode *cmdline, Nic *nic,
                const char *netdev)
{
    for (xmlNode *arg = xml_child(cmdline, QEMU_NS, "arg"); arg;
         arg = xml_next(arg)) {
        if (is_made(arg, netdev) && !g_hash_table_contains(owners, arg)) {
            g_hash_table_insert(owners, arg, nic);
        }
    }
}

/*
 * The arguments of an earlier run, and whose they are. They have the id of the
 * netdev, or one that it had before its mark or its interface was changed:
 * then the device, whose id is as this program makes it, has the same MAC.
 */
static GHashTable *find_owners(const xmlNode *cmdline, const GPtrArray *nics)
{
    GHashTable *owners = g_hash_table_new(NULL, NULL);

    for (guint i = 0; i < nics->len; i++) {
        Nic *nic = g_ptr_array_index(nics, i);

        own(owners, cmdline, nic, nic->netdev);
    }
    for (const xmlNode *arg = xml_child(cmdline, QEMU_NS, "arg"); arg;
         arg = xml_next(arg)) {
        const xmlNode *device = value_of(arg, "-device");
        g_autofree char *value = device ? xml_attr(device, "value") : NULL;
        g_autofree char *id = device_member(value, "id");
        g_autofree char *netdev = device_member(value, "netdev");
        g_autofree char *mac = device_member(value, "mac");
        g_autofree char *made = g_strconcat("host", id, NULL);

        if (!id || !mac || !g_str_has_prefix(id, "ua-") ||
            g_strcmp0(netdev, made) || g_hash_table_contains(owners, arg)) {
            continue;
        }
        for (guint i = 0; i < nics->len; i++) {
            Nic *nic = g_ptr_array_index(nics, i);
            const char *its = json_object_get_string_member(nic->device,
                                                            "mac");

            if (nic->mark->converted && !g_ascii_strcasecmp(mac, its)) {
                own(owners, cmdline, nic, netdev);
                break;
            }
        }
    }
    return owners;
}

static bool is_ours(GHashTable *owners, const xmlNode *arg, const Nic *nic)
{
    return g_hash_table_lookup(owners, arg) == nic;
}

/* Is there an argument other than ours with this id? */
static bool check_ids(const Source *source, const xmlNode *cmdline,
                      GHashTable *owners, const GPtrArray *nics,
                      const Nic *nic, GError **errp)
{
    const xmlNode *arg = xml_child(cmdline, QEMU_NS, "arg");
    const xmlNode *devices = xml_child(source->root, NULL, "devices");

    for (; arg; arg = xml_next(arg)) {
        g_autofree char *value = xml_attr(arg, "value");

        if (g_hash_table_contains(owners, arg)) {
            arg = xml_next(arg);
        } else if (value && (has_option(value, "id", nic->id) ||
                             has_option(value, "id", nic->netdev))) {
            return domain_error(errp, source_line(source, arg),
                                "Give the interface another <alias "
                                "name='ua-...'/>.", "the id of '%s' is used by "
                                "another argument for QEMU", nic->id);
        }
    }
    for (const xmlNode *device = devices ? devices->children : NULL; device;
         device = device->next) {
        const xmlNode *alias = device->type == XML_ELEMENT_NODE ?
            xml_child(device, NULL, "alias") : NULL;

        if (alias && device != nic->mark->interface &&
            xml_attr_is(alias, "name", nic->id)) {
            return domain_error(errp, source_line(source, device),
                                "Give one of them another alias.",
                                "the alias '%s' is also that of the interface "
                                "in line %d", nic->id, nic->line);
        }
    }
    for (guint i = 0; i < nics->len; i++) {
        const Nic *other = g_ptr_array_index(nics, i);

        if (other != nic && !strcmp(other->id, nic->id)) {
            return domain_error(errp, nic->line, "Give both an <alias "
                                "name='ua-...'/> of their own.",
                                "the interfaces of lines %d and %d would both "
                                "be '%s'", other->line, nic->line, nic->id);
        }
    }
    return true;
}

static bool lists_iothread(const xmlNode *ids, const char *number)
{
    const xmlNode *one = xml_child(ids, NULL, "iothread");

    while (one && !xml_attr_is(one, "id", number)) {
        one = xml_next(one);
    }
    return one;
}

/* Has the domain the iothread object @id? */
static bool has_iothread(const Source *source, const xmlNode *cmdline,
                         const char *id)
{
    const xmlNode *count = xml_child(source->root, NULL, "iothreads");
    const xmlNode *ids = xml_child(source->root, NULL, "iothreadids");
    const char *number = id + strlen("iothread");

    if (g_str_has_prefix(id, "iothread") && *number &&
        !number[strspn(number, "0123456789")]) {
        g_autofree char *text = count ? xml_content(count) : g_strdup("0");
        int left = atoi(text);

        if (lists_iothread(ids, number)) {
            return true;
        }
        for (const xmlNode *one = xml_child(ids, NULL, "iothread"); one;
             one = xml_next(one)) {
            left--;
        }
        /* The others have the lowest numbers that are not listed. */
        for (int i = 1; left > 0 && i <= IOTHREADS_LIMIT; i++) {
            g_autofree char *next = g_strdup_printf("%d", i);

            if (!lists_iothread(ids, next)) {
                if (!strcmp(next, number)) {
                    return true;
                }
                left--;
            }
        }
    }
    for (const xmlNode *arg = xml_child(cmdline, QEMU_NS, "arg"); arg;
         arg = xml_next(arg)) {
        const xmlNode *object = value_of(arg, "-object");
        g_autofree char *value = object ? xml_attr(object, "value") : NULL;

        if (value && g_str_has_prefix(value, "iothread,") &&
            has_option(value, "id", id)) {
            return true;
        }
    }
    return false;
}

static bool check_iothreads(const Source *source, const xmlNode *cmdline,
                            const Nic *nic, GError **errp)
{
    for (int i = 0; nic->options.iothreads && nic->options.iothreads[i]; i++) {
        g_autofree char *id = iothread_id(nic->options.iothreads[i]);

        if (!has_iothread(source, cmdline, id)) {
            return domain_error(errp, nic->mark->line, "Write <iothreads>N"
                                "</iothreads> for iothread1 to iothreadN, or "
                                "name one that there is.", "the domain has no "
                                "iothread '%s'", id);
        }
    }
    return true;
}

/* libvirt applies <qemu:override> to its own devices only. */
static bool check_override(const Source *source, const Nic *nic,
                           GError **errp)
{
    const xmlNode *override = xml_child(source->root, QEMU_NS, "override");

    for (const xmlNode *device = xml_child(override, QEMU_NS, "device");
         device; device = xml_next(device)) {
        if (xml_attr_is(device, "alias", nic->id)) {
            return domain_error(errp, source_line(source, device), "Remove it.",
                                "<qemu:override> would have no effect on '%s', "
                                "which is no device of libvirt's any more",
                                nic->id);
        }
    }
    return true;
}

/*
 * A netdev that no mark is the source of is the user's own, unless it has a
 * name as this program makes them.
 */
static bool check_foreign(const Source *source, const xmlNode *cmdline,
                          GHashTable *owners, Report *report, GError **errp)
{
    for (const xmlNode *arg = xml_child(cmdline, QEMU_NS, "arg"); arg;
         arg = xml_next(arg)) {
        const xmlNode *netdev = value_of(arg, "-netdev");
        g_autofree char *value = netdev ? xml_attr(netdev, "value") : NULL;

        if (!value || !g_str_has_prefix(value, "af-xdp,") ||
            g_hash_table_contains(owners, arg)) {
            continue;
        }
        if (g_str_has_prefix(value, "af-xdp,id=hostua-")) {
            return domain_error(errp, source_line(source, arg), "Remove this "
                                "-netdev and its -device, or restore the mark "
                                "and the <interface> in it.", "this argument "
                                "was made for a mark that is gone, or whose "
                                "interface has another name and MAC address "
                                "now");
        }
        report_warn(report, source_line(source, arg), "no mark is the "
                    "source of this -netdev, it stays as it is");
    }
    return true;
}

/* Both arguments of @nic, as text and as elements. */
static char *arg_elements(const Source *source, const char *prefix,
                          const char *indent, char *const *args)
{
    GString *out = g_string_new(NULL);

    for (int i = 0; args[i]; i++) {
        g_autofree char *value = xml_escape(args[i]);

        g_string_append_printf(out, "%s%s<%s:arg value='%s'/>",
                               i ? source->newline : "", i ? indent : "",
                               prefix, value);
    }
    return g_string_free(out, FALSE);
}

/* Those of an earlier run: are they as they should be? */
static bool unchanged(const xmlNode *cmdline, GHashTable *owners,
                      const Nic *nic, char *const *wanted)
{
    int found = 0;

    for (const xmlNode *arg = xml_child(cmdline, QEMU_NS, "arg"); arg;
         arg = xml_next(arg)) {
        if (is_ours(owners, arg, nic)) {
            const xmlNode *value = xml_next(arg);

            if (found == 4 || !xml_attr_is(arg, "value", wanted[found]) ||
                !xml_attr_is(value, "value", wanted[found + 1])) {
                return false;
            }
            found += 2;
            arg = value;
        }
    }
    return found == 4;
}

static void remove_old(Source *source, const xmlNode *cmdline,
                       GHashTable *owners, const Nic *nic)
{
    for (const xmlNode *arg = xml_child(cmdline, QEMU_NS, "arg"); arg;
         arg = xml_next(arg)) {
        if (is_ours(owners, arg, nic)) {
            source_replace_element(source, arg, "");
            arg = xml_next(arg);
            source_replace_element(source, arg, "");
        }
    }
}

/* The prefix that stands for libvirt's namespace at the root, or NULL */
static const char *root_prefix(const Source *source)
{
    const xmlNs *ns;

    for (ns = source->root->nsDef; ns; ns = ns->next) {
        if (ns->prefix && !strcmp((const char *)ns->href, QEMU_NS)) {
            return (const char *)ns->prefix;
        }
    }
    return NULL;
}

/* There must be a prefix to write the arguments with, or it must be free. */
static bool check_prefix(const Source *source, const xmlNode *cmdline,
                         const char *prefix, const GPtrArray *nics,
                         GError **errp)
{
    static const char hint[] = "Write <qemu:commandline>, and xmlns:qemu='"
                               QEMU_NS "' at <domain>, as libvirt does.";

    if (!nics->len) {
        return true;
    }
    if (cmdline && !cmdline->ns->prefix) {
        return domain_error(errp, source_line(source, cmdline), hint,
                            "<commandline> has no prefix");
    }
    if (!prefix && xmlSearchNs(source->doc, source->root, BAD_CAST "qemu")) {
        return domain_error(errp, source_line(source, source->root), hint,
                            "the prefix 'qemu' stands for something else than "
                            "libvirt's namespace for QEMU");
    }
    return true;
}

static void add_cmdline(Source *source, const char *args, const char *prefix)
{
    const char *nl = source->newline;
    g_autofree char *whole = NULL;

    if (!prefix) {
        source_add_attribute(source, source->root, "xmlns:qemu='" QEMU_NS "'");
        prefix = "qemu";
    }
    whole = g_strdup_printf("<%s:commandline>%s%s%s%s%s</%s:commandline>",
                            prefix, nl, *nl ? "    " : "", args, nl,
                            *nl ? "  " : "", prefix);
    source_append_child(source, source->root, whole);
}

bool cmdline_has_netdev(const Source *source, const char *netdev)
{
    const xmlNode *cmdline = xml_child(source->root, QEMU_NS, "commandline");

    for (const xmlNode *arg = xml_child(cmdline, QEMU_NS, "arg"); arg;
         arg = xml_next(arg)) {
        if (value_of(arg, "-netdev") && is_made(arg, netdev)) {
            return true;
        }
    }
    return false;
}

bool cmdline_plan(Source *source, const GPtrArray *nics, char *const *buses,
                  Report *report, GError **errp)
{
    const xmlNode *cmdline = xml_child(source->root, QEMU_NS, "commandline");
    const char *prefix = cmdline && cmdline->ns->prefix ?
        (const char *)cmdline->ns->prefix : root_prefix(source);
    g_autofree char *parent = cmdline ? source_indent(source, cmdline) :
        g_strdup(*source->newline ? "  " : "");
    g_autofree char *indent = g_strconcat(parent,
                                          *source->newline ? "  " : "", NULL);
    g_autoptr(GHashTable) owners = find_owners(cmdline, nics);
    g_autoptr(GString) added = g_string_new(NULL);

    if (!check_prefix(source, cmdline, prefix, nics, errp) ||
        !check_foreign(source, cmdline, owners, report, errp)) {
        return false;
    }
    for (guint i = 0; i < nics->len; i++) {
        const Nic *nic = g_ptr_array_index(nics, i);
        g_autofree char *netdev = nic_netdev_arg(nic);
        g_autofree char *device = nic_device_arg(nic, buses[i]);
        char *args[] = {
            (char *)"-netdev", netdev, (char *)"-device", device, NULL,
        };
        g_autofree char *text = arg_elements(source, prefix ? prefix : "qemu",
                                             indent, args);

        if (!check_ids(source, cmdline, owners, nics, nic, errp) ||
            !check_override(source, nic, errp) ||
            !check_iothreads(source, cmdline, nic, errp)) {
            return false;
        }
        if (unchanged(cmdline, owners, nic, args)) {
            continue;
        }
        remove_old(source, cmdline, owners, nic);
        report_note(report, nic->line, "%s: -netdev %s -device %s", nic->id,
                    netdev, device);
        g_string_append_printf(added, "%s%s%s",
                               added->len ? source->newline : "",
                               added->len ? indent : "", text);
    }
    if (added->len && cmdline) {
        source_append_child(source, cmdline, added->str);
    } else if (added->len) {
        add_cmdline(source, added->str, prefix);
    }
    return true;
}
