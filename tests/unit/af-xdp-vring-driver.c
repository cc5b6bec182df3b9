/*
 * AF_XDP: a guest's virtqueue driver for tests
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <endian.h>
#include "af-xdp-vring-driver.h"

#define AVAIL_FLAG (1u << VRING_PACKED_DESC_F_AVAIL)
#define USED_FLAG (1u << VRING_PACKED_DESC_F_USED)

/* Guest-physical addresses of the regions, and their order in our memory. */
static const struct {
    uint64_t gpa;
    uint32_t place;
} region_map[] = {
    { 0, 2 },
    { DRIVER_REGION_SIZE, 0 },
    { 2 * DRIVER_REGION_SIZE, 3 },
    { DRIVER_HIGH, 1 },
};
QEMU_BUILD_BUG_ON(ARRAY_SIZE(region_map) * DRIVER_REGION_SIZE !=
                  DRIVER_MEMORY_SIZE);

void *driver_host(Driver *d, uint64_t gpa)
{
    for (int i = 0; i < ARRAY_SIZE(region_map); i++) {
        uint64_t start = region_map[i].gpa;

        if (gpa >= start && gpa < start + DRIVER_REGION_SIZE) {
            return d->host + region_map[i].place * DRIVER_REGION_SIZE +
                   (gpa - start);
        }
    }
    return NULL;
}

struct vring_desc *driver_desc(Driver *d)
{
    return driver_host(d, d->place + DRIVER_DESC);
}

struct vring_avail *driver_avail(Driver *d)
{
    return driver_host(d, d->place + DRIVER_AVAIL);
}

struct vring_used *driver_used(Driver *d)
{
    return driver_host(d, d->place + DRIVER_USED);
}

struct vring_packed_desc *driver_packed(Driver *d)
{
    return driver_host(d, d->place + DRIVER_DESC);
}

struct vring_packed_desc_event *driver_driver_event(Driver *d)
{
    return driver_host(d, d->place + DRIVER_AVAIL);
}

struct vring_packed_desc_event *driver_device_event(Driver *d)
{
    return driver_host(d, d->place + DRIVER_USED);
}

Driver *driver_new(uint64_t features, uint32_t num, bool writable,
                   uint32_t seed)
{
    uint8_t *host = aligned_alloc(4096, DRIVER_MEMORY_SIZE);
    Driver *d;

    memset(host, 0, DRIVER_MEMORY_SIZE);
    d = driver_new_at(features, num, writable, seed, host, 0);
    d->own_host = true;
    return d;
}

Driver *driver_new_at(uint64_t features, uint32_t num, bool writable,
                      uint32_t seed, uint8_t *host, uint64_t place)
{
    Driver *d = g_new0(Driver, 1);
    AfXdpRegion regions[ARRAY_SIZE(region_map)];
    GError *err = NULL;

    d->packed = features & (UINT64_C(1) << VIRTIO_F_RING_PACKED);
    d->event_idx = features & (UINT64_C(1) << VIRTIO_RING_F_EVENT_IDX);
    d->indirect = features & (UINT64_C(1) << VIRTIO_RING_F_INDIRECT_DESC);
    d->num = num;
    d->writable = writable;
    d->rand = g_rand_new_with_seed(seed);
    d->host = host;
    d->place = place;
    for (int i = 0; i < ARRAY_SIZE(region_map); i++) {
        regions[i].gpa = region_map[i].gpa;
        regions[i].size = DRIVER_REGION_SIZE;
        regions[i].host = driver_host(d, region_map[i].gpa);
    }
    d->memory = af_xdp_memory_new(regions, ARRAY_SIZE(regions), &err);
    g_assert_no_error(err);
    d->by_id = g_new0(DriverChain *, 65536);
    d->n_free = num;
    d->free = g_new(uint16_t, num);
    for (uint32_t i = 0; i < num; i++) {
        d->free[i] = i;
    }
    d->n_tables = DRIVER_TABLE_SLOTS;
    d->tables = g_new(uint16_t, DRIVER_TABLE_SLOTS);
    for (uint32_t i = 0; i < DRIVER_TABLE_SLOTS; i++) {
        d->tables[i] = i;
    }
    return d;
}

void driver_free(Driver *d)
{
    for (int i = 0; i < 65536; i++) {
        g_free(d->by_id[i]);
    }
    af_xdp_memory_free(d->memory);
    g_rand_free(d->rand);
    g_free(d->by_id);
    g_free(d->free);
    g_free(d->tables);
    if (d->own_host) {
        free(d->host);
    }
    g_free(d);
}

AfXdpVringConfig driver_config(Driver *d, uint32_t base)
{
    return (AfXdpVringConfig) {
        .features =
            (uint64_t)d->packed << VIRTIO_F_RING_PACKED |
            (uint64_t)d->event_idx << VIRTIO_RING_F_EVENT_IDX |
            (uint64_t)d->indirect << VIRTIO_RING_F_INDIRECT_DESC |
            UINT64_C(1) << VIRTIO_F_VERSION_1,
        .num = d->num,
        .base = base,
        .desc = driver_desc(d),
        .driver = driver_avail(d),
        .device = driver_used(d),
        .desc_gpa = d->place + DRIVER_DESC,
        .device_gpa = d->place + DRIVER_USED,
        .writable = d->writable,
        .memory = d->memory,
    };
}

AfXdpVring *driver_device(Driver *d)
{
    AfXdpVringConfig config = driver_config(d, d->packed ? 0x80008000 : 0);
    GError *err = NULL;
    AfXdpVring *vr = af_xdp_vring_new(&config, &err);

    g_assert_no_error(err);
    g_assert_nonnull(vr);
    return vr;
}

/* Take a random one of the first @n of @array, and close the gap. */
static uint16_t take_random(Driver *d, uint16_t *array, uint32_t *n)
{
    uint32_t i = g_rand_int_range(d->rand, 0, *n);
    uint16_t value = array[i];

    array[i] = array[--*n];
    return value;
}

/* Write guest memory byte by byte: it may be in two regions. */
static void write_guest(Driver *d, uint64_t gpa, const void *buf, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        *(uint8_t *)driver_host(d, gpa + i) = ((const uint8_t *)buf)[i];
    }
}

static uint16_t seg_flags(const Driver *d)
{
    return d->writable ? VRING_DESC_F_WRITE : 0;
}

/* An indirect table of @n segments. Returns its address. */
static uint64_t make_table(Driver *d, DriverChain *chain,
                           const DriverSeg *seg, uint32_t n)
{
    uint64_t gpa;

    chain->table = take_random(d, d->tables, &d->n_tables);
    gpa = d->place + DRIVER_TABLES + chain->table * DRIVER_TABLE_STRIDE;
    for (uint32_t i = 0; i < n; i++) {
        struct vring_desc desc = {
            .addr = htole64(seg[i].gpa),
            .len = htole32(seg[i].len),
            .flags = htole16(seg_flags(d) |
                             (i + 1 < n ? VRING_DESC_F_NEXT : 0)),
            .next = htole16(i + 1),
        };
        struct vring_packed_desc packed = {
            .addr = desc.addr,
            .len = desc.len,
            /* Both mean nothing here, 2.8.7. */
            .id = htole16(0xdead),
            .flags = htole16(seg_flags(d) | 0x7ff9),
        };

        write_guest(d, gpa + 16 * i,
                    d->packed ? (void *)&packed : (void *)&desc, 16);
    }
    return gpa;
}

static void add_split(Driver *d, DriverChain *chain, uint32_t direct)
{
    struct vring_avail *avail = driver_avail(d);
    uint32_t n = direct + (direct < chain->n_seg);

    for (uint32_t i = 0; i < n; i++) {
        chain->desc[i] = take_random(d, d->free, &d->n_free);
    }
    for (uint32_t i = 0; i < n; i++) {
        struct vring_desc *desc = &driver_desc(d)[chain->desc[i]];

        if (i < direct) {
            desc->addr = htole64(chain->seg[i].gpa);
            desc->len = htole32(chain->seg[i].len);
            desc->flags = htole16(seg_flags(d) |
                                  (i + 1 < n ? VRING_DESC_F_NEXT : 0));
            desc->next = htole16(i + 1 < n ? chain->desc[i + 1] : 0xffff);
        } else {
            uint32_t rest = chain->n_seg - direct;

            desc->addr = htole64(make_table(d, chain, chain->seg + i, rest));
            desc->len = htole32(rest * 16);
            /* The device has to ignore WRITE here, 2.7.5.3.2. */
            desc->flags = htole16(VRING_DESC_F_INDIRECT |
                                  (rest & 1 ? VRING_DESC_F_WRITE : 0));
        }
    }
    chain->id = chain->desc[0];
    chain->n_desc = n;
    chain->n_slots = 1;
    avail->ring[d->avail % d->num] = htole16(chain->id);
    d->avail++;
    __atomic_store_n(&avail->idx, htole16(d->avail), __ATOMIC_RELEASE);
}

static void add_packed(Driver *d, DriverChain *chain, uint32_t direct)
{
    uint32_t n = direct ? direct : 1;
    uint16_t first_flags = 0;
    struct vring_packed_desc *first = NULL;

    do {
        chain->id = g_rand_int_range(d->rand, 0, 65536);
    } while (d->by_id[chain->id]);
    for (uint32_t i = 0; i < n; i++) {
        uint64_t at = d->avail + i;
        struct vring_packed_desc *desc = &driver_packed(d)[at % d->num];
        /* The counter starts at 1: 2.8.1. */
        bool wrap = (at / d->num) % 2 == 0;
        uint16_t flags = wrap ? AVAIL_FLAG : USED_FLAG;

        if (direct) {
            desc->addr = htole64(chain->seg[i].gpa);
            desc->len = htole32(chain->seg[i].len);
            flags |= seg_flags(d) | (i + 1 < n ? VRING_DESC_F_NEXT : 0);
        } else {
            desc->addr = htole64(make_table(d, chain, chain->seg,
                                            chain->n_seg));
            desc->len = htole32(chain->n_seg * 16);
            flags |= VRING_DESC_F_INDIRECT |
                     (chain->n_seg & 1 ? VRING_DESC_F_WRITE : 0);
        }
        /* It counts in the last one only. */
        desc->id = htole16(i + 1 < n ? 0xbeef : chain->id);
        if (i == 0) {
            first = desc;
            first_flags = flags;
        } else {
            desc->flags = htole16(flags);
        }
    }
    chain->n_slots = n;
    d->avail += n;
    d->n_free -= n;
    __atomic_store_n(&first->flags, htole16(first_flags), __ATOMIC_RELEASE);
}

DriverChain *driver_add(Driver *d, const DriverSeg *seg, uint32_t n,
                        uint32_t direct)
{
    uint32_t need = direct + (direct < n);
    DriverChain *chain;

    g_assert(n > 0 && n <= DRIVER_SEGS_MAX && direct <= n);
    g_assert(!d->packed || direct == 0 || direct == n);
    g_assert(d->indirect || direct == n);
    if (need > d->n_free || (direct < n && d->n_tables == 0)) {
        return NULL;
    }
    chain = g_new0(DriverChain, 1);
    memcpy(chain->seg, seg, n * sizeof(*seg));
    chain->n_seg = n;
    chain->table = -1;
    if (d->packed) {
        add_packed(d, chain, direct);
    } else {
        add_split(d, chain, direct);
    }
    g_assert(!d->by_id[chain->id]);
    d->by_id[chain->id] = chain;
    return chain;
}

DriverSeg driver_random_seg(Driver *d)
{
    DriverSeg seg = { .len = g_rand_int_range(d->rand, 1, 4097) };

    switch (g_rand_int_range(d->rand, 0, 4)) {
    case 0:
        /* Across the boundary between two regions, or just up to it. */
        seg.gpa = 2 * DRIVER_REGION_SIZE -
                  g_rand_int_range(d->rand, 0, seg.len + 1);
        break;
    case 1:
        seg.gpa = DRIVER_HIGH + DRIVER_REGION_SIZE - seg.len;
        break;
    case 2:
        seg.gpa = DRIVER_HIGH +
                  g_rand_int_range(d->rand, 0, DRIVER_REGION_SIZE - 4096);
        break;
    default:
        seg.gpa = DRIVER_BUFFERS +
                  g_rand_int_range(d->rand, 0,
                                   DRIVER_HOLE - DRIVER_BUFFERS - 4096);
        break;
    }
    if (g_rand_int_range(d->rand, 0, 16) == 0) {
        /* Empty, with an address that leads somewhere or nowhere. */
        if (g_rand_boolean(d->rand)) {
            seg.gpa = DRIVER_HOLE + 1;
        }
        seg.len = 0;
    }
    return seg;
}

bool driver_wants_kick(Driver *d)
{
    uint64_t from = d->kick_avail;
    uint16_t event, flags;

    d->kick_avail = d->avail;
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (d->packed) {
        struct vring_packed_desc_event *e = driver_device_event(d);
        uint32_t both = le32toh(__atomic_load_n((uint32_t *)e,
                                                __ATOMIC_RELAXED));

        event = both;
        flags = both >> 16;
        if (flags != VRING_PACKED_EVENT_FLAG_DESC) {
            return flags == VRING_PACKED_EVENT_FLAG_ENABLE && from < d->avail;
        }
        g_assert_true(d->event_idx);
        for (uint64_t at = from; at < d->avail; at++) {
            uint16_t wrap = (at / d->num) % 2 == 0 ? 0x8000 : 0;

            if (event == (at % d->num | wrap)) {
                return true;
            }
        }
        return false;
    }
    if (!d->event_idx) {
        flags = le16toh(__atomic_load_n(&driver_used(d)->flags,
                                        __ATOMIC_RELAXED));
        return !(flags & VRING_USED_F_NO_NOTIFY) && from < d->avail;
    }
    event = le16toh(__atomic_load_n(
        (uint16_t *)&driver_used(d)->ring[d->num], __ATOMIC_RELAXED));
    for (uint64_t at = from; at < d->avail; at++) {
        if ((uint16_t)at == event) {
            return true;
        }
    }
    return false;
}

DriverChain *driver_collect(Driver *d, uint32_t *len)
{
    DriverChain *chain;
    uint32_t id;

    if (d->packed) {
        struct vring_packed_desc *desc = &driver_packed(d)[d->used % d->num];
        bool wrap = (d->used / d->num) % 2 == 0;
        uint16_t flags = le16toh(__atomic_load_n(&desc->flags,
                                                 __ATOMIC_ACQUIRE));

        if (d->used == d->avail || !!(flags & AVAIL_FLAG) != wrap ||
            !!(flags & USED_FLAG) != wrap) {
            return NULL;
        }
        id = le16toh(desc->id);
        /* 2.8.4: without WRITE the length means nothing. */
        *len = flags & VRING_DESC_F_WRITE ? le32toh(desc->len) : 0;
    } else {
        struct vring_used *used = driver_used(d);
        uint16_t idx = le16toh(__atomic_load_n(&used->idx, __ATOMIC_ACQUIRE));

        if (idx == (uint16_t)d->used) {
            return NULL;
        }
        id = le32toh(used->ring[d->used % d->num].id);
        *len = le32toh(used->ring[d->used % d->num].len);
    }
    g_assert_cmpuint(id, <, 65536);
    chain = d->by_id[id];
    g_assert_nonnull(chain);
    d->by_id[id] = NULL;
    d->used += chain->n_slots;
    if (d->packed) {
        d->n_free += chain->n_slots;
    }
    for (uint32_t i = 0; i < chain->n_desc; i++) {
        d->free[d->n_free++] = chain->desc[i];
    }
    if (chain->table >= 0) {
        d->tables[d->n_tables++] = chain->table;
    }
    return chain;
}

uint32_t driver_outstanding(const Driver *d)
{
    uint32_t n = 0;

    for (int i = 0; i < 65536; i++) {
        n += d->by_id[i] ? d->by_id[i]->n_slots : 0;
    }
    return n;
}

uint32_t driver_available(const Driver *d, uint32_t base)
{
    uint32_t at = base & 0x7fff, end = d->avail % d->num;

    if (!d->packed) {
        return (uint16_t)(d->avail - base);
    }
    /* The wrap counter is 1 in laps of even number. */
    return end - at + (!(base & 0x8000) == (d->avail / d->num % 2 == 0) ?
                       d->num : 0);
}

void driver_call_off(Driver *d)
{
    d->event = UINT64_MAX;
    if (d->packed) {
        __atomic_store_n((uint32_t *)driver_driver_event(d),
                         htole32(VRING_PACKED_EVENT_FLAG_DISABLE << 16),
                         __ATOMIC_RELAXED);
    } else if (!d->event_idx) {
        __atomic_store_n(&driver_avail(d)->flags,
                         htole16(VRING_AVAIL_F_NO_INTERRUPT),
                         __ATOMIC_RELAXED);
    } else {
        /* The one just passed: it comes again after 65536. */
        __atomic_store_n(&driver_avail(d)->ring[d->num],
                         htole16(d->used - 1), __ATOMIC_RELAXED);
    }
}

void driver_call_at(Driver *d, uint64_t event)
{
    d->event = event;
    if (d->packed) {
        uint32_t at = event % d->num;
        uint32_t wrap = (event / d->num) % 2 == 0 ? 0x8000 : 0;
        uint32_t both = d->event_idx
            ? (at | wrap | VRING_PACKED_EVENT_FLAG_DESC << 16)
            : VRING_PACKED_EVENT_FLAG_ENABLE << 16;

        __atomic_store_n((uint32_t *)driver_driver_event(d), htole32(both),
                         __ATOMIC_RELAXED);
    } else if (!d->event_idx) {
        __atomic_store_n(&driver_avail(d)->flags, 0, __ATOMIC_RELAXED);
    } else {
        __atomic_store_n(&driver_avail(d)->ring[d->num], htole16(event),
                         __ATOMIC_RELAXED);
    }
}

size_t driver_gather(const struct iovec *iov, uint32_t n, void *buf,
                     size_t max)
{
    size_t len = 0;

    for (uint32_t i = 0; i < n; i++) {
        size_t piece = MIN(iov[i].iov_len, max - len);

        memcpy((char *)buf + len, iov[i].iov_base, piece);
        len += piece;
    }
    return len;
}
