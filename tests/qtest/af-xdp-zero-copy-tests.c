/*
 * af-xdp qtest: guest zero-copy: packets, buffers of all kinds, RAM of all
 * kinds
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/bswap.h"
#include <linux/if_ether.h>
#include "af-xdp-zero-copy.h"

/* All lengths of frames without a VLAN tag, once each. */
#define SWEEP (AXT_LEN_MAX - AXT_LEN_MIN + 1)

/* Frames with lengths from anywhere in there. */
#define SOME 300

/* The most packets that are copied before direct buffers are in use. */
#define PRIME_MAX 2048

#define JUMBO_MTU 9000
#define JUMBO_MAX (JUMBO_MTU + ETH_HLEN)

#define VLAN_TAG 4
#define VLAN_MAX (AXT_LEN_MAX + VLAN_TAG)

/*
 * Let the device use up its own frames, which are posted before the first
 * buffers of a start are.
 */
static void prime(AxtZc *z)
{
    AxtZcCounts before, c = { 0 };
    unsigned i;

    axt_zc_counts(z, &before);
    for (i = 0; i < PRIME_MAX / 64 && (i == 0 || c.early > 0); i++) {
        axt_to_guest(&z->net, 64, 32, axt_len_small);
        c = axt_zc_count(z, &before);
    }
    g_assert_cmpuint(c.early, ==, 0);
}

static AxtZcCounts both_ways(AxtZc *z, uint32_t n,
                             size_t (*len_of)(uint32_t seq))
{
    AxtZcCounts before, c;

    axt_zc_counts(z, &before);
    axt_to_wire(&z->net, 0, n, len_of);
    axt_to_guest(&z->net, n, 48, len_of);
    c = axt_zc_count(z, &before);
    g_assert_cmpuint(c.rx, ==, n);
    g_assert_cmpuint(c.tx, ==, n);
    g_assert_cmpuint(c.lost, ==, 0);
    /* Each has one reason. */
    g_assert_cmpuint(c.rx_direct + c.early + c.is_short + c.chain + c.outside +
                     c.mixed, ==, n);
    return c;
}

static void assert_direct(const AxtZcCounts *c)
{
    g_assert_cmpuint(c->rx_direct, ==, c->rx);
    g_assert_cmpuint(c->tx_direct, ==, c->tx);
}

/* Frames with a VLAN tag are four bytes longer than the MTU says. */
static void vlan_frames(AxtZc *z)
{
    uint8_t frame[VLAN_MAX], buf[AXT_RX_BUF];
    size_t len;

    for (len = VLAN_MAX - VLAN_TAG; len <= VLAN_MAX; len++) {
        gint64 end = g_get_monotonic_time() + AXT_TIMEOUT_US;
        ssize_t n;

        axt_frame_fill(frame, len - VLAN_TAG, len, 0);
        memmove(frame + 12 + VLAN_TAG, frame + 12, len - VLAN_TAG - 12);
        stw_be_p(frame + 12, ETH_P_8021Q);
        stw_be_p(frame + 14, 5);
        axt_wire_send(z->net.wire, frame, len);
        do {
            n = axt_nic_rx(z->net.nic, 0, buf, sizeof(buf));
            g_assert_cmpint(g_get_monotonic_time(), <, end);
        } while (n < 0);
        axt_nic_rx_kick(z->net.nic, 0);
        g_assert_cmpint(n, ==, len);
        g_assert_cmpint(memcmp(frame, buf, len), ==, 0);

        /* The other end takes the tag off. */
        axt_nic_send(z->net.nic, 0, frame, len);
        n = axt_wire_recv(z->net.wire, 0, buf, sizeof(buf), 2000);
        g_assert_cmpint(n, ==, len - VLAN_TAG);
        g_assert_cmpuint(axt_frame_check(buf, n, NULL), ==, len);
    }
    axt_nic_tx_wait(z->net.nic, 0);
}

static size_t len_some(uint32_t seq)
{
    return AXT_LEN_MIN + seq * 37 % SWEEP;
}

static const AxtVirtioConfig kinds[] = {
    { 0 },
    { .event_idx = true, .honest_kicks = true },
    { .not_mergeable = true },
    { .packed = true },
    { .packed = true, .not_mergeable = true, .honest_kicks = true },
    { .indirect = true },
    { .indirect = true, .packed = true },
    /* The header apart, as Linux does with buffers of a page. */
    { .cuts = { 12 }, .n_cuts = 1 },
    { .cuts = { 12 }, .n_cuts = 1, .not_mergeable = true },
    { .cuts = { 12 }, .n_cuts = 1, .packed = true, .indirect = true },
    /* Room for 1518 bytes, and not one more. */
    { .rx_len = 12 + VLAN_MAX },
    { .rx_len = 12 + VLAN_MAX, .not_mergeable = true },
};

/* Each kind of buffers is used as it is. */
static void test_kinds(void)
{
    const AxtZcConfig config = { 0 };
    unsigned i;
    AxtZc z;

    axt_zc_start(&z, &config);
    for (i = 0; i < ARRAY_SIZE(kinds); i++) {
        AxtZcCounts c;

        g_test_message("kind %u", i);
        axt_virtio_again(z.net.nic, &kinds[i]);
        axt_zc_assert_on(&z);
        prime(&z);
        /* All lengths with a ring of each kind, many with the rest. */
        c = i < 4 ? both_ways(&z, SWEEP, axt_len_sweep)
                  : both_ways(&z, SOME, len_some);
        assert_direct(&c);
        vlan_frames(&z);
        axt_count_buffers(&z.net);
    }
    axt_zc_stop(&z);
}

/* Drivers from before VIRTIO 1. */
static void test_legacy(void)
{
    const AxtZcConfig config = { .device = ",disable-modern=on,packed=off" };
    unsigned i;
    AxtZc z;

    axt_zc_start(&z, &config);
    for (i = 0; i < 4; i++) {
        const unsigned hdr_len = i & 1 ? 10 : 12;
        const AxtVirtioConfig kind = {
            .not_mergeable = i & 1,
            .cuts = { hdr_len },
            .n_cuts = i / 2,
        };
        AxtZcCounts c;

        axt_virtio_again(z.net.nic, &kind);
        g_assert_cmpuint(axt_virtio(z.net.nic)->hdr_len, ==, hdr_len);
        axt_zc_assert_on(&z);
        prime(&z);
        c = both_ways(&z, SOME, len_some);
        assert_direct(&c);
        axt_count_buffers(&z.net);
    }
    axt_zc_stop(&z);
}

/* What cannot be used as it is gets there all the same, and is counted. */
static void test_reasons(void)
{
    const AxtZcConfig config = { 0 };
    static const struct {
        AxtVirtioConfig virtio;
        bool is_short;
        bool chain;
        bool pieces;
    } cases[] = {
        { { .rx_len = 1024 }, .is_short = true },
        { { .rx_len = 12 + VLAN_MAX - 1 }, .is_short = true },
        { { .rx_len = 256, .packed = true }, .is_short = true },
        { { .cuts = { 3, 4, 0, 30 }, .n_cuts = 4 }, .chain = true,
          .pieces = true },
        { { .cuts = { 12, 40 }, .n_cuts = 2, .packed = true }, .chain = true,
          .pieces = true },
        { { .cuts = { 1000 }, .n_cuts = 1, .not_mergeable = true },
          .chain = true },
    };
    unsigned i;
    AxtZc z;

    axt_zc_start(&z, &config);
    for (i = 0; i < ARRAY_SIZE(cases); i++) {
        const uint32_t n = 400;
        AxtZcCounts before, c;

        g_test_message("case %u", i);
        axt_virtio_again(z.net.nic, &cases[i].virtio);
        axt_zc_assert_on(&z);
        prime(&z);
        axt_zc_counts(&z, &before);
        axt_to_guest(&z.net, n, 40, axt_len_sweep);
        c = axt_zc_count(&z, &before);
        if (cases[i].is_short) {
            g_assert_cmpuint(c.is_short, ==, n);
        } else {
            g_assert_cmpuint(c.chain, ==, n);
        }
        /* A cut must be shorter than a frame. */
        if (!cases[i].is_short && cases[i].virtio.cuts[0] < AXT_LEN_MIN) {
            axt_to_wire(&z.net, 0, n, axt_len_sweep);
            c = axt_zc_count(&z, &before);
            g_assert_cmpuint(c.tx_direct + c.tx_pieces, ==, n);
            g_assert_cmpuint(c.tx_pieces, ==, n * cases[i].pieces);
        }
    }
    axt_virtio_again(z.net.nic, &kinds[0]);
    axt_count_buffers(&z.net);
    axt_zc_stop(&z);
}

/* 60 to 9014, and all in between before long. */
static size_t len_jumbo(uint32_t seq)
{
    return AXT_LEN_MIN + seq * 41 % (JUMBO_MAX - AXT_LEN_MIN + 1);
}

/* Around the places where another buffer is needed. */
static size_t len_edges(uint32_t seq)
{
    return 1524 * (1 + seq % 5) - 30 + seq / 5 % 61;
}

static void test_jumbo(void)
{
    const AxtZcConfig config = { .mtu = JUMBO_MTU };
    static const AxtVirtioConfig jumbo_kinds[] = {
        { 0 },
        { .packed = true },
        { .rx_len = 12 + 1524 },
        { .cuts = { 12 }, .n_cuts = 1 },
    };
    unsigned i;
    AxtZc z;

    axt_zc_start(&z, &config);
    for (i = 0; i < ARRAY_SIZE(jumbo_kinds); i++) {
        AxtZcCounts before, c;

        g_test_message("kind %u", i);
        axt_virtio_again(z.net.nic, &jumbo_kinds[i]);
        axt_zc_assert_on(&z);
        prime(&z);
        axt_zc_counts(&z, &before);
        axt_to_guest(&z.net, 1000, 10, len_jumbo);
        axt_to_guest(&z.net, 305, 10, len_edges);
        axt_to_wire(&z.net, 0, 1000, len_jumbo);
        axt_to_wire(&z.net, 0, 305, len_edges);
        c = axt_zc_count(&z, &before);
        g_assert_cmpuint(c.lost, ==, 0);
        g_assert_cmpuint(c.rx_direct, ==, 1305);
        g_assert_cmpuint(c.tx_direct, ==, 1305);
        axt_count_buffers(&z.net);
    }
    axt_zc_stop(&z);
}

/* --- RAM --- */

/* So few that all of them are used before long. */
#define TX_SLOTS 64

/* Buffers from @gpa on, for as long as it takes until all are there. */
static void move_to(AxtZc *z, uint64_t gpa)
{
    AxtVirtio *v = axt_virtio(z->net.nic);
    gint64 end = g_get_monotonic_time() + AXT_TIMEOUT_US;
    const unsigned n = gpa ? v->rx[0].n_slots + v->tx[0].n_slots : 0;

    axt_virtio_move(z->net.nic, gpa);
    while (axt_virtio_outside(&v->rx[0]) + axt_virtio_outside(&v->tx[0]) !=
           n) {
        axt_to_wire(&z->net, 0, 64, axt_len_sweep);
        axt_to_guest(&z->net, 64, 48, axt_len_sweep);
        g_assert_cmpint(g_get_monotonic_time(), <, end);
    }
}

static void in_all_ram(AxtZc *z, const uint64_t *places, unsigned n)
{
    unsigned i;

    for (i = 0; i < n; i++) {
        AxtZcCounts c;

        g_test_message("buffers at 0x%" PRIx64, places[i]);
        move_to(z, places[i]);
        prime(z);
        c = both_ways(z, 300, axt_len_sweep);
        assert_direct(&c);
    }
    move_to(z, 0);
    axt_zc_assert_on(z);
    axt_count_buffers(&z->net);
}

/* Above 4 GiB; the machine has little RAM, but not below. */
static void test_high(void)
{
    const AxtZcConfig config = {
        .ram.low = 128 * MiB,
        .virtio.tx_slots = TX_SLOTS,
    };
    const uint64_t places[] = { 4 * GiB, 4 * GiB + 64 * MiB };
    AxtZc z;

    axt_zc_start(&z, &config);
    in_all_ram(&z, places, ARRAY_SIZE(places));
    axt_zc_stop(&z);
}

static uint64_t mem_available(void)
{
    g_autofree char *text = NULL;
    unsigned long long kib = 0;
    const char *at;

    g_assert_true(g_file_get_contents("/proc/meminfo", &text, NULL, NULL));
    at = strstr(text, "MemAvailable:");
    g_assert_true(at && sscanf(at, "MemAvailable: %llu", &kib) == 1);
    return kib * KiB;
}

/* More than fits below 4 GiB; all of it gets pages when it is registered. */
static void test_large(void)
{
    const AxtZcConfig config = {
        .ram.size = 4 * GiB,
        .virtio.tx_slots = TX_SLOTS,
    };
    const uint64_t places[] = { 4 * GiB, 2 * GiB, 5 * GiB - 64 * MiB };
    g_autofree char *info = NULL;
    AxtZc z;

    if (mem_available() < 8 * GiB) {
        g_test_skip("less than 8 GiB of memory available");
        return;
    }
    axt_zc_start(&z, &config);
    info = axt_zc_info(&z);
    g_test_message("4 GiB: %s", info);
    in_all_ram(&z, places, ARRAY_SIZE(places));
    axt_zc_stop(&z);
}

/* Two NUMA nodes; a packet to send lies in both, and the next one is whole. */
static void test_nodes(void)
{
    const AxtZcConfig config = {
        .ram.backends = 2,
        .virtio.tx_slots = TX_SLOTS,
    };
    const uint64_t half = AXT_RAM_SIZE / 2;
    const uint64_t places[] = { half, half + 64 * MiB };
    unsigned i;
    AxtZc z;

    axt_zc_start(&z, &config);
    g_assert_cmpuint(axt_zc_mappings(&z), >=, 4);
    in_all_ram(&z, places, ARRAY_SIZE(places));
    for (i = 0; i < 40; i++) {
        AxtVirtio *v = axt_virtio(z.net.nic);
        const uint32_t len = 1000 + i;
        /* The border is in the header, before the data, or in it. */
        const uint64_t at = half - 6 * i;
        const AxtSeg seg = { at, v->hdr_len + len, false };
        uint8_t buf[AXT_LEN_MAX];
        uint32_t used;
        gint64 end = g_get_monotonic_time() + AXT_TIMEOUT_US;

        axt_frame_fill(buf, len, i, 0);
        memset(axt_ram(z.net.vm, at), 0, v->hdr_len);
        memcpy((uint8_t *)axt_ram(z.net.vm, at) + v->hdr_len, buf, len);
        g_assert_cmpint(axt_ring_add(&v->tx[0].ring, &seg, 1, NULL, 0), >=, 0);
        axt_virtio_kick(z.net.nic, &v->tx[0]);
        g_assert_cmpint(axt_wire_recv(z.net.wire, 0, buf, sizeof(buf), 2000),
                        ==, len);
        g_assert_cmpuint(axt_frame_check(buf, len, NULL), ==, i);
        while (axt_ring_get(&v->tx[0].ring, &used) < 0) {
            g_assert_cmpint(g_get_monotonic_time(), <, end);
            axt_pause();
        }
    }
    axt_zc_stop(&z);
}

static bool hugepages(unsigned n, unsigned *before)
{
    static const char path[] = "/proc/sys/vm/nr_hugepages";
    g_autofree char *text = NULL;
    g_autofree char *want = g_strdup_printf("%u", n);
    FILE *f;

    if (!g_file_get_contents(path, &text, NULL, NULL)) {
        return false;
    }
    *before = atoi(text);
    if (*before >= n) {
        return true;
    }
    f = fopen(path, "w");
    if (f) {
        fputs(want, f);
        fclose(f);
    }
    g_clear_pointer(&text, g_free);
    return g_file_get_contents(path, &text, NULL, NULL) &&
           (unsigned)atoi(text) >= n;
}

static void hugepages_restore(unsigned before)
{
    FILE *f = fopen("/proc/sys/vm/nr_hugepages", "w");

    if (f) {
        fprintf(f, "%u", before);
        fclose(f);
    }
}

static void test_hugetlb(void)
{
    const AxtZcConfig config = {
        .ram = { .hugetlb = true, .backends = 2 },
        .virtio.tx_slots = TX_SLOTS,
    };
    const uint64_t places[] = { AXT_RAM_SIZE / 2, 64 * MiB };
    unsigned before = 0;
    AxtZc z;

    if (!hugepages(AXT_RAM_SIZE / (2 * MiB), &before)) {
        hugepages_restore(before);
        g_test_skip("no huge pages to be had");
        return;
    }
    axt_zc_start(&z, &config);
    in_all_ram(&z, places, ARRAY_SIZE(places));
    axt_zc_stop(&z);
    hugepages_restore(before);
}

void axt_add_zero_copy_tests(void)
{
    axt_add_zero_copy("data/kinds", test_kinds);
    axt_add_zero_copy("data/legacy", test_legacy);
    axt_add_zero_copy("data/reasons", test_reasons);
    axt_add_zero_copy("data/jumbo", test_jumbo);
    axt_add_zero_copy("ram/above-4g", test_high);
    if (g_test_slow()) {
        axt_add_zero_copy("ram/large", test_large);
    }
    axt_add_zero_copy("ram/nodes", test_nodes);
    axt_add_zero_copy("ram/hugetlb", test_hugetlb);
}
