/*
 * Benchmark: a QEMU process
 *
 * Started without a running processor, with its RAM in memory that this
 * process maps too. It ends when this process does.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef TESTS_BENCH_QEMU_H
#define TESTS_BENCH_QEMU_H

#include <stdbool.h>
#include <sys/types.h>
#include "qtest-client.h"

/* RAM of the guest: room for rings and buffers, below any hole of the map. */
#define AXB_RAM_SIZE (128u << 20)

/* Where that says nothing, see axb_qemu_new(). */
typedef struct AxbRam {
    uint64_t size;          /* bytes, all of them touched; 0: AXB_RAM_SIZE */
    bool huge_pages;        /* of 2 MiB */
} AxbRam;

typedef struct AxbQemu {
    pid_t pid;
    int pidfd;
    int ram_fd;
    uint64_t ram_size;
    uint8_t *ram;           /* guest-physical address 0; AXB_RAM_SIZE of it */
    int log_fd;             /* what it writes to stderr */
    AxbQtest *qtest;
    GArray *before;         /* int: eventfds at axb_qemu_mark_eventfds() */
} AxbQemu;

/*
 * axb_qemu_new: start @binary and wait until it answers.
 * @netdev, @device: values of -netdev and -device; the bus address is added
 * @ram: its memory, or NULL
 * @extra: more arguments, ended by NULL, or NULL
 * @cpus, @n_cpus: processors that it may use
 *
 * Returns NULL and sets @errp to what QEMU said if it does not start.
 */
AxbQemu *axb_qemu_new(const char *binary, const char *netdev,
                      const char *device, const AxbRam *ram,
                      const char *const *extra, const int *cpus,
                      unsigned n_cpus, GError **errp);
void axb_qemu_free(AxbQemu *qemu);

/* axb_qemu_log: what it wrote to stderr so far; the caller frees it. */
char *axb_qemu_log(const AxbQemu *qemu);

/*
 * Kicks: with KVM a guest's write to the notify register signals an eventfd
 * of QEMU's. Written to through qtest, the register costs a round trip and
 * the work of a text protocol; so its eventfds are duplicated into this
 * process, where a kick is what it is under KVM.
 *
 * axb_qemu_mark_eventfds() remembers the ones there are;
 * axb_qemu_new_eventfds() duplicates those that came since, in the order in
 * which QEMU made them, into @fds (at most @max), with QEMU's numbers in
 * @numbers. Returns how many, 0 also if the kernel (5.6) or its security
 * policy does not let us.
 */
void axb_qemu_mark_eventfds(AxbQemu *qemu);
unsigned axb_qemu_new_eventfds(AxbQemu *qemu, int *fds, int *numbers,
                               unsigned max);

/* axb_process_end: end a child, by force if it must be. 0: nothing. */
void axb_process_end(pid_t pid);

#endif /* TESTS_BENCH_QEMU_H */
