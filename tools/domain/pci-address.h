/*
 * AF_XDP domain filter: one PCI address
 *
 * Threads: any.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef TOOLS_DOMAIN_PCI_ADDRESS_H
#define TOOLS_DOMAIN_PCI_ADDRESS_H

#include "source.h"

/* A PCI address of the domain 0, as in <address type='pci'>. */
typedef struct PciAddress {
    unsigned bus;
    unsigned slot;
    unsigned function;
    char *multifunction;    /* "on", "off", or NULL */
} PciAddress;

/*
 * pci_address_parse: read an <address type='pci'>.
 * @address: to be emptied with pci_address_clear(), in any case.
 * @present: whether it gives one; "<address type='pci'/>" only asks for one.
 */
bool pci_address_parse(const Source *source, const xmlNode *node,
                       PciAddress *address, bool *present, GError **errp);
void pci_address_clear(PciAddress *address);

#endif /* TOOLS_DOMAIN_PCI_ADDRESS_H */
