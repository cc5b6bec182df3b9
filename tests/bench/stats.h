/*
 * Benchmark: latency histogram
 *
 * Buckets grow with the value: AXB_HIST_SUB of them for each power of two, so
 * that any value is known to 1/64. Adding is a few instructions, fit for
 * the loop that measures.
 *
 * Threads: one owner; others may merge once the owner has stopped.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef TESTS_BENCH_STATS_H
#define TESTS_BENCH_STATS_H

#include <stdint.h>

#define AXB_HIST_SUB_BITS 6
#define AXB_HIST_SUB (1u << AXB_HIST_SUB_BITS)
/* Up to 2^40 ns, 18 minutes; anything longer counts as that. */
#define AXB_HIST_POWERS 35
#define AXB_HIST_BUCKETS (AXB_HIST_SUB * AXB_HIST_POWERS)

typedef struct AxbHist {
    uint64_t count;
    uint64_t bucket[AXB_HIST_BUCKETS];
} AxbHist;

/* axb_hist_add: count one value, in ns. */
static inline void axb_hist_add(AxbHist *h, uint64_t ns)
{
    unsigned shift = 0;
    uint64_t index = ns;

    if (ns >= AXB_HIST_SUB) {
        shift = 63 - __builtin_clzll(ns) - AXB_HIST_SUB_BITS + 1;
        index = (ns >> shift) + (uint64_t)shift * (AXB_HIST_SUB / 2);
    }
    if (index >= AXB_HIST_BUCKETS) {
        index = AXB_HIST_BUCKETS - 1;
    }
    h->bucket[index]++;
    h->count++;
}

/* axb_hist_merge: add all that @from counted to @to. */
void axb_hist_merge(AxbHist *to, const AxbHist *from);

/*
 * axb_hist_quantile: the value that a share @q (0 to 1) of all values does
 * not exceed, in ns; 0 if nothing was counted.
 */
uint64_t axb_hist_quantile(const AxbHist *h, double q);

#endif /* TESTS_BENCH_STATS_H */
