/*
 * AF_XDP: UMEM memory and the accounting of its frames
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <sys/mman.h>
#include "net/af-xdp-error.h"
#include "net/af-xdp-lines.h"
#include "net/af-xdp-umem.h"

/*
 * Taken so long before it is written, a frame arrives in the cache in time:
 * as many packets as take the latency of memory.
 */
#define TAKE_AHEAD 8

typedef struct FramePool {
    uint32_t *stack;            /* free frames, the top was freed last */
    uint32_t n_free;
    uint32_t first;             /* the pool's frames are contiguous */
    uint32_t n_frames;
} FramePool;

struct AfXdpUmem {
    char *area;
    uint64_t size;
    FramePool pool[AF_XDP_POOL__MAX];
    uint32_t n_frames;
    uint32_t count[AF_XDP_FRAME__MAX];
    uint8_t *state;             /* AfXdpFrameState, by frame */
};

static void pool_init(FramePool *pool, uint32_t first, uint32_t n_frames)
{
    pool->first = first;
    pool->n_frames = n_frames;
    pool->n_free = n_frames;
    pool->stack = af_xdp_lines_new0(n_frames * sizeof(*pool->stack));
    for (uint32_t i = 0; i < n_frames; i++) {
        /* The top of the stack is the lowest frame. */
        pool->stack[i] = first + n_frames - 1 - i;
    }
}

AfXdpUmem *af_xdp_umem_new(uint32_t n_rx, uint32_t n_tx, GError **errp)
{
    uint64_t n_frames = (uint64_t)n_rx + n_tx;
    uint64_t size = n_frames * AF_XDP_FRAME_SIZE;
    AfXdpUmem *umem;
    void *area;

    if (n_frames == 0 || n_frames > UINT32_MAX) {
        af_xdp_error_set(errp, EINVAL, NULL,
                         "cannot make a UMEM of %" PRIu64 " frames", n_frames);
        return NULL;
    }

    area = mmap(NULL, size, PROT_READ | PROT_WRITE,
                MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (area == MAP_FAILED) {
        af_xdp_error_set(errp, errno, NULL,
                         "cannot allocate a UMEM of %" PRIu64 " KiB",
                         size / 1024);
        return NULL;
    }
    /* Fewer TLB misses where the host can; it works without as well. */
    madvise(area, size, MADV_HUGEPAGE);

    umem = af_xdp_lines_new0(sizeof(*umem));
    umem->area = area;
    umem->size = size;
    umem->n_frames = n_frames;
    umem->state = af_xdp_lines_new0(n_frames * sizeof(*umem->state));
    umem->count[AF_XDP_FRAME_FREE] = n_frames;
    pool_init(&umem->pool[AF_XDP_POOL_RX], 0, n_rx);
    pool_init(&umem->pool[AF_XDP_POOL_TX], n_rx, n_tx);
    return umem;
}

void af_xdp_umem_free(AfXdpUmem *umem)
{
    if (!umem) {
        return;
    }
    munmap(umem->area, umem->size);
    for (int i = 0; i < AF_XDP_POOL__MAX; i++) {
        free(umem->pool[i].stack);
    }
    free(umem->state);
    free(umem);
}

void *af_xdp_umem_area(const AfXdpUmem *umem)
{
    return umem->area;
}

uint64_t af_xdp_umem_size(const AfXdpUmem *umem)
{
    return umem->size;
}

/* Every frame is somewhere, and only once. */
static void assert_sums(const AfXdpUmem *umem)
{
#ifdef AF_XDP_DEBUG
    uint64_t sum = 0;

    for (int i = 0; i < AF_XDP_FRAME__MAX; i++) {
        sum += umem->count[i];
    }
    g_assert(sum == umem->n_frames);
    g_assert(umem->count[AF_XDP_FRAME_FREE] ==
             umem->pool[AF_XDP_POOL_RX].n_free +
             umem->pool[AF_XDP_POOL_TX].n_free);
#endif
}

/* @n frames have changed their state. */
static void count_move(AfXdpUmem *umem, AfXdpFrameState from,
                       AfXdpFrameState to, uint32_t n)
{
    umem->count[from] -= n;
    umem->count[to] += n;
    assert_sums(umem);
}

uint32_t af_xdp_umem_take(AfXdpUmem *umem, AfXdpPool which,
                          uint64_t *addrs, uint32_t n)
{
    FramePool *pool = &umem->pool[which];
    AfXdpFrameState to = which == AF_XDP_POOL_RX ? AF_XDP_FRAME_FILL
                                                 : AF_XDP_FRAME_TX;

    n = MIN(n, pool->n_free);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t frame = pool->stack[--pool->n_free];

        umem->state[frame] = to;
        addrs[i] = (uint64_t)frame * AF_XDP_FRAME_SIZE;
    }
    if (which == AF_XDP_POOL_TX && pool->n_free >= TAKE_AHEAD) {
        uint64_t next = pool->stack[pool->n_free - TAKE_AHEAD];

        __builtin_prefetch(umem->area + next * AF_XDP_FRAME_SIZE, 1);
    }
    count_move(umem, AF_XDP_FRAME_FREE, to, n);
    return n;
}

void *af_xdp_umem_received(AfXdpUmem *umem, uint64_t addr, uint32_t len)
{
    uint64_t frame = addr / AF_XDP_FRAME_SIZE;
    uint64_t offset = addr % AF_XDP_FRAME_SIZE;

    if (frame >= umem->n_frames ||
        len > AF_XDP_FRAME_SIZE - offset ||
        umem->state[frame] != AF_XDP_FRAME_FILL) {
        return NULL;
    }
    umem->state[frame] = AF_XDP_FRAME_RECEIVED;
    count_move(umem, AF_XDP_FRAME_FILL, AF_XDP_FRAME_RECEIVED, 1);
    return umem->area + addr;
}

void af_xdp_umem_unreceive(AfXdpUmem *umem, uint64_t addr)
{
    uint64_t frame = addr / AF_XDP_FRAME_SIZE;

    if (frame < umem->n_frames &&
        umem->state[frame] == AF_XDP_FRAME_RECEIVED) {
        umem->state[frame] = AF_XDP_FRAME_FILL;
        count_move(umem, AF_XDP_FRAME_RECEIVED, AF_XDP_FRAME_FILL, 1);
    }
}

uint32_t af_xdp_umem_put(AfXdpUmem *umem, const uint64_t *addrs, uint32_t n,
                         AfXdpFrameState from)
{
    uint32_t done = 0;

    if (from == AF_XDP_FRAME_FREE) {
        return 0;
    }
    for (uint32_t i = 0; i < n; i++) {
        uint64_t frame = addrs[i] / AF_XDP_FRAME_SIZE;
        FramePool *pool;

        if (frame >= umem->n_frames || umem->state[frame] != from) {
            continue;
        }
        pool = &umem->pool[frame < umem->pool[AF_XDP_POOL_TX].first ?
                           AF_XDP_POOL_RX : AF_XDP_POOL_TX];
        umem->state[frame] = AF_XDP_FRAME_FREE;
        pool->stack[pool->n_free++] = frame;
        done++;
    }
    count_move(umem, from, AF_XDP_FRAME_FREE, done);
    return done;
}

uint32_t af_xdp_umem_count(const AfXdpUmem *umem, AfXdpFrameState state)
{
    return umem->count[state];
}

uint32_t af_xdp_umem_available(const AfXdpUmem *umem, AfXdpPool pool)
{
    return umem->pool[pool].n_free;
}
