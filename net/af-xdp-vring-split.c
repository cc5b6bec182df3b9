/*
 * AF_XDP: one virtqueue, seen from the device: split rings
 *
 * Section numbers are those of the virtio specification, version 1.2.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "net/af-xdp-error.h"
#include "net/af-xdp-vring-int.h"

/*
 * Heads read ahead, so that the descriptors they name, which may lie anywhere
 * in the table, arrive in the cache while others are worked on. Enough to
 * cover the latency of memory, few enough for the first ones to be in the
 * first-level cache still: 64 lines are an eighth of 32 KiB.
 */
#define HEADS_AHEAD 64

bool vring_split_init(AfXdpVring *vr, const AfXdpVringConfig *config,
                      GError **errp)
{
    uint16_t held;

    /* 2.7 */
    if (config->num & (config->num - 1)) {
        af_xdp_error_set(errp, EINVAL, NULL,
                         "a split virtqueue cannot have %" PRIu32 " entries, "
                         "which is no power of two", config->num);
        return false;
    }
    if ((uintptr_t)config->desc % VRING_DESC_ALIGN_SIZE ||
        (uintptr_t)config->driver % VRING_AVAIL_ALIGN_SIZE ||
        (uintptr_t)config->device % VRING_USED_ALIGN_SIZE) {
        af_xdp_error_set(errp, EINVAL, NULL,
                         "a part of the virtqueue is not aligned");
        return false;
    }
    if (config->base > UINT16_MAX) {
        af_xdp_error_set(errp, EINVAL, NULL,
                         "split virtqueue cannot go on at 0x%" PRIx32,
                         config->base);
        return false;
    }
    vr->split.desc = config->desc;
    vr->split.avail = config->driver;
    vr->split.used = config->device;
    vr->last_avail = config->base;
    vr->avail_seen = config->base;
    vr->used = vring_load16(&vr->split.used->idx);
    /*
     * The driver may write there too: a value that cannot be is its fault.
     * Entries that the last user took and did not return stay taken.
     */
    held = vr->last_avail - vr->used;
    if (held > vr->num) {
        vr->fault = AF_XDP_VRING_FAULT_USED_INDEX;
    } else {
        vr->outstanding = held;
    }
    return true;
}

static inline uint16_t desc_flags(VringDesc d)
{
    return d.rest >> 32;
}

static inline uint16_t desc_next(VringDesc d)
{
    return d.rest >> 48;
}

/* Collect the chain in the indirect table at @gpa. */
static AfXdpVringFault split_table(AfXdpVring *vr, VringChain *c,
                                   uint64_t gpa, uint32_t len)
{
    VringTable t;
    VringDesc d;
    uint32_t i = 0, left;
    AfXdpVringFault fault;

    fault = vring_table_open(vr, &t, gpa, len);
    if (fault != AF_XDP_VRING_FAULT_NONE) {
        return fault;
    }
    for (left = t.n; left > 0; left--) {
        if (!vring_table_fetch(vr, &t, i, &d)) {
            return AF_XDP_VRING_FAULT_INDIRECT_UNMAPPED;
        }
        /* 2.7.5.3.1 */
        if (desc_flags(d) & VRING_DESC_F_INDIRECT) {
            return AF_XDP_VRING_FAULT_INDIRECT_NESTED;
        }
        fault = vring_chain_add(vr, c, d, desc_flags(d));
        if (fault != AF_XDP_VRING_FAULT_NONE) {
            return fault;
        }
        if (!(desc_flags(d) & VRING_DESC_F_NEXT)) {
            return AF_XDP_VRING_FAULT_NONE;
        }
        if (desc_next(d) >= t.n) {
            return AF_XDP_VRING_FAULT_NEXT;
        }
        i = desc_next(d);
    }
    return AF_XDP_VRING_FAULT_LOOP;
}

/* Collect the chain whose first descriptor is @d. */
static AfXdpVringFault split_chain(AfXdpVring *vr, VringChain *c, VringDesc d)
{
    AfXdpVringFault fault;

    /* 2.7.5.2: no chain is longer than the table, so no loops. */
    for (uint32_t left = vr->num; left > 0; left--) {
        if (unlikely(desc_flags(d) & VRING_DESC_F_INDIRECT)) {
            /* 2.7.5.3.1; that it ends a chain is allowed, 2.7.5.3.2 */
            if (desc_flags(d) & VRING_DESC_F_NEXT) {
                return AF_XDP_VRING_FAULT_INDIRECT_NEXT;
            }
            return split_table(vr, c, d.addr, vring_desc_len(d));
        }
        fault = vring_chain_add(vr, c, d, desc_flags(d));
        if (unlikely(fault != AF_XDP_VRING_FAULT_NONE)) {
            return fault;
        }
        if (likely(!(desc_flags(d) & VRING_DESC_F_NEXT))) {
            return AF_XDP_VRING_FAULT_NONE;
        }
        if (unlikely(desc_next(d) >= vr->num)) {
            return AF_XDP_VRING_FAULT_NEXT;
        }
        d = vring_desc_fetch(&vr->split.desc[desc_next(d)]);
    }
    return AF_XDP_VRING_FAULT_LOOP;
}

/* How many entries are available, at most those that are not held already. */
uint32_t vring_split_available(AfXdpVring *vr)
{
    uint16_t n;

    /* A: idx before the entries and descriptors it covers, 2.7.13.3.1 */
    vr->avail_seen = le16toh(__atomic_load_n(&vr->split.avail->idx,
                                             __ATOMIC_ACQUIRE));
    n = vr->avail_seen - vr->last_avail;
    /* 2.7.13.3: each takes a descriptor, and there are no more than num. */
    if (unlikely(n + vr->outstanding > vr->num)) {
        vr->fault = AF_XDP_VRING_FAULT_AVAIL_INDEX;
        vr->avail_seen = vr->last_avail;
        return 0;
    }
    return n;
}

/* Take up to @max entries that are known to be available. */
static uint32_t split_pop_some(AfXdpVring *vr, AfXdpVringElem *elems,
                               uint32_t max, AfXdpVringPool *pool)
{
    uint16_t head[HEADS_AHEAD];
    AfXdpVringFault fault;
    uint32_t i, n = MIN(max, HEADS_AHEAD);
    bool bad = false;

    for (i = 0; i < n; i++) {
        uint16_t slot = (vr->last_avail + i) & (vr->num - 1);

        head[i] = vring_load16(&vr->split.avail->ring[slot]);
        if (unlikely(head[i] >= vr->num)) {
            bad = true;
            n = i;
            break;
        }
        __builtin_prefetch(&vr->split.desc[head[i]]);
    }
    for (i = 0; i < n; i++) {
        VringDesc d = vring_desc_fetch(&vr->split.desc[head[i]]);
        VringChain c;

        if (likely(vring_chain_single(vr, pool, &elems[i], d,
                                      desc_flags(d), head[i]))) {
            continue;
        }
        vring_chain_start(&c, pool);
        fault = split_chain(vr, &c, d);
        if (unlikely(fault != AF_XDP_VRING_FAULT_NONE)) {
            vring_set_fault(vr, fault);
            bad = false;
            break;
        }
        vring_chain_end(&c, pool, &elems[i], head[i], 1);
    }
    if (unlikely(bad)) {
        vr->fault = AF_XDP_VRING_FAULT_HEAD;
    }
    vr->last_avail += i;
    vr->outstanding += i;
    return i;
}

uint32_t vring_split_pop(AfXdpVring *vr, AfXdpVringElem *elems, uint32_t max,
                         AfXdpVringPool *pool)
{
    uint32_t some, want, done = 0;
    uint32_t n = (uint16_t)(vr->avail_seen - vr->last_avail);

    if (n < max) {
        n = vring_split_available(vr);
    }
    n = MIN(n, max);
    while (done < n) {
        want = MIN(n - done, HEADS_AHEAD);
        some = split_pop_some(vr, elems + done, want, pool);
        done += some;
        if (some < want) {
            break;
        }
    }
    return done;
}

void vring_split_flush(AfXdpVring *vr)
{
    struct vring_used *used = vr->split.used;
    uint16_t mask = vr->num - 1;
    uint32_t n = vr->n_shadow;
    uint32_t slot = vr->used & mask, part = MIN(n, vr->num - slot);

    for (uint32_t i = 0; i < n; i++) {
        vring_used_elem_t *e = &used->ring[(vr->used + i) & mask];

        e->id = htole32(vr->shadow[i].id);
        e->len = htole32(vr->shadow[i].len);
    }
    vr->used += n;
    vr->outstanding -= n;
    vr->uncalled += n;
    /* B: entries and buffers before the index that shows them, 2.7.8.2 */
    __atomic_store_n(&used->idx, htole16(vr->used), __ATOMIC_RELEASE);

    vring_log(vr, vr->device_gpa,
              offsetof(struct vring_used, ring) + slot * sizeof(used->ring[0]),
              part * sizeof(used->ring[0]));
    vring_log(vr, vr->device_gpa, offsetof(struct vring_used, ring),
              (n - part) * sizeof(used->ring[0]));
    vring_log(vr, vr->device_gpa, offsetof(struct vring_used, idx),
              sizeof(used->idx));
}

/* @n: entries published since the last decision, or more. 2.7.7.2 */
bool vring_split_should_call(AfXdpVring *vr, uint32_t n)
{
    const struct vring_avail *avail = vr->split.avail;
    uint16_t event;

    if (!vr->event_idx) {
        return !(vring_load16(&avail->flags) & VRING_AVAIL_F_NO_INTERRUPT);
    }
    event = vring_load16(&avail->ring[vr->num]);
    /* Was entry number 'event' among the last n? */
    return (uint16_t)(vr->used - event - 1) < n;
}

bool vring_split_pending(AfXdpVring *vr)
{
    /* Relaxed: pop reads it again before it relies on it. */
    return vr->avail_seen != vr->last_avail ||
           vring_load16(&vr->split.avail->idx) != vr->last_avail;
}

static void split_set_flags(AfXdpVring *vr, uint16_t flags)
{
    vring_store16(&vr->split.used->flags, flags);
    vring_log(vr, vr->device_gpa, offsetof(struct vring_used, flags),
              sizeof(flags));
}

/* 2.7.10.2 */
void vring_split_disable_kick(AfXdpVring *vr)
{
    if (!vr->event_idx) {
        split_set_flags(vr, VRING_USED_F_NO_NOTIFY);
    }
    /*
     * Else there is nothing to write: the event stays behind, and once the
     * driver has passed it, it does not kick for 65535 entries.
     */
}

void vring_split_enable_kick(AfXdpVring *vr)
{
    uint64_t off = offsetof(struct vring_used, ring) +
                   vr->num * sizeof(vr->split.used->ring[0]);

    if (!vr->event_idx) {
        split_set_flags(vr, 0);
        return;
    }
    /* Kick when the entry that we would take next appears. */
    vring_store16((uint16_t *)((uint8_t *)vr->split.used + off),
                  vr->last_avail);
    vring_log(vr, vr->device_gpa, off, sizeof(uint16_t));
}
