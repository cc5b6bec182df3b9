/*
 * AF_XDP: one virtqueue, seen from the device
 *
 * Split and packed rings, event index, indirect descriptors. Buffers are
 * taken in bursts, returned into a shadow, and published together:
 *
 *            pop                 push               flush
 *   available ----> held by us ------> shadow of ---------> used, the driver
 *        ^              |              the used ring        sees it
 *        +--- unpop ----+
 *
 *   turn:  n = pop(vr, elems, burst, pool)
 *          for each: use its pieces, push(vr, elem, bytes written)
 *          flush(vr); if (should_call(vr)) signal the call eventfd
 *
 *   sleep: while (enable_kick(vr)) { disable_kick(vr); another turn; }
 *          wait for the kick eventfd; disable_kick(vr)
 *
 * All ring memory belongs to a guest that may be hostile and may change it
 * at any time. Each field is read once into a local, which is then checked
 * and used. What a guest does wrong stops the ring: pop returns what came
 * before, then nothing ever again, and af_xdp_vring_fault() says why. What
 * was popped until then can still be pushed, flushed or unpopped. Nothing a
 * guest writes makes this room assert, loop without bound, or touch memory
 * outside the ring and the table of regions.
 *
 * Chains serve one direction: receive queues want device-writable buffers
 * only, transmit queues device-readable ones only (virtio 1.2, 5.1.6.2 and
 * 5.1.6.3). A chain with any other is a fault; so the rule that writable
 * descriptors come last (2.7.4.2, 2.8.17) holds by itself.
 *
 * Nothing is assumed about the layout within a chain (2.7.4.1); a header may
 * be anywhere in it.
 *
 * Threads: not locked; one thread at a time. Those of different queues share no
 * cache line (af-xdp-lines.h).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef NET_AF_XDP_VRING_H
#define NET_AF_XDP_VRING_H

#include <sys/uio.h>
#include "net/af-xdp-memory.h"

/* The largest queue that virtio knows (2.7, 2.8). */
#define AF_XDP_VRING_SIZE_MAX 32768u

/*
 * The most descriptors, and the most pieces of memory, in one chain. A device
 * may have a reasonable limit (2.7.4.1, 2.8.18). This is the largest queue
 * that QEMU offers, so that no chain that fits a ring is refused, and what
 * IOV_MAX is on Linux; and it bounds the work that one chain can cause.
 */
#define AF_XDP_VRING_CHAIN_MAX 1024u

/* What stops a ring; af_xdp_vring_fault_text() has them in words. */
typedef enum AfXdpVringFault {
    AF_XDP_VRING_FAULT_NONE,
    AF_XDP_VRING_FAULT_USED_INDEX,
    AF_XDP_VRING_FAULT_AVAIL_INDEX,
    AF_XDP_VRING_FAULT_HEAD,
    AF_XDP_VRING_FAULT_NEXT,
    AF_XDP_VRING_FAULT_LOOP,
    AF_XDP_VRING_FAULT_CHAIN_LONG,
    AF_XDP_VRING_FAULT_CHAIN_BYTES,
    AF_XDP_VRING_FAULT_DIRECTION,
    AF_XDP_VRING_FAULT_UNMAPPED,
    AF_XDP_VRING_FAULT_INDIRECT_OFF,
    AF_XDP_VRING_FAULT_INDIRECT_NEXT,
    AF_XDP_VRING_FAULT_INDIRECT_NESTED,
    AF_XDP_VRING_FAULT_INDIRECT_LENGTH,
    AF_XDP_VRING_FAULT_INDIRECT_UNMAPPED,
    AF_XDP_VRING_FAULT__MAX,
} AfXdpVringFault;

typedef struct AfXdpVring AfXdpVring;

typedef struct AfXdpVringConfig {
    /* As negotiated. RING_PACKED, EVENT_IDX, INDIRECT_DESC are looked at. */
    uint64_t features;
    /* Queue size; split: a power of two. */
    uint32_t num;
    /*
     * Where to go on, as vhost's set_vring_base has it. Split: index of the
     * next available entry. Packed: position and wrap counter (bit 15) of the
     * next available descriptor, and in the upper half of the next used one.
     */
    uint32_t base;
    void *desc;             /* descriptor table or ring, as vhost maps it */
    void *driver;           /* available ring or driver event area */
    void *device;           /* used ring or device event area */
    /*
     * Guest-physical addresses, for the log: of device (vhost calls it
     * log_guest_addr), and on a packed ring of desc, which vhost does not
     * tell: see af_xdp_memory_find_host().
     */
    uint64_t device_gpa;
    uint64_t desc_gpa;
    bool writable;          /* buffers are for us to write: a receive queue */
    const AfXdpMemory *memory;  /* must outlive its use by the ring */
    const AfXdpLog *log;        /* same; NULL: log nothing */
} AfXdpVringConfig;

/* One chain of descriptors, taken from the ring. */
typedef struct AfXdpVringElem {
    /* Its memory, in the pool. No piece is empty; there may be none. */
    struct iovec *iov;
    const uint64_t *gpa;    /* guest-physical address of each piece */
    uint32_t len;           /* bytes in all pieces together */
    uint16_t id;            /* head or buffer id, as the guest gave it */
    uint16_t n_iov;
    uint16_t n_slots;       /* ring entries it takes: 1 on a split ring */
} AfXdpVringElem;

/*
 * Where the pieces of popped chains go. The caller owns it and keeps it while
 * it holds elements; it sets n to 0 when it holds none any more.
 */
typedef struct AfXdpVringPool {
    struct iovec *iov;
    uint64_t *gpa;
    uint32_t n;             /* pieces in use */
    uint32_t max;           /* at least AF_XDP_VRING_CHAIN_MAX */
} AfXdpVringPool;

/*
 * af_xdp_vring_new: take over a virtqueue.
 * @config: copied, except for what it points to.
 * @errp: set on failure, code EINVAL: impossible size, base or alignment
 *        (2.7, 2.8.10.1); ENOMEM.
 *
 * Writes nothing to guest memory; kicks are as the last user left them until
 * the first af_xdp_vring_enable_kick() or disable_kick(). Returns the ring,
 * or NULL.
 */
AfXdpVring *af_xdp_vring_new(const AfXdpVringConfig *config, GError **errp);

/*
 * af_xdp_vring_free: NULL is allowed. Touches no guest memory: what was
 * popped must have been flushed or unpopped before, or the guest never gets
 * it back.
 */
void af_xdp_vring_free(AfXdpVring *vr);

/*
 * af_xdp_vring_set_memory: translate addresses by another table from now on.
 * Elements popped before keep the addresses they have.
 */
void af_xdp_vring_set_memory(AfXdpVring *vr, const AfXdpMemory *memory);

/*
 * af_xdp_vring_set_log: log into @log from now on, or no more if NULL.
 * Elements popped before are logged when they are pushed.
 */
void af_xdp_vring_set_log(AfXdpVring *vr, const AfXdpLog *log);

/*
 * af_xdp_vring_pop: take up to @max chains that the driver made available.
 * @elems: receives them, in the order in which they were made available.
 * @pool: receives their pieces, behind those already in it.
 *
 * Returns their number; 0 when there is none, or the ring is stopped. Ends
 * early when the rest of @pool is too small for the next chain, which cannot
 * happen while AF_XDP_VRING_CHAIN_MAX pieces are left.
 */
uint32_t af_xdp_vring_pop(AfXdpVring *vr, AfXdpVringElem *elems, uint32_t max,
                          AfXdpVringPool *pool);

/*
 * af_xdp_vring_unpop: put back @n elements as if they had never been popped.
 * @elems: the @n popped last, in the order of popping.
 *
 * Elements pushed must all have been popped before these. This is for
 * stopping, and for a packet that there turned out to be no room for.
 */
void af_xdp_vring_unpop(AfXdpVring *vr, const AfXdpVringElem *elems,
                        uint32_t n);

/*
 * af_xdp_vring_push: hand an element back, invisibly until the next flush.
 * @written: how many bytes were written, from the start of its memory on; 0
 *           on a transmit queue. Not more than elem->len.
 *
 * Any order. Marks what was written in the dirty log. @elem and its pieces
 * may be reused afterwards.
 */
void af_xdp_vring_push(AfXdpVring *vr, const AfXdpVringElem *elem,
                       uint32_t written);

/*
 * af_xdp_vring_push_id: the same for who keeps no element: @id and @n_slots
 * are the element's. Logs nothing.
 */
void af_xdp_vring_push_id(AfXdpVring *vr, uint16_t id, uint16_t n_slots,
                          uint32_t written);

/* af_xdp_vring_unpop_slots: unpop for who keeps no elements. */
void af_xdp_vring_unpop_slots(AfXdpVring *vr, uint32_t n_slots);

/* af_xdp_vring_written: mark guest memory in the dirty log, if there is one. */
void af_xdp_vring_written(const AfXdpVring *vr, uint64_t gpa, uint64_t len);

/* af_xdp_vring_logging: is there a dirty log? */
bool af_xdp_vring_logging(const AfXdpVring *vr);

/*
 * af_xdp_vring_available: how many more chains can be popped, as far as that
 * was seen by the last look or, on a split ring, the last pop. No more than
 * there are, if the driver keeps to the rules.
 */
uint32_t af_xdp_vring_available(const AfXdpVring *vr);

/* af_xdp_vring_look: see what the driver has made available meanwhile. */
void af_xdp_vring_look(AfXdpVring *vr);

/* af_xdp_vring_size: entries of the ring. */
uint32_t af_xdp_vring_size(const AfXdpVring *vr);

/*
 * af_xdp_vring_flush: show the driver everything pushed, in one step: it sees
 * either all of it or nothing. (A packet in several mergeable buffers must
 * not become visible in parts: 5.1.6.4, 2.8.9.)
 */
void af_xdp_vring_flush(AfXdpVring *vr);

/*
 * af_xdp_vring_should_call: does the driver want a notification for what was
 * flushed since this was last asked? If true, the caller owes it one.
 */
bool af_xdp_vring_should_call(AfXdpVring *vr);

/*
 * af_xdp_vring_pending: is there something to pop? One read of ring memory
 * at most, for a polling loop.
 */
bool af_xdp_vring_pending(AfXdpVring *vr);

/*
 * af_xdp_vring_disable_kick: tell the driver that we look by ourselves. Kicks
 * may still come; with an event index on a split ring one does.
 */
void af_xdp_vring_disable_kick(AfXdpVring *vr);

/*
 * af_xdp_vring_enable_kick: ask the driver to kick when it adds something to
 * what was popped so far.
 *
 * Returns true when something is available already: there may be no kick for
 * that, so pop it before sleeping. After false no buffer comes without a
 * kick.
 */
bool af_xdp_vring_enable_kick(AfXdpVring *vr);

/*
 * af_xdp_vring_base: where the next user of the virtqueue has to go on, in
 * the form of config.base. Elements still held are not part of it: push or
 * unpop them, and flush, first.
 */
uint32_t af_xdp_vring_base(const AfXdpVring *vr);

/*
 * af_xdp_vring_held: ring entries taken and not published again, in a ring
 * that was taken over idle: 0 means nothing can get lost by stopping now.
 */
uint32_t af_xdp_vring_held(const AfXdpVring *vr);

/* af_xdp_vring_fault: what stopped the ring, AF_XDP_VRING_FAULT_NONE if not. */
AfXdpVringFault af_xdp_vring_fault(const AfXdpVring *vr);

/* af_xdp_vring_fault_text: a phrase for a message to the user. */
const char *af_xdp_vring_fault_text(AfXdpVringFault fault);

#endif /* NET_AF_XDP_VRING_H */
