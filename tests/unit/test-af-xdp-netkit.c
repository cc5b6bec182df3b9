/*
 * Unit tests: netkit devices, and what their queues need
 *
 * The kernel's messages are made here: a queue can be leased only in a kernel
 * and from a NIC that few have.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if_arp.h>
#include "net/af-xdp-device-int.h"
#include "net/af-xdp-error.h"
#include "net/af-xdp-netkit.h"
#include "net/af-xdp-uapi.h"

/* In which order a link's kind and its data are told. */
typedef enum Order {
    KIND_ONLY,
    KIND_FIRST,
    DATA_FIRST,
} Order;

static void put_data(struct nlmsghdr *nlh, uint16_t type)
{
    struct nlattr *data = mnl_attr_nest_start(nlh, IFLA_INFO_DATA);

    mnl_attr_put_u32(nlh, 2, 0);
    mnl_attr_put_u32(nlh, type, 1);
    mnl_attr_nest_end(nlh, data);
}

/* A link of @kind whose data has an attribute @type. */
static AfXdpDevice parse(const char *kind, uint16_t type, Order order)
{
    char buf[1024] QEMU_ALIGNED(8);
    struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
    struct ifinfomsg *ifi;
    struct nlattr *info;
    AfXdpDevice dev = { 0 };

    nlh->nlmsg_type = RTM_NEWLINK;
    ifi = mnl_nlmsg_put_extra_header(nlh, sizeof(*ifi));
    ifi->ifi_index = 7;
    ifi->ifi_type = ARPHRD_ETHER;
    info = mnl_attr_nest_start(nlh, IFLA_LINKINFO);
    if (order == DATA_FIRST) {
        put_data(nlh, type);
    }
    mnl_attr_put_strz(nlh, IFLA_INFO_KIND, kind);
    if (order == KIND_FIRST) {
        put_data(nlh, type);
    }
    mnl_attr_nest_end(nlh, info);
    device_parse_link(nlh, &dev);
    return dev;
}

static void test_parse(void)
{
    const uint16_t pairing = AF_XDP_IFLA_NETKIT_PAIRING;
    AfXdpDevice dev = parse("netkit", pairing, KIND_FIRST);

    g_assert_true(dev.is_netkit);
    g_assert_false(af_xdp_device_is_leased(&dev, 0));
    g_assert_true(af_xdp_device_is_leased(&dev, 1));
    g_assert_true(af_xdp_device_is_leased(&dev, 15));
    dev = parse("netkit", pairing, DATA_FIRST);
    g_assert_true(af_xdp_device_is_leased(&dev, 1));

    /* A kernel that knows no leases. */
    dev = parse("netkit", 3, KIND_FIRST);
    g_assert_true(dev.is_netkit);
    g_assert_false(af_xdp_device_is_leased(&dev, 1));
    dev = parse("netkit", 0, KIND_ONLY);
    g_assert_false(af_xdp_device_is_leased(&dev, 1));

    /* The same number means something else. */
    dev = parse("vlan", pairing, KIND_FIRST);
    g_assert_false(dev.is_netkit);
    g_assert_false(af_xdp_device_is_leased(&dev, 1));
}

static const AfXdpDevice nk0 = {
    .name = "nk0", .kind = "netkit", .is_netkit = true, .has_leases = true,
    .mtu = 1500, .rx_queues = 4, .tx_queues = 1,
};

static void good(const AfXdpDevice *dev, const AfXdpOptions *opts)
{
    g_autoptr(GError) err = NULL;
    bool ok = af_xdp_netkit_check(dev, opts, &err);

    g_assert_no_error(err);
    g_assert_true(ok);
}

static void bad(const AfXdpDevice *dev, const AfXdpOptions *opts, int code,
                const char *const *words)
{
    g_autoptr(GError) err = NULL;

    g_assert_false(af_xdp_netkit_check(dev, opts, &err));
    g_assert_error(err, AF_XDP_ERROR, code);
    g_test_message("%s", err->message);
    for (; *words; words++) {
        if (!strstr(err->message, *words)) {
            g_error("'%s' is missing in: %s", *words, err->message);
        }
    }
    g_assert_false(af_xdp_netkit_check(dev, opts, NULL));
}

#define WORDS(...) ((const char *const[]) { __VA_ARGS__, NULL })
#define OPTS(...) (&(AfXdpOptions) { .queues = 1, __VA_ARGS__ })

static void test_leased(void)
{
    char path[] = "/sys/fs/bpf/m";
    AfXdpDevice dev = nk0;

    good(&dev, OPTS(.queue_start = 1, .inhibit = true, .map_path = path));
    good(&dev, OPTS(.queue_start = 1, .queues = 3, .inhibit = true,
                    .map_path = path));
    bad(&dev, OPTS(.queue_start = 2, .queues = 2), EINVAL,
        WORDS("queue 2 of netkit device 'nk0' is leased from a NIC",
              "'qemu-af-xdp attach NIC --vm NAME --queues N'",
              "inhibit=on,map-path=", "map-start-index=", "sock-fds="));
    bad(&dev, OPTS(.queue_start = 1, .inhibit = true, .map_path = path,
                   .force_copy = true), EINVAL,
        WORDS("'force-copy=on'", "'nk0'", "nothing is ever sent",
              "Leave it out"));

    dev.mtu = 3814;
    good(&dev, OPTS(.queue_start = 1, .inhibit = true, .map_path = path));
    dev.mtu = 3815;
    bad(&dev, OPTS(.queue_start = 1, .inhibit = true, .map_path = path),
        EMSGSIZE, WORDS("MTU 3815", "'nk0'",
                        "'ip link set dev nk0 mtu 3814'"));
}

static void test_mixed(void)
{
    bad(&nk0, OPTS(.queues = 2), EINVAL,
        WORDS("'queue-start=0,queues=2'", "queue 0", "'nk0'",
              "'queue-start=1,queues=1'"));
    bad(&nk0, OPTS(.queues = 4, .inhibit = true), EINVAL,
        WORDS("'queue-start=1,queues=3'"));
}

static void test_own(void)
{
    AfXdpDevice dev = nk0;

    good(&dev, OPTS(.mode = AF_XDP_MODE_AUTO));
    good(&dev, OPTS(.mode = AF_XDP_MODE_SKB, .force_copy = true));
    good(&dev, OPTS(.inhibit = true));
    /* With a program of somebody else it has no meaning. */
    good(&dev, OPTS(.inhibit = true, .mode = AF_XDP_MODE_NATIVE));
    bad(&dev, OPTS(.mode = AF_XDP_MODE_NATIVE), EINVAL,
        WORDS("'mode=native'", "'nk0'", "'mode=skb'"));

    /* Before there were leases, a pair had as many queues as it was given. */
    dev.has_leases = false;
    good(&dev, OPTS(.queues = 4));
    good(&dev, OPTS(.queue_start = 1));
    dev.mtu = 9000;
    good(&dev, OPTS(.queue_start = 1));
}

static void test_others(void)
{
    const AfXdpDevice veth = { .name = "veth0", .kind = "veth", .mtu = 9000 };

    good(&veth, OPTS(.queues = 4, .mode = AF_XDP_MODE_NATIVE));
    good(&veth, OPTS(.queue_start = 1, .force_copy = true));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/af-xdp/netkit/parse", test_parse);
    g_test_add_func("/af-xdp/netkit/leased", test_leased);
    g_test_add_func("/af-xdp/netkit/mixed", test_mixed);
    g_test_add_func("/af-xdp/netkit/own-queue", test_own);
    g_test_add_func("/af-xdp/netkit/others", test_others);
    return g_test_run();
}
