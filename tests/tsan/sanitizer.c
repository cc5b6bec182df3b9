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
        /* The note "done" by which it waits is ordered by fences. */
        "race_top:^aio_wait_bh$\n"
        "race_top:^aio_wait_bh_oneshot$\n"
        /* Reads the list's head plainly, and then compares and exchanges it. */
        "race_top:^aio_bh_enqueue$\n"
        /* Reads the thread's id before it waits for the thread to set it. */
        "race_top:^iothread_init$\n";
}

/*
 * QEMU orders a function that runs in another context before the return of
 * aio_wait_bh_oneshot() by fences, which the sanitizer does not know. This
 * says so to it, and checks it.
 */
typedef struct Waited {
    QEMUBHFunc *func;
    void *opaque;
    bool done;
} Waited;

static void waited_bh(void *opaque)
{
    Waited *waited = opaque;

    waited->func(waited->opaque);
    qatomic_store_release(&waited->done, true);
}

void __wrap_aio_wait_bh_oneshot(AioContext *ctx, QEMUBHFunc *cb, void *opaque)
{
    Waited waited = { .func = cb, .opaque = opaque };

    __real_aio_wait_bh_oneshot(ctx, waited_bh, &waited);
    g_assert_true(qatomic_load_acquire(&waited.done));
}
