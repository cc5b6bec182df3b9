/*
 * AF_XDP: fuzzing: what was taken from the guest
 *
 * Watches each chain from its being popped to its being pushed or unpopped,
 * and knows of each byte of guest memory whether a chain that is held has it.
 *
 * For targets linked with --wrap of af_xdp_vring_pop, _push, _push_id, _unpop
 * and _unpop_slots. Every promise about chains is asserted there: only what is
 * held is given back, only once, and what is unpopped was popped last.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef AF_XDP_FUZZ_LEDGER_H
#define AF_XDP_FUZZ_LEDGER_H

#include "guest.h"

/* fuzz_ledger_open: watch @g's rings from now on; nothing is held. */
void fuzz_ledger_open(const FuzzGuest *g);
void fuzz_ledger_close(void);

/* fuzz_ledger_slots: ring entries of ring @i's chains that are held. */
uint32_t fuzz_ledger_slots(int i);

/*
 * fuzz_ledger_holds: is all of that memory in chains of ring @i that are held?
 * Of a guest that made one chain available twice it is not known: then true.
 */
bool fuzz_ledger_holds(int i, const void *host, uint32_t len);

/*
 * fuzz_ledger_named: was this byte (fuzz_guest_at()) in a chain of ring @i
 * since fuzz_ledger_forget(), which is allowed when nothing is held?
 */
bool fuzz_ledger_named(int i, uint32_t at);
void fuzz_ledger_forget(int i);

/* What is called instead, and the originals. */
uint32_t __wrap_af_xdp_vring_pop(AfXdpVring *vr, AfXdpVringElem *elems,
                                 uint32_t max, AfXdpVringPool *pool);
uint32_t __real_af_xdp_vring_pop(AfXdpVring *vr, AfXdpVringElem *elems,
                                 uint32_t max, AfXdpVringPool *pool);
void __wrap_af_xdp_vring_push(AfXdpVring *vr, const AfXdpVringElem *elem,
                              uint32_t written);
void __real_af_xdp_vring_push(AfXdpVring *vr, const AfXdpVringElem *elem,
                              uint32_t written);
void __wrap_af_xdp_vring_push_id(AfXdpVring *vr, uint16_t id,
                                 uint16_t n_slots, uint32_t written);
void __real_af_xdp_vring_push_id(AfXdpVring *vr, uint16_t id,
                                 uint16_t n_slots, uint32_t written);
void __wrap_af_xdp_vring_unpop(AfXdpVring *vr, const AfXdpVringElem *elems,
                               uint32_t n);
void __real_af_xdp_vring_unpop(AfXdpVring *vr, const AfXdpVringElem *elems,
                               uint32_t n);
void __wrap_af_xdp_vring_unpop_slots(AfXdpVring *vr, uint32_t n_slots);
void __real_af_xdp_vring_unpop_slots(AfXdpVring *vr, uint32_t n_slots);

#endif /* AF_XDP_FUZZ_LEDGER_H */
