/*
 * AF_XDP: direct buffers: stopping at any moment, and sending
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "af-xdp-fake-guest.h"
#include "net/af-xdp-uapi.h"

#define NUM 256u
#define LARGE 1024u

static const uint64_t kinds[] = {
    MODERN | MERGEABLE, MODERN | MERGEABLE | PACKED, MODERN, 0,
};

/* Chains of one piece, or with the header apart: two entries of a ring. */
static void add_chains(Room *r, uint32_t from, uint32_t to, bool split)
{
    for (uint32_t i = from; i < to; i++) {
        uint64_t at = SLOT(i);
        DriverSeg two[2] = { { at, r->hdr_len }, { at + 20, ROOM } };

        if (split && i % 3) {
            room_add_pieces(r, two, 2);
        } else {
            room_add(r, at, r->hdr_len + ROOM);
        }
    }
}

/* The rings as the next user of the virtqueues finds them. */
static void new_rings(Room *r)
{
    AfXdpVringConfig rx, tx;

    rx = driver_config(r->rx_driver, af_xdp_vring_base(r->rx));
    tx = driver_config(r->tx_driver, af_xdp_vring_base(r->tx));
    af_xdp_datapath_free(r->dp);
    af_xdp_vring_free(r->rx);
    af_xdp_vring_free(r->tx);
    r->rx = af_xdp_vring_new(&rx, NULL);
    r->tx = af_xdp_vring_new(&tx, NULL);
    g_assert_true(r->rx && r->tx);
    r->dp = af_xdp_datapath_new(r->copy, r->rx, r->tx, r->features);
    r->stats = af_xdp_datapath_stats(r->dp);
}

/* --- Reception --- */

/* Nothing has come: the ring is as if it had never been looked at. */
static void test_idle(void)
{
    for (int k = 0; k < 2 * ARRAY_SIZE(kinds); k++) {
        uint32_t base;
        Room r;

        room_init(&r, kinds[k / 2], NUM);
        base = af_xdp_vring_base(r.rx);
        room_start(&r);
        add_chains(&r, 0, 120, k % 2);
        af_xdp_datapath_rx_refill(r.dp);
        g_assert_cmpuint(af_xdp_datapath_rx_posted(r.dp), ==, 120);
        room_stop(&r);
        g_assert_cmpuint(af_xdp_vring_base(r.rx), ==, base);
        g_assert_cmpuint(room_empty(&r), ==, 0);
        room_check_stopped(&r);
        new_rings(&r);
        room_start(&r);
        af_xdp_datapath_rx_refill(r.dp);
        g_assert_cmpuint(af_xdp_datapath_rx_posted(r.dp), ==, 120);
        room_free(&r);
    }
}

/* What arrived before is delivered, all of it or some. */
static void test_received(void)
{
    for (int k = 0; k < 2 * ARRAY_SIZE(kinds); k++) {
        for (uint32_t n = 1; n <= 100; n += 33) {
            Room r;

            room_init(&r, kinds[k / 2], NUM);
            room_start(&r);
            add_chains(&r, 0, 100, k % 2);
            af_xdp_datapath_rx_refill(r.dp);
            for (uint32_t i = 0; i < n; i++) {
                g_assert_true(room_arrive(&r, 60 + i, ROOM, i));
            }
            room_stop(&r);
            for (uint32_t i = 0; i < n; i++) {
                g_assert_cmpuint(room_next(&r, 60 + i, i), ==, 1);
            }
            g_assert_cmpuint(room_empty(&r), ==, 0);
            room_free(&r);
        }
    }
}

/* What the kernel took before it was told, and when it is done with that. */
typedef struct Late {
    Room *r;
    uint64_t addrs[LARGE];
    uint32_t from, to;
    bool to_base;
} Late;

static void arrive_late(void *opaque)
{
    Late *late = opaque;

    late->r->fake->to_base = late->to_base;
    for (uint32_t i = late->from; i < late->to; i++) {
        g_assert_true(room_arrive_at(late->r, &late->addrs[i], 60 + i, ROOM,
                                     i));
    }
    late->from = late->to;
}

/*
 * Of 40 buffers taken, 10 arrive before the stop, 20 while the second socket
 * closes, at one of the two, and 10 the kernel has thrown away.
 */
static void test_on_its_way(void)
{
    for (int k = 0; k < 16; k++) {
        bool base = k & 1, lazy = k & 2;
        uint32_t n;
        Late late = { .to_base = base };
        Room r;

        room_init(&r, kinds[k / 4], NUM);
        af_xdp_vring_set_log(r.rx, &r.log);
        room_start(&r);
        add_chains(&r, 0, 120, k & 4);
        af_xdp_datapath_rx_refill(r.dp);
        room_blank(&r);
        r.fake->lazy = lazy;
        g_assert_cmpuint(af_xdp_fake_take(r.fake, late.addrs, 40), ==, 40);
        late.r = &r;
        late.to = 10;
        arrive_late(&late);
        late.to = 30;
        late.to_base = base;
        r.fake->closing = arrive_late;
        r.fake->opaque = &late;
        room_stop(&r);
        r.fake->closing = NULL;
        /* What comes to the second one then is lost with it. */
        n = base ? 30 : 10;
        for (uint32_t i = 0; i < n; i++) {
            g_assert_cmpuint(room_next(&r, 60 + i, i), ==, 1);
        }
        g_assert_cmpuint(r.stats->rx_direct, ==, n);
        room_check_log(&r);
        room_check_stopped(&r);
        room_free(&r);
    }
}

/* Frames go the same ways, and none is missing afterwards. */
static void use_frames(void *opaque)
{
    Room *r = opaque;
    uint64_t addrs[100];

    r->fake->to_base = false;
    g_assert_cmpuint(af_xdp_fake_take(r->fake, addrs, 100), ==, 100);
    for (int i = 0; i < 100; i++) {
        g_assert_true(room_arrive_at(r, &addrs[i], 60, ROOM, i));
    }
    r->fake->closing = NULL;
}

static void test_frames_lost(void)
{
    const AfXdpUmem *umem;
    Room r;

    room_init(&r, MODERN | MERGEABLE, NUM);
    for (int i = 0; i < 50; i++) {
        room_start(&r);
        add_chains(&r, 0, 200 - driver_outstanding(r.rx_driver), false);
        af_xdp_datapath_rx_refill(r.dp);
        g_assert_cmpuint(af_xdp_datapath_rx_posted(r.dp), ==, 200);
        r.fake->closing = use_frames;
        r.fake->opaque = &r;
        room_stop(&r);
        umem = af_xdp_copy_umem(r.copy);
        g_assert_cmpuint(af_xdp_umem_count(umem, AF_XDP_FRAME_FILL), ==, 512);
        room_check_stopped(&r);
    }
    room_free(&r);
}

/* The guest has offered one buffer twice: the other one is not the same. */
static void test_twice(void)
{
    Room r;

    for (int lazy = 0; lazy < 2; lazy++) {
        room_init(&r, MODERN | MERGEABLE, NUM);
        room_start(&r);
        for (int i = 0; i < 100; i++) {
            room_add(&r, AT, 12 + ROOM);
        }
        af_xdp_datapath_rx_refill(r.dp);
        r.fake->lazy = lazy;
        for (int i = 0; i < 10; i++) {
            g_assert_true(room_arrive(&r, 60, ROOM, 7));
        }
        room_stop(&r);
        for (int i = 0; i < 10; i++) {
            g_assert_cmpuint(room_next(&r, 60, 7), ==, 1);
        }
        room_free(&r);
    }
}

/* A guest whose ring is broken gets its buffers back all the same. */
static void test_fault(void)
{
    uint32_t len;
    DriverChain *chain;
    Room r;

    room_init(&r, MODERN | MERGEABLE, NUM);
    room_start(&r);
    room_add_many(&r, 0, 100);
    af_xdp_datapath_rx_refill(r.dp);
    room_add(&r, DRIVER_HOLE, 2000);
    g_assert_cmpint(af_xdp_datapath_rx_refill(r.dp), ==, AF_XDP_TURN_FAULT);
    g_assert_true(room_arrive(&r, 60, ROOM, 1));
    g_assert_cmpint(room_rx(&r), ==, AF_XDP_TURN_FAULT);
    room_stop(&r);
    while ((chain = driver_collect(r.rx_driver, &len))) {
        g_free(chain);
    }
    g_assert_cmpuint(af_xdp_vring_held(r.rx), ==, 0);
    g_assert_cmpuint(driver_outstanding(r.rx_driver), ==,
                     driver_available(r.rx_driver, af_xdp_vring_base(r.rx)));
    room_free(&r);
}

/*
 * What comes for such a ring, before the stop or during it, at one of the two
 * sockets, is lost with it: the guest that has reset its rings, and offers the
 * same buffers, finds nothing of it.
 */
static void test_fault_reset(void)
{
    const uint32_t n = 600;     /* more than a turn takes */

    for (int k = 0; k < 6; k++) {
        Late late = { .to = n, .to_base = k >= 2 };
        bool closing = k >= 4;
        Room r;

        room_init(&r, MODERN | MERGEABLE | (k % 2 ? PACKED : 0), LARGE);
        room_start(&r);
        room_add_many(&r, 0, n);
        af_xdp_datapath_rx_refill(r.dp);
        g_assert_cmpuint(af_xdp_fake_take(r.fake, late.addrs, n), ==, n);
        room_add(&r, DRIVER_HOLE, 2000);
        g_assert_cmpint(af_xdp_datapath_rx_refill(r.dp), ==,
                        AF_XDP_TURN_FAULT);
        late.r = &r;
        if (closing) {
            r.fake->closing = arrive_late;
            r.fake->opaque = &late;
        } else {
            arrive_late(&late);
        }
        room_stop(&r);
        r.fake->closing = NULL;
        g_assert_cmpuint(r.stats->rx_lost, ==, n);
        room_check_stopped(&r);

        room_reset(&r);
        room_blank(&r);
        g_assert_true(af_xdp_copy_outside_begin(r.copy, NULL));
        r.fake->to_base = false;
        af_xdp_datapath_direct_begin(r.dp, &r.config);
        room_add_many(&r, 0, n);
        for (int turn = 0; turn < 4; turn++) {
            g_assert_cmpint(room_rx(&r), !=, AF_XDP_TURN_MORE);
        }
        g_assert_cmpuint(room_empty(&r), ==, 0);
        g_assert_cmpuint(r.stats->rx_lost, ==, 0);
        g_assert_cmpuint(room_changed(&r, DRIVER_HIGH, DRIVER_REGION_SIZE), ==,
                         0);
        for (uint32_t i = 0; i < n; i++) {
            g_assert_true(room_arrive(&r, 60, ROOM, i));
            room_rx(&r);
            g_assert_cmpuint(room_next(&r, 60, i), ==, 1);
        }
        g_assert_cmpuint(r.stats->rx_direct, >, 0);
        g_assert_cmpuint(af_xdp_copy_stats(r.copy)->rx_malformed, ==, 0);
        room_free(&r);
    }
}

/* Another socket cannot be had: nothing has changed. */
static void test_no_second(void)
{
    GError *err = NULL;
    Room r;

    room_init(&r, MODERN | MERGEABLE, NUM);
    r.fake->fail_second = true;
    g_assert_false(af_xdp_copy_outside_begin(r.copy, &err));
    g_assert_nonnull(err);
    g_error_free(err);
    room_add_many(&r, 0, 10);
    g_assert_true(room_arrive(&r, 60, ROOM, 1));
    g_assert_cmpint(room_rx(&r), ==, AF_XDP_TURN_DONE);
    g_assert_cmpuint(room_next(&r, 60, 1), ==, 1);
    af_xdp_datapath_quiesce(r.dp);
    room_free(&r);
}

/* Everything at random, again and again; each packet arrives once or never. */
static void random_stops(uint64_t features)
{
    uint32_t slot = 0, number = 0, delivered = 0, len;
    Room r;

    room_init(&r, features, NUM);
    af_xdp_vring_set_log(r.rx, &r.log);
    for (int stop = 0; stop < 100; stop++) {
        uint64_t taken[64];
        uint32_t n_taken = 0, steps = g_test_rand_int_range(1, 60);
        DriverChain *chain;

        room_start(&r);
        r.fake->lazy = stop % 2;
        room_blank(&r);
        for (uint32_t i = 0; i < steps; i++) {
            uint32_t n = g_test_rand_int_range(0, 40), k;

            r.fake->to_base = g_test_rand_int_range(0, 8) == 0;
            switch (g_test_rand_int_range(0, 5)) {
            case 0:
                while (n-- > 0 && r.rx_driver->n_free >= 2) {
                    add_chains(&r, slot, slot + 1, slot % 7 == 0);
                    slot++;
                }
                break;
            case 1:
                while (n-- > 0 &&
                       af_xdp_fake_receive(r.fake, NULL, 60, ROOM)) {
                    number++;
                }
                break;
            case 2:
                if (features & MERGEABLE) {
                    number += af_xdp_fake_receive(r.fake, NULL, n * 400 + 60,
                                                  ROOM - n);
                }
                break;
            case 3:
                n_taken += af_xdp_fake_take(r.fake, taken + n_taken,
                                            MIN(n, 64 - n_taken));
                break;
            case 4:
                for (n = MIN(n, n_taken); n > 0; n--) {
                    k = g_test_rand_int_range(0, n_taken);
                    if (af_xdp_fake_taken(r.fake, &taken[k], NULL, 60, ROOM)) {
                        taken[k] = taken[--n_taken];
                        number++;
                    }
                }
                break;
            }
            if (g_test_rand_bit()) {
                g_assert_cmpint(room_rx(&r), !=, AF_XDP_TURN_FAULT);
            }
            while ((chain = driver_collect(r.rx_driver, &len))) {
                delivered += len > 0;
                g_free(chain);
            }
            g_assert_true(af_xdp_fake_frames_once(r.fake,
                                                  af_xdp_copy_umem(r.copy)));
        }
        /* What it has taken still it gives up. */
        room_stop(&r);
        while ((chain = driver_collect(r.rx_driver, &len))) {
            delivered += len > 0;
            g_free(chain);
        }
        r.fake->lazy = false;
        room_check_stopped(&r);
        room_check_log(&r);
        if (stop % 3 == 0) {
            new_rings(&r);
            af_xdp_vring_set_log(r.rx, &r.log);
        }
    }
    g_assert_cmpuint(delivered, >, number / 4);
    room_free(&r);
}

static void test_random(void)
{
    for (int i = 0; i < ARRAY_SIZE(kinds); i++) {
        random_stops(kinds[i]);
    }
}

/* --- Sending --- */

/* Packets for sending are there, by number. */
#define TX_AT(i) (DRIVER_BUFFERS_OF_TWO + (i) % 60 * 9000 + 3)

/* What was sent. */
typedef struct Sent {
    Room *r;
    uint32_t n;                 /* packets */
    uint32_t direct;            /* descriptors in guest memory */
    uint32_t descs;
    uint8_t count[256];         /* by number */
} Sent;

static void on_sent(void *opaque, const struct xdp_desc *desc,
                    const void *data)
{
    Sent *s = opaque;

    s->descs++;
    s->direct += desc->addr >= ROOM_FRONT;
    if (!(desc->options & XDP_PKT_CONTD)) {
        s->n++;
    }
    if (desc->len >= 60) {
        /* Bytes are the packet's number, throughout. */
        const uint8_t *byte = data;

        for (uint32_t i = 0; i < desc->len; i++) {
            g_assert_cmpuint(byte[i], ==, byte[0]);
        }
        s->count[byte[0]] += !(desc->options & XDP_PKT_CONTD);
    }
}

static void tx_init(Room *r, Sent *s, uint64_t features)
{
    room_init(r, features, NUM);
    memset(s, 0, sizeof(*s));
    s->r = r;
    r->fake->sent = on_sent;
    r->fake->opaque = s;
}

/* A packet of @len bytes in @n pieces, the first with the header. */
static void tx_add(Room *r, uint32_t number, uint32_t len, uint32_t n)
{
    uint64_t at = TX_AT(number);
    uint32_t size = r->hdr_len + len;
    DriverSeg seg[DRIVER_SEGS_MAX];

    memset(driver_host(r->tx_driver, at), 0, r->hdr_len);
    memset((char *)driver_host(r->tx_driver, at) + r->hdr_len, number, len);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t part = i + 1 == n ? size : MAX(size / (n - i), r->hdr_len);

        seg[i] = (DriverSeg) { at, part };
        at += part;
        size -= part;
    }
    g_assert_nonnull(driver_add(r->tx_driver, seg, n, n));
}

static void test_tx_shapes(void)
{
    static const struct {
        uint32_t len, n, descs;
        size_t counter;
        uint64_t page_size;
    } shapes[] = {
        { 14, 1, 1, offsetof(AfXdpDatapathStats, tx_direct) },
        { 1514, 1, 1, offsetof(AfXdpDatapathStats, tx_direct) },
        { 4096, 1, 1, offsetof(AfXdpDatapathStats, tx_direct) },
        { 4097, 1, 2, offsetof(AfXdpDatapathStats, tx_direct) },
        { 8192, 1, 2, offsetof(AfXdpDatapathStats, tx_direct) },
        { 8200, 1, 3, offsetof(AfXdpDatapathStats, tx_direct) },
        { 8200, 4, 4, offsetof(AfXdpDatapathStats, tx_direct) },
        { 1000, 2, 1, offsetof(AfXdpDatapathStats, tx_pieces) },
        { 4096, 5, 1, offsetof(AfXdpDatapathStats, tx_pieces) },
        { 8500, 17, 17, offsetof(AfXdpDatapathStats, tx_direct) },
        { 8500, 18, 3, offsetof(AfXdpDatapathStats, tx_pieces) },
        { 8500, 32, 3, offsetof(AfXdpDatapathStats, tx_pieces) },
        { 1514, 1, 1, offsetof(AfXdpDatapathStats, tx_direct), 4 << 20 },
        { 4000, 1, 1, offsetof(AfXdpDatapathStats, tx_outside), 2048 },
    };

    for (int i = 0; i < ARRAY_SIZE(shapes); i++) {
        AfXdpTxState state;
        Sent s;
        Room r;

        tx_init(&r, &s, i % 2 ? MODERN : 0);
        r.config.page_size = shapes[i].page_size;
        room_start(&r);
        tx_add(&r, 1, shapes[i].len, shapes[i].n);
        g_assert_cmpint(room_tx(&r, &state), ==, AF_XDP_TURN_DONE);
        g_assert_cmpint(state, ==, AF_XDP_TX_IDLE);
        g_assert_cmpuint(s.n, ==, 1);
        g_assert_cmpuint(s.descs, ==, shapes[i].descs);
        g_assert_cmpuint(*(uint64_t *)((char *)r.stats + shapes[i].counter),
                         ==, 1);
        g_assert_cmpuint(s.direct, ==, r.stats->tx_direct ? s.descs : 0);
        g_assert_cmpuint(af_xdp_copy_stats(r.copy)->tx_bytes, ==,
                         shapes[i].len);
        g_assert_cmpuint(room_sent(&r), ==, 1);
        r.config.page_size = 0;
        room_free(&r);
    }
}

static void test_tx_odd(void)
{
    /* A header apart, in pieces, or more than that in the first one. */
    static const uint32_t cuts[][3] = {
        { 12, 0, 0 }, { 1, 11, 0 }, { 5, 4, 3 }, { 12, 0, 400 },
    };
    AfXdpTxState state;
    Sent s;
    Room r;

    for (int i = 0; i < ARRAY_SIZE(cuts); i++) {
        DriverSeg seg[4];
        uint64_t at = TX_AT(9);

        tx_init(&r, &s, MODERN);
        room_start(&r);
        memset(driver_host(r.tx_driver, at + 12), 9, 800);
        for (int j = 0; j < 3; j++) {
            seg[j] = (DriverSeg) { at, cuts[i][j] };
            at += cuts[i][j];
        }
        seg[3] = (DriverSeg) { at, 400 };
        g_assert_nonnull(driver_add(r.tx_driver, seg, 4, 4));
        g_assert_cmpint(room_tx(&r, &state), ==, AF_XDP_TURN_DONE);
        g_assert_cmpuint(s.n, ==, 1);
        g_assert_cmpuint(s.direct, ==, i < 3);
        g_assert_cmpuint(room_sent(&r), ==, 1);
        room_free(&r);
    }
    /* Not in the window: copied. */
    tx_init(&r, &s, MODERN);
    r.config.size = ROOM_FRONT + (3 << 20);
    room_start(&r);
    tx_add(&r, 1, 1000, 1);
    g_assert_cmpint(room_tx(&r, &state), ==, AF_XDP_TURN_DONE);
    g_assert_cmpuint(r.stats->tx_outside, ==, 1);
    g_assert_cmpuint(s.n, ==, 1);
    g_assert_cmpuint(s.direct, ==, 0);
    /* Too short for anything: counted, and back. */
    tx_add(&r, 2, 5, 1);
    g_assert_cmpint(room_tx(&r, &state), ==, AF_XDP_TURN_DONE);
    g_assert_cmpuint(af_xdp_copy_stats(r.copy)->tx_runt, ==, 1);
    g_assert_cmpuint(room_sent(&r), ==, 2);
    room_free(&r);
}

/* The kernel takes some, then none: buffers go back as it does. */
static void test_tx_portions(void)
{
    AfXdpFakeKick list[] = {
        { -EAGAIN, 3 }, { -ENOBUFS, 0 }, { -EBUSY, 1 }, { -EAGAIN, 0 },
    };
    static const uint32_t sent[] = { 3, 1, 0, 6 };
    AfXdpTxState state;
    Sent s;
    Room r;

    tx_init(&r, &s, MODERN);
    room_start(&r);
    r.fake->kicks = list;
    r.fake->n_kicks = ARRAY_SIZE(list);
    for (uint32_t i = 0; i < 10; i++) {
        tx_add(&r, i, 200, 1);
    }
    for (int i = 0; i < 4; i++) {
        g_assert_cmpint(room_tx(&r, &state), ==, AF_XDP_TURN_DONE);
        g_assert_cmpint(state, ==, i < 3 ? AF_XDP_TX_RETRY : AF_XDP_TX_IDLE);
        g_assert_cmpuint(room_sent(&r), ==, sent[i]);
    }
    g_assert_cmpuint(s.n, ==, 10);
    room_free(&r);
}

/* In driver zero-copy the device says when. */
static void test_tx_completions(void)
{
    AfXdpTxState state;
    Sent s;
    Room r;

    af_xdp_fake_driver_zero_copy(true);
    tx_init(&r, &s, MODERN);
    af_xdp_fake_driver_zero_copy(false);
    r.config.page_size = 2 << 20;
    room_start(&r);
    r.fake->late = true;
    for (uint32_t i = 0; i < 10; i++) {
        tx_add(&r, i, 200, 1 + (i % 3 == 0));
    }
    g_assert_cmpint(room_tx(&r, &state), ==, AF_XDP_TURN_DONE);
    g_assert_cmpint(state, ==, AF_XDP_TX_WAIT);
    g_assert_cmpuint(s.n, ==, 10);
    /* Numbers 0, 3, 6 and 9 are copied. */
    g_assert_cmpuint(room_sent(&r), ==, 4);
    af_xdp_fake_complete(r.fake, 5);
    room_tx(&r, &state);
    g_assert_cmpint(state, ==, AF_XDP_TX_WAIT);
    g_assert_cmpuint(room_sent(&r), ==, 3);
    af_xdp_fake_complete(r.fake, 100);
    room_tx(&r, &state);
    g_assert_cmpint(state, ==, AF_XDP_TX_IDLE);
    g_assert_cmpuint(room_sent(&r), ==, 3);
    /* Those that the device may have sent are not sent again. */
    for (uint32_t i = 10; i < 20; i++) {
        tx_add(&r, i, 200, 1);
    }
    room_tx(&r, &state);
    af_xdp_fake_complete(r.fake, 4);
    room_stop(&r);
    room_tx(&r, &state);
    for (uint32_t i = 0; i < 20; i++) {
        g_assert_cmpuint(s.count[i], ==, 1);
    }
    r.fake->late = false;
    af_xdp_fake_complete(r.fake, 100);
    af_xdp_copy_tx_flush(r.copy);
    room_free(&r);
}

/* Packets of both kinds wait at a stop: each is sent once or counted. */
static void test_tx_stop(void)
{
    for (int k = 0; k < 64; k++) {
        AfXdpFakeKick list[] = {
            { -EAGAIN, k % 8 }, { -ENOBUFS, 0 }, { -ENOBUFS, 0 },
            { -ENOBUFS, 0 },
        };
        uint32_t total = 0, large = 0;
        AfXdpTxState state;
        Sent s;
        Room r;

        tx_init(&r, &s, kinds[k % 4]);
        room_start(&r);
        r.fake->kicks = list;
        r.fake->n_kicks = ARRAY_SIZE(list);
        r.fake->late = k & 16;
        for (uint32_t i = 0; i < 20; i++) {
            bool jumbo = k >= 32 && i % 4 == 1;

            /* The last ones are direct, or copied. */
            tx_add(&r, i, jumbo ? 5000 : 200,
                   jumbo ? 18 : 1 + (i % 5 == 0 || i == 19 - k % 3));
        }
        room_tx(&r, &state);
        room_stop(&r);
        r.fake->n_kicks = 0;
        room_check_stopped(&r);
        /* Those put back come again, to whoever goes on. */
        new_rings(&r);
        room_tx(&r, &state);
        g_assert_cmpint(state, ==, AF_XDP_TX_IDLE);
        for (uint32_t i = 0; i < 20; i++) {
            g_assert_cmpuint(s.count[i], <=, 1);
            total += s.count[i];
            large += k >= 32 && i % 4 == 1 && !s.count[i];
        }
        g_assert_cmpuint(total, <=, 20);
        /* The first not sent, direct ones that others have overtaken. */
        g_assert_cmpuint(total, >=, 20 - 16 - large);
        af_xdp_fake_complete(r.fake, UINT32_MAX);
        af_xdp_copy_tx_flush(r.copy);
        g_assert_cmpuint(af_xdp_umem_count(af_xdp_copy_umem(r.copy),
                                           AF_XDP_FRAME_TX), ==, 0);
        room_free(&r);
    }
}

/*
 * The kernel has taken a part of a packet when the ring is full, or nearly so:
 * the rest of it is not sent, and its frames come back.
 */
static void test_tx_half(void)
{
    static const char jumbo[3 * AF_XDP_FRAME_SIZE];
    const struct iovec iov = { (void *)jumbo, sizeof(jumbo) };
    uint32_t most[2] = { UINT32_MAX, UINT32_MAX };

    for (int k = 0; k < 8; k++) {
        /* It takes one or two frames of the three, then nothing for a while. */
        AfXdpFakeKick list[16] = { { -EAGAIN, 1 + k % 2 } };
        const AfXdpSpan span = { ROOM_FRONT + DRIVER_BUFFERS, 60 };
        uint32_t n = 0;
        Sent s;
        Room r;

        for (int i = 1; i < ARRAY_SIZE(list); i++) {
            list[i].result = -EAGAIN;
        }
        af_xdp_fake_limit(0, 64);
        tx_init(&r, &s, MODERN);
        af_xdp_fake_limit(0, 0);
        room_start(&r);
        r.fake->kicks = list;
        r.fake->n_kicks = ARRAY_SIZE(list);
        g_assert_cmpint(af_xdp_copy_tx(r.copy, &iov, 1), ==, AF_XDP_TX_QUEUED);
        af_xdp_copy_tx_flush(r.copy);
        while (n < most[k % 2] &&
               af_xdp_copy_tx_outside(r.copy, &span, 1, 60) ==
               AF_XDP_TX_QUEUED) {
            n++;
        }
        /* Full at first, then one less each time. */
        most[k % 2] = n - 1;
        room_stop(&r);
        g_assert_cmpuint(r.fake->n_kicks, >, 0);
        r.fake->n_kicks = 0;
        af_xdp_copy_tx_flush(r.copy);
        g_assert_cmpuint(s.n, ==, 0);
        g_assert_cmpuint(af_xdp_umem_count(af_xdp_copy_umem(r.copy),
                                           AF_XDP_FRAME_TX), ==, 0);
        room_free(&r);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/direct/stop/idle", test_idle);
    g_test_add_func("/direct/stop/received", test_received);
    g_test_add_func("/direct/stop/on-its-way", test_on_its_way);
    g_test_add_func("/direct/stop/frames-lost", test_frames_lost);
    g_test_add_func("/direct/stop/twice", test_twice);
    g_test_add_func("/direct/stop/fault", test_fault);
    g_test_add_func("/direct/stop/fault-reset", test_fault_reset);
    g_test_add_func("/direct/stop/no-second", test_no_second);
    g_test_add_func("/direct/stop/random", test_random);
    g_test_add_func("/direct/tx/shapes", test_tx_shapes);
    g_test_add_func("/direct/tx/odd", test_tx_odd);
    g_test_add_func("/direct/tx/portions", test_tx_portions);
    g_test_add_func("/direct/tx/completions", test_tx_completions);
    g_test_add_func("/direct/tx/stop", test_tx_stop);
    g_test_add_func("/direct/tx/half", test_tx_half);
    return g_test_run();
}
