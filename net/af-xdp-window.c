/*
 * AF_XDP: guest RAM in one piece, for a UMEM
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <sys/mman.h>
#include <sys/stat.h>
#include "net/af-xdp-error.h"
#include "net/af-xdp-window.h"

/* A block that is mapped. */
typedef struct Mapped {
    const void *host;
    uint64_t size;
    uint64_t fd_offset;
    uint64_t page_size;
    dev_t dev;                  /* whose memory it is, as long as it lives */
    ino_t ino;
    char *at;
} Mapped;

struct AfXdpWindow {
    char *reserved;             /* all that was asked of the kernel */
    uint64_t reserved_size;
    char *area;
    uint64_t size;
    uint64_t front;
    uint64_t page_size;
    uint32_t n;
    Mapped mapped[];
};

static int by_page_size(const void *a, const void *b)
{
    const AfXdpBlock *x = a, *y = b;

    return x->page_size < y->page_size ? 1 : x->page_size > y->page_size ? -1
                                                                         : 0;
}

/* Address space for everything, with RAM aligned. */
static bool reserve(AfXdpWindow *w, uint64_t align, GError **errp)
{
    uint64_t ram;

    w->reserved_size = w->size + align;
    w->reserved = mmap(NULL, w->reserved_size, PROT_NONE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (w->reserved == MAP_FAILED) {
        w->reserved = NULL;
        af_xdp_error_set(errp, errno, NULL,
                         "no address space for a window of %" PRIu64 " MiB",
                         w->size >> 20);
        return false;
    }
    ram = ROUND_UP((uintptr_t)w->reserved + w->front, align);
    w->area = (char *)(uintptr_t)(ram - w->front);
    return true;
}

static bool map_front(AfXdpWindow *w, GError **errp)
{
    if (w->front > 0 &&
        mmap(w->area, w->front, PROT_READ | PROT_WRITE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED) {
        af_xdp_error_set(errp, errno, NULL,
                         "cannot allocate %" PRIu64 " KiB for frames",
                         w->front >> 10);
        return false;
    }
    return true;
}

static bool map_block(AfXdpWindow *w, char *at, const AfXdpBlock *block,
                      GError **errp)
{
    Mapped *m = &w->mapped[w->n];
    struct stat st;

    if (fstat(block->fd, &st) < 0 ||
        mmap(at, block->size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
             block->fd, block->fd_offset) == MAP_FAILED) {
        af_xdp_error_set(errp, errno, NULL,
                         "cannot map guest RAM '%s' a second time",
                         block->name);
        return false;
    }
    *m = (Mapped) {
        .host = block->host,
        .size = block->size,
        .fd_offset = block->fd_offset,
        .page_size = block->page_size,
        .dev = st.st_dev,
        .ino = st.st_ino,
        .at = at,
    };
    w->n++;
    return true;
}

AfXdpWindow *af_xdp_window_new(const AfXdpBlock *blocks, uint32_t n,
                               uint64_t front, GError **errp)
{
    g_autofree AfXdpBlock *sorted = g_new(AfXdpBlock, n);
    AfXdpWindow *w = g_malloc0(sizeof(*w) + n * sizeof(w->mapped[0]));
    uint32_t n_shared = 0;
    char *at;

    w->front = front;
    w->size = front;
    for (uint32_t i = 0; i < n; i++) {
        if (blocks[i].fd >= 0) {
            w->size += blocks[i].size;
            sorted[n_shared++] = blocks[i];
        }
    }
    if (n_shared == 0) {
        af_xdp_error_set(errp, EINVAL, NULL, "no guest RAM is shared");
        goto fail;
    }
    qsort(sorted, n_shared, sizeof(sorted[0]), by_page_size);
    w->page_size = sorted[n_shared - 1].page_size;
    if (!reserve(w, sorted[0].page_size, errp) || !map_front(w, errp)) {
        goto fail;
    }
    at = w->area + front;
    for (uint32_t i = 0; i < n_shared; i++) {
        if (!map_block(w, at, &sorted[i], errp)) {
            goto fail;
        }
        at += sorted[i].size;
    }
    /* As QEMU has its guest's RAM; a child has no use for either. */
    madvise(w->area, w->size, MADV_DONTFORK);
    madvise(w->area, w->size, MADV_DONTDUMP);
    return w;

fail:
    af_xdp_window_free(w);
    return NULL;
}

void af_xdp_window_free(AfXdpWindow *w)
{
    if (!w) {
        return;
    }
    if (w->reserved) {
        munmap(w->reserved, w->reserved_size);
    }
    g_free(w);
}

static const Mapped *find(const AfXdpWindow *w, const AfXdpBlock *block)
{
    struct stat st;

    if (block->fd < 0 || fstat(block->fd, &st) < 0) {
        return NULL;
    }
    for (uint32_t i = 0; i < w->n; i++) {
        const Mapped *m = &w->mapped[i];

        if (m->host == block->host && m->size == block->size &&
            m->fd_offset == block->fd_offset &&
            m->dev == st.st_dev && m->ino == st.st_ino) {
            return m;
        }
    }
    return NULL;
}

void *af_xdp_window_find(const AfXdpWindow *w, const AfXdpBlock *block)
{
    const Mapped *m = find(w, block);

    return m ? m->at : NULL;
}

bool af_xdp_window_matches(const AfXdpWindow *w, const AfXdpBlock *blocks,
                           uint32_t n)
{
    uint32_t n_shared = 0;

    for (uint32_t i = 0; i < n; i++) {
        if (blocks[i].fd >= 0) {
            n_shared++;
            if (!find(w, &blocks[i])) {
                return false;
            }
        }
    }
    return n_shared == w->n;
}

void *af_xdp_window_area(const AfXdpWindow *w)
{
    return w->area;
}

uint64_t af_xdp_window_size(const AfXdpWindow *w)
{
    return w->size;
}

uint64_t af_xdp_window_front(const AfXdpWindow *w)
{
    return w->front;
}

uint64_t af_xdp_window_page_size(const AfXdpWindow *w)
{
    return w->page_size;
}
