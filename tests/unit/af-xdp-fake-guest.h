/*
 * Test helper: a guest with direct buffers on a socket without a kernel
 *
 *     area                            + ROOM_FRONT
 *     |  frames, and more that is ours  |  guest RAM: the drivers'  |
 *
 * Whatever is received is compared with a naive reading of what the driver
 * got; whatever else has changed in RAM is an error.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef AF_XDP_FAKE_GUEST_H
#define AF_XDP_FAKE_GUEST_H

#include <linux/virtio_net.h>
#include "af-xdp-fake-socket.h"
#include "af-xdp-vring-driver.h"
#include "net/af-xdp-datapath.h"

#define MERGEABLE (1ULL << VIRTIO_NET_F_MRG_RXBUF)
#define MODERN (1ULL << VIRTIO_F_VERSION_1)
#define PACKED (1ULL << VIRTIO_F_RING_PACKED)
#define SPLIT 0

#define ROOM_FRONT ((uint64_t)AF_XDP_COPY_FRAMES * AF_XDP_FRAME_SIZE)
/* Bytes behind a header that a buffer has to have, and the longest packet. */
#define ROOM 1524u
#define PACKET_MAX (AF_XDP_MAX_SEGS * ROOM)
/*
 * Where tests put their buffers: 400 places, of which those with numbers next
 * to each other are far apart.
 */
#define AT (DRIVER_HIGH + 8192)
#define SLOT(i) (AT + (uint64_t)(i) * 171 % 400 * 2111)

typedef struct Room {
    uint64_t features;
    uint32_t num;
    uint32_t hdr_len;
    char *area;
    AfXdpCopy *copy;
    AfXdpFakeSocket *fake;
    Driver *rx_driver;
    Driver *tx_driver;
    AfXdpVring *rx;
    AfXdpVring *tx;
    AfXdpDatapath *dp;
    const AfXdpDatapathStats *stats;
    AfXdpDirectConfig config;   /* may be changed before room_start() */
    AfXdpLog log;
    uint8_t *before;            /* RAM at the last room_blank() */
    uint8_t packet[PACKET_MAX];
} Room;

/* A queue pair with rings of @num entries, not started. */
void room_init(Room *r, uint64_t features, uint32_t num);

/* Stop it, if it runs; nothing of anybody's may be missing then. */
void room_free(Room *r);

/*
 * Direct buffers; no frame is posted, so the first chains that are made
 * available are what packets come to.
 */
void room_start(Room *r);
void room_stop(Room *r);

/* The guest resets the device: rings and memory as at the beginning. */
void room_reset(Room *r);

/* Every chain is used or available, every frame of ours in one place. */
void room_check_stopped(Room *r);

/* A turn each way. */
AfXdpTurn room_rx(Room *r);
AfXdpTurn room_tx(Room *r, AfXdpTxState *state);

/* Make a chain of one piece, or of @n, available. */
void room_add(Room *r, uint64_t gpa, uint32_t len);
void room_add_pieces(Room *r, const DriverSeg *seg, uint32_t n);

/* Chains at slots @from to @to. */
void room_add_many(Room *r, uint32_t from, uint32_t to);

/* The bytes of a packet, by number; r->packet has it. */
void room_packet(Room *r, uint32_t len, uint32_t number);

/* A packet arrives; one whose buffers were taken before. */
bool room_arrive(Room *r, uint32_t len, uint32_t piece, uint32_t number);
bool room_arrive_at(Room *r, const uint64_t *addrs, uint32_t len,
                    uint32_t piece, uint32_t number);

/*
 * room_next: the next packet that the driver got, which must be @number.
 * Returns how many chains it took; 0 if there is none.
 */
uint32_t room_next(Room *r, uint32_t len, uint32_t number);

/* Chains that come back with nothing in them. */
uint32_t room_empty(Room *r);

/* Chains that the transmit driver gets back. */
uint32_t room_sent(Room *r);

/* RAM is blank from here on, but for the rings; and the log is. */
void room_blank(Room *r);

/* All that has changed is in the log. */
void room_check_log(Room *r);

/* room_changed: bytes of [@gpa, @gpa + @len) that are not blank any more. */
uint32_t room_changed(Room *r, uint64_t gpa, uint64_t len);

#define BLANK 0xee

#endif /* AF_XDP_FAKE_GUEST_H */
