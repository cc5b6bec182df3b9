/*
 * Test of the worker's threads: what ThreadSanitizer cannot see by itself, and
 * whether it sees anything
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef AF_XDP_TSAN_SANITIZER_H
#define AF_XDP_TSAN_SANITIZER_H

#include "system/iothread.h"

/* Read by the sanitizer when the program starts; it gives the names. */
const char *__tsan_default_options(void);
const char *__tsan_default_suppressions(void);

/*
 * sanitizer_race: a race with @thread as the worker could have one. Returns
 * an exit code, if the sanitizer has not ended the program.
 */
int sanitizer_race(IOThread *thread);

#endif /* AF_XDP_TSAN_SANITIZER_H */
