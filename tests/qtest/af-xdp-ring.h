/*
 * af-xdp qtest: a virtqueue, from the driver's side
 *
 * Split and packed rings in the mapped RAM (VIRTIO 1.2, 2.7 and 2.8), with
 * event index and indirect descriptors:
 *
 *     axt_ring_add() ... axt_ring_add()   buffers to the device, each at once
 *     axt_ring_get() ... axt_ring_get()   and back
 *
 * Each buffer has an id while the device has it. Ids that come back must be
 * with the device: one that was never given, or comes back twice, fails the
 * test.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef TESTS_QTEST_AF_XDP_RING_H
#define TESTS_QTEST_AF_XDP_RING_H

#include "standard-headers/linux/virtio_ring.h"

/* The most descriptors of one buffer. */
#define AXT_RING_SEGS 1024

typedef struct AxtSeg {
    uint64_t gpa;
    uint32_t len;
    bool write;                 /* the device writes to it */
} AxtSeg;

typedef struct AxtRing {
    uint16_t size;
    bool packed;
    bool event_idx;
    union {
        struct vring_desc *desc;
        struct vring_packed_desc *pdesc;
    };
    union {
        struct vring_avail *avail;
        struct vring_packed_desc_event *driver;
    };
    union {
        struct vring_used *used;
        struct vring_packed_desc_event *device;
    };

    /* Next to be added or got. Split: running; packed: ring position. */
    uint16_t avail_idx;
    uint16_t used_idx;
    bool avail_wrap;
    bool used_wrap;
    uint16_t unkicked;          /* descriptors, or split: entries, to tell */
    unsigned held;              /* buffers that the device has */

    /* Split: unused descriptors. Packed: unused ids, and n_desc apart. */
    uint16_t *free;
    unsigned n_free;
    unsigned n_desc;
    uint16_t *next;             /* split: of each descriptor in a chain */
    uint16_t *n_segs;           /* by id: descriptors in the ring; 0: unused */
} AxtRing;

/*
 * axt_ring_init: an empty ring.
 * @desc, @driver, @device: its three parts, as VIRTIO calls them.
 */
void axt_ring_init(AxtRing *r, uint16_t size, bool packed, bool event_idx,
                   void *desc, void *driver, void *device);

/* axt_ring_clear: forget it, and free what belongs to it. */
void axt_ring_clear(AxtRing *r);

/*
 * axt_ring_add: make a buffer of @n segments available.
 * @table, @table_gpa: memory for an indirect table, or NULL and 0.
 *
 * Returns its id, or -1 if the ring has no room now.
 */
int axt_ring_add(AxtRing *r, const AxtSeg *segs, unsigned n,
                 void *table, uint64_t table_gpa);

/*
 * axt_ring_get: take back a buffer that the device has used.
 * @len: receives how many bytes it says it has written.
 *
 * Returns its id, or -1 if there is none.
 */
int axt_ring_get(AxtRing *r, uint32_t *len);

/* axt_ring_wants_kick: does the device want to hear of what was added? */
bool axt_ring_wants_kick(AxtRing *r);

/* axt_ring_calls_off: no interrupts. How it begins. */
void axt_ring_calls_off(AxtRing *r);

/*
 * axt_ring_calls_on: an interrupt with the next buffer used; with an event
 * index none after it until this is called again.
 */
void axt_ring_calls_on(AxtRing *r);

/*
 * axt_ring_calls_after: with an event index: one interrupt, when @n buffers
 * more than those got were used. Each must take one descriptor.
 */
void axt_ring_calls_after(AxtRing *r, uint16_t n);

/* axt_ring_used: how many buffers the device has used that were not got yet. */
unsigned axt_ring_used(AxtRing *r);

#endif /* TESTS_QTEST_AF_XDP_RING_H */
