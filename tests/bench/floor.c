/*
 * Benchmark: the floor
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_link.h>
#include <linux/if_xdp.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include <xdp/xsk.h>
#include "frame.h"
#include "floor.h"
#include "net/af-xdp-uapi.h"
#include "wire-bpf.h"

#define FRAME 4096u
#define RING 2048u
#define TX_RING 1024u
#define FRAMES (RING + TX_RING)
#define TX_SNDBUF (8 << 20)

typedef struct FloorQueue {
    struct xsk_ring_prod fill;
    struct xsk_ring_cons rx;
    struct xsk_ring_prod tx;
    struct xsk_ring_cons comp;
    struct xsk_umem *umem;
    struct xsk_socket *xsk;
    uint8_t *mem;
    int fd;
    unsigned tx_free;       /* frames that may be sent from, a stack */
    uint64_t tx_frames[TX_RING];
    uint64_t kicks;
} __attribute__((aligned(128))) FloorQueue;

typedef struct Floor {
    AxbEndpoint ep;
    unsigned queues;
    uint32_t len;
    unsigned pieces;        /* descriptors for a sent frame */
    int map;
    int link;
    FloorQueue *q;
} Floor;

static unsigned floor_rx(AxbEndpoint *ep, unsigned queue, unsigned max,
                         AxbRxFn *fn, void *opaque)
{
    Floor *f = axb_container_of(ep, Floor, ep);
    FloorQueue *q = &f->q[queue];
    uint32_t at, to;
    unsigned n = xsk_ring_cons__peek(&q->rx, max, &at);
    struct iovec iov[AXB_RX_PIECES];
    unsigned pieces = 0, frames = 0, take = 0;
    uint32_t len = 0;

    if (!n) {
        return 0;
    }
    for (unsigned i = 0; i < n; i++) {
        const struct xdp_desc *d = xsk_ring_cons__rx_desc(&q->rx, at + i);

        iov[pieces].iov_base = q->mem + d->addr;
        iov[pieces].iov_len = d->len;
        len += d->len;
        pieces++;
        if (!(d->options & XDP_PKT_CONTD) || pieces == AXB_RX_PIECES) {
            fn(opaque, iov, pieces, len);
            frames++;
            pieces = len = 0;
            take = i + 1;
        }
    }
    /* The rest of a frame cut off by @max is for the next time. */
    xsk_ring_cons__cancel(&q->rx, n - take);

    /* As many entries as frames exist: there is always room. */
    take = xsk_ring_prod__reserve(&q->fill, take, &to);
    for (unsigned i = 0; i < take; i++) {
        *xsk_ring_prod__fill_addr(&q->fill, to + i) =
            xsk_ring_cons__rx_desc(&q->rx, at + i)->addr & ~(FRAME - 1ull);
    }
    xsk_ring_prod__submit(&q->fill, take);
    xsk_ring_cons__release(&q->rx, take);
    return frames;
}

/* Frames that were sent are free again with their last piece. */
static void tx_reclaim(Floor *f, FloorQueue *q)
{
    uint32_t at;
    unsigned n = xsk_ring_cons__peek(&q->comp, TX_RING, &at);

    for (unsigned i = 0; i < n; i++) {
        uint64_t chunk = *xsk_ring_cons__comp_addr(&q->comp, at + i) / FRAME;

        if ((chunk - RING) % f->pieces == f->pieces - 1) {
            q->tx_frames[q->tx_free++] = (chunk - (f->pieces - 1)) * FRAME;
        }
    }
    xsk_ring_cons__release(&q->comp, n);
}

static unsigned floor_tx(AxbEndpoint *ep, unsigned queue, unsigned n,
                         uint64_t seq, uint64_t time)
{
    Floor *f = axb_container_of(ep, Floor, ep);
    FloorQueue *q = &f->q[queue];
    uint32_t at = 0;

    tx_reclaim(f, q);
    n = MIN(n, q->tx_free);
    /* There are no more frames than fit the ring. */
    xsk_ring_prod__reserve(&q->tx, n * f->pieces, &at);
    for (unsigned i = 0; i < n; i++) {
        uint64_t addr = q->tx_frames[--q->tx_free];

        axb_frame_set_word(q->mem + addr, AXB_OFF_SEQ, seq + i);
        axb_frame_set_word(q->mem + addr, AXB_OFF_TIME, time);
        for (uint32_t sent = 0; sent < f->len; sent += FRAME) {
            struct xdp_desc *d = xsk_ring_prod__tx_desc(&q->tx, at++);
            uint32_t left = f->len - sent;

            d->addr = addr + sent;
            d->len = MIN(left, FRAME);
            d->options = left > FRAME ? XDP_PKT_CONTD : 0;
        }
    }
    xsk_ring_prod__submit(&q->tx, n * f->pieces);
    if (q->tx_free < TX_RING / f->pieces) {
        q->kicks++;
        sendto(q->fd, NULL, 0, MSG_DONTWAIT, NULL, 0);
    }
    return n;
}

static uint64_t floor_kicks(AxbEndpoint *ep)
{
    Floor *f = axb_container_of(ep, Floor, ep);
    uint64_t sum = 0;

    for (unsigned i = 0; i < f->queues; i++) {
        sum += f->q[i].kicks;
    }
    return sum;
}

static void floor_free(AxbEndpoint *ep)
{
    Floor *f = axb_container_of(ep, Floor, ep);

    for (unsigned i = 0; i < f->queues; i++) {
        FloorQueue *q = &f->q[i];

        if (q->xsk) {
            xsk_socket__delete(q->xsk);
        }
        if (q->umem) {
            xsk_umem__delete(q->umem);
        }
        if (q->mem && q->mem != MAP_FAILED) {
            munmap(q->mem, (size_t)FRAMES * FRAME);
        }
    }
    if (f->link >= 0) {
        close(f->link);
    }
    if (f->map >= 0) {
        close(f->map);
    }
    free(f->q);
    g_free(f);
}

static void prepare_memory(Floor *f, FloorQueue *q)
{
    uint32_t at = 0;

    for (unsigned i = 0; i < TX_RING / f->pieces; i++) {
        uint64_t addr = (uint64_t)(RING + i * f->pieces) * FRAME;

        axb_frame_fill(q->mem + addr, f->len);
        q->tx_frames[q->tx_free++] = addr;
    }
    xsk_ring_prod__reserve(&q->fill, RING, &at);
    for (unsigned i = 0; i < RING; i++) {
        *xsk_ring_prod__fill_addr(&q->fill, at + i) = (uint64_t)i * FRAME;
    }
    xsk_ring_prod__submit(&q->fill, RING);
}

static int open_queue(Floor *f, const char *ifname, unsigned i)
{
    FloorQueue *q = &f->q[i];
    struct xsk_umem_config umem = {
        .fill_size = RING,
        .comp_size = TX_RING,
        .frame_size = FRAME,
    };
    struct xsk_socket_config config = {
        .rx_size = RING,
        .tx_size = TX_RING,
        .libxdp_flags = XSK_LIBXDP_FLAGS__INHIBIT_PROG_LOAD,
        .bind_flags = XDP_COPY | (f->pieces > 1 ? XDP_USE_SG : 0),
    };
    int budget = TX_RING, sndbuf = TX_SNDBUF;
    uint32_t key = i;
    int ret;

    q->mem = mmap(NULL, (size_t)FRAMES * FRAME, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (q->mem == MAP_FAILED) {
        return -errno;
    }
    ret = xsk_umem__create(&q->umem, q->mem, (uint64_t)FRAMES * FRAME,
                           &q->fill, &q->comp, &umem);
    if (!ret) {
        ret = xsk_socket__create(&q->xsk, ifname, i, q->umem, &q->rx, &q->tx,
                                 &config);
    }
    if (ret) {
        return ret;
    }
    q->fd = xsk_socket__fd(q->xsk);
    setsockopt(q->fd, SOL_XDP, XDP_MAX_TX_SKB_BUDGET, &budget,
               sizeof(budget));
    setsockopt(q->fd, SOL_SOCKET, SO_SNDBUFFORCE, &sndbuf, sizeof(sndbuf));
    prepare_memory(f, q);
    return bpf_map_update_elem(f->map, &key, &q->fd, 0) ? -errno : 0;
}

static int attach(Floor *f, const char *ifname, GError **errp)
{
    LIBBPF_OPTS(bpf_link_create_opts, opts, .flags = XDP_FLAGS_DRV_MODE);
    int prog = axb_bpf_load_socket(f->map, errp);

    if (prog < 0) {
        return -1;
    }
    f->link = bpf_link_create(prog, if_nametoindex(ifname), BPF_XDP, &opts);
    if (f->link < 0) {
        g_set_error(errp, G_FILE_ERROR, g_file_error_from_errno(errno),
                    "attaching to %s: %s", ifname, g_strerror(errno));
    }
    close(prog);
    return f->link < 0 ? -1 : 0;
}

AxbEndpoint *axb_floor_new(const char *ifname, unsigned queues, uint32_t len,
                           GError **errp)
{
    struct rlimit unlimited = { RLIM_INFINITY, RLIM_INFINITY };
    Floor *f = g_new0(Floor, 1);

    f->queues = queues;
    f->len = len;
    f->pieces = (len + FRAME - 1) / FRAME;
    f->map = f->link = -1;
    f->q = aligned_alloc(128, queues * sizeof(*f->q));
    memset(f->q, 0, queues * sizeof(*f->q));
    f->ep.rx = floor_rx;
    f->ep.tx = floor_tx;
    f->ep.kicks = floor_kicks;
    f->ep.free = floor_free;

    setrlimit(RLIMIT_MEMLOCK, &unlimited);
    f->map = bpf_map_create(BPF_MAP_TYPE_XSKMAP, "axb_xsk", 4, 4, queues,
                            NULL);
    for (unsigned i = 0; i < queues; i++) {
        int ret = f->map < 0 ? -errno : open_queue(f, ifname, i);

        if (ret) {
            g_set_error(errp, G_FILE_ERROR, g_file_error_from_errno(-ret),
                        "AF_XDP socket: %s", g_strerror(-ret));
            floor_free(&f->ep);
            return NULL;
        }
    }
    if (attach(f, ifname, errp)) {
        floor_free(&f->ep);
        return NULL;
    }
    return &f->ep;
}
