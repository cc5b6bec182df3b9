/*
 * AF_XDP domain filter: one PCI address
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "domain-error.h"
#include "pci-address.h"

/* One part of an address, up to @max; decimal or hexadecimal. */
static bool address_part(const Source *source, const xmlNode *node,
                         const char *name, unsigned max, unsigned *out,
                         bool *present, GError **errp)
{
    g_autofree char *text = xml_attr(node, name);
    char *end;
    guint64 value;

    if (!text) {
        return true;
    }
    value = g_ascii_strtoull(text, &end, 0);
    if (!g_ascii_isdigit(*text) || *end || value > max) {
        return domain_error(errp, source_line(source, node), NULL,
                            "%s='%s' of <address> is no number from 0 to 0x%x",
                            name, text, max);
    }
    *out = value;
    *present = true;
    return true;
}

bool pci_address_parse(const Source *source, const xmlNode *node,
                       PciAddress *address, bool *present, GError **errp)
{
    const xmlAttr *attr;
    g_autofree char *type = xml_attr(node, "type");
    const xmlNode *child = xmlFirstElementChild((xmlNode *)node);
    unsigned domain = 0;

    *present = false;
    if (g_strcmp0(type, "pci")) {
        return domain_error(errp, source_line(source, node),
                            "Only PCI is supported: <address type='pci'/> "
                            "has an address chosen.",
                            "the interface has an address of type '%s'",
                            type ? type : "");
    }
    if (child) {
        return domain_error(errp, source_line(source, child), "Remove it.",
                            "<%s> in <address> cannot be kept",
                            (const char *)child->name);
    }
    for (attr = node->properties; attr; attr = attr->next) {
        static const char names[] = " type domain bus slot function "
                                    "multifunction ";
        g_autofree char *name = g_strdup_printf(" %s ",
                                                (const char *)attr->name);

        if (!strstr(names, name)) {
            return domain_error(errp, source_line(source, node), "Remove it.",
                                "'%s' of <address> cannot be kept",
                                (const char *)attr->name);
        }
    }
    if (!address_part(source, node, "domain", 0xffff, &domain, present,
                      errp) ||
        !address_part(source, node, "bus", 0xff, &address->bus, present,
                      errp) ||
        !address_part(source, node, "slot", 0x1f, &address->slot, present,
                      errp) ||
        !address_part(source, node, "function", 7, &address->function,
                      present, errp)) {
        return false;
    }
    if (domain) {
        return domain_error(errp, source_line(source, node), NULL,
                            "QEMU's PCI devices are in domain 0");
    }
    address->multifunction = xml_attr(node, "multifunction");
    return true;
}

void pci_address_clear(PciAddress *address)
{
    g_free(address->multifunction);
    address->multifunction = NULL;
}
