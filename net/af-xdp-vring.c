/*
 * AF_XDP: one virtqueue, seen from the device: what both layouts share
 *
 * Section numbers are those of the virtio specification, version 1.2.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "net/af-xdp-error.h"
#include "net/af-xdp-lines.h"
#include "net/af-xdp-vring-int.h"

static const char *const fault_text[] = {
    [AF_XDP_VRING_FAULT_NONE] = "no fault",
    [AF_XDP_VRING_FAULT_USED_INDEX] =
        "used index does not fit the saved position",
    [AF_XDP_VRING_FAULT_AVAIL_INDEX] =
        "more buffers available than the ring holds",
    [AF_XDP_VRING_FAULT_HEAD] = "available entry names no descriptor",
    [AF_XDP_VRING_FAULT_NEXT] = "chain continues outside the descriptor table",
    [AF_XDP_VRING_FAULT_LOOP] = "chain is longer than its descriptor table",
    [AF_XDP_VRING_FAULT_CHAIN_LONG] = "chain has too many pieces",
    [AF_XDP_VRING_FAULT_CHAIN_BYTES] = "chain is longer than 4 GiB",
    [AF_XDP_VRING_FAULT_DIRECTION] = "buffer is for the other direction",
    [AF_XDP_VRING_FAULT_UNMAPPED] = "buffer is not wholly in guest RAM",
    [AF_XDP_VRING_FAULT_INDIRECT_OFF] =
        "indirect descriptor was not negotiated",
    [AF_XDP_VRING_FAULT_INDIRECT_NEXT] =
        "indirect descriptor is part of a longer list",
    [AF_XDP_VRING_FAULT_INDIRECT_NESTED] =
        "indirect table inside an indirect table",
    [AF_XDP_VRING_FAULT_INDIRECT_LENGTH] =
        "indirect table has an impossible length",
    [AF_XDP_VRING_FAULT_INDIRECT_UNMAPPED] =
        "indirect table is not wholly in guest RAM",
};
QEMU_BUILD_BUG_ON(ARRAY_SIZE(fault_text) != AF_XDP_VRING_FAULT__MAX);

static bool has_feature(const AfXdpVringConfig *config, unsigned int bit)
{
    return config->features & (UINT64_C(1) << bit);
}

AfXdpVring *af_xdp_vring_new(const AfXdpVringConfig *config, GError **errp)
{
    AfXdpVring *vr;
    bool ok;

    if (config->num == 0 || config->num > AF_XDP_VRING_SIZE_MAX) {
        af_xdp_error_set(errp, EINVAL, NULL,
                         "a virtqueue cannot have %" PRIu32 " entries",
                         config->num);
        return NULL;
    }
    vr = af_xdp_lines_try0(sizeof(*vr) + config->num * sizeof(vr->shadow[0]));
    if (!vr) {
        af_xdp_error_set(errp, ENOMEM, NULL, "cannot allocate a virtqueue");
        return NULL;
    }
    vr->num = config->num;
    vr->writable = config->writable ? VRING_DESC_F_WRITE : 0;
    vr->packed = has_feature(config, VIRTIO_F_RING_PACKED);
    vr->event_idx = has_feature(config, VIRTIO_RING_F_EVENT_IDX);
    vr->indirect = has_feature(config, VIRTIO_RING_F_INDIRECT_DESC);
    vr->memory = config->memory;
    vr->log = config->log;
    vr->desc_gpa = config->desc_gpa;
    vr->device_gpa = config->device_gpa;
    vr->call_unknown = true;
    ok = vr->packed ? vring_packed_init(vr, config, errp)
                    : vring_split_init(vr, config, errp);
    if (!ok) {
        free(vr);
        return NULL;
    }
    vr->lost = vr->outstanding;
    return vr;
}

void af_xdp_vring_free(AfXdpVring *vr)
{
    free(vr);
}

void af_xdp_vring_set_memory(AfXdpVring *vr, const AfXdpMemory *memory)
{
    vr->memory = memory;
    vr->hint = 0;
    vr->table_hint = 0;
}

void af_xdp_vring_set_log(AfXdpVring *vr, const AfXdpLog *log)
{
    vr->log = log;
}

AfXdpVringFault vring_chain_add_slow(AfXdpVring *vr, VringChain *c,
                                     uint64_t addr, uint32_t len)
{
    /*
     * An empty buffer makes no piece: nothing of it is ever accessed, so its
     * address does not matter (CVE-2020-10725's class: an address taken for
     * good because the length was 0).
     */
    int n = af_xdp_memory_map(vr->memory, &vr->hint, addr, len,
                              c->iov + c->n, c->max - c->n);
    if (n == -ENOBUFS) {
        return c->max < AF_XDP_VRING_CHAIN_MAX ? VRING_POOL_FULL
                                               : AF_XDP_VRING_FAULT_CHAIN_LONG;
    }
    if (n < 0) {
        return AF_XDP_VRING_FAULT_UNMAPPED;
    }
    while (n-- > 0) {
        c->gpa[c->n] = addr;
        addr += c->iov[c->n].iov_len;
        c->n++;
    }
    return AF_XDP_VRING_FAULT_NONE;
}

AfXdpVringFault vring_table_open(AfXdpVring *vr, VringTable *t, uint64_t gpa,
                                 uint32_t len)
{
    /* 2.7.5.3.1, 2.8.19 */
    if (!vr->indirect) {
        return AF_XDP_VRING_FAULT_INDIRECT_OFF;
    }
    /*
     * 2.7.5.3, 2.8.7: the table has len / 16 entries. Its indices have 16
     * bits, and no chain may be longer than the largest queue.
     */
    if (len == 0 || len % sizeof(struct vring_desc) != 0 ||
        len / sizeof(struct vring_desc) > AF_XDP_VRING_SIZE_MAX) {
        return AF_XDP_VRING_FAULT_INDIRECT_LENGTH;
    }
    t->gpa = gpa;
    t->n = len / sizeof(struct vring_desc);
    t->host = af_xdp_memory_at(vr->memory, &vr->table_hint, gpa, len);
    if (unlikely(!t->host)) {
        if (af_xdp_memory_map(vr->memory, &vr->table_hint, gpa, len,
                              NULL, 0) < 0) {
            return AF_XDP_VRING_FAULT_INDIRECT_UNMAPPED;
        }
    } else if (unlikely((uintptr_t)t->host % sizeof(uint64_t) != 0)) {
        /* Nothing says that tables are aligned, though all drivers' are. */
        t->host = NULL;
    }
    return AF_XDP_VRING_FAULT_NONE;
}

bool vring_table_fetch(AfXdpVring *vr, const VringTable *t, uint32_t i,
                       VringDesc *desc)
{
    uint64_t off = (uint64_t)i * sizeof(struct vring_desc);
    uint64_t word[2];

    if (likely(t->host)) {
        *desc = vring_desc_fetch(t->host + off);
        return true;
    }
    if (!af_xdp_memory_read(vr->memory, &vr->table_hint, t->gpa + off,
                            word, sizeof(word))) {
        return false;
    }
    *desc = vring_desc_decode(word[0], word[1]);
    return true;
}

uint32_t af_xdp_vring_pop(AfXdpVring *vr, AfXdpVringElem *elems, uint32_t max,
                          AfXdpVringPool *pool)
{
    if (unlikely(vr->fault != AF_XDP_VRING_FAULT_NONE)) {
        return 0;
    }
    if (vr->packed) {
        uint32_t n = vring_packed_pop(vr, elems, max, pool);

        vr->ahead -= MIN(vr->ahead, n);
        return n;
    }
    return vring_split_pop(vr, elems, max, pool);
}

void af_xdp_vring_unpop_slots(AfXdpVring *vr, uint32_t n_slots)
{
    vr->outstanding -= n_slots;
    if (vr->packed) {
        vring_packed_unpop(vr, n_slots);
    } else {
        vr->last_avail -= n_slots;
    }
}

void af_xdp_vring_unpop(AfXdpVring *vr, const AfXdpVringElem *elems,
                        uint32_t n)
{
    uint32_t n_slots = 0;

    for (uint32_t i = 0; i < n; i++) {
        n_slots += elems[i].n_slots;
    }
    af_xdp_vring_unpop_slots(vr, n_slots);
}

/* The first @written bytes of an element are dirty. */
static G_GNUC_NO_INLINE void log_elem(const AfXdpVring *vr,
                                      const AfXdpVringElem *elem,
                                      uint32_t written)
{
    for (uint32_t i = 0; i < elem->n_iov && written > 0; i++) {
        uint32_t piece = MIN(written, elem->iov[i].iov_len);

        af_xdp_log_write(vr->log, elem->gpa[i], piece);
        written -= piece;
    }
}

void af_xdp_vring_push(AfXdpVring *vr, const AfXdpVringElem *elem,
                       uint32_t written)
{
    if (unlikely(vr->log)) {
        log_elem(vr, elem, written);
    }
#ifdef AF_XDP_DEBUG
    g_assert(vr->n_shadow < vr->num && written <= elem->len);
#endif
    vr->shadow[vr->n_shadow++] = (VringShadow) {
        .len = written,
        .id = elem->id,
        .n_slots = elem->n_slots,
    };
}

void af_xdp_vring_push_id(AfXdpVring *vr, uint16_t id, uint16_t n_slots,
                          uint32_t written)
{
#ifdef AF_XDP_DEBUG
    g_assert(vr->n_shadow < vr->num);
#endif
    vr->shadow[vr->n_shadow++] = (VringShadow) {
        .len = written,
        .id = id,
        .n_slots = n_slots,
    };
}

void af_xdp_vring_written(const AfXdpVring *vr, uint64_t gpa, uint64_t len)
{
    if (unlikely(vr->log)) {
        af_xdp_log_write(vr->log, gpa, len);
    }
}

bool af_xdp_vring_logging(const AfXdpVring *vr)
{
    return vr->log;
}

uint32_t af_xdp_vring_available(const AfXdpVring *vr)
{
    return vr->packed ? vr->ahead
                      : (uint16_t)(vr->avail_seen - vr->last_avail);
}

void af_xdp_vring_look(AfXdpVring *vr)
{
    if (vr->fault != AF_XDP_VRING_FAULT_NONE) {
        return;
    }
    if (vr->packed) {
        vr->ahead = vring_packed_count(vr);
    } else {
        vring_split_available(vr);
    }
}

uint32_t af_xdp_vring_size(const AfXdpVring *vr)
{
    return vr->num;
}

void af_xdp_vring_flush(AfXdpVring *vr)
{
    if (vr->n_shadow > 0) {
        if (vr->packed) {
            vring_packed_flush(vr);
        } else {
            vring_split_flush(vr);
        }
        vr->n_shadow = 0;
    }
}

bool af_xdp_vring_should_call(AfXdpVring *vr)
{
    uint32_t n = vr->uncalled;

    if (n == 0) {
        return false;
    }
    if (vr->call_unknown) {
        /* As if the event had been anywhere before. */
        n = UINT32_MAX;
        vr->call_unknown = false;
    }
    vr->uncalled = 0;
    /* C: what was published before the driver's event is read. */
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    return vr->packed ? vring_packed_should_call(vr, n)
                      : vring_split_should_call(vr, n);
}

bool af_xdp_vring_pending(AfXdpVring *vr)
{
    if (unlikely(vr->fault != AF_XDP_VRING_FAULT_NONE)) {
        return false;
    }
    return vr->packed ? vring_packed_pending(vr) : vring_split_pending(vr);
}

void af_xdp_vring_disable_kick(AfXdpVring *vr)
{
    if (!vr->kick_off) {
        vr->kick_off = true;
        if (vr->packed) {
            vring_packed_disable_kick(vr);
        } else {
            vring_split_disable_kick(vr);
        }
    }
}

bool af_xdp_vring_enable_kick(AfXdpVring *vr)
{
    vr->kick_off = false;
    if (vr->packed) {
        vring_packed_enable_kick(vr);
    } else {
        vring_split_enable_kick(vr);
    }
    /* D: our event before what the driver made available is looked at. */
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    return af_xdp_vring_pending(vr);
}

uint32_t af_xdp_vring_base(const AfXdpVring *vr)
{
    if (!vr->packed) {
        return vr->last_avail;
    }
    return vr->last_avail | (uint32_t)vr->avail_wrap << 15 |
           (uint32_t)vr->used << 16 | (uint32_t)vr->used_wrap << 31;
}

uint32_t af_xdp_vring_held(const AfXdpVring *vr)
{
    return vr->outstanding - vr->lost;
}

AfXdpVringFault af_xdp_vring_fault(const AfXdpVring *vr)
{
    return vr->fault;
}

const char *af_xdp_vring_fault_text(AfXdpVringFault fault)
{
    return (unsigned int)fault < ARRAY_SIZE(fault_text) ? fault_text[fault]
                                                        : "unknown fault";
}
