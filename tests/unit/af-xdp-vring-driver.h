/*
 * AF_XDP: a guest's virtqueue driver for tests: plain, slow, obviously right
 *
 * Works on guest memory laid out so that everything awkward happens: regions
 * that touch in guest-physical memory and not in ours, a hole, a region above
 * 4 GiB, indirect tables at odd addresses and across regions, free
 * descriptors handed out in random order. Positions are kept as absolute
 * counts of 64 bits, and reduced to what the ring wants only when written.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef AF_XDP_VRING_DRIVER_H
#define AF_XDP_VRING_DRIVER_H

#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include "net/af-xdp-vring.h"

/* Guest memory: [0, 1M) [1M, 2M) [2M, 3M) and [4G, 4G + 1M). */
#define DRIVER_REGION_SIZE 0x100000u
#define DRIVER_HIGH UINT64_C(0x100000000)
#define DRIVER_HOLE (3 * DRIVER_REGION_SIZE)

/*
 * Where the parts of the ring are, all in the first region. Those of a second
 * ring, see driver_new_at(), are DRIVER_SECOND further.
 */
#define DRIVER_DESC 0x0u
#define DRIVER_AVAIL 0x80000u
/* The used ring's entries begin a page of their own, for the log. */
#define DRIVER_USED 0x90ffcu
/* Tables for indirect chains: slot by slot, across the first boundary. */
#define DRIVER_TABLES 0xa0000u
#define DRIVER_TABLE_SLOTS 1024u
#define DRIVER_TABLE_STRIDE 516u
/* Buffers: here to the hole, and all of the high region. */
#define DRIVER_BUFFERS 0x130000u
/* A second ring, and buffers behind its tables, which cross a boundary too. */
#define DRIVER_SECOND 0x140000u
#define DRIVER_BUFFERS_OF_TWO 0x270000u

#define DRIVER_SEGS_MAX 32

typedef struct DriverSeg {
    uint64_t gpa;
    uint32_t len;
} DriverSeg;

/* What the driver made available, until it takes it back. */
typedef struct DriverChain {
    DriverSeg seg[DRIVER_SEGS_MAX];
    uint32_t n_seg;
    uint16_t id;
    uint16_t n_slots;           /* ring entries, as the device counts */
    uint16_t desc[DRIVER_SEGS_MAX]; /* split: descriptors to free */
    uint32_t n_desc;
    int table;                  /* slot, or -1 */
} DriverChain;

typedef struct Driver {
    bool packed;
    bool event_idx;
    bool indirect;
    bool writable;
    uint32_t num;
    uint64_t place;             /* of the ring: 0, or see driver_new_at() */
    uint8_t *host;              /* all memory, in another order */
    bool own_host;
    AfXdpMemory *memory;
    GRand *rand;

    uint64_t avail;             /* entries or slots made available */
    uint64_t kick_avail;        /* and when a kick was last considered */
    uint64_t used;              /* entries or slots seen used */
    uint64_t event;             /* the one that is to be notified of */
    uint32_t n_free;            /* descriptors (split) or slots (packed) */
    uint16_t *free;             /* split: free descriptors */
    DriverChain **by_id;
    uint32_t n_tables;
    uint16_t *tables;           /* free table slots */
} Driver;

/*
 * driver_new: memory and an empty ring.
 * @features: EVENT_IDX, INDIRECT_DESC, RING_PACKED.
 */
Driver *driver_new(uint64_t features, uint32_t num, bool writable,
                   uint32_t seed);

/* All of guest memory, in bytes. */
#define DRIVER_MEMORY_SIZE (4 * DRIVER_REGION_SIZE)

/*
 * driver_new_at: an empty ring in the caller's memory, beside others.
 * @host: DRIVER_MEMORY_SIZE bytes of zeroes, aligned to a page; stays the
 *        caller's.
 * @place: 0 or DRIVER_SECOND.
 */
Driver *driver_new_at(uint64_t features, uint32_t num, bool writable,
                      uint32_t seed, uint8_t *host, uint64_t place);
void driver_free(Driver *d);

/* The configuration of a device for this ring, at @base. */
AfXdpVringConfig driver_config(Driver *d, uint32_t base);

/* A device for this ring from its start. */
AfXdpVring *driver_device(Driver *d);

/* driver_host: where a guest-physical byte is for us; NULL if nowhere. */
void *driver_host(Driver *d, uint64_t gpa);

/* The parts of the ring, to read or to spoil. */
struct vring_desc *driver_desc(Driver *d);
struct vring_avail *driver_avail(Driver *d);
struct vring_used *driver_used(Driver *d);
struct vring_packed_desc *driver_packed(Driver *d);
struct vring_packed_desc_event *driver_driver_event(Driver *d);
struct vring_packed_desc_event *driver_device_event(Driver *d);

/*
 * driver_add: make @n segments available as one chain, as one step.
 * @direct: the first so many go into the ring, the rest, if any, into an
 *          indirect table; a packed ring takes all or none.
 *
 * Returns the chain, which is the driver's, or NULL when there is no room.
 */
DriverChain *driver_add(Driver *d, const DriverSeg *seg, uint32_t n,
                        uint32_t direct);

/* A random buffer of up to 4096 bytes, maybe across regions. */
DriverSeg driver_random_seg(Driver *d);

/* driver_wants_kick: would the driver kick for what it added since asked? */
bool driver_wants_kick(Driver *d);

/*
 * driver_collect: the next used buffer.
 * @len: receives the length the device wrote.
 *
 * Returns its chain, to be freed, or NULL when there is none.
 */
DriverChain *driver_collect(Driver *d, uint32_t *len);

/*
 * driver_outstanding: ring entries of all that was made available and not
 * collected.
 */
uint32_t driver_outstanding(const Driver *d);

/* driver_available: those that a device finds which goes on at @base. */
uint32_t driver_available(const Driver *d, uint32_t base);

/* driver_call_off: ask for no notifications. */
void driver_call_off(Driver *d);

/*
 * driver_call_at: ask for a notification when entry (packed: slot) number
 * @event, counted from the ring's start, is used; without an event index:
 * whenever something is.
 */
void driver_call_at(Driver *d, uint64_t event);

/* driver_gather: at most @max bytes of a vector, in one piece; how many. */
size_t driver_gather(const struct iovec *iov, uint32_t n, void *buf,
                     size_t max);

#endif /* AF_XDP_VRING_DRIVER_H */
