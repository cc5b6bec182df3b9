/*
 * af-xdp qtest: what the drivers share, and traffic between guest and wire
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "af-xdp-net.h"

void axt_nic_send(AxtNic *nic, unsigned queue, const uint8_t *data,
                  size_t len)
{
    g_assert_true(axt_nic_tx(nic, queue, data, &len, 1, false));
    axt_nic_tx_kick(nic, queue);
}

ssize_t axt_nic_recv(AxtNic *nic, unsigned queue, uint8_t *buf, size_t size,
                     int timeout_ms)
{
    gint64 end = g_get_monotonic_time() + timeout_ms * 1000LL;

    for (;;) {
        ssize_t n = axt_nic_rx(nic, queue, buf, size);

        if (n >= 0) {
            axt_nic_rx_kick(nic, queue);
            if (axt_frame_is_ours(buf, n)) {
                return n;
            }
        } else if (g_get_monotonic_time() >= end) {
            return -1;
        } else {
            axt_pause();
        }
    }
}

void axt_nic_tx_wait(AxtNic *nic, unsigned queue)
{
    gint64 end = g_get_monotonic_time() + AXT_TIMEOUT_US;

    while (axt_nic_tx_pending(nic, queue)) {
        g_assert_cmpint(g_get_monotonic_time(), <, end);
        axt_pause();
    }
}

/* What a test runs over; which, is known while it runs. */
typedef struct PathTest {
    const char *path;
    GTestDataFunc func;
    const void *data;
} PathTest;

static const char copy_path[] = ",vhost=off";
static const char vhost_path[] = ",vhost=on,zero-copy=off";
static const char zero_copy_path[] = ",vhost=on,zero-copy=on";
static const char *path = "";

const char *axt_path(void)
{
    static char *all;

    g_free(all);
    all = g_strconcat(path, axt_wire_options(), NULL);
    return all;
}

bool axt_vhost(void)
{
    return path == vhost_path || path == zero_copy_path;
}

static void path_test(const void *opaque)
{
    const PathTest *t = opaque;

    path = t->path;
    t->func(t->data);
    path = "";
}

static void plain_test(const void *func)
{
    ((void (*)(void))func)();
}

static void add_path_test(const char *prefix, const char *name,
                          const char *option, const void *data,
                          GTestDataFunc func)
{
    g_autofree char *full = g_strdup_printf("%s/%s", prefix, name);
    PathTest *t = g_new(PathTest, 1);

    *t = (PathTest) { option, func, data };
    qtest_add_data_func_full(full, t, path_test, g_free);
}

void axt_add_vhost_data(const char *name, const void *data, GTestDataFunc func)
{
    add_path_test("af-xdp/vhost", name, vhost_path, data, func);
}

void axt_add_vhost(const char *name, void (*func)(void))
{
    axt_add_vhost_data(name, (const void *)func, plain_test);
}

void axt_add_zero_copy_data(const char *name, const void *data,
                            GTestDataFunc func)
{
    add_path_test("af-xdp/zero-copy", name, zero_copy_path, data, func);
}

void axt_add_zero_copy(const char *name, void (*func)(void))
{
    axt_add_zero_copy_data(name, (const void *)func, plain_test);
}

void axt_add_fast_data(const char *name, const void *data, GTestDataFunc func)
{
    axt_add_vhost_data(name, data, func);
    axt_add_zero_copy_data(name, data, func);
}

void axt_add_fast(const char *name, void (*func)(void))
{
    axt_add_fast_data(name, (const void *)func, plain_test);
}

void axt_add_copy_data(const char *name, const void *data, GTestDataFunc func)
{
    add_path_test("af-xdp", name, copy_path, data, func);
}

void axt_add_data(const char *name, const void *data, GTestDataFunc func)
{
    axt_add_copy_data(name, data, func);
    axt_add_vhost_data(name, data, func);
}

void axt_add(const char *name, void (*func)(void))
{
    axt_add_data(name, (const void *)func, plain_test);
}

/* The packets must go where the test wants them. */
static void check_path(AxtNet *net)
{
    g_autofree char *info = NULL;

    if (*path) {
        info = qtest_hmp(net->vm->qts, "info network");
        g_assert_nonnull(strstr(info, path));
    }
}

void axt_net_start(AxtNet *net, AxtModel model, unsigned queues,
                   unsigned mtu, const char *fmt, ...)
{
    static const char *const devices[] = {
        [AXT_VIRTIO] = "virtio-net-pci",
        [AXT_E1000E] = "e1000e",
    };
    g_autofree char *options = NULL;
    g_autofree char *mq = NULL;
    va_list ap;

    va_start(ap, fmt);
    options = g_strdup_vprintf(fmt, ap);
    va_end(ap);

    if (model == AXT_VIRTIO && queues > 1) {
        mq = g_strdup_printf(",mq=on,vectors=%u", 2 * queues + 2);
    }
    net->wire = axt_wire_new(queues, mtu);
    net->vm = axt_vm_new("-netdev af-xdp,id=n0,ifname=" AXT_DEV
                         ",queues=%u%s%s -device %s," AXT_NIC_ARGS ",id=nic%s",
                         queues, options, axt_path(), devices[model],
                         mq ?: "");
    net->nic = model == AXT_VIRTIO ? axt_virtio_new(net->vm, queues)
                                   : axt_e1000e_new(net->vm);
    axt_wire_settle(net->wire);
    check_path(net);
}

void axt_net_stop(AxtNet *net)
{
    axt_nic_free(net->nic);
    axt_vm_free(net->vm);
    axt_wire_free(net->wire);
}

void axt_net_plug(AxtNet *net, const char *options)
{
    g_autofree char *all = g_strconcat(options, axt_path(), NULL);
    g_autofree char *error = axt_netdev_add(net->vm, "n0", all);

    g_assert_cmpstr(error, ==, NULL);
    qtest_qmp_device_add(net->vm->qts, "virtio-net-pci", "nic",
                         "{'netdev': 'n0', 'addr': '4', 'romfile': ''}");
    net->nic = axt_virtio_new(net->vm, 1);
    check_path(net);
}

size_t axt_len_sweep(uint32_t seq)
{
    return AXT_LEN_MIN + seq % (AXT_LEN_MAX - AXT_LEN_MIN + 1);
}

size_t axt_len_small(uint32_t seq)
{
    return 64;
}

/* Fails the test when nothing has moved for AXT_TIMEOUT_US. */
static void check_progress(AxtNet *net, gint64 *last, bool moved,
                           const char *what, uint32_t done, uint32_t total)
{
    gint64 now = g_get_monotonic_time();

    if (moved) {
        *last = now;
    } else if (now - *last > AXT_TIMEOUT_US) {
        g_autofree char *info = qtest_hmp(net->vm->qts, "info network");

        axt_wire_assert_no_drops(net->wire);
        g_error("%s: stuck after %u of %u frames\n%s", what, done, total,
                info);
    }
}

void axt_to_wire(AxtNet *net, unsigned queue, uint32_t n,
                 size_t (*len_of)(uint32_t seq))
{
    g_autofree uint8_t *buf = g_malloc(AXT_FRAME_MAX);
    gint64 last = g_get_monotonic_time();
    uint32_t sent = 0, got = 0;

    while (got < n) {
        uint32_t before = sent + got;
        ssize_t len;

        while (sent < n) {
            size_t size = len_of(sent);

            axt_frame_fill(buf, size, sent, queue);
            if (!axt_nic_tx(net->nic, queue, buf, &size, 1, false)) {
                break;
            }
            sent++;
        }
        if (sent + got != before) {
            axt_nic_tx_kick(net->nic, queue);
        }
        while ((len = axt_wire_recv(net->wire, queue, buf, AXT_FRAME_MAX,
                                    0)) >= 0) {
            /* In order, each once: nothing lost and nothing doubled. */
            g_assert_cmpuint(axt_frame_check(buf, len, NULL), ==, got);
            got++;
        }
        check_progress(net, &last, sent + got != before, "guest to wire",
                       got, n);
    }
    axt_nic_tx_wait(net->nic, queue);
    g_assert_cmpint(axt_wire_recv(net->wire, queue, buf, AXT_FRAME_MAX, 20),
                    ==, -1);
    axt_wire_assert_no_drops(net->wire);
}

void axt_to_guest(AxtNet *net, uint32_t n, uint32_t window,
                  size_t (*len_of)(uint32_t seq))
{
    g_autofree uint8_t *buf = g_malloc(AXT_FRAME_MAX);
    gint64 last = g_get_monotonic_time();
    uint32_t sent = 0, got = 0;

    while (got < n) {
        uint32_t before = sent + got;
        bool reuse = false;
        ssize_t len;

        while (sent < n && sent - got < window) {
            axt_frame_fill(buf, len_of(sent), sent, 0);
            axt_wire_send(net->wire, buf, len_of(sent));
            sent++;
        }
        while ((len = axt_nic_rx(net->nic, 0, buf, AXT_FRAME_MAX)) >= 0) {
            reuse = true;
            if (!axt_frame_is_ours(buf, len)) {
                continue;
            }
            g_assert_cmpuint(axt_frame_check(buf, len, NULL), ==, got);
            got++;
        }
        if (reuse) {
            axt_nic_rx_kick(net->nic, 0);
        } else {
            axt_pause();
        }
        check_progress(net, &last, sent + got != before, "wire to guest",
                       got, n);
    }
    g_assert_cmpint(axt_nic_recv(net->nic, 0, buf, AXT_FRAME_MAX, 20), ==,
                    -1);
    axt_wire_assert_no_drops(net->wire);
}

void axt_some_traffic(AxtNet *net)
{
    axt_to_wire(net, 0, 64, axt_len_sweep);
    axt_to_guest(net, 64, AXT_WINDOW, axt_len_sweep);
}
