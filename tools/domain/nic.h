/*
 * AF_XDP domain filter: libvirt's <interface> as QEMU's arguments
 *
 * All that an <interface> says must end up in the arguments. What has no place
 * there is an error, and so is what this program has never heard of.
 *
 * Threads: one at a time.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef TOOLS_DOMAIN_NIC_H
#define TOOLS_DOMAIN_NIC_H

#include <json-glib/json-glib.h>
#include "domain-error.h"
#include "mark.h"
#include "pci-address.h"

typedef struct Nic {
    const Mark *mark;
    int line;               /* of the <interface> */
    char *id;               /* of the device */
    char *netdev;           /* id of the netdev */
    char *driver;           /* of -device */
    bool virtio;
    JsonObject *device;     /* properties but bus, addr and bootindex */
    AfXdpOptions options;   /* of the netdev */
    GString *netdev_options; /* the same as they are written */
    unsigned boot;          /* bootindex, or 0 */
    bool has_address;
    PciAddress address;
    int address_line;       /* of its <address> */
} Nic;

/*
 * nic_new: read the interface and the options of @mark.
 * @report: what is worth to be known is added here.
 *
 * Returns what is to be freed with nic_free(), or NULL with @errp set.
 */
Nic *nic_new(const Source *source, const Mark *mark, Report *report,
             GError **errp);
void nic_free(Nic *nic);

/* nics_have: is the element @interface that of one of @nics? */
bool nics_have(const GPtrArray *nics, const xmlNode *interface);

/* nic_netdev_arg: the value of -netdev, to be freed. */
char *nic_netdev_arg(const Nic *nic);

/*
 * nic_device_arg: the value of -device, to be freed; JSON, as libvirt writes
 * it. QEMU makes the devices that are in JSON after all others, so one of the
 * other form would not find its bus.
 * @bus: id of the bus in QEMU.
 */
char *nic_device_arg(const Nic *nic, const char *bus);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Nic, nic_free)

#endif /* TOOLS_DOMAIN_NIC_H */
