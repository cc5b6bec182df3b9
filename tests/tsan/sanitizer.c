/*
 * Test of the worker's threads: what ThreadSanitizer cannot see by itself
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/atomic.h"
#include "sanitizer.h"

const char *__tsan_default_options(void)
{
    /* GLib forks to run a command, and the sanitizer has its own thread. */
    return "die_after_fork=0:halt_on_error=1";
}

/*
 * Races of QEMU that are none. "race_top": only what these functions read and
 * write themselves, not what they call.
 */
const char *__tsan_default_suppressions(void)
{
    return
        /* Reads the list's head plainly, and then compares and exchanges it. */
        "race_top:^aio_bh_enqueue$\n"
        /* Reads the thread's id before it waits for the thread to set it. */
        "race_top:^iothread_init$\n";
}

static int shared;

static void race_bh(void *opaque)
{
    shared++;
    qatomic_set((bool *)opaque, true);
}

/* Not waiting for what it was told. */
int sanitizer_race(IOThread *thread)
{
    bool done = false;

    aio_bh_schedule_oneshot(iothread_get_aio_context(thread), race_bh, &done);
    while (!qatomic_read(&done)) {
        g_usleep(100);
    }
    shared++;
    return 0;
}
