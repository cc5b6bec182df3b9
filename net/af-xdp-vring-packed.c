/*
 * AF_XDP: one virtqueue, seen from the device: packed rings
 *
 * Section numbers are those of the virtio specification, version 1.2.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "net/af-xdp-error.h"
#include "net/af-xdp-vring-int.h"

#define DESC_AVAIL (1u << VRING_PACKED_DESC_F_AVAIL)
#define DESC_USED (1u << VRING_PACKED_DESC_F_USED)
#define WRAP_BIT (1u << VRING_PACKED_EVENT_F_WRAP_CTR)

/* Both halves of an event area, which are read and written as one (2.8.14). */
#define EVENT(off_wrap, flags) ((uint32_t)(off_wrap) | (uint32_t)(flags) << 16)
#define EVENT_FLAGS_MASK 3u

bool vring_packed_init(AfXdpVring *vr, const AfXdpVringConfig *config,
                       GError **errp)
{
    uint16_t avail = config->base, used = config->base >> 16;
    uint32_t held;

    /* 2.8.10.1 */
    if ((uintptr_t)config->desc % VRING_DESC_ALIGN_SIZE ||
        (uintptr_t)config->driver % sizeof(uint32_t) ||
        (uintptr_t)config->device % sizeof(uint32_t)) {
        af_xdp_error_set(errp, EINVAL, NULL,
                         "a part of the virtqueue is not aligned");
        return false;
    }
    vr->last_avail = avail & ~WRAP_BIT;
    vr->avail_wrap = avail & WRAP_BIT;
    vr->used = used & ~WRAP_BIT;
    vr->used_wrap = used & WRAP_BIT;
    /* Entries that the last user took and did not return stay taken. */
    held = vr->last_avail - vr->used;
    if (vr->avail_wrap != vr->used_wrap) {
        held += vr->num;
    }
    if (vr->last_avail >= vr->num || vr->used >= vr->num || held > vr->num) {
        af_xdp_error_set(errp, EINVAL, NULL,
                         "packed virtqueue of %" PRIu32 " entries cannot go "
                         "on at 0x%" PRIx32, config->num, config->base);
        return false;
    }
    vr->outstanding = held;
    vr->pack.desc = config->desc;
    vr->pack.driver = config->driver;
    vr->pack.device = config->device;
    return true;
}

/* 2.8.1: the driver's bit is as its wrap counter, the other one is not. */
static inline bool is_avail(uint16_t flags, bool wrap)
{
    return (flags & (DESC_AVAIL | DESC_USED)) ==
           (wrap ? DESC_AVAIL : DESC_USED);
}

static inline uint16_t desc_id(VringDesc d)
{
    return d.rest >> 32;
}

static inline uint16_t desc_flags(VringDesc d)
{
    return d.rest >> 48;
}

/* Copy a descriptor whose flags were read already: not twice. */
static inline VringDesc packed_desc_fetch(const struct vring_packed_desc *p,
                                          uint16_t flags)
{
    uint32_t len = __atomic_load_n(&p->len, __ATOMIC_RELAXED);

    return (VringDesc) {
        .addr = le64toh(__atomic_load_n(&p->addr, __ATOMIC_RELAXED)),
        .rest = le32toh(len) | (uint64_t)vring_load16(&p->id) << 32 |
                (uint64_t)flags << 48,
    };
}

/* Collect the buffers of the indirect table at @gpa. 2.8.7 */
static AfXdpVringFault packed_table(AfXdpVring *vr, VringChain *c,
                                    uint64_t gpa, uint32_t len)
{
    VringTable t;
    VringDesc d;
    AfXdpVringFault fault;

    fault = vring_table_open(vr, &t, gpa, len);
    if (fault != AF_XDP_VRING_FAULT_NONE) {
        return fault;
    }
    /* All entries, one after the other; no flag but WRITE means anything. */
    for (uint32_t i = 0; i < t.n; i++) {
        if (!vring_table_fetch(vr, &t, i, &d)) {
            return AF_XDP_VRING_FAULT_INDIRECT_UNMAPPED;
        }
        fault = vring_chain_add(vr, c, d, desc_flags(d));
        if (fault != AF_XDP_VRING_FAULT_NONE) {
            return fault;
        }
    }
    return AF_XDP_VRING_FAULT_NONE;
}

/*
 * Collect the chain whose first descriptor is @d, at position last_avail.
 * @n_slots: receives the number of ring entries.
 */
static AfXdpVringFault packed_chain(AfXdpVring *vr, AfXdpVringPool *pool,
                                    AfXdpVringElem *elem, VringDesc d,
                                    uint32_t *n_slots)
{
    VringChain c;
    uint32_t pos = vr->last_avail, n = 1;
    AfXdpVringFault fault;

    vring_chain_start(&c, pool);
    if (desc_flags(d) & VRING_DESC_F_INDIRECT) {
        /* 2.8.19 */
        if (desc_flags(d) & VRING_DESC_F_NEXT) {
            return AF_XDP_VRING_FAULT_INDIRECT_NEXT;
        }
        fault = packed_table(vr, &c, d.addr, vring_desc_len(d));
    } else {
        fault = vring_chain_add(vr, &c, d, desc_flags(d));
    }
    while (fault == AF_XDP_VRING_FAULT_NONE &&
           (desc_flags(d) & VRING_DESC_F_NEXT)) {
        /* 2.8.17: no chain is longer than the ring, so no loops. */
        if (n == vr->num) {
            return AF_XDP_VRING_FAULT_LOOP;
        }
        n++;
        if (++pos == vr->num) {
            pos = 0;
        }
        /* All of a list is there when its first is (2.8.6): no flag check. */
        d = vring_desc_fetch(&vr->pack.desc[pos]);
        /* 2.8.7: a list has descriptors of one kind. */
        if (desc_flags(d) & VRING_DESC_F_INDIRECT) {
            return AF_XDP_VRING_FAULT_INDIRECT_NEXT;
        }
        fault = vring_chain_add(vr, &c, d, desc_flags(d));
    }
    if (fault != AF_XDP_VRING_FAULT_NONE) {
        return fault;
    }
    /* 2.8.16: a descriptor in use is not made available again. */
    if (vr->outstanding + n > vr->num) {
        return AF_XDP_VRING_FAULT_AVAIL_INDEX;
    }
    *n_slots = n;
    /* The id is in the last one (2.8.6). It may be anything. */
    vring_chain_end(&c, pool, elem, desc_id(d), n);
    return AF_XDP_VRING_FAULT_NONE;
}

static inline void advance(uint16_t *pos, bool *wrap, uint32_t n, uint32_t num)
{
    uint32_t to = *pos + n;

    if (to >= num) {
        to -= num;
        *wrap = !*wrap;
    }
    *pos = to;
}

uint32_t vring_packed_pop(AfXdpVring *vr, AfXdpVringElem *elems, uint32_t max,
                          AfXdpVringPool *pool)
{
    uint32_t done;

    for (done = 0; done < max; done++) {
        const struct vring_packed_desc *at = &vr->pack.desc[vr->last_avail];
        AfXdpVringFault fault = AF_XDP_VRING_FAULT_NONE;
        uint32_t n_slots = 1;
        uint16_t flags;
        VringDesc d;

        /* A: flags before everything else. */
        flags = le16toh(__atomic_load_n(&at->flags, __ATOMIC_ACQUIRE));
        if (!is_avail(flags, vr->avail_wrap)) {
            break;
        }
        d = packed_desc_fetch(at, flags);
        flags &= ~(DESC_AVAIL | DESC_USED);
        /* 2.8.16: a descriptor in use is not made available again. */
        if (unlikely(vr->outstanding == vr->num)) {
            vr->fault = AF_XDP_VRING_FAULT_AVAIL_INDEX;
            break;
        }
        if (unlikely(!vring_chain_single(vr, pool, &elems[done], d, flags,
                                         desc_id(d)))) {
            fault = packed_chain(vr, pool, &elems[done], d, &n_slots);
        }
        if (unlikely(fault != AF_XDP_VRING_FAULT_NONE)) {
            vring_set_fault(vr, fault);
            break;
        }
        vr->outstanding += n_slots;
        advance(&vr->last_avail, &vr->avail_wrap, n_slots, vr->num);
    }
    return done;
}

void vring_packed_unpop(AfXdpVring *vr, uint32_t n_slots)
{
    if (n_slots > vr->last_avail) {
        vr->last_avail += vr->num;
        vr->avail_wrap = !vr->avail_wrap;
    }
    vr->last_avail -= n_slots;
}

void vring_packed_flush(AfXdpVring *vr)
{
    struct vring_packed_desc *first = &vr->pack.desc[vr->used];
    uint32_t n_slots = 0;
    uint16_t first_flags = 0;

    for (uint32_t i = 0; i < vr->n_shadow; i++) {
        const VringShadow *s = &vr->shadow[i];
        struct vring_packed_desc *desc = &vr->pack.desc[vr->used];
        /* 2.8.1, and 2.8.3: was anything written? */
        uint16_t flags = (vr->used_wrap ? DESC_AVAIL | DESC_USED : 0) |
                         (s->len > 0 ? VRING_DESC_F_WRITE : 0);

        desc->id = htole16(s->id);
        desc->len = htole32(s->len);
        if (i == 0) {
            first_flags = flags;
        } else {
            vring_store16(&desc->flags, flags);
        }
        vring_log(vr, vr->desc_gpa, vr->used * sizeof(*desc), sizeof(*desc));
        n_slots += s->n_slots;
        advance(&vr->used, &vr->used_wrap, s->n_slots, vr->num);
    }
    vr->outstanding -= n_slots;
    vr->uncalled += n_slots;
    /*
     * B: everything before the flags of the first, at which the driver stops
     * as long as they are not set: it sees all or nothing, 2.8.9.
     */
    __atomic_store_n(&first->flags, htole16(first_flags), __ATOMIC_RELEASE);
    vring_log(vr, vr->desc_gpa,
              (uint8_t *)first - (uint8_t *)vr->pack.desc,
              sizeof(*first));
}

/* @n: ring entries published since the last decision, or more. 2.8.10 */
bool vring_packed_should_call(AfXdpVring *vr, uint32_t n)
{
    uint32_t event = le32toh(__atomic_load_n((uint32_t *)vr->pack.driver,
                                             __ATOMIC_RELAXED));
    uint32_t flags = (event >> 16) & EVENT_FLAGS_MASK;
    uint32_t pos = event & (WRAP_BIT - 1);
    uint32_t ahead;

    if (flags == VRING_PACKED_EVENT_FLAG_DISABLE) {
        return false;
    }
    /* Neither reserved nor not negotiated values may cost a wake-up. */
    if (flags != VRING_PACKED_EVENT_FLAG_DESC || !vr->event_idx) {
        return true;
    }
    /* The event's one wrap bit does not tell more than a lap apart. */
    if (n > vr->num) {
        return true;
    }
    /* How far are we past the event's descriptor, counting itself? */
    ahead = vr->used - pos;
    if (!!(event & WRAP_BIT) != vr->used_wrap) {
        ahead += vr->num;
    }
    /* 0 or wrapped below: it is still to come, as is one a lap ahead. */
    return ahead - 1 < n;
}

/* How many whole chains can be popped, as their flags have it now. */
uint32_t vring_packed_count(const AfXdpVring *vr)
{
    uint32_t n = 0, at = vr->last_avail;
    bool wrap = vr->avail_wrap;

    for (uint32_t left = vr->num - vr->outstanding; left > 0; left--) {
        /* Acquire: the driver writes a chain's first flags last. */
        uint16_t flags = le16toh(__atomic_load_n(&vr->pack.desc[at].flags,
                                                 __ATOMIC_ACQUIRE));

        if (!is_avail(flags, wrap)) {
            break;
        }
        n += !(flags & VRING_DESC_F_NEXT);
        if (++at == vr->num) {
            at = 0;
            wrap = !wrap;
        }
    }
    return n;
}

bool vring_packed_pending(AfXdpVring *vr)
{
    const struct vring_packed_desc *desc =
        &vr->pack.desc[vr->last_avail];

    /* Relaxed: pop reads them again before it relies on them. */
    return is_avail(vring_load16(&desc->flags), vr->avail_wrap);
}

static void set_event(AfXdpVring *vr, uint16_t off_wrap, uint16_t flags)
{
    /* In one store, so that neither half is ever seen without the other. */
    __atomic_store_n((uint32_t *)vr->pack.device,
                     htole32(EVENT(off_wrap, flags)), __ATOMIC_RELAXED);
    vring_log(vr, vr->device_gpa, 0, sizeof(*vr->pack.device));
}

void vring_packed_disable_kick(AfXdpVring *vr)
{
    set_event(vr, 0, VRING_PACKED_EVENT_FLAG_DISABLE);
}

void vring_packed_enable_kick(AfXdpVring *vr)
{
    if (vr->event_idx) {
        set_event(vr, vr->last_avail | (vr->avail_wrap ? WRAP_BIT : 0),
                  VRING_PACKED_EVENT_FLAG_DESC);
    } else {
        set_event(vr, 0, VRING_PACKED_EVENT_FLAG_ENABLE);
    }
}
