/*
 * AF_XDP domain filter: PCI addresses
 *
 * An interface that is taken out of the devices gives its slot back to
 * libvirt, which gives devices the first slot that is empty. So that it cannot
 * give ours to another one:
 *
 * - An interface without address gets a function of the slot that the machine's
 *   chipset is in. That slot is never empty.
 * - An address on a port of its own (pcie-root-port), as libvirt chooses them,
 *   is kept, and the slot is held by a device of libvirt's that does nothing: a
 *   pcie-switch-upstream-port as function 7.
 * - An address on a bus of several slots is kept, with a warning. A collision
 *   is an error, here and when QEMU starts.
 *
 * Threads: one at a time.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef TOOLS_DOMAIN_PCI_H
#define TOOLS_DOMAIN_PCI_H

#include "nic.h"

/* By number of the interface; entries may be NULL. */
typedef struct PciPlan {
    guint count;            /* of interfaces */
    char **buses;           /* id of its bus in QEMU */
    char **addresses;       /* an <address> that its <interface> lacks */
    char **instead;         /* a <controller> to put in its place */
} PciPlan;

/*
 * pci_plan_new: check the addresses of @nics, and find one for those that have
 * none.
 *
 * Returns what is to be freed with pci_plan_free(), or NULL with @errp set.
 */
PciPlan *pci_plan_new(Source *source, GPtrArray *nics, Report *report,
                      GError **errp);
void pci_plan_free(PciPlan *plan);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PciPlan, pci_plan_free)

#endif /* TOOLS_DOMAIN_PCI_H */
