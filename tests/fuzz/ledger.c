/*
 * AF_XDP: fuzzing: what was taken from the guest
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "ledger.h"

typedef struct Piece {
    uint32_t at;                /* fuzz_guest_at() */
    uint32_t len;
} Piece;

typedef struct Chain {
    uint16_t id;
    uint16_t n_slots;
    bool back;                  /* pushed */
    uint32_t n_pieces;
    Piece *pieces;
} Chain;

/*
 * Numbers of chains by byte, as differences: what begins at a byte less what
 * ended there, so that a piece costs the same whatever its length.
 */
typedef struct Cover {
    int32_t *step;
    int32_t *sum;
    bool stale;                 /* sum is */
} Cover;

typedef struct Book {
    GQueue chains;              /* in the order in which they were popped */
    uint32_t slots;             /* of those not back */
    bool doubtful;              /* one chain was held twice */
    Cover held;
    Cover named;
} Book;

static struct {
    const FuzzGuest *guest;
    uint32_t size;
    Book book[FUZZ_RINGS];
} ledger;

static void cover_add(Cover *c, const Chain *chain, int32_t n)
{
    for (uint32_t i = 0; i < chain->n_pieces; i++) {
        const Piece *p = &chain->pieces[i];

        c->step[p->at] += n;
        c->step[p->at + p->len] -= n;
    }
    c->stale = true;
}

static const int32_t *cover_sum(Cover *c)
{
    if (c->stale) {
        int32_t n = 0;

        for (uint32_t i = 0; i < ledger.size; i++) {
            n += c->step[i];
            c->sum[i] = n;
        }
        c->stale = false;
    }
    return c->sum;
}

static void chain_free(Chain *chain)
{
    g_free(chain->pieces);
    g_free(chain);
}

static Book *book_of(const AfXdpVring *vr)
{
    g_assert(vr == ledger.guest->ring[0].vr || vr == ledger.guest->ring[1].vr);
    return &ledger.book[vr == ledger.guest->ring[1].vr];
}

void fuzz_ledger_open(const FuzzGuest *g)
{
    ledger.guest = g;
    ledger.size = fuzz_guest_size(g);
    for (int i = 0; i < FUZZ_RINGS; i++) {
        Book *b = &ledger.book[i];

        memset(b, 0, sizeof(*b));
        g_queue_init(&b->chains);
        b->held.step = g_new0(int32_t, ledger.size + 1);
        b->held.sum = g_new0(int32_t, ledger.size);
        b->named.step = g_new0(int32_t, ledger.size + 1);
        b->named.sum = g_new0(int32_t, ledger.size);
    }
}

void fuzz_ledger_close(void)
{
    for (int i = 0; i < FUZZ_RINGS; i++) {
        Book *b = &ledger.book[i];
        Chain *chain;

        while ((chain = g_queue_pop_head(&b->chains))) {
            chain_free(chain);
        }
        g_free(b->held.step);
        g_free(b->held.sum);
        g_free(b->named.step);
        g_free(b->named.sum);
    }
}

uint32_t fuzz_ledger_slots(int i)
{
    return ledger.book[i].slots;
}

bool fuzz_ledger_holds(int i, const void *host, uint32_t len)
{
    Book *b = &ledger.book[i];
    const int32_t *sum = cover_sum(&b->held);
    uint32_t at = fuzz_guest_at(ledger.guest, host);

    if (b->doubtful) {
        return true;
    }
    for (uint32_t k = 0; k < len; k++) {
        if (at + k >= ledger.size || sum[at + k] <= 0) {
            return false;
        }
    }
    return true;
}

bool fuzz_ledger_named(int i, uint32_t at)
{
    return cover_sum(&ledger.book[i].named)[at] > 0;
}

void fuzz_ledger_forget(int i)
{
    Book *b = &ledger.book[i];

    g_assert(b->slots == 0 && g_queue_is_empty(&b->chains));
    b->doubtful = false;
    memset(b->named.step, 0, ledger.size * sizeof(int32_t));
    b->named.stale = true;
}

/* --- Chains come and go --- */

static void took(Book *b, const AfXdpVringElem *elem)
{
    Chain *chain = g_new0(Chain, 1);

    for (GList *l = b->chains.head; l; l = l->next) {
        const Chain *other = l->data;

        b->doubtful |= !other->back && other->id == elem->id;
    }
    chain->id = elem->id;
    chain->n_slots = elem->n_slots;
    chain->n_pieces = elem->n_iov;
    chain->pieces = g_new(Piece, elem->n_iov);
    for (uint32_t i = 0; i < elem->n_iov; i++) {
        const struct iovec *iov = &elem->iov[i];
        uint32_t at = fuzz_guest_at(ledger.guest, iov->iov_base);

        g_assert(at != UINT32_MAX && iov->iov_len > 0);
        g_assert(fuzz_guest_at(ledger.guest, (char *)iov->iov_base +
                               iov->iov_len - 1) == at + iov->iov_len - 1);
        chain->pieces[i] = (Piece) { at, iov->iov_len };
    }
    g_queue_push_tail(&b->chains, chain);
    b->slots += chain->n_slots;
    cover_add(&b->held, chain, 1);
    cover_add(&b->named, chain, 1);
}

static void gave_back(Book *b, uint16_t id, uint16_t n_slots)
{
    GList *l = b->chains.head;
    Chain *chain;

    while (l && (((Chain *)l->data)->back || ((Chain *)l->data)->id != id ||
                 ((Chain *)l->data)->n_slots != n_slots)) {
        l = l->next;
    }
    g_assert(l);
    chain = l->data;
    chain->back = true;
    b->slots -= n_slots;
    cover_add(&b->held, chain, -1);
    while ((chain = g_queue_peek_head(&b->chains)) && chain->back) {
        chain_free(g_queue_pop_head(&b->chains));
    }
}

/* The one that was popped last is as if it had not been. */
static uint32_t put_back(Book *b)
{
    Chain *chain = g_queue_pop_tail(&b->chains);
    uint32_t n_slots;

    g_assert(chain && !chain->back);
    n_slots = chain->n_slots;
    b->slots -= n_slots;
    cover_add(&b->held, chain, -1);
    chain_free(chain);
    return n_slots;
}

uint32_t __wrap_af_xdp_vring_pop(AfXdpVring *vr, AfXdpVringElem *elems,
                                 uint32_t max, AfXdpVringPool *pool)
{
    uint32_t n = __real_af_xdp_vring_pop(vr, elems, max, pool);

    for (uint32_t i = 0; i < n; i++) {
        took(book_of(vr), &elems[i]);
    }
    return n;
}

void __wrap_af_xdp_vring_push(AfXdpVring *vr, const AfXdpVringElem *elem,
                              uint32_t written)
{
    g_assert(written <= elem->len);
    gave_back(book_of(vr), elem->id, elem->n_slots);
    __real_af_xdp_vring_push(vr, elem, written);
}

void __wrap_af_xdp_vring_push_id(AfXdpVring *vr, uint16_t id,
                                 uint16_t n_slots, uint32_t written)
{
    gave_back(book_of(vr), id, n_slots);
    __real_af_xdp_vring_push_id(vr, id, n_slots, written);
}

void __wrap_af_xdp_vring_unpop(AfXdpVring *vr, const AfXdpVringElem *elems,
                               uint32_t n)
{
    for (uint32_t i = n; i > 0; i--) {
        g_assert(put_back(book_of(vr)) == elems[i - 1].n_slots);
    }
    __real_af_xdp_vring_unpop(vr, elems, n);
}

void __wrap_af_xdp_vring_unpop_slots(AfXdpVring *vr, uint32_t n_slots)
{
    for (uint32_t n = n_slots; n > 0;) {
        uint32_t one = put_back(book_of(vr));

        g_assert(one <= n);
        n -= one;
    }
    __real_af_xdp_vring_unpop_slots(vr, n_slots);
}
