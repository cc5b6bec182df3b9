/*
 * AF_XDP: the guest's receive buffers, posted as they are
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "af-xdp-fake-guest.h"

#define NUM 256u
/* What the kernel puts between what is posted and the data. */
#define GAP (AF_XDP_FRAME_SIZE - ROOM)

/* Where a guest-physical address is in the area. */
static uint64_t in_area(Room *r, uint64_t gpa)
{
    return (char *)driver_host(r->rx_driver, gpa) - r->area;
}

/* --- Addresses --- */

static const uint64_t feature_sets[] = {
    0, MODERN, MERGEABLE, MODERN | MERGEABLE, MODERN | PACKED,
    MODERN | MERGEABLE | PACKED,
};

/* Header and data, and not a byte else, at any alignment. */
static void test_place(void)
{
    for (int f = 0; f < ARRAY_SIZE(feature_sets); f++) {
        uint64_t others[100];
        Room r;

        room_init(&r, feature_sets[f], NUM);
        room_start(&r);
        /* So many that it does not think of frames; the kernel has them. */
        room_add_many(&r, 200, 300);
        af_xdp_datapath_rx_refill(r.dp);
        g_assert_cmpuint(af_xdp_fake_take(r.fake, others, 100), ==, 100);
        for (uint32_t i = 0; i < 40; i++) {
            uint64_t gpa = AT + i * 1333 + i, addr;
            uint32_t len = i == 0 ? ROOM : 60 + i * 29;

            room_blank(&r);
            room_add(&r, gpa, r.hdr_len + ROOM + i % 3);
            af_xdp_datapath_rx_refill(r.dp);
            g_assert_cmpuint(af_xdp_datapath_rx_posted(r.dp), ==, 101);
            g_assert_cmpuint(af_xdp_fake_take(r.fake, &addr, 1), ==, 1);
            g_assert_cmpuint(addr, ==, in_area(&r, gpa) + r.hdr_len - GAP);
            g_assert_true(room_arrive_at(&r, &addr, len, ROOM, i));
            room_rx(&r);
            g_assert_cmpuint(room_next(&r, len, i), ==, 1);
            g_assert_cmpuint(room_changed(&r, gpa, r.hdr_len), ==, r.hdr_len);
            g_assert_cmpuint(room_changed(&r, DRIVER_HIGH, gpa - DRIVER_HIGH),
                             ==, 0);
            gpa += r.hdr_len + len;
            g_assert_cmpuint(room_changed(&r, gpa, DRIVER_HIGH +
                                          DRIVER_REGION_SIZE - gpa), ==, 0);
            g_assert_cmpuint(r.stats->rx_direct, ==, i + 1);
        }
        room_free(&r);
    }
}

typedef struct Shape {
    DriverSeg seg[4];
    uint32_t n;
    size_t counter;             /* in the statistics, when it is copied */
    uint64_t page_size;
    uint64_t size;              /* of the area, less RAM; 0: all */
    bool off;
} Shape;

#define COUNTER(field) offsetof(AfXdpDatapathStats, field)

static void test_shapes(void)
{
    const uint32_t all = 12 + ROOM;
    /* The region that lies first in our memory, and the last one. */
    const uint64_t first = DRIVER_REGION_SIZE, last = 2 * DRIVER_REGION_SIZE;
    const uint64_t last_end = 3 * DRIVER_REGION_SIZE;
    const Shape shapes[] = {
        { { { AT, all } }, 1, COUNTER(rx_direct) },
        { { { AT, 60000 } }, 1, COUNTER(rx_direct) },
        { { { AT, 12 }, { AT + 100, ROOM } }, 2, COUNTER(rx_direct) },
        { { { AT, 12 }, { first + GAP, 4096 }, { AT, 4096 } }, 3,
          COUNTER(rx_direct) },
        { { { AT, all }, { AT + 3000, 100 } }, 2, COUNTER(rx_direct) },
        { { { AT, all - 1 } }, 1, COUNTER(rx_short) },
        { { { AT, 80 } }, 1, COUNTER(rx_short) },
        { { { AT, 12 }, { AT + 100, ROOM - 1 } }, 2, COUNTER(rx_chain) },
        { { { AT, 11 }, { AT + 100, all } }, 2, COUNTER(rx_chain) },
        { { { AT, 13 }, { AT + 100, all } }, 2, COUNTER(rx_chain) },
        { { { AT, 4 }, { AT + 50, 8 }, { AT + 100, all } }, 3,
          COUNTER(rx_chain) },
        { { { AT, all } }, 1, COUNTER(rx_chain), .off = true },
        /* In front of what is posted is what is ours. */
        { { { first, all } }, 1, COUNTER(rx_outside) },
        { { { first + GAP - 13, all } }, 1, COUNTER(rx_outside) },
        { { { first + GAP - 12, all } }, 1, COUNTER(rx_direct) },
        /* Behind it nothing, or what is not in the window. */
        { { { last_end - all, all } }, 1, COUNTER(rx_direct) },
        { { { last, all } }, 1, COUNTER(rx_outside), .size = 3 << 20 },
        { { { AT, 12 }, { last + 5000, 4096 } }, 2, COUNTER(rx_outside),
          .size = 3 << 20 },
        { { { last + 5000, 12 }, { AT, 4096 } }, 2, COUNTER(rx_direct),
          .size = 3 << 20 },
        /* Two pages of 2 MiB: the chunk, not only the buffer, counts. */
        { { { 0 + DRIVER_TABLES, all } }, 1, COUNTER(rx_direct), 2 << 20 },
        { { { DRIVER_HIGH + DRIVER_REGION_SIZE - all, all } }, 1,
          COUNTER(rx_direct), 2 << 20 },
        { { { last + GAP - 13, 4096 } }, 1, COUNTER(rx_page), 1 << 20 },
        { { { last + GAP - 12, 4096 } }, 1, COUNTER(rx_direct), 1 << 20 },
        /* A device may write in front of the data: not before a header. */
        { { { AT, 12 }, { AT + 100, ROOM } }, 2, COUNTER(rx_chain), 2 << 20 },
        { { { AT, 12 }, { AT + 12, ROOM } }, 2, COUNTER(rx_direct), 2 << 20 },
    };

    for (int i = 0; i < ARRAY_SIZE(shapes); i++) {
        const Shape *s = &shapes[i];
        uint32_t frames = s->counter == COUNTER(rx_direct) ? 0 : 512;
        Room r;

        room_init(&r, MODERN | MERGEABLE, NUM);
        r.config.page_size = s->page_size;
        r.config.rx = !s->off;
        if (s->size) {
            r.config.size = ROOM_FRONT + s->size;
        }
        room_start(&r);
        room_blank(&r);
        room_add_pieces(&r, s->seg, s->n);
        af_xdp_datapath_rx_refill(r.dp);
        g_assert_cmpuint(af_xdp_datapath_rx_posted(r.dp), ==, !frames);
        if (s->counter == COUNTER(rx_page)) {
            /* Not many: what comes behind it will fit. */
            g_assert_cmpuint(af_xdp_copy_rx_frames(r.copy), >, 0);
            g_assert_cmpuint(af_xdp_copy_rx_frames(r.copy), <=, 64);
        } else if (frames) {
            g_assert_cmpuint(af_xdp_copy_rx_frames(r.copy), ==, frames);
        }
        /* A packet comes in either way. */
        g_assert_true(room_arrive(&r, 60, ROOM, 1));
        room_rx(&r);
        g_assert_cmpuint(room_next(&r, 60, 1), ==, 1);
        g_assert_cmpuint(*(uint64_t *)((char *)r.stats + s->counter), ==, 1);
        g_assert_cmpuint(r.stats->rx_direct, ==, !frames);
        r.config.rx = true;
        room_free(&r);
    }
}

/* --- Packets in several buffers --- */

/* The carry against the naive reading of the driver, for all it can be. */
static void carry(uint64_t features, bool split)
{
    Room r;

    room_init(&r, features, 2 * NUM);
    af_xdp_vring_set_log(r.rx, &r.log);
    room_start(&r);
    /* More chains than are ever used at once: no frame is posted. */
    room_add_many(&r, 0, 200);
    af_xdp_datapath_rx_refill(r.dp);
    g_assert_cmpuint(af_xdp_copy_rx_frames(r.copy), ==, 0);
    for (uint32_t i = 0; i < 400; i++) {
        uint32_t n = 2 + i % (AF_XDP_MAX_SEGS - 1);
        uint32_t piece = i % 5 == 0 ? ROOM
                                    : g_test_rand_int_range(13, ROOM + 1);
        uint32_t last = i % 3 == 0 ? g_test_rand_int_range(1, 14)
                                   : g_test_rand_int_range(1, piece + 1);
        uint32_t len = (n - 1) * piece + MIN(last, piece);
        uint64_t direct = r.stats->rx_direct;

        room_blank(&r);
        g_assert_true(room_arrive(&r, len, piece, i));
        room_rx(&r);
        g_assert_cmpuint(room_next(&r, len, i), ==, n);
        g_assert_cmpuint(r.stats->rx_direct, ==, direct + 1);
        room_check_log(&r);
        for (uint32_t k = 0; k < n; k++) {
            uint64_t at = SLOT(200 + i * 20 + k);
            DriverSeg two[2] = { { at, 12 }, { at + 15, ROOM } };

            if (split && k % 2) {
                room_add_pieces(&r, two, 2);
            } else {
                room_add(&r, at, 12 + ROOM);
            }
        }
        af_xdp_datapath_rx_refill(r.dp);
    }
    g_assert_cmpuint(r.stats->rx_lost, ==, 0);
    room_free(&r);
}

static void test_carry(void)
{
    carry(MODERN | MERGEABLE, false);
    carry(MODERN | MERGEABLE | PACKED, false);
}

static void test_carry_split_header(void)
{
    carry(MODERN | MERGEABLE, true);
    carry(MODERN | MERGEABLE | PACKED, true);
}

/* Pieces that have not enough to fill the header behind them. */
static void test_tiny_pieces(void)
{
    Room r;

    room_init(&r, MODERN | MERGEABLE, NUM);
    room_start(&r);
    room_add_many(&r, 0, 200);
    af_xdp_datapath_rx_refill(r.dp);
    for (uint32_t i = 0; i < 100; i++) {
        uint32_t piece = 1 + i % 11, n = 2 + i % 17;
        uint32_t posted = af_xdp_datapath_rx_posted(r.dp);

        g_assert_true(room_arrive(&r, piece * n, piece, i));
        room_rx(&r);
        /* It fits one; the others are posted again. */
        g_assert_cmpuint(room_next(&r, piece * n, i), ==, 1);
        g_assert_cmpuint(r.stats->rx_mixed, ==, i + 1);
        g_assert_cmpuint(af_xdp_datapath_rx_posted(r.dp), ==, posted - 1);
        g_assert_cmpuint(af_xdp_fake_in_fill(r.fake), ==, posted - 1);
    }
    room_free(&r);
}

/*
 * A packet of @n pieces, those by bit in @direct in the guest's buffers, the
 * others in frames of ours. @buf_len: bytes of a buffer.
 */
static void mixed(uint32_t n, uint32_t len, uint32_t direct, uint32_t buf_len)
{
    uint64_t frames[8], bufs[64], addrs[8];
    uint32_t n_frames = 0, n_bufs = 0, n_chains;
    Room r;

    room_init(&r, MODERN | MERGEABLE, NUM);
    af_xdp_vring_set_log(r.rx, &r.log);
    room_start(&r);
    g_assert_cmpuint(af_xdp_copy_rx_post_frames(r.copy, n), ==, n);
    af_xdp_copy_rx_submit(r.copy);
    g_assert_cmpuint(af_xdp_fake_take(r.fake, frames, n), ==, n);
    for (uint32_t i = 0; i < 30; i++) {
        room_add(&r, AT + i * 8111, buf_len);
    }
    af_xdp_datapath_rx_refill(r.dp);
    /* As many as there are frames are left as a reserve. */
    g_assert_cmpuint(af_xdp_datapath_rx_posted(r.dp), ==, 30 - n);
    af_xdp_fake_take(r.fake, bufs, 30 - n);
    room_blank(&r);
    for (uint32_t i = 0; i < n; i++) {
        addrs[i] = direct & (1 << i) ? bufs[n_bufs++] : frames[n_frames++];
    }
    g_assert_true(room_arrive_at(&r, addrs, len, ROOM, direct));
    g_assert_cmpint(room_rx(&r), !=, AF_XDP_TURN_FAULT);
    /* Only what the kernel has filled by itself is not filled to its end. */
    n_chains = n_frames > 0 ? DIV_ROUND_UP(len + 12, buf_len) : n;
    g_assert_cmpuint(room_next(&r, len, direct), ==, n_chains);
    g_assert_cmpuint(r.stats->rx_mixed, ==, n_bufs > 0 && n_frames > 0);
    g_assert_cmpuint(r.stats->rx_lost, ==, 0);
    room_check_log(&r);
    room_free(&r);
}

static void test_mixed(void)
{
    for (uint32_t direct = 0; direct < 32; direct++) {
        mixed(5, 4 * ROOM + 700, direct, 12 + ROOM);
        mixed(5, 4 * ROOM + 700, direct, 4000);
        mixed(3, 2 * ROOM + 1000, direct % 8, 4000 - direct);
    }
}

/*
 * In driver zero-copy a program may have moved a packet's beginning: it is
 * moved to behind the header. What is not in the buffer at all is no packet.
 */
static void test_moved(void)
{
    static const struct {
        int by;
        uint32_t len;
        bool lost;
    } cases[] = {
        { 0, 60 }, { 14, 60 }, { -14, 60 }, { 200, ROOM - 200 },
        { -256, 1500 }, { 4, ROOM - 3, true }, { -256, ROOM + 1, true },
        { -(int)GAP - 1, 60, true }, { ROOM + 1, 1, true },
        { 5000, 60, true },
    };
    uint64_t others[100];
    Room r;

    af_xdp_fake_driver_zero_copy(true);
    room_init(&r, MODERN | MERGEABLE, NUM);
    af_xdp_fake_driver_zero_copy(false);
    r.config.page_size = 2 << 20;
    af_xdp_vring_set_log(r.rx, &r.log);
    room_start(&r);
    room_add_many(&r, 200, 300);
    af_xdp_datapath_rx_refill(r.dp);
    af_xdp_fake_take(r.fake, others, 100);
    for (uint32_t i = 0; i < ARRAY_SIZE(cases); i++) {
        uint64_t gap = GAP + cases[i].by, addr, desc;
        uint64_t lost = r.stats->rx_lost;

        room_blank(&r);
        room_add(&r, DRIVER_HIGH + 520000 + i * 5000, 12 + ROOM);
        af_xdp_datapath_rx_refill(r.dp);
        g_assert_cmpuint(af_xdp_fake_take(r.fake, &addr, 1), ==, 1);
        room_packet(&r, cases[i].len, i);
        if (!cases[i].lost) {
            memcpy(r.area + addr + gap, r.packet, cases[i].len);
        }
        desc = cases[i].by < -(int)GAP ? addr - 1
                                       : addr | gap << AF_XDP_ADDR_SHIFT;
        g_assert_true(af_xdp_fake_rx(r.fake, desc, cases[i].len, 0));
        room_rx(&r);
        g_assert_cmpuint(r.stats->rx_lost - lost, ==, cases[i].lost);
        if (!cases[i].lost) {
            g_assert_cmpuint(room_next(&r, cases[i].len, i), ==, 1);
        }
    }
    room_empty(&r);
    room_free(&r);
}

/* What fits no buffer is lost, and the buffers are not. */
static void test_lost(void)
{
    Room r;

    room_init(&r, MODERN, NUM);
    af_xdp_vring_set_log(r.rx, &r.log);
    room_start(&r);
    room_add_many(&r, 0, 100);
    af_xdp_datapath_rx_refill(r.dp);
    room_blank(&r);
    for (uint32_t i = 0; i < 300; i++) {
        g_assert_true(room_arrive(&r, 2 * ROOM, ROOM, 1));
        room_rx(&r);
        g_assert_cmpuint(r.stats->rx_lost, ==, i + 1);
        g_assert_cmpuint(room_next(&r, 2 * ROOM, 1), ==, 0);
        g_assert_cmpuint(af_xdp_datapath_rx_posted(r.dp), ==, 100);
    }
    room_check_log(&r);
    for (uint32_t i = 0; i < 100; i++) {
        g_assert_true(room_arrive(&r, 60 + i, ROOM, i));
        room_rx(&r);
        g_assert_cmpuint(room_next(&r, 60 + i, i), ==, 1);
    }
    room_free(&r);
}

/* --- What is posted --- */

/* From frames to the guest's buffers, in the first moments of a queue. */
static void test_transition(void)
{
    uint32_t i;
    GError *err = NULL;
    Room r;

    room_init(&r, MODERN | MERGEABLE, NUM);
    g_assert_true(af_xdp_copy_outside_begin(r.copy, &err));
    af_xdp_datapath_direct_begin(r.dp, &r.config);
    g_assert_cmpuint(af_xdp_copy_rx_frames(r.copy), ==, 512);
    room_add_many(&r, 0, 128);
    af_xdp_datapath_rx_refill(r.dp);
    for (i = 0; af_xdp_datapath_rx_posted(r.dp) == 0; i++) {
        g_assert_cmpuint(i, <, 512);
        g_assert_true(room_arrive(&r, 60, ROOM, i));
        room_rx(&r);
        g_assert_cmpuint(room_next(&r, 60, i), ==, 1);
        room_add_many(&r, 128 + i % 128, 129 + i % 128);
    }
    g_assert_cmpuint(r.stats->rx_early, ==, i);
    /* Never more frames than chains that are not posted. */
    for (; r.stats->rx_direct < 200; i++) {
        g_assert_cmpuint(i, <, 1024);
        g_assert_cmpuint(af_xdp_vring_held(r.rx) + NUM -
                         driver_outstanding(r.rx_driver), <=, NUM);
        g_assert_cmpuint(driver_outstanding(r.rx_driver) -
                         af_xdp_datapath_rx_posted(r.dp), >=,
                         af_xdp_copy_rx_frames(r.copy));
        g_assert_true(room_arrive(&r, 60, ROOM, i));
        room_rx(&r);
        g_assert_cmpuint(room_next(&r, 60, i), ==, 1);
        room_add_many(&r, 128 + i % 128, 129 + i % 128);
    }
    g_assert_cmpuint(r.stats->rx_early, ==, 512);
    g_assert_cmpuint(r.stats->rx_lost, ==, 0);
    room_free(&r);
}

/* A guest that has no more: said so, and served again when it has. */
static void test_low(void)
{
    Room r;

    room_init(&r, MODERN | MERGEABLE, NUM);
    room_start(&r);
    g_assert_cmpint(af_xdp_datapath_rx_refill(r.dp), ==, AF_XDP_TURN_LOW);
    room_add_many(&r, 0, 200);
    for (uint32_t i = 0; i < 500; i++) {
        AfXdpTurn turn;

        g_assert_true(room_arrive(&r, 60, ROOM, i));
        turn = room_rx(&r);
        /* One is added after each turn, so most are posted after a while. */
        g_assert_cmpint(turn, ==, AF_XDP_TURN_DONE);
        g_assert_cmpuint(room_next(&r, 60, i), ==, 1);
        room_add_many(&r, 200 + i, 201 + i);
    }
    g_assert_cmpuint(r.stats->rx_direct, >=, 500 - 2 * 64);
    /* Now it adds no more. */
    for (uint32_t i = 0; i < 200; i++) {
        uint32_t left = 199 - i;

        g_assert_true(room_arrive(&r, 60, ROOM, i));
        g_assert_cmpint(room_rx(&r), ==, left < NUM / 2 ? AF_XDP_TURN_LOW
                                                        : AF_XDP_TURN_DONE);
        g_assert_cmpuint(room_next(&r, 60, i), ==, 1);
    }
    /* What comes then waits, and is not lost. */
    g_assert_true(room_arrive(&r, 60, ROOM, 1));
    g_assert_cmpint(room_rx(&r), ==, AF_XDP_TURN_NO_BUFFERS);
    room_add_many(&r, 0, 1);
    room_rx(&r);
    g_assert_cmpuint(room_next(&r, 60, 1), ==, 1);
    g_assert_cmpuint(r.stats->rx_lost, ==, 0);
    room_free(&r);
}

/* A flood, and a guest that is always behind: most are not copied. */
static void test_flood(void)
{
    uint32_t number = 0, next = 0, slot = 0;
    Room r;

    room_init(&r, MODERN | MERGEABLE, NUM);
    room_start(&r);
    for (int turn = 0; turn < 200; turn++) {
        while (driver_outstanding(r.rx_driver) < NUM) {
            room_add_many(&r, slot, slot + 1);
            slot++;
        }
        af_xdp_datapath_rx_refill(r.dp);
        while (room_arrive(&r, 60, ROOM, number)) {
            number++;
        }
        room_rx(&r);
        while (next < number && room_next(&r, 60, next) > 0) {
            next++;
        }
    }
    g_assert_cmpuint(r.stats->rx_direct, >, number / 2);
    room_free(&r);
}

/* What the kernel keeps for itself a long time is found all the same. */
static void test_out_of_order(void)
{
    uint64_t kept[8], addr;
    uint32_t number = 0;
    Room r;

    room_init(&r, MODERN | MERGEABLE, 64);
    room_start(&r);
    room_add_many(&r, 0, 64);
    af_xdp_datapath_rx_refill(r.dp);
    g_assert_cmpuint(af_xdp_fake_take(r.fake, kept, 8), ==, 8);
    for (uint32_t i = 0; i < 1000; i++, number++) {
        g_assert_cmpuint(af_xdp_fake_take(r.fake, &addr, 1), ==, 1);
        g_assert_true(room_arrive_at(&r, &addr, 60, ROOM, number));
        room_rx(&r);
        g_assert_cmpuint(room_next(&r, 60, number), ==, 1);
        room_add_many(&r, 64 + i % 64, 65 + i % 64);
        if (i % 250 == 249) {
            uint32_t k = i / 250 * 2;

            /* The later one first. */
            for (int j = 1; j >= 0; j--) {
                g_assert_true(room_arrive_at(&r, &kept[k + j], 90, ROOM,
                                             5000 + k + j));
            }
            room_rx(&r);
            g_assert_cmpuint(room_next(&r, 90, 5000 + k + 1), ==, 1);
            g_assert_cmpuint(room_next(&r, 90, 5000 + k), ==, 1);
            room_add_many(&r, 128 + k, 130 + k);
            af_xdp_datapath_rx_refill(r.dp);
        }
        g_assert_cmpuint(af_xdp_datapath_rx_posted(r.dp), >=, 60);
    }
    g_assert_cmpuint(r.stats->rx_direct, ==, 1008);
    room_free(&r);
}

/* As many as a ring has would overrun those of the kernel. */
static void test_large_ring(void)
{
    Room r;

    room_init(&r, MODERN | MERGEABLE, 4096);
    room_start(&r);
    for (uint32_t i = 0; i < 4096; i++) {
        room_add(&r, AT + i * 200, 12 + ROOM);
    }
    af_xdp_datapath_rx_refill(r.dp);
    for (uint32_t i = 0; i < 4000; i++) {
        uint32_t rx = af_xdp_fake_in_rx(r.fake);

        /* Whatever arrives finds a place. */
        g_assert_cmpuint(af_xdp_datapath_rx_posted(r.dp) +
                         af_xdp_copy_rx_frames(r.copy), <=, AF_XDP_COPY_RING);
        if (!af_xdp_fake_receive(r.fake, NULL, 60, ROOM)) {
            break;
        }
        g_assert_cmpuint(af_xdp_fake_in_rx(r.fake), ==, rx + 1);
        af_xdp_datapath_rx_refill(r.dp);
    }
    for (int i = 0; i < 20; i++) {
        uint32_t len;
        DriverChain *chain;

        room_rx(&r);
        while ((chain = driver_collect(r.rx_driver, &len))) {
            g_free(chain);
        }
    }
    room_free(&r);
}

/* Packets of a queue that the guest does not drive take chains as well. */
static void test_lent(void)
{
    GError *err = NULL;
    AfXdpCopy *other = af_xdp_copy_new("fake", 1, -1, 1518,
                                       AF_XDP_BIND_COPY, &err);
    AfXdpFakeSocket *fake = af_xdp_fake(af_xdp_copy_socket(other));
    bool call = false;
    Room r;

    room_init(&r, MODERN | MERGEABLE, NUM);
    r.config.spare = NUM / 4;
    room_start(&r);
    room_add_many(&r, 0, NUM);
    g_assert_cmpint(af_xdp_datapath_rx_refill(r.dp), ==, AF_XDP_TURN_DONE);
    g_assert_cmpuint(af_xdp_datapath_rx_posted(r.dp), ==, NUM * 3 / 4);
    for (uint32_t i = 0; i < NUM / 4; i++) {
        room_packet(&r, 100, i);
        g_assert_true(af_xdp_fake_receive(fake, r.packet, 100, ROOM));
        g_assert_true(room_arrive(&r, 60, ROOM, 1000 + i));
        g_assert_cmpint(af_xdp_datapath_rx(r.dp, other, &call), ==,
                        AF_XDP_TURN_DONE);
        g_assert_cmpuint(room_next(&r, 100, i), ==, 1);
    }
    g_assert_cmpuint(r.stats->rx_lost, ==, 0);
    room_rx(&r);
    for (uint32_t i = 0; i < NUM / 4; i++) {
        g_assert_cmpuint(room_next(&r, 60, 1000 + i), ==, 1);
    }
    room_free(&r);
    af_xdp_copy_free(other);
}

/* --- Guests that mean harm --- */

/* One buffer twice, and buffers that overlap: it is the guest's data only. */
static void test_overlap(void)
{
    /* At another one's beginning, or its end, from where bytes go on. */
    for (int step = -20; step < 1540; step += step == 19 ? 1491 : 1) {
        uint32_t len;
        DriverChain *chain;
        Room r;

        room_init(&r, MODERN | MERGEABLE, NUM);
        af_xdp_vring_set_log(r.rx, &r.log);
        room_start(&r);
        for (uint32_t i = 0; i < 200; i++) {
            room_add(&r, AT + (int64_t)i * step, 12 + ROOM);
        }
        af_xdp_datapath_rx_refill(r.dp);
        room_blank(&r);
        for (uint32_t i = 0; i < 8; i++) {
            g_assert_true(room_arrive(&r, 60, ROOM, i));
            g_assert_true(room_arrive(&r, 5 * ROOM + 6, ROOM, i));
            g_assert_true(room_arrive(&r, 20, 4, i));
        }
        room_rx(&r);
        while ((chain = driver_collect(r.rx_driver, &len))) {
            g_free(chain);
        }
        room_check_log(&r);
        room_free(&r);
    }
}

/* The ring itself: it breaks, at worst, and nothing else does. */
static void test_buffer_is_the_ring(void)
{
    static const uint32_t part[] = { DRIVER_DESC, DRIVER_AVAIL, DRIVER_USED };

    for (int i = 0; i < 2 * ARRAY_SIZE(part); i++) {
        Room r;

        room_init(&r, MODERN | MERGEABLE | (i % 2 ? PACKED : 0), NUM);
        room_start(&r);
        room_add_many(&r, 0, 20);
        for (int j = 0; j < 100; j++) {
            room_add(&r, part[i / 2], 12 + ROOM);
        }
        af_xdp_datapath_rx_refill(r.dp);
        for (uint32_t turn = 0; turn < 60; turn++) {
            AfXdpTurn end;

            room_arrive(&r, 60 + turn * 20, ROOM, turn);
            room_arrive(&r, 2 * ROOM, ROOM, turn);
            end = room_rx(&r);
            g_assert_cmpint(end == AF_XDP_TURN_FAULT, ==,
                            af_xdp_datapath_rx_fault(r.dp) != NULL);
        }
        /* What the guest has spoiled cannot be compared; our part can. */
        room_stop(&r);
        g_assert_true(af_xdp_fake_frames_once(r.fake,
                                              af_xdp_copy_umem(r.copy)));
        af_xdp_datapath_free(r.dp);
        af_xdp_vring_free(r.rx);
        af_xdp_vring_free(r.tx);
        driver_free(r.rx_driver);
        driver_free(r.tx_driver);
        af_xdp_copy_free(r.copy);
        g_free(r.log.words);
        g_free(r.before);
    }
}

/* Descriptors are read once: what they say later is nothing to us. */
static void test_changed_descriptor(void)
{
    Room r;

    room_init(&r, MODERN | MERGEABLE, NUM);
    room_start(&r);
    room_add_many(&r, 0, 100);
    af_xdp_datapath_rx_refill(r.dp);
    room_blank(&r);
    for (uint32_t i = 0; i < NUM; i++) {
        driver_desc(r.rx_driver)[i].addr = DRIVER_HOLE;
        driver_desc(r.rx_driver)[i].len = 1;
    }
    for (uint32_t i = 0; i < 36; i++) {
        g_assert_true(room_arrive(&r, 60 + i * 60, ROOM, i));
        room_rx(&r);
        g_assert_cmpuint(room_next(&r, 60 + i * 60, i), >, 0);
    }
    g_assert_null(af_xdp_datapath_rx_fault(r.dp));
    room_free(&r);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/direct/place", test_place);
    g_test_add_func("/direct/shapes", test_shapes);
    g_test_add_func("/direct/carry", test_carry);
    g_test_add_func("/direct/carry-split-header", test_carry_split_header);
    g_test_add_func("/direct/tiny-pieces", test_tiny_pieces);
    g_test_add_func("/direct/mixed", test_mixed);
    g_test_add_func("/direct/moved", test_moved);
    g_test_add_func("/direct/lost", test_lost);
    g_test_add_func("/direct/transition", test_transition);
    g_test_add_func("/direct/low", test_low);
    g_test_add_func("/direct/flood", test_flood);
    g_test_add_func("/direct/out-of-order", test_out_of_order);
    g_test_add_func("/direct/large-ring", test_large_ring);
    g_test_add_func("/direct/lent", test_lent);
    g_test_add_func("/direct/overlap", test_overlap);
    g_test_add_func("/direct/buffer-is-the-ring", test_buffer_is_the_ring);
    g_test_add_func("/direct/changed-descriptor", test_changed_descriptor);
    return g_test_run();
}
