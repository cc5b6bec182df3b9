/*
 * Benchmark: a virtqueue, from the driver's side
 *
 * Guest and host have the byte order of virtio 1 here (see the check below),
 * hence no conversions.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include <assert.h>
#include <glib.h>
#include <linux/virtio_ring.h>
#include <string.h>
#include "vring.h"

#if G_BYTE_ORDER != G_LITTLE_ENDIAN
#error "the native guest driver runs on little-endian hosts only"
#endif

#define PAGE 4096u
#define DESC_AVAIL (1u << VRING_PACKED_DESC_F_AVAIL)
#define DESC_USED (1u << VRING_PACKED_DESC_F_USED)
#define TABLE_BYTES (AXB_VQ_SEGS * sizeof(struct vring_desc))

static size_t round_up(size_t n, size_t to)
{
    return (n + to - 1) / to * to;
}

/* Each part has pages of its own, as no two share a cache line then. */
static size_t desc_bytes(const AxbVqConfig *c)
{
    return round_up(c->size * sizeof(struct vring_desc), PAGE);
}

static size_t part_bytes(const AxbVqConfig *c)
{
    return round_up(6 + c->size * sizeof(struct vring_used_elem), PAGE);
}

size_t axb_vq_bytes(const AxbVqConfig *config)
{
    return desc_bytes(config) + 2 * part_bytes(config) +
           (config->indirect ? round_up(config->size * TABLE_BYTES, PAGE) : 0);
}

void axb_vq_init(AxbVq *vq, const AxbVqConfig *config, void *mem,
                 uint64_t gpa)
{
    size_t desc = desc_bytes(config);
    size_t part = part_bytes(config);

    assert(config->segs >= 1 && config->segs <= AXB_VQ_SEGS);
    assert(config->size <= sizeof(vq->slot_segs));
    memset(vq, 0, sizeof(*vq));
    vq->config = *config;
    vq->desc = mem;
    vq->driver = (char *)mem + desc;
    vq->device = (char *)mem + desc + part;
    vq->tables = (char *)mem + desc + 2 * part;
    vq->desc_gpa = gpa;
    vq->driver_gpa = gpa + desc;
    vq->device_gpa = gpa + desc + part;
    vq->tables_gpa = gpa + desc + 2 * part;
    vq->next_wrap = vq->used_wrap = true;

    if (config->packed) {
        struct vring_packed_desc_event *event = vq->driver;

        event->flags = VRING_PACKED_EVENT_FLAG_DISABLE;
    } else {
        struct vring_avail *avail = vq->driver;

        avail->flags = config->event_idx ? 0 : VRING_AVAIL_F_NO_INTERRUPT;
    }
    axb_vq_rest(vq);
}

/* The table of @slot; both ring formats have the same 16 bytes an entry. */
static uint64_t fill_table(AxbVq *vq, uint16_t slot, const AxbSeg *segs,
                           unsigned n)
{
    size_t offset = slot * TABLE_BYTES;
    struct vring_desc *desc = (void *)((char *)vq->tables + offset);
    struct vring_packed_desc *packed = (void *)desc;

    for (unsigned i = 0; i < n; i++) {
        uint16_t flags = segs[i].write ? VRING_DESC_F_WRITE : 0;

        if (vq->config.packed) {
            packed[i] = (struct vring_packed_desc) {
                .addr = segs[i].addr, .len = segs[i].len, .flags = flags,
            };
        } else {
            desc[i] = (struct vring_desc) {
                .addr = segs[i].addr, .len = segs[i].len,
                .flags = flags | (i + 1 < n ? VRING_DESC_F_NEXT : 0),
                .next = i + 1,
            };
        }
    }
    return vq->tables_gpa + offset;
}

static void split_add(AxbVq *vq, uint16_t slot, const AxbSeg *segs,
                      unsigned n)
{
    struct vring_desc *table = vq->desc;
    struct vring_avail *avail = vq->driver;
    uint16_t mask = vq->config.size - 1;
    uint16_t first = slot;

    if (vq->config.indirect) {
        table[slot] = (struct vring_desc) {
            .addr = fill_table(vq, slot, segs, n),
            .len = n * sizeof(struct vring_desc),
            .flags = VRING_DESC_F_INDIRECT,
        };
    } else {
        /* Each slot owns its descriptors, so none is ever searched for. */
        first = slot * vq->config.segs;
        for (unsigned i = 0; i < n; i++) {
            table[first + i] = (struct vring_desc) {
                .addr = segs[i].addr,
                .len = segs[i].len,
                .flags = (segs[i].write ? VRING_DESC_F_WRITE : 0) |
                         (i + 1 < n ? VRING_DESC_F_NEXT : 0),
                .next = first + i + 1,
            };
        }
    }
    avail->ring[vq->next++ & mask] = first;
    vq->added++;
}

static void packed_put(AxbVq *vq, uint16_t slot, uint64_t addr, uint32_t len,
                       uint16_t flags)
{
    struct vring_packed_desc *ring = vq->desc;
    struct vring_packed_desc *d = &ring[vq->next];

    flags |= vq->next_wrap ? DESC_AVAIL : DESC_USED;
    d->addr = addr;
    d->len = len;
    d->id = slot;
    if (!vq->added) {
        /* The device looks here first: it must see this flag last. */
        vq->head = vq->next;
        vq->head_flags = flags;
    } else {
        d->flags = flags;
    }
    vq->added++;
    if (++vq->next == vq->config.size) {
        vq->next = 0;
        vq->next_wrap = !vq->next_wrap;
    }
}

static void packed_add(AxbVq *vq, uint16_t slot, const AxbSeg *segs,
                       unsigned n)
{
    if (vq->config.indirect) {
        packed_put(vq, slot, fill_table(vq, slot, segs, n),
                   n * sizeof(struct vring_packed_desc),
                   VRING_DESC_F_INDIRECT);
        vq->slot_segs[slot] = 1;
        return;
    }
    for (unsigned i = 0; i < n; i++) {
        packed_put(vq, slot, segs[i].addr, segs[i].len,
                   (segs[i].write ? VRING_DESC_F_WRITE : 0) |
                   (i + 1 < n ? VRING_DESC_F_NEXT : 0));
    }
    vq->slot_segs[slot] = n;
}

void axb_vq_add(AxbVq *vq, uint16_t slot, const AxbSeg *segs, unsigned n)
{
    if (vq->config.packed) {
        packed_add(vq, slot, segs, n);
    } else {
        split_add(vq, slot, segs, n);
    }
}

static bool split_publish(AxbVq *vq)
{
    struct vring_avail *avail = vq->driver;
    struct vring_used *used = vq->device;
    uint16_t old = vq->next - vq->added;
    uint16_t *event = (uint16_t *)&used->ring[vq->config.size];

    /* Pairs with the device's acquire of idx: entries before their count. */
    __atomic_store_n(&avail->idx, vq->next, __ATOMIC_RELEASE);
    /*
     * Pairs with the device's barrier between asking for a kick and looking
     * at idx once more: one of us sees what the other wrote.
     */
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (vq->config.event_idx) {
        return vring_need_event(__atomic_load_n(event, __ATOMIC_RELAXED),
                                vq->next, old);
    }
    return !(__atomic_load_n(&used->flags, __ATOMIC_RELAXED) &
             VRING_USED_F_NO_NOTIFY);
}

static bool packed_publish(AxbVq *vq)
{
    struct vring_packed_desc *ring = vq->desc;
    struct vring_packed_desc_event *event = vq->device;
    uint16_t old = vq->next - vq->added;
    uint16_t flags, off_wrap, at;

    __atomic_store_n(&ring[vq->head].flags, vq->head_flags,
                     __ATOMIC_RELEASE);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    flags = __atomic_load_n(&event->flags, __ATOMIC_ACQUIRE);
    if (flags != VRING_PACKED_EVENT_FLAG_DESC) {
        return flags != VRING_PACKED_EVENT_FLAG_DISABLE;
    }
    off_wrap = __atomic_load_n(&event->off_wrap, __ATOMIC_RELAXED);
    at = off_wrap & 0x7fff;
    if (off_wrap >> VRING_PACKED_EVENT_F_WRAP_CTR != vq->next_wrap) {
        at -= vq->config.size;
    }
    return vring_need_event(at, vq->next, old);
}

bool axb_vq_publish(AxbVq *vq)
{
    bool kick;

    if (!vq->added) {
        return false;
    }
    kick = vq->config.packed ? packed_publish(vq) : split_publish(vq);
    vq->added = 0;
    return kick;
}

bool axb_vq_get(AxbVq *vq, uint16_t *slot, uint32_t *len)
{
    if (vq->config.packed) {
        struct vring_packed_desc *d =
            (struct vring_packed_desc *)vq->desc + vq->used;
        uint16_t flags = __atomic_load_n(&d->flags, __ATOMIC_ACQUIRE);
        bool is_avail = flags & DESC_AVAIL;
        bool is_used = flags & DESC_USED;

        if (is_avail != is_used || is_used != vq->used_wrap) {
            return false;
        }
        *slot = d->id;
        *len = d->len;
        vq->used += vq->slot_segs[*slot % sizeof(vq->slot_segs)];
        if (vq->used >= vq->config.size) {
            vq->used -= vq->config.size;
            vq->used_wrap = !vq->used_wrap;
        }
    } else {
        struct vring_used *used = vq->device;
        struct vring_used_elem *e;

        if (__atomic_load_n(&used->idx, __ATOMIC_ACQUIRE) == vq->used) {
            return false;
        }
        e = &used->ring[vq->used++ & (vq->config.size - 1)];
        *len = e->len;
        *slot = vq->config.indirect ? e->id : e->id / vq->config.segs;
    }
    return true;
}

void axb_vq_rest(AxbVq *vq)
{
    if (!vq->config.packed && vq->config.event_idx) {
        struct vring_avail *avail = vq->driver;

        /* Half the numbers away: the device does not get there. */
        __atomic_store_n(&avail->ring[vq->config.size], vq->used + 0x8000,
                         __ATOMIC_RELAXED);
    }
}
