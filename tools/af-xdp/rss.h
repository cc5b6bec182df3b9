/*
 * qemu-af-xdp: which queue a NIC spreads a frame to, the arithmetic
 *
 * Receive side scaling looks a hash up in a table of queues. Queues that are a
 * VM's must not be in it, and the operator's own table must come back when
 * they are the host's again, also if he has changed it meanwhile. So three
 * tables are kept: @base, his; @last, which the NIC had before our last change;
 * and @ours, what we wrote then.
 *
 * Pure functions on arrays of queue numbers (uint32_t).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef AF_XDP_TOOL_RSS_H
#define AF_XDP_TOOL_RSS_H

#include <glib.h>

/*
 * rss_without: @table with the queues of @taken replaced by others, in turn.
 * @spared: queues that are not used more than they are already, if it can be
 *          helped.
 * @rings: how many queues the NIC has.
 *
 * The others are those that the table has already; if it has none, all.
 * Returns NULL if no queue is left.
 */
GArray *rss_without(const GArray *table, const GArray *taken,
                    const GArray *spared, uint32_t rings);

/*
 * rss_base: the operator's table, as far as can be told.
 * @now: the NIC's table.
 *
 * It is @base if the NIC's is as we, or the one before us, left it; the latter
 * is so after a crash between noting @ours and writing it to the NIC.
 * Otherwise somebody has written another one, which then is his.
 */
GArray *rss_base(const GArray *base, const GArray *last, const GArray *ours,
                 const GArray *now);

/* rss_is_default: are the first queues used in turn? */
bool rss_is_default(const GArray *table, uint32_t rings);

/* rss_equal: are they the same? */
bool rss_equal(const GArray *left, const GArray *right);

#endif /* AF_XDP_TOOL_RSS_H */
