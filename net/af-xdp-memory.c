/*
 * AF_XDP: the guest's memory as a vhost backend sees it
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "net/af-xdp-error.h"
#include "net/af-xdp-memory.h"

#define LOG_WORD_BITS (8 * sizeof(unsigned long))

static int compare_regions(const void *a, const void *b)
{
    uint64_t ga = ((const AfXdpRegion *)a)->gpa;
    uint64_t gb = ((const AfXdpRegion *)b)->gpa;

    return ga < gb ? -1 : ga > gb;
}

AfXdpMemory *af_xdp_memory_new(const AfXdpRegion *regions, uint32_t n,
                               GError **errp)
{
    /* Room for one at least, so that a hint of 0 always names a region. */
    AfXdpMemory *mem = g_malloc0(sizeof(*mem) +
                                 MAX(n, 1) * sizeof(mem->region[0]));

    mem->n = n;
    if (n > 0) {
        memcpy(mem->region, regions, n * sizeof(*regions));
        qsort(mem->region, n, sizeof(*regions), compare_regions);
    }
    for (uint32_t i = 0; i < n; i++) {
        const AfXdpRegion *r = &mem->region[i];
        const char *what = NULL;

        if (r->size == 0) {
            what = "is empty";
        } else if (r->gpa + (r->size - 1) < r->gpa ||
                   (uintptr_t)r->host + (r->size - 1) < (uintptr_t)r->host) {
            what = "passes the end of the address space";
        } else if (i > 0 && r->gpa - r[-1].gpa < r[-1].size) {
            what = "overlaps the one before it";
        }
        if (what) {
            af_xdp_error_set(errp, EINVAL, NULL,
                             "memory region at 0x%" PRIx64 ", size 0x%" PRIx64
                             ", %s", r->gpa, r->size, what);
            af_xdp_memory_free(mem);
            return NULL;
        }
    }
    return mem;
}

void af_xdp_memory_free(AfXdpMemory *mem)
{
    g_free(mem);
}

int af_xdp_memory_find(const AfXdpMemory *mem, uint64_t gpa)
{
    uint32_t low = 0, high = mem->n;

    /* The answer, if there is one, is in [low, high). */
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        const AfXdpRegion *r = &mem->region[mid];

        if (gpa < r->gpa) {
            high = mid;
        } else if (gpa - r->gpa < r->size) {
            return mid;
        } else {
            low = mid + 1;
        }
    }
    return -1;
}

int af_xdp_memory_map(const AfXdpMemory *mem, uint32_t *hint, uint64_t gpa,
                      uint64_t len, struct iovec *iov, int max)
{
    const AfXdpRegion *r, *end = &mem->region[mem->n];
    uint64_t off;
    int i, n = 0;

    if (len == 0) {
        return 0;
    }
    if (gpa + (len - 1) < gpa) {
        return -EFAULT;
    }
    i = af_xdp_memory_find(mem, gpa);
    if (i < 0) {
        return -EFAULT;
    }
    *hint = i;
    off = gpa - mem->region[i].gpa;
    /* Regions are sorted: what follows gaplessly is the next one. */
    for (r = &mem->region[i]; ; r++, off = 0) {
        uint64_t piece = MIN(len, r->size - off);

        if (iov) {
            if (n == max) {
                return -ENOBUFS;
            }
            iov[n].iov_base = r->host + off;
            iov[n].iov_len = piece;
        }
        n++;
        len -= piece;
        if (len == 0) {
            return n;
        }
        gpa += piece;
        if (r + 1 == end || r[1].gpa != gpa) {
            return -EFAULT;
        }
    }
}

bool af_xdp_memory_read(const AfXdpMemory *mem, uint32_t *hint, uint64_t gpa,
                        void *buf, size_t len)
{
    uint8_t *to = buf;

    while (len > 0) {
        const uint8_t *from = af_xdp_memory_at(mem, hint, gpa, 1);

        if (!from) {
            return false;
        }
        /* Atomic: the guest may write it now, and may not be asked twice. */
        *to++ = __atomic_load_n(from, __ATOMIC_RELAXED);
        len--;
        if (++gpa == 0 && len > 0) {
            return false;
        }
    }
    return true;
}

bool af_xdp_memory_find_host(const AfXdpMemory *mem, const void *host,
                             uint64_t len, uint64_t *gpa)
{
    for (uint32_t i = 0; i < mem->n; i++) {
        const AfXdpRegion *r = &mem->region[i];
        uint64_t off = (uintptr_t)host - (uintptr_t)r->host;

        if (off < r->size && len <= r->size - off) {
            *gpa = r->gpa + off;
            return true;
        }
    }
    return false;
}

bool af_xdp_log_write(const AfXdpLog *log, uint64_t gpa, uint64_t len)
{
    uint64_t page, last, n_pages = log->n_words * LOG_WORD_BITS;
    bool whole = true;

    if (len == 0) {
        return true;
    }
    /* CVE-2019-14835's class: the end is checked before anything is set. */
    last = gpa + (len - 1);
    if (last < gpa) {
        last = UINT64_MAX;
        whole = false;
    }
    page = gpa >> AF_XDP_LOG_PAGE_BITS;
    last >>= AF_XDP_LOG_PAGE_BITS;
    if (page >= n_pages) {
        return false;
    }
    if (last >= n_pages) {
        last = n_pages - 1;
        whole = false;
    }
    while (page <= last) {
        uint64_t word = page / LOG_WORD_BITS;
        unsigned int from = page % LOG_WORD_BITS;
        unsigned int n = MIN(last - page + 1, LOG_WORD_BITS - from);
        unsigned long mask = (~0UL >> (LOG_WORD_BITS - n)) << from;

        /*
         * Pairs with the exchange by which the migration code takes the word
         * before it reads the pages: it either sees what was written, or the
         * bit stays for the next round. Testing the bit first to save the
         * locked instruction would need a full barrier to keep that.
         */
        __atomic_fetch_or(&log->words[word], mask, __ATOMIC_RELEASE);
        page += n;
    }
    return whole;
}
