/*
 * Unit tests: what the AF_XDP core knows of network devices
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/ethtool.h>
#include <linux/if_link.h>
#include <linux/sockios.h>
#include <net/if_arp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include "af-xdp-netns.h"
#include "net/af-xdp-device.h"
#include "net/af-xdp-error.h"

static AfXdpDevice query(const char *ifname)
{
    g_autoptr(GError) err = NULL;
    AfXdpDevice dev;
    bool ok = af_xdp_device_query(ifname, &dev, &err);

    g_assert_no_error(err);
    g_assert_true(ok);
    return dev;
}

static int count_fds(void)
{
    g_autoptr(GDir) dir = g_dir_open("/proc/self/fd", 0, NULL);
    int n = 0;

    while (g_dir_read_name(dir)) {
        n++;
    }
    return n;
}

static void test_query_missing(void)
{
    g_autoptr(GError) err = NULL;
    g_autofree char *msg = NULL;
    const char *hint;
    AfXdpDevice dev;

    if (!netns_fresh()) {
        return;
    }
    g_assert_false(af_xdp_device_query("axt0", &dev, &err));
    g_assert_error(err, AF_XDP_ERROR, ENODEV);
    af_xdp_error_split(err, &msg, &hint);
    g_assert_nonnull(strstr(msg, "'axt0'"));
    g_assert_nonnull(strstr(msg, "in this network namespace"));
    g_assert_nonnull(strstr(hint, "ip -br link"));
    g_assert_nonnull(strstr(hint, "ip netns"));
}

/* A name may have an '@' in it; only if there is no such device, it is ip's. */
static void test_query_missing_peer(void)
{
    g_autoptr(GError) err = NULL;
    AfXdpDevice dev;

    if (!netns_fresh()) {
        return;
    }
    ip("link add axt0 type veth peer name axt1");
    g_assert_false(af_xdp_device_query("axt0@axt1", &dev, &err));
    g_assert_error(err, AF_XDP_ERROR, ENODEV);
    g_test_message("%s", err->message);
    g_assert_nonnull(strstr(err->message, "'axt0@axt1'"));
    g_assert_nonnull(strstr(err->message, "Write 'axt0': what follows '@'"));
}

/* One that exists, but where we came from. */
static void test_query_other_namespace(void)
{
    g_autoptr(GError) err = NULL;
    AfXdpDevice dev;

    if (!netns_fresh()) {
        return;
    }
    ip("link add axt0 type veth peer name axt1");
    query("axt0");
    g_assert_true(netns_fresh());
    g_assert_false(af_xdp_device_query("axt0", &dev, &err));
    g_assert_error(err, AF_XDP_ERROR, ENODEV);
}

static void test_query_veth(void)
{
    AfXdpDevice dev;

    if (!netns_fresh()) {
        return;
    }
    ip("link add axt0 mtu 1400 numrxqueues 4 numtxqueues 2 type veth "
       "peer name axt1 numrxqueues 2 numtxqueues 4");

    dev = query("axt0");
    g_assert_cmpstr(dev.name, ==, "axt0");
    g_assert_cmpint(dev.ifindex, ==, if_nametoindex("axt0"));
    g_assert_cmpstr(dev.kind, ==, "veth");
    g_assert_false(dev.is_netkit);
    g_assert_cmpuint(dev.mtu, ==, 1400);
    g_assert_cmpuint(dev.type, ==, ARPHRD_ETHER);
    g_assert_cmpuint(dev.rx_queues, ==, 4);
    g_assert_cmpuint(dev.tx_queues, ==, 2);
    g_assert_false(dev.up);
    g_assert_cmpuint(dev.xdp_prog_id, ==, 0);

    ip("link set axt0 up");
    dev = query("axt0");
    g_assert_true(dev.up);

    ip("link set axt1 up");
    dev = query("axt0");
    g_assert_true(dev.up);
    g_assert_cmpuint(dev.rx_queues, ==, 4);
    g_assert_cmpuint(dev.tx_queues, ==, 2);
}

/* What ethtool -L does */
static void set_channels(const char *ifname, uint32_t rx, uint32_t tx)
{
    struct ethtool_channels channels = {
        .cmd = ETHTOOL_SCHANNELS, .rx_count = rx, .tx_count = tx,
    };
    struct ifreq ifr = { .ifr_data = (void *)&channels };
    int fd = socket(AF_UNIX, SOCK_DGRAM, 0);

    g_strlcpy(ifr.ifr_name, ifname, sizeof(ifr.ifr_name));
    g_assert_cmpint(ioctl(fd, SIOCETHTOOL, &ifr), ==, 0);
    close(fd);
}

/* The number of queues in use counts, not the number allocated. */
static void test_query_channels(void)
{
    AfXdpDevice dev;

    if (!netns_fresh()) {
        return;
    }
    ip("link add axt0 numrxqueues 8 numtxqueues 8 type veth peer name axt1 "
       "numrxqueues 8 numtxqueues 8");
    set_channels("axt1", 8, 2);
    set_channels("axt0", 3, 2);

    /* While it is down another source has to tell. */
    dev = query("axt0");
    g_assert_cmpuint(dev.rx_queues, ==, 3);
    g_assert_cmpuint(dev.tx_queues, ==, 2);

    ip("link set axt0 up");
    dev = query("axt0");
    g_assert_cmpuint(dev.rx_queues, ==, 3);
    g_assert_cmpuint(dev.tx_queues, ==, 2);
}

static void test_query_loopback(void)
{
    AfXdpDevice dev;

    if (!netns_fresh()) {
        return;
    }
    dev = query("lo");
    g_assert_cmpstr(dev.kind, ==, "");
    g_assert_cmpuint(dev.rx_queues, ==, 1);
    g_assert_cmpuint(dev.tx_queues, ==, 1);
    g_assert_cmpuint(dev.type, ==, ARPHRD_LOOPBACK);
    g_assert_false(dev.up);
}

static void test_query_altname(void)
{
    AfXdpDevice dev;

    if (!netns_fresh()) {
        return;
    }
    ip("link add axt0 type veth peer name axt1");
    ip("link property add dev axt0 altname other");
    dev = query("other");
    g_assert_cmpstr(dev.name, ==, "axt0");
}

/* Only registered if the kernel can make one. */
static void test_query_netkit(void)
{
    AfXdpDevice dev;

    if (!netns_fresh()) {
        return;
    }
    ip("link add axt0 type netkit");
    dev = query("axt0");
    g_assert_cmpstr(dev.kind, ==, "netkit");
    g_assert_true(dev.is_netkit);
}

static void test_query_program(void)
{
    const struct bpf_insn pass[] = {
        { .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0,
          .imm = XDP_PASS },
        { .code = BPF_JMP | BPF_EXIT },
    };
    struct bpf_prog_info info = { 0 };
    uint32_t len = sizeof(info);
    AfXdpDevice dev;
    int fd;

    if (!netns_fresh()) {
        return;
    }
    fd = bpf_prog_load(BPF_PROG_TYPE_XDP, "axt_pass", "GPL", pass,
                       ARRAY_SIZE(pass), NULL);
    if (fd < 0) {
        g_autofree char *reason = g_strdup_printf(
            "cannot load an XDP program: %s", g_strerror(errno));

        g_test_skip(reason);
        return;
    }
    g_assert_cmpint(bpf_obj_get_info_by_fd(fd, &info, &len), ==, 0);

    ip("link add axt0 type veth peer name axt1");
    ip("link set axt0 up");
    dev = query("axt0");
    g_assert_cmpint(bpf_xdp_attach(dev.ifindex, fd, XDP_FLAGS_SKB_MODE, NULL),
                    ==, 0);
    dev = query("axt0");
    g_assert_cmpuint(dev.xdp_prog_id, ==, info.id);
    g_assert_cmpuint(dev.xdp_attached, ==, XDP_ATTACHED_SKB);

    g_assert_cmpint(bpf_xdp_detach(dev.ifindex, XDP_FLAGS_SKB_MODE, NULL),
                    ==, 0);
    dev = query("axt0");
    g_assert_cmpuint(dev.xdp_prog_id, ==, 0);
    g_assert_cmpuint(dev.xdp_attached, ==, XDP_ATTACHED_NONE);
    close(fd);
}

static void test_no_leak(void)
{
    int before = count_fds();
    AfXdpDevice dev;
    AfXdpDeviceWatch *watch;

    if (!netns_fresh()) {
        return;
    }
    ip("link add axt0 type veth peer name axt1");
    for (int i = 0; i < 10; i++) {
        query("axt0");
        watch = af_xdp_device_watch_new(query("axt0").ifindex, NULL);
        g_assert_true(fcntl(af_xdp_device_watch_fd(watch), F_GETFD) &
                      FD_CLOEXEC);
        af_xdp_device_watch_free(watch);
        g_assert_false(af_xdp_device_query("axt2", &dev, NULL));
        g_assert_null(af_xdp_device_watch_new(12345, NULL));
    }
    af_xdp_device_watch_free(NULL);
    g_assert_cmpint(count_fds(), ==, before);
}

static void check_fails(const AfXdpDevice *dev, uint32_t first, uint32_t n,
                        int code, const char *const *words)
{
    g_autoptr(GError) err = NULL;

    g_assert_false(af_xdp_device_check(dev, first, n, &err));
    g_assert_error(err, AF_XDP_ERROR, code);
    g_test_message("%s", err->message);
    for (; *words; words++) {
        if (!strstr(err->message, *words)) {
            g_error("'%s' is missing in: %s", *words, err->message);
        }
    }
    g_assert_false(af_xdp_device_check(dev, first, n, NULL));
}

#define WORDS(...) ((const char *const[]) { __VA_ARGS__, NULL })

static void test_check_down(void)
{
    if (!netns_fresh()) {
        return;
    }
    ip("link add axt0 type veth peer name axt1");
    AfXdpDevice dev = query("axt0");

    check_fails(&dev, 0, 1, ENETDOWN,
                WORDS("'axt0'", "down", "'ip link set dev axt0 up'"));
    ip("link set axt0 up");
    dev = query("axt0");
    g_assert_true(af_xdp_device_check(&dev, 0, 1, NULL));
}

/* Frames without Ethernet headers are nothing for a guest. */
static void test_check_type(void)
{
    AfXdpDevice dev = {
        .name = "tun0", .kind = "tun", .type = ARPHRD_NONE,
        .rx_queues = 1, .tx_queues = 1,
    };

    /* Not first "set it up", then this */
    check_fails(&dev, 0, 1, EINVAL,
                WORDS("'tun0'", "not an Ethernet device", "65534",
                      "'ip link show dev tun0'"));
    dev.up = true;
    check_fails(&dev, 0, 1, EINVAL, WORDS("not an Ethernet device"));
    dev.type = ARPHRD_PPP;
    check_fails(&dev, 0, 1, EINVAL, WORDS("not an Ethernet device", "512"));
    dev.type = ARPHRD_ETHER;
    g_assert_true(af_xdp_device_check(&dev, 0, 1, NULL));
    dev.type = ARPHRD_LOOPBACK;
    g_assert_true(af_xdp_device_check(&dev, 0, 1, NULL));
}

static void test_check_tun(void)
{
    AfXdpDevice dev;

    if (!netns_fresh()) {
        return;
    }
    if (!netns_try_ip("tuntap add dev axt0 mode tun")) {
        g_test_skip("cannot make a tun device, needs CONFIG_TUN and "
                    "/dev/net/tun");
        return;
    }
    ip("link set axt0 up");
    dev = query("axt0");
    g_assert_cmpuint(dev.type, ==, ARPHRD_NONE);
    check_fails(&dev, 0, 1, EINVAL, WORDS("'axt0'", "not an Ethernet device"));
}

static void test_check_queues(void)
{
    AfXdpDevice dev = {
        .name = "veth0", .kind = "veth", .type = ARPHRD_ETHER, .up = true,
        .rx_queues = 4, .tx_queues = 4,
    };

    g_assert_true(af_xdp_device_check(&dev, 0, 4, NULL));
    g_assert_true(af_xdp_device_check(&dev, 3, 1, NULL));
    check_fails(&dev, 4, 1, EINVAL,
                WORDS("'queue-start=4,queues=1'", "queue 4,", "'veth0'",
                      "4 receive queues", "'ethtool -L veth0 rx 5 tx 5'",
                      "numrxqueues 5"));
    check_fails(&dev, 2, 3, EINVAL, WORDS("'queue-start=2,queues=3'"));
    check_fails(&dev, UINT32_MAX, 2, EINVAL,
                WORDS("queue 4294967296,", "4 receive queues"));

    dev.rx_queues = 1;
    check_fails(&dev, 0, 2, EINVAL, WORDS("1 receive queue,"));
    dev.rx_queues = 4;
    dev.tx_queues = 1;
    check_fails(&dev, 0, 2, EINVAL, WORDS("1 transmit queue,"));

    /* A NIC's driver decides about sending. */
    dev.kind[0] = '\0';
    g_assert_true(af_xdp_device_check(&dev, 0, 4, NULL));
    check_fails(&dev, 0, 5, EINVAL, WORDS("'ethtool -L veth0 combined 5'"));

    /* A leased queue sends on the NIC. */
    strcpy(dev.kind, "netkit");
    dev.is_netkit = true;
    g_assert_true(af_xdp_device_check(&dev, 1, 3, NULL));
    check_fails(&dev, 4, 1, EINVAL, WORDS("leases", "qemu-af-xdp lease"));
}

int main(int argc, char **argv)
{
    netns_init();
    g_test_init(&argc, &argv, NULL);

    g_test_add_func("/af-xdp/device/query/missing", test_query_missing);
    g_test_add_func("/af-xdp/device/query/missing-peer",
                    test_query_missing_peer);
    g_test_add_func("/af-xdp/device/query/other-namespace",
                    test_query_other_namespace);
    g_test_add_func("/af-xdp/device/query/veth", test_query_veth);
    g_test_add_func("/af-xdp/device/query/channels", test_query_channels);
    g_test_add_func("/af-xdp/device/query/loopback", test_query_loopback);
    g_test_add_func("/af-xdp/device/query/altname", test_query_altname);
    g_test_add_func("/af-xdp/device/query/program", test_query_program);
    if (!netns_available() || netns_try_ip("link add axt0 type netkit")) {
        g_test_add_func("/af-xdp/device/query/netkit", test_query_netkit);
    } else {
        g_test_message("no netkit test: needs a kernel with CONFIG_NETKIT");
    }
    g_test_add_func("/af-xdp/device/no-leak", test_no_leak);
    g_test_add_func("/af-xdp/device/check/down", test_check_down);
    g_test_add_func("/af-xdp/device/check/type", test_check_type);
    g_test_add_func("/af-xdp/device/check/tun", test_check_tun);
    g_test_add_func("/af-xdp/device/check/queues", test_check_queues);
    return g_test_run();
}
