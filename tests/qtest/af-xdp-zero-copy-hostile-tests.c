/*
 * af-xdp qtest: guest zero-copy and a guest that gives bad buffers away
 *
 * The first queue pair is driven by one who writes what he likes into the
 * descriptors, at any time, and gives all of them back the moment that they are
 * used. He may harm what is his own. The second queue pair goes on as if
 * nothing was, QEMU too, and a reset heals everything.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/atomic.h"
#include "qemu/bswap.h"
#include "standard-headers/linux/virtio_ring.h"
#include "af-xdp-zero-copy.h"

#define QUEUES 2

/* Small, so that all of it comes and goes fast. */
#define RING 64

/* How long one attack lasts, per direction. */
#define ATTACK_US 60000

typedef struct Hostile {
    AxtZc z;
    GRand *rand;
} Hostile;

/* Where descriptor @i of @q points to; its length is AXT_RX_BUF or as set. */
typedef struct Attack {
    const char *name;
    uint64_t (*choose)(Hostile *h, AxtVq *q, unsigned i, uint32_t *len);
} Attack;

static uint64_t same(Hostile *h, AxtVq *q, unsigned i, uint32_t *len)
{
    return q->bufs;
}

static uint64_t overlapping(Hostile *h, AxtVq *q, unsigned i, uint32_t *len)
{
    return q->bufs + 100 * i;
}

/* Descriptors, the index of used buffers and all the rest of it. */
static uint64_t own_ring(Hostile *h, AxtVq *q, unsigned i, uint32_t *len)
{
    *len = 1530;
    return q->vq->desc + 64 * i;
}

/* The one of the other direction. */
static uint64_t other_ring(Hostile *h, AxtVq *q, unsigned i, uint32_t *len)
{
    AxtVirtio *v = axt_virtio(h->z.net.nic);

    *len = 1600;
    return (q == &v->rx[0] ? v->tx[0].vq : v->rx[0].vq)->desc + 16 * i;
}

static uint64_t anywhere(Hostile *h, AxtVq *q, unsigned i, uint32_t *len)
{
    *len = g_rand_int_range(h->rand, 0, 3 * AXT_RX_BUF);
    return q->bufs + g_rand_int_range(h->rand, 0, 64 * KiB);
}

static uint64_t first_bytes(Hostile *h, AxtVq *q, unsigned i, uint32_t *len)
{
    return 64 * i;
}

static uint64_t last_bytes(Hostile *h, AxtVq *q, unsigned i, uint32_t *len)
{
    *len = 1400 + 4 * i;
    return AXT_RAM_SIZE - *len;
}

/* Two backends, each with a part. */
static uint64_t across(Hostile *h, AxtVq *q, unsigned i, uint32_t *len)
{
    return AXT_RAM_SIZE / 2 - 24 * i;
}

static const Attack attacks[] = {
    { "same", same },
    { "overlapping", overlapping },
    { "own ring", own_ring },
    { "other ring", other_ring },
    { "anywhere", anywhere },
    { "first bytes", first_bytes },
    { "last bytes", last_bytes },
    { "across", across },
};

/* Frames of many flows; the second queue pair's are unharmed. */
static void second_works(Hostile *h)
{
    AxtNet *net = &h->z.net;
    gint64 end = g_get_monotonic_time() + AXT_TIMEOUT_US;
    uint8_t buf[AXT_RX_BUF];
    unsigned i, got = 0;

    while (got < 40) {
        for (i = 0; i < 32; i++) {
            axt_frame_fill(buf, 64 + 40 * i, i, i);
            axt_wire_send(net->wire, buf, 64 + 40 * i);
        }
        for (i = 0; i < 20; i++) {
            ssize_t len = axt_nic_rx(net->nic, 1, buf, sizeof(buf));

            if (len >= 0) {
                axt_frame_check(buf, len, NULL);
                axt_nic_rx_kick(net->nic, 1);
                got++;
            } else {
                g_usleep(100);
            }
        }
        g_assert_cmpint(g_get_monotonic_time(), <, end);
    }
    for (i = 0; i < 20; i++) {
        size_t len = 64 + 60 * i;
        ssize_t n;

        axt_frame_fill(buf, len, i, 1);
        axt_nic_send(net->nic, 1, buf, len);
        do {
            /* What the first one sends may be anything, even ours. */
            n = axt_wire_recv(net->wire, 1, buf, sizeof(buf), 2000);
            g_assert_cmpint(n, >=, 0);
        } while (n != (ssize_t)len);
        g_assert_cmpuint(axt_frame_check(buf, n, NULL), ==, i);
    }
    axt_nic_tx_wait(net->nic, 1);
}

static void attack(Hostile *h, const Attack *a, AxtVq *q, bool rx)
{
    AxtRing *r = &q->ring;
    gint64 end = g_get_monotonic_time() + ATTACK_US;
    unsigned i, k;

    while (g_get_monotonic_time() < end) {
        for (i = 0; i < r->size; i++) {
            uint32_t len = AXT_RX_BUF;
            uint64_t gpa = a->choose(h, q, i, &len);

            qatomic_set(&r->desc[i].addr, cpu_to_le64(gpa));
            qatomic_set(&r->desc[i].len, cpu_to_le32(MIN(len, rx ? len
                                                                 : 1500)));
            qatomic_set(&r->desc[i].flags,
                        cpu_to_le16(rx ? VRING_DESC_F_WRITE : 0));
            r->avail->ring[i] = cpu_to_le16(i);
        }
        for (k = 0; k < 50; k++) {
            uint16_t used = le16_to_cpu(qatomic_load_acquire(&r->used->idx));

            qatomic_store_release(&r->avail->idx,
                                  cpu_to_le16(used + r->size));
            g_usleep(20);
        }
        axt_virtio_kick(h->z.net.nic, q);
    }
}

static void test_attacks(const void *opaque)
{
    const bool rx = GPOINTER_TO_INT(opaque);
    const AxtZcConfig config = {
        .ram.backends = 2,
        .queues = QUEUES,
        .virtio = { .rx_size = RING, .tx_size = RING, .tx_slots = RING },
    };
    uint64_t sockets[AXT_ZC_SOCKETS];
    unsigned i;
    Hostile h;

    axt_zc_start(&h.z, &config);
    h.rand = g_rand_new_with_seed(3);
    for (i = 0; i < ARRAY_SIZE(attacks); i++) {
        AxtVirtio *v = axt_virtio(h.z.net.nic);
        AxtBlast *b;

        g_test_message("%s", attacks[i].name);
        second_works(&h);
        b = axt_blast_start(h.z.net.wire, 64, AXT_LEN_MAX);
        attack(&h, &attacks[i], rx ? &v->rx[0] : &v->tx[0], rx);
        axt_blast_stop(b);
        second_works(&h);

        /* Kicks while the machine is stopped, with that in the ring. */
        axt_vm_stop(&h.z.net);
        axt_virtio_kick(h.z.net.nic, &v->rx[0]);
        axt_virtio_kick(h.z.net.nic, &v->tx[0]);
        axt_vm_cont(&h.z.net);
        axt_virtio_again(h.z.net.nic, NULL);
        axt_zc_assert_on(&h.z);
        g_assert_cmpuint(axt_zc_sockets(&h.z, sockets), ==, 2 * QUEUES);
        while (axt_wire_recv(h.z.net.wire, 0, (uint8_t[4 * KiB]) { 0 },
                             4 * KiB, 10) >= 0) {
            /* What the first queue pair has sent. */
        }
    }
    second_works(&h);
    axt_to_wire(&h.z.net, 0, 300, axt_len_sweep);
    g_rand_free(h.rand);
    axt_zc_stop(&h.z);
}

/* --- Buffers at the ends of RAM, of one who means well --- */

static void test_ends(void)
{
    const AxtZcConfig config = {
        .virtio = { .rx_size = 256, .rx_len = 12 + 1518, .tx_slots = 64 },
    };
    AxtZcCounts before, c;
    unsigned i;
    AxtVirtio *v;
    AxtVq *rx;
    AxtZc z;

    axt_zc_start(&z, &config);
    v = axt_virtio(z.net.nic);
    rx = &v->rx[0];
    for (i = 0; i < 2; i++) {
        gint64 end = g_get_monotonic_time() + AXT_TIMEOUT_US;

        /* The last one ends with RAM; or the first one begins with it. */
        rx->home = i == 0 ? AXT_RAM_SIZE - (rx->n_slots - 1) * rx->slot_size -
                            config.virtio.rx_len : 0;
        while (axt_virtio_outside(rx) < rx->n_slots ||
               rx->at[0] != rx->home) {
            axt_to_guest(&z.net, 256, 48, axt_len_sweep);
            g_assert_cmpint(g_get_monotonic_time(), <, end);
        }
        axt_to_guest(&z.net, 1200, 48, axt_len_small);
        axt_zc_counts(&z, &before);
        axt_to_guest(&z.net, 1024, 48, axt_len_sweep);
        c = axt_zc_count(&z, &before);
        g_assert_cmpuint(c.lost, ==, 0);
        if (i == 0) {
            g_assert_cmpuint(c.rx_direct, ==, 1024);
        } else {
            /* In front of some is less than the kernel wants there. */
            g_assert_cmpuint(c.outside, >, 0);
            g_assert_cmpuint(c.rx_direct + c.outside + c.early, ==, 1024);
        }
    }
    axt_count_buffers(&z.net);
    axt_zc_stop(&z);
}

void axt_add_zero_copy_hostile_tests(void)
{
    axt_add_zero_copy_data("hostile/receive", GINT_TO_POINTER(true),
                           test_attacks);
    axt_add_zero_copy_data("hostile/send", GINT_TO_POINTER(false),
                           test_attacks);
    axt_add_zero_copy("ram/ends", test_ends);
}
