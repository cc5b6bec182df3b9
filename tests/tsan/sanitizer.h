/*
 * Test of the worker's threads: what ThreadSanitizer cannot see by itself
 *
 * Names and arguments are given by the sanitizer and by the linker's --wrap.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef AF_XDP_TSAN_SANITIZER_H
#define AF_XDP_TSAN_SANITIZER_H

#include "block/aio-wait.h"

/* Read by the sanitizer when the program starts. */
const char *__tsan_default_options(void);
const char *__tsan_default_suppressions(void);

/* QEMU's aio_wait_bh_oneshot(), and what is called in its place. */
void __real_aio_wait_bh_oneshot(AioContext *ctx, QEMUBHFunc *cb, void *opaque);
void __wrap_aio_wait_bh_oneshot(AioContext *ctx, QEMUBHFunc *cb, void *opaque);

#endif /* AF_XDP_TSAN_SANITIZER_H */
