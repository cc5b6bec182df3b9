/*
 * qemu-af-xdp: the command line of the guest
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "undo.h"

char **netdev_lines(const NetdevLine *line)
{
    g_autoptr(GPtrArray) lines = g_ptr_array_new();
    guint n = MIN(line->queues->len, line->keys->len);

    for (guint first = 0, end; first < n; first = end) {
        uint32_t queue = g_array_index(line->queues, uint32_t, first);
        uint32_t key = g_array_index(line->keys, uint32_t, first);
        g_autofree char *several = NULL;

        end = first + 1;
        while (end < n &&
               g_array_index(line->queues, uint32_t, end) ==
               queue + (end - first) &&
               g_array_index(line->keys, uint32_t, end) ==
               key + (end - first)) {
            end++;
        }
        several = end - first == 1 ? g_strdup("")
                                   : g_strdup_printf(",queues=%u",
                                                     end - first);
        g_ptr_array_add(lines, g_strdup_printf(
            "af-xdp,id=net%u,ifname=%s,queue-start=%u%s,inhibit=on,"
            "map-path=%s,map-start-index=%u", lines->len, line->ifname, queue,
            several, line->map ?: "PATH", key));
    }
    g_ptr_array_add(lines, NULL);
    return (char **)g_ptr_array_free(g_steal_pointer(&lines), FALSE);
}
