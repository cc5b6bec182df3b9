/*
 * AF_XDP domain filter: what is in an <interface>, element by element
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "nic-reader.h"

/* An attribute and the property that has its value. */
typedef struct Property {
    const char *attribute;
    const char *property;
    bool number;            /* else on or off */
} Property;

static const Property driver_properties[] = {
    { "ioeventfd", "ioeventfd" },
    { "event_idx", "event_idx" },
    { "rx_queue_size", "rx_queue_size", true },
    { "tx_queue_size", "tx_queue_size", true },
    { "rss", "rss" },
    { "rss_hash_report", "hash" },
    { "iommu", "iommu_platform" },
    { "ats", "ats" },
    { "packed", "packed" },
    { "page_per_vq", "page-per-vq" },
    { NULL }
};

static const Property host_properties[] = {
    { "csum", "csum" },
    { "gso", "gso" },
    { "tso4", "host_tso4" },
    { "tso6", "host_tso6" },
    { "ecn", "host_ecn" },
    { "ufo", "host_ufo" },
    { "mrg_rxbuf", "mrg_rxbuf" },
    { NULL }
};

static const Property guest_properties[] = {
    { "csum", "guest_csum" },
    { "tso4", "guest_tso4" },
    { "tso6", "guest_tso6" },
    { "ecn", "guest_ecn" },
    { "ufo", "guest_ufo" },
    { NULL }
};

/* Models by libvirt's name. */
static const struct {
    const char *model;
    const char *driver;
    bool virtio;
} models[] = {
    { "virtio", "virtio-net-pci", true },
    { "virtio-non-transitional", "virtio-net-pci-non-transitional", true },
    { "virtio-transitional", "virtio-net-pci-transitional", true },
    { "e1000e", "e1000e" },
    { "igb", "igb" },
    { "vmxnet3", "vmxnet3" },
    { "e1000", "e1000" },
    { "e1000-82544gc", "e1000-82544gc" },
    { "e1000-82545em", "e1000-82545em" },
    { "rtl8139", "rtl8139" },
    { "ne2k_pci", "ne2k_pci" },
    { "pcnet", "pcnet" },
};

/* Elements that have no place, and why. */
static const struct {
    const char *element;
    const char *why;
} refused[] = {
    { "backend", "it is about tap and passt, which are not used" },
    { "bandwidth", "libvirt limits a tap device; limit the traffic where the "
      "host's interface leads to, with tc" },
    { "coalesce", "set it with 'ethtool -C' on the host's interface" },
    { "downscript", "nobody would run it; use libvirt's qemu hook" },
    { "filterref", "what the guest sends passes no filter of the host; filter "
      "at the other end" },
    { "guest", "it is for containers" },
    { "ip", "give the host's interface its addresses with 'ip addr'" },
    { "port", "there is no bridge port to be isolated" },
    { "portForward", "it is for passt" },
    { "route", "give the host's interface its routes with 'ip route'" },
    { "script", "nobody would run it; use libvirt's qemu hook" },
    { "teaming", "failover between this device and another is not supported" },
    { "tune", "there is no tap with a send buffer" },
    { "virtualport", "there is no bridge port" },
    { "vlan", "there is no bridge port; set a VLAN up on the host" },
};

static int line_of(const Reader *reader, const xmlNode *node)
{
    return source_line(reader->source, node);
}

/* Does @node have no attribute but these? The list ends with NULL. */
static bool G_GNUC_NULL_TERMINATED only(Reader *reader, const xmlNode *node,
                                        ...)
{
    const xmlAttr *attr;

    for (attr = node->properties; attr; attr = attr->next) {
        const char *name;
        bool found = false;
        va_list ap;

        va_start(ap, node);
        while ((name = va_arg(ap, const char *))) {
            found |= !attr->ns && !strcmp((const char *)attr->name, name);
        }
        va_end(ap);
        if (!found) {
            return domain_error(reader->errp, line_of(reader, node),
                                "Remove it, or leave the interface without "
                                "mark. It may be of a libvirt that is newer "
                                "than this program.",
                                "<%s> has the attribute '%s', which cannot be "
                                "kept", (const char *)node->name,
                                (const char *)attr->name);
        }
    }
    return true;
}

static bool no_elements(Reader *reader, const xmlNode *node)
{
    const xmlNode *child = xmlFirstElementChild((xmlNode *)node);

    if (child) {
        return domain_error(reader->errp, line_of(reader, child),
                            "Remove it, or leave the interface without mark. "
                            "It may be of a libvirt that is newer than this "
                            "program.", "<%s> in <%s> cannot be kept",
                            (const char *)child->name,
                            (const char *)node->name);
    }
    return true;
}

static bool is_number(const char *text)
{
    return *text && !text[strspn(text, "0123456789")] && strlen(text) < 10;
}

static bool number_wanted(Reader *reader, const xmlNode *node,
                          const char *name, const char *value)
{
    if (!is_number(value)) {
        return domain_error(reader->errp, line_of(reader, node), NULL,
                            "%s='%s' of <%s> is no number", name, value,
                            (const char *)node->name);
    }
    return true;
}

/* "yes" and "no" of libvirt are "on" and "off" of QEMU. */
static const char *on_off(const char *value)
{
    if (!strcmp(value, "on") || !strcmp(value, "yes")) {
        return "on";
    }
    if (!strcmp(value, "off") || !strcmp(value, "no")) {
        return "off";
    }
    return NULL;
}

static bool on_off_wanted(Reader *reader, const xmlNode *node,
                          const char *name, const char *value)
{
    if (!on_off(value)) {
        return domain_error(reader->errp, line_of(reader, node), NULL,
                            "%s='%s' of <%s> is neither 'on' nor 'off'", name,
                            value, (const char *)node->name);
    }
    return true;
}

/* Those of the table's attributes that @node has. */
static bool take_properties(Reader *reader, const xmlNode *node,
                            const Property *property)
{
    Nic *nic = reader->nic;

    for (; property->attribute; property++) {
        g_autofree char *value = xml_attr(node, property->attribute);

        if (!value) {
            continue;
        }
        if (!nic->virtio) {
            return domain_error(reader->errp, line_of(reader, node),
                                "Remove it, or write <model type='virtio'/>.",
                                "%s= of <%s> is for virtio models, this is "
                                "'%s'", property->attribute,
                                (const char *)node->name, nic->driver);
        }
        if (property->number ?
            !number_wanted(reader, node, property->attribute, value) :
            !on_off_wanted(reader, node, property->attribute, value)) {
            return false;
        }
        if (property->number) {
            json_object_set_int_member(nic->device, property->property,
                                       atoi(value));
        } else {
            json_object_set_boolean_member(nic->device, property->property,
                                           !strcmp(on_off(value), "on"));
        }
    }
    return true;
}

/* All attributes of @node must be in the table. */
static bool only_properties(Reader *reader, const xmlNode *node,
                            const Property *property)
{
    const xmlAttr *attr;

    for (attr = node->properties; attr; attr = attr->next) {
        const Property *one = property;

        while (one->attribute &&
               strcmp(one->attribute, (const char *)attr->name)) {
            one++;
        }
        if (!one->attribute) {
            return domain_error(reader->errp, line_of(reader, node),
                                "Remove it, or leave the interface without "
                                "mark.", "<%s> has the attribute '%s', which "
                                "cannot be kept", (const char *)node->name,
                                (const char *)attr->name);
        }
    }
    return no_elements(reader, node);
}

/*
 * <driver name=> chooses the kernel's vhost or QEMU's main loop for a tap. The
 * netdev has the same choice, with vhost in QEMU's own threads.
 */
static bool take_driver_name(Reader *reader, const xmlNode *node,
                             const char *name)
{
    const Mark *mark = reader->nic->mark;
    const char *given = mark_options_get(mark->options, "vhost");
    const char *means = !strcmp(name, "vhost") ? "on" :
        !strcmp(name, "qemu") ? "off" : NULL;

    if (!means) {
        return domain_error(reader->errp, line_of(reader, node), NULL,
                            "<driver name='%s'> is neither 'vhost' nor 'qemu'",
                            name);
    }
    if (given && g_strcmp0(on_off(given), means)) {
        return domain_error(reader->errp, line_of(reader, node),
                            "Remove name= here, or vhost= in the mark.",
                            "<driver name='%s'> contradicts vhost='%s' of the "
                            "mark in line %d", name, given, mark->line);
    }
    if (!given && !mark_options_set(mark->options, "vhost", means,
                                    reader->errp)) {
        return false;
    }
    report_note(reader->report, line_of(reader, node),
                "<driver name='%s'> becomes vhost=%s of the netdev", name,
                means);
    return true;
}

static bool take_driver(Reader *reader, const xmlNode *node)
{
    g_autofree char *name = xml_attr(node, "name");
    g_autofree char *txmode = xml_attr(node, "txmode");

    if (!only(reader, node, "name", "txmode", "queues", "ioeventfd",
              "event_idx", "rx_queue_size", "tx_queue_size", "rss",
              "rss_hash_report", "iommu", "ats", "packed", "page_per_vq",
              NULL)) {
        return false;
    }
    reader->queues = xml_attr(node, "queues");
    if (reader->queues &&
        !number_wanted(reader, node, "queues", reader->queues)) {
        return false;
    }
    if (name && !take_driver_name(reader, node, name)) {
        return false;
    }
    if (txmode) {
        const char *tx = !strcmp(txmode, "iothread") ? "bh" :
            !strcmp(txmode, "timer") ? "timer" : NULL;

        if (!tx || !reader->nic->virtio) {
            return domain_error(reader->errp, line_of(reader, node), NULL,
                                "txmode='%s' of <driver> cannot be kept",
                                txmode);
        }
        json_object_set_string_member(reader->nic->device, "tx", tx);
    }
    if (!take_properties(reader, node, driver_properties)) {
        return false;
    }
    for (xmlNode *child = node->children; child; child = child->next) {
        const Property *table;

        if (child->type != XML_ELEMENT_NODE) {
            continue;
        }
        if (xml_is(child, NULL, "host")) {
            table = host_properties;
        } else if (xml_is(child, NULL, "guest")) {
            table = guest_properties;
        } else {
            return no_elements(reader, node);
        }
        if (!only_properties(reader, child, table) ||
            !take_properties(reader, child, table)) {
            return false;
        }
    }
    return true;
}

static bool take_mac(Reader *reader, const xmlNode *node)
{
    unsigned bytes[6];
    int used = 0;

    if (!only(reader, node, "address", "type", "check", "currentAddress",
              NULL)) {
        return false;
    }
    reader->mac = xml_attr(node, "address");
    if (!reader->mac ||
        sscanf(reader->mac, "%2x:%2x:%2x:%2x:%2x:%2x%n", &bytes[0], &bytes[1],
               &bytes[2], &bytes[3], &bytes[4], &bytes[5], &used) != 6 ||
        used != 17 || reader->mac[used]) {
        return domain_error(reader->errp, line_of(reader, node),
                            "Write it as '52:54:00:12:34:56'.",
                            "'%s' is no MAC address",
                            reader->mac ? reader->mac : "");
    }
    if (bytes[0] & 1) {
        return domain_error(reader->errp, line_of(reader, node),
                            "Make the first byte even.", "the MAC address '%s' "
                            "is a multicast address", reader->mac);
    }
    return true;
}

static bool take_target(Reader *reader, const xmlNode *node)
{
    reader->target = xml_attr(node, "dev");
    return only(reader, node, "dev", "managed", NULL);
}

static bool take_model(Reader *reader, const xmlNode *node)
{
    g_autofree char *type = xml_attr(node, "type");
    GString *all;
    g_autofree char *hint = NULL;

    if (!only(reader, node, "type", NULL)) {
        return false;
    }
    for (size_t i = 0; type && i < ARRAY_SIZE(models); i++) {
        if (!strcmp(models[i].model, type)) {
            reader->nic->driver = g_strdup(models[i].driver);
            reader->nic->virtio = models[i].virtio;
            return true;
        }
    }
    all = g_string_new("Known are:");
    for (size_t i = 0; i < ARRAY_SIZE(models); i++) {
        g_string_append_printf(all, " %s", models[i].model);
    }
    hint = g_string_free(all, FALSE);
    return domain_error(reader->errp, line_of(reader, node), hint,
                        "the model '%s' is not known as a PCI device of QEMU",
                        type ? type : "");
}

static bool take_alias(Reader *reader, const xmlNode *node)
{
    g_autofree char *name = xml_attr(node, "name");

    /* The others are libvirt's, which gives them out anew at each start. */
    if (name && g_str_has_prefix(name, "ua-")) {
        if (name[strspn(name, "abcdefghijklmnopqrstuvwxyz"
                        "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._")]) {
            return domain_error(reader->errp, line_of(reader, node),
                                "Use letters, digits and '-._' only.",
                                "QEMU does not take the alias '%s' for an id",
                                name);
        }
        reader->alias = g_steal_pointer(&name);
    }
    return only(reader, node, "name", NULL);
}

static bool take_boot(Reader *reader, const xmlNode *node)
{
    g_autofree char *order = xml_attr(node, "order");

    if (!only(reader, node, "order", NULL)) {
        return false;
    }
    if (!order || !is_number(order) || !atoi(order)) {
        return domain_error(reader->errp, line_of(reader, node), NULL,
                            "order='%s' of <boot> is no number from 1",
                            order ? order : "");
    }
    reader->nic->boot = atoi(order);
    return true;
}

static bool take_link(Reader *reader, const xmlNode *node)
{
    if (!only(reader, node, "state", NULL)) {
        return false;
    }
    if (!xml_attr_is(node, "state", "up")) {
        return domain_error(reader->errp, line_of(reader, node),
                            "Write state='up', and after the start: virsh "
                            "qemu-monitor-command --hmp DOMAIN set_link ID "
                            "off.", "QEMU has no argument for a link that is "
                            "down at the start");
    }
    return true;
}

static bool take_mtu(Reader *reader, const xmlNode *node)
{
    g_autofree char *size = xml_attr(node, "size");

    if (!only(reader, node, "size", NULL) ||
        !number_wanted(reader, node, "size", size ? size : "")) {
        return false;
    }
    if (!reader->nic->virtio) {
        return domain_error(reader->errp, line_of(reader, node),
                            "Remove it and set the MTU in the guest, or write "
                            "<model type='virtio'/>.", "the model '%s' cannot "
                            "tell the guest an MTU", reader->nic->driver);
    }
    json_object_set_int_member(reader->nic->device, "host_mtu", atoi(size));
    report_note(reader->report, line_of(reader, node),
                "the guest is told the MTU %s; that of the host's interface "
                "is not changed ('ip link set dev NAME mtu %s')", size, size);
    return true;
}

static bool take_rom(Reader *reader, const xmlNode *node)
{
    g_autofree char *bar = xml_attr(node, "bar");
    g_autofree char *file = xml_attr(node, "file");
    g_autofree char *enabled = xml_attr(node, "enabled");
    JsonObject *device = reader->nic->device;

    if (!only(reader, node, "bar", "file", "enabled", NULL)) {
        return false;
    }
    if ((bar && !on_off_wanted(reader, node, "bar", bar)) ||
        (enabled && !on_off_wanted(reader, node, "enabled", enabled))) {
        return false;
    }
    if (bar) {
        json_object_set_int_member(device, "rombar",
                                   !strcmp(on_off(bar), "on"));
    }
    if (enabled && !strcmp(on_off(enabled), "off")) {
        if (bar || file) {
            return domain_error(reader->errp, line_of(reader, node), NULL,
                                "<rom enabled='no'> contradicts bar= or file=");
        }
        json_object_set_string_member(device, "romfile", "");
    } else if (file) {
        json_object_set_string_member(device, "romfile", file);
    }
    return true;
}

static bool take_acpi(Reader *reader, const xmlNode *node)
{
    g_autofree char *index = xml_attr(node, "index");

    if (!only(reader, node, "index", NULL) ||
        !number_wanted(reader, node, "index", index ? index : "")) {
        return false;
    }
    json_object_set_int_member(reader->nic->device, "acpi-index",
                               atoi(index));
    return true;
}

static bool take_address(Reader *reader, const xmlNode *node)
{
    reader->nic->address_line = line_of(reader, node);
    return pci_address_parse(reader->source, node, &reader->nic->address,
                             &reader->nic->has_address, reader->errp);
}

/* <source> names nothing for an interface that exists already. */
static bool take_source(Reader *reader, const xmlNode *node)
{
    return only(reader, node, NULL) && no_elements(reader, node);
}

/* In the order in which they are taken: the model comes first. */
static const struct {
    const char *element;
    bool (*take)(Reader *reader, const xmlNode *node);
    bool has_elements;
} readers[] = {
    { "model", take_model },
    { "mac", take_mac },
    { "target", take_target },
    { "alias", take_alias },
    { "driver", take_driver, true },
    { "boot", take_boot },
    { "link", take_link },
    { "mtu", take_mtu },
    { "rom", take_rom },
    { "acpi", take_acpi },
    { "address", take_address, true },
    { "source", take_source, true },
};

static bool check_known(Reader *reader, const xmlNode *interface)
{
    for (const xmlNode *node = interface->children; node; node = node->next) {
        const char *name = (const char *)node->name;
        bool known = node == reader->nic->mark->node;

        if (node->type != XML_ELEMENT_NODE) {
            continue;
        }
        for (size_t i = 0; !known && i < ARRAY_SIZE(readers); i++) {
            known = xml_is(node, NULL, readers[i].element);
        }
        for (size_t i = 0; !known && i < ARRAY_SIZE(refused); i++) {
            if (xml_is(node, NULL, refused[i].element)) {
                g_autofree char *hint = g_strdup_printf(
                    "Remove it: %s.", refused[i].why);

                return domain_error(reader->errp, line_of(reader, node), hint,
                                    "<%s> cannot be kept", name);
            }
        }
        if (!known) {
            return domain_error(reader->errp, line_of(reader, node),
                                "Remove it, or leave the interface without "
                                "mark. It may be of a libvirt that is newer "
                                "than this program.", "<%s> in <interface> is "
                                "not known and cannot be kept", name);
        }
    }
    if (xml_attr_is(interface, "trustGuestRxFilters", "yes")) {
        return domain_error(reader->errp, line_of(reader, interface),
                            "Remove it: QEMU does not change the addresses "
                            "of the host's interface.",
                            "trustGuestRxFilters='yes' cannot be kept");
    }
    return only(reader, interface, "type", "trustGuestRxFilters", NULL);
}

bool reader_take_all(Reader *reader, const xmlNode *interface)
{
    if (!check_known(reader, interface)) {
        return false;
    }
    for (size_t i = 0; i < ARRAY_SIZE(readers); i++) {
        const xmlNode *node = xml_child(interface, NULL, readers[i].element);

        if (!node) {
            if (!strcmp(readers[i].element, "model")) {
                return domain_error(reader->errp, line_of(reader, interface),
                                    "Write <model type='virtio'/>.",
                                    "the interface has no model");
            }
            continue;
        }
        if (xml_next(node)) {
            return domain_error(reader->errp, line_of(reader, xml_next(node)),
                                NULL, "there is a second <%s>",
                                (const char *)node->name);
        }
        if ((!readers[i].has_elements && !no_elements(reader, node)) ||
            !readers[i].take(reader, node)) {
            return false;
        }
    }
    return true;
}
