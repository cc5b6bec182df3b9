/*
 * AF_XDP: fuzzing: the guest
 *
 * What the targets have in common: the input as a stream of numbers, guest
 * memory of a few small regions, virtqueues at their ends, and writers that
 * fill them with what is likely to be good, as random bytes hardly ever are.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef AF_XDP_FUZZ_GUEST_H
#define AF_XDP_FUZZ_GUEST_H

#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include "net/af-xdp-vring.h"

/* A region is a page of the dirty log, but for one that may be larger. */
#define FUZZ_REGION 4096u
#define FUZZ_REGIONS 7
#define FUZZ_RINGS 2

#define FUZZ_AVAIL_FLAG (1u << VRING_PACKED_DESC_F_AVAIL)
#define FUZZ_USED_FLAG (1u << VRING_PACKED_DESC_F_USED)

typedef struct FuzzInput {
    const uint8_t *data;
    size_t left;
} FuzzInput;

typedef struct FuzzRing {
    AfXdpVring *vr;
    uint32_t num;
    uint8_t *desc;
    uint8_t *driver;
    uint8_t *device;
    uint32_t device_size;
    uint64_t desc_gpa;
    uint64_t device_gpa;
} FuzzRing;

typedef struct FuzzGuest {
    uint32_t n_regions;
    AfXdpRegion region[FUZZ_REGIONS];
    bool lent[FUZZ_REGIONS];    /* memory of somebody else */
    AfXdpMemory *memory;        /* all of them */
    AfXdpMemory *empty;         /* none */
    bool packed;
    uint64_t features;
    FuzzRing ring[FUZZ_RINGS];
    uint32_t n_rings;
    uint32_t num_max;           /* of any ring */
    uint8_t *table;             /* where indirect tables are written to */
    uint32_t favourite;         /* region of most buffers; 0: none */
} FuzzGuest;

/* fuzz_take: the next @bytes of the input, zeroes behind its end. */
uint32_t fuzz_take(FuzzInput *in, int bytes);

/*
 * fuzz_guest_region: one more region at @gpa.
 * @host: its memory, or NULL for memory of its own, zeroed, for the sanitizer
 *        to see its ends.
 * Returns its number.
 */
uint32_t fuzz_guest_region(FuzzGuest *g, uint64_t gpa, uint8_t *host,
                           uint64_t size);

/* fuzz_guest_ready: all regions are there: make the tables. */
void fuzz_guest_ready(FuzzGuest *g);
void fuzz_guest_free(FuzzGuest *g);

/*
 * fuzz_guest_at: all regions in a row are one space of fuzz_guest_size()
 * bytes; this is where @host is in it. Returns UINT32_MAX if it is not.
 */
uint32_t fuzz_guest_at(const FuzzGuest *g, const void *host);
uint32_t fuzz_guest_size(const FuzzGuest *g);

/*
 * fuzz_guest_place: lay a ring of @num entries at the ends of three areas of
 * FUZZ_REGION bytes: of the device, of the driver, of descriptors.
 */
void fuzz_guest_place(FuzzGuest *g, FuzzRing *ring, uint32_t num,
                      uint8_t *const areas[3]);

/* fuzz_guest_config: what the ring's device side is to be opened with. */
AfXdpVringConfig fuzz_guest_config(const FuzzGuest *g, const FuzzRing *ring,
                                   uint32_t base);

/* fuzz_guest_write: some bytes anywhere. */
void fuzz_guest_write(FuzzGuest *g, FuzzInput *in);

/* fuzz_guest_desc: a descriptor, in a ring or in a table. */
void fuzz_guest_desc(FuzzGuest *g, FuzzInput *in);

/*
 * fuzz_guest_buffers: a whole ring of buffers of one length, side by side or
 * not quite; or every other one, with a piece for the header before it, far
 * away.
 */
void fuzz_guest_buffers(FuzzGuest *g, FuzzInput *in);

#endif /* AF_XDP_FUZZ_GUEST_H */
