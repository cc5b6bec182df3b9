/*
 * Test helper: a guest with direct buffers at one end of a veth pair
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <endian.h>
#include <sys/mman.h>
#include "af-xdp-guest.h"
#include "af-xdp-netns.h"

/* --- Frames --- */

typedef struct QEMU_PACKED FrameHead {
    uint8_t mac[12];
    uint16_t type;
    uint32_t number;
    uint32_t len;
} FrameHead;

void frame_make(uint8_t *frame, uint32_t len, uint32_t number)
{
    FrameHead head = {
        .type = htobe16(0x88b5),    /* IEEE 802 local experimental 1 */
        .number = number,
        .len = len,
    };

    memset(head.mac, 0xff, 6);
    memset(head.mac + 6, 0x02, 6);
    for (uint32_t i = 0; i < len; i++) {
        frame[i] = number * 7 + i * 13 + (i >> 8);
    }
    memcpy(frame, &head, sizeof(head));
}

uint32_t frame_check(const uint8_t *frame, uint32_t len)
{
    static __thread uint8_t right[FRAME_LONGEST];
    FrameHead head;

    g_assert_cmpuint(len, >=, sizeof(head));
    g_assert_cmpuint(len, <=, sizeof(right));
    memcpy(&head, frame, sizeof(head));
    g_assert_cmpuint(head.len, ==, len);
    frame_make(right, len, head.number);
    g_assert_cmpmem(frame, len, right, len);
    return head.number;
}

/* --- The wire --- */

enum { PAUSE, BLAST, END };

#define SEEN_BYTES (1u << 20)

static AfXdpCopy *end_open(const char *ifname, int mtu, EbpfAfXdp **prog)
{
    EbpfAfXdpConfig config = { .ifname = ifname, .dev_queues = 1, .queues = 1 };
    GError *err = NULL;
    AfXdpCopy *copy;

    *prog = ebpf_af_xdp_attach(&config, &err);
    g_assert_no_error(err);
    copy = af_xdp_copy_new(ifname, 0, -1, mtu + 18, AF_XDP_BIND_COPY, &err);
    g_assert_no_error(err);
    return copy;
}

static void map_set(EbpfAfXdp *prog, int fd)
{
    GError *err = NULL;

    ebpf_af_xdp_set_socket(prog, 0, fd, &err);
    g_assert_no_error(err);
}

static void map_replace(EbpfAfXdp *prog, int fd)
{
    GError *err = NULL;

    ebpf_af_xdp_replace_socket(prog, 0, fd, &err);
    g_assert_no_error(err);
}

void wire_receive(Wire *w)
{
    uint8_t frame[FRAME_LONGEST];
    struct iovec iov[AF_XDP_MAX_SEGS];
    uint32_t n;

    while ((n = af_xdp_copy_rx_next(w->copy, iov)) > 0) {
        uint32_t number;
        size_t len = driver_gather(iov, n, frame, sizeof(frame));

        number = frame_check(frame, len);
        g_assert_cmpuint(number, <, SEEN_BYTES * 8);
        g_assert_false(w->seen[number / 8] & (1 << number % 8));
        w->seen[number / 8] |= 1 << number % 8;
        w->received++;
        af_xdp_copy_rx_flush(w->copy);
    }
    af_xdp_copy_rx_flush(w->copy);
}

static bool try_send(Wire *w, uint32_t len)
{
    uint8_t frame[FRAME_LONGEST];
    struct iovec iov = { frame, len };

    frame_make(frame, len, w->number + 1);
    if (af_xdp_copy_tx(w->copy, &iov, 1) != AF_XDP_TX_QUEUED) {
        return false;
    }
    w->number++;
    return true;
}

void wire_send(Wire *w, uint32_t len)
{
    int64_t deadline = g_get_monotonic_time() + PATIENCE_US;

    while (!try_send(w, len)) {
        g_assert_cmpint(g_get_monotonic_time(), <, deadline);
        g_usleep(50);
    }
    while (af_xdp_copy_tx_flush(w->copy) != AF_XDP_TX_IDLE) {
        g_assert_cmpint(g_get_monotonic_time(), <, deadline);
        g_usleep(50);
    }
}

static gpointer wire_main(gpointer opaque)
{
    Wire *w = opaque;
    g_autoptr(GRand) rand = g_rand_new_with_seed(1);
    int wanted;

    while ((wanted = g_atomic_int_get(&w->wanted)) != END) {
        g_atomic_int_set(&w->does, wanted);
        if (wanted == PAUSE) {
            g_usleep(50);
            continue;
        }
        for (int i = 0; i < 64; i++) {
            if (!try_send(w, g_rand_int_range(rand, w->min, w->max + 1))) {
                break;
            }
        }
        af_xdp_copy_tx_flush(w->copy);
        wire_receive(w);
    }
    return NULL;
}

static void wire_want(Wire *w, int what)
{
    g_atomic_int_set(&w->wanted, what);
    while (g_atomic_int_get(&w->does) != what) {
        g_usleep(20);
    }
}

void wire_blast(Wire *w, uint32_t min, uint32_t max)
{
    wire_want(w, PAUSE);
    w->min = min;
    w->max = max;
    wire_want(w, BLAST);
}

void wire_pause(Wire *w)
{
    wire_want(w, PAUSE);
}

Wire *wire_new(int mtu)
{
    Wire *w = g_new0(Wire, 1);

    ip("link add va mtu %d numrxqueues 1 numtxqueues 1 type veth "
       "peer name vb mtu %d numrxqueues 1 numtxqueues 1", mtu, mtu);
    /* No IPv6, whose own packets would mix with ours. */
    ip("link set va addrgenmode none up");
    ip("link set vb addrgenmode none up");
    w->copy = end_open("vb", mtu, &w->prog);
    map_set(w->prog, af_xdp_copy_socket(w->copy)->fd);
    w->seen = g_new0(uint8_t, SEEN_BYTES);
    w->does = PAUSE;
    w->wanted = PAUSE;
    w->thread = g_thread_new("wire", wire_main, w);
    return w;
}

void wire_free(Wire *w)
{
    g_atomic_int_set(&w->wanted, END);
    g_thread_join(w->thread);
    af_xdp_copy_free(w->copy);
    ebpf_af_xdp_detach(w->prog, NULL);
    g_free(w->seen);
    g_free(w);
    ip("link del va");
}

/* --- The guest's memory --- */

/* Receive buffers are in the high region, at no address that is even. */
#define RX_AT (DRIVER_HIGH + 4099)
#define RX_STRIDE 2562u
/* Packets to be sent are behind both rings. */
#define TX_AT DRIVER_BUFFERS_OF_TWO
#define TX_STRIDE 9216u

static size_t ram_offset(Guest *g, uint64_t gpa)
{
    return (uint8_t *)driver_host(g->rx_driver, gpa) - g->rx_driver->host;
}

/* Whatever is there now is right. */
static void allow(Guest *g, uint64_t gpa, uint64_t len)
{
    size_t at = ram_offset(g, gpa);

    memcpy(g->expected + at, g->ram + at, len);
}

static void allow_ring(Guest *g, const Driver *d)
{
    allow(g, d->place + DRIVER_DESC, 16 * GUEST_NUM);
    allow(g, d->place + DRIVER_AVAIL, 6 + 2 * GUEST_NUM);
    allow(g, d->place + DRIVER_USED, 6 + 8 * GUEST_NUM);
}

void guest_check_ram(Guest *g)
{
    allow_ring(g, g->rx_driver);
    allow_ring(g, g->tx_driver);
    if (memcmp(g->ram, g->expected, DRIVER_MEMORY_SIZE) != 0) {
        for (size_t i = 0; i < DRIVER_MEMORY_SIZE; i++) {
            if (g->ram[i] != g->expected[i]) {
                g_error("byte 0x%zx of guest RAM is 0x%02x, not 0x%02x", i,
                        g->ram[i], g->expected[i]);
            }
        }
    }
}

static void guest_ram_new(Guest *g)
{
    GError *err = NULL;
    AfXdpBlock block = { .name = "ram", .size = DRIVER_MEMORY_SIZE,
                         .page_size = 4096 };

    g->memfd = memfd_create("ram", MFD_CLOEXEC);
    g_assert_cmpint(ftruncate(g->memfd, DRIVER_MEMORY_SIZE), ==, 0);
    g->ram = mmap(NULL, DRIVER_MEMORY_SIZE, PROT_READ | PROT_WRITE,
                  MAP_SHARED, g->memfd, 0);
    g_assert_true(g->ram != MAP_FAILED);
    block.fd = g->memfd;
    block.host = g->ram;
    g->window = af_xdp_window_new(&block, 1, (uint64_t)AF_XDP_COPY_FRAMES *
                                  AF_XDP_FRAME_SIZE, &err);
    g_assert_no_error(err);
    g->rx_driver = driver_new_at(g->features, GUEST_NUM, true, 1,
                                 af_xdp_window_find(g->window, &block), 0);
    g->tx_driver = driver_new_at(g->features, GUEST_NUM, false, 2,
                                 g->rx_driver->host, DRIVER_SECOND);
    g->expected = g_malloc0(DRIVER_MEMORY_SIZE);
    /* Canaries everywhere but in the rings. */
    for (size_t i = 0; i < DRIVER_MEMORY_SIZE; i++) {
        g->expected[i] = 0xa5 ^ i ^ (i >> 8);
    }
    allow_ring(g, g->rx_driver);
    allow_ring(g, g->tx_driver);
    memcpy(g->ram, g->expected, DRIVER_MEMORY_SIZE);
}

/* --- The guest --- */

void guest_new_rings(Guest *g)
{
    AfXdpVringConfig rx, tx;
    GError *err = NULL;

    rx = driver_config(g->rx_driver, af_xdp_vring_base(g->rx));
    tx = driver_config(g->tx_driver, af_xdp_vring_base(g->tx));
    af_xdp_datapath_free(g->dp);
    af_xdp_vring_free(g->rx);
    af_xdp_vring_free(g->tx);
    g->rx = af_xdp_vring_new(&rx, &err);
    g_assert_no_error(err);
    g->tx = af_xdp_vring_new(&tx, &err);
    g_assert_no_error(err);
    g->dp = af_xdp_datapath_new(g->copy, g->rx, g->tx, g->features);
}

Guest *guest_new(uint64_t features, int mtu, uint32_t room)
{
    Guest *g = g_new0(Guest, 1);
    GError *err = NULL;
    AfXdpPlace place;
    AfXdpMove move = {
        .ifname = "va",
        .frame_max = mtu + 18,
        .place = &place,
    };

    g->features = features;
    g->hdr_len = features & (MERGEABLE | MODERN) ? 12 : 10;
    g->room = room;
    g->mtu = mtu;
    guest_ram_new(g);
    place = (AfXdpPlace) {
        .area = af_xdp_window_area(g->window),
        .size = af_xdp_window_size(g->window),
        .headroom = AF_XDP_RX_ROOM - room,
    };
    g->copy = end_open("va", mtu, &g->prog);
    g_assert_true(af_xdp_copy_move(g->copy, &move, &err));
    g_assert_no_error(err);
    map_set(g->prog, af_xdp_copy_socket(g->copy)->fd);
    g->rx = driver_device(g->rx_driver);
    g->tx = driver_device(g->tx_driver);
    g->dp = af_xdp_datapath_new(g->copy, g->rx, g->tx, features);
    for (uint32_t i = 0; i < GUEST_NUM; i++) {
        DriverSeg seg = { RX_AT + i * RX_STRIDE, g->hdr_len + room };

        g_assert_nonnull(driver_add(g->rx_driver, &seg, 1, 1));
    }
    return g;
}

void guest_free(Guest *g)
{
    af_xdp_datapath_quiesce(g->dp);
    g_assert_cmpuint(af_xdp_vring_held(g->rx), ==, 0);
    g_assert_cmpuint(af_xdp_vring_held(g->tx), ==, 0);
    af_xdp_datapath_free(g->dp);
    af_xdp_vring_free(g->rx);
    af_xdp_vring_free(g->tx);
    af_xdp_copy_free(g->copy);
    ebpf_af_xdp_detach(g->prog, NULL);
    driver_free(g->rx_driver);
    driver_free(g->tx_driver);
    af_xdp_window_free(g->window);
    munmap(g->ram, DRIVER_MEMORY_SIZE);
    close(g->memfd);
    g_free(g->expected);
    g_free(g);
}

void guest_start(Guest *g)
{
    GError *err = NULL;
    AfXdpDirectConfig config = {
        .area = af_xdp_window_area(g->window),
        .size = af_xdp_window_size(g->window),
        .front = af_xdp_window_front(g->window),
        .headroom = AF_XDP_RX_ROOM - g->room,
        .room = g->room,
        .rx = true,
        .tx = true,
    };

    g_assert_true(af_xdp_copy_outside_begin(g->copy, &err));
    g_assert_no_error(err);
    map_replace(g->prog, af_xdp_copy_socket(g->copy)->fd);
    af_xdp_datapath_direct_begin(g->dp, &config);
    g_assert_true(af_xdp_datapath_direct(g->dp));
}

void guest_stop(Guest *g)
{
    bool call = false;

    map_replace(g->prog, af_xdp_copy_base_fd(g->copy));
    af_xdp_datapath_direct_stop(g->dp, &call);
    af_xdp_datapath_direct_end(g->dp, &call);
    g_assert_false(af_xdp_datapath_direct(g->dp));
}

/* The part of a buffer that the kernel may have written a lost packet to. */
static void allow_data(Guest *g, uint64_t gpa)
{
    allow(g, gpa + g->hdr_len, g->room);
}

/* A packet, or a buffer that comes back empty. */
static void collect_rx(Guest *g, DriverChain *first, uint32_t len)
{
    static uint8_t packet[FRAME_LONGEST + 12];
    uint32_t size = 0;
    uint16_t n = 1;
    DriverChain *chain = first;

    if (len > 0 && g->hdr_len == 12) {
        const uint8_t *header = driver_host(g->rx_driver, first->seg[0].gpa);

        n = header[10] | header[11] << 8;
        g_assert_cmpuint(n, >=, 1);
        g_assert_cmpuint(n, <=, AF_XDP_MAX_SEGS);
    }
    for (uint16_t i = 0; i < n; i++) {
        DriverSeg seg;

        if (i > 0) {
            chain = driver_collect(g->rx_driver, &len);
            g_assert_nonnull(chain);
            g_assert_cmpuint(len, >, 0);
        }
        seg = chain->seg[0];
        g_assert_cmpuint(len, <=, seg.len);
        g_assert_cmpuint(size + len, <=, sizeof(packet));
        memcpy(packet + size, driver_host(g->rx_driver, seg.gpa), len);
        size += len;
        allow(g, seg.gpa, len);
        if (len == 0) {
            allow_data(g, seg.gpa);
        } else if (i + 1 < n && len < seg.len) {
            /* What has moved to the next one is here, too. */
            allow(g, seg.gpa + len, MIN(g->hdr_len, seg.len - len));
        }
        g_free(chain);
        g_assert_nonnull(driver_add(g->rx_driver, &seg, 1, 1));
    }
    if (size > 0) {
        for (uint32_t i = 0; i < 10; i++) {
            g_assert_cmpuint(packet[i], ==, 0);
        }
        frame_check(packet + g->hdr_len, size - g->hdr_len);
        g->received++;
    }
}

void guest_collect(Guest *g)
{
    const AfXdpDatapathStats *stats = af_xdp_datapath_stats(g->dp);
    DriverChain *chain;
    uint32_t len;

    if (stats->rx_mixed + stats->rx_lost != g->unsure_seen) {
        g->unsure = true;
        g->unsure_seen = stats->rx_mixed + stats->rx_lost;
    }
    while ((chain = driver_collect(g->rx_driver, &len))) {
        collect_rx(g, chain, len);
    }
    while ((chain = driver_collect(g->tx_driver, &len))) {
        g_free(chain);
        g->n_sending--;
    }
}

void guest_turn(Guest *g)
{
    AfXdpTxState state;
    bool call = false;

    g_assert_cmpint(af_xdp_datapath_rx(g->dp, g->copy, &call), !=,
                    AF_XDP_TURN_FAULT);
    g_assert_cmpint(af_xdp_datapath_tx(g->dp, &call, &state), !=,
                    AF_XDP_TURN_FAULT);
    guest_collect(g);
}

bool guest_send(Guest *g, uint32_t len, uint32_t n_pieces)
{
    uint64_t at = TX_AT + g->next_slot % GUEST_TX_SLOTS * TX_STRIDE + 5;
    uint32_t size = g->hdr_len + len, cut = g->hdr_len, n = 0;
    uint8_t *host = driver_host(g->tx_driver, at);
    DriverSeg seg[3];

    if (g->n_sending == GUEST_TX_SLOTS) {
        return false;
    }
    memset(host, 0, g->hdr_len);
    frame_make(host + g->hdr_len, len, ++g->number);
    allow(g, at, size);
    for (; n + 1 < n_pieces; n++) {
        seg[n] = (DriverSeg) { at, cut };
        at += cut;
        size -= cut;
        cut = size / 2;
    }
    seg[n++] = (DriverSeg) { at, size };
    g_assert_nonnull(driver_add(g->tx_driver, seg, n, n));
    g->n_sending++;
    g->next_slot++;
    return true;
}

/* --- Afterwards --- */

void guest_check_stopped(Guest *g)
{
    guest_collect(g);
    g_assert_cmpuint(af_xdp_datapath_rx_posted(g->dp), ==, 0);
    g_assert_cmpuint(af_xdp_vring_held(g->rx), ==, 0);
    g_assert_cmpuint(af_xdp_vring_held(g->tx), ==, 0);
    g_assert_cmpuint(driver_outstanding(g->rx_driver), ==,
                     driver_available(g->rx_driver,
                                      af_xdp_vring_base(g->rx)));
    g_assert_cmpuint(driver_outstanding(g->tx_driver), ==,
                     driver_available(g->tx_driver,
                                      af_xdp_vring_base(g->tx)));
    /* Whatever was not collected may hold a packet that was lost. */
    for (uint32_t i = 0; i < 65536; i++) {
        const DriverChain *chain = g->rx_driver->by_id[i];

        if (chain) {
            allow_data(g, chain->seg[0].gpa);
        }
    }
    guest_check_ram(g);
}

/* Entries that wait in a ring. */
static uint32_t in_ring(const uint32_t *producer, const uint32_t *consumer)
{
    return __atomic_load_n(producer, __ATOMIC_ACQUIRE) -
           __atomic_load_n(consumer, __ATOMIC_ACQUIRE);
}

void guest_check_frames(Guest *g)
{
    const AfXdpUmem *umem = af_xdp_copy_umem(g->copy);
    const AfXdpSocket *s = af_xdp_copy_socket(g->copy);
    g_autofree uint8_t *seen = g_new0(uint8_t, AF_XDP_COPY_FRAMES);
    int64_t deadline = g_get_monotonic_time() + PATIENCE_US;
    uint32_t n = 0, sum = 0;

    /* The kernel may be about to deliver the last ones still. */
    while (in_ring(s->fill.producer, s->fill.consumer) +
           in_ring(s->rx.producer, s->rx.consumer) !=
           af_xdp_umem_count(umem, AF_XDP_FRAME_FILL) &&
           g_get_monotonic_time() < deadline) {
        g_usleep(1000);
    }

    for (uint32_t i = *s->fill.consumer; i != *s->fill.producer; i++, n++) {
        uint64_t addr = ((uint64_t *)s->fill.ring)[i & s->fill.mask];

        g_assert_true(af_xdp_umem_has(umem, addr));
        g_assert_cmpuint(seen[addr / AF_XDP_FRAME_SIZE]++, ==, 0);
    }
    for (uint32_t i = *s->rx.consumer; i != *s->rx.producer; i++, n++) {
        uint64_t addr = xsk_ring_cons__rx_desc(&s->rx, i)->addr;

        g_assert_true(af_xdp_umem_has(umem, addr));
        g_assert_cmpuint(seen[af_xdp_addr_posted(addr) /
                              AF_XDP_FRAME_SIZE]++, ==, 0);
    }
    g_assert_cmpuint(af_xdp_umem_count(umem, AF_XDP_FRAME_FILL), ==, n);
    g_assert_cmpuint(af_xdp_umem_count(umem, AF_XDP_FRAME_RECEIVED), ==, 0);
    for (int i = 0; i < AF_XDP_FRAME__MAX; i++) {
        sum += af_xdp_umem_count(umem, i);
    }
    g_assert_cmpuint(sum, ==, AF_XDP_COPY_FRAMES);
    g_assert_cmpuint(af_xdp_copy_stats(g->copy)->rx_malformed, ==, 0);
}
