/*
 * af-xdp qtest: the fast path: requests of the vhost layer in full traffic
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/atomic.h"
#include "qemu/bswap.h"
#include <linux/if_packet.h>
#include <net/if.h>
#include "libqos/pci.h"
#include "hw/pci/pci_regs.h"
#include "qobject/qdict.h"
#include "af-xdp-flow.h"

#define QUEUES 4

#define ROUNDS 30

/* QEMU's CPU time when it has nothing to do, per second, in milliseconds. */
#define IDLE_CPU_MS 200

/* Vectors change, are masked and unmasked, MSI-X is switched, in traffic. */
static void test_vectors(void)
{
    const AxtVirtioConfig config = { .msix = true };
    unsigned i;
    AxtNet net;
    AxtFlow f = { &net };

    axt_vhost_start(&net, 1, ",vectors=4", &config);
    for (i = 0; i < ROUNDS; i++) {
        AxtVirtio *v = axt_virtio(net.nic);
        QPCIDevice *pdev = v->dev->pdev;
        uint64_t control = pdev->msix_table_off + i % 2 * PCI_MSIX_ENTRY_SIZE +
                           PCI_MSIX_ENTRY_VECTOR_CTRL;

        axt_ring_calls_on(&v->rx[0].ring);
        axt_ring_calls_on(&v->tx[0].ring);
        axt_flow_run(&f, 100);
        qpci_io_writel(pdev, pdev->msix_table_bar, control,
                       PCI_MSIX_ENTRY_CTRL_MASKBIT);
        axt_flow_run(&f, 20);
        qpci_io_writel(pdev, pdev->msix_table_bar, control, 0);
        axt_flow_run(&f, 20);
        /* QEMU looks at masks only when they change, so not before. */
        v->dev->msix_ops->set_queue_vector(v->dev, 0, i % 2);
        v->dev->msix_ops->set_queue_vector(v->dev, 1, (i + 1) % 2);
        if (i % 4 == 3) {
            qpci_msix_disable(pdev);
            axt_flow_run(&f, 50);
            qpci_msix_enable(pdev);
        }
    }
    axt_flow_drain(&f);
    axt_count_buffers(&net);
    /* After all that they still work. */
    axt_virtio(net.nic)->dev->msix_ops->set_queue_vector(
        axt_virtio(net.nic)->dev, 0, 0);
    axt_ring_calls_on(&axt_virtio(net.nic)->rx[0].ring);
    axt_take_msi(&net, &axt_virtio(net.nic)->rx[0]);
    axt_arrive(&net, 1);
    axt_wait_msi(&net, &axt_virtio(net.nic)->rx[0]);
    axt_net_stop(&net);
}

/* The machine stops and goes on in full traffic: nothing is lost. */
static void test_stop_cont(const void *opaque)
{
    const AxtVirtioConfig config = {
        .packed = GPOINTER_TO_INT(opaque),
        .event_idx = true,
        .honest_kicks = true,
    };
    unsigned i;
    AxtNet net;
    AxtFlow f = { &net };

    axt_vhost_start(&net, 1, ",packed=on", &config);
    for (i = 0; i < ROUNDS; i++) {
        axt_flow_run(&f, 50 + i * 3);
        axt_vm_stop(&net);
        if (i % 2) {
            /* Its ring is filled meanwhile. */
            axt_flow_send(&f);
        }
        axt_vm_cont(&net);
    }
    axt_flow_run(&f, 50);
    axt_flow_drain(&f);
    axt_count_buffers(&net);
    axt_net_stop(&net);
}

/* The driver goes and comes in full traffic: what was under way is lost. */
static void test_rebind(void)
{
    unsigned i;
    AxtNet net;
    AxtFlow f = { &net, .lossy = true };

    axt_vhost_start(&net, 1, ",packed=on", NULL);
    for (i = 0; i < ROUNDS; i++) {
        const AxtVirtioConfig config = { .packed = i % 3 == 2 };

        axt_flow_run(&f, 60);
        if (i % 2) {
            axt_virtio_rebind(net.nic);
        } else {
            axt_virtio_again(net.nic, &config);
        }
        axt_flow_drain(&f);
    }
    axt_flow_run(&f, 60);
    axt_flow_drain(&f);
    axt_count_buffers(&net);
    axt_net_stop(&net);
}

/* Link off and on in full traffic. */
static void test_set_link(void)
{
    unsigned i;
    AxtNet net;
    AxtFlow f = { &net, .lossy = true };

    axt_vhost_start(&net, 1, "", NULL);
    for (i = 0; i < ROUNDS; i++) {
        const char *name = i % 2 ? "n0" : "nic";

        axt_flow_run(&f, 40);
        qtest_qmp_assert_success(net.vm->qts, "{'execute': 'set_link',"
                                 " 'arguments': {'name': %s, 'up': false}}",
                                 name);
        axt_flow_send(&f);
        qtest_qmp_assert_success(net.vm->qts, "{'execute': 'set_link',"
                                 " 'arguments': {'name': %s, 'up': true}}",
                                 name);
        axt_flow_drain(&f);
    }
    f.lossy = false;
    axt_flow_run(&f, 200);
    axt_flow_drain(&f);
    axt_count_buffers(&net);
    axt_net_stop(&net);
}

static void wait_outside(AxtNet *net, AxtFlow *f, bool all)
{
    AxtVirtio *v = axt_virtio(net->nic);
    const unsigned n = all ? v->rx[0].n_slots + v->tx[0].n_slots : 0;
    gint64 end = g_get_monotonic_time() + AXT_TIMEOUT_US;

    while (axt_virtio_outside(&v->rx[0]) +
           axt_virtio_outside(&v->tx[0]) != n) {
        axt_flow_run(f, 50);
        g_assert_cmpint(g_get_monotonic_time(), <, end);
    }
}

/* More RAM, buffers in it, none in it any more, and away: no frame is lost. */
static void test_memory(void)
{
    const AxtVirtioConfig config = { .tx_slots = 64 };
    unsigned i;
    AxtNet net;
    AxtFlow f = { &net };

    axt_vhost_start(&net, 1, "", &config);
    for (i = 0; i < 3; i++) {
        axt_flow_run(&f, 100);
        axt_dimm_plug(net.vm);
        g_assert_cmpuint(axt_vq_bytes(&axt_virtio(net.nic)->rx[0]) +
                         axt_vq_bytes(&axt_virtio(net.nic)->tx[0]), <=,
                         AXT_DIMM_SIZE);
        axt_virtio_move(net.nic, net.vm->dimm_gpa);
        wait_outside(&net, &f, true);
        axt_flow_run(&f, 300);
        axt_virtio_move(net.nic, 0);
        wait_outside(&net, &f, false);
        axt_dimm_unplug(net.vm);
    }
    axt_flow_run(&f, 100);
    axt_flow_drain(&f);
    axt_count_buffers(&net);
    axt_vhost_assert_running(&net);
    axt_net_stop(&net);
}

/* RAM that is in use goes away: the ring is stopped, nothing is touched. */
static void test_memory_away(void)
{
    g_autofree char *info = NULL;
    uint8_t buf[AXT_LEN_MIN];
    AxtNet net;
    AxtFlow f = { &net };
    gint64 end;

    axt_vhost_start(&net, 1, "", NULL);
    axt_dimm_plug(net.vm);
    axt_virtio_move(net.nic, net.vm->dimm_gpa);
    axt_flow_run(&f, 300);
    axt_flow_drain(&f);
    /* Buffers move back to the old place only when they are used again. */
    g_assert_cmpuint(axt_virtio_outside(&axt_virtio(net.nic)->rx[0]), >, 0);
    axt_dimm_unplug(net.vm);
    end = g_get_monotonic_time() + AXT_TIMEOUT_US;
    axt_frame_fill(buf, sizeof(buf), 0, 0);
    do {
        axt_wire_send(net.wire, buf, sizeof(buf));
        g_free(info);
        info = qtest_hmp(net.vm->qts, "info network");
        if (g_get_monotonic_time() > end) {
            g_error("no fault in: %s", info);
        }
    } while (!strstr(info, "rx-fault=buffer is not wholly in guest RAM"));
    axt_virtio_move(net.nic, 0);
    axt_virtio_again(net.nic, NULL);
    while (axt_nic_recv(net.nic, 0, buf, sizeof(buf), 50) >= 0) {
        /* What waited in the socket. */
    }
    axt_vhost_assert_running(&net);
    f = (AxtFlow) { &net };
    axt_flow_run(&f, 300);
    axt_flow_drain(&f);
    axt_net_stop(&net);
}

/* The NIC is taken away and given back in full traffic. */
static void test_unplug(void)
{
    unsigned i, fds = 0;
    AxtNet net;

    axt_vhost_start(&net, 1, "", NULL);
    for (i = 0; i < 10; i++) {
        AxtFlow f = { &net };

        axt_flow_run(&f, 50);
        axt_unplug(net.vm, "nic");
        axt_nic_free(net.nic);
        if (i == 1) {
            fds = axt_vm_fds(net.vm);
        }
        g_usleep(20000);
        while (axt_wire_recv(net.wire, 0, (uint8_t[AXT_LEN_MAX]) { 0 },
                             AXT_LEN_MAX, 20) >= 0) {
            /* What was under way. */
        }
        qtest_qmp_device_add(net.vm->qts, "virtio-net-pci", "nic",
                             "{'netdev': 'n0', 'addr': '4', 'romfile': ''}");
        net.nic = axt_virtio_new(net.vm, 1);
        while (axt_nic_recv(net.nic, 0, (uint8_t[AXT_LEN_MAX]) { 0 },
                            AXT_LEN_MAX, 20) >= 0) {
            /* What waited in the socket. */
        }
    }
    axt_unplug(net.vm, "nic");
    g_assert_cmpuint(axt_vm_fds(net.vm), ==, fds);
    axt_net_stop(&net);
}

#define PATH "/machine/peripheral/nic/virtio-backend"

static QDict *query(AxtNet *net, const char *command, int queue)
{
    QDict *args = qdict_new(), *response, *result;

    qdict_put_str(args, "path", PATH);
    if (queue >= 0) {
        qdict_put_int(args, "queue", queue);
    }
    response = qtest_qmp(net->vm->qts, "{'execute': %s, 'arguments': %p}",
                         command, args);
    result = qdict_get_qdict(response, "return");
    if (!result) {
        g_error("%s: %s", command,
                qdict_get_str(qdict_get_qdict(response, "error"), "desc"));
    }
    qobject_ref(result);
    qobject_unref(response);
    return result;
}

/* Questions about a running device, in full traffic. */
static void test_query(const void *opaque)
{
    const AxtVirtioConfig config = {
        .packed = GPOINTER_TO_INT(opaque),
        .honest_kicks = true,
    };
    unsigned i;
    AxtNet net;
    AxtFlow f = { &net };

    axt_vhost_start(&net, 1, ",packed=on", &config);
    for (i = 0; i < ROUNDS; i++) {
        int q = i % 2;
        QDict *status = query(&net, "x-query-virtio-status", -1);
        QDict *queue, *vhost;

        g_assert_true(qdict_get_bool(status, "vhost-started"));
        g_assert_nonnull(qdict_get_qdict(status, "vhost-dev"));
        qobject_unref(status);
        axt_flow_run(&f, 30);

        queue = query(&net, "x-query-virtio-queue-status", q);
        g_assert_cmpint(qdict_get_int(queue, "vring-num"), ==,
                        (q ? axt_virtio(net.nic)->tx
                           : axt_virtio(net.nic)->rx)[0].ring.size);
        g_assert_true(qdict_haskey(queue, "last-avail-idx"));
        qobject_unref(queue);
        axt_flow_run(&f, 30);

        vhost = query(&net, "x-query-virtio-vhost-queue-status", q);
        g_assert_cmpint(qdict_get_int(vhost, "num"), ==,
                        (q ? axt_virtio(net.nic)->tx
                           : axt_virtio(net.nic)->rx)[0].ring.size);
        qobject_unref(vhost);
        axt_flow_run(&f, 30);

        qobject_unref(qtest_qmp_assert_success_ref(net.vm->qts,
            "{'execute': 'x-query-virtio'}"));
        if (!config.packed) {
            /* QEMU cannot do that for packed ones. */
            qobject_unref(query(&net, "x-query-virtio-queue-element", q));
        }
        axt_flow_run(&f, 30);
        g_free(qtest_hmp(net.vm->qts, "info network"));
    }
    axt_flow_drain(&f);
    axt_count_buffers(&net);
    axt_vhost_assert_running(&net);
    axt_net_stop(&net);
}

/*
 * The guest drives one to four queue pairs by turns, in full traffic on the
 * first, which loses none of what is its own.
 */
static void test_pairs(void)
{
    uint8_t buf[AXT_LEN_MAX];
    unsigned i, q;
    AxtNet net;

    axt_vhost_start(&net, QUEUES, ",mq=on,vectors=10", NULL);
    for (i = 0; i < ROUNDS; i++) {
        unsigned pairs = 1 + i % QUEUES;
        uint32_t seq;
        gint64 end;

        /* Frames of many flows are on their way meanwhile. */
        for (seq = 0; seq < 64; seq++) {
            axt_frame_fill(buf, 100, seq, seq);
            axt_wire_send(net.wire, buf, 100);
        }
        for (seq = 0; seq < 64; seq++) {
            size_t len = 100;

            axt_frame_fill(buf, len, seq, 0);
            g_assert_true(axt_nic_tx(net.nic, 0, buf, &len, 1, false));
        }
        axt_nic_tx_kick(net.nic, 0);
        axt_virtio_set_pairs(net.nic, pairs);
        for (seq = 0; seq < 64; seq++) {
            g_assert_cmpint(axt_wire_recv(net.wire, 0, buf, sizeof(buf), 2000),
                            ==, 100);
            g_assert_cmpuint(axt_frame_check(buf, 100, NULL), ==, seq);
        }
        /* All of them arrive, by whichever queue was the right one then. */
        end = g_get_monotonic_time() + AXT_TIMEOUT_US;
        for (seq = 0; seq < 64;) {
            for (q = 0; q < QUEUES; q++) {
                while (axt_nic_rx(net.nic, q, buf, sizeof(buf)) >= 0) {
                    axt_nic_rx_kick(net.nic, q);
                    seq += axt_frame_is_ours(buf, 100);
                }
            }
            if (g_get_monotonic_time() > end) {
                g_autofree char *info = qtest_hmp(net.vm->qts, "info network");

                g_error("round %u, %u pairs: %u of 64 frames\n%s", i, pairs,
                        seq, info);
            }
            axt_pause();
        }
        g_assert_cmpuint(seq, ==, 64);
        for (q = 0; q < pairs; q++) {
            axt_to_wire(&net, q, 50, axt_len_small);
        }
    }
    axt_wire_assert_no_drops(net.wire);
    axt_virtio_set_pairs(net.nic, 1);
    axt_count_buffers(&net);
    axt_net_stop(&net);
}

/* Threads of the user's, and fewer than queues. */
static void test_iothreads(void)
{
    unsigned q;
    AxtNet net;

    net.wire = axt_wire_new(QUEUES, 1500);
    net.vm = axt_vm_new("-object iothread,id=t0 -object iothread,id=t1 "
                        "-netdev af-xdp,id=n0,ifname=" AXT_DEV ",queues=%u%s,"
                        "iothread=t0:t1 -device virtio-net-pci," AXT_NIC_ARGS
                        ",id=nic,mq=on,vectors=10", QUEUES, axt_path());
    net.nic = axt_virtio_new(net.vm, QUEUES);
    for (q = 0; q < QUEUES; q++) {
        axt_to_wire(&net, q, 300, axt_len_sweep);
    }
    axt_vhost_assert_running(&net);
    axt_unplug(net.vm, "nic");
    axt_nic_free(net.nic);
    axt_netdev_del(net.vm, "n0");

    /* They are the user's still, and free. */
    qtest_qmp_assert_success(net.vm->qts, "{'execute': 'object-del',"
                             " 'arguments': {'id': 't1'}}");
    {
        g_autofree char *options = g_strdup_printf("ifname=" AXT_DEV
                                                   ",iothread=t0");

        axt_net_plug(&net, options);
        axt_to_wire(&net, 0, 300, axt_len_sweep);
    }
    axt_net_stop(&net);
}

/* Before AXT_SLOT, so that the driver of a NIC there finds that one. */
#define OLD_SLOT 3
#define OLD_DEV "axt-old"

/* A netdev and a NIC with it, on a device that nobody listens to. */
static AxtNic *plug_old(AxtNet *net)
{
    g_autofree char *options = g_strconcat("ifname=" OLD_DEV, axt_path(), NULL);
    g_autofree char *error = axt_netdev_add(net->vm, "n0", options);
    uint8_t buf[AXT_LEN_MIN];
    AxtNic *nic;

    g_assert_cmpstr(error, ==, NULL);
    qtest_qmp_device_add(net->vm->qts, "virtio-net-pci", "old",
                         "{'netdev': 'n0', 'addr': '3', 'romfile': ''}");
    nic = axt_virtio_new(net->vm, 1);
    axt_frame_fill(buf, sizeof(buf), 0, 0);
    axt_nic_send(nic, 0, buf, sizeof(buf));
    axt_nic_tx_wait(nic, 0);
    return nic;
}

static void unplug_new(AxtNet *net)
{
    axt_unplug(net->vm, "nic");
    axt_nic_free(net->nic);
    axt_netdev_del(net->vm, "n0");
    g_assert_cmpuint(axt_prog_id(net->wire->ifindex), ==, 0);
}

/*
 * The netdev is deleted under a living NIC, and another one gets its name
 * while that NIC lives on. Nothing of the two gets mixed up.
 */
static void test_netdev_del_same_name(void)
{
    unsigned i, fds = 0;
    int old_ifindex;
    AxtNet net;

    net.wire = axt_wire_new(1, 1500);
    axt_ip("link add " OLD_DEV " numrxqueues 1 numtxqueues 1 "
           "type veth peer name axt-old2 numrxqueues 1 numtxqueues 1");
    axt_ip("link set dev " OLD_DEV " up");
    axt_ip("link set dev axt-old2 up");
    old_ifindex = if_nametoindex(OLD_DEV);
    net.vm = axt_vm_new("%s", "");
    for (i = 0; i < 4; i++) {
        AxtNic *old = plug_old(&net);

        axt_netdev_del(net.vm, "n0");
        axt_net_plug(&net, "ifname=" AXT_DEV);
        axt_some_traffic(&net);
        g_assert_false(axt_nic_link_up(old));
        if (i % 2) {
            unplug_new(&net);
        }
        axt_unplug_slot(net.vm, "old", OLD_SLOT);
        axt_nic_free(old);
        g_assert_cmpuint(axt_prog_id(old_ifindex), ==, 0);
        if (i % 2 == 0) {
            axt_some_traffic(&net);
            unplug_new(&net);
        }
        if (i == 1) {
            fds = axt_vm_fds(net.vm);
        }
    }
    g_assert_cmpuint(axt_vm_fds(net.vm), ==, fds);
    axt_vm_free(net.vm);
    axt_ip("link del " OLD_DEV);
    axt_wire_free(net.wire);
}

/*
 * So many frames of the guest may go out while one waits for it: many times
 * what its ring holds, no matter how fast the machine is. At most FLOOD_STEP
 * count each time the test looks, which may come late itself.
 */
#define FLOOD_PATIENCE 50000
#define FLOOD_STEP 2048

/* Enough for one to run while another has to wait for a processor. */
#define FLOOD_THREADS 2

typedef struct Flood {
    AxtRing *ring;
    bool stop;
} Flood;

/* All descriptors are given back the moment that they are used. */
static gpointer flood(gpointer opaque)
{
    Flood *f = opaque;
    AxtRing *r = f->ring;

    while (!qatomic_read(&f->stop)) {
        __virtio16 old = qatomic_read(&r->avail->idx);
        uint16_t used = le16_to_cpu(qatomic_load_acquire(&r->used->idx));
        uint16_t avail = used + r->size;

        /* There are others that do the same: never go back. */
        if ((int16_t)(avail - le16_to_cpu(old)) > 0) {
            qatomic_cmpxchg(&r->avail->idx, old, cpu_to_le16(avail));
        }
    }
    return NULL;
}

/* A guest that never stops sending still gets what is sent to it. */
static void test_tx_flood(void)
{
    struct tpacket_stats stats;
    socklen_t len = sizeof(stats);
    uint8_t buf[AXT_LEN_MAX];
    unsigned i, sent;
    GThread *threads[FLOOD_THREADS];
    uint16_t used, last_used = 0;
    AxtVirtio *v;
    AxtNet net;
    AxtVq *tx;
    Flood f;

    axt_vhost_start(&net, 1, ",tx_queue_size=1024", NULL);
    v = axt_virtio(net.nic);
    tx = &v->tx[0];
    g_assert_cmpuint(le16_to_cpu(tx->ring.used->idx), ==, 0);
    memset(axt_ram(net.vm, tx->bufs), 0, v->hdr_len);
    axt_frame_fill(axt_ram(net.vm, tx->bufs + v->hdr_len), AXT_LEN_MAX, 0, 0);
    for (i = 0; i < tx->ring.size; i++) {
        tx->ring.desc[i] = (struct vring_desc) {
            .addr = cpu_to_le64(tx->bufs),
            .len = cpu_to_le32(v->hdr_len + AXT_LEN_MAX),
        };
        tx->ring.avail->ring[i] = cpu_to_le16(i);
    }
    f = (Flood) { .ring = &tx->ring };
    for (i = 0; i < FLOOD_THREADS; i++) {
        threads[i] = g_thread_new("flood", flood, &f);
    }

    for (sent = 0; sent < 300; sent++) {
        gint64 end = g_get_monotonic_time() + AXT_TIMEOUT_US;
        unsigned passed = 0;
        ssize_t n;

        axt_frame_fill(buf, AXT_LEN_MIN, sent, 0);
        axt_wire_send(net.wire, buf, AXT_LEN_MIN);
        do {
            /* All processors are the flood's and the worker's. */
            g_usleep(1000);
            if (!(le16_to_cpu(qatomic_read(&tx->ring.used->flags)) &
                  VRING_USED_F_NO_NOTIFY)) {
                axt_virtio_kick(net.nic, tx);
            }
            n = axt_nic_rx(net.nic, 0, buf, sizeof(buf));
            used = le16_to_cpu(qatomic_read(&tx->ring.used->idx));
            passed += MIN((uint16_t)(used - last_used), FLOOD_STEP);
            last_used = used;
            if (n < 0 && (passed > FLOOD_PATIENCE ||
                          g_get_monotonic_time() > end)) {
                g_autofree char *info = qtest_hmp(net.vm->qts, "info network");

                g_error("frame %u still waits after %u of the guest's\n%s",
                        sent, passed, info);
            }
        } while (n < 0 || !axt_frame_is_ours(buf, n));
        g_assert_cmpuint(axt_frame_check(buf, n, NULL), ==, sent);
        axt_nic_rx_kick(net.nic, 0);
    }
    axt_vhost_assert_running(&net);
    g_assert_cmpuint(axt_counter(net.vm, "tx"), >=, tx->ring.size);

    qatomic_set(&f.stop, true);
    for (i = 0; i < FLOOD_THREADS; i++) {
        g_thread_join(threads[i]);
    }
    axt_virtio_again(net.nic, NULL);
    while (axt_wire_recv(net.wire, 0, buf, sizeof(buf), 50) >= 0) {
        /* More than the test's socket holds; forget what it has lost. */
    }
    g_assert_cmpint(getsockopt(net.wire->fd[0], SOL_PACKET, PACKET_STATISTICS,
                               &stats, &len), ==, 0);
    axt_some_traffic(&net);
    axt_net_stop(&net);
}

static void assert_idle(AxtNet *net)
{
    unsigned cpu;

    g_usleep(G_USEC_PER_SEC / 10);
    cpu = axt_vm_cpu_ms(net->vm);
    g_usleep(G_USEC_PER_SEC / 2);
    g_assert_cmpuint(axt_vm_cpu_ms(net->vm) - cpu, <, IDLE_CPU_MS / 2);
}

/* After traffic; with frames that wait for a guest without buffers. */
static void test_idle(void)
{
    uint8_t buf[AXT_LEN_MIN];
    unsigned i;
    AxtNet net;

    axt_vhost_start(&net, QUEUES, ",mq=on,vectors=10", NULL);
    axt_to_wire(&net, 0, 1000, axt_len_sweep);
    assert_idle(&net);
    for (i = 0; i < 4 * AXT_RING * QUEUES; i++) {
        axt_frame_fill(buf, sizeof(buf), i, i % 256);
        axt_wire_send(net.wire, buf, sizeof(buf));
        if (i % 64 == 63) {
            g_usleep(500);
        }
    }
    g_assert_cmpuint(axt_counter(net.vm, "rx-no-buffer"), >, 0);
    assert_idle(&net);
    axt_net_stop(&net);
}

void axt_add_vhost_control_tests(void)
{
    axt_add("life/netdev-del-same-name", test_netdev_del_same_name);
    axt_add_vhost("calls/vectors", test_vectors);
    axt_add_fast_data("control/stop-cont/split", GINT_TO_POINTER(false),
                      test_stop_cont);
    axt_add_fast_data("control/stop-cont/packed", GINT_TO_POINTER(true),
                      test_stop_cont);
    axt_add_vhost("control/rebind", test_rebind);
    axt_add_vhost("control/set-link", test_set_link);
    axt_add_fast("control/memory", test_memory);
    axt_add_fast("control/memory-away", test_memory_away);
    axt_add_vhost("control/unplug", test_unplug);
    axt_add_fast_data("control/query/split", GINT_TO_POINTER(false),
                      test_query);
    axt_add_fast_data("control/query/packed", GINT_TO_POINTER(true),
                      test_query);
    axt_add_vhost("control/pairs", test_pairs);
    axt_add_vhost("control/iothreads", test_iothreads);
    axt_add_fast("tx-flood", test_tx_flood);
    axt_add_fast("idle", test_idle);
}
