/*
 * Test helper: a guest with direct buffers on a socket without a kernel
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <endian.h>
#include <sys/mman.h>
#include "af-xdp-fake-guest.h"

/* As many words as pages up to the end of the high region. */
#define LOG_WORDS ((DRIVER_HIGH + DRIVER_REGION_SIZE) >> \
                   AF_XDP_LOG_PAGE_BITS >> 6)

static void open_rings(Room *r)
{
    uint8_t *ram = (uint8_t *)r->area + ROOM_FRONT;

    r->rx_driver = driver_new_at(r->features, r->num, true, 1, ram, 0);
    r->tx_driver = driver_new_at(r->features, r->num, false, 2, ram,
                                 DRIVER_SECOND);
    r->rx = driver_device(r->rx_driver);
    r->tx = driver_device(r->tx_driver);
    r->dp = af_xdp_datapath_new(r->copy, r->rx, r->tx, r->features);
    r->stats = af_xdp_datapath_stats(r->dp);
}

static void close_rings(Room *r)
{
    af_xdp_datapath_free(r->dp);
    af_xdp_vring_free(r->rx);
    af_xdp_vring_free(r->tx);
    driver_free(r->rx_driver);
    driver_free(r->tx_driver);
}

void room_reset(Room *r)
{
    close_rings(r);
    memset(r->area + ROOM_FRONT, 0, DRIVER_MEMORY_SIZE);
    open_rings(r);
}

void room_init(Room *r, uint64_t features, uint32_t num)
{
    const uint64_t size = ROOM_FRONT + DRIVER_MEMORY_SIZE;
    GError *err = NULL;
    AfXdpPlace place;
    AfXdpMove move = { .ifname = "fake", .frame_max = 1518, .place = &place };

    memset(r, 0, sizeof(*r));
    r->features = features;
    r->num = num;
    r->hdr_len = features & (MERGEABLE | MODERN) ? 12 : 10;
    r->area = mmap(NULL, size, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    g_assert_true(r->area != MAP_FAILED);
    place = (AfXdpPlace) {
        .area = r->area, .size = size, .headroom = AF_XDP_RX_ROOM - ROOM,
    };
    r->config = (AfXdpDirectConfig) {
        .area = r->area, .size = size, .front = ROOM_FRONT,
        .headroom = place.headroom, .room = ROOM, .rx = true, .tx = true,
    };
    r->copy = af_xdp_copy_new("fake", 0, -1, 1518, AF_XDP_BIND_COPY, &err);
    g_assert_no_error(err);
    g_assert_true(af_xdp_copy_move(r->copy, &move, &err));
    g_assert_no_error(err);
    r->fake = af_xdp_fake(af_xdp_copy_socket(r->copy));
    open_rings(r);
    r->log.n_words = LOG_WORDS;
    r->log.words = g_new0(unsigned long, LOG_WORDS);
    r->before = g_malloc(DRIVER_MEMORY_SIZE);
}

void room_free(Room *r)
{
    if (af_xdp_datapath_direct(r->dp)) {
        room_stop(r);
    } else {
        af_xdp_datapath_quiesce(r->dp);
    }
    room_check_stopped(r);
    close_rings(r);
    af_xdp_copy_free(r->copy);
    g_free(r->log.words);
    g_free(r->before);
    munmap(r->area, ROOM_FRONT + DRIVER_MEMORY_SIZE);
}

void room_start(Room *r)
{
    struct iovec iov[AF_XDP_MAX_SEGS];
    GError *err = NULL;

    g_assert_true(af_xdp_copy_outside_begin(r->copy, &err));
    g_assert_no_error(err);
    while (af_xdp_fake_receive(r->fake, NULL, 60, ROOM)) {
        continue;
    }
    do {
        while (af_xdp_copy_rx_next(r->copy, iov) > 0) {
            continue;
        }
        af_xdp_copy_rx_flush(r->copy);
    } while (af_xdp_copy_rx_pending(r->copy));
    g_assert_cmpuint(af_xdp_copy_rx_frames(r->copy), ==, 0);
    r->fake->to_base = false;
    af_xdp_datapath_direct_begin(r->dp, &r->config);
}

void room_stop(Room *r)
{
    bool call = false;

    r->fake->to_base = true;
    af_xdp_datapath_direct_stop(r->dp, &call);
    if (r->fake->sock.zero_copy) {
        /* As if the socket had been moved: the kernel has nothing. */
        uint64_t addrs[64];

        while (af_xdp_fake_take(r->fake, addrs, ARRAY_SIZE(addrs)) > 0) {
            continue;
        }
    }
    af_xdp_datapath_direct_end(r->dp, &call);
    g_assert_false(af_xdp_datapath_direct(r->dp));
}

static void check_ring(const Driver *d, const AfXdpVring *vr)
{
    g_assert_cmpuint(af_xdp_vring_held(vr), ==, 0);
    g_assert_cmpuint(driver_outstanding(d), ==,
                     driver_available(d, af_xdp_vring_base(vr)));
}

void room_check_stopped(Room *r)
{
    const AfXdpUmem *umem = af_xdp_copy_umem(r->copy);
    const AfXdpSocket *s = &r->fake->sock;
    uint32_t waiting = 0, sum = 0;

    room_empty(r);
    room_sent(r);
    if (!af_xdp_datapath_rx_fault(r->dp)) {
        check_ring(r->rx_driver, r->rx);
    }
    if (!af_xdp_datapath_tx_fault(r->dp)) {
        check_ring(r->tx_driver, r->tx);
    }
    g_assert_cmpuint(r->fake->tx_invalid, ==, 0);
    g_assert_true(af_xdp_fake_frames_once(r->fake, umem));
    for (int i = 0; i < AF_XDP_FRAME__MAX; i++) {
        sum += af_xdp_umem_count(umem, i);
    }
    g_assert_cmpuint(sum, ==, AF_XDP_COPY_FRAMES);
    g_assert_cmpuint(af_xdp_umem_count(umem, AF_XDP_FRAME_RECEIVED), ==, 0);
    if (s->zero_copy) {
        return;
    }
    /* Nothing of the guest's is where we or the kernel would find it. */
    for (uint32_t i = *s->rx.consumer; i != *s->rx.producer; i++) {
        uint64_t addr = xsk_ring_cons__rx_desc(&s->rx, i)->addr;

        g_assert_true(af_xdp_umem_has(umem, addr));
        waiting++;
    }
    for (uint32_t i = *s->fill.consumer; i != *s->fill.producer; i++) {
        uint64_t addr = ((uint64_t *)s->fill.ring)[i & s->fill.mask];

        g_assert_true(af_xdp_umem_has(umem, addr));
        waiting++;
    }
    g_assert_cmpuint(af_xdp_umem_count(umem, AF_XDP_FRAME_FILL), ==, waiting);
    sum = af_xdp_socket_tx_pending(s);
    for (uint32_t i = 0; i < r->fake->n_in_flight; i++) {
        sum += af_xdp_umem_has(umem, r->fake->in_flight[i]);
    }
    sum += r->fake->half.n;
    for (uint32_t i = *s->comp.consumer; i != *s->comp.producer; i++) {
        sum += af_xdp_umem_has(umem, *xsk_ring_cons__comp_addr(&s->comp, i));
    }
    g_assert_cmpuint(af_xdp_umem_count(umem, AF_XDP_FRAME_TX), ==, sum);
}

AfXdpTurn room_rx(Room *r)
{
    bool call = false;

    return af_xdp_datapath_rx(r->dp, r->copy, &call);
}

AfXdpTurn room_tx(Room *r, AfXdpTxState *state)
{
    bool call = false;

    return af_xdp_datapath_tx(r->dp, &call, state);
}

void room_add_pieces(Room *r, const DriverSeg *seg, uint32_t n)
{
    g_assert_nonnull(driver_add(r->rx_driver, seg, n, n));
}

void room_add(Room *r, uint64_t gpa, uint32_t len)
{
    DriverSeg seg = { gpa, len };

    room_add_pieces(r, &seg, 1);
}

void room_add_many(Room *r, uint32_t from, uint32_t to)
{
    for (uint32_t i = from; i < to; i++) {
        room_add(r, SLOT(i), r->hdr_len + ROOM);
    }
}

void room_packet(Room *r, uint32_t len, uint32_t number)
{
    g_assert_cmpuint(len, <=, PACKET_MAX);
    for (uint32_t i = 0; i < len; i++) {
        r->packet[i] = number * 31 + i * 7 + (i >> 8) + 1;
    }
}

bool room_arrive(Room *r, uint32_t len, uint32_t piece, uint32_t number)
{
    room_packet(r, len, number);
    return af_xdp_fake_receive(r->fake, r->packet, len, piece);
}

bool room_arrive_at(Room *r, const uint64_t *addrs, uint32_t len,
                    uint32_t piece, uint32_t number)
{
    room_packet(r, len, number);
    return af_xdp_fake_taken(r->fake, addrs, r->packet, len, piece);
}

/* Append the first @len bytes of a chain to @to. */
static void gather(Driver *d, const DriverChain *chain, uint32_t len,
                   uint8_t *to)
{
    for (uint32_t i = 0; i < chain->n_seg && len > 0; i++) {
        for (uint32_t at = 0; at < chain->seg[i].len && len > 0; at++, len--) {
            *to++ = *(uint8_t *)driver_host(d, chain->seg[i].gpa + at);
        }
    }
    g_assert_cmpuint(len, ==, 0);
}

uint32_t room_next(Room *r, uint32_t len, uint32_t number)
{
    static uint8_t got[PACKET_MAX + 4096];
    uint32_t n = 0, size = 0, one;
    uint32_t n_buffers = 1;
    DriverChain *chain;

    room_packet(r, len, number);
    while (n < n_buffers && (chain = driver_collect(r->rx_driver, &one))) {
        g_assert_cmpuint(size + one, <=, sizeof(got));
        gather(r->rx_driver, chain, one, got + size);
        size += one;
        if (n++ == 0 && r->hdr_len == 12) {
            g_assert_cmpuint(size, >=, 12);
            n_buffers = got[10] | got[11] << 8;
            g_assert_cmpuint(n_buffers, >, 0);
        }
        g_free(chain);
    }
    if (n == 0) {
        return 0;
    }
    g_assert_cmpuint(n, ==, n_buffers);
    g_assert_cmpuint(size, ==, r->hdr_len + len);
    for (int i = 0; i < 10; i++) {
        g_assert_cmpuint(got[i], ==, 0);
    }
    g_assert_cmpmem(got + r->hdr_len, len, r->packet, len);
    return n;
}

static uint32_t collect(Driver *d, bool empty)
{
    uint32_t n = 0, len;
    DriverChain *chain;

    while ((chain = driver_collect(d, &len))) {
        if (empty) {
            g_assert_cmpuint(len, ==, 0);
        }
        g_free(chain);
        n++;
    }
    return n;
}

uint32_t room_empty(Room *r)
{
    return collect(r->rx_driver, true);
}

uint32_t room_sent(Room *r)
{
    return collect(r->tx_driver, true);
}

/* --- RAM --- */

/* Is this in one of the rings? */
static bool in_rings(const Driver *d, uint64_t gpa)
{
    return gpa < DRIVER_TABLES ||
           (gpa >= DRIVER_SECOND && gpa < DRIVER_SECOND + DRIVER_TABLES);
}

void room_blank(Room *r)
{
    static const uint64_t region[] = {
        0, DRIVER_REGION_SIZE, 2 * DRIVER_REGION_SIZE, DRIVER_HIGH,
    };

    for (int i = 0; i < ARRAY_SIZE(region); i++) {
        for (uint64_t at = 0; at < DRIVER_REGION_SIZE; at += 4096) {
            if (!in_rings(r->rx_driver, region[i] + at)) {
                memset(driver_host(r->rx_driver, region[i] + at), BLANK, 4096);
            }
        }
    }
    memcpy(r->before, r->rx_driver->host, DRIVER_MEMORY_SIZE);
    memset(r->log.words, 0, LOG_WORDS * sizeof(r->log.words[0]));
}

uint32_t room_changed(Room *r, uint64_t gpa, uint64_t len)
{
    uint32_t n = 0;

    for (; len > 0; len--, gpa++) {
        n += *(uint8_t *)driver_host(r->rx_driver, gpa) != BLANK;
    }
    return n;
}

void room_check_log(Room *r)
{
    static const uint64_t region[] = {
        0, DRIVER_REGION_SIZE, 2 * DRIVER_REGION_SIZE, DRIVER_HIGH,
    };

    for (int i = 0; i < ARRAY_SIZE(region); i++) {
        for (uint64_t at = 0; at < DRIVER_REGION_SIZE; at += 4096) {
            uint64_t gpa = region[i] + at, page = gpa >> AF_XDP_LOG_PAGE_BITS;
            uint8_t *host = driver_host(r->rx_driver, gpa);

            if (!in_rings(r->rx_driver, gpa) &&
                memcmp(host, r->before + (host - r->rx_driver->host), 4096)) {
                g_assert_true(r->log.words[page / 64] & 1ul << page % 64);
            }
        }
    }
}
