/*
 * AF_XDP: fuzzing: the guest
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "guest.h"

uint32_t fuzz_take(FuzzInput *in, int bytes)
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

/* --- Memory --- */

uint32_t fuzz_guest_region(FuzzGuest *g, uint64_t gpa, uint8_t *host,
                           uint64_t size)
{
    uint32_t r = g->n_regions++;

    g_assert(r < FUZZ_REGIONS);
    g->lent[r] = host != NULL;
    if (!host) {
        host = aligned_alloc(16, size);
        memset(host, 0, size);
    }
    g->region[r] = (AfXdpRegion) { gpa, size, host };
    return r;
}

void fuzz_guest_ready(FuzzGuest *g)
{
    g->memory = af_xdp_memory_new(g->region, g->n_regions, NULL);
    g->empty = af_xdp_memory_new(NULL, 0, NULL);
    g_assert(g->memory && g->empty);
}

void fuzz_guest_free(FuzzGuest *g)
{
    af_xdp_memory_free(g->memory);
    af_xdp_memory_free(g->empty);
    for (uint32_t r = 0; r < g->n_regions; r++) {
        if (!g->lent[r]) {
            free(g->region[r].host);
        }
    }
}

uint32_t fuzz_guest_at(const FuzzGuest *g, const void *host)
{
    uint32_t at = 0;

    for (uint32_t r = 0; r < g->n_regions; r++) {
        uint64_t off = (uintptr_t)host - (uintptr_t)g->region[r].host;

        if (off < g->region[r].size) {
            return at + off;
        }
        at += g->region[r].size;
    }
    return UINT32_MAX;
}

uint32_t fuzz_guest_size(const FuzzGuest *g)
{
    uint32_t size = 0;

    for (uint32_t r = 0; r < g->n_regions; r++) {
        size += g->region[r].size;
    }
    return size;
}

static uint64_t gpa_of(const FuzzGuest *g, const uint8_t *host)
{
    for (uint32_t r = 0; r < g->n_regions; r++) {
        uint64_t off = host - (uint8_t *)g->region[r].host;

        if (off < g->region[r].size) {
            return g->region[r].gpa + off;
        }
    }
    g_assert_not_reached();
}

/* --- Rings --- */

void fuzz_guest_place(FuzzGuest *g, FuzzRing *ring, uint32_t num,
                      uint8_t *const areas[3])
{
    uint32_t event = g->features & UINT64_C(1) << VIRTIO_RING_F_EVENT_IDX ?
                     sizeof(uint16_t) : 0;
    uint32_t driver = sizeof(struct vring_avail) + 2 * num + event;
    uint32_t device = sizeof(struct vring_used) + 8 * num + event;

    if (g->packed) {
        driver = device = sizeof(struct vring_packed_desc_event);
    }
    ring->num = num;
    ring->device_size = device;
    ring->device = areas[0] + QEMU_ALIGN_DOWN(FUZZ_REGION - device,
                                              VRING_USED_ALIGN_SIZE);
    ring->driver = areas[1] + FUZZ_REGION - driver;
    ring->desc = areas[2] + FUZZ_REGION - 16 * num;
    ring->device_gpa = gpa_of(g, ring->device);
    ring->desc_gpa = gpa_of(g, ring->desc);
}

AfXdpVringConfig fuzz_guest_config(const FuzzGuest *g, const FuzzRing *ring,
                                   uint32_t base)
{
    return (AfXdpVringConfig) {
        .features = g->features,
        .num = ring->num,
        .base = base,
        .desc = ring->desc,
        .driver = ring->driver,
        .device = ring->device,
        .desc_gpa = ring->desc_gpa,
        .device_gpa = ring->device_gpa,
        .memory = g->memory,
    };
}

/* --- Writers --- */

void fuzz_guest_write(FuzzGuest *g, FuzzInput *in)
{
    uint32_t at = fuzz_take(in, 2) % fuzz_guest_size(g);
    uint32_t n = fuzz_take(in, 1) % 33;

    for (uint32_t r = 0; r < g->n_regions; r++) {
        const AfXdpRegion *region = &g->region[r];

        for (; n > 0 && at < region->size; n--) {
            ((uint8_t *)region->host)[at++] = fuzz_take(in, 1);
        }
        at -= MIN(at, region->size);
        if (n == 0) {
            break;
        }
    }
}

void fuzz_guest_desc(FuzzGuest *g, FuzzInput *in)
{
    uint32_t where = fuzz_take(in, 1), flags = fuzz_take(in, 1);
    const FuzzRing *ring = &g->ring[(where >> 6 & 1) % g->n_rings];
    uint32_t r = g->favourite && where & 0x20 ? g->favourite
                                              : where % g->n_regions;
    const AfXdpRegion *region = &g->region[r];
    uint64_t addr = region->gpa +
                    fuzz_take(in, 2) % (region->size + FUZZ_REGION);
    uint32_t len = fuzz_take(in, 2);
    uint32_t next = fuzz_take(in, 1) % (g->num_max + 2);
    uint32_t i = fuzz_take(in, 1) % (2 * g->num_max);
    uint8_t *to = where & 0x80 ? g->table + 16 * i
                               : ring->desc + 16 * (i % ring->num);

    if (flags & 0x40) {
        len *= 16;
    }
    if (g->packed) {
        struct vring_packed_desc d = {
            .addr = addr,
            .len = len,
            .id = next,
            .flags = (flags & 7) | (flags & 0x80 ? FUZZ_USED_FLAG
                                                 : FUZZ_AVAIL_FLAG),
        };

        memcpy(to, &d, sizeof(d));
    } else {
        struct vring_desc d = {
            .addr = addr, .len = len, .flags = flags & 7, .next = next,
        };

        memcpy(to, &d, sizeof(d));
    }
}

void fuzz_guest_buffers(FuzzGuest *g, FuzzInput *in)
{
    uint32_t what = fuzz_take(in, 1), len = fuzz_take(in, 2);
    const FuzzRing *ring = &g->ring[what & 1];
    const AfXdpRegion *region =
        &g->region[what & 0x20 && g->favourite ? g->favourite
                                               : what % g->n_regions];
    uint32_t gap = what & 0x40 ? 96 : 0, pairs = what >> 4 & what >> 5 & 1;
    uint16_t flags = what & 1 ? 0 : VRING_DESC_F_WRITE;

    len %= region->size / 4;
    for (uint32_t i = 0; i < ring->num; i++) {
        uint64_t at = (uint64_t)i * (len + gap) % (region->size - len + 1);
        uint64_t addr = region->gpa + at;
        bool header = pairs && i % 2 == 0;

        if (header) {
            addr = region->gpa + i * 16;
        }
        if (g->packed) {
            struct vring_packed_desc *d =
                (struct vring_packed_desc *)ring->desc + i;

            *d = (struct vring_packed_desc) {
                .addr = addr, .len = header ? 12 : len, .id = i,
                .flags = flags | (header ? VRING_DESC_F_NEXT : 0) |
                         (what & 0x80 ? FUZZ_USED_FLAG : FUZZ_AVAIL_FLAG),
            };
        } else {
            struct vring_avail *avail = (struct vring_avail *)ring->driver;
            struct vring_desc *d = (struct vring_desc *)ring->desc + i;

            *d = (struct vring_desc) {
                .addr = addr, .len = header ? 12 : len,
                .flags = flags | (header ? VRING_DESC_F_NEXT : 0),
                .next = i + 1,
            };
            avail->ring[i] = (i << pairs) % ring->num;
        }
    }
}
