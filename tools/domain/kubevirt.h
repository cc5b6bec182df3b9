/*
 * AF_XDP domain filter: KubeVirt's hook
 *
 * KubeVirt's sidecar calls "onDefineDomain --vmi JSON --domain XML" and defines
 * what that prints. The interfaces that are meant are those of the VMI with
 * the network binding plugin "af-xdp", and those that the annotation names:
 *
 *   af-xdp.qemu.org/interfaces: '{"lan": {"queue-start": 15, "queues": 2}}'
 *
 * by the interface's name in the VMI, with the options of a mark.
 *
 * Threads: one at a time.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef TOOLS_DOMAIN_KUBEVIRT_H
#define TOOLS_DOMAIN_KUBEVIRT_H

#include "domain-error.h"

#define KUBEVIRT_BINDING "af-xdp"
#define KUBEVIRT_ANNOTATION "af-xdp.qemu.org/interfaces"

/*
 * kubevirt_mark: mark the interfaces of the domain @text that @vmi wants on
 * AF_XDP; those that the domain does not have are added.
 * @sysfs: "/sys", where the addresses of the pod's interfaces are found.
 *
 * Returns the domain's XML with marks for domain_convert(), to be freed with
 * g_free(), or NULL with @errp set.
 */
char *kubevirt_mark(const char *text, const char *vmi, const char *sysfs,
                    Report *report, GError **errp);

/*
 * kubevirt_ifname: the name that KubeVirt gives the pod's interface for the
 * network @network, other than the pod's own. To be freed with g_free().
 */
char *kubevirt_ifname(const char *network);

#endif /* TOOLS_DOMAIN_KUBEVIRT_H */
