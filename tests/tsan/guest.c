/*
 * Test of the worker's threads: a guest that drives one queue pair
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <linux/virtio_net.h>
#include "guest.h"
#include "qemu/atomic.h"
#include "qemu/lockable.h"

#define SLOT_SIZE 2048u
#define SLOTS_LOW DRIVER_BUFFERS_OF_TWO
QEMU_BUILD_BUG_ON(SLOTS_LOW + RING_SIZE * SLOT_SIZE > DRIVER_HOLE);

#define HDR_LEN sizeof(struct virtio_net_hdr_mrg_rxbuf)
/* Receive buffers are from this to SLOT_SIZE: many packets take several. */
#define RX_LEN_MIN 300
/* Pieces of a buffer at most. */
#define PIECES 3
/* With buffers that are whole, one in so many is as any other. */
#define ODD 200
/* Packets that the guest sends in one go. */
#define TX_BURST 32
#define PAUSE_US 30

/* Both rings' buffers alternate between low and high memory. */
static uint64_t slot_gpa(int ring, uint16_t slot)
{
    uint64_t offset = (ring * RING_SIZE + slot) / 2 * SLOT_SIZE;

    return slot % 2 ? DRIVER_HIGH + offset : SLOTS_LOW + offset;
}

static uint16_t gpa_slot(int ring, uint64_t gpa)
{
    bool high = gpa >= DRIVER_HIGH;
    uint64_t offset = gpa - (high ? DRIVER_HIGH : SLOTS_LOW);

    return offset / SLOT_SIZE * 2 + high - ring * RING_SIZE;
}

Guest *guest_new(uint64_t features, uint8_t *host, bool whole)
{
    Guest *g = g_new0(Guest, 1);

    g->whole = whole;
    g->rand = g_rand_new_with_seed(1);
    qemu_mutex_init(&g->lock);
    for (int i = 0; i < AF_XDP_RINGS; i++) {
        g->driver[i] = driver_new_at(features, RING_SIZE, i == AF_XDP_RX, i,
                                     host, i * DRIVER_SECOND);
        g->kick[i] = -1;
        g->n_slots[i] = RING_SIZE;
        for (uint32_t s = 0; s < RING_SIZE; s++) {
            g->slot[i][s] = s;
        }
    }
    return g;
}

void guest_free(Guest *g)
{
    for (int i = 0; i < AF_XDP_RINGS; i++) {
        driver_free(g->driver[i]);
    }
    qemu_mutex_destroy(&g->lock);
    g_rand_free(g->rand);
    seen_free(&g->seen);
    g_free(g);
}

static void kick(Guest *g, int ring)
{
    uint64_t one = 1;

    if (driver_wants_kick(g->driver[ring])) {
        g_assert_cmpint(write(g->kick[ring], &one, sizeof(one)), ==,
                        sizeof(one));
    }
}

/*
 * Make @len bytes of buffer @slot available, in @n pieces of any length, in
 * the ring or in an indirect table. False if the ring has no room.
 */
static bool offer(Guest *g, int ring, uint16_t slot, uint32_t len, uint32_t n)
{
    Driver *d = g->driver[ring];
    uint64_t gpa = slot_gpa(ring, slot);
    uint32_t direct = n;
    DriverSeg seg[PIECES];

    for (uint32_t i = 0; i < n; i++) {
        seg[i].gpa = gpa;
        seg[i].len = i == n - 1 ? len : g_rand_int_range(g->rand, 1, len / 2);
        gpa += seg[i].len;
        len -= seg[i].len;
    }
    if (d->indirect && g_rand_boolean(g->rand)) {
        direct = 0;
    }
    return driver_add(d, seg, n, direct);
}

static void give_back(Guest *g, int ring, DriverChain *chain)
{
    uint16_t slot = gpa_slot(ring, chain->seg[0].gpa);

    g_assert_cmpuint(slot, <, RING_SIZE);
    g_assert_cmpuint(g->n_slots[ring], <, RING_SIZE);
    g->slot[ring][g->n_slots[ring]++] = slot;
    g_free(chain);
}

static void want_calls(Guest *g, int ring)
{
    Driver *d = g->driver[ring];

    if (g_rand_int_range(g->rand, 0, 4) == 0) {
        driver_call_off(d);
    } else {
        driver_call_at(d, d->used);
    }
}

/* --- Reception --- */

/* Copy what the device wrote into a buffer behind the @have bytes at @to. */
static size_t rx_gather(Guest *g, DriverChain *chain, uint32_t len,
                        uint8_t *to, size_t have)
{
    for (uint32_t i = 0; i < chain->n_seg && len > 0; i++) {
        uint32_t n = MIN(len, chain->seg[i].len);

        g_assert_cmpuint(have + n, <=, HDR_LEN + FRAME_MAX);
        memcpy(to + have, driver_host(g->driver[AF_XDP_RX],
                                      chain->seg[i].gpa), n);
        have += n;
        len -= n;
    }
    g_assert_cmpuint(len, ==, 0);
    give_back(g, AF_XDP_RX, chain);
    return have;
}

static bool rx_collect(Guest *g)
{
    uint8_t packet[HDR_LEN + FRAME_MAX];
    struct virtio_net_hdr_mrg_rxbuf hdr;
    DriverChain *chain;
    unsigned int from;
    uint32_t len;
    size_t have;

    chain = driver_collect(g->driver[AF_XDP_RX], &len);
    if (!chain) {
        return false;
    }
    have = rx_gather(g, chain, len, packet, 0);
    if (g->whole && have == 0) {
        /* It was posted when the device stopped. */
        return true;
    }
    g_assert_cmpuint(have, >=, HDR_LEN);
    memcpy(&hdr, packet, sizeof(hdr));
    for (uint16_t i = 1; i < le16toh(hdr.num_buffers); i++) {
        chain = driver_collect(g->driver[AF_XDP_RX], &len);
        /* A packet becomes visible as a whole. */
        g_assert_nonnull(chain);
        have = rx_gather(g, chain, len, packet, have);
    }
    from = packet_check(packet + HDR_LEN, have - HDR_LEN, &g->seen);
    g_assert_cmpuint(from, <, QUEUES);
    qatomic_set(&g->received[from], g->received[from] + 1);
    return true;
}

static void rx_refill(Guest *g)
{
    uint32_t *n = &g->n_slots[AF_XDP_RX];

    while (*n > 0) {
        bool whole = g->whole && g_rand_int_range(g->rand, 0, ODD) > 0;
        uint32_t len = whole ? SLOT_SIZE
                             : g_rand_int_range(g->rand, RX_LEN_MIN,
                                                SLOT_SIZE + 1);

        if (!offer(g, AF_XDP_RX, g->slot[AF_XDP_RX][*n - 1], len,
                   whole ? 1 : g_rand_int_range(g->rand, 1, PIECES + 1))) {
            break;
        }
        --*n;
    }
    kick(g, AF_XDP_RX);
}

/* --- Transmission --- */

static void tx_collect(Guest *g)
{
    DriverChain *chain;
    uint32_t len;

    while ((chain = driver_collect(g->driver[AF_XDP_TX], &len))) {
        give_back(g, AF_XDP_TX, chain);
        qatomic_set(&g->done, g->done + 1);
    }
}

static void tx_send(Guest *g)
{
    uint32_t *n = &g->n_slots[AF_XDP_TX];

    for (int i = 0; i < TX_BURST && *n > 0; i++) {
        uint16_t slot = g->slot[AF_XDP_TX][*n - 1];
        uint8_t *packet = driver_host(g->driver[AF_XDP_TX],
                                      slot_gpa(AF_XDP_TX, slot));
        size_t len;

        memset(packet, 0, HDR_LEN);
        len = packet_make(packet + HDR_LEN, FROM_GUEST, g->sent + 1);
        if (!offer(g, AF_XDP_TX, slot, HDR_LEN + len,
                   g_rand_int_range(g->rand, 1, PIECES + 1))) {
            break;
        }
        --*n;
        qatomic_set(&g->sent, g->sent + 1);
    }
    kick(g, AF_XDP_TX);
}

/* --- The thread --- */

static void *guest_run(void *opaque)
{
    Guest *g = opaque;
    bool stop;

    do {
        stop = qatomic_load_acquire(&g->stop);
        WITH_QEMU_LOCK_GUARD(&g->lock) {
            while (rx_collect(g)) {
                /* one more */
            }
            /* Now and then the device finds no buffers. */
            if (g_rand_int_range(g->rand, 0, 4) > 0) {
                rx_refill(g);
            }
            tx_collect(g);
            if (!qatomic_read(&g->quiet)) {
                tx_send(g);
            }
            want_calls(g, AF_XDP_RX);
            want_calls(g, AF_XDP_TX);
        }
        g_usleep(PAUSE_US);
    } while (!stop);
    return NULL;
}

void guest_start(Guest *g)
{
    qemu_thread_create(&g->thread, "guest", guest_run, g,
                       QEMU_THREAD_JOINABLE);
}

void guest_join(Guest *g)
{
    qatomic_store_release(&g->stop, true);
    qemu_thread_join(&g->thread);
}
