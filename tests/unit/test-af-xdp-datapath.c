/*
 * AF_XDP: packets between virtqueues and a socket, over a real veth pair
 *
 * One end of the pair is a datapath whose rings a plain driver feeds, the
 * other end is a queue of the copying path. Needs root.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <linux/virtio_net.h>
#include "af-xdp-netns.h"
#include "af-xdp-vring-driver.h"
#include "ebpf/ebpf_af_xdp.h"
#include "net/af-xdp-datapath.h"

#define MERGEABLE (1ULL << VIRTIO_NET_F_MRG_RXBUF)
#define MODERN (1ULL << VIRTIO_F_VERSION_1)
#define PACKED (1ULL << VIRTIO_F_RING_PACKED)
#define PATIENCE_US (2 * G_USEC_PER_SEC)
#define FRAME_MAX 9018
#define NUM 64

typedef struct Bench {
    EbpfAfXdp *prog[2];
    AfXdpCopy *guest;           /* the datapath's socket */
    AfXdpCopy *wire;
    Driver *rx_driver;
    Driver *tx_driver;
    AfXdpVring *rx;
    AfXdpVring *tx;
    AfXdpDatapath *dp;
    size_t hdr_len;
} Bench;

static AfXdpCopy *open_end(const char *ifname, int mtu, EbpfAfXdp **prog)
{
    EbpfAfXdpConfig config = { .ifname = ifname, .dev_queues = 1, .queues = 1 };
    GError *err = NULL;
    AfXdpCopy *copy;

    *prog = ebpf_af_xdp_attach(&config, &err);
    g_assert_no_error(err);
    copy = af_xdp_copy_new(ifname, 0, -1, mtu + 18, AF_XDP_BIND_BEST, &err);
    g_assert_no_error(err);
    ebpf_af_xdp_set_socket(*prog, 0, af_xdp_copy_socket(copy)->fd, &err);
    g_assert_no_error(err);
    return copy;
}

static Bench *bench_new(uint64_t features, int mtu)
{
    Bench *b = g_new0(Bench, 1);

    ip("link add va mtu %d numrxqueues 1 numtxqueues 1 type veth "
       "peer name vb mtu %d numrxqueues 1 numtxqueues 1", mtu, mtu);
    /* No IPv6, whose own packets would mix with ours. */
    ip("link set va addrgenmode none up");
    ip("link set vb addrgenmode none up");
    b->guest = open_end("va", mtu, &b->prog[0]);
    b->wire = open_end("vb", mtu, &b->prog[1]);
    b->rx_driver = driver_new(features & PACKED, NUM, true, 1);
    b->tx_driver = driver_new(features & PACKED, NUM, false, 2);
    b->rx = driver_device(b->rx_driver);
    b->tx = driver_device(b->tx_driver);
    b->dp = af_xdp_datapath_new(b->guest, b->rx, b->tx, features);
    b->hdr_len = features & (MERGEABLE | MODERN) ? 12 : 10;
    return b;
}

static void bench_free(Bench *b)
{
    af_xdp_datapath_quiesce(b->dp);
    g_assert_cmpuint(af_xdp_vring_held(b->rx), ==, 0);
    g_assert_cmpuint(af_xdp_vring_held(b->tx), ==, 0);
    af_xdp_datapath_free(b->dp);
    af_xdp_vring_free(b->rx);
    af_xdp_vring_free(b->tx);
    driver_free(b->rx_driver);
    driver_free(b->tx_driver);
    af_xdp_copy_free(b->guest);
    af_xdp_copy_free(b->wire);
    ebpf_af_xdp_detach(b->prog[0], NULL);
    ebpf_af_xdp_detach(b->prog[1], NULL);
    g_free(b);
    ip("link del va");
}

static void frame_make(uint8_t *frame, size_t len, uint32_t number)
{
    memset(frame, 0xff, 6);
    memset(frame + 6, 0x02, 6);
    frame[12] = 0x88;
    frame[13] = 0xb5;
    for (size_t i = 14; i < len; i++) {
        frame[i] = number * 7 + i * 13 + (i >> 8);
    }
}

/* A chain of @n pieces of @len bytes in all, at @gpa; the last has the rest. */
static DriverChain *add(Driver *d, uint64_t gpa, const uint32_t *cut,
                        uint32_t n, uint32_t len)
{
    DriverSeg seg[DRIVER_SEGS_MAX];
    DriverChain *chain;

    for (uint32_t i = 0; i < n; i++) {
        seg[i].gpa = gpa;
        seg[i].len = i < n - 1 ? MIN(cut[i], len) : len;
        gpa += seg[i].len;
        len -= seg[i].len;
    }
    chain = driver_add(d, seg, n, n);
    g_assert_nonnull(chain);
    return chain;
}

static void wire_send(Bench *b, uint8_t *frame, size_t len)
{
    struct iovec iov = { frame, len };

    g_assert_cmpint(af_xdp_copy_tx(b->wire, &iov, 1), ==, AF_XDP_TX_QUEUED);
    g_assert_cmpint(af_xdp_copy_tx_flush(b->wire), ==, AF_XDP_TX_IDLE);
}

static size_t wire_receive(Bench *b, uint8_t *frame)
{
    int64_t deadline = g_get_monotonic_time() + PATIENCE_US;
    struct iovec iov[AF_XDP_MAX_SEGS];
    size_t len;
    uint32_t n;

    while (!(n = af_xdp_copy_rx_next(b->wire, iov))) {
        if (g_get_monotonic_time() > deadline) {
            return 0;
        }
        g_usleep(50);
    }
    len = driver_gather(iov, n, frame, FRAME_MAX);
    af_xdp_copy_rx_flush(b->wire);
    return len;
}

/* Turns until one delivers something or ends otherwise than DONE. */
static AfXdpTurn rx_turn(Bench *b)
{
    int64_t deadline = g_get_monotonic_time() + PATIENCE_US;
    uint64_t before = af_xdp_copy_stats(b->guest)->rx_packets;
    AfXdpTurn turn;
    bool call = false;

    do {
        turn = af_xdp_datapath_rx(b->dp, b->guest, &call);
        if (turn != AF_XDP_TURN_DONE ||
            af_xdp_copy_stats(b->guest)->rx_packets > before) {
            break;
        }
        g_usleep(50);
    } while (g_get_monotonic_time() < deadline);
    return turn;
}

/* What the guest finds in its memory behind a used chain. */
static size_t guest_gather(Bench *b, DriverChain *chain, size_t len,
                           uint8_t *to)
{
    size_t done = 0;

    for (uint32_t i = 0; i < chain->n_seg && done < len; i++) {
        uint32_t n = MIN(chain->seg[i].len, len - done);

        for (uint32_t j = 0; j < n; j++) {
            to[done + j] = *(uint8_t *)driver_host(b->rx_driver,
                                                   chain->seg[i].gpa + j);
        }
        done += n;
    }
    return done;
}

static void test_receive(gconstpointer opaque)
{
    uint64_t features = *(const uint64_t *)opaque;
    static uint8_t sent[FRAME_MAX], got[FRAME_MAX + 12];
    const uint32_t cuts[] = { 5, 3, 200 };
    Bench *b;

    if (!netns_fresh()) {
        return;
    }
    b = bench_new(features, 1500);
    for (size_t len = 14; len <= 1514; len += 3) {
        uint32_t written;
        DriverChain *chain;

        /* The header is cut, too; one buffer more than is needed. */
        add(b->rx_driver, DRIVER_BUFFERS, cuts, 1 + len % 4, 2000);
        frame_make(sent, len, len);
        wire_send(b, sent, len);
        g_assert_cmpint(rx_turn(b), ==, AF_XDP_TURN_DONE);
        chain = driver_collect(b->rx_driver, &written);
        g_assert_nonnull(chain);
        g_assert_cmpuint(written, ==, len + b->hdr_len);
        g_assert_cmpuint(guest_gather(b, chain, written, got), ==, written);
        g_assert_cmpmem(got + b->hdr_len, len, sent, len);
        for (int i = 0; i < 10; i++) {
            g_assert_cmpuint(got[i], ==, 0);
        }
        if (b->hdr_len == 12) {
            g_assert_cmpuint(got[10] | got[11] << 8, ==, 1);
        }
        g_free(chain);
        g_assert_null(driver_collect(b->rx_driver, &written));
    }
    bench_free(b);
}

/* One packet over many buffers, seen all at once. */
static void test_mergeable(void)
{
    static uint8_t sent[FRAME_MAX], got[FRAME_MAX + 12];
    Bench *b;

    if (!netns_fresh()) {
        return;
    }
    b = bench_new(MERGEABLE | MODERN, 9000);
    if (!af_xdp_copy_socket(b->guest)->multi_buffer) {
        g_test_skip("this kernel has no multi-buffer AF_XDP (Linux 6.6)");
        bench_free(b);
        return;
    }
    for (size_t len = 600; len <= 9014; len += 401) {
        uint32_t n_chains = 0, written;
        size_t total = 0;
        DriverChain *chain;

        for (int i = 0; i < 16; i++) {
            add(b->rx_driver, DRIVER_BUFFERS + i * 0x1000, NULL, 1, 600);
        }
        frame_make(sent, len, len);
        wire_send(b, sent, len);
        g_assert_cmpint(rx_turn(b), ==, AF_XDP_TURN_DONE);
        while ((chain = driver_collect(b->rx_driver, &written))) {
            total += guest_gather(b, chain, written, got + total);
            n_chains++;
            g_free(chain);
        }
        g_assert_cmpuint(total, ==, len + 12);
        g_assert_cmpmem(got + 12, len, sent, len);
        g_assert_cmpuint(got[10] | got[11] << 8, ==, n_chains);
        g_assert_cmpuint(n_chains, ==, (len + 12 + 599) / 600);
        /* The buffers that are left, for the next round to begin afresh. */
        af_xdp_datapath_quiesce(b->dp);
        bench_free(b);
        b = bench_new(MERGEABLE | MODERN, 9000);
    }
    bench_free(b);
}

/* Without buffers packets wait, and none is lost or doubled. */
static void test_no_buffer(void)
{
    uint8_t sent[64], got[76];
    Bench *b;

    if (!netns_fresh()) {
        return;
    }
    b = bench_new(MERGEABLE | MODERN, 1500);
    for (int i = 0; i < 40; i++) {
        frame_make(sent, sizeof(sent), i);
        wire_send(b, sent, sizeof(sent));
    }
    g_assert_cmpint(rx_turn(b), ==, AF_XDP_TURN_NO_BUFFERS);
    g_assert_cmpint(rx_turn(b), ==, AF_XDP_TURN_NO_BUFFERS);
    for (int i = 0; i < 40; i++) {
        uint32_t written;
        DriverChain *chain;

        add(b->rx_driver, DRIVER_BUFFERS, NULL, 1, 256);
        g_assert_cmpint(rx_turn(b), ==, i < 39 ? AF_XDP_TURN_NO_BUFFERS
                                               : AF_XDP_TURN_DONE);
        chain = driver_collect(b->rx_driver, &written);
        g_assert_nonnull(chain);
        g_assert_cmpuint(written, ==, sizeof(sent) + 12);
        guest_gather(b, chain, written, got);
        frame_make(sent, sizeof(sent), i);
        g_assert_cmpmem(got + 12, sizeof(sent), sent, sizeof(sent));
        g_free(chain);
    }
    g_assert_cmpuint(af_xdp_umem_count(af_xdp_copy_umem(b->guest),
                                       AF_XDP_FRAME_RECEIVED), ==, 0);
    bench_free(b);
}

/* A packet that no buffer can hold is dropped, its buffer stays. */
static void test_too_long(void)
{
    uint8_t sent[1000];
    uint32_t written;
    Bench *b;

    if (!netns_fresh()) {
        return;
    }
    b = bench_new(MODERN, 1500);
    add(b->rx_driver, DRIVER_BUFFERS, NULL, 1, 1011);
    frame_make(sent, sizeof(sent), 1);
    wire_send(b, sent, sizeof(sent));
    g_assert_cmpint(rx_turn(b), ==, AF_XDP_TURN_DONE);
    g_assert_cmpuint(af_xdp_datapath_stats(b->dp)->rx_too_long, ==, 1);
    g_assert_null(driver_collect(b->rx_driver, &written));
    wire_send(b, sent, 999);
    g_assert_cmpint(rx_turn(b), ==, AF_XDP_TURN_DONE);
    g_free(driver_collect(b->rx_driver, &written));
    g_assert_cmpuint(written, ==, 1011);
    bench_free(b);
}

static void test_send(gconstpointer opaque)
{
    uint64_t features = *(const uint64_t *)opaque;
    static uint8_t sent[FRAME_MAX + 12], got[FRAME_MAX];
    const uint32_t cuts[] = { 7, 1, 90, 1 };
    Bench *b;

    if (!netns_fresh()) {
        return;
    }
    b = bench_new(features, 1500);
    for (size_t len = 14; len <= 1514; len += 3) {
        bool call = false;
        AfXdpTxState state;
        uint32_t written;
        DriverChain *chain;

        frame_make(sent, len, len);
        for (size_t i = 0; i < len + b->hdr_len; i++) {
            *(uint8_t *)driver_host(b->tx_driver, DRIVER_BUFFERS + i) =
                i < b->hdr_len ? 0 : sent[i - b->hdr_len];
        }
        add(b->tx_driver, DRIVER_BUFFERS, cuts, 1 + len % 5,
            len + b->hdr_len);
        g_assert_cmpint(af_xdp_datapath_tx(b->dp, &call, &state), ==,
                        AF_XDP_TURN_DONE);
        g_assert_cmpint(state, ==, AF_XDP_TX_IDLE);
        chain = driver_collect(b->tx_driver, &written);
        g_assert_nonnull(chain);
        g_assert_cmpuint(written, ==, 0);
        g_free(chain);
        g_assert_cmpuint(wire_receive(b, got), ==, len);
        g_assert_cmpmem(got, len, sent, len);
    }
    bench_free(b);
}

/* The socket has no room: what was not sent goes back to the ring. */
static void test_no_room(void)
{
    AfXdpTurn turn = AF_XDP_TURN_DONE;
    uint32_t sent = 0, written;
    AfXdpTxState state;
    DriverChain *chain;
    bool call = false;
    Bench *b;

    if (!netns_fresh()) {
        return;
    }
    b = bench_new(MERGEABLE | MODERN, 1500);
    ip("link set va down");
    while (turn == AF_XDP_TURN_DONE && sent < 10000) {
        add(b->tx_driver, DRIVER_BUFFERS, NULL, 1, 76);
        turn = af_xdp_datapath_tx(b->dp, &call, &state);
        while ((chain = driver_collect(b->tx_driver, &written))) {
            g_free(chain);
            sent++;
        }
    }
    g_assert_cmpint(turn, ==, AF_XDP_TURN_NO_ROOM);
    g_assert_cmpint(state, ==, AF_XDP_TX_DOWN);
    g_assert_cmpuint(af_xdp_copy_stats(b->guest)->tx_packets, ==, sent);
    af_xdp_datapath_quiesce(b->dp);
    g_assert_cmpuint(af_xdp_vring_held(b->tx), ==, 0);
    ip("link set va up");
    for (int i = 0; i < 1000 && turn == AF_XDP_TURN_NO_ROOM; i++) {
        turn = af_xdp_datapath_tx(b->dp, &call, &state);
    }
    g_assert_cmpint(turn, ==, AF_XDP_TURN_DONE);
    chain = driver_collect(b->tx_driver, &written);
    g_assert_nonnull(chain);
    g_free(chain);
    bench_free(b);
}

/* One ring's fault leaves the other one working. */
static void test_faults(void)
{
    uint8_t frame[64];
    AfXdpTxState state;
    bool call = false;
    uint32_t written;
    Bench *b;

    if (!netns_fresh()) {
        return;
    }
    b = bench_new(MERGEABLE | MODERN, 1500);
    add(b->tx_driver, DRIVER_BUFFERS, NULL, 1, 11);
    g_assert_cmpint(af_xdp_datapath_tx(b->dp, &call, &state), ==,
                    AF_XDP_TURN_FAULT);
    g_assert_cmpint(af_xdp_datapath_tx(b->dp, &call, &state), ==,
                    AF_XDP_TURN_FAULT);
    g_assert_nonnull(strstr(af_xdp_datapath_tx_fault(b->dp), "header"));
    g_assert_null(af_xdp_datapath_rx_fault(b->dp));
    g_assert_null(driver_collect(b->tx_driver, &written));

    add(b->rx_driver, DRIVER_BUFFERS, NULL, 1, 256);
    frame_make(frame, sizeof(frame), 1);
    wire_send(b, frame, sizeof(frame));
    g_assert_cmpint(rx_turn(b), ==, AF_XDP_TURN_DONE);
    g_free(driver_collect(b->rx_driver, &written));
    g_assert_cmpuint(written, ==, sizeof(frame) + 12);

    add(b->rx_driver, DRIVER_BUFFERS, NULL, 1, 11);
    wire_send(b, frame, sizeof(frame));
    g_assert_cmpint(rx_turn(b), ==, AF_XDP_TURN_FAULT);
    g_assert_nonnull(strstr(af_xdp_datapath_rx_fault(b->dp), "header"));
    g_assert_cmpuint(af_xdp_umem_count(af_xdp_copy_umem(b->guest),
                                       AF_XDP_FRAME_RECEIVED), ==, 0);
    bench_free(b);

    b = bench_new(MERGEABLE | MODERN, 1500);
    add(b->tx_driver, DRIVER_HOLE, NULL, 1, 100);
    g_assert_cmpint(af_xdp_datapath_tx(b->dp, &call, &state), ==,
                    AF_XDP_TURN_FAULT);
    g_assert_nonnull(af_xdp_datapath_tx_fault(b->dp));
    bench_free(b);
}

int main(int argc, char **argv)
{
    static const uint64_t legacy;
    static const uint64_t modern = MODERN;
    static const uint64_t mergeable = MERGEABLE | MODERN;
    static const uint64_t packed = MERGEABLE | MODERN | PACKED;

    g_test_init(&argc, &argv, NULL);
    netns_init();
    g_test_add_data_func("/af-xdp/datapath/receive/legacy", &legacy,
                         test_receive);
    g_test_add_data_func("/af-xdp/datapath/receive/modern", &modern,
                         test_receive);
    g_test_add_data_func("/af-xdp/datapath/receive/mergeable", &mergeable,
                         test_receive);
    g_test_add_data_func("/af-xdp/datapath/receive/packed", &packed,
                         test_receive);
    g_test_add_func("/af-xdp/datapath/receive/merged", test_mergeable);
    g_test_add_func("/af-xdp/datapath/receive/no-buffer", test_no_buffer);
    g_test_add_func("/af-xdp/datapath/receive/too-long", test_too_long);
    g_test_add_data_func("/af-xdp/datapath/send/legacy", &legacy, test_send);
    g_test_add_data_func("/af-xdp/datapath/send/modern", &modern, test_send);
    g_test_add_data_func("/af-xdp/datapath/send/packed", &packed, test_send);
    g_test_add_func("/af-xdp/datapath/send/no-room", test_no_room);
    g_test_add_func("/af-xdp/datapath/faults", test_faults);
    return g_test_run();
}
