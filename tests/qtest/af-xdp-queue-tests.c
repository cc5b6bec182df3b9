/*
 * af-xdp qtest: several queues, which frames the netdev takes, and by whose
 * program
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <linux/bpf.h>
#include "af-xdp-foreign.h"
#include "af-xdp-net.h"

#define QUEUES 4

/*
 * Flows that the wire sends. It is the kernel's hash that spreads them over
 * the queues, with a secret key: with 256 of them the chance that one of four
 * queues gets none is below 1e-31.
 */
#define FLOWS 256

#define ROUNDS 8

/*
 * Send ROUNDS frames of each flow, and take them from all queues that the
 * guest drives. All must come, each once, those of one flow in order and
 * always through the same queue. @per_queue counts what each queue got.
 */
static void flows_to_guest(AxtNet *net, unsigned *per_queue)
{
    g_autofree uint8_t *buf = g_malloc(AXT_FRAME_MAX);
    g_autofree unsigned *next = g_new0(unsigned, FLOWS);
    g_autofree int *home = g_new(int, FLOWS);
    unsigned i, q, sent = 0, got = 0;
    gint64 end = g_get_monotonic_time() + 2 * AXT_TIMEOUT_US;

    memset(home, -1, FLOWS * sizeof(*home));
    while (got < FLOWS * ROUNDS) {
        for (i = 0; i < 16 && sent < FLOWS * ROUNDS &&
                    sent - got < AXT_WINDOW; i++) {
            /* The number is the round, so each flow counts for itself. */
            axt_frame_fill(buf, 60 + sent % 1400, sent / FLOWS,
                           sent % FLOWS);
            axt_wire_send(net->wire, buf, 60 + sent % 1400);
            sent++;
        }
        for (q = 0; q < net->nic->queues; q++) {
            bool reuse = false;
            ssize_t len;

            while ((len = axt_nic_rx(net->nic, q, buf, AXT_FRAME_MAX)) >= 0) {
                unsigned flow, seq;

                reuse = true;
                if (!axt_frame_is_ours(buf, len)) {
                    continue;
                }
                seq = axt_frame_check(buf, len, &flow);
                g_assert_cmpuint(flow, <, FLOWS);
                g_assert_cmpuint(seq, ==, next[flow]);
                if (home[flow] < 0) {
                    home[flow] = q;
                }
                g_assert_cmpint(home[flow], ==, q);
                next[flow]++;
                per_queue[q]++;
                got++;
            }
            if (reuse) {
                axt_nic_rx_kick(net->nic, q);
            }
        }
        if (g_get_monotonic_time() > end) {
            g_autofree char *info = qtest_hmp(net->vm->qts, "info network");

            axt_wire_assert_no_drops(net->wire);
            g_error("%u of %u frames arrived (%u %u %u %u)\n%s", got, sent,
                    per_queue[0], per_queue[1], per_queue[2], per_queue[3],
                    info);
        }
    }
    for (q = 0; q < net->nic->queues; q++) {
        g_assert_cmpint(axt_nic_recv(net->nic, q, buf, AXT_FRAME_MAX, 5), ==,
                        -1);
    }
    axt_wire_assert_no_drops(net->wire);
}

static void test_mq(void)
{
    unsigned per_queue[QUEUES] = { 0 };
    AxtNet net;
    unsigned q;

    axt_net_start(&net, AXT_VIRTIO, QUEUES, 1500, "%s", "");
    flows_to_guest(&net, per_queue);
    for (q = 0; q < QUEUES; q++) {
        g_assert_cmpuint(per_queue[q], >=, ROUNDS);
    }
    /* The wire's socket q hears only what left by the device's queue q. */
    for (q = 0; q < QUEUES; q++) {
        axt_to_wire(&net, q, 500, axt_len_sweep);
    }
    g_assert_cmpuint(axt_counter(net.vm, "rx"), ==, FLOWS * ROUNDS);
    g_assert_cmpuint(axt_counter(net.vm, "tx"), ==, QUEUES * 500);
    axt_net_stop(&net);
}

/* All queues send at once; none may starve or lose. */
static void test_mq_together(void)
{
    g_autofree uint8_t *buf = g_malloc(AXT_FRAME_MAX);
    unsigned sent[QUEUES] = { 0 }, got[QUEUES] = { 0 };
    unsigned q, done = 0, total = 1500;
    gint64 end = g_get_monotonic_time() + 2 * AXT_TIMEOUT_US;
    AxtNet net;

    axt_net_start(&net, AXT_VIRTIO, QUEUES, 1500, "%s", "");
    while (done < QUEUES) {
        for (q = 0, done = 0; q < QUEUES; q++) {
            ssize_t len;
            size_t size = 64;

            while (sent[q] < total) {
                axt_frame_fill(buf, size, sent[q], q);
                if (!axt_nic_tx(net.nic, q, buf, &size, 1, false)) {
                    break;
                }
                sent[q]++;
            }
            axt_nic_tx_kick(net.nic, q);
            while ((len = axt_wire_recv(net.wire, q, buf, AXT_FRAME_MAX,
                                        0)) >= 0) {
                unsigned flow;

                g_assert_cmpuint(axt_frame_check(buf, len, &flow), ==,
                                 got[q]);
                g_assert_cmpuint(flow, ==, q);
                got[q]++;
            }
            done += got[q] == total;
        }
        g_assert_cmpint(g_get_monotonic_time(), <, end);
    }
    axt_wire_assert_no_drops(net.wire);
    axt_net_stop(&net);
}

/*
 * A netdev with four queues, a guest that drives one: what arrives on the
 * others reaches it all the same.
 */
static void mq_single(const char *nic_options)
{
    unsigned per_queue[QUEUES] = { 0 };
    AxtNet net;

    net.wire = axt_wire_new(QUEUES, 1500);
    net.vm = axt_vm_new("-netdev af-xdp,id=n0,ifname=" AXT_DEV ",queues=4%s "
                        "-device virtio-net-pci," AXT_NIC_ARGS ",id=nic%s",
                        axt_path(), nic_options);
    net.nic = axt_virtio_new(net.vm, 1);
    flows_to_guest(&net, per_queue);
    g_assert_cmpuint(per_queue[0], ==, FLOWS * ROUNDS);
    axt_to_wire(&net, 0, 500, axt_len_sweep);
    axt_net_stop(&net);
}

/* The device offers multi-queue, the guest does not take it. */
static void test_mq_refused(void)
{
    mq_single(",mq=on,vectors=10");
}

/* The device has one queue. */
static void test_mq_off(void)
{
    mq_single(",mq=off");
}

/* Queues 1 and 2 of four; the other two stay with the host. */
static void test_queue_start(const void *option)
{
    g_autofree uint8_t *buf = g_malloc(AXT_FRAME_MAX);
    unsigned seen = 0, host_seen = 0, i;
    AxtNet net;
    int host;

    net.wire = axt_wire_new(QUEUES, 1500);
    net.vm = axt_vm_new("-netdev af-xdp,id=n0,ifname=" AXT_DEV
                        ",queues=2,%s=1%s "
                        "-device virtio-net-pci," AXT_NIC_ARGS
                        ",id=nic,mq=on,vectors=6", (const char *)option,
                        axt_path());
    net.nic = axt_virtio_new(net.vm, 2);
    host = axt_wire_sniff(AXT_DEV);

    for (i = 0; i < FLOWS; i++) {
        unsigned q;

        axt_frame_fill(buf, 100, i, i);
        axt_wire_send(net.wire, buf, 100);
        if (i % 64 == 63) {
            /* Give it time, then look everywhere. */
            g_usleep(2000);
            for (q = 0; q < 2; q++) {
                while (axt_nic_recv(net.nic, q, buf, AXT_FRAME_MAX, 20) >= 0) {
                    seen++;
                }
            }
            while (axt_sniff_recv(host, buf, AXT_FRAME_MAX, 0) >= 0) {
                host_seen++;
            }
        }
    }
    /* About half each; all of them somewhere, none in both places. */
    g_assert_cmpuint(seen, >, FLOWS / 8);
    g_assert_cmpuint(host_seen, >, FLOWS / 8);
    g_assert_cmpuint(seen + host_seen, ==, FLOWS);

    /* What the guest's queue i sends leaves by the device's queue i + 1. */
    axt_frame_fill(buf, 100, 7, 0);
    axt_nic_send(net.nic, 0, buf, 100);
    axt_frame_fill(buf, 100, 8, 0);
    axt_nic_send(net.nic, 1, buf, 100);
    g_assert_cmpint(axt_wire_recv(net.wire, 1, buf, AXT_FRAME_MAX, 2000), ==,
                    100);
    g_assert_cmpuint(axt_frame_check(buf, 100, NULL), ==, 7);
    g_assert_cmpint(axt_wire_recv(net.wire, 2, buf, AXT_FRAME_MAX, 2000), ==,
                    100);
    g_assert_cmpuint(axt_frame_check(buf, 100, NULL), ==, 8);

    close(host);
    axt_net_stop(&net);
}

static const uint8_t other_mac[] = { 0x52, 0x54, 0x00, 0xaf, 0x0d, 0x02 };

/* Send a frame to @mac; does the guest get it, or the host? */
static void mac_goes(AxtNet *net, int host, const uint8_t *mac, bool to_guest)
{
    g_autofree uint8_t *buf = g_malloc(AXT_FRAME_MAX);
    static uint32_t seq;
    ssize_t guest_len, host_len;

    axt_frame_fill(buf, 200, ++seq, 0);
    axt_frame_dst(buf, mac);
    axt_wire_send(net->wire, buf, 200);

    guest_len = axt_nic_recv(net->nic, 0, buf, AXT_FRAME_MAX,
                             to_guest ? 2000 : 30);
    if (guest_len >= 0) {
        g_assert_cmpuint(axt_frame_check(buf, guest_len, NULL), ==, seq);
    }
    host_len = axt_sniff_recv(host, buf, AXT_FRAME_MAX, to_guest ? 10 : 2000);
    if (host_len >= 0) {
        g_assert_cmpuint(axt_frame_check(buf, host_len, NULL), ==, seq);
    }
    g_assert_cmpint(guest_len, ==, to_guest ? 200 : -1);
    g_assert_cmpint(host_len, ==, to_guest ? -1 : 200);
}

static void test_mac_filter(const void *data)
{
    static const uint8_t broadcast[] = { 255, 255, 255, 255, 255, 255 };
    static const uint8_t multicast[] = { 1, 0, 0x5e, 0, 0, 1 };
    AxtNet net;
    int host, i;

    axt_net_start(&net, GPOINTER_TO_INT(data), 1, 1500, ",mac-filter=on");
    host = axt_wire_sniff(AXT_DEV);
    for (i = 0; i < 3; i++) {
        mac_goes(&net, host, axt_guest_mac, true);
        mac_goes(&net, host, broadcast, true);
        mac_goes(&net, host, multicast, true);
        mac_goes(&net, host, other_mac, false);
    }
    g_assert_cmpuint(axt_counter(net.vm, "filtered"), ==, 3);
    g_assert_cmpuint(axt_counter(net.vm, "redirected"), ==, 9);
    close(host);
    axt_net_stop(&net);
}

/* Another NIC on the same netdev: the filter is for its address now. */
static void test_mac_filter_replug(void)
{
    AxtNet net;
    int host;

    axt_net_start(&net, AXT_VIRTIO, 1, 1500, ",mac-filter=on");
    host = axt_wire_sniff(AXT_DEV);
    mac_goes(&net, host, axt_guest_mac, true);
    mac_goes(&net, host, other_mac, false);
    axt_unplug(net.vm, "nic");
    axt_nic_free(net.nic);

    qtest_qmp_device_add(net.vm->qts, "virtio-net-pci", "nic2",
                         "{'netdev': 'n0', 'addr': '4', 'romfile': '',"
                         " 'mac': '52:54:00:af:0d:02'}");
    net.nic = axt_virtio_new(net.vm, 1);
    mac_goes(&net, host, other_mac, true);
    mac_goes(&net, host, axt_guest_mac, false);
    close(host);

    /* And the end in the order that leaves the filter without a NIC. */
    axt_netdev_del(net.vm, "n0");
    axt_unplug(net.vm, "nic2");
    g_assert_cmpuint(axt_prog_id(net.wire->ifindex), ==, 0);
    axt_net_stop(&net);
}

/* Without the filter, all of it is the guest's. */
static void test_no_mac_filter(void)
{
    AxtNet net;
    int host;

    axt_net_start(&net, AXT_VIRTIO, 1, 1500, "%s", "");
    host = axt_wire_sniff(AXT_DEV);
    mac_goes(&net, host, axt_guest_mac, true);
    mac_goes(&net, host, other_mac, true);
    g_assert_cmpuint(axt_counter(net.vm, "filtered"), ==, 0);
    close(host);
    axt_net_stop(&net);
}

/* Somebody else's program and map; he gives QEMU the socket. */
static void test_sock_fds(void)
{
    int map = axt_foreign_map(BPF_MAP_TYPE_XSKMAP, 1);
    int prog = axt_foreign_redirect(map, 0);
    int xsk = axt_foreign_xsk();
    uint32_t id;
    AxtNet net;

    axt_foreign_put(map, 0, xsk);
    net.wire = axt_wire_new(1, 1500);
    axt_foreign_attach(net.wire->ifindex, prog);
    id = axt_prog_id(net.wire->ifindex);
    net.vm = axt_vm_new("-netdev af-xdp,id=n0,ifname=" AXT_DEV
                        ",inhibit=on,sock-fds=%d%s "
                        "-device virtio-net-pci," AXT_NIC_ARGS ",id=nic", xsk,
                        axt_path());
    close(xsk);
    net.nic = axt_virtio_new(net.vm, 1);
    axt_some_traffic(&net);
    axt_nic_free(net.nic);
    axt_vm_free(net.vm);

    /* His program is his business. */
    g_assert_cmpuint(axt_prog_id(net.wire->ifindex), ==, id);
    axt_foreign_attach(net.wire->ifindex, -1);
    close(prog);
    close(map);
    axt_wire_free(net.wire);
}

/* Somebody else's program and pinned map; QEMU puts its socket there. */
static void test_map_path(void)
{
    static const char path[] = AXT_BPFFS "/axt-map";
    int map = axt_foreign_map(BPF_MAP_TYPE_XSKMAP, 4);
    int prog = axt_foreign_redirect(map, 2);
    uint32_t id;
    AxtNet net;

    axt_foreign_pin(map, path);
    net.wire = axt_wire_new(1, 1500);
    axt_foreign_attach(net.wire->ifindex, prog);
    id = axt_prog_id(net.wire->ifindex);
    net.vm = axt_vm_new("%s", "");
    axt_net_plug(&net, "ifname=" AXT_DEV ",inhibit=on,map-start-index=2,"
         "map-path=" AXT_BPFFS "/axt-map");
    axt_some_traffic(&net);
    axt_unplug(net.vm, "nic");
    axt_nic_free(net.nic);
    axt_netdev_del(net.vm, "n0");
    g_assert_cmpuint(axt_prog_id(net.wire->ifindex), ==, id);

    /* And again, in the same place. */
    axt_net_plug(&net, "ifname=" AXT_DEV ",inhibit=on,map-start-index=2,"
         "map-path=" AXT_BPFFS "/axt-map");
    axt_some_traffic(&net);
    axt_nic_free(net.nic);
    axt_vm_free(net.vm);
    axt_foreign_attach(net.wire->ifindex, -1);
    unlink(path);
    close(prog);
    close(map);
    axt_wire_free(net.wire);
}

void axt_add_queue_tests(void)
{
    axt_add("queues/four", test_mq);
    axt_add("queues/four-together", test_mq_together);
    axt_add("queues/guest-refuses-mq", test_mq_refused);
    axt_add("queues/device-without-mq", test_mq_off);
    axt_add_data("queues/queue-start", "queue-start", test_queue_start);
    qtest_add_data_func("af-xdp/queues/start-queue", "start-queue",
                        test_queue_start);
    qtest_add_data_func("af-xdp/mac-filter/virtio",
                        GINT_TO_POINTER(AXT_VIRTIO), test_mac_filter);
    qtest_add_data_func("af-xdp/mac-filter/e1000e",
                        GINT_TO_POINTER(AXT_E1000E), test_mac_filter);
    axt_add("mac-filter/replug", test_mac_filter_replug);
    qtest_add_func("af-xdp/mac-filter/off", test_no_mac_filter);
    axt_add("program/sock-fds", test_sock_fds);
    axt_add("program/map-path", test_map_path);
}
