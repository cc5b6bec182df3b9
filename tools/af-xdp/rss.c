/*
 * qemu-af-xdp: which queue a NIC spreads a frame to, the arithmetic
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "journal.h"
#include "rss.h"

static uint32_t at(const GArray *array, guint i)
{
    return g_array_index(array, uint32_t, i);
}

/* The queues that may take the place of others, by ever weaker rules */
static GArray *substitutes(const GArray *table, const GArray *taken,
                           const GArray *spared, uint32_t rings)
{
    GArray *left = g_array_new(FALSE, FALSE, sizeof(uint32_t));

    for (unsigned rule = 0; rule < 3 && !left->len; rule++) {
        for (uint32_t queue = 0; queue < rings; queue++) {
            if (!numbers_contain(taken, queue) &&
                (rule > 0 || numbers_contain(table, queue)) &&
                (rule > 1 || !numbers_contain(spared, queue))) {
                g_array_append_val(left, queue);
            }
        }
    }
    return left;
}

GArray *rss_without(const GArray *table, const GArray *taken,
                    const GArray *spared, uint32_t rings)
{
    g_autoptr(GArray) left = substitutes(table, taken, spared, rings);
    GArray *result;
    guint turn = 0;

    if (!left->len) {
        return NULL;
    }
    result = g_array_new(FALSE, FALSE, sizeof(uint32_t));
    for (guint i = 0; i < table->len; i++) {
        uint32_t queue = at(table, i);

        if (numbers_contain(taken, queue)) {
            queue = at(left, turn++ % left->len);
        }
        g_array_append_val(result, queue);
    }
    return result;
}

GArray *rss_base(const GArray *base, const GArray *last, const GArray *ours,
                 const GArray *now)
{
    const GArray *from = base->len && (rss_equal(now, ours) ||
                                       rss_equal(now, last)) ? base : now;
    GArray *result = g_array_new(FALSE, FALSE, sizeof(uint32_t));

    g_array_append_vals(result, from->data, from->len);
    return result;
}

bool rss_is_default(const GArray *table, uint32_t rings)
{
    for (guint i = 0; i < table->len; i++) {
        /* As ethtool_rxfh_indir_default() has it */
        if (!rings || at(table, i) != i % rings) {
            return false;
        }
    }
    return true;
}

bool rss_equal(const GArray *left, const GArray *right)
{
    return left->len == right->len &&
           !memcmp(left->data, right->data, left->len * sizeof(uint32_t));
}
