/*
 * AF_XDP: the guest's memory as a vhost backend sees it
 *
 * A table of the regions of guest RAM, as vhost's set_mem_table gives them,
 * and the dirty log that live migration reads. Whatever is not in the table
 * (holes, ROM, device memory) cannot be reached through it; that keeps a
 * guest from making us read or write a device's registers.
 *
 * A table never changes. A new one replaces it, after everybody who uses the
 * old one has let go of it; the caller sees to that.
 *
 * Threads: any number may read a table, and write a log, at the same time.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef NET_AF_XDP_MEMORY_H
#define NET_AF_XDP_MEMORY_H

#include <sys/uio.h>

typedef struct AfXdpRegion {
    uint64_t gpa;           /* guest-physical address of the first byte */
    uint64_t size;          /* in bytes, not 0 */
    uint8_t *host;          /* where we see it */
} AfXdpRegion;

typedef struct AfXdpMemory {
    uint32_t n;
    AfXdpRegion region[];   /* sorted by gpa, disjoint; never empty, see new */
} AfXdpMemory;

/*
 * af_xdp_memory_new: build a table.
 * @regions, @n: the regions in any order; copied. @n may be 0.
 * @errp: set on failure, code EINVAL: a region is empty, wraps around the end
 *        of an address space, or overlaps another in guest-physical addresses.
 *
 * Regions next to each other are not merged: their host addresses need not
 * be. Returns the table, or NULL.
 */
AfXdpMemory *af_xdp_memory_new(const AfXdpRegion *regions, uint32_t n,
                               GError **errp);

/* af_xdp_memory_free: NULL is allowed. */
void af_xdp_memory_free(AfXdpMemory *mem);

/*
 * af_xdp_memory_find: the region that holds @gpa.
 *
 * Returns its index, or -1.
 */
int af_xdp_memory_find(const AfXdpMemory *mem, uint64_t gpa);

/*
 * af_xdp_memory_at: translate a range that lies in one region.
 * @hint: index of the region of the last hit, kept by the caller, 0 at first
 *        and with each new table; updated. One per user, so that several
 *        users of a table share no cache line that is written.
 * @gpa, @len: the range; @len is not 0.
 *
 * Returns a host pointer good for @len bytes, or NULL when the range is not
 * wholly inside one region.
 */
static inline void *af_xdp_memory_at(const AfXdpMemory *mem, uint32_t *hint,
                                     uint64_t gpa, uint64_t len)
{
    const AfXdpRegion *r = &mem->region[*hint];
    uint64_t off = gpa - r->gpa;
    int i;

    /*
     * Neither comparison can overflow: below the region's start, off wraps
     * to a value past its end, because no region wraps.
     */
    if (unlikely(off >= r->size)) {
        i = af_xdp_memory_find(mem, gpa);
        if (i < 0) {
            return NULL;
        }
        *hint = i;
        r = &mem->region[i];
        off = gpa - r->gpa;
    }
    return len <= r->size - off ? r->host + off : NULL;
}

/*
 * af_xdp_memory_map: translate a range, region by region.
 * @hint: as for af_xdp_memory_at().
 * @gpa, @len: the range in bytes, any values.
 * @iov, @max: receives the pieces; NULL with any @max: only check.
 *
 * Returns the number of pieces; 0 when @len is 0, whatever @gpa is, because
 * nothing will be accessed; -EFAULT when some byte is not mapped or the range
 * passes the end of the address space; -ENOBUFS when it takes more than @max
 * pieces. On failure the contents of @iov are undefined.
 */
int af_xdp_memory_map(const AfXdpMemory *mem, uint32_t *hint, uint64_t gpa,
                      uint64_t len, struct iovec *iov, int max);

/*
 * af_xdp_memory_read: copy @len bytes at @gpa to @buf, each byte read once.
 * @hint: as for af_xdp_memory_at().
 *
 * Returns false when some byte is not mapped; @buf is undefined then.
 */
bool af_xdp_memory_read(const AfXdpMemory *mem, uint32_t *hint, uint64_t gpa,
                        void *buf, size_t len);

/*
 * af_xdp_memory_find_host: a guest-physical address of host memory.
 * @host, @len: the range, inside one region.
 * @gpa: receives the address of its first byte.
 *
 * For areas that vhost names by host address only and that must be logged,
 * such as a packed ring's descriptors. Control plane: searches all regions.
 * Returns false when the range is not inside one region.
 */
bool af_xdp_memory_find_host(const AfXdpMemory *mem, const void *host,
                             uint64_t len, uint64_t *gpa);

/* vhost's dirty log counts pages of this size, whatever the host's are. */
#define AF_XDP_LOG_PAGE_BITS 12

typedef struct AfXdpLog {
    /* The bits of all words in sequence: one per guest-physical page. */
    unsigned long *words;
    uint64_t n_words;
} AfXdpLog;

/*
 * af_xdp_log_write: mark a range of guest-physical memory as written.
 * @gpa, @len: the range in bytes, any values; @len 0 marks nothing.
 *
 * To be called after the write. Returns false when part of the range lies
 * past the end of the log or of the address space; the rest is marked.
 */
bool af_xdp_log_write(const AfXdpLog *log, uint64_t gpa, uint64_t len);

#endif /* NET_AF_XDP_MEMORY_H */
