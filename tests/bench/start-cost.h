/*
 * Benchmark: what guest zero-copy costs when the guest starts its driver
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef TESTS_BENCH_START_COST_H
#define TESTS_BENCH_START_COST_H

#include "backend.h"

/*
 * axb_start_cost: print a table, with a row for each size of RAM and of pages
 * that this machine's memory allows.
 * @bin: where QEMU is
 * @gib: sizes in GiB, ended by 0
 *
 * RAM is touched before, so its allocation is not part of it. Huge pages are
 * reserved for as long as they are needed. Returns how many rows failed.
 */
unsigned axb_start_cost(const AxbBinaries *bin, const unsigned *gib);

#endif /* TESTS_BENCH_START_COST_H */
