/*
 * af-xdp qtest: guest zero-copy on a device whose driver can do zero-copy: the
 * device itself reads and writes guest memory
 *
 * For a wire that is given, see af-xdp-wire.h, and with huge pages. How it ends
 * is tested in af-xdp-zero-copy-stop-tests.c.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <sys/mman.h>
#include <sys/wait.h>
#include "af-xdp-zero-copy.h"

/* An MTU that allows frames of 1518 bytes without a VLAN tag. */
#define MTU 1504
#define LEN_MAX (MTU + 14)
#define SWEEP (LEN_MAX - AXT_LEN_MIN + 1)

#define PAGE (2 * MiB)

/* Frames on their way to the guest: fewer than always are posted. */
#define WINDOW 16

/* So many times around the ring at most, until direct buffers are in use. */
#define PRIME_LAPS 8

/*
 * A short ring to send by: filling it is what takes long here. The receive ring
 * is much longer than what is on its way, so that the device always has
 * buffers: without, Linux' igb (7.2) finds packets that are none, and QEMU's
 * network, in which all of this happens, may change the order of two.
 */
#define SIZES .rx_size = 256, .tx_size = 64, .tx_slots = 16

#define RAM_SIZE (96 * MiB)

static size_t len_all(uint32_t seq)
{
    return AXT_LEN_MIN + seq % SWEEP;
}

static void assert_driver(AxtZc *z)
{
    g_autofree char *info = qtest_hmp(z->net.vm->qts, "info network");

    g_test_message("%s", info);
    g_assert_nonnull(strstr(info, ",mode=driver zero-copy"));
    g_assert_null(strstr(info, ",mode=copy"));
}

static void start(AxtZc *z, const AxtVirtioConfig *virtio)
{
    AxtZcConfig config = {
        .ram = { .size = RAM_SIZE, .hugetlb = true },
        .mtu = MTU,
    };

    config.virtio = virtio ? *virtio : (AxtVirtioConfig) { SIZES };
    axt_zc_start(z, &config);
    assert_driver(z);
    axt_zc_assert_on(z);
}

/*
 * Let the device use up the frames that are posted first, and those that are
 * behind all of the guest's buffers.
 */
static void prime(AxtZc *z)
{
    const unsigned lap = z->net.nic->rx_bufs + 64;
    AxtZcCounts before, c = { 0 };
    unsigned i;

    axt_zc_counts(z, &before);
    for (i = 0; i < PRIME_LAPS && (i == 0 || c.early + c.page > 0); i++) {
        axt_to_guest(&z->net, lap, WINDOW, axt_len_small);
        c = axt_zc_count(z, &before);
    }
}

static AxtZcCounts both_ways(AxtZc *z, uint32_t n)
{
    AxtZcCounts before, c;

    axt_zc_counts(z, &before);
    axt_to_guest(&z->net, n, WINDOW, len_all);
    axt_to_wire(&z->net, 0, n, len_all);
    c = axt_zc_count(z, &before);
    g_assert_cmpuint(c.rx, ==, n);
    g_assert_cmpuint(c.tx, ==, n);
    g_assert_cmpuint(c.lost, ==, 0);
    /* Each has one reason. */
    g_assert_cmpuint(c.rx_direct + c.early + c.is_short + c.chain + c.outside +
                     c.page + c.mixed, ==, n);
    return c;
}

/* All buffers of the first queue pair from @gpa on. */
static void move_to(AxtZc *z, uint64_t gpa)
{
    AxtVirtio *v = axt_virtio(z->net.nic);
    gint64 end = g_get_monotonic_time() + AXT_TIMEOUT_US;

    axt_virtio_move(z->net.nic, gpa);
    while (axt_virtio_outside(&v->rx[0]) + axt_virtio_outside(&v->tx[0]) !=
           v->rx[0].n_slots + v->tx[0].n_slots) {
        axt_to_wire(&z->net, 0, 64, axt_len_small);
        axt_to_guest(&z->net, 64, WINDOW, axt_len_small);
        g_assert_cmpint(g_get_monotonic_time(), <, end);
    }
}

/* --- Packets --- */

/* All sizes, each byte of them, by the device alone. */
static void test_sizes(void)
{
    AxtZcCounts c;
    AxtZc z;

    start(&z, NULL);
    /* In the middle of a page: no buffer lies in two. */
    move_to(&z, RAM_SIZE - 40 * MiB + MiB / 2);
    prime(&z);
    c = both_ways(&z, SWEEP);
    g_assert_cmpuint(c.rx_direct, ==, SWEEP);
    g_assert_cmpuint(c.tx_direct, ==, SWEEP);
    axt_zc_stop(&z);
}

/* Buffers that Linux would post, and others. */
static void test_kinds(void)
{
    static const struct {
        AxtVirtioConfig virtio;
        bool chain;
        bool is_short;
    } kinds[] = {
        { { SIZES, .packed = true, .event_idx = true } },
        { { SIZES, .not_mergeable = true, .indirect = true } },
        /* No NIC wants more than this, and none wants less than that. */
        { { SIZES, .rx_len = 12 + 1536 } },
        { { SIZES, .rx_len = 12 + LEN_MAX + 3 }, .is_short = true },
        /*
         * The header apart: the device may write in front of the data, and
         * there is something else.
         */
        { { SIZES, .cuts = { 12 }, .n_cuts = 1 }, .chain = true },
        { { SIZES, .cuts = { 12 }, .n_cuts = 1, .packed = true,
            .not_mergeable = true, .indirect = true }, .chain = true },
    };
    unsigned i;
    AxtZc z;

    start(&z, NULL);
    for (i = 0; i < ARRAY_SIZE(kinds); i++) {
        const uint32_t n = 300;
        AxtZcCounts c;

        g_test_message("kind %u", i);
        axt_virtio_again(z.net.nic, &kinds[i].virtio);
        axt_wire_settle(z.net.wire);
        axt_zc_assert_on(&z);
        move_to(&z, RAM_SIZE - 40 * MiB + MiB / 2);
        prime(&z);
        c = both_ways(&z, n);
        g_assert_cmpuint(kinds[i].is_short ? c.is_short :
                         kinds[i].chain ? c.chain : c.rx_direct, ==, n);
        g_assert_cmpuint(c.tx_direct, ==, n);
    }
    axt_zc_stop(&z);
}

/* Send the frame @seq from @gpa on, header and all. */
static void send_from(AxtZc *z, uint64_t gpa, uint32_t seq)
{
    AxtVirtio *v = axt_virtio(z->net.nic);
    const uint32_t len = len_all(seq);
    const AxtSeg seg = { gpa, v->hdr_len + len, false };
    gint64 end = g_get_monotonic_time() + AXT_TIMEOUT_US;
    uint8_t buf[LEN_MAX];
    uint32_t used;

    axt_frame_fill(buf, len, seq, 0);
    memset(axt_ram(z->net.vm, gpa), 0, v->hdr_len);
    memcpy((uint8_t *)axt_ram(z->net.vm, gpa) + v->hdr_len, buf, len);
    g_assert_cmpint(axt_ring_add(&v->tx[0].ring, &seg, 1, NULL, 0), >=, 0);
    axt_virtio_kick(z->net.nic, &v->tx[0]);
    g_assert_cmpint(axt_wire_recv(z->net.wire, 0, buf, sizeof(buf), 5000), ==,
                    len);
    g_assert_cmpuint(axt_frame_check(buf, len, NULL), ==, seq);
    while (axt_ring_get(&v->tx[0].ring, &used) < 0) {
        g_assert_cmpint(g_get_monotonic_time(), <, end);
        axt_pause();
    }
}

/*
 * Pages are neighbours for the guest, not for the device: what lies in two is
 * copied.
 */
static void test_page_crossing(void)
{
    const uint64_t border = RAM_SIZE - 40 * MiB;
    const unsigned n = 600, n_tx = 40;
    AxtZcCounts before, c;
    unsigned i, lie_in_two = 0;
    AxtVirtio *v;
    AxtZc z;

    QEMU_BUILD_BUG_ON((RAM_SIZE - 40 * MiB) % PAGE);
    start(&z, NULL);
    v = axt_virtio(z.net.nic);
    move_to(&z, border - 30 * v->rx[0].slot_size - 1000);
    axt_zc_counts(&z, &before);
    axt_to_guest(&z.net, n, WINDOW, len_all);
    c = axt_zc_count(&z, &before);
    g_assert_cmpuint(c.page, >, 0);
    g_assert_cmpuint(c.rx_direct, >, 0);
    g_assert_cmpuint(c.rx_direct + c.page + c.early, ==, n);

    for (i = 0; i < n_tx; i++) {
        const uint32_t seq = 37 * i;
        /* Before the border, in the header, in the data, behind it. */
        const uint64_t at = border + PAGE - 12 - len_all(seq) + 29 * i;

        lie_in_two += at + 12 < border + PAGE &&
                      at + 12 + len_all(seq) > border + PAGE;
        send_from(&z, at, seq);
    }
    c = axt_zc_count(&z, &before);
    g_assert_cmpuint(lie_in_two, >, 0);
    g_assert_cmpuint(c.tx_outside, ==, lie_in_two);
    g_assert_cmpuint(c.tx_direct, ==, n_tx - lie_in_two);
    axt_zc_stop(&z);
}

/* --- Nothing is written behind a buffer's end --- */

#define LONG_LEN 2000

/* The wire has longer frames than the device's MTU allows. */
static void test_too_long(void)
{
    const AxtVirtioConfig virtio = {
        SIZES, .rx_len = 12 + 1536,
    };
    uint8_t frame[LONG_LEN];
    unsigned i, k;
    AxtVirtio *v;
    AxtZc z;

    start(&z, &virtio);
    prime(&z);
    v = axt_virtio(z.net.nic);
    for (i = 0; i < v->rx[0].n_slots; i++) {
        memset((uint8_t *)axt_ram(z.net.vm, v->rx[0].at[i]) + virtio.rx_len,
               AXT_CANARY, v->rx[0].slot_size - virtio.rx_len);
    }
    axt_ip("link set dev " AXT_PEER " mtu 3000");
    for (i = 0; i < 2 * v->rx[0].n_slots; i++) {
        axt_frame_fill(frame, LONG_LEN - i % 400, i, 0);
        axt_wire_send(z.net.wire, frame, LONG_LEN - i % 400);
        g_usleep(1000);
    }
    axt_ip("link set dev " AXT_PEER " mtu %u", MTU);
    while (axt_nic_recv(z.net.nic, 0, frame, sizeof(frame), 50) >= 0) {
        /* If it arrives, then in several buffers. */
    }
    for (i = 0; i < v->rx[0].n_slots; i++) {
        const uint8_t *behind = axt_ram(z.net.vm, v->rx[0].at[i]);

        for (k = virtio.rx_len; k < v->rx[0].slot_size; k++) {
            g_assert_cmphex(behind[k], ==, AXT_CANARY);
        }
    }
    both_ways(&z, 100);
    axt_zc_stop(&z);
}

/* --- What cannot be --- */

static void falls_back(bool hugetlb, const char *netdev, const char *why)
{
    const AxtZcConfig config = {
        .ram = { .size = RAM_SIZE, .hugetlb = hugetlb },
        .netdev = netdev,
        .virtio = { SIZES },
    };
    AxtZc z;

    axt_zc_start(&z, &config);
    assert_driver(&z);
    axt_zc_assert_off(&z, why);
    axt_to_guest(&z.net, 64, WINDOW, axt_len_sweep);
    axt_to_wire(&z.net, 0, 64, axt_len_sweep);
    g_assert_cmpuint(axt_counter(z.net.vm, "rx-direct"), ==, 0);
    g_assert_cmpuint(axt_zc_lines(&z, why), ==, 1);
    axt_zc_stop(&z);
}

static void test_refused(void)
{
    AxtWire *wire = axt_wire_new(1, 1500);
    g_autofree char *output =
        axt_qemu_fails("-machine pc,memory-backend=r0 -m 64 "
                       "-object memory-backend-memfd,id=r0,size=64M,share=on "
                       "-netdev af-xdp,id=n0,ifname=" AXT_DEV ",zero-copy=on "
                       "-device virtio-net-pci,netdev=n0,romfile=", NULL);

    g_assert_nonnull(strstr(output, "'r0' has none"));
    g_assert_nonnull(strstr(output, "hugetlb=on"));
    axt_wire_free(wire);
    falls_back(false, ",zero-copy=auto", "needs huge pages");
    falls_back(true, ",zero-copy=auto,mac-filter=on", "mac-filter=on");
}

/* Pages of any size will do if the kernel copies. */
static void test_force_copy(void)
{
    const AxtZcConfig config = {
        .ram.size = RAM_SIZE,
        .netdev = ",zero-copy=on,force-copy=on",
        .virtio = { SIZES },
    };
    AxtZcCounts c;
    AxtZc z;

    axt_zc_start(&z, &config);
    axt_zc_assert_on(&z);
    prime(&z);
    c = both_ways(&z, 200);
    g_assert_cmpuint(c.rx_direct, ==, 200);
    axt_zc_stop(&z);
}

/* --- Sudden ends --- */

/* The guest resets its NIC while the device is down, which comes back. */
static void test_down(void)
{
    AxtZc z;

    start(&z, NULL);
    prime(&z);
    axt_ip("link set dev " AXT_DEV " down");
    axt_virtio_reset(z.net.nic);
    axt_virtio_restart(z.net.nic);
    axt_ip("link set dev " AXT_DEV " up");
    axt_wire_settle(z.net.wire);
    axt_virtio_again(z.net.nic, NULL);
    axt_wire_settle(z.net.wire);
    assert_driver(&z);
    axt_zc_assert_on(&z);
    prime(&z);
    both_ways(&z, 100);
    axt_zc_stop(&z);
}

/* QEMU dies while the device has its guest's memory; another one comes. */
static void test_kill(void)
{
    unsigned i;

    for (i = 0; i < 2; i++) {
        AxtBlast *blast;
        pid_t pid;
        AxtZc z;

        start(&z, NULL);
        prime(&z);
        blast = axt_blast_start(z.net.wire, 1, LEN_MAX);
        g_usleep(20000);
        pid = qtest_pid(z.net.vm->qts);
        kill(pid, SIGKILL);
        g_assert_cmpint(waitpid(pid, NULL, 0), ==, pid);
        /* What is left of it here takes a killed QEMU for a crash. */
        qtest_remove_abrt_handler(z.net.vm->qts);
        munmap(z.net.vm->ram, z.net.vm->ram_size);
        g_usleep(20000);
        axt_blast_stop(blast);
        axt_wire_free(z.net.wire);
    }
    test_sizes();
}

void axt_add_device_zero_copy_tests(void)
{
    axt_add_zero_copy("device/sizes", test_sizes);
    axt_add_zero_copy("device/kinds", test_kinds);
    axt_add_zero_copy("device/page-crossing", test_page_crossing);
    axt_add_zero_copy("device/too-long", test_too_long);
    axt_add_zero_copy("device/refused", test_refused);
    axt_add_zero_copy("device/force-copy", test_force_copy);
    axt_add_zero_copy("device/down", test_down);
    axt_add_zero_copy("device/kill", test_kill);
}
