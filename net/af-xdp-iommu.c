/*
 * AF_XDP: does the host's IOMMU translate what a NIC accesses?
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "net/af-xdp-iommu.h"

/* The class of PCI devices that are network controllers, as sysfs has it. */
#define PCI_NETWORK "0x02"

/* Of a group: "identity", or a type that translates ("DMA", "DMA-FQ"...). */
static AfXdpIommu type_of(const char *path)
{
    g_autofree char *type = NULL;

    if (!g_file_get_contents(path, &type, NULL, NULL)) {
        return AF_XDP_IOMMU_UNKNOWN;
    }
    return g_str_has_prefix(type, "identity") ? AF_XDP_IOMMU_NO
                                              : AF_XDP_IOMMU_YES;
}

AfXdpIommu af_xdp_iommu_of(const char *sysfs, const char *bus)
{
    g_autofree char *group = g_strdup_printf("%s/bus/pci/devices/%s/"
                                             "iommu_group", sysfs, bus);
    g_autofree char *type = g_strdup_printf("%s/type", group);

    if (!*bus || !g_file_test(group, G_FILE_TEST_EXISTS)) {
        return AF_XDP_IOMMU_NO;
    }
    return type_of(type);
}

static bool may_be_nic(const char *sysfs, const char *device)
{
    g_autofree char *path = g_strdup_printf("%s/bus/pci/devices/%s/class",
                                            sysfs, device);
    g_autofree char *pci_class = NULL;

    return !g_file_get_contents(path, &pci_class, NULL, NULL) ||
           g_str_has_prefix(pci_class, PCI_NETWORK);
}

/* The first device of a group that may be a NIC, to be freed, or NULL. */
static char *find_nic(const char *sysfs, const char *group, bool *known)
{
    g_autofree char *path = g_strdup_printf("%s/devices", group);
    g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
    const char *name;

    *known = dir != NULL;
    while (dir && (name = g_dir_read_name(dir))) {
        if (may_be_nic(sysfs, name)) {
            return g_strdup(name);
        }
    }
    return NULL;
}

static AfXdpIommu of_group(const char *sysfs, const char *group, char **name)
{
    g_autofree char *path = g_strdup_printf("%s/type", group);
    AfXdpIommu iommu = type_of(path);
    bool known;

    if (iommu == AF_XDP_IOMMU_NO) {
        return iommu;
    }
    *name = find_nic(sysfs, group, &known);
    return !known ? AF_XDP_IOMMU_UNKNOWN : *name ? iommu : AF_XDP_IOMMU_NO;
}

AfXdpIommu af_xdp_iommu_of_any(const char *sysfs, char **name)
{
    g_autofree char *kernel = g_strdup_printf("%s/kernel", sysfs);
    g_autofree char *groups = g_strdup_printf("%s/iommu_groups", kernel);
    g_autoptr(GDir) dir = g_dir_open(groups, 0, NULL);
    const char *entry;

    *name = NULL;
    if (!dir) {
        /* A kernel that knows no IOMMU has no such directory. */
        return !g_file_test(groups, G_FILE_TEST_EXISTS) &&
               g_file_test(kernel, G_FILE_TEST_IS_DIR) ? AF_XDP_IOMMU_NO
                                                       : AF_XDP_IOMMU_UNKNOWN;
    }
    while ((entry = g_dir_read_name(dir))) {
        g_autofree char *group = g_strdup_printf("%s/%s", groups, entry);
        AfXdpIommu iommu = of_group(sysfs, group, name);

        if (iommu != AF_XDP_IOMMU_NO) {
            return iommu;
        }
    }
    return AF_XDP_IOMMU_NO;
}

char *af_xdp_iommu_refuse(const AfXdpDevice *info)
{
    g_autofree char *other = NULL;

    switch (info->is_netkit ? af_xdp_iommu_of_any("/sys", &other)
                            : af_xdp_iommu_of("/sys", info->bus)) {
    case AF_XDP_IOMMU_NO:
        return NULL;
    case AF_XDP_IOMMU_YES:
        return g_strdup_printf("the host's IOMMU translates what the NIC%s%s "
                               "accesses: boot the host with 'iommu=pt'%s",
                               other ? ", which may be " : "", other ?: "",
                               other ? "" : ", or use 'force-copy=on'");
    default:
        return g_strdup("/sys does not tell whether the host's IOMMU "
                        "translates what the NIC accesses: mount sysfs there");
    }
}
