/*
 * qemu-af-xdp: the command line of the guest
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "undo.h"

static bool is_printable(const char *text)
{
    for (; *text; text++) {
        if (g_ascii_iscntrl(*text)) {
            return false;
        }
    }
    return true;
}

/* A value in QEMU's options: a comma within is doubled. */
static char *option_value(const char *text)
{
    g_auto(GStrv) parts = g_strsplit(text, ",", -1);

    return g_strjoinv(",,", parts);
}

char **netdev_lines(const NetdevLine *line)
{
    g_autoptr(GPtrArray) lines = g_ptr_array_new();
    guint n = MIN(line->queues->len, line->keys->len);
    g_autofree char *ifname = option_value(line->ifname);
    g_autofree char *map = option_value(line->map ?: "PATH");

    if (!is_printable(ifname) || !is_printable(map)) {
        n = 0;
    }

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
            "map-path=%s,map-start-index=%u", lines->len, ifname, queue,
            several, map, key));
    }
    g_ptr_array_add(lines, NULL);
    return (char **)g_ptr_array_free(g_steal_pointer(&lines), FALSE);
}
