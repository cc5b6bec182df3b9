/*
 * AF_XDP: what the kernel says of a network device, now
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <net/if_arp.h>
#include <libmnl/libmnl.h>
#include <linux/ethtool.h>
#include <linux/genetlink.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include "net/af-xdp-device-int.h"
#include "net/af-xdp-error.h"
#include "net/af-xdp-uapi.h"

/* Room for our requests: a header, a name, a few numbers. */
#define NL_REQUEST_SIZE 256

struct mnl_socket *device_nl_open(int bus, int flags, unsigned groups)
{
    struct mnl_socket *nl = mnl_socket_open2(bus, flags | SOCK_CLOEXEC);
    int saved_errno;

    if (nl && mnl_socket_bind(nl, groups, MNL_SOCKET_AUTOPID) < 0) {
        saved_errno = errno;
        mnl_socket_close(nl);
        errno = saved_errno;
        return NULL;
    }
    return nl;
}

/*
 * Send @nlh and give each message of the answer to @cb. The answer must end
 * with an acknowledgement or be a dump. Returns 0 or a negative errno.
 */
static int nl_talk(struct mnl_socket *nl, struct nlmsghdr *nlh, mnl_cb_t cb,
                   void *opaque)
{
    g_autofree char *buf = g_malloc(NL_BUF_SIZE);
    ssize_t len;
    int ret;

    nlh->nlmsg_seq = 1;
    if (mnl_socket_sendto(nl, nlh, nlh->nlmsg_len) < 0) {
        return -errno;
    }
    do {
        len = mnl_socket_recvfrom(nl, buf, NL_BUF_SIZE);
        if (len < 0) {
            return -errno;
        }
        ret = mnl_cb_run(buf, len, nlh->nlmsg_seq, mnl_socket_get_portid(nl),
                         cb, opaque);
        if (ret < 0) {
            return -errno;
        }
    } while (ret > MNL_CB_STOP);
    return 0;
}

static void parse_netkit(const struct nlattr *data, AfXdpDevice *dev)
{
    const struct nlattr *attr;

    mnl_attr_for_each_nested(attr, data) {
        if (mnl_attr_get_type(attr) == AF_XDP_IFLA_NETKIT_PAIRING) {
            dev->has_leases = true;
        }
    }
}

static void parse_kind(const struct nlattr *linkinfo, AfXdpDevice *dev)
{
    const struct nlattr *attr, *data = NULL;

    mnl_attr_for_each_nested(attr, linkinfo) {
        switch (mnl_attr_get_type(attr)) {
        case IFLA_INFO_KIND:
            g_strlcpy(dev->kind, mnl_attr_get_str(attr), sizeof(dev->kind));
            break;
        case IFLA_INFO_DATA:
            data = attr;
            break;
        }
    }
    dev->is_netkit = !strcmp(dev->kind, "netkit");
    if (dev->is_netkit && data) {
        parse_netkit(data, dev);
    }
}

static void parse_xdp(const struct nlattr *xdp, AfXdpDevice *dev)
{
    const struct nlattr *attr;

    dev->xdp_attached = XDP_ATTACHED_NONE;
    dev->xdp_prog_id = 0;
    mnl_attr_for_each_nested(attr, xdp) {
        switch (mnl_attr_get_type(attr)) {
        case IFLA_XDP_ATTACHED:
            dev->xdp_attached = mnl_attr_get_u8(attr);
            break;
        case IFLA_XDP_PROG_ID:
            dev->xdp_prog_id = mnl_attr_get_u32(attr);
            break;
        case IFLA_XDP_DRV_PROG_ID:
        case IFLA_XDP_SKB_PROG_ID:
        case IFLA_XDP_HW_PROG_ID:
            /* With programs in several modes there is no single id. */
            if (!dev->xdp_prog_id) {
                dev->xdp_prog_id = mnl_attr_get_u32(attr);
            }
            break;
        }
    }
}

void device_parse_link(const struct nlmsghdr *nlh, AfXdpDevice *dev)
{
    const struct ifinfomsg *ifi = mnl_nlmsg_get_payload(nlh);
    const struct nlattr *attr;

    dev->ifindex = ifi->ifi_index;
    dev->up = ifi->ifi_flags & IFF_UP;
    dev->type = ifi->ifi_type;

    mnl_attr_for_each(attr, nlh, sizeof(*ifi)) {
        switch (mnl_attr_get_type(attr)) {
        case IFLA_IFNAME:
            g_strlcpy(dev->name, mnl_attr_get_str(attr), sizeof(dev->name));
            break;
        case IFLA_MTU:
            dev->mtu = mnl_attr_get_u32(attr);
            break;
        case IFLA_NUM_RX_QUEUES:
            dev->rx_queues = mnl_attr_get_u32(attr);
            break;
        case IFLA_NUM_TX_QUEUES:
            dev->tx_queues = mnl_attr_get_u32(attr);
            break;
        case IFLA_LINKINFO:
            parse_kind(attr, dev);
            break;
        case IFLA_XDP:
            parse_xdp(attr, dev);
            break;
        }
    }
}

static int link_cb(const struct nlmsghdr *nlh, void *opaque)
{
    if (nlh->nlmsg_type == RTM_NEWLINK) {
        device_parse_link(nlh, opaque);
    }
    return MNL_CB_OK;
}

int device_get(const char *ifname, int ifindex, AfXdpDevice *dev)
{
    char request[NL_REQUEST_SIZE] QEMU_ALIGNED(8);
    struct nlmsghdr *nlh = mnl_nlmsg_put_header(request);
    struct mnl_socket *nl;
    struct ifinfomsg *ifi;
    int ret;

    nl = device_nl_open(NETLINK_ROUTE, 0, 0);
    if (!nl) {
        return -errno;
    }
    nlh->nlmsg_type = RTM_GETLINK;
    nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
    ifi = mnl_nlmsg_put_extra_header(nlh, sizeof(*ifi));
    ifi->ifi_family = AF_UNSPEC;
    if (ifname) {
        mnl_attr_put_strz_check(nlh, sizeof(request), IFLA_IFNAME, ifname);
    } else {
        ifi->ifi_index = ifindex;
    }
    memset(dev, 0, sizeof(*dev));
    ret = nl_talk(nl, nlh, link_cb, dev);
    mnl_socket_close(nl);
    if (ret == 0 && dev->ifindex == 0) {
        ret = -EPROTO;
    }
    return ret;
}

static int family_cb(const struct nlmsghdr *nlh, void *opaque)
{
    const struct nlattr *attr;
    uint16_t *id = opaque;

    mnl_attr_for_each(attr, nlh, sizeof(struct genlmsghdr)) {
        if (mnl_attr_get_type(attr) == CTRL_ATTR_FAMILY_ID) {
            *id = mnl_attr_get_u16(attr);
        }
    }
    return MNL_CB_OK;
}

static int queue_cb(const struct nlmsghdr *nlh, void *opaque)
{
    AfXdpDevice *dev = opaque;
    const struct nlattr *attr;
    uint32_t type = UINT32_MAX, id = 0;

    mnl_attr_for_each(attr, nlh, sizeof(struct genlmsghdr)) {
        switch (mnl_attr_get_type(attr)) {
        case AF_XDP_NETDEV_A_QUEUE_TYPE:
            type = mnl_attr_get_u32(attr);
            break;
        case AF_XDP_NETDEV_A_QUEUE_ID:
            id = mnl_attr_get_u32(attr);
            break;
        }
    }
    if (type == AF_XDP_NETDEV_QUEUE_TYPE_RX) {
        dev->rx_queues = MAX(dev->rx_queues, id + 1);
    } else if (type == AF_XDP_NETDEV_QUEUE_TYPE_TX) {
        dev->tx_queues = MAX(dev->tx_queues, id + 1);
    }
    return MNL_CB_OK;
}

static struct nlmsghdr *genl_request(char *buf, uint16_t type, uint16_t flags,
                                     uint8_t cmd)
{
    struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
    struct genlmsghdr *genl;

    nlh->nlmsg_type = type;
    nlh->nlmsg_flags = NLM_F_REQUEST | flags;
    genl = mnl_nlmsg_put_extra_header(nlh, sizeof(*genl));
    genl->cmd = cmd;
    genl->version = 1;
    return nlh;
}

/*
 * The queues in use, as the kernel lists them since Linux 6.8. A device that
 * is down has none listed. Returns false if there is no answer.
 */
static bool queues_from_netdev_family(AfXdpDevice *dev)
{
    char request[NL_REQUEST_SIZE] QEMU_ALIGNED(8);
    AfXdpDevice count = { 0 };
    struct mnl_socket *nl;
    struct nlmsghdr *nlh;
    uint16_t family = 0;

    nl = device_nl_open(NETLINK_GENERIC, 0, 0);
    if (!nl) {
        return false;
    }
    nlh = genl_request(request, GENL_ID_CTRL, NLM_F_ACK, CTRL_CMD_GETFAMILY);
    mnl_attr_put_strz(nlh, CTRL_ATTR_FAMILY_NAME, AF_XDP_NETDEV_FAMILY);
    if (nl_talk(nl, nlh, family_cb, &family) == 0 && family) {
        nlh = genl_request(request, family, NLM_F_DUMP,
                           AF_XDP_NETDEV_CMD_QUEUE_GET);
        mnl_attr_put_u32(nlh, AF_XDP_NETDEV_A_QUEUE_IFINDEX, dev->ifindex);
        if (nl_talk(nl, nlh, queue_cb, &count) < 0) {
            count.rx_queues = 0;
        }
    }
    mnl_socket_close(nl);
    if (!count.rx_queues || !count.tx_queues) {
        return false;
    }
    dev->rx_queues = count.rx_queues;
    dev->tx_queues = count.tx_queues;
    return true;
}

/*
 * The number of channels, which older kernels tell. Only for virtual devices:
 * some NICs take AF_XDP sockets on queues beyond their channels (mlx5 before
 * Linux 6.2), and the answer must not be too low.
 */
static void queues_from_channels(AfXdpDevice *dev)
{
    struct ethtool_channels channels = { .cmd = ETHTOOL_GCHANNELS };
    struct ifreq ifr = { .ifr_data = (void *)&channels };
    struct mnl_socket *nl;
    uint32_t rx, tx;

    if (!*dev->kind) {
        return;
    }
    /* Any socket takes ioctls about devices. */
    nl = device_nl_open(NETLINK_ROUTE, 0, 0);
    if (!nl) {
        return;
    }
    g_strlcpy(ifr.ifr_name, dev->name, sizeof(ifr.ifr_name));
    if (ioctl(mnl_socket_get_fd(nl), SIOCETHTOOL, &ifr) == 0) {
        rx = channels.combined_count + channels.rx_count;
        tx = channels.combined_count + channels.tx_count;
        if (rx && tx) {
            dev->rx_queues = MIN(dev->rx_queues, rx);
            dev->tx_queues = MIN(dev->tx_queues, tx);
        }
    }
    mnl_socket_close(nl);
}

void device_find_driver(AfXdpDevice *dev)
{
    struct ethtool_drvinfo info = { .cmd = ETHTOOL_GDRVINFO };
    struct ifreq ifr = { .ifr_data = (void *)&info };
    struct mnl_socket *nl = device_nl_open(NETLINK_ROUTE, 0, 0);

    if (!nl) {
        return;
    }
    g_strlcpy(ifr.ifr_name, dev->name, sizeof(ifr.ifr_name));
    if (ioctl(mnl_socket_get_fd(nl), SIOCETHTOOL, &ifr) == 0) {
        g_strlcpy(dev->driver, info.driver, sizeof(dev->driver));
        g_strlcpy(dev->bus, info.bus_info, sizeof(dev->bus));
    }
    mnl_socket_close(nl);
}

bool af_xdp_device_query(const char *ifname, AfXdpDevice *dev, GError **errp)
{
    int ret = device_get(ifname, 0, dev);

    if (ret == -ENODEV) {
        g_autofree char *hint = af_xdp_error_name_hint(
            ifname, af_xdp_error_hint(ENODEV, AF_XDP_STEP_DEVICE));

        af_xdp_error_set(errp, ENODEV, hint,
                         "cannot find interface '%s' in this network "
                         "namespace", ifname);
        return false;
    }
    if (ret < 0) {
        af_xdp_error_step(errp, AF_XDP_STEP_DEVICE, -ret, NULL, -1,
                          "cannot ask the kernel about interface '%s'", ifname);
        return false;
    }
    if (!queues_from_netdev_family(dev)) {
        queues_from_channels(dev);
    }
    device_find_driver(dev);
    return true;
}

bool af_xdp_device_is_leased(const AfXdpDevice *dev, uint32_t queue)
{
    return dev->is_netkit && dev->has_leases && queue > 0;
}

static void error_no_queue(const AfXdpDevice *dev, uint32_t first_queue,
                           uint32_t n_queues, bool rx, GError **errp)
{
    uint32_t have = rx ? dev->rx_queues : dev->tx_queues;
    uint64_t last = (uint64_t)first_queue + n_queues - 1;
    uint64_t need = last + 1;
    g_autofree char *hint = NULL;

    if (dev->is_netkit) {
        hint = g_strdup("A netkit device has queue 0, and one more for each "
                        "queue of a NIC that the host leases to it, "
                        "as 'qemu-af-xdp lease' does; use queues that it has.");
    } else if (!*dev->kind) {
        hint = g_strdup_printf("'ethtool -L %s combined %" PRIu64 "' gives it "
                               "that many, if it can; 'ethtool -l %s' shows "
                               "what it has.", dev->name, need, dev->name);
    } else {
        hint = g_strdup_printf("'ethtool -L %s rx %" PRIu64 " tx %" PRIu64 "' "
                               "gives it that many, if it was created with "
                               "'numrxqueues %" PRIu64 " numtxqueues %" PRIu64
                               "' or more.", dev->name, need, need, need, need);
    }
    af_xdp_error_set(errp, 0, hint,
                     "'queue-start=%u,queues=%u' needs queue %" PRIu64 ", but "
                     "interface '%s' has %u %s queue%s, counted from 0",
                     first_queue, n_queues, last, dev->name, have,
                     rx ? "receive" : "transmit", have == 1 ? "" : "s");
}

bool af_xdp_device_check(const AfXdpDevice *dev, uint32_t first_queue,
                         uint32_t n_queues, GError **errp)
{
    uint64_t end = (uint64_t)first_queue + n_queues;

    /* The loopback device has Ethernet headers too. */
    if (dev->type != ARPHRD_ETHER && dev->type != ARPHRD_LOOPBACK) {
        g_autofree char *hint = g_strdup_printf(
            "A guest sends and receives Ethernet frames: 'ip link show dev %s' "
            "must say 'link/ether'. In place of a tun use a tap, or a veth.",
            dev->name);

        af_xdp_error_set(errp, 0, hint,
                         "interface '%s' is not an Ethernet device (link type "
                         "%u)", dev->name, dev->type);
        return false;
    }
    if (!dev->up) {
        g_autofree char *hint = g_strdup_printf(
            "Set it up first: 'ip link set dev %s up'.", dev->name);

        af_xdp_error_set(errp, ENETDOWN, hint, "cannot use interface '%s'",
                         dev->name);
        return false;
    }
    if (end > dev->rx_queues) {
        error_no_queue(dev, first_queue, n_queues, true, errp);
        return false;
    }
    /*
     * The kernel binds a socket to a queue that exists in one direction only
     * and then never sends. A netkit device sends on the queue behind the
     * leased one, and a NIC's driver knows best what it has.
     */
    if (end > dev->tx_queues && *dev->kind && !dev->is_netkit) {
        error_no_queue(dev, first_queue, n_queues, false, errp);
        return false;
    }
    return true;
}
