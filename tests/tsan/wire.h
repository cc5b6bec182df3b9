/*
 * Test of the worker's threads: packets, and the far end of the veth pair
 *
 * Every packet has a number; its length and bytes follow from that, so that
 * each receiver sees whether one is damaged, doubled or out of order. Packets
 * may be missing: a queue that is full drops. With direct buffers they may
 * overtake each other at a stop, since there are two sockets then.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef AF_XDP_TSAN_WIRE_H
#define AF_XDP_TSAN_WIRE_H

#include "net/af-xdp-copy.h"
#include "qemu/thread.h"

#define QUEUES 2
#define FRAME_MAX 1514

/* Who sends: one of the wire's queues, or the guest. */
enum { FROM_GUEST = QUEUES, SENDERS };

/* packet_init: call once, before the others. */
void packet_init(void);

/* packet_make: packet @number of @sender. Returns its length. */
size_t packet_make(uint8_t *frame, unsigned int sender, uint32_t number);

/* What one receiver has seen, by sender. */
typedef struct Seen {
    uint32_t last[SENDERS];
    uint8_t *bits[SENDERS];     /* in any order: all numbers, else NULL */
} Seen;

/* seen_any_order: packets may overtake each other; to be freed. */
void seen_any_order(Seen *seen);
void seen_free(Seen *seen);

/*
 * packet_check: a packet as it came; fails the test if it is damaged, came
 * before, or is out of order.
 *
 * Returns the sender.
 */
unsigned int packet_check(const uint8_t *frame, size_t len, Seen *seen);

typedef struct Wire {
    AfXdpCopy *copy[QUEUES];
    QemuThread thread;
    bool quiet;                 /* sends nothing; set by others, atomically */
    bool stop;
    uint32_t sent[QUEUES];      /* the thread's own, as is all below */
    uint32_t received;
    Seen seen;
} Wire;

/* wire_start: begin to send and receive with @wire->copy. */
void wire_start(Wire *wire);

/* wire_join: end of that; what has come until now is received. */
void wire_join(Wire *wire);

#endif /* AF_XDP_TSAN_WIRE_H */
