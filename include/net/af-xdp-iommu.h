/*
 * AF_XDP: does the host's IOMMU translate what a NIC accesses?
 *
 * One that translates may put neighbouring pages of a UMEM anywhere for the
 * device, and nobody tells. In guest zero-copy the kernel then throws buffers
 * away without a word that are not in one piece for it.
 *
 * Threads: any.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef NET_AF_XDP_IOMMU_H
#define NET_AF_XDP_IOMMU_H

#include <glib.h>
#include "net/af-xdp-device.h"

typedef enum AfXdpIommu {
    AF_XDP_IOMMU_NO,        /* nothing is translated */
    AF_XDP_IOMMU_YES,
    AF_XDP_IOMMU_UNKNOWN,   /* sysfs does not tell */
} AfXdpIommu;

/*
 * af_xdp_iommu_of: for the device at address @bus ("0000:00:03.0").
 * @sysfs: where sysfs is mounted.
 *
 * No for a device of another kind of bus, or that has no IOMMU.
 */
AfXdpIommu af_xdp_iommu_of(const char *sysfs, const char *bus);

/*
 * af_xdp_iommu_of_any: for any device of the host that may be a NIC.
 * @sysfs: where sysfs is mounted. What it says of devices and their IOMMU
 *         groups is the same in each network namespace.
 * @name: receives the name of one whose accesses are translated, to be freed,
 *        or NULL.
 *
 * For who uses a NIC that cannot be seen. What is no PCI device has no class
 * and may be one.
 */
AfXdpIommu af_xdp_iommu_of_any(const char *sysfs, char **name);

/*
 * af_xdp_iommu_refuse: why the device cannot be given guest memory page by
 * page, to be freed, or NULL. The NIC behind a netkit device cannot be seen:
 * then what goes for all NICs counts.
 */
char *af_xdp_iommu_refuse(const AfXdpDevice *info);

#endif /* NET_AF_XDP_IOMMU_H */
