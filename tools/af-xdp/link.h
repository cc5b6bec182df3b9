/*
 * qemu-af-xdp: network devices, over rtnetlink
 *
 * Beyond net/af-xdp-device.h: making, moving and deleting them, and devices in
 * other network namespaces. Those are named by an "nsid", the number that this
 * network namespace has for another one; LINK_HERE is this one itself.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef AF_XDP_TOOL_LINK_H
#define AF_XDP_TOOL_LINK_H

#include <glib.h>
#include <net/if.h>
#include "options.h"
#include "net/af-xdp-device.h"

#define LINK_HERE (-1)

struct nlmsghdr;

typedef struct Link {
    int ifindex;
    char name[IF_NAMESIZE];
    char kind[32];
    uint32_t mtu;
    bool up;
    uint8_t mac[MAC_LEN];
    uint32_t rx_queues;     /* allocated: the most it can ever use */
} Link;

/*
 * link_get: ask for a device.
 * @name: or NULL, then @ifindex counts.
 * Returns 0 or a negative errno.
 */
int link_get(const char *name, int ifindex, int32_t nsid, Link *link);

/*
 * link_query: af_xdp_device_query() with what this tool's user can do if the
 * device is missing
 */
bool link_query(const char *ifname, AfXdpDevice *dev, GError **errp);

/* What a new netkit device is to be like */
typedef struct LinkNetkit {
    const char *name;
    uint32_t rx_queues;
    uint32_t mtu;
    const uint8_t *mac;     /* NULL: the kernel's choice */
} LinkNetkit;

/*
 * link_create_netkit: make a netkit device without a peer, in mode L2.
 * @words: as for netlink_once().
 * Returns 0 or a negative errno.
 */
int link_create_netkit(const LinkNetkit *netkit, char **words);

/* link_put_netkit: its message, for a buffer of NETLINK_REQUEST_SIZE */
struct nlmsghdr *link_put_netkit(char *buf, const LinkNetkit *netkit);

/*
 * link_place: rename a device, move it, set it up; all or nothing.
 * @netns_fd: where to, or -1
 */
int link_place(int ifindex, const char *name, int netns_fd, bool up,
               char **words);

/* link_delete: ENODEV if it is not there */
int link_delete(int ifindex, int32_t nsid, char **words);

/*
 * link_address: let a device receive frames for @mac, beside its own address,
 * or no longer. EEXIST and ENOENT if it was so already.
 */
int link_address(int ifindex, const uint8_t mac[MAC_LEN], bool add,
                 char **words);

/* link_has_address: can it already? Returns 1, 0, or a negative errno. */
int link_has_address(int ifindex, const uint8_t mac[MAC_LEN]);

#endif /* AF_XDP_TOOL_LINK_H */
