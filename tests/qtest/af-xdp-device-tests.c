/*
 * af-xdp qtest: a device that is given
 *
 * See af-xdp-wire.h. In the tests "device" its driver can do AF_XDP zero-copy,
 * which the netdev must find by itself; in the tests "copy" it takes not even
 * a native XDP program.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "af-xdp-net.h"

/* Frames on their way to the guest: fewer than a NIC's smallest ring. */
#define WINDOW 64

/* Each takes a NIC some seconds. */
#define RESETS 3
#define STARTS 2

static void assert_mode(AxtNet *net, const char *mode)
{
    g_autofree char *info = qtest_hmp(net->vm->qts, "info network");

    g_test_message("%s", info);
    g_assert_nonnull(strstr(info, mode));
}

static void start(AxtNet *net, AxtModel model, const char *options)
{
    axt_net_start(net, model, 1, 1500, "%s", options);
    assert_mode(net, ",mode=driver zero-copy");
}

static void test_sizes(const void *data)
{
    const uint32_t n = AXT_LEN_MAX - AXT_LEN_MIN + 1;
    AxtNet net;

    start(&net, GPOINTER_TO_INT(data), "");
    axt_to_wire(&net, 0, n, axt_len_sweep);
    axt_to_guest(&net, n, WINDOW, axt_len_sweep);
    g_assert_cmpuint(axt_counter(net.vm, "tx"), ==, n);
    g_assert_cmpuint(axt_counter(net.vm, "rx"), ==, n);
    axt_net_stop(&net);
}

/* The guest's driver comes back, with frames on their way. */
static void test_reset(void)
{
    uint8_t buf[AXT_LEN_MAX];
    AxtNet net;
    unsigned i, j;

    start(&net, AXT_VIRTIO, "");
    for (i = 0; i < RESETS; i++) {
        for (j = 0; j < WINDOW; j++) {
            axt_frame_fill(buf, axt_len_sweep(j), j, 0);
            axt_wire_send(net.wire, buf, axt_len_sweep(j));
        }
        axt_virtio_reset(net.nic);
        /* What is under way has nowhere to go, or waits. */
        g_usleep(100000);
        axt_virtio_restart(net.nic);
        while (axt_nic_recv(net.nic, 0, buf, sizeof(buf), 50) >= 0) {
            /* It has waited. */
        }
        axt_to_wire(&net, 0, 64, axt_len_sweep);
        axt_to_guest(&net, 64, WINDOW, axt_len_sweep);
    }
    axt_net_stop(&net);
}

/* One QEMU after the other has the same queue. */
static void test_again(void)
{
    AxtNet net;
    unsigned i;

    for (i = 0; i < STARTS; i++) {
        start(&net, AXT_VIRTIO, "");
        axt_to_wire(&net, 0, 16, axt_len_sweep);
        axt_to_guest(&net, 16, WINDOW, axt_len_sweep);
        axt_net_stop(&net);
    }
}

static size_t len_some(uint32_t seq)
{
    return AXT_LEN_MIN + 11 * seq % (AXT_LEN_MAX - AXT_LEN_MIN + 1);
}

/* Generic XDP, both ways. */
static void test_copy_sizes(const void *data)
{
    const uint32_t n = 400;
    AxtNet net;

    axt_net_start(&net, GPOINTER_TO_INT(data), 1, 1500, "%s", "");
    assert_mode(&net, ",mode=skb");
    axt_to_wire(&net, 0, n, len_some);
    axt_to_guest(&net, n, WINDOW, len_some);
    axt_net_stop(&net);
}

static void test_copy_native(void)
{
    AxtWire *wire = axt_wire_new(1, 1500);
    g_autofree char *output =
        axt_qemu_fails("-netdev af-xdp,id=n0,ifname=" AXT_DEV ",mode=native",
                       NULL);

    g_assert_nonnull(strstr(output, "takes no native XDP program"));
    g_assert_nonnull(strstr(output, "mode=skb"));
    axt_wire_free(wire);
}

void axt_add_device_tests(void)
{
    axt_add_data("copy/virtio/sizes", GINT_TO_POINTER(AXT_VIRTIO),
                 test_copy_sizes);
    qtest_add_data_func("af-xdp/copy/e1000e/sizes",
                        GINT_TO_POINTER(AXT_E1000E), test_copy_sizes);
    qtest_add_func("af-xdp/copy/native", test_copy_native);
    axt_add_data("device/virtio/sizes", GINT_TO_POINTER(AXT_VIRTIO),
                 test_sizes);
    qtest_add_data_func("af-xdp/device/e1000e/sizes",
                        GINT_TO_POINTER(AXT_E1000E), test_sizes);
    axt_add("device/virtio/reset", test_reset);
    axt_add("device/virtio/again", test_again);
}
