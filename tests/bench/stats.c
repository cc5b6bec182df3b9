/*
 * Benchmark: latency histogram
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "stats.h"

/* The middle of a bucket: axb_hist_add() turned round. */
static uint64_t bucket_value(uint64_t index)
{
    uint64_t shift;

    if (index < AXB_HIST_SUB) {
        return index;
    }
    shift = (index - AXB_HIST_SUB / 2) / (AXB_HIST_SUB / 2);
    index -= shift * (AXB_HIST_SUB / 2);
    return (index << shift) + (1ull << shift) / 2;
}

void axb_hist_merge(AxbHist *to, const AxbHist *from)
{
    for (unsigned i = 0; i < AXB_HIST_BUCKETS; i++) {
        to->bucket[i] += from->bucket[i];
    }
    to->count += from->count;
}

uint64_t axb_hist_quantile(const AxbHist *h, double q)
{
    uint64_t want = q * h->count;
    uint64_t seen = 0;

    for (unsigned i = 0; i < AXB_HIST_BUCKETS; i++) {
        seen += h->bucket[i];
        if (h->bucket[i] && seen >= want) {
            return bucket_value(i);
        }
    }
    return 0;
}
