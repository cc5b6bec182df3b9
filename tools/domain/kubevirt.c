/*
 * AF_XDP domain filter: KubeVirt's hook
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <json-glib/json-glib.h>
#include "cmdline.h"
#include "json-text.h"
#include "kubevirt.h"
#include "mark.h"

/* Names of interfaces: KubeVirt's namescheme package. */
#define POD_PREFIX "pod"
#define POD_HASH_DIGITS 11
#define POD_PRIMARY "eth0"

/* KubeVirt's own, for a tap */
#define QUEUES_LIMIT 256

/* One interface of the VMI that is for us. */
typedef struct Wanted {
    const char *name;
    JsonObject *interface;  /* of the VMI's */
    JsonObject *settings;   /* of the annotation, or NULL */
    char *ifname;
} Wanted;

static void wanted_free(void *opaque)
{
    Wanted *wanted = opaque;

    g_free(wanted->ifname);
    g_free(wanted);
}

char *kubevirt_ifname(const char *network)
{
    g_autofree char *hash = g_compute_checksum_for_string(G_CHECKSUM_SHA256,
                                                          network, -1);

    return g_strdup_printf(POD_PREFIX "%.*s", POD_HASH_DIGITS, hash);
}

/* The member @name of @object if it is of the type; NULL otherwise. */
static JsonObject *get_object(JsonObject *object, const char *name)
{
    JsonNode *node = object ? json_object_get_member(object, name) : NULL;

    return node && JSON_NODE_HOLDS_OBJECT(node) ? json_node_get_object(node) :
        NULL;
}

static JsonArray *get_array(JsonObject *object, const char *name)
{
    JsonNode *node = object ? json_object_get_member(object, name) : NULL;

    return node && JSON_NODE_HOLDS_ARRAY(node) ? json_node_get_array(node) :
        NULL;
}

static const char *get_string(JsonObject *object, const char *name)
{
    JsonNode *node = object ? json_object_get_member(object, name) : NULL;

    return node && json_node_get_value_type(node) == G_TYPE_STRING ?
        json_node_get_string(node) : NULL;
}

/* A value of the annotation as an attribute has it; NULL if it is none. */
static char *scalar(JsonNode *node)
{
    switch (json_node_get_value_type(node)) {
    case G_TYPE_STRING:
        return g_strdup(json_node_get_string(node));
    case G_TYPE_INT64:
        return g_strdup_printf("%" G_GINT64_FORMAT, json_node_get_int(node));
    case G_TYPE_BOOLEAN:
        return g_strdup(json_node_get_boolean(node) ? "on" : "off");
    default:
        return NULL;
    }
}

static JsonNode *parse(const char *text, const char *what, GError **errp)
{
    g_autoptr(GError) err = NULL;
    JsonNode *root = json_text_parse(text, &err);

    if (!root || !JSON_NODE_HOLDS_OBJECT(root)) {
        domain_error(errp, 0, NULL, "%s is no JSON object%s%s", what,
                     err ? ": " : "", err ? err->message : "");
        if (root) {
            json_node_unref(root);
        }
        return NULL;
    }
    return root;
}

static JsonObject *find_named(JsonArray *array, const char *name)
{
    for (guint i = 0; array && i < json_array_get_length(array); i++) {
        JsonNode *node = json_array_get_element(array, i);
        JsonObject *object = JSON_NODE_HOLDS_OBJECT(node) ?
            json_node_get_object(node) : NULL;

        if (!g_strcmp0(get_string(object, "name"), name)) {
            return object;
        }
    }
    return NULL;
}

/* The pod's interface for a network of the VMI. */
static char *pod_interface(JsonArray *networks, const char *name)
{
    JsonObject *network = find_named(networks, name);
    JsonObject *multus = get_object(network, "multus");
    JsonNode *is_default = multus ?
        json_object_get_member(multus, "default") : NULL;

    if (get_object(network, "pod") ||
        (is_default &&
         json_node_get_value_type(is_default) == G_TYPE_BOOLEAN &&
         json_node_get_boolean(is_default))) {
        return g_strdup(POD_PRIMARY);
    }
    return kubevirt_ifname(name);
}

/* Each name in the annotation must be one of the VMI's interfaces. */
static bool check_settings(JsonObject *settings, JsonArray *interfaces,
                           GError **errp)
{
    g_autoptr(GList) names = settings ? json_object_get_members(settings) :
        NULL;

    for (GList *name = names; name; name = name->next) {
        if (!find_named(interfaces, name->data)) {
            return domain_error(errp, 0, "The names are those in "
                                "spec.domain.devices.interfaces.",
                                "annotation " KUBEVIRT_ANNOTATION ": the VMI "
                                "has no interface '%s'",
                                (const char *)name->data);
        }
        if (!get_object(settings, name->data)) {
            return domain_error(errp, 0, "As in '{\"NAME\": {\"queues\": 2}}'.",
                                "annotation " KUBEVIRT_ANNOTATION ": '%s' has "
                                "no object with options",
                                (const char *)name->data);
        }
    }
    return true;
}

static GPtrArray *find_wanted(JsonObject *vmi, JsonObject *settings)
{
    GPtrArray *all = g_ptr_array_new_with_free_func(wanted_free);
    JsonObject *spec = get_object(vmi, "spec");
    JsonObject *devices = get_object(get_object(spec, "domain"), "devices");
    JsonArray *interfaces = get_array(devices, "interfaces");
    JsonArray *networks = get_array(spec, "networks");

    for (guint i = 0; interfaces && i < json_array_get_length(interfaces);
         i++) {
        JsonNode *node = json_array_get_element(interfaces, i);
        JsonObject *interface = JSON_NODE_HOLDS_OBJECT(node) ?
            json_node_get_object(node) : NULL;
        const char *name = get_string(interface, "name");
        const char *binding = get_string(get_object(interface, "binding"),
                                         "name");
        JsonObject *its = name ? get_object(settings, name) : NULL;
        const char *ifname = get_string(its, "ifname");
        Wanted *wanted;

        /* An absent one is on its way out. */
        if (!name || (!its && g_strcmp0(binding, KUBEVIRT_BINDING)) ||
            !g_strcmp0(get_string(interface, "state"), "absent")) {
            continue;
        }
        wanted = g_new0(Wanted, 1);
        wanted->name = name;
        wanted->interface = interface;
        wanted->settings = its;
        wanted->ifname = ifname ? g_strdup(ifname) :
            pod_interface(networks, name);
        g_ptr_array_add(all, wanted);
    }
    return all;
}

static void attribute(GString *out, const char *name, const char *value)
{
    g_autofree char *escaped = xml_escape(value);

    g_string_append_printf(out, " %s='%s'", name, escaped);
}

/* The mark for @wanted, to stand in its <interface>. */
static char *mark_text(const Wanted *wanted, GError **errp)
{
    GString *out = g_string_new("<" MARK_PREFIX ":interface xmlns:" MARK_PREFIX
                                "='" MARK_NS "'");
    static const char *const selectors[] = { "alias", "dev", "mac", NULL };
    g_autoptr(GList) names = wanted->settings ?
        json_object_get_members(wanted->settings) : NULL;

    attribute(out, "ifname", wanted->ifname);
    for (GList *name = names; name; name = name->next) {
        JsonNode *node = json_object_get_member(wanted->settings, name->data);
        g_autoptr(MarkOptions) check = mark_options_new();
        g_autofree char *value = scalar(node);
        g_autoptr(GError) err = NULL;

        if (!value) {
            domain_error(&err, 0, NULL, "the value is neither text nor number "
                         "nor true or false");
        } else if (!strcmp(name->data, "ifname") &&
                   json_node_get_value_type(node) != G_TYPE_STRING) {
            domain_error(&err, 0, NULL, "the value is no text");
        } else if (g_strv_contains(selectors, name->data)) {
            domain_error(&err, 0, "The MAC address is macAddress of the VMI's "
                         "interface.", "the interface is named already, by the "
                         "VMI's name for it");
        } else {
            mark_options_set(check, name->data, value, &err);
        }
        if (err) {
            domain_error(errp, 0, NULL, "annotation " KUBEVIRT_ANNOTATION
                         ", interface '%s', '%s': %s", wanted->name,
                         (const char *)name->data, err->message);
            g_string_free(out, TRUE);
            return NULL;
        }
        if (strcmp(name->data, "ifname")) {
            attribute(out, name->data, value);
        }
    }
    g_string_append(out, "/>");
    return g_string_free(out, FALSE);
}

/* Queues that KubeVirt itself would give a virtio device. */
static unsigned vmi_queues(JsonObject *vmi)
{
    JsonObject *domain = get_object(get_object(vmi, "spec"), "domain");
    JsonObject *devices = get_object(domain, "devices");
    JsonObject *cpu = get_object(domain, "cpu");
    static const char *const parts[] = { "sockets", "cores", "threads" };
    unsigned count = 1;

    if (!devices ||
        !json_object_get_boolean_member_with_default(
            devices, "networkInterfaceMultiqueue", FALSE)) {
        return 0;
    }
    for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
        gint64 number = cpu ? json_object_get_int_member_with_default(
            cpu, parts[i], 1) : 1;

        count = MIN(count * CLAMP(number, 1, QUEUES_LIMIT), QUEUES_LIMIT);
    }
    return count;
}

/* The address of the pod's interface, which its NIC receives. */
static char *pod_mac(const char *sysfs, const char *ifname)
{
    g_autofree char *file = g_build_filename(sysfs, "class/net", ifname,
                                             "address", NULL);
    char *text = NULL;

    if (strchr(ifname, '/') || !g_file_get_contents(file, &text, NULL, NULL)) {
        return NULL;
    }
    return g_strstrip(text);
}

/* "0000:81:01.10" */
static bool append_address(GString *out, const char *text, GError **errp)
{
    unsigned domain, bus, slot, function;
    int used = 0;

    if (sscanf(text, "%x:%x:%x.%x%n", &domain, &bus, &slot, &function,
               &used) != 4 || text[used]) {
        return domain_error(errp, 0, NULL, "pciAddress '%s' is none", text);
    }
    g_string_append_printf(out, "<address type='pci' domain='0x%04x' "
                           "bus='0x%02x' slot='0x%02x' function='0x%x'/>",
                           domain, bus, slot, function);
    return true;
}

static const char *wanted_model(JsonObject *vmi, const Wanted *wanted)
{
    JsonObject *devices = get_object(get_object(get_object(vmi, "spec"),
                                                "domain"), "devices");
    const char *model = get_string(wanted->interface, "model");

    if (model && strcmp(model, "virtio")) {
        return model;
    }
    return devices && json_object_get_boolean_member_with_default(
        devices, "useVirtioTransitional", FALSE) ?
        "virtio-transitional" : "virtio-non-transitional";
}

/* An <interface> as KubeVirt would write it. */
static char *interface_text(JsonObject *vmi, const Wanted *wanted,
                            const char *mark, const char *sysfs,
                            GError **errp)
{
    g_autoptr(GString) out = g_string_new("<interface type='ethernet'>");
    const char *given = get_string(wanted->interface, "macAddress");
    g_autofree char *mac = given ? g_strdup(given) :
        pod_mac(sysfs, wanted->ifname);
    const char *address = get_string(wanted->interface, "pciAddress");
    const char *state = get_string(wanted->interface, "state");
    const char *model = wanted_model(vmi, wanted);
    gint64 boot = json_object_get_int_member_with_default(
        wanted->interface, "bootOrder", 0);
    gint64 acpi = json_object_get_int_member_with_default(
        wanted->interface, "acpiIndex", 0);
    unsigned queues = g_str_has_prefix(model, "virtio") ? vmi_queues(vmi) : 0;
    g_autofree char *alias = NULL;

    if (!mac) {
        domain_error(errp, 0, "Write macAddress into the VMI's interface.",
                     "interface '%s' has no macAddress, and '%s' is not found "
                     "in the pod", wanted->name, wanted->ifname);
        return NULL;
    }
    g_string_append(out, "<mac");
    attribute(out, "address", mac);
    g_string_append(out, "/><target");
    attribute(out, "dev", wanted->ifname);
    g_string_append(out, " managed='no'/><model");
    attribute(out, "type", model);
    g_string_append(out, "/>");
    /* The mark's number of queues counts, if it has one. */
    if (queues && !(wanted->settings &&
                    json_object_has_member(wanted->settings, "queues"))) {
        g_string_append_printf(out, "<driver queues='%u'/>", queues);
    }
    if (boot > 0) {
        g_string_append_printf(out, "<boot order='%" G_GINT64_FORMAT "'/>",
                               boot);
    } else {
        g_string_append(out, "<rom enabled='no'/>");
    }
    if (acpi > 0) {
        g_string_append_printf(out, "<acpi index='%" G_GINT64_FORMAT "'/>",
                               acpi);
    }
    if (state) {
        g_string_append(out, "<link");
        attribute(out, "state", state);
        g_string_append(out, "/>");
    }
    alias = g_strconcat("ua-", wanted->name, NULL);
    g_string_append(out, "<alias");
    attribute(out, "name", alias);
    g_string_append(out, "/>");
    if (address && !append_address(out, address, errp)) {
        return NULL;
    }
    g_string_append_printf(out, "%s</interface>", mark);
    return g_string_free(g_steal_pointer(&out), FALSE);
}

static xmlNode *find_interface(const Source *source, const char *name)
{
    const xmlNode *devices = xml_child(source->root, NULL, "devices");
    g_autofree char *alias = g_strconcat("ua-", name, NULL);

    for (xmlNode *node = xml_child(devices, NULL, "interface"); node;
         node = xml_next(node)) {
        const xmlNode *its = xml_child(node, NULL, "alias");

        if (its && xml_attr_is(its, "name", alias)) {
            return node;
        }
    }
    return NULL;
}

/* Is it in the arguments for QEMU already? The hook may run more than once. */
static bool is_done(const Source *source, const char *name)
{
    g_autofree char *id = g_strconcat("hostua-", name, NULL);

    return cmdline_has_netdev(source, id);
}

/*
 * What KubeVirt would have given a tap gives way to the annotation: the user
 * can write neither number of queues elsewhere.
 */
static void yield_driver(Source *source, const xmlNode *interface,
                         JsonObject *settings)
{
    const xmlNode *driver = xml_child(interface, NULL, "driver");
    g_autoptr(GString) out = g_string_new("<driver");
    const xmlAttr *attr;

    if (!driver || !settings || driver->children) {
        return;
    }
    for (attr = driver->properties; attr; attr = attr->next) {
        const char *name = (const char *)attr->name;
        g_autofree char *value = xml_attr(driver, name);

        if ((!strcmp(name, "queues") &&
             json_object_has_member(settings, "queues")) ||
            (!strcmp(name, "name") &&
             json_object_has_member(settings, "vhost"))) {
            continue;
        }
        attribute(out, name, value);
    }
    g_string_append(out, "/>");
    source_replace_element(source, driver, out->str);
}

static bool mark_one(Source *source, JsonObject *vmi, const Wanted *wanted,
                     const char *sysfs, Report *report, GError **errp)
{
    xmlNode *devices = xml_child(source->root, NULL, "devices");
    xmlNode *interface = find_interface(source, wanted->name);
    g_autofree char *mark = mark_text(wanted, errp);
    g_autofree char *text = NULL;

    if (!mark) {
        return false;
    }
    if (interface) {
        yield_driver(source, interface, wanted->settings);
        source_append_child(source, interface, mark);
        report_note(report, 0, "interface '%s' of the VMI is on '%s'",
                    wanted->name, wanted->ifname);
        return true;
    }
    if (is_done(source, wanted->name)) {
        return true;
    }
    if (!devices) {
        return domain_error(errp, 0, NULL, "the domain has no <devices>");
    }
    text = interface_text(vmi, wanted, mark, sysfs, errp);
    if (!text) {
        return false;
    }
    source_append_child(source, devices, text);
    report_note(report, 0, "interface '%s' of the VMI is added, on '%s'",
                wanted->name, wanted->ifname);
    return true;
}

char *kubevirt_mark(const char *text, const char *vmi, const char *sysfs,
                    Report *report, GError **errp)
{
    g_autoptr(Source) source = source_new(text, strlen(text), errp);
    g_autoptr(JsonNode) root = NULL;
    g_autoptr(JsonNode) annotation = NULL;
    g_autoptr(GPtrArray) wanted = NULL;
    JsonObject *object, *annotations, *devices, *settings = NULL;
    const char *json;
    gsize len;

    if (!source) {
        return NULL;
    }
    root = parse(vmi, "the VMI", errp);
    if (!root) {
        return NULL;
    }
    object = json_node_get_object(root);
    annotations = get_object(get_object(object, "metadata"), "annotations");
    json = get_string(annotations, KUBEVIRT_ANNOTATION);
    if (!json && annotations &&
        json_object_has_member(annotations, KUBEVIRT_ANNOTATION)) {
        domain_error(errp, 0, "Quote it: '{\"NAME\": {\"queues\": 2}}'.",
                     "the annotation " KUBEVIRT_ANNOTATION " is no text");
        return NULL;
    }
    if (json) {
        annotation = parse(json, "the annotation " KUBEVIRT_ANNOTATION, errp);
        if (!annotation) {
            return NULL;
        }
        settings = json_node_get_object(annotation);
    }
    devices = get_object(get_object(get_object(object, "spec"), "domain"),
                         "devices");
    if (!check_settings(settings, get_array(devices, "interfaces"), errp)) {
        return NULL;
    }
    wanted = find_wanted(object, settings);
    for (guint i = 0; i < wanted->len; i++) {
        if (!mark_one(source, object, g_ptr_array_index(wanted, i), sysfs,
                      report, errp)) {
            return NULL;
        }
    }
    return source_result(source, &len);
}
