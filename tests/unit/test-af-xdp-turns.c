/*
 * AF_XDP: the data path on a socket without a kernel
 *
 * What no veth does on demand: every answer of the kernel, and a guest that
 * breaks its ring in the middle of a packet. See af-xdp-fake-socket.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <endian.h>
#include <linux/virtio_net.h>
#include "af-xdp-fake-socket.h"
#include "af-xdp-vring-driver.h"
#include "net/af-xdp-datapath.h"
#include "net/af-xdp-lines.h"
#include "net/af-xdp-uapi.h"

#define MERGEABLE (1ULL << VIRTIO_NET_F_MRG_RXBUF)
#define MODERN (1ULL << VIRTIO_F_VERSION_1)
#define NUM 512u
#define TURN_PACKETS 256u
#define LEN 60u
#define AT DRIVER_BUFFERS
/* What the guest's memory holds before anybody writes to it. */
#define BLANK 0xee

typedef struct Room {
    AfXdpCopy *copy;
    AfXdpFakeSocket *fake;
    Driver *rx_driver;
    Driver *tx_driver;
    AfXdpVring *rx;
    AfXdpVring *tx;
    AfXdpDatapath *dp;
    uint8_t packet[LEN];
} Room;

static void room_init(Room *r, uint64_t features)
{
    GError *err = NULL;

    memset(r, 0, sizeof(*r));
    for (int i = 0; i < LEN; i++) {
        r->packet[i] = i + 1;
    }
    r->copy = af_xdp_copy_new("fake", 0, -1, 1518, AF_XDP_BIND_COPY, &err);
    g_assert_no_error(err);
    r->fake = af_xdp_fake(af_xdp_copy_socket(r->copy));
    r->rx_driver = driver_new(features, NUM, true, 1);
    r->tx_driver = driver_new(features, NUM, false, 2);
    r->rx = driver_device(r->rx_driver);
    r->tx = driver_device(r->tx_driver);
    r->dp = af_xdp_datapath_new(r->copy, r->rx, r->tx, features);
}

/* Whatever has happened: nothing of the guest's is kept, no frame is lost. */
static void room_free(Room *r)
{
    const AfXdpUmem *umem = af_xdp_copy_umem(r->copy);

    af_xdp_datapath_quiesce(r->dp);
    g_assert_cmpuint(af_xdp_vring_held(r->rx), ==, 0);
    g_assert_cmpuint(af_xdp_vring_held(r->tx), ==, 0);
    g_assert_cmpuint(r->fake->tx_invalid, ==, 0);
    g_assert_cmpuint(af_xdp_umem_count(umem, AF_XDP_FRAME_RECEIVED), ==, 0);
    g_assert_cmpuint(af_xdp_umem_count(umem, AF_XDP_FRAME_TX), ==,
                     af_xdp_socket_tx_pending(&r->fake->sock) +
                     r->fake->n_in_flight + af_xdp_fake_in_comp(r->fake));
    g_assert_true(af_xdp_fake_frames_once(r->fake, umem));
    af_xdp_datapath_free(r->dp);
    af_xdp_vring_free(r->rx);
    af_xdp_vring_free(r->tx);
    driver_free(r->rx_driver);
    driver_free(r->tx_driver);
    af_xdp_copy_free(r->copy);
}

static void add(Driver *d, uint64_t gpa, uint32_t len)
{
    DriverSeg seg = { gpa, len };

    g_assert_nonnull(driver_add(d, &seg, 1, 1));
}

static void add_many(Driver *d, uint32_t n, uint32_t len)
{
    for (uint32_t i = 0; i < n; i++) {
        add(d, AT + i * 256, len);
    }
}

static void arrive(Room *r, uint32_t n)
{
    while (n-- > 0) {
        g_assert_true(af_xdp_fake_receive(r->fake, r->packet, LEN,
                                          AF_XDP_RX_ROOM));
    }
}

static AfXdpTurn rx_turn(Room *r)
{
    bool call = false;

    return af_xdp_datapath_rx(r->dp, r->copy, &call);
}

static AfXdpTurn tx_turn(Room *r, AfXdpTxState *state)
{
    bool call = false;

    return af_xdp_datapath_tx(r->dp, &call, state);
}

static uint32_t collect(Driver *d, uint32_t *len)
{
    uint32_t n = 0, one;
    DriverChain *chain;

    while ((chain = driver_collect(d, len ? len : &one))) {
        g_free(chain);
        n++;
    }
    return n;
}

static void kicks(Room *r, AfXdpFakeKick *list, uint32_t n)
{
    r->fake->kicks = list;
    r->fake->n_kicks = n;
}

/* The class of CVE-2019-3900: a loop that goes on while there is work. */
static void test_quota(void)
{
    AfXdpTxState state;
    Room r;

    room_init(&r, MODERN | MERGEABLE);
    add_many(r.rx_driver, 400, 128);
    arrive(&r, 400);
    g_assert_cmpint(rx_turn(&r), ==, AF_XDP_TURN_MORE);
    g_assert_cmpuint(collect(r.rx_driver, NULL), ==, TURN_PACKETS);
    g_assert_cmpint(rx_turn(&r), ==, AF_XDP_TURN_DONE);
    g_assert_cmpuint(collect(r.rx_driver, NULL), ==, 400 - TURN_PACKETS);

    add_many(r.tx_driver, 400, 12 + LEN);
    g_assert_cmpint(tx_turn(&r, &state), ==, AF_XDP_TURN_MORE);
    g_assert_cmpuint(collect(r.tx_driver, NULL), ==, TURN_PACKETS);
    g_assert_cmpint(tx_turn(&r, &state), ==, AF_XDP_TURN_DONE);
    g_assert_cmpuint(r.fake->tx_packets, ==, 400);

    /* Few, but large: bytes are limited, too. */
    for (uint32_t i = 0; i < 20; i++) {
        add(r.tx_driver, AT, 12 + 60000);
    }
    g_assert_cmpint(tx_turn(&r, &state), ==, AF_XDP_TURN_MORE);
    g_assert_cmpuint(collect(r.tx_driver, NULL), <, 410);
    room_free(&r);
}

/* Packets that can never be sent, without end: they count, too. */
static void test_quota_of_runts(void)
{
    AfXdpTxState state;
    Room r;

    room_init(&r, MODERN);
    add_many(r.tx_driver, 400, 12 + 5);
    g_assert_cmpint(tx_turn(&r, &state), ==, AF_XDP_TURN_MORE);
    g_assert_cmpuint(af_xdp_copy_stats(r.copy)->tx_runt, ==, TURN_PACKETS);
    g_assert_cmpint(tx_turn(&r, &state), ==, AF_XDP_TURN_DONE);
    g_assert_cmpuint(r.fake->tx_packets, ==, 0);
    room_free(&r);
}

/*
 * The class of CVE-2021-3748 and CVE-2022-26353: an error in the middle of a
 * packet, with buffers of the guest in hand. They go back, unused; the packet
 * stays; nothing is written to them any more.
 */
static void test_error_in_packet(void)
{
    const char *fault;
    uint32_t used;
    Room r;

    room_init(&r, MODERN | MERGEABLE);
    used = le16toh(driver_used(r.rx_driver)->idx);
    memset(driver_host(r.rx_driver, AT), BLANK, 512);
    add(r.rx_driver, AT, 30);
    add(r.rx_driver, AT + 256, 30);
    add(r.rx_driver, DRIVER_HOLE, 30);
    arrive(&r, 1);
    g_assert_cmpint(rx_turn(&r), ==, AF_XDP_TURN_FAULT);
    fault = af_xdp_datapath_rx_fault(r.dp);
    g_assert_nonnull(fault);
    g_assert_cmpint(rx_turn(&r), ==, AF_XDP_TURN_FAULT);
    g_assert_true(fault == af_xdp_datapath_rx_fault(r.dp));
    g_assert_cmpuint(le16toh(driver_used(r.rx_driver)->idx), ==, used);
    g_assert_cmpuint(af_xdp_fake_in_rx(r.fake), ==, 1);
    for (int i = 0; i < 512; i++) {
        g_assert_cmpuint(*(uint8_t *)driver_host(r.rx_driver, AT + i), ==,
                         BLANK);
    }
    af_xdp_datapath_quiesce(r.dp);
    g_assert_cmpuint(af_xdp_vring_held(r.rx), ==, 0);
    g_assert_cmpuint(af_xdp_vring_base(r.rx), ==, 0);
    room_free(&r);
}

/*
 * The class of CVE-2023-6693: a header of another size than was negotiated.
 * So much is written, and not a byte more.
 */
static void test_header_size(gconstpointer opaque)
{
    uint64_t features = *(const uint64_t *)opaque;
    uint32_t hdr = features ? 12 : 10, len;
    uint8_t *at;
    Room r;

    room_init(&r, features);
    at = driver_host(r.rx_driver, AT);
    memset(at, BLANK, 256);
    /* No room for anything behind the packet. */
    add(r.rx_driver, AT, hdr + LEN);
    arrive(&r, 1);
    g_assert_cmpint(rx_turn(&r), ==, AF_XDP_TURN_DONE);
    g_assert_cmpuint(collect(r.rx_driver, &len), ==, 1);
    g_assert_cmpuint(len, ==, hdr + LEN);
    for (uint32_t i = 0; i < hdr; i++) {
        g_assert_cmpuint(at[i], ==, hdr == 12 && i == 10 ? 1 : 0);
    }
    g_assert_cmpmem(at + hdr, LEN, r.packet, LEN);
    for (uint32_t i = hdr + LEN; i < 256; i++) {
        g_assert_cmpuint(at[i], ==, BLANK);
    }
    room_free(&r);
}

/*
 * The class of CVE-2022-2132: a header split over many descriptors, of which
 * only some were looked at.
 */
static void test_header_in_bytes(void)
{
    DriverSeg seg[DRIVER_SEGS_MAX];
    AfXdpTxState state;
    uint32_t len;
    Room r;

    room_init(&r, MODERN);
    for (uint32_t i = 0; i < 13; i++) {
        seg[i] = (DriverSeg) { AT + 2 * i, i < 12 ? 1 : LEN };
    }
    memset(driver_host(r.rx_driver, AT), BLANK, 256);
    g_assert_nonnull(driver_add(r.rx_driver, seg, 13, 13));
    arrive(&r, 1);
    g_assert_cmpint(rx_turn(&r), ==, AF_XDP_TURN_DONE);
    g_assert_cmpuint(collect(r.rx_driver, &len), ==, 1);
    g_assert_cmpuint(len, ==, 12 + LEN);
    for (uint32_t i = 0; i < 12; i++) {
        const uint8_t *at = driver_host(r.rx_driver, AT + 2 * i);

        g_assert_cmpuint(at[0], ==, i == 10 ? 1 : 0);
        g_assert_cmpuint(at[1], ==, BLANK);
    }
    g_assert_cmpmem(driver_host(r.rx_driver, AT + 24), LEN, r.packet, LEN);

    g_assert_nonnull(driver_add(r.tx_driver, seg, 13, 13));
    g_assert_cmpint(tx_turn(&r, &state), ==, AF_XDP_TURN_DONE);
    g_assert_cmpuint(af_xdp_copy_stats(r.copy)->tx_bytes, ==, LEN);

    /* One byte is missing, and there is no packet at all. */
    g_assert_nonnull(driver_add(r.tx_driver, seg, 11, 11));
    g_assert_cmpint(tx_turn(&r, &state), ==, AF_XDP_TURN_FAULT);
    g_assert_cmpuint(r.fake->tx_packets, ==, 1);
    room_free(&r);
}

/*
 * The class of CVE-2021-3416 and CVE-2024-3446: a buffer that makes writing a
 * packet change the device that writes it. Registers are not in the table
 * (vring-hostile, range-not-wholly-mapped); what is, and could do harm, is
 * the ring itself.
 */
static void test_buffer_is_the_ring(void)
{
    static const uint32_t part[] = { DRIVER_DESC, DRIVER_AVAIL, DRIVER_USED };

    for (int i = 0; i < ARRAY_SIZE(part); i++) {
        Room r;

        room_init(&r, MODERN | MERGEABLE);
        for (int j = 0; j < 8; j++) {
            add(r.rx_driver, part[i], 12 + LEN);
        }
        arrive(&r, 20);
        for (int turn = 0; turn < 20; turn++) {
            AfXdpTurn end = rx_turn(&r);

            g_assert_cmpint(end, !=, AF_XDP_TURN_MORE);
            g_assert_cmpint(end == AF_XDP_TURN_FAULT, ==,
                            af_xdp_datapath_rx_fault(r.dp) != NULL);
        }
        room_free(&r);
    }
}

/*
 * The class of CVE-2019-14818 and CVE-2020-10726: something that stays with
 * each repetition. The leak sanitizer would see memory; file descriptors are
 * counted where there are some, in test-af-xdp-copy.
 */
static void test_repetition(void)
{
    Room r;

    room_init(&r, MODERN | MERGEABLE);
    for (int i = 0; i < 1000; i++) {
        AfXdpVringConfig config = driver_config(r.rx_driver,
                                                af_xdp_vring_base(r.rx));
        AfXdpMemory *memory;
        uint32_t len;

        add(r.rx_driver, AT, 100);
        add(r.rx_driver, AT + 256, 100);
        arrive(&r, 1);
        g_assert_cmpint(rx_turn(&r), ==, AF_XDP_TURN_DONE);
        g_assert_cmpuint(collect(r.rx_driver, &len), ==, 1);
        /* One buffer is held: it goes back, and the next user finds it. */
        af_xdp_datapath_quiesce(r.dp);
        config.base = af_xdp_vring_base(r.rx);
        g_assert_cmpuint(af_xdp_vring_held(r.rx), ==, 0);
        af_xdp_datapath_free(r.dp);
        af_xdp_vring_free(r.rx);
        config.num = 3;
        g_assert_null(af_xdp_vring_new(&config, NULL));
        config.num = NUM;
        r.rx = af_xdp_vring_new(&config, NULL);
        g_assert_nonnull(r.rx);
        memory = af_xdp_memory_new(NULL, 0, NULL);
        af_xdp_vring_set_memory(r.rx, memory);
        af_xdp_vring_set_memory(r.rx, r.rx_driver->memory);
        af_xdp_memory_free(memory);
        r.dp = af_xdp_datapath_new(r.copy, r.rx, r.tx, MODERN | MERGEABLE);
        arrive(&r, 1);
        g_assert_cmpint(rx_turn(&r), ==, AF_XDP_TURN_DONE);
        g_assert_cmpuint(collect(r.rx_driver, &len), ==, 1);
    }
    room_free(&r);
}

/* The kernel sends in portions, then is out of memory, then goes on. */
static void test_portions(void)
{
    AfXdpFakeKick list[] = {
        { -EAGAIN, 32 }, { -EAGAIN, 32 }, { -ENOBUFS, 0 },
    };
    AfXdpTxState state;
    Room r;

    room_init(&r, MODERN);
    add_many(r.tx_driver, 100, 12 + LEN);
    kicks(&r, list, 3);
    g_assert_cmpint(tx_turn(&r, &state), ==, AF_XDP_TURN_DONE);
    g_assert_cmpint(state, ==, AF_XDP_TX_RETRY);
    g_assert_cmpuint(r.fake->kicked, ==, 3);
    g_assert_cmpuint(r.fake->tx_packets, ==, 64);
    /* They are copied: the guest need not wait for the kernel. */
    g_assert_cmpuint(collect(r.tx_driver, NULL), ==, 100);
    g_assert_cmpint(tx_turn(&r, &state), ==, AF_XDP_TURN_DONE);
    g_assert_cmpint(state, ==, AF_XDP_TX_IDLE);
    g_assert_cmpuint(r.fake->tx_packets, ==, 100);
    room_free(&r);
}

static void test_refused(void)
{
    AfXdpFakeKick busy = { -EBUSY, 1 }, down = { -ENETDOWN, 0 };
    AfXdpTxState state;
    Room r;

    room_init(&r, MODERN);
    add_many(r.tx_driver, 10, 12 + LEN);
    kicks(&r, &busy, 1);
    g_assert_cmpint(tx_turn(&r, &state), ==, AF_XDP_TURN_DONE);
    g_assert_cmpint(state, ==, AF_XDP_TX_RETRY);
    g_assert_cmpuint(r.fake->kicked, ==, 1);
    g_assert_cmpuint(af_xdp_copy_stats(r.copy)->tx_refused, ==, 1);
    kicks(&r, &down, 1);
    g_assert_cmpint(tx_turn(&r, &state), ==, AF_XDP_TURN_DONE);
    g_assert_cmpint(state, ==, AF_XDP_TX_DOWN);
    g_assert_cmpint(tx_turn(&r, &state), ==, AF_XDP_TURN_DONE);
    g_assert_cmpint(state, ==, AF_XDP_TX_IDLE);
    g_assert_cmpuint(r.fake->tx_packets, ==, 10);
    room_free(&r);
}

/* Completions come late: packets wait in the guest's ring, none is lost. */
static void test_late(void)
{
    AfXdpTxState state;
    uint64_t kicked;
    Room r;

    af_xdp_fake_limit(0, 64);
    room_init(&r, MODERN);
    af_xdp_fake_limit(0, 0);
    r.fake->late = true;
    add_many(r.tx_driver, 200, 12 + LEN);
    /* As many are in flight, and as many wait in the tx ring. */
    g_assert_cmpint(tx_turn(&r, &state), ==, AF_XDP_TURN_NO_ROOM);
    g_assert_cmpint(state, ==, AF_XDP_TX_RETRY);
    g_assert_cmpuint(collect(r.tx_driver, NULL), ==, 2 * 64);
    g_assert_false(af_xdp_copy_tx_ready(r.copy));
    /* The pause that was asked for: the kernel is asked once in a turn. */
    kicked = r.fake->kicked;
    g_assert_cmpint(tx_turn(&r, &state), ==, AF_XDP_TURN_NO_ROOM);
    g_assert_cmpuint(r.fake->kicked, ==, kicked + 1);
    g_assert_cmpuint(collect(r.tx_driver, NULL), ==, 0);
    /* Room is there one turn after the kernel has completed something. */
    g_assert_cmpuint(af_xdp_fake_complete(r.fake, 48), ==, 48);
    tx_turn(&r, &state);
    g_assert_true(af_xdp_copy_tx_ready(r.copy));
    tx_turn(&r, &state);
    g_assert_cmpuint(collect(r.tx_driver, NULL), ==, 48);
    r.fake->late = false;
    af_xdp_fake_complete(r.fake, UINT32_MAX);
    for (int i = 0; i < 4; i++) {
        tx_turn(&r, &state);
    }
    g_assert_cmpuint(collect(r.tx_driver, NULL), ==, 200 - 2 * 64 - 48);
    g_assert_cmpuint(r.fake->tx_packets, ==, 200);
    room_free(&r);
}

/* A kernel that lies: counted, and what is true goes on. */
static void test_lies(void)
{
    const AfXdpCopyStats *stats;
    AfXdpTxState state;
    uint64_t size;
    Room r;

    room_init(&r, MODERN | MERGEABLE);
    stats = af_xdp_copy_stats(r.copy);
    size = af_xdp_umem_size(af_xdp_copy_umem(r.copy));
    add_many(r.rx_driver, 10, 128);
    arrive(&r, 1);
    /* Outside, past a frame's end, a frame for sending, nothing at all. */
    g_assert_true(af_xdp_fake_rx(r.fake, size, 64, 0));
    g_assert_true(af_xdp_fake_rx(r.fake, UINT64_MAX, 64, 0));
    g_assert_true(af_xdp_fake_rx(r.fake, 5000 * 4096 / 4 + 4000, 97, 0));
    g_assert_true(af_xdp_fake_rx(r.fake, size - 4096, 64, 0));
    arrive(&r, 1);
    g_assert_cmpint(rx_turn(&r), ==, AF_XDP_TURN_DONE);
    g_assert_cmpuint(stats->rx_malformed, ==, 4);
    g_assert_cmpuint(stats->rx_packets, ==, 2);
    g_assert_cmpuint(collect(r.rx_driver, NULL), ==, 2);

    /* Completed that was never sent: no frame is free that is not. */
    g_assert_true(af_xdp_fake_comp(r.fake, 0));
    g_assert_true(af_xdp_fake_comp(r.fake, size - 4096));
    g_assert_true(af_xdp_fake_comp(r.fake, UINT64_MAX));
    add_many(r.tx_driver, 1, 12 + LEN);
    g_assert_cmpint(tx_turn(&r, &state), ==, AF_XDP_TURN_DONE);
    g_assert_cmpuint(r.fake->tx_packets, ==, 1);
    room_free(&r);
}

/* Queue pairs run on different processors: they may not share cache lines. */
static void test_own_lines(void)
{
    Room r[2];

    for (int i = 0; i < 2; i++) {
        room_init(&r[i], MODERN);
        g_assert_true(QEMU_IS_ALIGNED((uintptr_t)r[i].dp, AF_XDP_LINES));
        g_assert_true(QEMU_IS_ALIGNED((uintptr_t)r[i].copy, AF_XDP_LINES));
        g_assert_true(QEMU_IS_ALIGNED((uintptr_t)r[i].rx, AF_XDP_LINES));
        g_assert_true(QEMU_IS_ALIGNED((uintptr_t)r[i].tx, AF_XDP_LINES));
        g_assert_true(QEMU_IS_ALIGNED((uintptr_t)af_xdp_copy_umem(r[i].copy),
                                      AF_XDP_LINES));
    }
    room_free(&r[0]);
    room_free(&r[1]);
}

int main(int argc, char **argv)
{
    static const uint64_t legacy, modern = MODERN, merge = MERGEABLE;

    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/turns/quota", test_quota);
    g_test_add_func("/turns/quota-of-runts", test_quota_of_runts);
    g_test_add_func("/turns/error-in-packet", test_error_in_packet);
    g_test_add_data_func("/turns/header-size/legacy", &legacy,
                         test_header_size);
    g_test_add_data_func("/turns/header-size/modern", &modern,
                         test_header_size);
    g_test_add_data_func("/turns/header-size/mergeable", &merge,
                         test_header_size);
    g_test_add_func("/turns/header-in-bytes", test_header_in_bytes);
    g_test_add_func("/turns/buffer-is-the-ring", test_buffer_is_the_ring);
    g_test_add_func("/turns/repetition", test_repetition);
    g_test_add_func("/turns/portions", test_portions);
    g_test_add_func("/turns/refused", test_refused);
    g_test_add_func("/turns/late-completions", test_late);
    g_test_add_func("/turns/kernel-lies", test_lies);
    g_test_add_func("/turns/own-lines", test_own_lines);
    return g_test_run();
}
