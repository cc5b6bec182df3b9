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

#include <stddef.h>
#include <stdint.h>

/*
 * LLVMFuzzerTestOneInput: run one input; the name is libFuzzer's. Whatever
 * the input, it must neither fail an assertion nor alarm a sanitizer.
 *
 * Returns 0.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif /* AF_XDP_FUZZ_H */
