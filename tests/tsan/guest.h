/*
 * Test of the worker's threads: a guest that drives one queue pair
 *
 * A thread that does what a guest's driver does: it makes buffers available,
 * takes used ones back, kicks, and says when it wants to be interrupted. It
 * never waits for an interrupt, since another thread changes where those go.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef AF_XDP_TSAN_GUEST_H
#define AF_XDP_TSAN_GUEST_H

#include "af-xdp-vring-driver.h"
#include "net/af-xdp-worker.h"
#include "qemu/thread.h"
#include "wire.h"

/* Entries of each ring, and buffers. Few, so that the device often waits. */
#define RING_SIZE 128

typedef struct Guest {
    Driver *driver[AF_XDP_RINGS];
    QemuThread thread;
    /*
     * Held by the thread while it runs the rings: others take it to make the
     * guest stand still, or to give it another eventfd to kick.
     */
    QemuMutex lock;
    int kick[AF_XDP_RINGS];

    /* Set by others, atomically. */
    bool quiet;                 /* sends nothing */
    bool stop;

    /* Written by the thread alone, atomically. */
    uint32_t received[QUEUES];
    uint32_t sent;              /* given to the device */
    uint32_t done;              /* and back */

    /* The thread's own. */
    GRand *rand;
    uint16_t slot[AF_XDP_RINGS][RING_SIZE];     /* free buffers */
    uint32_t n_slots[AF_XDP_RINGS];
    Seen seen;
    bool whole;                 /* receive buffers, see guest_new() */
} Guest;

/*
 * guest_new: rings in DRIVER_MEMORY_SIZE bytes at @host, and buffers of which
 * half lie in the region above 4 GiB.
 * @features: of the rings; packets have mergeable buffers in any case.
 * @whole: nearly all receive buffers have room for a packet, in one piece.
 */
Guest *guest_new(uint64_t features, uint8_t *host, bool whole);
void guest_free(Guest *g);

void guest_start(Guest *g);
void guest_join(Guest *g);

#endif /* AF_XDP_TSAN_GUEST_H */
