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
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include "net/af-xdp-vring.h"
#include "fuzz.h"

/*
 * Small memory, so that random addresses hit it often: regions of 4 KiB at
 * the guest-physical addresses below, the first two touching.
 */
#define REGION 4096u
#define N_REGIONS 3
#define NUM_MAX 32u
#define POOL_MAX (AF_XDP_VRING_CHAIN_MAX + 64)
#define HELD_MAX (4 * NUM_MAX)

static const uint64_t region_gpa[N_REGIONS] = {
    0, REGION, UINT64_MAX - REGION + 1,
};

#define AVAIL_FLAG (1u << VRING_PACKED_DESC_F_AVAIL)
#define USED_FLAG (1u << VRING_PACKED_DESC_F_USED)

typedef struct Input {
    const uint8_t *data;
    size_t left;
} Input;

typedef struct Fuzz {
    uint8_t *host[N_REGIONS];
    AfXdpMemory *memory;
    AfXdpMemory *empty;
    AfXdpVring *vr;
    bool packed;
    uint32_t num;
    /* Each at the end of a region, for the sanitizer to see its end. */
    uint8_t *desc;
    uint8_t *driver;
    uint8_t *device;
    struct iovec iov[POOL_MAX];
    uint64_t gpa[POOL_MAX];
    AfXdpVringPool pool;
    AfXdpVringElem held[HELD_MAX];
    uint32_t n_held;
    uint32_t n_pushed;          /* slots pushed and not flushed */
    unsigned long *log_words;
    AfXdpLog log;
} Fuzz;

static uint32_t take(Input *in, int bytes)
{
    uint32_t value = 0;

    while (bytes-- > 0) {
        value <<= 8;
        if (in->left > 0) {
            value |= *in->data++;
            in->left--;
        }
    }
    return value;
}

static void check_elem(Fuzz *f, const AfXdpVringElem *e)
{
    uint64_t sum = 0;

    g_assert(e->n_slots >= 1 && e->n_slots <= NUM_MAX);
    g_assert(e->n_iov <= AF_XDP_VRING_CHAIN_MAX);
    for (uint32_t i = 0; i < e->n_iov; i++) {
        uint8_t *base = e->iov[i].iov_base;
        bool inside = false;

        for (int r = 0; r < N_REGIONS; r++) {
            uint64_t off = base - f->host[r];

            inside |= off < REGION && e->iov[i].iov_len <= REGION - off &&
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

static void do_pop(Fuzz *f, Input *in)
{
    AfXdpVringFault before = af_xdp_vring_fault(f->vr);
    uint32_t max = MIN(take(in, 1) % 40, HELD_MAX - f->n_held);
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

static void do_write(Fuzz *f, Input *in)
{
    uint32_t at = take(in, 2) % (N_REGIONS * REGION), n = take(in, 1) % 33;

    for (uint32_t i = 0; i < n && at + i < N_REGIONS * REGION; i++) {
        f->host[(at + i) / REGION][(at + i) % REGION] = take(in, 1);
    }
}

/*
 * A descriptor that is likely to be good, in the ring or in a table, as
 * random bytes hardly ever are.
 */
static void do_desc(Fuzz *f, Input *in)
{
    uint32_t where = take(in, 1), flags = take(in, 1);
    uint64_t addr = region_gpa[where % N_REGIONS] + take(in, 2) % (2 * REGION);
    uint32_t len = take(in, 2), next = take(in, 1) % (NUM_MAX + 2);
    uint32_t i = take(in, 1) % (2 * NUM_MAX);
    uint8_t *to = where & 0x80 ? f->host[0] + 16 * i
                               : f->desc + 16 * (i % f->num);

    if (flags & 0x40) {
        len *= 16;
    }
    if (f->packed) {
        struct vring_packed_desc d = {
            .addr = addr,
            .len = len,
            .id = next,
            .flags = (flags & 7) | (flags & 0x80 ? USED_FLAG : AVAIL_FLAG),
        };

        memcpy(to, &d, sizeof(d));
    } else {
        struct vring_desc d = {
            .addr = addr, .len = len, .flags = flags & 7, .next = next,
        };

        memcpy(to, &d, sizeof(d));
    }
}

/* Some more entries are available. */
static void do_avail(Fuzz *f, Input *in)
{
    uint32_t n = take(in, 1);
    struct vring_avail *avail = (struct vring_avail *)f->driver;

    if (f->packed) {
        struct vring_packed_desc *d = (struct vring_packed_desc *)f->desc;

        for (uint32_t i = 0; i < f->num; i++) {
            d[i].flags ^= n & 1 ? AVAIL_FLAG : AVAIL_FLAG | USED_FLAG;
        }
    } else {
        for (uint32_t i = 0; i < f->num && n & 0x80; i++) {
            avail->ring[i] = i;
        }
        avail->idx += n % (f->num + 1 + !(n & 0x7f));
    }
}

static void place_ring(Fuzz *f, bool event_idx)
{
    uint32_t event = event_idx ? sizeof(uint16_t) : 0;
    uint32_t driver = sizeof(struct vring_avail) + 2 * f->num + event;
    uint32_t device = sizeof(struct vring_used) + 8 * f->num + event;

    if (f->packed) {
        driver = device = sizeof(struct vring_packed_desc_event);
    }
    f->desc = f->host[2] + REGION - 16 * f->num;
    f->driver = f->host[1] + REGION - driver;
    f->device = f->host[0] + QEMU_ALIGN_DOWN(REGION - device,
                                             VRING_USED_ALIGN_SIZE);
}

/* What the next user of the ring would be given. */
static AfXdpVring *new_vring(Fuzz *f, Input *in, uint32_t num, uint32_t base,
                             uint8_t flags)
{
    AfXdpVringConfig config = {
        .features = UINT64_C(1) << VIRTIO_F_VERSION_1 |
            (uint64_t)f->packed << VIRTIO_F_RING_PACKED |
            (uint64_t)(flags >> 1 & 1) << VIRTIO_RING_F_EVENT_IDX |
            (uint64_t)(flags >> 2 & 1) << VIRTIO_RING_F_INDIRECT_DESC,
        .num = num,
        .base = base,
        .desc = f->desc,
        .driver = f->driver,
        .device = f->device,
        .desc_gpa = take(in, 1) << 8,
        .device_gpa = take(in, 1) << 8,
        .writable = flags >> 3 & 1,
        .memory = f->memory,
        .log = flags >> 4 & 1 ? &f->log : NULL,
    };

    return af_xdp_vring_new(&config, NULL);
}

static void run(Fuzz *f, Input *in)
{
    uint8_t flags = take(in, 1);
    uint32_t num = take(in, 1) % NUM_MAX + 1;
    uint32_t base = take(in, 4);
    uint32_t fill = take(in, 2) % (N_REGIONS * REGION);
    bool in_order = true;

    f->packed = flags & 1;
    if (flags & 0x20) {
        base = f->packed ? 0x80008000 : 0;
    }
    if (!f->packed && flags & 0x40) {
        num = 1u << num % 6;
    }
    f->num = num;
    place_ring(f, flags & 2);
    f->vr = new_vring(f, in, num, base, flags);
    if (!f->vr) {
        return;
    }
    /* The ring as the guest has prepared it. */
    for (uint32_t i = 0; i < fill && in->left > 64; i++) {
        f->host[i / REGION][i % REGION] = take(in, 1);
    }
    while (in->left > 0) {
        uint8_t op = take(in, 1);

        switch (op % 32) {
        case 0 ... 3:
            do_pop(f, in);
            break;
        case 4 ... 6:
            if (f->n_held > 0) {
                uint32_t i = op & 0x80 ? take(in, 1) % f->n_held : 0;

                in_order &= i == 0;
                do_push(f, i, take(in, 2));
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
                do_unpop(f, take(in, 1) % (f->n_held + 1));
            }
            break;
        case 12:
            af_xdp_vring_set_memory(f->vr, op & 0x80 ? f->memory : f->empty);
            break;
        case 13:
            af_xdp_vring_set_log(f->vr, op & 0x80 ? &f->log : NULL);
            break;
        case 14 ... 20:
            do_desc(f, in);
            break;
        case 21 ... 25:
            do_avail(f, in);
            break;
        default:
            do_write(f, in);
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
    f->vr = new_vring(f, in, num, base, flags);
    /* Only the guest's own used index can be in the way now. */
    g_assert(f->vr);
    g_assert(af_xdp_vring_base(f->vr) == base);
    af_xdp_vring_free(f->vr);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Fuzz *f = g_new0(Fuzz, 1);
    AfXdpRegion regions[N_REGIONS];
    Input in = { data, size };

    for (int i = 0; i < N_REGIONS; i++) {
        /* Each in its own allocation, for the sanitizer to see its ends. */
        f->host[i] = aligned_alloc(16, REGION);
        memset(f->host[i], 0, REGION);
        regions[i] = (AfXdpRegion) { region_gpa[i], REGION, f->host[i] };
    }
    f->memory = af_xdp_memory_new(regions, N_REGIONS, NULL);
    f->empty = af_xdp_memory_new(NULL, 0, NULL);
    g_assert(f->memory && f->empty);
    f->pool = (AfXdpVringPool) { f->iov, f->gpa, 0, POOL_MAX };
    f->log_words = g_new0(unsigned long, 1);
    f->log = (AfXdpLog) { f->log_words, 1 };

    run(f, &in);

    af_xdp_memory_free(f->memory);
    af_xdp_memory_free(f->empty);
    g_free(f->log_words);
    for (int i = 0; i < N_REGIONS; i++) {
        free(f->host[i]);
    }
    g_free(f);
    return 0;
}
