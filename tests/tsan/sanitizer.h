/*
 * Test of the worker's threads: what ThreadSanitizer cannot see by itself
 *
 * Names and arguments are given by the sanitizer.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef AF_XDP_TSAN_SANITIZER_H
#define AF_XDP_TSAN_SANITIZER_H

/* Read by the sanitizer when the program starts. */
const char *__tsan_default_options(void);
const char *__tsan_default_suppressions(void);

#endif /* AF_XDP_TSAN_SANITIZER_H */
