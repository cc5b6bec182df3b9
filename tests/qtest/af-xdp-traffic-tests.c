/*
 * af-xdp qtest: packets over one queue
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <poll.h>
#include "af-xdp-net.h"

#define BURST 5000

/*
 * More than the guest's ring and the 256 entries of veth's, so most wait in
 * the netdev's own; less than those hold.
 */
#define HELD 1000

#define JUMBO_MTU 9000
#define JUMBO_LEN (JUMBO_MTU + 14)

static void test_sizes(const void *data)
{
    AxtNet net;

    axt_net_start(&net, GPOINTER_TO_INT(data), 1, 1500, "%s", "");
    axt_to_wire(&net, 0, AXT_LEN_MAX - AXT_LEN_MIN + 1, axt_len_sweep);
    axt_to_guest(&net, AXT_LEN_MAX - AXT_LEN_MIN + 1, AXT_WINDOW,
                 axt_len_sweep);
    axt_net_stop(&net);
}

static void test_burst(const void *data)
{
    AxtNet net;

    axt_net_start(&net, GPOINTER_TO_INT(data), 1, 1500, "%s", "");
    axt_to_wire(&net, 0, BURST, axt_len_small);
    axt_to_wire(&net, 0, BURST, axt_len_sweep);
    axt_to_guest(&net, BURST, AXT_WINDOW, axt_len_small);
    axt_to_guest(&net, BURST, AXT_WINDOW, axt_len_sweep);
    axt_net_stop(&net);
}

/* The guest looks away: what it has no buffers for waits in the netdev. */
static void test_held(const void *data)
{
    g_autofree uint8_t *buf = g_malloc(AXT_FRAME_MAX);
    AxtNet net;
    uint32_t i;

    axt_net_start(&net, GPOINTER_TO_INT(data), 1, 1500, "%s", "");
    for (i = 0; i < HELD; i++) {
        axt_frame_fill(buf, axt_len_sweep(i), i, 0);
        axt_wire_send(net.wire, buf, axt_len_sweep(i));
        if (i % 64 == 63) {
            g_usleep(500);              /* for veth's NAPI */
        }
    }
    axt_wire_assert_no_drops(net.wire);
    for (i = 0; i < HELD; i++) {
        ssize_t len = axt_nic_recv(net.nic, 0, buf, AXT_FRAME_MAX, 2000);

        g_assert_cmpint(len, >=, 0);
        g_assert_cmpuint(axt_frame_check(buf, len, NULL), ==, i);
    }
    g_assert_cmpint(axt_nic_recv(net.nic, 0, buf, AXT_FRAME_MAX, 20), ==, -1);
    axt_to_guest(&net, 100, AXT_WINDOW, axt_len_sweep);
    axt_net_stop(&net);
}

/* One frame, cut at @segs; it must arrive in one piece. */
static void send_cut(AxtNet *net, uint32_t seq, size_t len,
                     const size_t *segs, unsigned n_segs, bool indirect)
{
    g_autofree uint8_t *buf = g_malloc(AXT_FRAME_MAX);
    ssize_t got;

    axt_frame_fill(buf, len, seq, 0);
    if (!axt_nic_tx(net->nic, 0, buf, segs, n_segs, indirect)) {
        axt_nic_tx_wait(net->nic, 0);
        g_assert_true(axt_nic_tx(net->nic, 0, buf, segs, n_segs, indirect));
    }
    axt_nic_tx_kick(net->nic, 0);
    got = axt_wire_recv(net->wire, 0, buf, AXT_FRAME_MAX, 2000);
    g_assert_cmpint(got, ==, len);
    g_assert_cmpuint(axt_frame_check(buf, got, NULL), ==, seq);
}

/* Pieces of @piece bytes after a first one of @first (0: none). */
static unsigned cut(size_t *segs, size_t len, size_t first, size_t piece)
{
    unsigned n = 0;

    if (first) {
        segs[n++] = first;
        len -= first;
    }
    while (len) {
        segs[n] = MIN(piece, len);
        len -= segs[n++];
    }
    return n;
}

static void sg_tests(AxtNet *net, size_t max_len, unsigned max_segs,
                     bool indirect)
{
    static const size_t pieces[] = { 1, 2, 3, 7, 13, 31, 64, 89, 512, 4096 };
    static const size_t lens[] = { 60, 61, 97, 128, 590, 1023, 1513, 1514,
                                   4096, 4097, 9013, JUMBO_LEN };
    g_autofree size_t *segs = g_new(size_t, AXT_FRAME_MAX);
    uint32_t seq = 0;
    unsigned i, j, n, sent = 0;

    for (i = 0; i < ARRAY_SIZE(lens); i++) {
        if (lens[i] > max_len) {
            continue;
        }
        for (j = 0; j < ARRAY_SIZE(pieces); j++) {
            n = cut(segs, lens[i], 0, pieces[j]);
            if (n <= max_segs) {
                send_cut(net, seq++, lens[i], segs, n, indirect);
                sent++;
            }
            /* Headers apart from the data: Ethernet, and up to UDP. */
            n = cut(segs, lens[i], 14, pieces[j]);
            if (n <= max_segs) {
                send_cut(net, seq++, lens[i], segs, n, indirect);
            }
            n = cut(segs, lens[i], 42, lens[i]);
            send_cut(net, seq++, lens[i], segs, n, indirect);
        }
        /* All in the first, one byte in the last. */
        n = cut(segs, lens[i], lens[i] - 1, 1);
        send_cut(net, seq++, lens[i], segs, n, indirect);
    }
    /* The loops above must not have skipped everything. */
    g_assert_cmpuint(sent, >, 20);
    axt_wire_assert_no_drops(net->wire);
    axt_nic_tx_wait(net->nic, 0);
}

static void test_sg(const void *data)
{
    AxtModel model = GPOINTER_TO_INT(data);
    AxtNet net;

    axt_net_start(&net, model, 1, JUMBO_MTU, "%s", "");
    if (model == AXT_VIRTIO) {
        sg_tests(&net, JUMBO_LEN, 250, false);
        sg_tests(&net, JUMBO_LEN, 1000, true);
    } else {
        /* The device model sends no more, see E1000E_MAX_TX_FRAGS. */
        sg_tests(&net, JUMBO_LEN, 60, false);
    }
    axt_net_stop(&net);
}

static size_t jumbo_len(uint32_t seq)
{
    static const size_t lens[] = {
        JUMBO_LEN, 60, JUMBO_LEN - 1, 1514, 3839, 3840, 3841, 4095, 4096,
        4097, 7935, 7936, 7937, 8191, 8192, 8193,
    };

    return lens[seq % ARRAY_SIZE(lens)];
}

static void test_jumbo(const void *data)
{
    AxtNet net;

    axt_net_start(&net, GPOINTER_TO_INT(data), 1, JUMBO_MTU, "%s", "");
    axt_to_wire(&net, 0, 1000, jumbo_len);
    axt_to_guest(&net, 1000, 32, jumbo_len);
    axt_net_stop(&net);
}

static size_t huge_len(uint32_t seq)
{
    return 60000 + seq % 14;
}

/*
 * The longest that fits 16 frames of the UMEM: a guest's ring full of them
 * is more than the netdev's rings hold, so it must make the guest wait.
 */
static void test_huge(void)
{
    AxtNet net;

    axt_net_start(&net, AXT_VIRTIO, 1, 60000, "%s", "");
    axt_to_wire(&net, 0, 1000, huge_len);
    axt_to_guest(&net, 200, 4, huge_len);
    axt_net_stop(&net);
}

/* A packet of three pieces that nobody can carry: what becomes of it? */
static void send_oversize(AxtNet *net, size_t len)
{
    g_autofree uint8_t *buf = g_malloc(AXT_FRAME_MAX);
    size_t segs[3] = { 20000, 20001, len - 40001 };

    axt_frame_fill(buf, len, 0, 0);
    g_assert_true(axt_nic_tx(net->nic, 0, buf, segs, 3, false));
    axt_nic_tx_kick(net->nic, 0);
    axt_nic_tx_wait(net->nic, 0);
    g_assert_cmpint(axt_wire_recv(net->wire, 0, buf, AXT_FRAME_MAX, 50), ==,
                    -1);
}

/*
 * The guest has the descriptors of a packet back that is longer than the MTU,
 * the wire sees nothing of it, and it does not stand in the way of others. It
 * is counted where it ends: in the kernel, or in the netdev if the socket
 * takes one frame per packet (before Linux 6.6).
 */
static void test_oversize(void)
{
    unsigned all;
    AxtNet net;

    axt_net_start(&net, AXT_VIRTIO, 1, 1500, "%s", "");
    axt_to_wire(&net, 0, 10, axt_len_small);
    g_assert_cmpuint(axt_counter(net.vm, "tx"), ==, 10);

    send_oversize(&net, 65001);
    g_assert_cmpuint(axt_counter(net.vm, "tx-oversize") +
                     axt_counter(net.vm, "tx-refused"), ==, 1);

    /*
     * QEMU's net layer drops all above NET_BUFSIZE (68 KiB) itself, the
     * netdev sees it only on the way past that.
     */
    all = axt_vhost() ? 2 : 1;
    send_oversize(&net, 80 * KiB);
    g_assert_cmpuint(axt_counter(net.vm, "tx-oversize") +
                     axt_counter(net.vm, "tx-refused"), ==, all);

    axt_to_wire(&net, 0, 1000, axt_len_sweep);
    axt_to_guest(&net, 100, AXT_WINDOW, axt_len_sweep);
    g_assert_cmpuint(axt_counter(net.vm, "tx-oversize") +
                     axt_counter(net.vm, "tx-refused"), ==, all);
    axt_net_stop(&net);
}

/* Shorter than an Ethernet header: counted apart, never on the wire. */
static void test_runt(void)
{
    uint8_t buf[AXT_LEN_MIN];
    struct pollfd pfd;
    int sniffer;
    size_t len;
    AxtNet net;

    axt_net_start(&net, AXT_VIRTIO, 1, 1500, "%s", "");
    sniffer = axt_wire_sniff(AXT_PEER);
    axt_frame_fill(buf, sizeof(buf), 0, 0);
    for (len = 1; len < 14; len++) {
        axt_nic_send(net.nic, 0, buf, len);
        axt_nic_tx_wait(net.nic, 0);
    }
    /* Not one of ours, so look for anything at all. */
    pfd = (struct pollfd) { .fd = sniffer, .events = POLLIN };
    g_assert_cmpint(poll(&pfd, 1, 50), ==, 0);
    close(sniffer);
    g_assert_cmpuint(axt_counter(net.vm, "tx-runt"), ==, 13);
    g_assert_cmpuint(axt_counter(net.vm, "tx"), ==, 0);

    axt_to_wire(&net, 0, 100, axt_len_sweep);
    g_assert_cmpuint(axt_counter(net.vm, "tx-runt"), ==, 13);
    axt_net_stop(&net);
}

/* Without -netdev: a hub connects them, in either order, or -nic does. */
static void test_without_netdev(const void *args)
{
    g_autofree char *info = NULL;
    AxtNet net;

    net.wire = axt_wire_new(1, 1500);
    net.vm = axt_vm_new("-global virtio-net-pci.romfile= %s",
                        (const char *)args);
    net.nic = axt_virtio_new(net.vm, 1);
    axt_to_wire(&net, 0, 300, axt_len_sweep);
    axt_to_guest(&net, 300, 64, axt_len_sweep);
    info = qtest_hmp(net.vm->qts, "info network");
    g_assert_nonnull(strstr(info, "ifname=" AXT_DEV));
    /* By default vhost is used where it can be. */
    g_assert_nonnull(strstr(info, g_str_has_prefix(args, "-nic") ?
                                  ",vhost=on" : ",vhost=off (the netdev is "
                                  "behind a hub)"));
    g_assert_cmpuint(axt_counter(net.vm, "tx"), ==, 300);
    g_assert_cmpuint(axt_counter(net.vm, "rx"), ==, 300);

    /* The link of whatever there is follows the interface's. */
    axt_ip("link set dev " AXT_DEV " down");
    axt_ip("link set dev " AXT_DEV " up");
    g_usleep(G_USEC_PER_SEC / 10);
    axt_to_wire(&net, 0, 300, axt_len_sweep);
    axt_to_guest(&net, 300, 64, axt_len_sweep);
    axt_net_stop(&net);
}

static void test_skb_mode(void)
{
    AxtNet net;
    g_autofree char *info = NULL;

    axt_net_start(&net, AXT_VIRTIO, 1, 1500, ",mode=skb");
    info = qtest_hmp(net.vm->qts, "info network");
    g_assert_nonnull(strstr(info, "mode=skb"));
    axt_to_wire(&net, 0, BURST / 10, axt_len_sweep);
    axt_to_guest(&net, BURST / 10, AXT_WINDOW, axt_len_sweep);
    axt_net_stop(&net);
}

/* What "info network" says agrees with what happened. */
static void test_info(void)
{
    g_autofree char *info = NULL;
    AxtNet net;

    axt_net_start(&net, AXT_VIRTIO, 1, 1500, ",force-copy=on");
    axt_to_wire(&net, 0, 321, axt_len_small);
    axt_to_guest(&net, 123, AXT_WINDOW, axt_len_small);
    g_assert_cmpuint(axt_counter(net.vm, "tx"), ==, 321);
    g_assert_cmpuint(axt_counter(net.vm, "rx"), ==, 123);
    g_assert_cmpuint(axt_counter(net.vm, "redirected"), ==, 123);
    info = qtest_hmp(net.vm->qts, "info network");
    g_assert_nonnull(strstr(info, "ifname=" AXT_DEV));
    g_assert_nonnull(strstr(info, "queue=0"));
    g_assert_nonnull(strstr(info, "native"));
    g_assert_nonnull(strstr(info, "multi-buffer="));
    g_assert_nonnull(strstr(info, "program=own link"));
    g_assert_nonnull(strstr(info, axt_vhost() ? ",vhost=on" : ",vhost=off"));
    axt_net_stop(&net);
}

static void add_for_models(const char *name, GTestDataFunc func)
{
    g_autofree char *virtio = g_strdup_printf("virtio/%s", name);
    g_autofree char *e1000e = g_strdup_printf("af-xdp/e1000e/%s", name);

    axt_add_data(virtio, GINT_TO_POINTER(AXT_VIRTIO), func);
    qtest_add_data_func(e1000e, GINT_TO_POINTER(AXT_E1000E), func);
}

void axt_add_traffic_tests(void)
{
    add_for_models("sizes", test_sizes);
    add_for_models("burst", test_burst);
    add_for_models("held", test_held);
    add_for_models("scatter-gather", test_sg);
    add_for_models("jumbo", test_jumbo);
    axt_add("virtio/huge", test_huge);
    axt_add("virtio/oversize", test_oversize);
    axt_add("virtio/runt", test_runt);
    axt_add("virtio/skb-mode", test_skb_mode);
    axt_add("virtio/info", test_info);
    qtest_add_data_func("af-xdp/virtio/net-nic-last",
                        "-net af-xdp,ifname=" AXT_DEV
                        " -net nic,model=virtio-net-pci", test_without_netdev);
    qtest_add_data_func("af-xdp/virtio/net-nic-first",
                        "-net nic,model=virtio-net-pci"
                        " -net af-xdp,ifname=" AXT_DEV, test_without_netdev);
    qtest_add_data_func("af-xdp/virtio/nic",
                        "-nic af-xdp,ifname=" AXT_DEV ",model=virtio-net-pci",
                        test_without_netdev);
}
