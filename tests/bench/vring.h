/*
 * Benchmark: a virtqueue, from the driver's side
 *
 * Split and packed rings (VIRTIO 1.2, 2.7 and 2.8), with event index and
 * indirect descriptors. Buffers have numbers below axb_vq_slots(); who uses
 * the queue keeps what belongs to each number.
 *
 *      axb_vq_add() ... axb_vq_add() axb_vq_publish()    buffers to the device
 *      axb_vq_get() ... axb_vq_get() axb_vq_rest()       and back
 *
 * Nothing is seen by the device before axb_vq_publish(), which tells whether
 * it asked for a kick. Interrupts stay off at all times.
 *
 * Threads: one at a time.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef TESTS_BENCH_VRING_H
#define TESTS_BENCH_VRING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Most segments of one buffer: header, data and the control queue's answer */
#define AXB_VQ_SEGS 3

typedef struct AxbVqConfig {
    uint16_t size;          /* entries, a power of 2 */
    uint16_t segs;          /* descriptors that any buffer may take */
    bool packed;
    bool event_idx;
    bool indirect;          /* put each buffer into a table of its own */
} AxbVqConfig;

typedef struct AxbSeg {
    uint64_t addr;          /* guest-physical */
    uint32_t len;
    bool write;             /* the device writes to it */
} AxbSeg;

typedef struct AxbVq {
    AxbVqConfig config;
    void *desc;             /* the three parts, here... */
    void *driver;
    void *device;
    uint64_t desc_gpa;      /* ...and there */
    uint64_t driver_gpa;
    uint64_t device_gpa;
    void *tables;           /* indirect */
    uint64_t tables_gpa;

    uint16_t next;          /* split: free-running; packed: ring position */
    uint16_t used;          /* likewise, next to be looked at */
    uint16_t added;         /* descriptors added since axb_vq_publish() */
    bool next_wrap;         /* packed */
    bool used_wrap;
    uint16_t head;          /* packed: first descriptor added... */
    uint16_t head_flags;    /* ...and its flags, kept back */
    uint8_t slot_segs[1024];    /* packed: descriptors each buffer takes */
} AxbVq;

/* axb_vq_bytes: memory for queue and tables, to be aligned to 4 KiB. */
size_t axb_vq_bytes(const AxbVqConfig *config);

/*
 * axb_vq_init: an empty queue.
 * @mem, @gpa: axb_vq_bytes() zeroed bytes and their guest-physical address
 */
void axb_vq_init(AxbVq *vq, const AxbVqConfig *config, void *mem,
                 uint64_t gpa);

/* axb_vq_slots: how many buffers can be with the device at once. */
static inline uint16_t axb_vq_slots(const AxbVqConfig *config)
{
    return config->indirect ? config->size : config->size / config->segs;
}

/* axb_vq_add: offer buffer @slot, which must not be with the device. */
void axb_vq_add(AxbVq *vq, uint16_t slot, const AxbSeg *segs, unsigned n);

/* axb_vq_publish: show what was added. Returns whether to kick. */
bool axb_vq_publish(AxbVq *vq);

/*
 * axb_vq_get: take back a buffer that the device has used.
 * @len: bytes it wrote. Returns false if there is none.
 */
bool axb_vq_get(AxbVq *vq, uint16_t *slot, uint32_t *len);

/* axb_vq_rest: after a row of axb_vq_get(): keep interrupts off. */
void axb_vq_rest(AxbVq *vq);

#endif /* TESTS_BENCH_VRING_H */
