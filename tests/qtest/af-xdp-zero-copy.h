/*
 * af-xdp qtest: guest zero-copy: what its tests share
 *
 * Guest RAM is of memory-backend-memfd and mapped here, so that a test sees
 * each byte that the kernel writes to it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef TESTS_QTEST_AF_XDP_ZERO_COPY_H
#define TESTS_QTEST_AF_XDP_ZERO_COPY_H

#include "af-xdp-flow.h"

typedef struct AxtZc {
    AxtNet net;
    int errors;                 /* what QEMU writes to stderr */
} AxtZc;

/* How to start; all zeroes is one queue, MTU 1500, zero-copy=on. */
typedef struct AxtZcConfig {
    AxtRam ram;
    unsigned queues;
    unsigned mtu;
    bool canary;                /* fill all RAM before the driver starts */
    const char *machine;        /* more arguments of QEMU */
    const char *netdev;         /* more options of it, from the comma on */
    const char *device;
    AxtVirtioConfig virtio;
} AxtZcConfig;

void axt_zc_start(AxtZc *z, const AxtZcConfig *config);

/* axt_zc_start_vm: the same without netdev and NIC; z->net.nic is NULL. */
void axt_zc_start_vm(AxtZc *z, const AxtZcConfig *config);

void axt_zc_stop(AxtZc *z);

/* axt_zc_plug: add a netdev "n0" on AXT_DEV, a NIC, and start its driver. */
void axt_zc_plug(AxtZc *z, const char *options);

/* axt_zc_unplug: away with both. Checks that nothing is left on the device. */
void axt_zc_unplug(AxtZc *z);

/* axt_zc_lines: lines with @what that QEMU has written to stderr. */
unsigned axt_zc_lines(AxtZc *z, const char *what);

/* axt_zc_assert_on: packets go to guest memory, and no ring has a fault. */
void axt_zc_assert_on(AxtZc *z);

/* axt_zc_assert_off: they do not, because of @why. */
void axt_zc_assert_off(AxtZc *z, const char *why);

/* axt_zc_info: the text behind "zero-copy=" in "info network"; to be freed. */
char *axt_zc_info(AxtZc *z);

/*
 * axt_zc_sockets: the inodes of QEMU's AF_XDP sockets, which are never used
 * again, in ascending order. Returns how many.
 */
#define AXT_ZC_SOCKETS 16
unsigned axt_zc_sockets(AxtZc *z, uint64_t *inodes);

/*
 * axt_zc_mappings: how often QEMU has its memory backends mapped: once each,
 * and another time if there is a window.
 */
unsigned axt_zc_mappings(AxtZc *z);

/*
 * What arrives and leaves by direct buffers, and otherwise; the difference
 * of two looks tells what happened in between.
 */
typedef struct AxtZcCounts {
    uint64_t rx;
    uint64_t rx_direct;
    uint64_t early;
    uint64_t is_short;
    uint64_t chain;
    uint64_t outside;
    uint64_t page;
    uint64_t mixed;
    uint64_t lost;
    uint64_t tx;
    uint64_t tx_direct;
    uint64_t tx_pieces;
    uint64_t tx_outside;
} AxtZcCounts;

void axt_zc_counts(AxtZc *z, AxtZcCounts *counts);

/* axt_zc_count: what has been counted since @before, which is renewed. */
AxtZcCounts axt_zc_count(AxtZc *z, AxtZcCounts *before);

/*
 * Frames of all lengths from the wire for as long as the blast lasts, each
 * with other bytes than the one before.
 */
typedef struct AxtBlast AxtBlast;

/* @flows: so many, spread over the device's queues. */
AxtBlast *axt_blast_start(AxtWire *wire, unsigned flows, size_t len_max);
void axt_blast_stop(AxtBlast *b);

/*
 * Canaries. All RAM from AXT_CANARY_START on is full of one byte, except what
 * the driver has given to the device or uses itself.
 */
#define AXT_CANARY 0xc9
#define AXT_CANARY_START (1 * MiB)

/* axt_canary_fill: all of that RAM. The driver must not have started. */
void axt_canary_fill(AxtVm *vm);

/* Where the driver or the device may write: buffers and rings. */
typedef struct AxtCanaryRanges AxtCanaryRanges;

AxtCanaryRanges *axt_canary_ranges(AxtNic *nic);
void axt_canary_ranges_free(AxtCanaryRanges *ranges);

/* axt_canary_check: nothing else was written to. */
void axt_canary_check(AxtVm *vm, const AxtCanaryRanges *ranges);

/* axt_canary_restore: the driver goes; fill what was its own. */
void axt_canary_restore(AxtVm *vm, const AxtCanaryRanges *ranges);

/* A copy of all RAM, to see that nothing changes from now on. */
uint8_t *axt_ram_copy(AxtVm *vm);

/*
 * axt_ram_check: RAM must be as in @copy.
 * @what: what has stopped.
 */
void axt_ram_check(AxtVm *vm, const uint8_t *copy, const char *what);

#endif /* TESTS_QTEST_AF_XDP_ZERO_COPY_H */
