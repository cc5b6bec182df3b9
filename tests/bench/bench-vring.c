/*
 * AF_XDP: what a virtqueue costs per packet
 *
 * The device side alone, on rings in our own memory, single buffers of 64
 * bytes, no copy of data. The guest's part is a handful of stores per round,
 * which are timed too and are subtracted as measured alone.
 *
 * Usage: bench-vring [milliseconds per case]
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <endian.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include "net/af-xdp-vring.h"

#define NUM 256u
#define BURST_MAX 256u
#define BUFFER_LEN 64u
#define GPA_BASE UINT64_C(0x100000000)
#define AVAIL_FLAG (1u << VRING_PACKED_DESC_F_AVAIL)
#define USED_FLAG (1u << VRING_PACKED_DESC_F_USED)
#define TABLES (1u << 20)

typedef struct Guest {
    bool packed;
    bool indirect;
    uint8_t *ram;
    void *desc;
    void *driver;
    void *device;
    uint64_t at;                /* entries made available */
} Guest;

static uint64_t now_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * UINT64_C(1000000000) + ts.tv_nsec;
}

/* What the guest does per round; buffers stay where they are. */
static void guest_add(Guest *g, uint32_t n)
{
    if (g->packed) {
        struct vring_packed_desc *ring = g->desc;

        for (uint32_t i = 0; i < n; i++) {
            uint32_t slot = (g->at + i) % NUM;
            bool wrap = ((g->at + i) / NUM) % 2 == 0;

            ring[slot].len = htole32(g->indirect ? 16 : BUFFER_LEN);
            ring[slot].id = htole16(slot);
            __atomic_store_n(&ring[slot].flags,
                             htole16((wrap ? AVAIL_FLAG : USED_FLAG) |
                                     (g->indirect ? VRING_DESC_F_INDIRECT
                                                  : VRING_DESC_F_WRITE)),
                             __ATOMIC_RELEASE);
        }
        g->at += n;
    } else {
        struct vring_avail *avail = g->driver;

        g->at += n;
        __atomic_store_n(&avail->idx, htole16(g->at), __ATOMIC_RELEASE);
    }
}

static void guest_init(Guest *g)
{
    memset(g->ram, 0, 2 * TABLES);
    g->desc = g->ram;
    g->driver = g->ram + NUM * 16;
    g->device = g->ram + NUM * 32;
    g->at = 0;
    for (uint32_t i = 0; i < NUM; i++) {
        uint64_t buffer = GPA_BASE + 0x10000 + i * 2048;
        struct vring_desc *split = g->desc;
        struct vring_packed_desc *packed = g->desc;
        struct vring_desc entry = {
            .addr = htole64(buffer),
            .len = htole32(BUFFER_LEN),
            .flags = htole16(VRING_DESC_F_WRITE),
        };
        struct vring_packed_desc packed_entry = {
            .addr = htole64(buffer),
            .len = htole32(BUFFER_LEN),
            .flags = htole16(VRING_DESC_F_WRITE),
        };

        if (g->packed) {
            memcpy(g->ram + TABLES + i * 64, &packed_entry, 16);
        } else {
            memcpy(g->ram + TABLES + i * 64, &entry, 16);
        }
        if (g->indirect) {
            entry.addr = packed_entry.addr =
                htole64(GPA_BASE + TABLES + i * 64);
            entry.len = htole32(16);
            entry.flags = htole16(VRING_DESC_F_INDIRECT);
        }
        if (g->packed) {
            packed[i].addr = packed_entry.addr;
        } else {
            split[i] = entry;
            ((struct vring_avail *)g->driver)->ring[i] = htole16(i);
        }
    }
}

/* Nanoseconds per packet of the guest's part alone. */
static double bench_guest(Guest *g, uint32_t burst, uint64_t ns)
{
    uint64_t start, end, packets = 0;

    guest_init(g);
    start = now_ns();
    do {
        for (int i = 0; i < 256; i++) {
            guest_add(g, burst);
        }
        packets += 256 * burst;
        end = now_ns();
    } while (end - start < ns);
    return (double)(end - start) / packets;
}

static double bench_device(Guest *g, uint32_t burst, bool event_idx,
                           uint64_t ns)
{
    static AfXdpVringElem elems[BURST_MAX];
    static struct iovec iov[2 * AF_XDP_VRING_CHAIN_MAX];
    static uint64_t gpa[2 * AF_XDP_VRING_CHAIN_MAX];
    AfXdpVringPool pool = { .iov = iov, .gpa = gpa, .max = ARRAY_SIZE(iov) };
    AfXdpRegion region = { GPA_BASE, 2 * TABLES, g->ram };
    AfXdpMemory *memory = af_xdp_memory_new(&region, 1, NULL);
    uint64_t start, end, packets = 0, calls = 0;
    AfXdpVringConfig config = {
        .features = (uint64_t)g->packed << VIRTIO_F_RING_PACKED |
                    (uint64_t)event_idx << VIRTIO_RING_F_EVENT_IDX |
                    UINT64_C(1) << VIRTIO_RING_F_INDIRECT_DESC,
        .num = NUM,
        .base = g->packed ? 0x80008000 : 0,
        .writable = true,
        .memory = memory,
    };
    AfXdpVring *vr;

    guest_init(g);
    config.desc = g->desc;
    config.driver = g->driver;
    config.device = g->device;
    vr = af_xdp_vring_new(&config, NULL);
    start = now_ns();
    do {
        for (int i = 0; i < 256; i++) {
            uint32_t n;

            guest_add(g, burst);
            n = af_xdp_vring_pop(vr, elems, burst, &pool);
            g_assert(n == burst);
            for (uint32_t k = 0; k < n; k++) {
                af_xdp_vring_push(vr, &elems[k], elems[k].len);
            }
            pool.n = 0;
            af_xdp_vring_flush(vr);
            calls += af_xdp_vring_should_call(vr);
        }
        packets += 256 * burst;
        end = now_ns();
    } while (end - start < ns);
    g_assert(calls > 0);
    af_xdp_vring_free(vr);
    af_xdp_memory_free(memory);
    return (double)(end - start) / packets;
}

int main(int argc, char **argv)
{
    static const uint32_t bursts[] = { 1, 32, 64, 256 };
    uint64_t ns = (argc > 1 ? atoi(argv[1]) : 200) * UINT64_C(1000000);
    Guest g = { .ram = aligned_alloc(4096, 2 * TABLES) };

    printf("%-8s %-9s %-10s %6s %10s %10s\n", "ring", "buffers", "event-idx",
           "burst", "ns/packet", "guest's");
    for (int i = 0; i < 8; i++) {
        for (int b = 0; b < ARRAY_SIZE(bursts); b++) {
            double guest, all;

            g.packed = i & 1;
            g.indirect = i & 2;
            guest = bench_guest(&g, bursts[b], ns / 4);
            all = bench_device(&g, bursts[b], i & 4, ns);
            printf("%-8s %-9s %-10s %6u %10.2f %10.2f\n",
                   g.packed ? "packed" : "split",
                   g.indirect ? "indirect" : "direct", i & 4 ? "yes" : "no",
                   bursts[b], all - guest, guest);
        }
    }
    free(g.ram);
    return 0;
}
