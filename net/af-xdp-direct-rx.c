/*
 * AF_XDP: receive buffers of the guest that the kernel fills itself
 *
 * The kernel puts a packet at a fixed distance behind the address that was
 * posted. So that address is chosen such that the packet comes to lie right
 * behind the place of its virtio header; what is in front of it is never
 * written in copy mode.
 *
 *     posted              + AF_XDP_RX_HEADROOM + headroom
 *       |                                  |
 *       |                        | header  | data ...             |
 *       |                        ^ guest's buffer                 ^
 *       |<------------------ AF_XDP_FRAME_SIZE ------------>|
 *
 * A packet in several buffers (multi-buffer, mergeable) has that gap before
 * each of its parts, but only the first has a header to fill it. The guest
 * reads the parts as one, so the end of each part moves into the next gap:
 *
 *     header | AAAAAAAAAaaa       ->   header | AAAAAAAAA
 *      (gap) | BBBBBBBBBbbb       ->      aaa | BBBBBBBBB
 *      (gap) | CCC                ->      bbb | CCC
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "net/af-xdp-datapath-int.h"
#include "net/af-xdp-lines.h"

/*
 * Buffers that make a short burst: when fewer are posted, frames are, too. Of
 * a short ring a quarter. The guest is asked for more when less than half of
 * its ring is posted.
 */
#define FEW BURST

/*
 * Frames posted while the guest has such buffers as cannot be posted: packets
 * that may wait for it. While it has none, fewer: no buffer is posted before
 * these are used up, and a guest that is slow would never get that far.
 */
#define FRAMES (AF_XDP_COPY_RING / 4)
#define FRAMES_ALONE BURST

/*
 * As many at most as leave room for the frames: a buffer that the kernel finds
 * no place for in the rx ring it keeps, and it may fill it after a stop.
 */
#define MOST (AF_XDP_COPY_RING - FRAMES)

/* The longest packet that can be put together. */
#define SCRATCH (AF_XDP_MAX_SEGS * AF_XDP_FRAME_SIZE)

/* --- Which buffers can be posted --- */

/* Does the chain have room for header and data, each in one piece? */
static inline DirectFit find_pieces(const AfXdpDatapath *dp,
                                    const AfXdpVringElem *elem, DirectBuf *buf)
{
    const struct iovec *iov = elem->iov;
    const uint32_t hdr_len = dp->hdr_len;

    if (unlikely(elem->n_iov == 0)) {
        return FIT_CHAIN;
    }
    buf->header = iov[0].iov_base;
    buf->header_gpa = elem->gpa[0];
    if (likely(iov[0].iov_len >= hdr_len + dp->direct.room)) {
        buf->data = buf->header + hdr_len;
        buf->data_gpa = buf->header_gpa + hdr_len;
        buf->data_len = MIN(iov[0].iov_len - hdr_len, UINT32_MAX);
        return FIT_OK;
    }
    if (elem->n_iov == 1) {
        return FIT_SHORT;
    }
    /* The header has a piece of its own. */
    if (iov[0].iov_len != hdr_len || iov[1].iov_len < dp->direct.room) {
        return FIT_CHAIN;
    }
    buf->data = iov[1].iov_base;
    buf->data_gpa = elem->gpa[1];
    buf->data_len = MIN(iov[1].iov_len, UINT32_MAX);
    return FIT_OK;
}

/* See whether a chain can be posted, and fill in @buf if so. */
static inline DirectFit fit(const AfXdpDatapath *dp,
                            const AfXdpVringElem *elem, DirectBuf *buf)
{
    const AfXdpDirectConfig *direct = &dp->direct;
    const uint32_t gap = AF_XDP_RX_HEADROOM + direct->headroom;
    DirectFit why = find_pieces(dp, elem, buf);
    uint64_t at;

    if (unlikely(why != FIT_OK)) {
        return why;
    }
    if (unlikely(!direct->rx)) {
        return FIT_CHAIN;
    }
    /*
     * A device may write in front of the data: virtio_net does, a header of
     * its own. There must be the guest's, and as long.
     */
    if (direct->page_size &&
        buf->data != buf->header + sizeof(struct virtio_net_hdr_mrg_rxbuf)) {
        return FIT_CHAIN;
    }
    at = (uint64_t)((uintptr_t)buf->data - (uintptr_t)direct->area);
    /* In front of the area it wraps around to large numbers. */
    if (unlikely(at >= direct->size || at < direct->front + gap ||
                 at - gap > direct->size - AF_XDP_FRAME_SIZE)) {
        return FIT_OUTSIDE;
    }
    at -= gap;
    if (unlikely(!direct_in_page(direct, at, AF_XDP_FRAME_SIZE))) {
        return FIT_PAGE;
    }
    buf->addr = at;
    return FIT_OK;
}

void direct_rx_copied(AfXdpDatapath *dp)
{
    switch (dp->rx_direct.why) {
    case FIT_SHORT:
        dp->stats.rx_short++;
        break;
    case FIT_CHAIN:
        dp->stats.rx_chain++;
        break;
    case FIT_OUTSIDE:
        dp->stats.rx_outside++;
        break;
    case FIT_PAGE:
        dp->stats.rx_page++;
        break;
    default:
        dp->stats.rx_early++;
        break;
    }
}

/* --- What is posted --- */

static inline DirectBuf *entry(DirectRx *d, uint32_t i)
{
    return &d->fifo[i & d->mask];
}

/* Close the gaps that were left by what was taken out of the order. */
static G_GNUC_NO_INLINE void compact(DirectRx *d)
{
    uint32_t to = d->head, next = d->head;

    for (uint32_t i = d->head; i != d->tail; i++) {
        if (i == d->next) {
            next = to;
        }
        if (entry(d, i)->addr != DIRECT_NONE) {
            *entry(d, to++) = *entry(d, i);
        }
    }
    d->next = d->next == d->tail ? to : next;
    d->tail = to;
}

/* There is always room: twice as many as a ring has entries. */
static inline void append(DirectRx *d, const DirectBuf *buf)
{
    if (unlikely(d->tail - d->head > d->mask)) {
        compact(d);
    }
    *entry(d, d->tail++) = *buf;
    d->n++;
}

/* The buffer that was posted as @addr, which must be looked for. */
static G_GNUC_NO_INLINE bool search(DirectRx *d, uint64_t addr, uint32_t *at)
{
    for (uint32_t i = d->head; i != d->tail; i++) {
        if (entry(d, i)->addr == addr) {
            *at = i;
            return true;
        }
    }
    return false;
}

/* Take out the buffer posted as @addr; it is valid until the next append(). */
static inline DirectBuf *take(DirectRx *d, uint64_t addr)
{
    uint32_t i = d->next;

    if (unlikely(i == d->tail || entry(d, i)->addr != addr) &&
        !search(d, addr, &i)) {
        return NULL;
    }
    entry(d, i)->addr = DIRECT_NONE;
    d->next = i + 1;
    d->n--;
    while (d->head != d->tail && entry(d, d->head)->addr == DIRECT_NONE) {
        d->head++;
    }
    if (unlikely(d->next - d->head > d->tail - d->head)) {
        d->next = d->head;
    }
    return entry(d, i);
}

/*
 * Post what the guest has made available. Turns do this at their end, so what
 * is in Held is either a reserve for frames or did not fit.
 *
 * A guest's ring is short, a burst may be longer: when few buffers are left
 * and there are no others, frames are posted behind them. What is posted behind
 * those must not be needed for them: left > frames.
 */
AfXdpTurn af_xdp_datapath_rx_refill(AfXdpDatapath *dp)
{
    DirectRx *d = &dp->rx_direct;
    Held *held = &dp->rx_held;
    uint32_t frames = af_xdp_copy_rx_frames(dp->copy);
    uint32_t most = MIN(af_xdp_vring_size(dp->rx) - dp->direct.spare, MOST);
    uint32_t few = MIN(FEW, af_xdp_vring_size(dp->rx) / 4);
    uint32_t low = af_xdp_vring_size(dp->rx) / 2;
    uint32_t wanted = 0;
    bool fresh = false, dry = false;
    DirectFit why;

    if (d->stopping) {
        return AF_XDP_TURN_DONE;
    }
    while (d->n < most) {
        const AfXdpVringElem *elem;
        DirectBuf buf;
        uint32_t left;

        if (!held_refill(held, dp->rx)) {
            dry = d->n < few;
            wanted = dry ? FRAMES_ALONE : 0;
            break;
        }
        left = held->n - held->next + af_xdp_vring_available(dp->rx);
        elem = &held->elems[held->next];
        why = fit(dp, elem, &buf);
        if (unlikely(why != FIT_OK)) {
            d->why = why;
            wanted = d->n < few ? FRAMES : left;
            if (why == FIT_PAGE) {
                /* Few are so, and behind it are others. */
                wanted = MAX(few, 1);
            }
            break;
        }
        if (unlikely(left <= frames)) {
            if (fresh) {
                break;
            }
            /* All that is known is in reserve: see whether there is more. */
            af_xdp_vring_look(dp->rx);
            fresh = true;
            continue;
        }
        if (!af_xdp_copy_rx_post(dp->copy, buf.addr)) {
            break;
        }
        buf.chain = held_chain(held);
        append(d, &buf);
        held->next++;
        d->why = FIT_UNKNOWN;
    }
    if (frames < wanted) {
        af_xdp_copy_rx_post_frames(dp->copy, wanted - frames);
    }
    af_xdp_copy_rx_submit(dp->copy);
    if (af_xdp_datapath_rx_fault(dp)) {
        return AF_XDP_TURN_FAULT;
    }
    /* No kick comes for what is there already, and was only looked at. */
    return d->n + MIN(frames, few) < low &&
           af_xdp_vring_available(dp->rx) == 0 ? AF_XDP_TURN_LOW
                                               : AF_XDP_TURN_DONE;
}

/* --- Delivery --- */

/* Mark the header, and @len bytes behind it or all that there may be. */
static inline void log_buffer(const AfXdpDatapath *dp, const DirectBuf *buf,
                              uint32_t len)
{
    if (unlikely(af_xdp_vring_logging(dp->rx))) {
        af_xdp_vring_written(dp->rx, buf->header_gpa, dp->hdr_len);
        af_xdp_vring_written(dp->rx, buf->data_gpa, MIN(buf->data_len, len));
    }
}

/* Return a buffer whose first @written bytes, header and all, count. */
static inline void push(AfXdpDatapath *dp, const DirectBuf *buf,
                        uint32_t written)
{
    /* What moved on to another one was written, too: @written, not less. */
    log_buffer(dp, buf, written > 0 ? written : AF_XDP_FRAME_SIZE);
    af_xdp_vring_push_id(dp->rx, buf->chain.id, buf->chain.n_slots, written);
}

/*
 * Is @iov in the buffer posted as @addr, where it belongs? In driver zero-copy
 * an XDP program may have moved its beginning; then it is moved back.
 */
static inline bool place(const AfXdpDatapath *dp, const DirectBuf *buf,
                         uint64_t addr, const struct iovec *iov)
{
    const char *from = iov->iov_base;

    if (unlikely(iov->iov_len > buf->data_len)) {
        return false;
    }
    if (unlikely(from != buf->data)) {
        const char *chunk = dp->direct.area + addr;

        if (from < chunk || from > chunk + AF_XDP_FRAME_SIZE ||
            iov->iov_len > chunk + AF_XDP_FRAME_SIZE - from) {
            return false;
        }
        memmove(buf->data, from, iov->iov_len);
    }
    return true;
}

/* The common case: one packet, one buffer. */
static inline bool deliver_single(AfXdpDatapath *dp, const struct iovec *iov)
{
    uint64_t addr = af_xdp_copy_rx_addr(dp->copy, 0);
    DirectBuf *buf = take(&dp->rx_direct, addr);

    if (unlikely(!buf)) {
        return false;
    }
    if (unlikely(!place(dp, buf, addr, iov))) {
        push(dp, buf, 0);
        return false;
    }
    header_write(dp, buf->header, 1);
    push(dp, buf, dp->hdr_len + iov->iov_len);
    dp->stats.rx_direct++;
    return true;
}

/* One packet, @n buffers, all of them the guest's and mergeable. */
static void deliver_chain(AfXdpDatapath *dp, const struct iovec *iov,
                          const DirectBuf *bufs, uint32_t n)
{
    const uint32_t gap = dp->hdr_len;

    header_write(dp, bufs[0].header, n);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t written = gap + iov[i].iov_len;

        if (i + 1 < n) {
            written -= gap;
            /* Nothing keeps a guest from buffers that overlap. */
            memmove(bufs[i + 1].header,
                    bufs[i].data + iov[i].iov_len - gap, gap);
        }
        push(dp, &bufs[i], written);
    }
    dp->stats.rx_direct++;
}

/* Can the ends of all parts move on? */
static bool can_chain(const AfXdpDatapath *dp, const struct iovec *iov,
                      const DirectBuf *bufs, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        if (iov[i].iov_base != bufs[i].data ||
            iov[i].iov_len > bufs[i].data_len ||
            (i + 1 < n && iov[i].iov_len < dp->hdr_len)) {
            return false;
        }
    }
    return dp->mergeable;
}

/* What was not needed is posted again, or returned empty. */
static void post_again(AfXdpDatapath *dp, const DirectBuf *buf, uint64_t addr)
{
    DirectBuf again = *buf;

    again.addr = addr;
    log_buffer(dp, buf, AF_XDP_FRAME_SIZE);
    if (!dp->rx_direct.stopping && af_xdp_copy_rx_post(dp->copy, addr)) {
        append(&dp->rx_direct, &again);
    } else {
        push(dp, buf, 0);
    }
}

/*
 * Anything else: put the packet together, and write it into the buffers that
 * it came in and, if those are not enough, others. Returns false if there
 * is no room for it.
 */
static bool deliver_mixed(AfXdpDatapath *dp, const struct iovec *iov,
                          uint32_t n_iov, const DirectBuf *bufs,
                          const uint64_t *addrs, uint32_t n)
{
    Held *held = &dp->rx_held;
    AfXdpVringElem elems[AF_XDP_MAX_SEGS + BURST];
    struct iovec pieces[AF_XDP_MAX_SEGS][2];
    uint64_t need = dp->hdr_len, room = 0, size = 0;
    struct iovec whole = { .iov_base = dp->rx_direct.scratch };
    uint32_t used = 0;

    for (uint32_t i = 0; i < n_iov; i++) {
        size += iov[i].iov_len;
    }
    if (size > SCRATCH) {
        goto lost;
    }
    for (uint32_t i = 0; i < n_iov; i++) {
        memcpy((char *)whole.iov_base + whole.iov_len, iov[i].iov_base,
               iov[i].iov_len);
        whole.iov_len += iov[i].iov_len;
    }
    need += size;
    held_refill(held, dp->rx);
    for (; room < need && used < n + held->n - held->next; used++) {
        if (used < n) {
            pieces[used][0].iov_base = bufs[used].header;
            pieces[used][0].iov_len = dp->hdr_len;
            pieces[used][1].iov_base = bufs[used].data;
            pieces[used][1].iov_len = bufs[used].data_len;
            elems[used] = (AfXdpVringElem) {
                .iov = pieces[used],
                .n_iov = 2,
                .len = dp->hdr_len + bufs[used].data_len,
            };
        } else {
            elems[used] = held->elems[held->next + used - n];
        }
        if (used > 0 && !dp->mergeable) {
            break;
        }
        room += elems[used].len;
    }
    if (room < need) {
        goto lost;
    }
    guest_write(dp, elems, used, &whole, 1);
    for (uint32_t i = 0; i < MAX(used, n); i++) {
        uint32_t written = i < used ? MIN(need, elems[i].len) : 0;

        if (i >= n) {
            af_xdp_vring_push(dp->rx, &elems[i], written);
            held->next++;
        } else if (i < used) {
            log_buffer(dp, &bufs[i], AF_XDP_FRAME_SIZE);
            push(dp, &bufs[i], written);
        } else {
            post_again(dp, &bufs[i], addrs[i]);
        }
        need -= written;
    }
    dp->stats.rx_mixed++;
    return true;

lost:
    for (uint32_t i = 0; i < n; i++) {
        post_again(dp, &bufs[i], addrs[i]);
    }
    return false;
}

/* A packet in several pieces, at least one of them in a buffer. */
static bool deliver_pieces(AfXdpDatapath *dp, const struct iovec *iov,
                           uint32_t n)
{
    uint32_t outside = af_xdp_copy_rx_outside(dp->copy);
    DirectBuf bufs[AF_XDP_MAX_SEGS] AF_XDP_UNINITIALIZED;
    uint64_t addrs[AF_XDP_MAX_SEGS] AF_XDP_UNINITIALIZED;
    uint32_t n_bufs = 0;

    for (uint32_t i = 0; i < n; i++) {
        if (outside & (1u << i)) {
            uint64_t addr = af_xdp_copy_rx_addr(dp->copy, i);
            const DirectBuf *buf = take(&dp->rx_direct, addr);

            if (buf) {
                addrs[n_bufs] = addr;
                bufs[n_bufs++] = *buf;
            }
        }
    }
    if (likely(n_bufs == n && can_chain(dp, iov, bufs, n))) {
        deliver_chain(dp, iov, bufs, n);
        return true;
    }
    return deliver_mixed(dp, iov, n, bufs, addrs, n_bufs);
}

bool direct_rx_deliver(AfXdpDatapath *dp, const struct iovec *iov, uint32_t n)
{
    return likely(n == 1) ? deliver_single(dp, iov)
                          : deliver_pieces(dp, iov, n);
}

/* --- Beginning and end --- */

void direct_rx_begin(AfXdpDatapath *dp)
{
    DirectRx *d = &dp->rx_direct;
    uint32_t size = 1u << g_bit_storage(2 * af_xdp_vring_size(dp->rx) - 1);

    memset(d, 0, sizeof(*d));
    d->fifo = af_xdp_lines_new0(size * sizeof(*d->fifo));
    d->mask = size - 1;
    d->why = FIT_UNKNOWN;
    d->scratch = af_xdp_lines_new0(SCRATCH);
}

void direct_rx_end(AfXdpDatapath *dp)
{
    DirectRx *d = &dp->rx_direct;
    g_autofree DirectChain *chains = g_new(DirectChain, d->n);
    uint32_t n = 0;

    for (uint32_t i = d->head; i != d->tail; i++) {
        const DirectBuf *buf = entry(d, i);

        if (buf->addr != DIRECT_NONE) {
            /* The kernel may have written what never became a packet. */
            log_buffer(dp, buf, AF_XDP_FRAME_SIZE);
            chains[n++] = buf->chain;
        }
    }
    direct_give_back(dp->rx, &dp->rx_held, chains, n, true);
    free(d->fifo);
    free(d->scratch);
    memset(d, 0, sizeof(*d));
}
