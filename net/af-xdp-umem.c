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
    uint64_t base;              /* where in it the frames begin */
    uint32_t headroom;
    bool placed;                /* the memory is somebody else's */
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

static AfXdpUmem *umem_init(const AfXdpPlace *place, uint32_t n_rx,
                            uint32_t n_tx)
{
    uint32_t n_frames = n_rx + n_tx;
    AfXdpUmem *umem = af_xdp_lines_new0(sizeof(*umem));

    umem->area = place->area;
    umem->size = place->size;
    umem->base = place->base;
    umem->headroom = place->headroom;
    umem->n_frames = n_frames;
    umem->state = af_xdp_lines_new0(n_frames * sizeof(*umem->state));
    umem->count[AF_XDP_FRAME_FREE] = n_frames;
    pool_init(&umem->pool[AF_XDP_POOL_RX], 0, n_rx);
    pool_init(&umem->pool[AF_XDP_POOL_TX], n_rx, n_tx);
    return umem;
}

AfXdpUmem *af_xdp_umem_new(uint32_t n_rx, uint32_t n_tx, GError **errp)
{
    uint64_t n_frames = (uint64_t)n_rx + n_tx;
    AfXdpPlace place = { .size = n_frames * AF_XDP_FRAME_SIZE };

    if (n_frames == 0 || n_frames > UINT32_MAX) {
        af_xdp_error_set(errp, EINVAL, NULL,
                         "cannot make a UMEM of %" PRIu64 " frames", n_frames);
        return NULL;
    }

    place.area = mmap(NULL, place.size, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (place.area == MAP_FAILED) {
        af_xdp_error_set(errp, errno, NULL,
                         "cannot allocate a UMEM of %" PRIu64 " KiB",
                         place.size / 1024);
        return NULL;
    }
    /* Fewer TLB misses where the host can; it works without as well. */
    madvise(place.area, place.size, MADV_HUGEPAGE);
    return umem_init(&place, n_rx, n_tx);
}

AfXdpUmem *af_xdp_umem_new_at(const AfXdpPlace *place, uint32_t n_rx,
                              uint32_t n_tx)
{
    AfXdpUmem *umem = umem_init(place, n_rx, n_tx);

    umem->placed = true;
    return umem;
}

void af_xdp_umem_free(AfXdpUmem *umem)
{
    if (!umem) {
        return;
    }
    if (!umem->placed) {
        munmap(umem->area, umem->size);
    }
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

bool af_xdp_umem_is_placed(const AfXdpUmem *umem)
{
    return umem->placed;
}

uint32_t af_xdp_umem_headroom(const AfXdpUmem *umem)
{
    return umem->headroom;
}

uint32_t af_xdp_umem_rx_room(const AfXdpUmem *umem)
{
    return AF_XDP_RX_ROOM - umem->headroom;
}

/* The frame of an address as descriptors have it; not below n_frames: none. */
static inline uint64_t frame_of(const AfXdpUmem *umem, uint64_t addr)
{
    /* What is in front of the first wraps around to the largest numbers. */
    return (af_xdp_addr_data(addr) - umem->base) / AF_XDP_FRAME_SIZE;
}

bool af_xdp_umem_has(const AfXdpUmem *umem, uint64_t addr)
{
    return frame_of(umem, addr) < umem->n_frames;
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
        addrs[i] = umem->base + (uint64_t)frame * AF_XDP_FRAME_SIZE;
    }
    if (which == AF_XDP_POOL_TX && pool->n_free >= TAKE_AHEAD) {
        uint64_t next = pool->stack[pool->n_free - TAKE_AHEAD];

        __builtin_prefetch(umem->area + umem->base + next * AF_XDP_FRAME_SIZE,
                           1);
    }
    count_move(umem, AF_XDP_FRAME_FREE, to, n);
    return n;
}

void *af_xdp_umem_received(AfXdpUmem *umem, uint64_t addr, uint32_t len)
{
    uint64_t data = af_xdp_addr_data(addr);
    uint64_t frame = frame_of(umem, addr);
    uint64_t offset = data % AF_XDP_FRAME_SIZE;

    if (frame >= umem->n_frames ||
        len > AF_XDP_FRAME_SIZE - offset ||
        umem->state[frame] != AF_XDP_FRAME_FILL) {
        return NULL;
    }
    umem->state[frame] = AF_XDP_FRAME_RECEIVED;
    count_move(umem, AF_XDP_FRAME_FILL, AF_XDP_FRAME_RECEIVED, 1);
    return umem->area + data;
}

void af_xdp_umem_unreceive(AfXdpUmem *umem, uint64_t addr)
{
    uint64_t frame = frame_of(umem, addr);

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
        uint64_t frame = frame_of(umem, addrs[i]);
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

uint32_t af_xdp_umem_reclaim(AfXdpUmem *umem, const uint64_t *kept,
                             uint32_t n)
{
    FramePool *pool = &umem->pool[AF_XDP_POOL_RX];
    g_autofree bool *keep = g_new0(bool, umem->n_frames);
    uint32_t done = 0;

    for (uint32_t i = 0; i < n; i++) {
        if (af_xdp_umem_has(umem, kept[i])) {
            keep[frame_of(umem, kept[i])] = true;
        }
    }
    for (uint32_t i = pool->first; i < pool->first + pool->n_frames; i++) {
        if (umem->state[i] == AF_XDP_FRAME_FILL && !keep[i]) {
            umem->state[i] = AF_XDP_FRAME_FREE;
            pool->stack[pool->n_free++] = i;
            done++;
        }
    }
    count_move(umem, AF_XDP_FRAME_FILL, AF_XDP_FRAME_FREE, done);
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
