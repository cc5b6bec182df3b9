/*
 * AF_XDP domain filter: the domain's <qemu:commandline>
 *
 * Threads: one at a time.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef TOOLS_DOMAIN_CMDLINE_H
#define TOOLS_DOMAIN_CMDLINE_H

#include "nic.h"

#define QEMU_NS "http://libvirt.org/schemas/domain/qemu/1.0"

/*
 * cmdline_plan: have -netdev and -device of @nics in the domain's arguments
 * for QEMU. Those of an earlier run are recognised by the id of the netdev, or
 * by an id of this program and the MAC address; they stay as they are if
 * nothing has changed.
 * @buses: see PciPlan; NULL if there are no @nics.
 *
 * Returns false with @errp set if an id is used already, an iothread is named
 * that the domain does not have, or arguments are left of a mark that is gone.
 */
bool cmdline_plan(Source *source, const GPtrArray *nics, char *const *buses,
                  Report *report, GError **errp);

/* cmdline_has_netdev: is there a "-netdev af-xdp" with the id @netdev? */
bool cmdline_has_netdev(const Source *source, const char *netdev);

#endif /* TOOLS_DOMAIN_CMDLINE_H */
