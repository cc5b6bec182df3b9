/*
 * AF_XDP domain filter: libvirt's <interface> as QEMU's arguments
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "nic-reader.h"
#include "pci.h"

/* Queues may be given in the mark, as libvirt has them, or in both. */
static bool settle_queues(Reader *reader)
{
    MarkOptions *options = reader->nic->mark->options;
    const char *given = mark_options_get(options, "queues");

    if (given && reader->queues && atoi(given) != atoi(reader->queues)) {
        return domain_error(reader->errp, reader->nic->line,
                            "Give the number in one of the two places.",
                            "<driver queues='%s'> contradicts queues='%s' of "
                            "the mark in line %d", reader->queues, given,
                            reader->nic->mark->line);
    }
    if (!given && reader->queues) {
        return mark_options_set(options, "queues", reader->queues,
                                reader->errp);
    }
    return true;
}

static bool settle_ifname(Reader *reader)
{
    MarkOptions *options = reader->nic->mark->options;

    if (mark_options_get(options, "ifname")) {
        return true;
    }
    if (!reader->target) {
        return domain_error(reader->errp, reader->nic->line,
                            "Write <target dev='NAME' managed='no'/>, NAME "
                            "being an interface of the host.",
                            "the interface does not say which one of the "
                            "host's it is");
    }
    return mark_options_set(options, "ifname", reader->target, reader->errp);
}

/* An id that QEMU takes and libvirt does not give out. */
static void settle_ids(Reader *reader)
{
    Nic *nic = reader->nic;

    if (reader->alias) {
        nic->id = g_strdup(reader->alias);
    } else {
        nic->id = g_strdup_printf("ua-af-xdp-%s", nic->options.ifname);
        if (nic->options.queue_start) {
            char *longer = g_strdup_printf("%s-q%u", nic->id,
                                           nic->options.queue_start);

            g_free(nic->id);
            nic->id = longer;
        }
        for (char *p = nic->id; *p; p++) {
            if (!g_ascii_isalnum(*p) && !strchr("-._", *p)) {
                *p = '_';
            }
        }
    }
    nic->netdev = g_strconcat("host", nic->id, NULL);
}

static bool check_options(Reader *reader)
{
    Nic *nic = reader->nic;
    g_autoptr(GError) err = NULL;

    if (!mark_options_check(nic->mark->options, &nic->options, &err)) {
        g_set_error(reader->errp, DOMAIN_ERROR, nic->mark->line, "%s",
                    err->message);
        return false;
    }
    mark_options_netdev(nic->mark->options, nic->netdev_options);
    if (!nic->virtio && (nic->options.vhost == AF_XDP_VHOST_ON ||
                         nic->options.zero_copy == AF_XDP_ZERO_COPY_ON)) {
        return domain_error(reader->errp, nic->mark->line,
                            "Write <model type='virtio'/>, or remove the "
                            "option.", "%s='on' needs a virtio model, this is "
                            "'%s'", nic->options.vhost == AF_XDP_VHOST_ON ?
                            "vhost" : "zero-copy", nic->driver);
    }
    if (json_object_get_boolean_member_with_default(
            nic->device, "iommu_platform", FALSE) &&
        (nic->options.vhost == AF_XDP_VHOST_ON ||
         nic->options.zero_copy == AF_XDP_ZERO_COPY_ON)) {
        return domain_error(reader->errp, nic->line,
                            "Remove iommu= here, or the option from the mark.",
                            "<driver iommu='on'> does not go with %s='on' of "
                            "the mark in line %d",
                            nic->options.vhost == AF_XDP_VHOST_ON ?
                            "vhost" : "zero-copy", nic->mark->line);
    }
    return true;
}

static bool read_all(Reader *reader)
{
    Nic *nic = reader->nic;
    const xmlNode *interface = nic->mark->interface;

    if (!reader_take_all(reader, interface) ||
        !settle_queues(reader) || !settle_ifname(reader) ||
        !check_options(reader)) {
        return false;
    }
    if (!reader->mac) {
        return domain_error(reader->errp, nic->line,
                            "Write <mac address='52:54:00:XX:XX:XX'/>, or "
                            "define the domain first and take the XML that "
                            "'virsh dumpxml --inactive' prints.",
                            "the interface has no MAC address, and QEMU's "
                            "default is the same in each VM");
    }
    json_object_set_string_member(nic->device, "mac", reader->mac);
    if (nic->virtio && nic->options.queues > 1) {
        /* One for each ring, the control queue and the configuration. */
        json_object_set_boolean_member(nic->device, "mq", TRUE);
        json_object_set_int_member(nic->device, "vectors",
                                   2 * nic->options.queues + 2);
    }
    settle_ids(reader);
    return true;
}

Nic *nic_new(const Source *source, const Mark *mark, Report *report,
             GError **errp)
{
    g_autoptr(Nic) nic = g_new0(Nic, 1);
    g_autoptr(GError) err = NULL;
    Reader reader = {
        .source = source, .nic = nic, .report = report, .errp = &err,
    };
    bool ok;

    nic->mark = mark;
    nic->line = source_line(source, mark->interface);
    nic->device = json_object_new();
    nic->netdev_options = g_string_new(NULL);
    ok = read_all(&reader);
    g_free(reader.alias);
    g_free(reader.target);
    g_free(reader.mac);
    g_free(reader.queues);
    if (!ok) {
        if (!err->code) {
            err->code = mark->line;
        }
        g_propagate_error(errp, g_steal_pointer(&err));
        return NULL;
    }
    return g_steal_pointer(&nic);
}

void nic_free(Nic *nic)
{
    g_free(nic->id);
    g_free(nic->netdev);
    g_free(nic->driver);
    json_object_unref(nic->device);
    g_string_free(nic->netdev_options, TRUE);
    af_xdp_options_clear(&nic->options);
    pci_address_clear(&nic->address);
    g_free(nic);
}

bool nics_have(const GPtrArray *nics, const xmlNode *interface)
{
    for (guint i = 0; i < nics->len; i++) {
        const Nic *nic = g_ptr_array_index(nics, i);

        if (nic->mark->interface == interface) {
            return true;
        }
    }
    return false;
}

char *nic_netdev_arg(const Nic *nic)
{
    GString *out = g_string_new("af-xdp");

    option_append(out, "id", nic->netdev);
    option_append(out, "ifname", nic->options.ifname);
    if (nic->netdev_options->len) {
        g_string_append_printf(out, ",%s", nic->netdev_options->str);
    }
    return g_string_free(out, FALSE);
}

/* Those of @from, behind those of @to */
static void append_members(JsonObject *to, JsonObject *from)
{
    g_autoptr(GList) names = json_object_get_members(from);

    for (GList *name = names; name; name = name->next) {
        json_object_set_member(to, name->data,
                               json_object_dup_member(from, name->data));
    }
}

char *nic_device_arg(const Nic *nic, const char *bus)
{
    g_autoptr(JsonObject) device = json_object_new();
    g_autoptr(JsonNode) root = json_node_new(JSON_NODE_OBJECT);
    g_autofree char *addr = nic->address.function ?
        g_strdup_printf("0x%x.0x%x", nic->address.slot,
                        nic->address.function) :
        g_strdup_printf("0x%x", nic->address.slot);
    const char *multifunction = nic->address.multifunction;

    json_object_set_string_member(device, "driver", nic->driver);
    json_object_set_string_member(device, "netdev", nic->netdev);
    json_object_set_string_member(device, "id", nic->id);
    append_members(device, nic->device);
    if (nic->boot) {
        json_object_set_int_member(device, "bootindex", nic->boot);
    }
    json_object_set_string_member(device, "bus", bus);
    json_object_set_string_member(device, "addr", addr);
    if (multifunction) {
        json_object_set_boolean_member(device, "multifunction",
                                       !strcmp(multifunction, "on"));
    }
    json_node_set_object(root, device);
    return json_to_string(root, FALSE);
}
