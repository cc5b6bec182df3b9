/*
 * af-xdp qtest: queues that a NIC has leased to a netkit device
 *
 * For a wire that is given, with $AXT_EVENTS, see af-xdp-wire.h: AXT_DEV is the
 * netkit device, AXT_PEER the other end of the NIC's cable. What a NIC in
 * driver zero-copy does is tested in af-xdp-device-zero-copy-tests.c; here is
 * what is special to a lease: the program is somebody else's, the NIC is out
 * of sight, and both can go.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qobject/qdict.h"
#include "af-xdp-link.h"
#include "af-xdp-zero-copy.h"

#define RAM_SIZE (96 * MiB)
#define RAM_SIZE_PAIRS (128 * MiB)

/* See af-xdp-device-zero-copy-tests.c */
#define SIZES .rx_size = 256, .tx_size = 64, .tx_slots = 16
#define WINDOW 16

#define FLOWS 64

static void start(AxtZc *z, unsigned queues)
{
    const AxtZcConfig config = {
        .ram = { .size = queues > 1 ? RAM_SIZE_PAIRS : RAM_SIZE,
                 .hugetlb = true },
        .queues = queues,
        .canary = true,
        .virtio = { SIZES },
    };
    g_autofree char *info = NULL;

    axt_zc_start(z, &config);
    info = qtest_hmp(z->net.vm->qts, "info network");
    g_test_message("%s", info);
    g_assert_nonnull(strstr(info, ",mode=driver zero-copy"));
    g_assert_nonnull(strstr(info, "inhibited (map-path)"));
    axt_zc_assert_on(z);
}

/* Both ways, in guest memory but for the frames that are posted first. */
static void traffic(AxtZc *z)
{
    const unsigned lap = 512 + 2 * z->net.nic->rx_bufs;
    AxtZcCounts before, c;

    axt_zc_counts(z, &before);
    axt_to_guest(&z->net, lap, WINDOW, axt_len_sweep);
    axt_to_wire(&z->net, 0, 100, axt_len_sweep);
    c = axt_zc_count(z, &before);
    g_assert_cmpuint(c.rx, ==, lap);
    g_assert_cmpuint(c.rx_direct, >, 0);
    g_assert_cmpuint(c.tx_direct + c.tx_outside, ==, 100);
    g_assert_cmpuint(c.lost, ==, 0);
}

/* Something ends, under traffic, and with it all writing; then it is back. */
static void there_and_back(AxtZc *z, const char *go, const char *status,
                           const char *come)
{
    AxtBlast *blast = axt_blast_start(z->net.wire, 1, AXT_LEN_MAX);
    AxtCanaryRanges *ranges = axt_canary_ranges(z->net.nic);
    g_autofree uint8_t *copy = NULL;

    g_test_message("%s", go);
    g_usleep(20000);
    axt_wire_event(go);
    g_free(axt_wait_status(&z->net, status));
    axt_wait_link(&z->net, false);
    copy = axt_ram_copy(z->net.vm);
    axt_assert_idle(&z->net);
    axt_ram_check(z->net.vm, copy, go);
    axt_canary_check(z->net.vm, ranges);
    axt_canary_ranges_free(ranges);
    axt_blast_stop(blast);
    axt_wire_event(come);
    axt_wire_again(z->net.wire);
    g_free(axt_wait_status(&z->net, "up"));
    axt_wait_link(&z->net, true);
    axt_wire_settle(z->net.wire);
    axt_zc_assert_on(z);
    axt_settle(&z->net);
    traffic(z);
}

static void test_nic_down(void)
{
    AxtZc z;

    start(&z, 1);
    traffic(&z);
    there_and_back(&z, "nic-down", "down", "nic-up");
    axt_zc_stop(&z);
}

static void test_deleted(void)
{
    AxtZc z;

    start(&z, 1);
    traffic(&z);
    there_and_back(&z, "gone", "deleted", "back");
    axt_zc_stop(&z);
}

static void test_moved(void)
{
    AxtZc z;

    start(&z, 1);
    traffic(&z);
    there_and_back(&z, "away", "moved", "home");
    axt_zc_stop(&z);
}

static void test_nic_gone(void)
{
    AxtZc z;

    start(&z, 1);
    traffic(&z);
    there_and_back(&z, "nic-gone", "deleted", "nic-back");
    axt_zc_stop(&z);
}

/* --- Queue pairs --- */

/* Frames of many flows; both queues of the guest get some, and all arrive. */
static void flows_to_guest(AxtZc *z, unsigned *by)
{
    gint64 end = g_get_monotonic_time() + AXT_TIMEOUT_US;
    bool seen[FLOWS] = { false };
    uint8_t buf[AXT_LEN_MAX];
    unsigned i, q, got = 0;

    for (i = 0; i < FLOWS; i++) {
        axt_frame_fill(buf, 60 + 20 * i, i, i);
        axt_wire_send(z->net.wire, buf, 60 + 20 * i);
        g_usleep(200);
    }
    while (got < FLOWS) {
        for (q = 0; q < 2; q++) {
            ssize_t len = axt_nic_rx(z->net.nic, q, buf, sizeof(buf));

            if (len >= 0) {
                unsigned seq = axt_frame_check(buf, len, NULL);

                g_assert_cmpuint(seq, <, FLOWS);
                g_assert_false(seen[seq]);
                seen[seq] = true;
                axt_nic_rx_kick(z->net.nic, q);
                by[q]++;
                got++;
            }
        }
        g_assert_cmpint(g_get_monotonic_time(), <, end);
    }
}

static void pairs_traffic(AxtZc *z, unsigned rounds)
{
    unsigned i, by[2] = { 0 };

    for (i = 0; i < rounds; i++) {
        flows_to_guest(z, by);
    }
    g_assert_cmpuint(by[0], >, 0);
    g_assert_cmpuint(by[1], >, 0);
    axt_to_wire(&z->net, 0, 100, axt_len_sweep);
    axt_to_wire(&z->net, 1, 100, axt_len_sweep);
    g_assert_cmpuint(axt_counter(z->net.vm, "tx-direct"), >=, 200);
}

/* Two leased queues share guest memory. */
static void test_pairs(void)
{
    AxtZc z;

    start(&z, 2);
    /* More than the frames that come first. */
    pairs_traffic(&z, 20);
    g_assert_cmpuint(axt_counter(z.net.vm, "rx-direct"), >, 0);
    axt_wire_event("gone");
    g_free(axt_wait_status(&z.net, "deleted"));
    axt_wait_link(&z.net, false);
    axt_wire_event("back");
    axt_wire_again(z.net.wire);
    g_free(axt_wait_status(&z.net, "up"));
    axt_wait_link(&z.net, true);
    axt_wire_settle(z.net.wire);
    axt_zc_assert_on(&z);
    pairs_traffic(&z, 2);
    axt_zc_stop(&z);
}

void axt_add_leased_tests(void)
{
    if (!axt_wire_can_go()) {
        return;
    }
    axt_add_zero_copy("leased/nic-down", test_nic_down);
    axt_add_zero_copy("leased/deleted", test_deleted);
    axt_add_zero_copy("leased/moved", test_moved);
    axt_add_zero_copy("leased/nic-gone", test_nic_gone);
    axt_add_zero_copy("leased/pairs", test_pairs);
}
