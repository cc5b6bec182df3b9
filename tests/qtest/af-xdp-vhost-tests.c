/*
 * af-xdp qtest: the fast path: features, virtqueues of all kinds, interrupts
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "libqos/pci.h"
#include "hw/pci/pci_regs.h"
#include "standard-headers/linux/virtio_config.h"
#include "standard-headers/linux/virtio_net.h"
#include "af-xdp-flow.h"

/* The largest ring of virtio-net. */
#define RING_MAX 1024

/* --- What is negotiated --- */

static void test_features(void)
{
    const AxtVirtioConfig config = { .mtu = true };
    const uint64_t with_vhost =
        1ull << VIRTIO_F_VERSION_1 | 1ull << VIRTIO_F_RING_PACKED |
        1ull << VIRTIO_RING_F_INDIRECT_DESC | 1ull << VIRTIO_RING_F_EVENT_IDX |
        1ull << VIRTIO_NET_F_MRG_RXBUF | 1ull << VIRTIO_NET_F_GUEST_ANNOUNCE |
        1ull << VIRTIO_NET_F_MQ | 1ull << VIRTIO_NET_F_MTU;
    /* By virtio-net itself, which keeps the control virtqueue. */
    const uint64_t without =
        1ull << VIRTIO_NET_F_MAC | 1ull << VIRTIO_NET_F_STATUS |
        1ull << VIRTIO_NET_F_CTRL_VQ | 1ull << VIRTIO_NET_F_CTRL_RX |
        1ull << VIRTIO_NET_F_CTRL_VLAN | 1ull << VIRTIO_NET_F_CTRL_RX_EXTRA |
        1ull << VIRTIO_NET_F_CTRL_MAC_ADDR |
        1ull << VIRTIO_NET_F_CTRL_GUEST_OFFLOADS;
    AxtNet net;

    /*
     * All that can be switched on is, and exactly this is left: no offloads,
     * no hash, no RING_RESET, no IN_ORDER.
     */
    axt_vhost_start(&net, 1, ",packed=on,host_mtu=1400,mq=on,rss=on,hash=on,"
                    "queue_reset=on,in_order=on,event_idx=on", &config);
    g_assert_cmphex(axt_virtio(net.nic)->offered, ==, with_vhost | without);
    g_assert_cmpuint(qvirtio_config_readw(&axt_virtio(net.nic)->dev->vdev,
                                          offsetof(struct virtio_net_config,
                                                   mtu)), ==, 1400);
    axt_vhost_assert_running(&net);
    axt_some_traffic(&net);
    axt_net_stop(&net);

    /*
     * The legacy interface: no NOTIFY_ON_EMPTY. Bit 30 is a trap of virtio-pci
     * for drivers that take whatever there is.
     */
    axt_vhost_start(&net, 1, ",disable-modern=on,host_mtu=1400,mq=on", NULL);
    g_assert_cmphex(axt_virtio(net.nic)->offered, ==,
                    ((with_vhost | without | 1ull << VIRTIO_F_ANY_LAYOUT |
                      QVIRTIO_F_BAD_FEATURE) & UINT32_MAX));
    axt_net_stop(&net);
}

/* --- Virtqueues --- */

static size_t len_mixed(uint32_t seq)
{
    return AXT_LEN_MIN + seq * 37 % (AXT_LEN_MAX - AXT_LEN_MIN + 1);
}

/*
 * A header over several descriptors, an empty one, the rest of it together
 * with data.
 */
#define CUTS .cuts = { 3, 4, 0, 30 }, .n_cuts = 4

static void drive_by(AxtNet *net, const AxtVirtioConfig *config)
{
    axt_virtio_again(net->nic, config);
    axt_to_wire(net, 0, 400, len_mixed);
    axt_to_guest(net, 400, 48, len_mixed);
    axt_to_wire(net, 0, 400, axt_len_small);
    axt_vhost_assert_running(net);
}

/* All combinations of what a modern driver may choose. */
static void test_layouts(const void *opaque)
{
    const bool packed = GPOINTER_TO_INT(opaque);
    AxtVirtioConfig config = { 0 };
    unsigned i;
    AxtNet net;

    axt_vhost_start(&net, 1, ",packed=on", NULL);
    for (i = 0; i < 16; i++) {
        config = (AxtVirtioConfig) {
            .packed = packed,
            .honest_kicks = true,
            .event_idx = i & 1,
            .indirect = i & 2,
            .not_mergeable = i & 4,
        };
        if (i & 8) {
            AxtVirtioConfig cut = { CUTS };

            memcpy(config.cuts, cut.cuts, sizeof(config.cuts));
            config.n_cuts = cut.n_cuts;
        }
        g_test_message("layout %u", i);
        drive_by(&net, &config);
    }
    /* Packets over several buffers, which must appear together. */
    config = (AxtVirtioConfig) { .packed = packed, .honest_kicks = true };
    axt_virtio_again(net.nic, &config);
    axt_count_buffers(&net);
    axt_net_stop(&net);
}

/* Drivers from before VIRTIO 1, with a header of 10 bytes or of 12. */
static void test_legacy(void)
{
    unsigned i;
    AxtNet net;

    axt_vhost_start(&net, 1, ",disable-modern=on", NULL);
    for (i = 0; i < 8; i++) {
        AxtVirtioConfig config = {
            .honest_kicks = true,
            .event_idx = i & 1,
            .indirect = i & 2,
            .not_mergeable = i & 4,
        };

        drive_by(&net, &config);
        g_assert_cmpuint(axt_virtio(net.nic)->hdr_len, ==, i & 4 ? 10 : 12);
    }
    axt_count_buffers(&net);
    axt_net_stop(&net);
}

/* Without a legacy interface the device has another id. */
static void test_modern_only(void)
{
    const AxtVirtioConfig config = { .packed = true, CUTS };
    AxtNet net;

    axt_vhost_start(&net, 1, ",disable-legacy=on,packed=on", NULL);
    drive_by(&net, &config);
    axt_count_buffers(&net);
    axt_net_stop(&net);
}

static size_t len_one(uint32_t seq)
{
    return AXT_LEN_MIN;
}

/* More than any index has values, both ways. */
static void test_wrap(void)
{
    unsigned i;
    AxtNet net;

    axt_vhost_start(&net, 1, ",packed=on", NULL);
    for (i = 0; i < 3; i++) {
        const AxtVirtioConfig config = {
            .packed = i == 2,
            .event_idx = i > 0,
            .honest_kicks = true,
        };

        axt_virtio_again(net.nic, &config);
        axt_to_wire(&net, 0, 0x10000 + 300, len_one);
        axt_to_guest(&net, 0x10000 + 300, AXT_WINDOW, len_one);
    }
    axt_net_stop(&net);
}

/* Fill the whole transmit ring while nobody looks, see it all go. */
static void full_ring(AxtNet *net, unsigned size)
{
    uint8_t buf[AXT_LEN_MIN];
    size_t len = sizeof(buf);
    uint32_t seq;

    axt_vm_stop(net);
    for (seq = 0; seq < size; seq++) {
        axt_frame_fill(buf, len, seq, 0);
        g_assert_true(axt_nic_tx(net->nic, 0, buf, &len, 1, true));
    }
    g_assert_false(axt_nic_tx(net->nic, 0, buf, &len, 1, true));
    axt_vm_cont(net);
    for (seq = 0; seq < size; seq++) {
        g_assert_cmpint(axt_wire_recv(net->wire, 0, buf, len, 2000), ==, len);
        g_assert_cmpuint(axt_frame_check(buf, len, NULL), ==, seq);
    }
    axt_nic_tx_wait(net->nic, 0);
}

static void test_ring_sizes(void)
{
    unsigned size, i;
    AxtNet net;

    axt_vhost_start(&net, 1, ",packed=on,rx_queue_size=1024,tx_queue_size=1024",
                    NULL);
    for (size = 64; size <= RING_MAX; size *= 2) {
        for (i = 0; i < 2; i++) {
            const AxtVirtioConfig config = {
                .rx_size = size,
                .tx_size = size,
                .tx_slots = RING_MAX,
                .packed = i == 1,
                .event_idx = true,
                .honest_kicks = true,
            };

            axt_virtio_again(net.nic, &config);
            full_ring(&net, size);
            axt_to_wire(&net, 0, 2 * size, len_mixed);
            axt_to_guest(&net, 2 * size, MIN(size, 128) / 2, len_mixed);
            axt_count_buffers(&net);
        }
    }
    axt_net_stop(&net);
}

/* --- Interrupts --- */

/* Nothing within a time in which QEMU surely had its turn. */
static void no_msi(AxtNet *net, AxtVq *q)
{
    g_usleep(5000);
    g_free(qtest_hmp(net->vm->qts, "info network"));
    g_assert_false(axt_take_msi(net, q));
}

static void leave(AxtNet *net, unsigned n)
{
    uint8_t buf[AXT_LEN_MIN];
    size_t len = sizeof(buf);

    axt_frame_fill(buf, len, 0, 0);
    while (n--) {
        g_assert_true(axt_nic_tx(net->nic, 0, buf, &len, 1, true));
    }
    axt_nic_tx_kick(net->nic, 0);
}

/* One interrupt for what the device does in one go. */
static void one_per_batch(AxtNet *net)
{
    AxtVirtio *v = axt_virtio(net->nic);
    uint8_t buf[AXT_LEN_MIN];
    unsigned i;

    axt_ring_calls_on(&v->rx[0].ring);
    axt_ring_calls_on(&v->tx[0].ring);
    axt_vm_stop(net);
    axt_take_msi(net, &v->rx[0]);
    axt_take_msi(net, &v->tx[0]);
    leave(net, 60);
    for (i = 0; i < 60; i++) {
        axt_frame_fill(buf, sizeof(buf), i, 0);
        axt_wire_send(net->wire, buf, sizeof(buf));
    }
    g_usleep(20000);            /* until they are in the socket, all of them */
    axt_vm_cont(net);
    axt_nic_tx_wait(net->nic, 0);
    axt_wait_used(&v->rx[0].ring, 60);
    axt_wait_msi(net, &v->rx[0]);
    axt_wait_msi(net, &v->tx[0]);
    g_assert_cmpuint(axt_counter(net->vm, "rx-calls"), ==, 1);
    g_assert_cmpuint(axt_counter(net->vm, "tx-calls"), ==, 1);
    axt_ring_calls_off(&v->rx[0].ring);
    axt_ring_calls_off(&v->tx[0].ring);
    axt_take_arrived(net);
}

/* A vector that is masked is pending until it is unmasked. */
static void masked(AxtNet *net)
{
    AxtVirtio *v = axt_virtio(net->nic);
    QPCIDevice *pdev = v->dev->pdev;
    const uint64_t control = pdev->msix_table_off +
                             PCI_MSIX_ENTRY_VECTOR_CTRL;

    axt_ring_calls_on(&v->rx[0].ring);
    qpci_io_writel(pdev, pdev->msix_table_bar, control,
                   PCI_MSIX_ENTRY_CTRL_MASKBIT);
    axt_arrive(net, 1);
    no_msi(net, &v->rx[0]);
    qpci_io_writel(pdev, pdev->msix_table_bar, control, 0);
    axt_wait_msi(net, &v->rx[0]);
    axt_take_arrived(net);
    axt_ring_calls_off(&v->rx[0].ring);
}

static void interrupts(AxtNet *net, const AxtVirtioConfig *config)
{
    AxtVirtio *v = axt_virtio(net->nic);
    AxtVq *rx = &v->rx[0], *tx = &v->tx[0];
    uint64_t calls;

    axt_virtio_again(net->nic, config);

    /* The first decision may be a needless interrupt: get it over. */
    axt_arrive(net, 1);
    leave(net, 1);
    axt_nic_tx_wait(net->nic, 0);
    axt_take_arrived(net);
    g_usleep(5000);
    axt_take_msi(net, rx);
    axt_take_msi(net, tx);

    /* Suppressed. */
    calls = axt_counter(net->vm, "rx-calls") + axt_counter(net->vm, "tx-calls");
    axt_ring_calls_off(&rx->ring);
    axt_ring_calls_off(&tx->ring);
    axt_arrive(net, 20);
    leave(net, 20);
    axt_nic_tx_wait(net->nic, 0);
    no_msi(net, rx);
    no_msi(net, tx);
    g_assert_cmpuint(axt_counter(net->vm, "rx-calls") +
                     axt_counter(net->vm, "tx-calls"), ==, calls);
    axt_take_arrived(net);

    /* Wanted. */
    axt_ring_calls_on(&rx->ring);
    axt_arrive(net, 1);
    axt_wait_msi(net, rx);
    g_assert_false(axt_take_msi(net, tx));
    axt_ring_calls_off(&rx->ring);
    axt_take_arrived(net);
    axt_ring_calls_on(&tx->ring);
    leave(net, 1);
    axt_wait_msi(net, tx);
    axt_nic_tx_wait(net->nic, 0);
    no_msi(net, rx);
    axt_ring_calls_off(&tx->ring);

    if (config->event_idx) {
        /* With the 30th, not before it, and not again. */
        axt_ring_calls_after(&rx->ring, 30);
        axt_arrive(net, 29);
        no_msi(net, rx);
        axt_arrive(net, 1);
        axt_wait_msi(net, rx);
        axt_arrive(net, 40);
        no_msi(net, rx);
        axt_take_arrived(net);
        axt_ring_calls_off(&rx->ring);
    }
    masked(net);
    one_per_batch(net);
    axt_vhost_assert_running(net);
}

static void test_interrupts(void)
{
    AxtVirtioConfig config = { .msix = true };
    unsigned i;
    AxtNet net;

    axt_vhost_start(&net, 1, ",packed=on,vectors=4", &config);
    for (i = 0; i < 4; i++) {
        config.packed = i & 1;
        config.event_idx = i & 2;
        interrupts(&net, &config);
    }
    axt_net_stop(&net);
}

void axt_add_vhost_tests(void)
{
    axt_add_vhost("features", test_features);
    axt_add_fast_data("layouts/split", GINT_TO_POINTER(false), test_layouts);
    axt_add_fast_data("layouts/packed", GINT_TO_POINTER(true), test_layouts);
    axt_add_fast("layouts/legacy", test_legacy);
    axt_add_fast("layouts/modern-only", test_modern_only);
    axt_add_fast("rings/wrap", test_wrap);
    axt_add_fast("rings/sizes", test_ring_sizes);
    axt_add_vhost("calls/interrupts", test_interrupts);
}
