/*
 * qemu-af-xdp: network devices, over rtnetlink
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include "link.h"
#include "netlink.h"
#include "net/af-xdp-error.h"

/* Linux 5.0; older headers call it IFLA_IF_NETNSID. */
#define TARGET_NETNSID 46

/* <linux/if_link.h> of Linux 6.7 and, the pairing, 7.1 */
enum {
    NETKIT_MODE = 5,
    NETKIT_PAIRING = 10,

    NETKIT_L2 = 0,
    NETKIT_SINGLE = 1,
};

static void parse_kind(const struct nlattr *info, Link *link)
{
    const struct nlattr *attr;

    mnl_attr_for_each_nested(attr, info) {
        if (mnl_attr_get_type(attr) == IFLA_INFO_KIND) {
            g_strlcpy(link->kind, mnl_attr_get_str(attr), sizeof(link->kind));
        }
    }
}

static int link_cb(const struct nlmsghdr *nlh, void *opaque)
{
    const struct ifinfomsg *ifi = mnl_nlmsg_get_payload(nlh);
    const struct nlattr *attr;
    Link *link = opaque;

    link->ifindex = ifi->ifi_index;
    link->up = ifi->ifi_flags & IFF_UP;
    mnl_attr_for_each(attr, nlh, sizeof(*ifi)) {
        switch (mnl_attr_get_type(attr)) {
        case IFLA_IFNAME:
            g_strlcpy(link->name, mnl_attr_get_str(attr), sizeof(link->name));
            break;
        case IFLA_MTU:
            link->mtu = mnl_attr_get_u32(attr);
            break;
        case IFLA_NUM_RX_QUEUES:
            link->rx_queues = mnl_attr_get_u32(attr);
            break;
        case IFLA_ADDRESS:
            if (mnl_attr_get_payload_len(attr) == MAC_LEN) {
                memcpy(link->mac, mnl_attr_get_payload(attr), MAC_LEN);
            }
            break;
        case IFLA_LINKINFO:
            parse_kind(attr, link);
            break;
        }
    }
    return MNL_CB_OK;
}

static struct nlmsghdr *put_link(char *buf, uint16_t type, uint16_t flags,
                                 struct ifinfomsg **ifi)
{
    struct nlmsghdr *nlh = netlink_begin(buf);

    nlh->nlmsg_type = type;
    nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | flags;
    *ifi = mnl_nlmsg_put_extra_header(nlh, sizeof(**ifi));
    (*ifi)->ifi_family = AF_UNSPEC;
    return nlh;
}

int link_get(const char *name, int ifindex, int32_t nsid, Link *link)
{
    char buf[NETLINK_REQUEST_SIZE] QEMU_ALIGNED(8);
    struct ifinfomsg *ifi;
    struct nlmsghdr *nlh = put_link(buf, RTM_GETLINK, 0, &ifi);
    int ret;

    if (name) {
        mnl_attr_put_strz_check(nlh, sizeof(buf), IFLA_IFNAME, name);
    } else {
        ifi->ifi_index = ifindex;
    }
    if (nsid != LINK_HERE) {
        mnl_attr_put_u32(nlh, TARGET_NETNSID, nsid);
    }
    memset(link, 0, sizeof(*link));
    ret = netlink_once(NETLINK_ROUTE, nlh, link_cb, link, NULL);
    return ret ?: link->ifindex ? 0 : -EPROTO;
}

bool link_query(const char *ifname, AfXdpDevice *dev, GError **errp)
{
    GError *err = NULL;
    g_autofree char *hint = NULL;

    if (af_xdp_device_query(ifname, dev, &err)) {
        return true;
    }
    if (!g_error_matches(err, AF_XDP_ERROR, ENODEV)) {
        g_propagate_error(errp, err);
        return false;
    }
    g_error_free(err);
    hint = af_xdp_error_name_hint(ifname, "'ip -br link' lists the devices of "
                                  "this network namespace. Run this in the "
                                  "NIC's: 'nsenter --net=/run/netns/NAME "
                                  "qemu-af-xdp ...'.");
    af_xdp_error_set(errp, ENODEV, hint,
                     "cannot find '%s' in this network namespace", ifname);
    return false;
}

struct nlmsghdr *link_put_netkit(char *buf, const LinkNetkit *netkit)
{
    struct ifinfomsg *ifi;
    struct nlmsghdr *nlh = put_link(buf, RTM_NEWLINK,
                                    NLM_F_CREATE | NLM_F_EXCL, &ifi);
    struct nlattr *info, *data;

    mnl_attr_put_strz(nlh, IFLA_IFNAME, netkit->name);
    mnl_attr_put_u32(nlh, IFLA_NUM_RX_QUEUES, netkit->rx_queues);
    mnl_attr_put_u32(nlh, IFLA_MTU, netkit->mtu);
    if (netkit->mac) {
        mnl_attr_put(nlh, IFLA_ADDRESS, MAC_LEN, netkit->mac);
    }
    info = mnl_attr_nest_start(nlh, IFLA_LINKINFO);
    mnl_attr_put_strz(nlh, IFLA_INFO_KIND, "netkit");
    data = mnl_attr_nest_start(nlh, IFLA_INFO_DATA);
    mnl_attr_put_u32(nlh, NETKIT_MODE, NETKIT_L2);
    mnl_attr_put_u32(nlh, NETKIT_PAIRING, NETKIT_SINGLE);
    mnl_attr_nest_end(nlh, data);
    mnl_attr_nest_end(nlh, info);
    return nlh;
}

int link_create_netkit(const LinkNetkit *netkit, char **words)
{
    char buf[NETLINK_REQUEST_SIZE] QEMU_ALIGNED(8);

    return netlink_once(NETLINK_ROUTE, link_put_netkit(buf, netkit), NULL,
                        NULL, words);
}

int link_place(int ifindex, const char *name, int netns_fd, bool up,
               char **words)
{
    char buf[NETLINK_REQUEST_SIZE] QEMU_ALIGNED(8);
    struct ifinfomsg *ifi;
    struct nlmsghdr *nlh = put_link(buf, RTM_NEWLINK, 0, &ifi);

    ifi->ifi_index = ifindex;
    if (up) {
        ifi->ifi_flags = IFF_UP;
        ifi->ifi_change = IFF_UP;
    }
    mnl_attr_put_strz(nlh, IFLA_IFNAME, name);
    if (netns_fd >= 0) {
        mnl_attr_put_u32(nlh, IFLA_NET_NS_FD, netns_fd);
    }
    return netlink_once(NETLINK_ROUTE, nlh, NULL, NULL, words);
}

int link_delete(int ifindex, int32_t nsid, char **words)
{
    char buf[NETLINK_REQUEST_SIZE] QEMU_ALIGNED(8);
    struct ifinfomsg *ifi;
    struct nlmsghdr *nlh = put_link(buf, RTM_DELLINK, 0, &ifi);

    ifi->ifi_index = ifindex;
    if (nsid != LINK_HERE) {
        mnl_attr_put_u32(nlh, TARGET_NETNSID, nsid);
    }
    return netlink_once(NETLINK_ROUTE, nlh, NULL, NULL, words);
}

static struct nlmsghdr *put_neighbour(char *buf, uint16_t type,
                                      uint16_t flags, int ifindex)
{
    struct nlmsghdr *nlh = netlink_begin(buf);
    struct ndmsg *ndm;

    nlh->nlmsg_type = type;
    nlh->nlmsg_flags = NLM_F_REQUEST | flags;
    ndm = mnl_nlmsg_put_extra_header(nlh, sizeof(*ndm));
    ndm->ndm_family = PF_BRIDGE;
    ndm->ndm_ifindex = ifindex;
    ndm->ndm_flags = NTF_SELF;
    ndm->ndm_state = NUD_PERMANENT;
    return nlh;
}

int link_address(int ifindex, const uint8_t mac[MAC_LEN], bool add,
                 char **words)
{
    char buf[NETLINK_REQUEST_SIZE] QEMU_ALIGNED(8);
    struct nlmsghdr *nlh;

    nlh = put_neighbour(buf, add ? RTM_NEWNEIGH : RTM_DELNEIGH,
                        NLM_F_ACK | (add ? NLM_F_CREATE | NLM_F_EXCL : 0),
                        ifindex);
    mnl_attr_put(nlh, NDA_LLADDR, MAC_LEN, mac);
    return netlink_once(NETLINK_ROUTE, nlh, NULL, NULL, words);
}

typedef struct AddressSearch {
    int ifindex;
    const uint8_t *mac;
    bool found;
} AddressSearch;

static int neighbour_cb(const struct nlmsghdr *nlh, void *opaque)
{
    const struct ndmsg *ndm = mnl_nlmsg_get_payload(nlh);
    AddressSearch *search = opaque;
    const struct nlattr *attr;

    if (ndm->ndm_ifindex != search->ifindex || !(ndm->ndm_flags & NTF_SELF)) {
        return MNL_CB_OK;
    }
    mnl_attr_for_each(attr, nlh, sizeof(*ndm)) {
        if (mnl_attr_get_type(attr) == NDA_LLADDR &&
            mnl_attr_get_payload_len(attr) == MAC_LEN &&
            !memcmp(mnl_attr_get_payload(attr), search->mac, MAC_LEN)) {
            search->found = true;
        }
    }
    return MNL_CB_OK;
}

int link_has_address(int ifindex, const uint8_t mac[MAC_LEN])
{
    char buf[NETLINK_REQUEST_SIZE] QEMU_ALIGNED(8);
    AddressSearch search = { .ifindex = ifindex, .mac = mac };
    struct nlmsghdr *nlh = put_neighbour(buf, RTM_GETNEIGH, NLM_F_DUMP,
                                         ifindex);
    int ret = netlink_once(NETLINK_ROUTE, nlh, neighbour_cb, &search, NULL);

    return ret ?: search.found;
}
