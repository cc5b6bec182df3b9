/*
 * Test of the worker's threads: guest memory, and where it is mapped
 *
 * It is in a file, and several times in our address space:
 *
 *     host      all of it, as the guest uses it
 *     high[]    its region above 4 GiB. Tables name it by one of these in turn,
 *               so that the other one can be taken away, like memory that is
 *               unplugged.
 *     shadow    all of it, to look at while the rest is taken away
 *
 * With a window, host is in it, and high[0] is a part of that, which stays.
 *
 * Threads: one.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef AF_XDP_TSAN_MEMORY_H
#define AF_XDP_TSAN_MEMORY_H

#include "net/af-xdp-memory.h"
#include "net/af-xdp-window.h"

typedef struct Memory {
    AfXdpWindow *window;        /* NULL: there is none */
    uint8_t *host;
    uint8_t *high[2];
    int which;                  /* of them is in tables from now on */
    const uint8_t *shadow;
    uint8_t *before;            /* see memory_remember() */
} Memory;

/*
 * memory_open: DRIVER_MEMORY_SIZE bytes of zeroes.
 * @front: bytes in front of them in a window; 0: none is made.
 */
void memory_open(Memory *m, uint64_t front);
void memory_close(Memory *m);

/* memory_turn: tables name the other mapping of the high region from now on. */
void memory_turn(Memory *m);

/* memory_table: a table as of now, with the high region in one part or two. */
AfXdpMemory *memory_table(const Memory *m);

/* memory_unplug: nobody uses the mapping that tables do not name. */
void memory_unplug(const Memory *m);

/* Take away all that tables name; give it back. */
void memory_hide(const Memory *m);
void memory_show(const Memory *m);

/* From one to the other not a byte may change. */
void memory_remember(Memory *m);
void memory_compare(const Memory *m);

#endif /* AF_XDP_TSAN_MEMORY_H */
