/*
 * AF_XDP: packets that are sent from guest memory
 *
 * In copy mode the kernel copies a packet into an skb while it takes it from
 * the tx ring, in the system call; so buffers go back right after that. It
 * copies each piece into a page of its own behind the first, which costs more
 * than putting a small packet together here. In driver zero-copy buffers go
 * back when the device says so.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <net/ethernet.h>
#include "net/af-xdp-datapath-int.h"
#include "net/af-xdp-lines.h"

/* Add the memory at @p to @spans. Returns false if it cannot be sent. */
static bool add_spans(const AfXdpDatapath *dp, const char *p, uint64_t len,
                      AfXdpSpan *spans, uint32_t *n, uint32_t max)
{
    const AfXdpDirectConfig *direct = &dp->direct;
    uint64_t at = (uint64_t)((uintptr_t)p - (uintptr_t)direct->area);

    if (at < direct->front || at >= direct->size) {
        return false;
    }
    while (len > 0) {
        uint32_t piece = MIN(len, AF_XDP_FRAME_SIZE);

        if (*n == max || !direct_in_page(direct, at, piece)) {
            return false;
        }
        spans[(*n)++] = (AfXdpSpan) { .addr = at, .len = piece };
        at += piece;
        len -= piece;
    }
    return true;
}

/*
 * The pieces of a packet without its header: their number, or 0 if it is to
 * be copied.
 */
static uint32_t collect(AfXdpDatapath *dp, const AfXdpVringElem *elem,
                        AfXdpSpan *spans)
{
    uint32_t max = af_xdp_copy_socket(dp->copy)->max_tx_segs;
    uint64_t skip = dp->hdr_len;
    uint32_t n = 0;

    for (uint32_t i = 0; i < elem->n_iov; i++) {
        uint64_t len = elem->iov[i].iov_len;

        if (skip >= len) {
            skip -= len;
            continue;
        }
        if (!add_spans(dp, (const char *)elem->iov[i].iov_base + skip,
                       len - skip, spans, &n, MIN(max, AF_XDP_MAX_SEGS))) {
            if (n < max) {
                dp->stats.tx_outside++;
            } else {
                dp->stats.tx_pieces++;
            }
            return 0;
        }
        skip = 0;
        if (n > 1 && elem->len - dp->hdr_len <= AF_XDP_FRAME_SIZE) {
            /* All of it fits one frame. */
            dp->stats.tx_pieces++;
            return 0;
        }
    }
    return n;
}

bool direct_tx_send(AfXdpDatapath *dp, const AfXdpVringElem *elem,
                    AfXdpTxResult *result)
{
    DirectTx *d = &dp->tx_direct;
    AfXdpSpan spans[AF_XDP_MAX_SEGS] AF_XDP_UNINITIALIZED;
    uint64_t size = elem->len - dp->hdr_len;
    uint32_t n;

    /* Too short is for who counts it; there is always a place in the fifo. */
    if (unlikely(size < ETH_HLEN)) {
        return false;
    }
    n = collect(dp, elem, spans);
    if (unlikely(n == 0)) {
        return false;
    }
    *result = af_xdp_copy_tx_outside(dp->copy, spans, n, size);
    if (*result == AF_XDP_TX_QUEUED) {
        d->fifo[d->tail++ & d->mask] = (DirectSent) {
            .end = af_xdp_copy_tx_queued(dp->copy),
            .chain = held_chain(&dp->tx_held),
        };
        dp->stats.tx_direct++;
    }
    return true;
}

bool direct_tx_reap(AfXdpDatapath *dp)
{
    DirectTx *d = &dp->tx_direct;
    uint32_t taken = af_xdp_copy_tx_taken(dp->copy);

    while (d->head != d->tail) {
        const DirectSent *sent = &d->fifo[d->head & d->mask];

        if ((int32_t)(taken - sent->end) < 0) {
            return true;
        }
        af_xdp_vring_push_id(dp->tx, sent->chain.id, sent->chain.n_slots, 0);
        d->head++;
    }
    return false;
}

void direct_tx_begin(AfXdpDatapath *dp)
{
    DirectTx *d = &dp->tx_direct;
    uint32_t size = 1u << g_bit_storage(af_xdp_vring_size(dp->tx) - 1);

    memset(d, 0, sizeof(*d));
    d->fifo = af_xdp_lines_new0(size * sizeof(*d->fifo));
    d->mask = size - 1;
}

void direct_tx_end(AfXdpDatapath *dp)
{
    DirectTx *d = &dp->tx_direct;
    uint32_t n = d->tail - d->head;
    g_autofree DirectChain *chains = g_new(DirectChain, n);

    for (uint32_t i = 0; i < n; i++) {
        chains[i] = d->fifo[(d->head + i) & d->mask].chain;
    }
    /* A device may have sent what it has: once is enough. */
    dp->stats.tx_lost += direct_give_back(dp->tx, &dp->tx_held, chains, n,
                                          !dp->direct.page_size);
    free(d->fifo);
    memset(d, 0, sizeof(*d));
}
