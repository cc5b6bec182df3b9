/*
 * AF_XDP network backend: blocks of guest RAM
 *
 * QEMU's blocks as a window wants them, see af-xdp-window.h.
 *
 * Threads: main loop, under the big QEMU lock.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef NET_AF_XDP_BLOCKS_H
#define NET_AF_XDP_BLOCKS_H

#include "net/af-xdp-memory.h"
#include "net/af-xdp-window.h"

/* More are left out: what is in those is copied. */
#define AF_XDP_MAX_BLOCKS 1024

/* af_xdp_block_of: the block at @host; a private one if there is none. */
AfXdpBlock af_xdp_block_of(const void *host);

/*
 * af_xdp_blocks_of: the blocks behind @regions, each once.
 * @blocks: receives up to AF_XDP_MAX_BLOCKS.
 * @why_not: set, if it is NULL, to a text to be freed when one of a memory
 *           backend is private to QEMU.
 *
 * Returns their number.
 */
uint32_t af_xdp_blocks_of(const AfXdpRegion *regions, uint32_t n,
                          AfXdpBlock *blocks, char **why_not);

/* af_xdp_blocks_of_machine: the same for all that memory backends have. */
uint32_t af_xdp_blocks_of_machine(AfXdpBlock *blocks, char **why_not);

#endif /* NET_AF_XDP_BLOCKS_H */
