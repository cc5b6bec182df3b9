/*
 * AF_XDP: inside of the virtqueue: what split and packed rings share
 *
 * Order of memory accesses, ours on the left. Each needs its counterpart in
 * the driver, which the letters name:
 *
 *   ours                               the driver's
 *   A  load-acquire of avail idx /     store of descriptors, barrier, store
 *      of the head's flags             of idx / flags
 *      without: we read descriptors that are not written yet
 *   B  store-release of used idx /     load of idx / flags, barrier, load of
 *      of the first used flags         used entries and buffers
 *      without: it reads buffers that are not written yet
 *   C  store used, full fence,         store its event, full fence, look for
 *      load its event                  used buffers again
 *      without: each misses the other's store, and it sleeps on used buffers
 *   D  store our event, full fence,    store avail, full fence, load our
 *      look for avail again            event
 *      without: the same with us asleep
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef NET_AF_XDP_VRING_INT_H
#define NET_AF_XDP_VRING_INT_H

#include <endian.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include "net/af-xdp-vring.h"

/* Internal only: the pool ran out. Not the guest's fault, stops nothing. */
#define VRING_POOL_FULL AF_XDP_VRING_FAULT__MAX

/* A returned element that is not published yet. */
typedef struct VringShadow {
    uint32_t len;               /* bytes written */
    uint16_t id;
    uint16_t n_slots;
} VringShadow;

struct AfXdpVring {
    /* Constant while the ring lives, or changed by the control plane only. */
    uint32_t num;
    uint16_t writable;          /* VRING_DESC_F_WRITE if chains must have it */
    bool packed;
    bool event_idx;
    bool indirect;
    const AfXdpMemory *memory;
    const AfXdpLog *log;
    union {
        struct {
            struct vring_desc *desc;
            struct vring_avail *avail;
            struct vring_used *used;
        } split;
        struct {
            struct vring_packed_desc *desc;
            struct vring_packed_desc_event *driver;
            struct vring_packed_desc_event *device;
        } pack;
    };
    uint64_t desc_gpa;
    uint64_t device_gpa;

    /* Moving. */
    AfXdpVringFault fault;
    uint32_t hint;              /* region of the last buffer */
    uint32_t table_hint;        /* and of the last indirect table */
    uint16_t last_avail;        /* split: free running; packed: position */
    uint16_t avail_seen;        /* split: avail idx when it was last read */
    uint16_t used;              /* split: free running; packed: position */
    bool avail_wrap;            /* packed: the wrap counters */
    bool used_wrap;
    uint32_t ahead;             /* packed: chains seen by a look, not popped */
    bool kick_off;              /* the driver was told not to kick */
    bool call_unknown;          /* nothing known of calls before our time */
    uint32_t lost;              /* ring entries held when we took over */
    /*
     * Ring entries popped and not published. At most num, whatever the guest
     * does, because a driver cannot have more outstanding: this is what
     * bounds the shadow and everything the caller holds.
     */
    uint32_t outstanding;
    uint32_t uncalled;          /* published since should_call was asked */
    uint32_t n_shadow;
    VringShadow shadow[];       /* num entries */
};

/*
 * A descriptor in our own memory and byte order. In two words, as it is read:
 * taken apart in memory and put together again, each would wait for the
 * parts to leave the CPU's store buffer.
 */
typedef struct VringDesc {
    uint64_t addr;
    /* From bit 0: length, 32 bits; split: flags, next; packed: id, flags. */
    uint64_t rest;
} VringDesc;

/* A chain while it is collected. */
typedef struct VringChain {
    struct iovec *iov;
    uint64_t *gpa;
    uint32_t n;
    uint32_t max;               /* never more than CHAIN_MAX */
    uint32_t n_desc;
    uint64_t len;
} VringChain;

static inline VringDesc vring_desc_decode(uint64_t addr, uint64_t rest)
{
    return (VringDesc) { .addr = le64toh(addr), .rest = le64toh(rest) };
}

static inline uint32_t vring_desc_len(VringDesc d)
{
    return d.rest;
}

/*
 * Copy a descriptor, each field once. Two atomic loads, because a compiler
 * may repeat a plain one, and a guest that changes the field in between gets
 * a value past our checks (CVE-2020-14375's class). @p is 8 byte aligned.
 */
static inline VringDesc vring_desc_fetch(const void *p)
{
    const uint64_t *word = p;

    return vring_desc_decode(__atomic_load_n(&word[0], __ATOMIC_RELAXED),
                             __atomic_load_n(&word[1], __ATOMIC_RELAXED));
}

static inline uint16_t vring_load16(const uint16_t *p)
{
    return le16toh(__atomic_load_n(p, __ATOMIC_RELAXED));
}

static inline void vring_store16(uint16_t *p, uint16_t value)
{
    __atomic_store_n(p, htole16(value), __ATOMIC_RELAXED);
}

/* What vring_chain_add() leaves out. */
AfXdpVringFault vring_chain_add_slow(AfXdpVring *vr, VringChain *c,
                                     uint64_t addr, uint32_t len);

/* Add the buffer of @d, whose flags are @flags, to a chain. */
static inline AfXdpVringFault vring_chain_add(AfXdpVring *vr, VringChain *c,
                                              VringDesc d, uint16_t flags)
{
    const AfXdpRegion *r = &vr->memory->region[vr->hint];
    uint64_t off = d.addr - r->gpa;
    uint32_t n = c->n, len = vring_desc_len(d);

    /* 5.1.6.2, 5.1.6.3 */
    if (unlikely((flags & VRING_DESC_F_WRITE) != vr->writable)) {
        return AF_XDP_VRING_FAULT_DIRECTION;
    }
    /* Empty descriptors count too: they cost time like others. */
    if (unlikely(++c->n_desc > AF_XDP_VRING_CHAIN_MAX)) {
        return AF_XDP_VRING_FAULT_CHAIN_LONG;
    }
    /* 2.7.5.2. With at most CHAIN_MAX terms the sum itself cannot wrap. */
    c->len += len;
    if (unlikely(c->len > UINT32_MAX)) {
        return AF_XDP_VRING_FAULT_CHAIN_BYTES;
    }
    if (likely(off < r->size && len <= r->size - off && len > 0 &&
               n < c->max)) {
        c->iov[n].iov_base = r->host + off;
        c->iov[n].iov_len = len;
        c->gpa[n] = d.addr;
        c->n = n + 1;
        return AF_XDP_VRING_FAULT_NONE;
    }
    return vring_chain_add_slow(vr, c, d.addr, len);
}

/* An indirect table, checked as a whole. */
typedef struct VringTable {
    const uint8_t *host;        /* NULL: not in one piece, or not aligned */
    uint64_t gpa;
    uint32_t n;                 /* entries */
} VringTable;

/* Look at the table of @len bytes at @gpa. */
AfXdpVringFault vring_table_open(AfXdpVring *vr, VringTable *t, uint64_t gpa,
                                 uint32_t len);

/* Entry @i of a table, copied. False if it is not mapped. */
bool vring_table_fetch(AfXdpVring *vr, const VringTable *t, uint32_t i,
                       VringDesc *desc);

/* A chain's storage is the free part of the pool. */
static inline void vring_chain_start(VringChain *c, const AfXdpVringPool *pool)
{
    c->iov = pool->iov + pool->n;
    c->gpa = pool->gpa + pool->n;
    c->n = 0;
    c->max = MIN(pool->max - pool->n, AF_XDP_VRING_CHAIN_MAX);
    c->n_desc = 0;
    c->len = 0;
}

/* Turn a finished chain into an element. */
static inline void vring_chain_end(const VringChain *c, AfXdpVringPool *pool,
                                   AfXdpVringElem *elem, uint16_t id,
                                   uint16_t n_slots)
{
    elem->iov = c->iov;
    elem->gpa = c->gpa;
    elem->len = c->len;
    elem->n_iov = c->n;
    elem->id = id;
    elem->n_slots = n_slots;
    pool->n += c->n;
}

/*
 * The common case: a chain of one buffer, in the region of the last one. The
 * checks are vring_chain_add()'s; whatever this does not take goes there, and
 * nothing has changed then. @flags: without the packed ring's AVAIL and USED.
 */
static inline bool vring_chain_single(const AfXdpVring *vr,
                                      AfXdpVringPool *pool,
                                      AfXdpVringElem *elem, VringDesc d,
                                      uint16_t flags, uint16_t id)
{
    const AfXdpRegion *r = &vr->memory->region[vr->hint];
    uint64_t off = d.addr - r->gpa;
    uint32_t n = pool->n, len = vring_desc_len(d);

    if (likely(flags == vr->writable && off < r->size &&
               len <= r->size - off && len > 0 && n < pool->max)) {
        pool->iov[n].iov_base = r->host + off;
        pool->iov[n].iov_len = len;
        pool->gpa[n] = d.addr;
        elem->iov = &pool->iov[n];
        elem->gpa = &pool->gpa[n];
        elem->len = len;
        elem->n_iov = 1;
        elem->id = id;
        elem->n_slots = 1;
        pool->n = n + 1;
        return true;
    }
    return false;
}

/* Stop the ring, unless it is the pool that gave out. */
static inline void vring_set_fault(AfXdpVring *vr, AfXdpVringFault fault)
{
    if (fault != VRING_POOL_FULL) {
        vr->fault = fault;
    }
}

/* Log a write to the descriptors or the device area, at offset @off. */
static inline void vring_log(const AfXdpVring *vr, uint64_t gpa, uint64_t off,
                             uint64_t len)
{
    if (unlikely(vr->log)) {
        af_xdp_log_write(vr->log, gpa + off, len);
    }
}

bool vring_split_init(AfXdpVring *vr, const AfXdpVringConfig *config,
                      GError **errp);
uint32_t vring_split_pop(AfXdpVring *vr, AfXdpVringElem *elems, uint32_t max,
                         AfXdpVringPool *pool);
uint32_t vring_split_available(AfXdpVring *vr);
void vring_split_flush(AfXdpVring *vr);
bool vring_split_should_call(AfXdpVring *vr, uint32_t n);
bool vring_split_pending(AfXdpVring *vr);
void vring_split_disable_kick(AfXdpVring *vr);
void vring_split_enable_kick(AfXdpVring *vr);

bool vring_packed_init(AfXdpVring *vr, const AfXdpVringConfig *config,
                       GError **errp);
uint32_t vring_packed_pop(AfXdpVring *vr, AfXdpVringElem *elems, uint32_t max,
                          AfXdpVringPool *pool);
uint32_t vring_packed_count(const AfXdpVring *vr);
void vring_packed_unpop(AfXdpVring *vr, uint32_t n_slots);
void vring_packed_flush(AfXdpVring *vr);
bool vring_packed_should_call(AfXdpVring *vr, uint32_t n);
bool vring_packed_pending(AfXdpVring *vr);
void vring_packed_disable_kick(AfXdpVring *vr);
void vring_packed_enable_kick(AfXdpVring *vr);

#endif /* NET_AF_XDP_VRING_INT_H */
