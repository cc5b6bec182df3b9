/*
 * Benchmark: the qtest protocol
 *
 * Text commands, one a line, over a stream socket; each is answered with a
 * line that begins with OK. With the qtest accelerator no processor of the
 * guest runs, and what one would do to devices is done by these commands.
 *
 * Errors here mean that QEMU is gone or broken: the client remembers the
 * first one, later calls do nothing and read as 0.
 *
 * Threads: one at a time.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef TESTS_BENCH_QTEST_CLIENT_H
#define TESTS_BENCH_QTEST_CLIENT_H

#include <glib.h>
#include <stdint.h>

typedef struct AxbQtest AxbQtest;

/* axb_qtest_new: speak over @fd, which is taken over. */
AxbQtest *axb_qtest_new(int fd);
void axb_qtest_free(AxbQtest *q);

/* axb_qtest_failed: what went wrong, or NULL. */
const char *axb_qtest_failed(const AxbQtest *q);

/*
 * Guest memory and I/O ports; @size in bytes, 1, 2 or 4, for memory also 8.
 */
void axb_qtest_write(AxbQtest *q, uint64_t addr, unsigned size, uint64_t val);
uint64_t axb_qtest_read(AxbQtest *q, uint64_t addr, unsigned size);
void axb_qtest_out(AxbQtest *q, uint16_t port, unsigned size, uint32_t val);
uint32_t axb_qtest_in(AxbQtest *q, uint16_t port, unsigned size);

#endif /* TESTS_BENCH_QTEST_CLIENT_H */
