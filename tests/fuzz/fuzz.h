/*
 * AF_XDP: what every fuzz target provides
 *
 * With libFuzzer's main it finds inputs by what they reach; with that of
 * standalone.c, which any compiler builds, by chance.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef AF_XDP_FUZZ_H
#define AF_XDP_FUZZ_H

#include "net/af-xdp-vring.h"

/*
 * LLVMFuzzerTestOneInput: run one input; the name is libFuzzer's. Whatever
 * the input, it must neither fail an assertion nor alarm a sanitizer.
 *
 * Returns 0.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/*
 * In a target linked with --wrap=af_xdp_vring_pop: what is called instead of
 * af_xdp_vring_pop(), and the original.
 */
uint32_t __wrap_af_xdp_vring_pop(AfXdpVring *vr, AfXdpVringElem *elems,
                                 uint32_t max, AfXdpVringPool *pool);
uint32_t __real_af_xdp_vring_pop(AfXdpVring *vr, AfXdpVringElem *elems,
                                 uint32_t max, AfXdpVringPool *pool);

#endif /* AF_XDP_FUZZ_H */
