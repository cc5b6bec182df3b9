/*
 * af-xdp qtest: guest zero-copy: stop means stop
 *
 * All RAM is full of canaries, a blast arrives without a pause, and the device
 * is stopped in every way there is. Once that has been acknowledged no byte of
 * RAM changes any more; and nothing but what the driver has given away was
 * ever written to.
 *
 * "-m slow" makes it about a thousand times.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qobject/qdict.h"
#include "af-xdp-link.h"
#include "af-xdp-zero-copy.h"

/* Enough for one queue pair of the driver. */
#define RAM_SIZE (64 * MiB)
#define RAM_SIZE_PAIRS (128 * MiB)

/* Between two looks at RAM. */
#define WATCH_US 50000

typedef struct Stop {
    AxtZc z;
    AxtZcConfig config;
    AxtBlast *blast;
    GRand *rand;
    gint64 took;                /* us in all, to stop */
    gint64 longest;
    unsigned n;
    uint64_t sockets[AXT_ZC_SOCKETS];
    unsigned n_sockets;
} Stop;

typedef struct StopWay {
    const char *name;
    void (*stop)(Stop *s);
    void (*start)(Stop *s);
    bool driver_ends;           /* its rings and buffers are void then */
    bool netdev_ends;
    bool warns;                 /* QEMU says what happens to the interface */
} StopWay;

/* With a NIC that takes long to stop, $AXT_FEWER says how many fewer. */
static unsigned rounds(unsigned quick, unsigned slow)
{
    const char *fewer = getenv("AXT_FEWER");
    unsigned n = g_test_slow() ? slow : quick;

    return fewer ? MAX(n / atoi(fewer), 2) : n;
}

/* Take all that arrives, for a while. */
static void take(Stop *s, gint64 us)
{
    gint64 end = g_get_monotonic_time() + us;
    g_autofree uint8_t *buf = g_malloc(AXT_FRAME_MAX);
    unsigned q;

    while (g_get_monotonic_time() < end) {
        for (q = 0; q < s->z.net.nic->queues; q++) {
            const AxtVq *rx = &axt_virtio(s->z.net.nic)->rx[q];
            const unsigned empties = rx->empties;
            bool any = false;

            while (axt_nic_rx(s->z.net.nic, q, buf, AXT_FRAME_MAX) >= 0) {
                any = true;
            }
            if (any || rx->empties != empties) {
                axt_nic_rx_kick(s->z.net.nic, q);
            }
        }
        axt_pause();
    }
}

/* Until packets go to direct buffers, and a while more. */
static void run_direct(Stop *s)
{
    gint64 end = g_get_monotonic_time() + AXT_TIMEOUT_US;
    uint64_t before = axt_counter(s->z.net.vm, "rx-direct");

    do {
        take(s, 2000);
        if (g_get_monotonic_time() > end) {
            g_autofree char *info = qtest_hmp(s->z.net.vm->qts,
                                              "info network");

            g_error("nothing arrives in direct buffers\n%s", info);
        }
    } while (axt_counter(s->z.net.vm, "rx-direct") == before);
    take(s, g_rand_int_range(s->rand, 0, 5000));
}

/* --- Ways to stop --- */

static void stop_reset(Stop *s)
{
    axt_virtio_reset(s->z.net.nic);
}

static void start_reset(Stop *s)
{
    axt_virtio_restart(s->z.net.nic);
}

static void stop_vm(Stop *s)
{
    axt_vm_stop(&s->z.net);
}

static void start_vm(Stop *s)
{
    axt_vm_cont(&s->z.net);
}

static void set_link(Stop *s, const char *name, bool up)
{
    qtest_qmp_assert_success(s->z.net.vm->qts, "{'execute': 'set_link',"
                             " 'arguments': {'name': %s, 'up': %i}}", name,
                             up);
}

static void stop_link(Stop *s)
{
    set_link(s, "nic", false);
}

static void start_link(Stop *s)
{
    set_link(s, "nic", true);
}

static void stop_peer_link(Stop *s)
{
    set_link(s, "n0", false);
}

static void start_peer_link(Stop *s)
{
    set_link(s, "n0", true);
}

static void stop_unplug(Stop *s)
{
    axt_unplug(s->z.net.vm, "nic");
}

/* Each driver maps registers at a place of its own: there are not many. */
static void new_driver(Stop *s)
{
    QPCIBus *bus = s->z.net.vm->bus;
    uint64_t pio = bus->pio_alloc_ptr, mmio = bus->mmio_alloc_ptr;

    s->z.net.nic = axt_virtio_new_config(s->z.net.vm, MAX(s->config.queues, 1),
                                         &s->config.virtio);
    bus->pio_alloc_ptr = pio;
    bus->mmio_alloc_ptr = mmio;
}

static void start_unplug(Stop *s)
{
    qtest_qmp_device_add(s->z.net.vm->qts, "virtio-net-pci", "nic",
                         "{'netdev': 'n0', 'addr': '4', 'romfile': '',"
                         " 'packed': true}");
    new_driver(s);
}

static void stop_netdev(Stop *s)
{
    axt_netdev_del(s->z.net.vm, "n0");
}

static void start_netdev(Stop *s)
{
    g_autofree char *options = g_strconcat("ifname=" AXT_DEV ",zero-copy=on",
                                           axt_wire_options(), NULL);
    g_autofree char *error = NULL;

    axt_unplug(s->z.net.vm, "nic");
    error = axt_netdev_add(s->z.net.vm, "n0", options);
    g_assert_cmpstr(error, ==, NULL);
    start_unplug(s);
}

static void stop_system_reset(Stop *s)
{
    qtest_qmp_assert_success(s->z.net.vm->qts, "{'execute': 'system_reset'}");
    qtest_qmp_eventwait(s->z.net.vm->qts, "RESET");
}

/* The kernel has let go of it all before the command returns. */
static void stop_deleted(Stop *s)
{
    axt_wire_gone(s->z.net.wire);
    axt_wait_link(&s->z.net, false);
}

static void start_deleted(Stop *s)
{
    axt_wire_back(s->z.net.wire);
    axt_wait_link(&s->z.net, true);
}

static const StopWay ways[] = {
    { "reset", stop_reset, start_reset, true },
    { "stop", stop_vm, start_vm },
    { "set_link of the NIC", stop_link, start_link },
    { "set_link of the netdev", stop_peer_link, start_peer_link },
    { "system_reset", stop_system_reset, new_driver, true },
    { "device_del", stop_unplug, start_unplug, true },
    { "netdev_del", stop_netdev, start_netdev, true, true },
    { "the interface's deletion", stop_deleted, start_deleted, false, true,
      true },
};

/* --- Checks --- */

/*
 * The socket that has registered the window is there before and after, and no
 * socket can register twice: so nothing was registered again.
 */
static void check_window(Stop *s, const StopWay *way)
{
    uint64_t now[AXT_ZC_SOCKETS];
    unsigned i, k, n = axt_zc_sockets(&s->z, now), common = 0;
    const unsigned queues = MAX(s->config.queues, 1);

    for (i = 0; i < n; i++) {
        for (k = 0; k < s->n_sockets; k++) {
            common += now[i] == s->sockets[k];
        }
    }
    if (s->n_sockets == 0) {
        common = queues;
    }
    memcpy(s->sockets, now, sizeof(now));
    s->n_sockets = n;
    if (axt_wire_given()) {
        /* In driver zero-copy one does all, and is another each time. */
        g_assert_cmpuint(n, ==, queues);
        return;
    }
    /* One for each queue that stays, and one for each that receives. */
    g_assert_cmpuint(n, ==, 2 * queues);
    g_assert_cmpuint(common, ==, way && way->netdev_ends ? 0 : queues);
}

static void one_stop(Stop *s, const StopWay *way)
{
    AxtVm *vm = s->z.net.vm;
    g_autofree uint8_t *copy = NULL, *first = NULL;
    AxtNic *nic = s->z.net.nic;
    /* The driver forgets where its buffers are. */
    AxtCanaryRanges *ranges = axt_canary_ranges(nic);
    const uint8_t *bufs = axt_ram(vm, axt_virtio(nic)->rx[0].bufs);
    const size_t bytes = axt_vq_bytes(&axt_virtio(nic)->rx[0]);
    gint64 start;

    run_direct(s);
    start = g_get_monotonic_time();
    way->stop(s);
    /* A copy of all takes longer than a late packet may take. */
    first = g_memdup2(bufs, bytes);
    start = g_get_monotonic_time() - start;
    copy = axt_ram_copy(vm);
    s->took += start;
    s->longest = MAX(s->longest, start);
    s->n++;

    g_usleep(WATCH_US);
    if (memcmp(first, bufs, bytes) != 0) {
        g_error("after %s a receive buffer has changed", way->name);
    }
    axt_ram_check(vm, copy, way->name);
    axt_canary_check(vm, ranges);
    if (way->driver_ends) {
        axt_canary_restore(vm, ranges);
        if (way->stop != stop_reset) {
            axt_nic_free(nic);
        }
    }
    axt_canary_ranges_free(ranges);
    way->start(s);
    axt_wire_settle(s->z.net.wire);
    axt_zc_assert_on(&s->z);
    check_window(s, way);
}

static void setup(Stop *s, const AxtZcConfig *config)
{
    memset(s, 0, sizeof(*s));
    s->config = *config;
    s->config.ram.hugetlb = axt_wire_given();
    axt_zc_start(&s->z, &s->config);
    s->rand = g_rand_new_with_seed(7);
    s->blast = axt_blast_start(s->z.net.wire, config->queues > 1 ? 64 : 1,
                               (config->mtu ?: 1500) + 14);
    check_window(s, NULL);
}

/* What is under way has gone where it goes. */
static void drain(Stop *s)
{
    gint64 end = g_get_monotonic_time() + AXT_TIMEOUT_US;
    uint64_t before;

    do {
        before = axt_counter(s->z.net.vm, "rx");
        take(s, 50000);
        g_assert_cmpint(g_get_monotonic_time(), <, end);
    } while (axt_counter(s->z.net.vm, "rx") != before);
}

/* Each of many flows has a queue pair that it arrives by. */
static void flows_arrive(Stop *s)
{
    gint64 end = g_get_monotonic_time() + AXT_TIMEOUT_US;
    uint8_t buf[AXT_LEN_MAX];
    unsigned i, q, got = 0, by[AXT_MAX_QUEUES] = { 0 };

    for (i = 0; i < 128; i++) {
        axt_frame_fill(buf, 500, i, i);
        axt_wire_send(s->z.net.wire, buf, 500);
    }
    while (got < 128) {
        for (q = 0; q < s->config.queues; q++) {
            ssize_t len = axt_nic_rx(s->z.net.nic, q, buf, sizeof(buf));

            if (len >= 0) {
                axt_frame_check(buf, len, NULL);
                axt_nic_rx_kick(s->z.net.nic, q);
                by[q]++;
                got++;
            }
        }
        g_assert_cmpint(g_get_monotonic_time(), <, end);
    }
    g_assert_cmpuint(by[0], >, 0);
    g_assert_cmpuint(by[1], >, 0);
}

static void teardown(Stop *s, const char *what, const StopWay *way)
{
    g_autofree char *info = axt_zc_info(&s->z);

    g_test_message("%s: %u stops, %.1f ms on average, %.1f ms the longest; %s",
                   what, s->n, s->took / 1000.0 / s->n, s->longest / 1000.0,
                   info);
    axt_blast_stop(s->blast);
    g_rand_free(s->rand);
    drain(s);
    g_test_message("%u buffers came back unused",
                   axt_virtio(s->z.net.nic)->rx[0].empties);
    if (s->config.queues <= 1) {
        axt_to_guest(&s->z.net, 300, 48, axt_len_sweep);
        axt_count_buffers(&s->z.net);
    } else {
        flows_arrive(s);
    }
    g_assert_cmpuint(axt_zc_lines(&s->z, "af-xdp"), ==,
                     way && way->warns ? axt_zc_lines(&s->z, "interface '")
                                       : 0);
    axt_zc_stop(&s->z);
}

static void test_reset(const void *opaque)
{
    const AxtZcConfig config = {
        .ram.size = RAM_SIZE,
        .canary = true,
        .virtio = *(const AxtVirtioConfig *)opaque,
    };
    const unsigned n = rounds(30, 400);
    g_autofree char *before = NULL, *after = NULL;
    unsigned i;
    Stop s;

    setup(&s, &config);
    before = axt_zc_info(&s.z);
    for (i = 0; i < n; i++) {
        one_stop(&s, &ways[0]);
    }
    /* With the time that it has taken. */
    after = axt_zc_info(&s.z);
    if (!axt_wire_given()) {
        g_assert_cmpstr(before, ==, after);
    }
    teardown(&s, "reset", NULL);
}

/* @n stops, in the @n_ways ways @by in turn. */
static void stops(const AxtZcConfig *config, const StopWay *by,
                  unsigned n_ways, unsigned n, const char *name)
{
    unsigned i;
    Stop s;

    setup(&s, config);
    for (i = 0; i < n; i++) {
        one_stop(&s, &by[i % n_ways]);
    }
    teardown(&s, name, n_ways == 1 ? by : NULL);
}

static void test_way(const void *opaque)
{
    const StopWay *way = opaque;
    const AxtZcConfig config = { .ram.size = RAM_SIZE, .canary = true };

    stops(&config, way, 1, rounds(8, 50), way->name);
}

/* A packet lies in several buffers, the first of which is not a packet. */
static void test_jumbo(void)
{
    const AxtZcConfig config = {
        .ram.size = RAM_SIZE,
        .canary = true,
        .mtu = 9000,
    };

    stops(&config, ways, 2, rounds(10, 100), "jumbo frames");
}

/* --- Queue pairs --- */

/* What the second queue pair has posted is its own once it was given up. */
static void test_pairs(void)
{
    const AxtZcConfig config = {
        .ram.size = RAM_SIZE_PAIRS,
        .canary = true,
        .queues = 2,
    };
    const unsigned n = rounds(8, 50);
    unsigned i;
    Stop s;

    setup(&s, &config);
    for (i = 0; i < n; i++) {
        const AxtVq *rx = &axt_virtio(s.z.net.nic)->rx[1];
        AxtVm *vm = s.z.net.vm;
        AxtCanaryRanges *ranges = axt_canary_ranges(s.z.net.nic);
        g_autofree uint8_t *copy = NULL;
        const uint8_t *bufs = axt_ram(vm, rx->bufs);

        run_direct(&s);
        axt_virtio_set_pairs(s.z.net.nic, 1);
        copy = g_memdup2(bufs, axt_vq_bytes(rx));
        take(&s, WATCH_US);
        g_assert_cmpint(memcmp(copy, bufs, axt_vq_bytes(rx)), ==, 0);
        axt_canary_check(vm, ranges);
        axt_canary_ranges_free(ranges);
        axt_virtio_set_pairs(s.z.net.nic, 2);
        /* And the way that stops both. */
        one_stop(&s, &ways[i % 2]);
    }
    teardown(&s, "queue pairs", NULL);
}

void axt_add_zero_copy_stop_tests(void)
{
    static const AxtVirtioConfig split, packed = { .packed = true },
        pages = { .not_mergeable = true, .event_idx = true };
    unsigned i;

    axt_add_zero_copy_data("stop/reset/split", &split, test_reset);
    axt_add_zero_copy_data("stop/reset/packed", &packed, test_reset);
    axt_add_zero_copy_data("stop/reset/not-mergeable", &pages, test_reset);
    for (i = 1; i < ARRAY_SIZE(ways); i++) {
        g_autofree char *name = g_strdup_printf("stop/%s", ways[i].name);

        if (ways[i].stop == stop_deleted && !axt_wire_can_go()) {
            continue;
        }
        g_strdelimit(name, " ", '-');
        axt_add_zero_copy_data(name, &ways[i], test_way);
    }
    axt_add_zero_copy("stop/jumbo", test_jumbo);
    axt_add_zero_copy("stop/pairs", test_pairs);
}
