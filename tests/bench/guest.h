/*
 * Benchmark: the native guest driver
 *
 * A virtio-net driver without a guest: it starts QEMU with no processor
 * running, sets the device up through qtest and works the rings in shared
 * memory by itself, at the speed of this machine.
 *
 * Kicks go to QEMU's own eventfds (see qemu.h), by one system call each, as
 * KVM would signal them; through qtest if those cannot be had. Interrupts
 * are suppressed and rings polled.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef TESTS_BENCH_GUEST_H
#define TESTS_BENCH_GUEST_H

#include <stdbool.h>
#include "endpoint.h"
#include "qemu.h"

typedef struct AxbGuestConfig {
    const char *qemu;           /* binary */
    const char *netdev;         /* value of -netdev, with id=net0 */
    const char *device;         /* more options of the device, or NULL */
    const char *const *extra;   /* more arguments, or NULL */
    const int *cpus;            /* that QEMU may use */
    unsigned n_cpus;
    unsigned queues;
    uint32_t len;               /* of frames, in bytes */
    uint32_t ring;              /* rx ring entries; 0: 1024 */
    bool packed;
    bool event_idx;
    bool indirect;              /* sent frames in tables, header apart */
    bool mergeable;
    bool qtest_kicks;           /* kick through qtest although slower */
    AxbRam ram;
    /*
     * A process that does QEMU's work, or 0: its time counts instead, and it
     * is ended with the guest.
     */
    pid_t companion;
} AxbGuestConfig;

/* axb_guest_new: start everything; the device receives from now on. */
AxbEndpoint *axb_guest_new(const AxbGuestConfig *config, GError **errp);

/*
 * axb_guest_restart: reset the device and start it again. Returns how long the
 * device took to start, in ns; 0 and sets @errp if it did not.
 */
uint64_t axb_guest_restart(AxbEndpoint *ep, GError **errp);

/* axb_guest_start_ns: the same of the start by axb_guest_new(). */
uint64_t axb_guest_start_ns(const AxbEndpoint *ep);

typedef struct AxbKickCost {
    double qtest_ns;            /* of the caller, round trip */
    double qtest_cpu_ns;        /* of QEMU */
    double eventfd_ns;          /* of the caller; 0: not available */
    double eventfd_cpu_ns;      /* of QEMU, which sees several as one */
} AxbKickCost;

/*
 * axb_guest_kick_cost: what a kick costs that finds nothing to do, by either
 * way, spaced by 100 us so that QEMU goes to sleep in between.
 */
void axb_guest_kick_cost(AxbEndpoint *ep, unsigned n, AxbKickCost *cost);

#endif /* TESTS_BENCH_GUEST_H */
