/*
 * Test helper: a guest with direct buffers at one end of a veth pair
 *
 *      guest: rings and buffers in a memfd              wire: a thread
 *      window: frames | RAM  -- va ------- vb --  a queue of the copying path
 *
 * Every frame says in its bytes what each of them has to be, and every byte of
 * RAM is known: what nobody was allowed to write is compared with a copy.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef AF_XDP_GUEST_H
#define AF_XDP_GUEST_H

#include <linux/virtio_net.h>
#include "af-xdp-vring-driver.h"
#include "ebpf/ebpf_af_xdp.h"
#include "net/af-xdp-datapath.h"
#include "net/af-xdp-window.h"

#define MERGEABLE (1ULL << VIRTIO_NET_F_MRG_RXBUF)
#define MODERN (1ULL << VIRTIO_F_VERSION_1)
#define PACKED (1ULL << VIRTIO_F_RING_PACKED)

#define FRAME_MIN 60u
#define FRAME_LONGEST 9018u
#define PATIENCE_US (5 * G_USEC_PER_SEC)

/* --- Frames --- */

/* A frame of @len bytes whose every byte depends on @number and its place. */
void frame_make(uint8_t *frame, uint32_t len, uint32_t number);

/* frame_check: is it such a frame? Returns its number. */
uint32_t frame_check(const uint8_t *frame, uint32_t len);

/* --- The wire --- */

typedef struct Wire {
    EbpfAfXdp *prog;
    AfXdpCopy *copy;
    GThread *thread;
    int wanted;                 /* atomic: what the thread is to do */
    int does;                   /* atomic: what it does */
    uint32_t min, max;          /* lengths of the frames it sends */
    uint32_t number;            /* of the last one */
    uint8_t *seen;              /* numbers received, by bit */
    uint32_t received;
} Wire;

Wire *wire_new(int mtu);
void wire_free(Wire *w);

/* Send without pause, and check what comes; or do nothing at all. */
void wire_blast(Wire *w, uint32_t min, uint32_t max);
void wire_pause(Wire *w);

/* One frame, while it is paused. */
void wire_send(Wire *w, uint32_t len);

/* Take what is there, while it is paused. */
void wire_receive(Wire *w);

/* --- The guest --- */

#define GUEST_NUM 256u          /* entries of each ring */
#define GUEST_TX_SLOTS 48u      /* packets it sends at a time */

typedef struct Guest {
    uint64_t features;
    uint32_t hdr_len;
    uint32_t room;              /* bytes behind the header of a buffer */
    int mtu;
    int memfd;
    uint8_t *ram;               /* as QEMU has it mapped */
    uint8_t *expected;          /* what is to be there */
    AfXdpWindow *window;
    EbpfAfXdp *prog;
    AfXdpCopy *copy;
    Driver *rx_driver;
    Driver *tx_driver;
    AfXdpVring *rx;
    AfXdpVring *tx;
    AfXdpDatapath *dp;
    uint32_t next_slot;         /* for sending */
    uint32_t n_sending;
    uint32_t number;            /* of the last frame sent */
    uint32_t received;          /* frames, all of them right */
    bool unsure;                /* buffers may hold parts of lost packets */
    uint64_t unsure_seen;
} Guest;

/* guest_new: the end 'va', as wire_new() has made it, with all buffers. */
Guest *guest_new(uint64_t features, int mtu, uint32_t room);
void guest_free(Guest *g);

/* Direct buffers from here on; and no more. */
void guest_start(Guest *g);
void guest_stop(Guest *g);

/* The rings as the next user of the virtqueues finds them. */
void guest_new_rings(Guest *g);

/* A turn each way; what was used is checked and made available again. */
void guest_turn(Guest *g);

/* Only that: what was used. */
void guest_collect(Guest *g);

/* Make a frame available; false if there is no room for more. */
bool guest_send(Guest *g, uint32_t len, uint32_t n_pieces);

/* Stopped: nothing may be held, and no byte be wrong. */
void guest_check_stopped(Guest *g);

/* No byte outside of what was to be written has changed. */
void guest_check_ram(Guest *g);

/* Nothing moves: every frame of ours is in one place. */
void guest_check_frames(Guest *g);

#endif /* AF_XDP_GUEST_H */
