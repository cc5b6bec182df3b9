/*
 * AF_XDP network backend: blocks of guest RAM
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "exec/cpu-common.h"
#include "exec/memory.h"
#include "exec/ramblock.h"
#include "exec/ramlist.h"
#include "net/af-xdp-blocks.h"
#include "qemu/rcu.h"
#include "system/hostmem.h"

/* The block as the core wants it; private if it cannot be shared. */
static AfXdpBlock describe(RAMBlock *rb)
{
    uint64_t page_size = qemu_ram_pagesize(rb);
    bool shared = qemu_ram_is_shared(rb) && qemu_ram_get_fd(rb) >= 0 &&
                  !memory_region_is_rom(rb->mr);

    return (AfXdpBlock) {
        .name = rb->idstr,
        .host = qemu_ram_get_host_addr(rb),
        .size = ROUND_UP(qemu_ram_get_used_length(rb), page_size),
        .fd = shared ? qemu_ram_get_fd(rb) : -1,
        .fd_offset = rb->fd_offset,
        .page_size = page_size,
    };
}

/* Is it the memory of a memory backend, and not a ROM, say, of a device? */
static bool is_backend(RAMBlock *rb)
{
    return object_dynamic_cast(memory_region_owner(rb->mr),
                               TYPE_MEMORY_BACKEND);
}

static AfXdpBlock find_block(const void *host, RAMBlock **prb)
{
    RAMBlock *rb;
    ram_addr_t offset;

    RCU_READ_LOCK_GUARD();
    rb = qemu_ram_block_from_host((void *)host, false, &offset);
    *prb = rb;
    return rb ? describe(rb) : (AfXdpBlock) { .fd = -1 };
}

uint32_t af_xdp_blocks_of(const AfXdpRegion *regions, uint32_t n,
                          AfXdpBlock *blocks, char **why_not)
{
    uint32_t n_blocks = 0;

    for (uint32_t i = 0; i < n && n_blocks < AF_XDP_MAX_BLOCKS; i++) {
        RAMBlock *rb;
        AfXdpBlock block = find_block(regions[i].host, &rb);
        bool known = false;

        for (uint32_t k = 0; k < n_blocks; k++) {
            known = known || blocks[k].host == block.host;
        }
        if (!rb || known) {
            continue;
        }
        if (block.fd < 0 && is_backend(rb) && !*why_not) {
            *why_not = g_strdup_printf("guest RAM '%s' is private to QEMU",
                                       rb->idstr);
        }
        blocks[n_blocks++] = block;
    }
    return n_blocks;
}

uint32_t af_xdp_blocks_of_machine(AfXdpBlock *blocks, char **why_not)
{
    uint32_t n_blocks = 0;
    RAMBlock *rb;

    RCU_READ_LOCK_GUARD();
    RAMBLOCK_FOREACH(rb) {
        AfXdpBlock block = describe(rb);

        if (!is_backend(rb) || n_blocks == AF_XDP_MAX_BLOCKS) {
            continue;
        }
        if (block.fd < 0 && !*why_not) {
            *why_not = g_strdup_printf("guest RAM '%s' is private to QEMU",
                                       rb->idstr);
        }
        blocks[n_blocks++] = block;
    }
    return n_blocks;
}

AfXdpBlock af_xdp_block_of(const void *host)
{
    RAMBlock *rb;

    return find_block(host, &rb);
}
