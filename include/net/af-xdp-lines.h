/*
 * AF_XDP: memory that shares no cache line with any other, or is not cleared
 *
 * What one queue pair writes per packet must not lie beside what another
 * reads: they run on different processors, and each write would take the line
 * away from the other. So their objects come from here.
 *
 * Threads: no state; any.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef NET_AF_XDP_LINES_H
#define NET_AF_XDP_LINES_H

/*
 * QEMU is built such that local variables are zeroed
 * (-ftrivial-auto-var-init=zero). For arrays in what runs for each packet that
 * are plainly written before they are read.
 */
#if G_GNUC_CHECK_VERSION(12, 0)
#define AF_XDP_UNINITIALIZED __attribute__((uninitialized))
#else
#define AF_XDP_UNINITIALIZED
#endif

/* A pair of lines: x86 prefetches the second with the first. */
#define AF_XDP_LINES 128u

/*
 * af_xdp_lines_try0: @size zeroed bytes on lines of their own, to be given to
 * free(). Returns NULL if there is no memory.
 */
static inline void *af_xdp_lines_try0(size_t size)
{
    void *p;

    size = ROUND_UP(size, AF_XDP_LINES);
    p = aligned_alloc(AF_XDP_LINES, size);
    return p ? memset(p, 0, size) : NULL;
}

/* af_xdp_lines_new0: the same; ends the process if there is no memory. */
static inline void *af_xdp_lines_new0(size_t size)
{
    void *p = af_xdp_lines_try0(size);

    if (!p) {
        g_error("out of memory: %zu bytes", size);
    }
    return p;
}

#endif /* NET_AF_XDP_LINES_H */
