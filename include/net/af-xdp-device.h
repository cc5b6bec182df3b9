/*
 * AF_XDP: what the kernel says of a network device, now and later
 *
 * af_xdp_device_query() asks once; a watch tells what happens afterwards. The
 * watch is needed because an AF_XDP socket stays silent when its device is
 * deleted or moved to another network namespace: poll() reports nothing, and
 * only sending fails.
 *
 * All answers come through netlink and ioctl() sockets, hence from the network
 * namespace of the calling thread. sysfs would answer for the namespace it was
 * mounted in.
 *
 * Threads: query and check from any thread; a watch is not locked and belongs
 * to the main loop.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef NET_AF_XDP_DEVICE_H
#define NET_AF_XDP_DEVICE_H

#include <glib.h>
#include <net/if.h>

/* Longest link kind, with its terminator; the kernel's own have up to 15. */
#define AF_XDP_KIND_SIZE 32

typedef struct AfXdpDevice {
    char name[IF_NAMESIZE];     /* also if an alternative one was asked for */
    int ifindex;
    uint16_t type;              /* ARPHRD_... of <net/if_arp.h> */
    char kind[AF_XDP_KIND_SIZE];    /* "veth", "netkit"...; "" for a NIC */
    char driver[AF_XDP_KIND_SIZE];  /* "virtio_net"...; "" if it has no name */
    char bus[AF_XDP_KIND_SIZE];     /* as "0000:00:03.0"; "" if on none */
    uint32_t mtu;               /* bytes, without the Ethernet header */
    bool up;                    /* set up by the administrator */
    bool is_netkit;
    bool has_leases;            /* a netkit; its queues from 1 on are leased */
    uint32_t rx_queues;         /* never too low; the number in use where */
    uint32_t tx_queues;         /* the kernel tells, else the allocated one */
    uint32_t xdp_prog_id;       /* XDP program attached, 0 if none */
    uint8_t xdp_attached;       /* XDP_ATTACHED_... of <linux/if_link.h> */
} AfXdpDevice;

/*
 * af_xdp_device_query: look up @ifname in the thread's network namespace.
 * @dev: filled in on success.
 * @errp: set on failure; code ENODEV if there is no such device.
 *
 * Returns false on failure.
 */
bool af_xdp_device_query(const char *ifname, AfXdpDevice *dev, GError **errp);

/*
 * af_xdp_device_check: can queues of @dev be used?
 * @first_queue, @n_queues: the queues wanted, @n_queues at least 1.
 * @errp: set on failure; ENETDOWN if the device is down, EINVAL if it is not
 *        an Ethernet device or lacks a queue.
 *
 * Returns false on failure. Passing does not promise that the kernel will
 * bind the queues: somebody else may use them.
 */
bool af_xdp_device_check(const AfXdpDevice *dev, uint32_t first_queue,
                         uint32_t n_queues, GError **errp);

/*
 * af_xdp_device_is_leased: is @queue of @dev one of a NIC behind it?
 *
 * Since Linux 7.1 a netkit device has queue 0 of its own, and all others that
 * it has are leased. From another network namespace than the NIC's the kernel
 * does not tell more.
 */
bool af_xdp_device_is_leased(const AfXdpDevice *dev, uint32_t queue);

/* What happened to a watched device; several can happen between two reads. */
typedef enum AfXdpDeviceChange {
    AF_XDP_DEVICE_GONE    = 1 << 0,     /* deleted, or moved away */
    AF_XDP_DEVICE_DOWN    = 1 << 1,     /* the administrator took it down */
    AF_XDP_DEVICE_UP      = 1 << 2,     /* ... and set it up */
    AF_XDP_DEVICE_RENAMED = 1 << 3,
    AF_XDP_DEVICE_MTU     = 1 << 4,
} AfXdpDeviceChange;

typedef struct AfXdpDeviceEvent {
    unsigned changes;           /* AfXdpDeviceChange bits, 0 if none */
    bool moved;                 /* GONE: known to be in another namespace */
    bool up;                    /* the rest: as it is now, or last was */
    uint32_t mtu;
    char name[IF_NAMESIZE];
} AfXdpDeviceEvent;

typedef struct AfXdpDeviceWatch AfXdpDeviceWatch;

/*
 * af_xdp_device_watch_new: start watching a device.
 * @ifindex: from af_xdp_device_query().
 * @errp: set on failure; code ENODEV if the device is gone already.
 *
 * What af_xdp_device_watch_read() reports is relative to the device's state at
 * this moment. Main loop only. Returns the watch, or NULL.
 */
AfXdpDeviceWatch *af_xdp_device_watch_new(int ifindex, GError **errp);

/* af_xdp_device_watch_free: stop watching. NULL is allowed. Main loop only. */
void af_xdp_device_watch_free(AfXdpDeviceWatch *watch);

/*
 * af_xdp_device_watch_fd: descriptor to poll for reading; it stays the
 * watch's. Main loop only.
 */
int af_xdp_device_watch_fd(const AfXdpDeviceWatch *watch);

/*
 * af_xdp_device_watch_read: what happened since the last call?
 * @ev: filled in; a device that went down and came back in between has both
 *      bits set, @ev->up says how it ended.
 *
 * Never blocks for long. Reads a bounded number of messages; the descriptor
 * stays readable if there are more. Messages that the kernel could not queue
 * are made up for by asking for the present state.
 *
 * A device that is found down is asked for once more, so that one that goes
 * down because it is deleted or moved is gone at once: what it has must not be
 * let go of in between.
 *
 * After AF_XDP_DEVICE_GONE nothing is reported any more, whatever takes over
 * the ifindex: free the watch.
 *
 * Main loop only. Returns true if anything has changed.
 */
bool af_xdp_device_watch_read(AfXdpDeviceWatch *watch, AfXdpDeviceEvent *ev);

#endif /* NET_AF_XDP_DEVICE_H */
