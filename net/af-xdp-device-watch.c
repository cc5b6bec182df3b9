/*
 * AF_XDP: what the kernel says of a network device, later
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <sys/socket.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include "net/af-xdp-device-int.h"
#include "net/af-xdp-error.h"

/*
 * Datagrams read per call of the watch. Other devices' events arrive as well,
 * and on a host that creates hundreds of them the main loop must get its turn.
 */
#define WATCH_BUDGET 64

struct AfXdpDeviceWatch {
    struct mnl_socket *nl;
    int ifindex;
    bool gone;
    bool overrun;               /* the kernel dropped messages to us */
    AfXdpDevice last;           /* the state reported last */
    char buf[NL_BUF_SIZE] QEMU_ALIGNED(8);
};

AfXdpDeviceWatch *af_xdp_device_watch_new(int ifindex, GError **errp)
{
    AfXdpDeviceWatch *watch = g_new0(AfXdpDeviceWatch, 1);
    int ret;

    watch->ifindex = ifindex;
    watch->nl = device_nl_open(NETLINK_ROUTE, SOCK_NONBLOCK, RTMGRP_LINK);
    /* Subscribe first, then look: nothing happens unseen in between. */
    ret = watch->nl ? device_get(NULL, ifindex, &watch->last) : -errno;
    if (ret < 0) {
        af_xdp_error_step(errp, AF_XDP_STEP_DEVICE, -ret, NULL, -1,
                          "cannot watch interface %d", ifindex);
        af_xdp_device_watch_free(watch);
        return NULL;
    }
    return watch;
}

void af_xdp_device_watch_free(AfXdpDeviceWatch *watch)
{
    if (!watch) {
        return;
    }
    if (watch->nl) {
        mnl_socket_close(watch->nl);
    }
    g_free(watch);
}

int af_xdp_device_watch_fd(const AfXdpDeviceWatch *watch)
{
    return mnl_socket_get_fd(watch->nl);
}

static void watch_gone(AfXdpDeviceWatch *watch, bool moved,
                       AfXdpDeviceEvent *ev)
{
    watch->gone = true;
    watch->last.up = false;
    ev->changes |= AF_XDP_DEVICE_GONE;
    ev->moved = moved;
}

/* The device is now as @dev says. */
static void watch_update(AfXdpDeviceWatch *watch, const AfXdpDevice *dev,
                         AfXdpDeviceEvent *ev)
{
    if (dev->up != watch->last.up) {
        ev->changes |= dev->up ? AF_XDP_DEVICE_UP : AF_XDP_DEVICE_DOWN;
    }
    if (strcmp(dev->name, watch->last.name)) {
        ev->changes |= AF_XDP_DEVICE_RENAMED;
    }
    if (dev->mtu != watch->last.mtu) {
        ev->changes |= AF_XDP_DEVICE_MTU;
    }
    watch->last = *dev;
}

static void watch_message(AfXdpDeviceWatch *watch, const struct nlmsghdr *nlh,
                          AfXdpDeviceEvent *ev)
{
    const struct ifinfomsg *ifi = mnl_nlmsg_get_payload(nlh);
    const struct nlattr *attr;
    bool moved = false;

    if (nlh->nlmsg_type != RTM_NEWLINK && nlh->nlmsg_type != RTM_DELLINK) {
        return;
    }
    /*
     * Leaving a bridge is an RTM_DELLINK too, of the bridge's address family:
     * the device itself stays.
     */
    if (mnl_nlmsg_get_payload_len(nlh) < sizeof(*ifi) ||
        ifi->ifi_family != AF_UNSPEC || ifi->ifi_index != watch->ifindex) {
        return;
    }
    if (nlh->nlmsg_type == RTM_NEWLINK) {
        AfXdpDevice dev = watch->last;

        device_parse_link(nlh, &dev);
        watch_update(watch, &dev, ev);
        return;
    }
    mnl_attr_for_each(attr, nlh, sizeof(*ifi)) {
        if (mnl_attr_get_type(attr) == IFLA_NEW_NETNSID) {
            moved = true;
        }
    }
    watch_gone(watch, moved, ev);
}

/*
 * Look at the device instead of at messages. Only once the queue is empty: the
 * messages in it are older than this look.
 */
static void watch_resync(AfXdpDeviceWatch *watch, AfXdpDeviceEvent *ev)
{
    AfXdpDevice dev;
    int ret = device_get(NULL, watch->ifindex, &dev);

    if (ret == 0) {
        watch->overrun = false;
        watch_update(watch, &dev, ev);
    } else if (ret == -ENODEV) {
        watch->overrun = false;
        watch_gone(watch, false, ev);
    }
    /* Out of memory or descriptors: the next message is another chance. */
}

/* Read what is there, up to a limit. */
static void watch_drain(AfXdpDeviceWatch *watch, AfXdpDeviceEvent *ev)
{
    for (int i = 0; i < WATCH_BUDGET; i++) {
        const struct nlmsghdr *nlh = (const void *)watch->buf;
        ssize_t ret = mnl_socket_recvfrom(watch->nl, watch->buf,
                                          sizeof(watch->buf));
        int len;

        if (ret < 0 && (errno == ENOBUFS || errno == ENOSPC)) {
            /* Dropped for want of room, in the kernel or in our buffer. */
            watch->overrun = true;
            continue;
        }
        if (ret < 0 && errno == EINTR) {
            continue;
        }
        if (ret <= 0) {
            if (watch->overrun && !watch->gone) {
                watch_resync(watch, ev);
            }
            break;
        }
        for (len = ret; mnl_nlmsg_ok(nlh, len) && !watch->gone;
             nlh = mnl_nlmsg_next(nlh, &len)) {
            watch_message(watch, nlh, ev);
        }
    }
}

/*
 * A device that is deleted or moved goes down first, and is half gone when we
 * hear of that. ethtool's questions wait until the kernel is done (for its
 * RTNL mutex), and then the message with the rest is there. If it is not, it
 * will be.
 */
static void watch_down(AfXdpDeviceWatch *watch, AfXdpDeviceEvent *ev)
{
    AfXdpDevice dev = watch->last;

    device_find_driver(&dev);
    watch_drain(watch, ev);
    if (!watch->gone && !watch->last.up &&
        device_get(NULL, watch->ifindex, &dev) == -ENODEV) {
        ev->changes &= ~AF_XDP_DEVICE_DOWN;
        watch->last.up = true;
    }
}

bool af_xdp_device_watch_read(AfXdpDeviceWatch *watch, AfXdpDeviceEvent *ev)
{
    memset(ev, 0, sizeof(*ev));
    watch_drain(watch, ev);
    if ((ev->changes & AF_XDP_DEVICE_DOWN) && !watch->last.up &&
        !watch->gone) {
        watch_down(watch, ev);
    }
    ev->up = watch->last.up;
    ev->mtu = watch->last.mtu;
    memcpy(ev->name, watch->last.name, sizeof(ev->name));
    return ev->changes;
}
