/*
 * af-xdp qtest: a virtqueue, from the driver's side
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/atomic.h"
#include "qemu/bswap.h"
#include "af-xdp-ring.h"

#define PACKED_AVAIL (1u << VRING_PACKED_DESC_F_AVAIL)
#define PACKED_USED (1u << VRING_PACKED_DESC_F_USED)
#define PACKED_WRAP (1u << VRING_PACKED_EVENT_F_WRAP_CTR)

void axt_ring_init(AxtRing *r, uint16_t size, bool packed, bool event_idx,
                   void *desc, void *driver, void *device)
{
    unsigned i;

    *r = (AxtRing) {
        .size = size,
        .packed = packed,
        .event_idx = event_idx,
        .desc = desc,
        .avail = driver,
        .used = device,
        .avail_wrap = true,
        .used_wrap = true,
        .free = g_new(uint16_t, size),
        .n_free = size,
        .n_desc = size,
        .next = g_new0(uint16_t, size),
        .n_segs = g_new0(uint16_t, size),
    };
    memset(desc, 0, size * sizeof(struct vring_desc));
    for (i = 0; i < size; i++) {
        /* Not in order, so that nobody can rely on one. */
        r->free[i] = size - 1 - i;
    }
    axt_ring_calls_off(r);
}

void axt_ring_clear(AxtRing *r)
{
    g_free(r->free);
    g_free(r->next);
    g_free(r->n_segs);
    memset(r, 0, sizeof(*r));
}

static void set_desc(struct vring_desc *desc, const AxtSeg *seg,
                     uint16_t flags, uint16_t next)
{
    desc->addr = cpu_to_le64(seg->gpa);
    desc->len = cpu_to_le32(seg->len);
    desc->flags = cpu_to_le16(flags | (seg->write ? VRING_DESC_F_WRITE : 0));
    desc->next = cpu_to_le16(next);
}

/* All but the flags, which are what makes it available. */
static void set_packed(struct vring_packed_desc *desc, const AxtSeg *seg,
                       uint16_t id)
{
    desc->addr = cpu_to_le64(seg->gpa);
    desc->len = cpu_to_le32(seg->len);
    desc->id = cpu_to_le16(id);
}

static void fill_table(AxtRing *r, void *table, const AxtSeg *segs,
                       unsigned n)
{
    unsigned i;

    for (i = 0; i < n; i++) {
        if (r->packed) {
            struct vring_packed_desc *desc = table;

            set_packed(&desc[i], &segs[i], 0);
            desc[i].flags = cpu_to_le16(segs[i].write ? VRING_DESC_F_WRITE
                                                      : 0);
        } else {
            struct vring_desc *desc = table;

            set_desc(&desc[i], &segs[i],
                     i + 1 < n ? VRING_DESC_F_NEXT : 0, i + 1);
        }
    }
}

static int add_split(AxtRing *r, const AxtSeg *segs, unsigned n,
                     uint16_t flags)
{
    uint16_t head = r->free[r->n_free - 1], d = head;
    unsigned i;

    for (i = 0; i < n; i++) {
        bool more = i + 1 < n;

        r->n_free--;
        r->next[d] = more ? r->free[r->n_free - 1] : 0;
        set_desc(&r->desc[d], &segs[i],
                 flags | (more ? VRING_DESC_F_NEXT : 0), r->next[d]);
        d = r->next[d];
    }
    r->avail->ring[r->avail_idx % r->size] = cpu_to_le16(head);
    r->avail_idx++;
    r->unkicked++;
    /* The descriptors and the ring entry before the index. */
    qatomic_store_release(&r->avail->idx, cpu_to_le16(r->avail_idx));
    return head;
}

static int add_packed(AxtRing *r, const AxtSeg *segs, unsigned n,
                      uint16_t flags)
{
    uint16_t id = r->free[--r->n_free];
    struct vring_packed_desc *first = &r->pdesc[r->avail_idx];
    uint16_t first_flags = 0;
    unsigned i;

    for (i = 0; i < n; i++) {
        struct vring_packed_desc *desc = &r->pdesc[r->avail_idx];
        uint16_t f = flags | (segs[i].write ? VRING_DESC_F_WRITE : 0) |
                     (i + 1 < n ? VRING_DESC_F_NEXT : 0) |
                     (r->avail_wrap ? PACKED_AVAIL : PACKED_USED);

        set_packed(desc, &segs[i], id);
        if (i == 0) {
            first_flags = f;
        } else {
            desc->flags = cpu_to_le16(f);
        }
        if (++r->avail_idx == r->size) {
            r->avail_idx = 0;
            r->avail_wrap = !r->avail_wrap;
        }
    }
    r->unkicked += n;
    /* Everything else before the flags that show it. */
    qatomic_store_release(&first->flags, cpu_to_le16(first_flags));
    return id;
}

int axt_ring_add(AxtRing *r, const AxtSeg *segs, unsigned n,
                 void *table, uint64_t table_gpa)
{
    AxtSeg in_ring = { table_gpa, n * sizeof(struct vring_desc), false };
    uint16_t flags = table ? VRING_DESC_F_INDIRECT : 0;
    int id;

    g_assert_cmpuint(n, >, 0);
    g_assert_cmpuint(n, <=, table ? AXT_RING_SEGS : r->size);
    if (table) {
        fill_table(r, table, segs, n);
        segs = &in_ring;
        n = 1;
    }
    if (r->n_free == 0 || r->n_desc < n || (!r->packed && r->n_free < n)) {
        return -1;
    }
    id = r->packed ? add_packed(r, segs, n, flags)
                   : add_split(r, segs, n, flags);
    r->n_desc -= n;
    r->n_segs[id] = n;
    r->held++;
    return id;
}

static bool packed_is_used(AxtRing *r, uint16_t at, bool wrap)
{
    uint16_t flags = le16_to_cpu(qatomic_load_acquire(&r->pdesc[at].flags));
    bool avail = flags & PACKED_AVAIL, used = flags & PACKED_USED;

    return avail == used && used == wrap;
}

unsigned axt_ring_used(AxtRing *r)
{
    uint16_t at = r->used_idx;
    bool wrap = r->used_wrap;
    unsigned n = 0;

    if (!r->packed) {
        return (uint16_t)(le16_to_cpu(qatomic_load_acquire(&r->used->idx)) -
                          at);
    }
    while (n < r->held && packed_is_used(r, at, wrap)) {
        uint16_t id = le16_to_cpu(r->pdesc[at].id);

        g_assert_cmpuint(id, <, r->size);
        at += r->n_segs[id];
        if (at >= r->size) {
            at -= r->size;
            wrap = !wrap;
        }
        n++;
    }
    return n;
}

int axt_ring_get(AxtRing *r, uint32_t *len)
{
    unsigned i, n;
    uint32_t id;

    if (r->packed ? !packed_is_used(r, r->used_idx, r->used_wrap)
                  : !axt_ring_used(r)) {
        return -1;
    }
    if (r->packed) {
        const struct vring_packed_desc *desc = &r->pdesc[r->used_idx];

        id = le16_to_cpu(desc->id);
        *len = le32_to_cpu(desc->len);
    } else {
        const struct vring_used_elem *elem =
            &r->used->ring[r->used_idx % r->size];

        id = le32_to_cpu(elem->id);
        *len = le32_to_cpu(elem->len);
    }
    g_assert_cmpuint(id, <, r->size);
    n = r->n_segs[id];
    /* Neither one that was never given nor one given back twice. */
    g_assert_cmpuint(n, >, 0);
    r->n_segs[id] = 0;
    r->n_desc += n;
    g_assert_cmpuint(r->held, >, 0);
    r->held--;
    if (r->packed) {
        r->free[r->n_free++] = id;
        r->used_idx += n;
        if (r->used_idx >= r->size) {
            r->used_idx -= r->size;
            r->used_wrap = !r->used_wrap;
        }
    } else {
        uint16_t d = id;

        for (i = 0; i < n; i++) {
            r->free[r->n_free++] = d;
            d = r->next[d];
        }
        r->used_idx++;
    }
    return id;
}

bool axt_ring_wants_kick(AxtRing *r)
{
    uint16_t n = r->unkicked, event, flags;
    bool wrap;

    if (n == 0) {
        return false;
    }
    r->unkicked = 0;
    /* What was added before the device's wish. */
    smp_mb();
    if (r->packed) {
        flags = le16_to_cpu(qatomic_read(&r->device->flags));
        event = le16_to_cpu(qatomic_read(&r->device->off_wrap));
        if (flags != VRING_PACKED_EVENT_FLAG_DESC) {
            return flags == VRING_PACKED_EVENT_FLAG_ENABLE;
        }
        wrap = event & PACKED_WRAP;
        event &= ~PACKED_WRAP;
        if (wrap != r->avail_wrap) {
            /* It counts from the lap before ours. */
            event -= r->size;
        }
        return vring_need_event(event, r->avail_idx, r->avail_idx - n);
    }
    if (r->event_idx) {
        event = le16_to_cpu(qatomic_read((uint16_t *)&r->used->ring[r->size]));
        return vring_need_event(event, r->avail_idx, r->avail_idx - n);
    }
    return !(le16_to_cpu(qatomic_read(&r->used->flags)) &
             VRING_USED_F_NO_NOTIFY);
}

/* Split, with event index: an interrupt with entry number @event. */
static void set_used_event(AxtRing *r, uint16_t event)
{
    qatomic_set(&r->avail->ring[r->size], cpu_to_le16(event));
}

static void set_driver_event(AxtRing *r, uint16_t off_wrap, uint16_t flags)
{
    struct vring_packed_desc_event event = {
        cpu_to_le16(off_wrap), cpu_to_le16(flags),
    };
    uint32_t both;

    memcpy(&both, &event, sizeof(both));
    qatomic_set((uint32_t *)r->driver, both);
}

void axt_ring_calls_off(AxtRing *r)
{
    if (r->packed) {
        set_driver_event(r, 0, VRING_PACKED_EVENT_FLAG_DISABLE);
    } else if (r->event_idx) {
        /* As far ahead as can be said. */
        set_used_event(r, r->used_idx + 0x8000);
    } else {
        qatomic_set(&r->avail->flags, cpu_to_le16(VRING_AVAIL_F_NO_INTERRUPT));
    }
}

void axt_ring_calls_on(AxtRing *r)
{
    if (r->event_idx) {
        axt_ring_calls_after(r, 1);
    } else if (r->packed) {
        set_driver_event(r, 0, VRING_PACKED_EVENT_FLAG_ENABLE);
    } else {
        qatomic_set(&r->avail->flags, 0);
    }
}

void axt_ring_calls_after(AxtRing *r, uint16_t n)
{
    uint16_t at = r->used_idx + n - 1;
    bool wrap = r->used_wrap;

    g_assert_true(r->event_idx);
    if (!r->packed) {
        set_used_event(r, at);
        return;
    }
    if (at >= r->size) {
        at -= r->size;
        wrap = !wrap;
    }
    set_driver_event(r, at | (wrap ? PACKED_WRAP : 0),
                     VRING_PACKED_EVENT_FLAG_DESC);
}
