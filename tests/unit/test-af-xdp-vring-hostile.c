/*
 * AF_XDP: virtqueues of a hostile guest
 *
 * One test per kind of bug that others had in this place. Each writes the
 * ring by hand, and wants the ring stopped with the right reason, whatever
 * came before it popped, and everything popped still returnable.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <endian.h>
#include "af-xdp-vring-driver.h"

#define NUM 8
#define AVAIL_FLAG (1u << VRING_PACKED_DESC_F_AVAIL)
#define TABLE 0xa0000u
#define BUFFER DRIVER_BUFFERS
#define NEXT VRING_DESC_F_NEXT
#define WRITE VRING_DESC_F_WRITE
#define INDIRECT VRING_DESC_F_INDIRECT

typedef struct Room {
    Driver *d;
    AfXdpVring *vr;
    AfXdpVringElem elems[2 * NUM];
    AfXdpVringPool pool;
    uint32_t popped;
} Room;

static bool is_packed(gconstpointer opaque)
{
    return GPOINTER_TO_INT(opaque);
}

static void room_init_num(Room *r, bool packed, uint32_t num)
{
    memset(r, 0, sizeof(*r));
    r->d = driver_new((uint64_t)packed << VIRTIO_F_RING_PACKED |
                      UINT64_C(1) << VIRTIO_RING_F_INDIRECT_DESC,
                      num, true, 0);
    r->vr = driver_device(r->d);
    r->pool.max = 2 * AF_XDP_VRING_CHAIN_MAX;
    r->pool.iov = g_new(struct iovec, r->pool.max);
    r->pool.gpa = g_new(uint64_t, r->pool.max);
}

static void room_init(Room *r, bool packed)
{
    room_init_num(r, packed, NUM);
}

static void room_free(Room *r)
{
    af_xdp_vring_free(r->vr);
    driver_free(r->d);
    g_free(r->pool.iov);
    g_free(r->pool.gpa);
}

/* Write ring descriptor @i. @next: split only. Packed: made available. */
static void set_desc(Room *r, uint32_t i, uint64_t addr, uint32_t len,
                     uint16_t flags, uint16_t next)
{
    if (r->d->packed) {
        driver_packed(r->d)[i] = (struct vring_packed_desc) {
            .addr = htole64(addr),
            .len = htole32(len),
            .id = htole16(i),
            .flags = htole16(flags | AVAIL_FLAG),
        };
    } else {
        driver_desc(r->d)[i] = (struct vring_desc) {
            .addr = htole64(addr),
            .len = htole32(len),
            .flags = htole16(flags),
            .next = htole16(next),
        };
    }
}

static void set_table(Room *r, uint64_t gpa, uint32_t i, uint64_t addr,
                      uint32_t len, uint16_t flags, uint16_t next)
{
    uint64_t at = gpa + 16 * i;

    if (r->d->packed) {
        struct vring_packed_desc desc = {
            htole64(addr), htole32(len), 0, htole16(flags)
        };

        memcpy(driver_host(r->d, at), &desc, 16);
    } else {
        struct vring_desc desc = {
            htole64(addr), htole32(len), htole16(flags), htole16(next)
        };

        memcpy(driver_host(r->d, at), &desc, 16);
    }
}

/* Split: make the heads available, one after the other from 0. */
static void set_avail(Room *r, uint32_t n)
{
    if (!r->d->packed) {
        for (uint32_t i = 0; i < n; i++) {
            driver_avail(r->d)->ring[i % r->d->num] = htole16(i);
        }
        driver_avail(r->d)->idx = htole16(n);
    }
}

static uint32_t pop(Room *r)
{
    uint32_t n = af_xdp_vring_pop(r->vr, r->elems + r->popped,
                                  ARRAY_SIZE(r->elems) - r->popped, &r->pool);

    r->popped += n;
    return n;
}

/*
 * Pop, and expect @good elements and then @fault. All else about a stopped
 * ring must hold too.
 */
static void expect_fault(Room *r, uint32_t good, AfXdpVringFault fault)
{
    uint32_t n = pop(r);

    n += pop(r);
    g_assert_cmpuint(n, ==, good);
    g_assert_cmpint(af_xdp_vring_fault(r->vr), ==, fault);
    g_assert_false(af_xdp_vring_pending(r->vr));
    g_assert_cmpuint(pop(r), ==, 0);
    g_assert_false(af_xdp_vring_enable_kick(r->vr));
    af_xdp_vring_disable_kick(r->vr);
    /* What was popped is accounted for and can be returned. */
    if (r->popped > 0) {
        uint32_t held = af_xdp_vring_held(r->vr);
        AfXdpVringElem *last = &r->elems[r->popped - 1];

        af_xdp_vring_unpop(r->vr, last, 1);
        g_assert_cmpuint(held - af_xdp_vring_held(r->vr), ==, last->n_slots);
        r->popped--;
        for (uint32_t i = 0; i < r->popped; i++) {
            af_xdp_vring_push(r->vr, &r->elems[i], 0);
        }
        af_xdp_vring_flush(r->vr);
        af_xdp_vring_should_call(r->vr);
    }
    g_assert_cmpuint(af_xdp_vring_held(r->vr), ==, 0);
    room_free(r);
}

/* One good buffer, then at slot 1 the chain to be refused. */
static void begin(Room *r, gconstpointer opaque)
{
    room_init(r, is_packed(opaque));
    set_desc(r, 0, BUFFER, 64, WRITE, 0);
    set_avail(r, 2);
}

/* Chains that go round, by all ways there are. */
static void test_loop(gconstpointer opaque)
{
    Room r;

    begin(&r, opaque);
    if (is_packed(opaque)) {
        /* It cannot go back, but on and on. */
        for (int i = 1; i < NUM; i++) {
            set_desc(&r, i, BUFFER, 64, WRITE | NEXT, 0);
        }
        driver_packed(r.d)[0].flags |= htole16(NEXT);
        expect_fault(&r, 0, AF_XDP_VRING_FAULT_LOOP);
        return;
    }
    set_desc(&r, 1, BUFFER, 64, WRITE | NEXT, 1);
    expect_fault(&r, 1, AF_XDP_VRING_FAULT_LOOP);

    begin(&r, opaque);
    set_desc(&r, 1, BUFFER, 64, WRITE | NEXT, 2);
    set_desc(&r, 2, BUFFER, 0, WRITE | NEXT, 3);
    set_desc(&r, 3, BUFFER, 64, WRITE | NEXT, 1);
    expect_fault(&r, 1, AF_XDP_VRING_FAULT_LOOP);

    begin(&r, opaque);
    set_desc(&r, 1, TABLE, 32, INDIRECT, 0);
    set_table(&r, TABLE, 0, BUFFER, 64, WRITE | NEXT, 1);
    set_table(&r, TABLE, 1, BUFFER, 64, WRITE | NEXT, 0);
    expect_fault(&r, 1, AF_XDP_VRING_FAULT_LOOP);
}

/* The longest chains that are allowed. */
static void test_longest(gconstpointer opaque)
{
    Room r;

    room_init(&r, is_packed(opaque));
    for (int i = 0; i < NUM; i++) {
        set_desc(&r, i, BUFFER + i * 64, 64,
                 WRITE | (i + 1 < NUM ? NEXT : 0), i + 1);
    }
    set_avail(&r, 1);
    g_assert_cmpuint(pop(&r), ==, 1);
    g_assert_cmpuint(r.elems[0].n_iov, ==, NUM);
    g_assert_cmpuint(r.elems[0].len, ==, NUM * 64);
    expect_fault(&r, 0, AF_XDP_VRING_FAULT_NONE);

    room_init(&r, is_packed(opaque));
    set_desc(&r, 0, TABLE, AF_XDP_VRING_CHAIN_MAX * 16, INDIRECT, 0);
    for (int i = 0; i < AF_XDP_VRING_CHAIN_MAX; i++) {
        set_table(&r, TABLE, i, BUFFER + i, 1,
                  WRITE | (i + 1 < AF_XDP_VRING_CHAIN_MAX ? NEXT : 0), i + 1);
    }
    set_avail(&r, 1);
    g_assert_cmpuint(pop(&r), ==, 1);
    g_assert_cmpuint(r.elems[0].n_iov, ==, AF_XDP_VRING_CHAIN_MAX);
    expect_fault(&r, 0, AF_XDP_VRING_FAULT_NONE);
}

/*
 * The class of CVE-2022-2132 and 2019-3900: one chain of any number of
 * descriptors, even empty ones, keeps us busy or overruns what is collected.
 */
static void test_too_many(gconstpointer opaque)
{
    static const uint32_t lens[] = { 0, 1 };

    for (int k = 0; k < ARRAY_SIZE(lens); k++) {
        uint32_t n = AF_XDP_VRING_CHAIN_MAX + 1;
        Room r;

        begin(&r, opaque);
        set_desc(&r, 1, TABLE, n * 16, INDIRECT, 0);
        for (int i = 0; i < n; i++) {
            set_table(&r, TABLE, i, BUFFER, lens[k], WRITE | NEXT, i + 1);
        }
        expect_fault(&r, 1, AF_XDP_VRING_FAULT_CHAIN_LONG);
    }
}

/* The same by the number of regions that its buffers lie in. */
static void test_too_many_pieces(gconstpointer opaque)
{
    uint32_t n = AF_XDP_VRING_CHAIN_MAX / 2 + 1;
    Room r;

    begin(&r, opaque);
    set_desc(&r, 1, TABLE, n * 16, INDIRECT, 0);
    for (int i = 0; i < n; i++) {
        set_table(&r, TABLE, i, 2 * DRIVER_REGION_SIZE - 1, 2,
                  WRITE | (i + 1 < n ? NEXT : 0), i + 1);
    }
    expect_fault(&r, 1, AF_XDP_VRING_FAULT_CHAIN_LONG);
}

/*
 * The class of CVE-2018-1059: a buffer that only begins in guest RAM. And of
 * CVE-2021-3416 and CVE-2024-3446: one in the registers of a device, which are
 * never in the table of regions.
 */
static void test_unmapped(gconstpointer opaque)
{
    static const struct {
        uint64_t addr;
        uint32_t len;
    } bad[] = {
        { DRIVER_HOLE, 1 },
        { DRIVER_HOLE - 1, 2 },
        { DRIVER_HIGH - 1, 2 },
        { DRIVER_HIGH + DRIVER_REGION_SIZE - 1, 2 },
        { BUFFER, UINT32_MAX },
        { 0, DRIVER_HOLE + 1 },
        { UINT64_MAX, 1 },
    };

    for (int i = 0; i < ARRAY_SIZE(bad); i++) {
        Room r;

        begin(&r, opaque);
        set_desc(&r, 1, bad[i].addr, bad[i].len, WRITE, 0);
        expect_fault(&r, 1, AF_XDP_VRING_FAULT_UNMAPPED);
    }
}

/* The class of CVE-2020-10722: address plus length wraps around. */
static void test_wrap(gconstpointer opaque)
{
    Room r;

    begin(&r, opaque);
    set_desc(&r, 1, UINT64_MAX - 15, 32, WRITE, 0);
    expect_fault(&r, 1, AF_XDP_VRING_FAULT_UNMAPPED);

    begin(&r, opaque);
    set_desc(&r, 1, -(uint64_t)UINT32_MAX, UINT32_MAX, WRITE, 0);
    expect_fault(&r, 1, AF_XDP_VRING_FAULT_UNMAPPED);

    begin(&r, opaque);
    set_desc(&r, 1, UINT64_MAX - 15, 32, INDIRECT, 0);
    expect_fault(&r, 1, AF_XDP_VRING_FAULT_INDIRECT_UNMAPPED);
}

/* The class of CVE-2020-10723: a sum or count cut to fewer bits than it has. */
static void test_truncation(gconstpointer opaque)
{
    AfXdpRegion region = { 0, UINT64_C(1) << 33, NULL };
    AfXdpMemory *memory;
    Room r;

    /* Nothing of it is touched, so it need not exist. */
    region.host = (uint8_t *)0x100000000;
    memory = af_xdp_memory_new(&region, 1, NULL);
    g_assert_nonnull(memory);

    begin(&r, opaque);
    af_xdp_vring_set_memory(r.vr, memory);
    set_desc(&r, 1, 0, UINT32_MAX, WRITE | NEXT, 2);
    set_desc(&r, 2, 0, 1, WRITE, 0);
    set_avail(&r, 2);
    expect_fault(&r, 1, AF_XDP_VRING_FAULT_CHAIN_BYTES);

    begin(&r, opaque);
    af_xdp_vring_set_memory(r.vr, memory);
    set_desc(&r, 1, UINT64_C(1) << 32, UINT32_MAX, WRITE, 0);
    g_assert_cmpuint(pop(&r), ==, 2);
    g_assert_cmpuint(r.elems[1].len, ==, UINT32_MAX);
    g_assert_cmpuint(r.elems[1].iov[0].iov_len, ==, UINT32_MAX);
    g_assert_true(r.elems[1].iov[0].iov_base == (void *)0x200000000);
    expect_fault(&r, 0, AF_XDP_VRING_FAULT_NONE);
    af_xdp_memory_free(memory);
}

/*
 * The class of CVE-2020-10725: an empty descriptor whose address is believed.
 * It yields nothing to access.
 */
static void test_zero_length(gconstpointer opaque)
{
    Room r;

    begin(&r, opaque);
    set_desc(&r, 1, DRIVER_HOLE, 0, WRITE | NEXT, 2);
    set_desc(&r, 2, UINT64_MAX, 0, WRITE, 0);
    g_assert_cmpuint(pop(&r), ==, 2);
    g_assert_cmpuint(r.elems[1].n_iov, ==, 0);
    g_assert_cmpuint(r.elems[1].len, ==, 0);
    expect_fault(&r, 0, AF_XDP_VRING_FAULT_NONE);

    /* A good address does not make it a piece either. */
    begin(&r, opaque);
    set_desc(&r, 1, BUFFER, 0, WRITE, 0);
    g_assert_cmpuint(pop(&r), ==, 2);
    g_assert_cmpuint(r.elems[1].n_iov, ==, 0);
    expect_fault(&r, 0, AF_XDP_VRING_FAULT_NONE);

    /* Between others, and as the whole chain. */
    begin(&r, opaque);
    set_desc(&r, 1, BUFFER, 10, WRITE | NEXT, 2);
    set_desc(&r, 2, DRIVER_HOLE, 0, WRITE | NEXT, 3);
    set_desc(&r, 3, BUFFER + 100, 20, WRITE, 0);
    g_assert_cmpuint(pop(&r), ==, 2);
    g_assert_cmpuint(r.elems[1].n_iov, ==, 2);
    g_assert_cmpuint(r.elems[1].len, ==, 30);
    expect_fault(&r, 0, AF_XDP_VRING_FAULT_NONE);
}

/* A device-readable buffer on a receive queue, also behind a good one. */
static void test_direction(gconstpointer opaque)
{
    Room r;

    begin(&r, opaque);
    set_desc(&r, 1, BUFFER, 64, 0, 0);
    expect_fault(&r, 1, AF_XDP_VRING_FAULT_DIRECTION);

    begin(&r, opaque);
    set_desc(&r, 1, BUFFER, 64, WRITE | NEXT, 2);
    set_desc(&r, 2, BUFFER, 64, 0, 0);
    expect_fault(&r, 1, AF_XDP_VRING_FAULT_DIRECTION);

    begin(&r, opaque);
    set_desc(&r, 1, TABLE, 16, INDIRECT | WRITE, 0);
    set_table(&r, TABLE, 0, BUFFER, 64, 0, 0);
    expect_fault(&r, 1, AF_XDP_VRING_FAULT_DIRECTION);
}

static void test_next_outside(gconstpointer opaque)
{
    static const uint16_t bad[] = { NUM, NUM + 1, 0x8000, 0xffff };

    g_assert_false(is_packed(opaque));
    for (int i = 0; i < ARRAY_SIZE(bad); i++) {
        Room r;

        begin(&r, opaque);
        set_desc(&r, 1, BUFFER, 64, WRITE | NEXT, bad[i]);
        expect_fault(&r, 1, AF_XDP_VRING_FAULT_NEXT);

        begin(&r, opaque);
        set_desc(&r, 1, TABLE, NUM * 16, INDIRECT, 0);
        set_table(&r, TABLE, 0, BUFFER, 64, WRITE | NEXT, bad[i]);
        expect_fault(&r, 1, AF_XDP_VRING_FAULT_NEXT);
    }
}

static void test_head_outside(gconstpointer opaque)
{
    static const uint16_t bad[] = { NUM, NUM + 1, 0x8000, 0xffff };

    g_assert_false(is_packed(opaque));
    for (int i = 0; i < ARRAY_SIZE(bad); i++) {
        Room r;

        begin(&r, opaque);
        driver_avail(r.d)->ring[1] = htole16(bad[i]);
        expect_fault(&r, 1, AF_XDP_VRING_FAULT_HEAD);
    }
}

/* An available index that claims more than the ring holds, or goes back. */
static void test_avail_jump(gconstpointer opaque)
{
    static const uint16_t bad[] = { NUM + 1, 0x7fff, 0x8000, 0xffff };
    Room r;

    g_assert_false(is_packed(opaque));
    for (int i = 0; i < ARRAY_SIZE(bad); i++) {
        begin(&r, opaque);
        driver_avail(r.d)->idx = htole16(bad[i]);
        g_assert_true(af_xdp_vring_pending(r.vr));
        expect_fault(&r, 0, AF_XDP_VRING_FAULT_AVAIL_INDEX);
    }
    begin(&r, opaque);
    set_desc(&r, 1, BUFFER, 64, WRITE, 0);
    g_assert_cmpuint(pop(&r), ==, 2);
    driver_avail(r.d)->idx = htole16(1);
    expect_fault(&r, 0, AF_XDP_VRING_FAULT_AVAIL_INDEX);
}

/*
 * The class of CVE-2016-5403: buffers made available again and again without
 * waiting for them grow what we hold without bound.
 */
static void test_unbounded_in_flight(gconstpointer opaque)
{
    AfXdpVringElem elem;
    uint32_t n = 0;
    Room r;

    room_init(&r, is_packed(opaque));
    for (int i = 0; i < NUM; i++) {
        set_desc(&r, i, BUFFER, 64, WRITE, 0);
    }
    set_avail(&r, NUM);
    for (int i = 0; i < 10 * NUM; i++) {
        if (is_packed(opaque)) {
            uint16_t wrap = i / NUM % 2 ? 1u << VRING_PACKED_DESC_F_USED
                                        : AVAIL_FLAG;

            driver_packed(r.d)[i % NUM].flags = htole16(WRITE | wrap);
        } else if (i >= NUM) {
            driver_avail(r.d)->idx = htole16(i + 1);
        }
        n += af_xdp_vring_pop(r.vr, &elem, 1, &r.pool);
        /* Pushed or not, as long as the guest has not got them back. */
        if (n == i + 1 && i & 1) {
            af_xdp_vring_push(r.vr, &elem, 0);
        }
        g_assert_cmpuint(af_xdp_vring_held(r.vr), ==, n);
    }
    g_assert_cmpuint(n, ==, NUM);
    g_assert_cmpint(af_xdp_vring_fault(r.vr), ==,
                    AF_XDP_VRING_FAULT_AVAIL_INDEX);
    af_xdp_vring_flush(r.vr);
    g_assert_cmpuint(af_xdp_vring_held(r.vr), ==, NUM / 2);
    room_free(&r);
}

/* Packed: a list that goes on into what is held already. */
static void test_list_into_held(gconstpointer opaque)
{
    Room r;

    g_assert_true(is_packed(opaque));
    room_init(&r, true);
    for (int i = 0; i < NUM; i++) {
        set_desc(&r, i, BUFFER, 64, WRITE | (i == 4 ? 0 : NEXT), 0);
    }
    expect_fault(&r, 1, AF_XDP_VRING_FAULT_AVAIL_INDEX);
}

static void test_indirect_length(gconstpointer opaque)
{
    static const uint32_t bad[] = {
        0, 1, 15, 17, 16 * 32769, UINT32_MAX, 0xfffffff0,
    };

    for (int i = 0; i < ARRAY_SIZE(bad); i++) {
        Room r;

        begin(&r, opaque);
        set_desc(&r, 1, TABLE, bad[i], INDIRECT, 0);
        expect_fault(&r, 1, AF_XDP_VRING_FAULT_INDIRECT_LENGTH);
    }
}

static void test_indirect_unmapped(gconstpointer opaque)
{
    Room r;

    begin(&r, opaque);
    set_desc(&r, 1, DRIVER_HOLE, 16, INDIRECT, 0);
    expect_fault(&r, 1, AF_XDP_VRING_FAULT_INDIRECT_UNMAPPED);

    /* The table's start is mapped, and would do. */
    begin(&r, opaque);
    set_desc(&r, 1, DRIVER_HOLE - 16, 32, INDIRECT, 0);
    set_table(&r, DRIVER_HOLE - 16, 0, BUFFER, 64, WRITE, 0);
    expect_fault(&r, 1, AF_XDP_VRING_FAULT_INDIRECT_UNMAPPED);
}

static void test_indirect_nested(gconstpointer opaque)
{
    Room r;

    begin(&r, opaque);
    set_desc(&r, 1, TABLE, 16, INDIRECT, 0);
    set_table(&r, TABLE, 0, TABLE, 16, INDIRECT | WRITE, 0);
    if (!is_packed(opaque)) {
        expect_fault(&r, 1, AF_XDP_VRING_FAULT_INDIRECT_NESTED);
        return;
    }
    /* There the flag is to be ignored, 2.8.7: it is a buffer. */
    g_assert_cmpuint(pop(&r), ==, 2);
    g_assert_cmpuint(r.elems[1].len, ==, 16);
    g_assert_cmphex(r.elems[1].gpa[0], ==, TABLE);
    expect_fault(&r, 0, AF_XDP_VRING_FAULT_NONE);
}

static void test_indirect_next(gconstpointer opaque)
{
    Room r;

    begin(&r, opaque);
    set_desc(&r, 1, TABLE, 16, INDIRECT | NEXT, 2);
    set_desc(&r, 2, BUFFER, 64, WRITE, 0);
    set_table(&r, TABLE, 0, BUFFER, 64, WRITE, 0);
    expect_fault(&r, 1, AF_XDP_VRING_FAULT_INDIRECT_NEXT);

    /* At the end of a list: a split ring's may, a packed ring's may not. */
    begin(&r, opaque);
    set_desc(&r, 1, BUFFER, 64, WRITE | NEXT, 2);
    set_desc(&r, 2, TABLE, 16, INDIRECT, 0);
    set_table(&r, TABLE, 0, BUFFER, 64, WRITE, 0);
    if (is_packed(opaque)) {
        expect_fault(&r, 1, AF_XDP_VRING_FAULT_INDIRECT_NEXT);
    } else {
        expect_fault(&r, 2, AF_XDP_VRING_FAULT_NONE);
    }
}

static void test_indirect_off(gconstpointer opaque)
{
    AfXdpVringConfig config;
    Room r;

    begin(&r, opaque);
    af_xdp_vring_free(r.vr);
    config = driver_config(r.d, is_packed(opaque) ? 0x80008000 : 0);
    config.features &= ~(UINT64_C(1) << VIRTIO_RING_F_INDIRECT_DESC);
    r.vr = af_xdp_vring_new(&config, NULL);
    set_desc(&r, 1, TABLE, 16, INDIRECT, 0);
    set_table(&r, TABLE, 0, BUFFER, 64, WRITE, 0);
    expect_fault(&r, 1, AF_XDP_VRING_FAULT_INDIRECT_OFF);
}

/* A table in two regions, cut in the middle of an entry, at an odd address. */
static void test_indirect_across(gconstpointer opaque)
{
    for (int cut = 1; cut < 32; cut++) {
        Room r;

        begin(&r, opaque);
        set_desc(&r, 1, DRIVER_REGION_SIZE - cut, 32, INDIRECT, 0);
        for (int i = 0; i < 32; i++) {
            uint8_t byte[32];

            set_table(&r, TABLE, 0, BUFFER, 11, WRITE | NEXT, 1);
            set_table(&r, TABLE, 1, BUFFER + 64, 22, WRITE, 0);
            memcpy(byte, driver_host(r.d, TABLE), 32);
            *(uint8_t *)driver_host(r.d, DRIVER_REGION_SIZE - cut + i) =
                byte[i];
        }
        g_assert_cmpuint(pop(&r), ==, 2);
        g_assert_cmpuint(r.elems[1].n_iov, ==, 2);
        g_assert_cmpuint(r.elems[1].len, ==, 33);
        expect_fault(&r, 0, AF_XDP_VRING_FAULT_NONE);
    }
}

/* A used index that cannot be, written by the guest before we start. */
static void test_used_index(gconstpointer opaque)
{
    AfXdpVringConfig config;
    Room r;

    g_assert_false(is_packed(opaque));
    begin(&r, opaque);
    af_xdp_vring_free(r.vr);
    driver_used(r.d)->idx = htole16(1);
    config = driver_config(r.d, 0);
    r.vr = af_xdp_vring_new(&config, NULL);
    expect_fault(&r, 0, AF_XDP_VRING_FAULT_USED_INDEX);
}

/* The same heads twice at a time harm only the guest that does it. */
static void test_duplicate_heads(gconstpointer opaque)
{
    Room r;

    g_assert_false(is_packed(opaque));
    begin(&r, opaque);
    set_avail(&r, NUM);
    for (int i = 0; i < NUM; i++) {
        driver_avail(r.d)->ring[i] = 0;
    }
    expect_fault(&r, NUM, AF_XDP_VRING_FAULT_NONE);
}

/* Event areas full of nonsense: a call more or less, nothing worse. */
static void test_events(gconstpointer opaque)
{
    for (int event_idx = 0; event_idx < 2; event_idx++) {
        AfXdpVringConfig config;
        Room r;

        room_init(&r, is_packed(opaque));
        af_xdp_vring_free(r.vr);
        config = driver_config(r.d, is_packed(opaque) ? 0x80008000 : 0);
        config.features |= (uint64_t)event_idx << VIRTIO_RING_F_EVENT_IDX;
        r.vr = af_xdp_vring_new(&config, NULL);
        for (uint32_t v = 0; v < 65536; v += 61) {
            AfXdpVringElem elem;
            uint16_t wrap = (v / 61) / NUM % 2 ? 1u << VRING_PACKED_DESC_F_USED
                                               : AVAIL_FLAG;

            r.pool.n = 0;
            set_desc(&r, 0, BUFFER, 64, WRITE, 0);
            if (is_packed(opaque)) {
                set_desc(&r, v / 61 % NUM, BUFFER, 64, WRITE, 0);
                driver_packed(r.d)[v / 61 % NUM].flags = htole16(WRITE | wrap);
                memset(driver_driver_event(r.d), v >> 8, 4);
                memset(driver_driver_event(r.d), v, 3);
            } else {
                driver_avail(r.d)->ring[v / 61 % NUM] = 0;
                driver_avail(r.d)->idx = htole16(v / 61 + 1);
                driver_avail(r.d)->flags = htole16(v);
                driver_avail(r.d)->ring[NUM] = htole16(v);
            }
            g_assert_cmpuint(af_xdp_vring_pop(r.vr, &elem, 1, &r.pool), ==, 1);
            af_xdp_vring_push(r.vr, &elem, 0);
            af_xdp_vring_flush(r.vr);
            af_xdp_vring_should_call(r.vr);
        }
        g_assert_cmpint(af_xdp_vring_fault(r.vr), ==, AF_XDP_VRING_FAULT_NONE);
        room_free(&r);
    }
}

typedef struct Flipper {
    Room *r;
    uint64_t other;             /* what the second word changes to and fro */
    int stop;
} Flipper;

static void *flip(void *opaque)
{
    Flipper *f = opaque;
    uint64_t *word = (uint64_t *)driver_host(f->r->d, DRIVER_DESC) + 1;
    uint64_t good = __atomic_load_n(word, __ATOMIC_RELAXED);

    while (!__atomic_load_n(&f->stop, __ATOMIC_RELAXED)) {
        __atomic_store_n(word, f->other, __ATOMIC_RELAXED);
        __atomic_store_n(word, good, __ATOMIC_RELAXED);
    }
    return NULL;
}

/*
 * The class of CVE-2020-14375: a length that changes between its check and
 * its use. A buffer is what was checked, or it is refused.
 */
static void test_double_fetch(gconstpointer opaque)
{
    bool packed = is_packed(opaque);
    uint32_t good = 0, bad = 0;
    Flipper f;
    GThread *t;
    Room r;

    room_init(&r, packed);
    set_desc(&r, 0, DRIVER_HOLE - 64, 64, WRITE, 0);
    set_avail(&r, 1);
    f.r = &r;
    f.stop = 0;
    f.other = ((uint64_t *)driver_host(r.d, DRIVER_DESC))[1];
    f.other = (f.other & ~UINT64_C(0xffffffff)) | 0x10000;
    t = g_thread_new("flip", flip, &f);
    /* Until both have been seen often, on a busy machine for a while. */
    for (int i = 0; i < 1000000 && (i < 20000 || MIN(good, bad) < 1000); i++) {
        AfXdpVringConfig config = driver_config(r.d, packed ? 0x80008000 : 0);

        af_xdp_vring_free(r.vr);
        r.vr = af_xdp_vring_new(&config, NULL);
        r.pool.n = 0;
        if (af_xdp_vring_pop(r.vr, r.elems, 1, &r.pool) == 1) {
            good++;
            g_assert_cmpuint(r.elems[0].len, ==, 64);
            g_assert_cmpuint(r.elems[0].iov[0].iov_len, ==, 64);
        } else {
            bad++;
            g_assert_cmpint(af_xdp_vring_fault(r.vr), ==,
                            AF_XDP_VRING_FAULT_UNMAPPED);
        }
    }
    __atomic_store_n(&f.stop, 1, __ATOMIC_RELAXED);
    g_thread_join(t);
    g_test_message("%u good, %u bad", good, bad);
    if (bad == 0) {
        g_test_skip("the two threads never ran at the same time");
    }
    room_free(&r);
}

/* After a table of regions is replaced, the old one is not used any more. */
static void test_new_memory(gconstpointer opaque)
{
    AfXdpMemory *memory = af_xdp_memory_new(NULL, 0, NULL);
    Room r;

    begin(&r, opaque);
    set_desc(&r, 1, BUFFER, 64, WRITE, 0);
    g_assert_cmpuint(af_xdp_vring_pop(r.vr, r.elems, 1, &r.pool), ==, 1);
    r.popped = 1;
    af_xdp_vring_set_memory(r.vr, memory);
    expect_fault(&r, 0, AF_XDP_VRING_FAULT_UNMAPPED);
    af_xdp_memory_free(memory);
}

static void add(const char *name, GTestDataFunc func, bool split, bool packed)
{
    g_autofree char *s = g_strdup_printf("/vring/hostile/%s/split", name);
    g_autofree char *p = g_strdup_printf("/vring/hostile/%s/packed", name);

    if (split) {
        g_test_add_data_func(s, GINT_TO_POINTER(false), func);
    }
    if (packed) {
        g_test_add_data_func(p, GINT_TO_POINTER(true), func);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    add("chain-loop", test_loop, true, true);
    add("longest-chains-are-fine", test_longest, true, true);
    add("too-many-descriptors", test_too_many, true, true);
    add("too-many-pieces", test_too_many_pieces, true, true);
    add("range-not-wholly-mapped", test_unmapped, true, true);
    add("address-wraps", test_wrap, true, true);
    add("truncation-before-check", test_truncation, true, true);
    add("zero-length-bad-address", test_zero_length, true, true);
    add("wrong-direction", test_direction, true, true);
    add("next-outside-table", test_next_outside, true, false);
    add("head-outside-table", test_head_outside, true, false);
    add("available-index-jumps", test_avail_jump, true, false);
    add("unbounded-in-flight", test_unbounded_in_flight, true, true);
    add("list-into-held-buffers", test_list_into_held, false, true);
    add("indirect-length", test_indirect_length, true, true);
    add("indirect-unmapped", test_indirect_unmapped, true, true);
    add("indirect-nested", test_indirect_nested, true, true);
    add("indirect-and-next", test_indirect_next, true, true);
    add("indirect-not-negotiated", test_indirect_off, true, true);
    add("indirect-across-regions", test_indirect_across, true, true);
    add("used-index-spoiled", test_used_index, true, false);
    add("duplicate-heads", test_duplicate_heads, true, false);
    add("events-are-nonsense", test_events, true, true);
    add("double-fetch", test_double_fetch, true, true);
    add("memory-table-replaced", test_new_memory, true, true);
    return g_test_run();
}
