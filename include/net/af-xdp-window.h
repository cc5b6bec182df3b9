/*
 * AF_XDP: guest RAM in one piece, for a UMEM
 *
 * A UMEM is one range of virtual memory, guest RAM is several blocks anywhere.
 * A window is such a range: room of our own in front, then each block, mapped
 * a second time from the file descriptor that it shares.
 *
 *     area                                                       area + size
 *     |  front: ours  | block | block |          block          |
 *                     ^ aligned to the largest page; blocks with the largest
 *                       pages come first, so there is no gap to fill
 *
 * Who has a window's address of a guest buffer has its address in the UMEM,
 * too: the difference to the area's. A block stays mapped as long as the
 * window, even if its RAM is unplugged: what is written there then reaches
 * nobody.
 *
 * Threads: a window never changes; any.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef NET_AF_XDP_WINDOW_H
#define NET_AF_XDP_WINDOW_H

#include <glib.h>

/* A block of guest RAM. */
typedef struct AfXdpBlock {
    const char *name;       /* for messages */
    const void *host;       /* where QEMU has it mapped */
    uint64_t size;          /* bytes, a multiple of page_size */
    int fd;                 /* shares it; -1: private, it cannot be in */
    uint64_t fd_offset;     /* where it begins there */
    uint64_t page_size;     /* bytes, a power of two */
} AfXdpBlock;

typedef struct AfXdpWindow AfXdpWindow;

/*
 * af_xdp_window_new: map blocks.
 * @blocks, @n: at least one; those without a file descriptor are left out.
 * @front: bytes in front of them, a multiple of 4096.
 * @errp: set on failure, with the errno of what failed; EINVAL if no block is
 *        left.
 *
 * Reads and writes nothing. Returns the window, or NULL.
 */
AfXdpWindow *af_xdp_window_new(const AfXdpBlock *blocks, uint32_t n,
                               uint64_t front, GError **errp);

/*
 * af_xdp_window_free: unmap it. NULL is allowed. A UMEM in it must have been
 * closed before, or the kernel goes on with the pages.
 */
void af_xdp_window_free(AfXdpWindow *w);

/*
 * af_xdp_window_find: where the window has @block.
 *
 * A block is known by its memory, not by its address: after unplugging,
 * another one may be at the same address. Returns the address of its
 * first byte in the window, or NULL.
 */
void *af_xdp_window_find(const AfXdpWindow *w, const AfXdpBlock *block);

/*
 * af_xdp_window_matches: are these all the blocks, and no other ones, that
 * have a file descriptor?
 */
bool af_xdp_window_matches(const AfXdpWindow *w, const AfXdpBlock *blocks,
                           uint32_t n);

/* The whole range: address, and bytes; and how many of them are in front. */
void *af_xdp_window_area(const AfXdpWindow *w);
uint64_t af_xdp_window_size(const AfXdpWindow *w);
uint64_t af_xdp_window_front(const AfXdpWindow *w);

/* The smallest page size of its blocks, in bytes. */
uint64_t af_xdp_window_page_size(const AfXdpWindow *w);

#endif /* NET_AF_XDP_WINDOW_H */
