/*
 * AF_XDP: fuzzing virtqueues
 *
 * The input is the guest: it chooses the ring's geometry, fills the ring,
 * indirect tables included, and between our operations changes any of it, as
 * a guest does that writes while we read. Checked are our promises to the
 * caller: every piece lies in guest memory, counts add up, nothing is held
 * that was not popped, a stopped ring stays stopped. The sanitizers check
 * the rest.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "fuzz.h"
#include "guest.h"

/*
 * Small memory, so that random addresses hit it often; the first two regions
 * touch.
 */
#define N_REGIONS 3
#define NUM_MAX 32u
#define POOL_MAX (AF_XDP_VRING_CHAIN_MAX + 64)
#define HELD_MAX (4 * NUM_MAX)

static const uint64_t region_gpa[N_REGIONS] = {
    0, FUZZ_REGION, UINT64_MAX - FUZZ_REGION + 1,
};

typedef struct Fuzz {
    FuzzGuest guest;
    AfXdpVring *vr;
    struct iovec iov[POOL_MAX];
    uint64_t gpa[POOL_MAX];
    AfXdpVringPool pool;
    AfXdpVringElem held[HELD_MAX];
    uint32_t n_held;
    uint32_t n_pushed;          /* slots pushed and not flushed */
    unsigned long *log_words;
    AfXdpLog log;
} Fuzz;

static void check_elem(Fuzz *f, const AfXdpVringElem *e)
{
    uint64_t sum = 0;

    g_assert(e->n_slots >= 1 && e->n_slots <= NUM_MAX);
    g_assert(e->n_iov <= AF_XDP_VRING_CHAIN_MAX);
    for (uint32_t i = 0; i < e->n_iov; i++) {
        bool inside = false;

        for (int r = 0; r < N_REGIONS; r++) {
            uint64_t off = (uint8_t *)e->iov[i].iov_base -
                           (uint8_t *)f->guest.region[r].host;

            inside |= off < FUZZ_REGION &&
                      e->iov[i].iov_len <= FUZZ_REGION - off &&
                      e->gpa[i] == region_gpa[r] + off;
        }
        g_assert(inside && e->iov[i].iov_len > 0);
        sum += e->iov[i].iov_len;
    }
    g_assert(sum == e->len);
}

static uint32_t held_slots(const Fuzz *f)
{
    uint32_t n = f->n_pushed;

    for (uint32_t i = 0; i < f->n_held; i++) {
        n += f->held[i].n_slots;
    }
    return n;
}

static void do_pop(Fuzz *f, FuzzInput *in)
{
    AfXdpVringFault before = af_xdp_vring_fault(f->vr);
    uint32_t max = MIN(fuzz_take(in, 1) % 40, HELD_MAX - f->n_held);
    uint32_t n = af_xdp_vring_pop(f->vr, f->held + f->n_held, max, &f->pool);

    g_assert(n <= max && f->pool.n <= f->pool.max);
    g_assert(before == AF_XDP_VRING_FAULT_NONE || n == 0);
    for (uint32_t i = 0; i < n; i++) {
        check_elem(f, &f->held[f->n_held + i]);
    }
    f->n_held += n;
}

static void do_push(Fuzz *f, uint32_t i, uint32_t len)
{
    AfXdpVringElem e = f->held[i];

    af_xdp_vring_push(f->vr, &e, MIN(len, e.len));
    f->n_pushed += e.n_slots;
    memmove(f->held + i, f->held + i + 1, (f->n_held - i - 1) * sizeof(e));
    if (--f->n_held == 0) {
        f->pool.n = 0;
    }
}

static void do_unpop(Fuzz *f, uint32_t n)
{
    f->n_held -= n;
    af_xdp_vring_unpop(f->vr, f->held + f->n_held, n);
    if (f->n_held == 0) {
        f->pool.n = 0;
    }
}

/* Some more entries are available. */
static void do_avail(Fuzz *f, FuzzInput *in)
{
    uint32_t n = fuzz_take(in, 1);
    const FuzzRing *ring = &f->guest.ring[0];
    struct vring_avail *avail = (struct vring_avail *)ring->driver;

    if (f->guest.packed) {
        struct vring_packed_desc *d = (struct vring_packed_desc *)ring->desc;

        for (uint32_t i = 0; i < ring->num; i++) {
            d[i].flags ^= n & 1 ? FUZZ_AVAIL_FLAG
                                : FUZZ_AVAIL_FLAG | FUZZ_USED_FLAG;
        }
    } else {
        for (uint32_t i = 0; i < ring->num && n & 0x80; i++) {
            avail->ring[i] = i;
        }
        avail->idx += n % (ring->num + 1 + !(n & 0x7f));
    }
}

/* What the next user of the ring would be given. */
static AfXdpVring *new_vring(Fuzz *f, FuzzInput *in, uint32_t base,
                             uint8_t flags)
{
    AfXdpVringConfig config = fuzz_guest_config(&f->guest, &f->guest.ring[0],
                                                base);

    config.desc_gpa = fuzz_take(in, 1) << 8;
    config.device_gpa = fuzz_take(in, 1) << 8;
    config.writable = flags >> 3 & 1;
    config.log = flags >> 4 & 1 ? &f->log : NULL;
    return af_xdp_vring_new(&config, NULL);
}

static void run(Fuzz *f, FuzzInput *in)
{
    uint8_t flags = fuzz_take(in, 1);
    uint32_t num = fuzz_take(in, 1) % NUM_MAX + 1;
    uint32_t base = fuzz_take(in, 4);
    uint32_t fill = fuzz_take(in, 2) % (N_REGIONS * FUZZ_REGION);
    FuzzGuest *g = &f->guest;
    uint8_t *const areas[3] = {
        g->region[0].host, g->region[1].host, g->region[2].host,
    };
    bool in_order = true;

    g->packed = flags & 1;
    g->features = UINT64_C(1) << VIRTIO_F_VERSION_1 |
        (uint64_t)g->packed << VIRTIO_F_RING_PACKED |
        (uint64_t)(flags >> 1 & 1) << VIRTIO_RING_F_EVENT_IDX |
        (uint64_t)(flags >> 2 & 1) << VIRTIO_RING_F_INDIRECT_DESC;
    if (flags & 0x20) {
        base = g->packed ? 0x80008000 : 0;
    }
    if (!g->packed && flags & 0x40) {
        num = 1u << num % 6;
    }
    fuzz_guest_place(g, &g->ring[0], num, areas);
    f->vr = new_vring(f, in, base, flags);
    if (!f->vr) {
        return;
    }
    /* The ring as the guest has prepared it. */
    for (uint32_t i = 0; i < fill && in->left > 64; i++) {
        areas[i / FUZZ_REGION][i % FUZZ_REGION] = fuzz_take(in, 1);
    }
    while (in->left > 0) {
        uint8_t op = fuzz_take(in, 1);

        switch (op % 32) {
        case 0 ... 3:
            do_pop(f, in);
            break;
        case 4 ... 6:
            if (f->n_held > 0) {
                uint32_t i = op & 0x80 ? fuzz_take(in, 1) % f->n_held : 0;

                in_order &= i == 0;
                do_push(f, i, fuzz_take(in, 2));
            }
            break;
        case 7:
            af_xdp_vring_flush(f->vr);
            f->n_pushed = 0;
            break;
        case 8:
            af_xdp_vring_should_call(f->vr);
            break;
        case 9:
            if (af_xdp_vring_enable_kick(f->vr)) {
                g_assert(af_xdp_vring_fault(f->vr) == AF_XDP_VRING_FAULT_NONE);
            }
            break;
        case 10:
            af_xdp_vring_disable_kick(f->vr);
            break;
        case 11:
            if (in_order && f->n_held > 0) {
                do_unpop(f, fuzz_take(in, 1) % (f->n_held + 1));
            }
            break;
        case 12:
            af_xdp_vring_set_memory(f->vr, op & 0x80 ? g->memory : g->empty);
            break;
        case 13:
            af_xdp_vring_set_log(f->vr, op & 0x80 ? &f->log : NULL);
            break;
        case 14 ... 20:
            fuzz_guest_desc(g, in);
            break;
        case 21 ... 25:
            do_avail(f, in);
            break;
        default:
            fuzz_guest_write(g, in);
            break;
        }
        g_assert(af_xdp_vring_held(f->vr) == held_slots(f));
        g_assert(af_xdp_vring_held(f->vr) <= num);
    }
    /* Stop: rewind or return everything, and hand over. */
    if (in_order && flags & 0x80) {
        do_unpop(f, f->n_held);
    }
    while (f->n_held > 0) {
        do_push(f, 0, 1);
    }
    af_xdp_vring_flush(f->vr);
    g_assert(af_xdp_vring_held(f->vr) == 0);
    base = af_xdp_vring_base(f->vr);
    af_xdp_vring_free(f->vr);
    f->vr = new_vring(f, in, base, flags);
    /* Only the guest's own used index can be in the way now. */
    g_assert(f->vr);
    g_assert(af_xdp_vring_base(f->vr) == base);
    af_xdp_vring_free(f->vr);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Fuzz *f = g_new0(Fuzz, 1);
    FuzzInput in = { data, size };

    for (int i = 0; i < N_REGIONS; i++) {
        fuzz_guest_region(&f->guest, region_gpa[i], NULL, FUZZ_REGION);
    }
    f->guest.n_rings = 1;
    f->guest.num_max = NUM_MAX;
    f->guest.table = f->guest.region[0].host;
    fuzz_guest_ready(&f->guest);
    f->pool = (AfXdpVringPool) { f->iov, f->gpa, 0, POOL_MAX };
    f->log_words = g_new0(unsigned long, 1);
    f->log = (AfXdpLog) { f->log_words, 1 };

    run(f, &in);

    fuzz_guest_free(&f->guest);
    g_free(f->log_words);
    g_free(f);
    return 0;
}
