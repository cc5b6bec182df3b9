/*
 * Test of the worker's threads: guest memory, and where it is mapped
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <sys/mman.h>
#include "af-xdp-vring-driver.h"
#include "memory.h"
#include "qapi/error.h"
#include "qemu/memfd.h"

/* Guest memory above 4 GiB. */
#define HIGH_SIZE DRIVER_REGION_SIZE

static void *map(int fd, size_t size, off_t offset, int prot)
{
    void *at = mmap(NULL, size, prot, MAP_SHARED, fd, offset);

    g_assert_true(at != MAP_FAILED);
    return at;
}

static void protect(void *at, size_t size, int prot)
{
    g_assert_cmpint(mprotect(at, size, prot), ==, 0);
}

/* Where a region is for the guest. */
static uint8_t *region_host(const Memory *m, uint64_t gpa)
{
    Driver d = { .host = m->host };

    return driver_host(&d, gpa);
}

void memory_open(Memory *m, uint64_t front)
{
    const int both = PROT_READ | PROT_WRITE;
    int fd = qemu_memfd_create("guest", DRIVER_MEMORY_SIZE, false, 0, 0,
                               &error_abort);
    GError *err = NULL;
    uint8_t *high;

    m->host = map(fd, DRIVER_MEMORY_SIZE, 0, both);
    m->shadow = map(fd, DRIVER_MEMORY_SIZE, 0, PROT_READ);
    if (front) {
        AfXdpBlock block = {
            .name = "guest", .host = m->host, .size = DRIVER_MEMORY_SIZE,
            .fd = fd, .page_size = 4096,
        };

        m->window = af_xdp_window_new(&block, 1, front, &err);
        g_assert_no_error(err);
        munmap(m->host, DRIVER_MEMORY_SIZE);
        /* Seen by the same address, by all threads: races are found so. */
        m->host = af_xdp_window_find(m->window, &block);
    }
    high = region_host(m, DRIVER_HIGH);
    m->high[0] = m->window ? high : map(fd, HIGH_SIZE, high - m->host, both);
    m->high[1] = map(fd, HIGH_SIZE, high - m->host, both);
    m->which = 0;
    m->before = g_malloc(DRIVER_MEMORY_SIZE);
    memory_unplug(m);
    close(fd);
}

void memory_close(Memory *m)
{
    munmap(m->high[1], HIGH_SIZE);
    munmap((void *)m->shadow, DRIVER_MEMORY_SIZE);
    if (m->window) {
        af_xdp_window_free(m->window);
    } else {
        munmap(m->high[0], HIGH_SIZE);
        munmap(m->host, DRIVER_MEMORY_SIZE);
    }
    g_free(m->before);
}

void memory_turn(Memory *m)
{
    m->which = !m->which;
    protect(m->high[m->which], HIGH_SIZE, PROT_READ | PROT_WRITE);
}

AfXdpMemory *memory_table(const Memory *m)
{
    uint8_t *high = m->high[m->which];
    uint64_t part = m->which ? HIGH_SIZE / 2 : HIGH_SIZE;
    AfXdpRegion region[] = {
        { 0, DRIVER_REGION_SIZE },
        { DRIVER_REGION_SIZE, DRIVER_REGION_SIZE },
        { 2 * DRIVER_REGION_SIZE, DRIVER_REGION_SIZE },
        { DRIVER_HIGH, part, high },
        { DRIVER_HIGH + part, HIGH_SIZE - part, high + part },
    };
    GError *err = NULL;
    AfXdpMemory *memory;

    for (int i = 0; i < 3; i++) {
        region[i].host = region_host(m, region[i].gpa);
    }
    memory = af_xdp_memory_new(region, m->which ? 5 : 4, &err);
    g_assert_no_error(err);
    return memory;
}

void memory_unplug(const Memory *m)
{
    if (!(m->window && m->which)) {
        protect(m->high[!m->which], HIGH_SIZE, PROT_NONE);
    }
}

void memory_hide(const Memory *m)
{
    protect(m->host, DRIVER_MEMORY_SIZE, PROT_NONE);
    protect(m->high[m->which], HIGH_SIZE, PROT_NONE);
}

void memory_show(const Memory *m)
{
    protect(m->host, DRIVER_MEMORY_SIZE, PROT_READ | PROT_WRITE);
    protect(m->high[m->which], HIGH_SIZE, PROT_READ | PROT_WRITE);
}

void memory_remember(Memory *m)
{
    memcpy(m->before, m->shadow, DRIVER_MEMORY_SIZE);
}

void memory_compare(const Memory *m)
{
    g_assert_true(memcmp(m->before, m->shadow, DRIVER_MEMORY_SIZE) == 0);
}
