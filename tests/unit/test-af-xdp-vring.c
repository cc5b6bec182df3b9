/*
 * AF_XDP: virtqueues against a driver that follows the rules
 *
 * Random sequences of all operations, compared step by step with a model:
 * the chains that the driver in af-xdp-vring-driver.c has made available, in
 * order, and where each of them is.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "net/af-xdp-error.h"
#include "af-xdp-vring-driver.h"

#define POOL_MAX (4 * AF_XDP_VRING_CHAIN_MAX)
#define LOG_PAGE (1u << AF_XDP_LOG_PAGE_BITS)
/* One bit per page up to the end of the high region. */
#define LOG_WORDS ((DRIVER_HIGH + DRIVER_REGION_SIZE) / LOG_PAGE / 64)

typedef struct Case {
    bool packed;
    bool event_idx;
    bool indirect;
    bool chained;
} Case;

typedef struct Model {
    Driver *d;
    AfXdpVring *vr;
    AfXdpLog log;
    AfXdpVringPool pool;
    GQueue avail;               /* DriverChain, made available */
    GArray *held;               /* Held, popped */
    GQueue pushed;              /* Used */
    GQueue used;                /* Used, flushed */
    uint32_t pushed_seq;        /* popped last among those pushed */
    uint32_t seq;
    uint64_t dev_used;          /* entries (packed: slots) flushed */
    uint64_t asked_used;        /* and when should_call was last asked */
    bool asked_once;
    bool kicks_on;              /* asleep: the driver must kick */
} Model;

typedef struct Held {
    AfXdpVringElem elem;
    DriverChain *chain;
    uint32_t seq;
} Held;

typedef struct Used {
    DriverChain *chain;
    uint32_t len;
} Used;

static void model_init(Model *m, const Case *c, uint32_t num, bool writable,
                       uint32_t seed)
{
    memset(m, 0, sizeof(*m));
    m->d = driver_new((uint64_t)c->packed << VIRTIO_F_RING_PACKED |
                      (uint64_t)c->event_idx << VIRTIO_RING_F_EVENT_IDX |
                      (uint64_t)c->indirect << VIRTIO_RING_F_INDIRECT_DESC,
                      num, writable, seed);
    m->vr = driver_device(m->d);
    m->log.words = g_new0(unsigned long, LOG_WORDS);
    m->log.n_words = LOG_WORDS;
    m->pool.iov = g_new(struct iovec, POOL_MAX);
    m->pool.gpa = g_new(uint64_t, POOL_MAX);
    m->pool.max = POOL_MAX;
    m->held = g_array_new(false, false, sizeof(Held));
}

static void model_free(Model *m)
{
    af_xdp_vring_free(m->vr);
    driver_free(m->d);
    g_free(m->log.words);
    g_free(m->pool.iov);
    g_free(m->pool.gpa);
    g_array_free(m->held, true);
    g_queue_clear(&m->avail);
    g_queue_clear_full(&m->pushed, g_free);
    g_queue_clear_full(&m->used, g_free);
}

static Held *held_at(Model *m, uint32_t i)
{
    return &g_array_index(m->held, Held, i);
}

/* The pieces are the chain's bytes, in order, and nothing else. */
static void check_elem(Model *m, const AfXdpVringElem *e,
                       const DriverChain *chain)
{
    uint32_t seg = 0, at = 0, sum = 0;

    g_assert_cmpuint(e->id, ==, chain->id);
    g_assert_cmpuint(e->n_slots, ==, chain->n_slots);
    for (uint32_t i = 0; i < e->n_iov; i++) {
        while (at == chain->seg[seg].len) {
            at = 0;
            seg++;
            g_assert_cmpuint(seg, <, chain->n_seg);
        }
        g_assert_cmphex(e->gpa[i], ==, chain->seg[seg].gpa + at);
        g_assert_true(e->iov[i].iov_base == driver_host(m->d, e->gpa[i]));
        g_assert_cmpuint(e->iov[i].iov_len, >, 0);
        g_assert_cmpuint(e->iov[i].iov_len, <=, chain->seg[seg].len - at);
        /* Our memory is contiguous only within a region. */
        g_assert_true((uint8_t *)e->iov[i].iov_base + e->iov[i].iov_len - 1 ==
                      driver_host(m->d, e->gpa[i] + e->iov[i].iov_len - 1));
        at += e->iov[i].iov_len;
        sum += e->iov[i].iov_len;
    }
    g_assert_cmpuint(sum, ==, e->len);
    for (sum = 0, seg = 0; seg < chain->n_seg; seg++) {
        sum += chain->seg[seg].len;
    }
    g_assert_cmpuint(sum, ==, e->len);
}

static void do_add(Model *m, const Case *c)
{
    Driver *d = m->d;
    DriverSeg seg[DRIVER_SEGS_MAX];
    uint32_t n = c->chained ? g_rand_int_range(d->rand, 1, 8) : 1;
    uint32_t direct = n;
    DriverChain *chain;

    if (g_rand_int_range(d->rand, 0, 64) == 0 && (c->chained || c->indirect)) {
        n = direct = DRIVER_SEGS_MAX;
    }
    for (uint32_t i = 0; i < n; i++) {
        seg[i] = driver_random_seg(d);
    }
    if (c->indirect && g_rand_boolean(d->rand)) {
        direct = c->packed || !c->chained ? 0
                                          : g_rand_int_range(d->rand, 0, n);
    } else if (!c->chained) {
        n = direct = 1;
    }
    chain = driver_add(d, seg, n, direct);
    if (chain) {
        g_queue_push_tail(&m->avail, chain);
        g_assert_true(af_xdp_vring_pending(m->vr));
    }
    /* A kick as soon as we sleep. */
    if (driver_wants_kick(d)) {
        m->kicks_on = false;
    } else if (chain) {
        g_assert_false(m->kicks_on);
    }
}

static void do_pop(Model *m)
{
    AfXdpVringElem elems[300];
    uint32_t want = g_rand_int_range(m->d->rand, 0, 8) == 0
        ? ARRAY_SIZE(elems) : g_rand_int_range(m->d->rand, 0, 20);
    uint32_t before = g_queue_get_length(&m->avail);
    uint32_t room = m->pool.max - m->pool.n;
    uint32_t n = af_xdp_vring_pop(m->vr, elems, want, &m->pool);

    g_assert_cmpuint(n, <=, want);
    if (n < MIN(want, before)) {
        /* Only for want of room in the pool, which we caused. */
        g_assert_cmpuint(room, <, want * 2 * DRIVER_SEGS_MAX);
    }
    for (uint32_t i = 0; i < n; i++) {
        Held held = {
            .elem = elems[i],
            .chain = g_queue_pop_head(&m->avail),
            .seq = ++m->seq,
        };

        g_assert_nonnull(held.chain);
        check_elem(m, &elems[i], held.chain);
        g_array_append_val(m->held, held);
    }
    g_assert_cmpint(af_xdp_vring_fault(m->vr), ==, AF_XDP_VRING_FAULT_NONE);
}

static bool log_bit(Model *m, uint64_t page)
{
    return m->log.words[page / 64] >> (page % 64) & 1;
}

static void check_log(Model *m, const DriverChain *chain, uint32_t len)
{
    for (uint32_t i = 0; i < chain->n_seg && len > 0; i++) {
        uint32_t part = MIN(len, chain->seg[i].len);

        for (uint32_t k = 0; k < part; k++) {
            g_assert_true(log_bit(m, (chain->seg[i].gpa + k) / LOG_PAGE));
        }
        len -= part;
    }
}

static void do_push(Model *m, uint32_t i)
{
    Held *h = held_at(m, i);
    Used *used = g_new(Used, 1);

    used->chain = h->chain;
    used->len = m->d->writable
        ? g_rand_int_range(m->d->rand, 0, h->elem.len + 1) : 0;
    af_xdp_vring_push(m->vr, &h->elem, used->len);
    g_queue_push_tail(&m->pushed, used);
    m->pushed_seq = MAX(m->pushed_seq, h->seq);
    g_array_remove_index(m->held, i);
    if (m->held->len == 0) {
        m->pool.n = 0;
    }
}

static void do_flush(Model *m)
{
    Used *used;

    af_xdp_vring_flush(m->vr);
    while ((used = g_queue_pop_head(&m->pushed))) {
        m->dev_used += used->chain->n_slots;
        g_queue_push_tail(&m->used, used);
    }
}

/* The driver sees what was flushed and nothing that was not. */
static void do_collect(Model *m, uint32_t max)
{
    DriverChain *chain;
    uint32_t len;

    while (max-- > 0 && (chain = driver_collect(m->d, &len))) {
        Used *used = g_queue_pop_head(&m->used);

        g_assert_nonnull(used);
        g_assert_true(used->chain == chain);
        g_assert_cmpuint(used->len, ==, len);
        g_free(chain);
        g_free(used);
    }
    if (max != UINT32_MAX) {
        g_assert_true(g_queue_is_empty(&m->used));
    }
}

static void do_call(Model *m)
{
    Driver *d = m->d;
    bool called, want;

    called = af_xdp_vring_should_call(m->vr);
    if (m->dev_used == m->asked_used) {
        want = false;
    } else if (d->event == UINT64_MAX) {
        want = false;
    } else if (d->event_idx) {
        want = d->event >= m->asked_used && d->event < m->dev_used;
    } else {
        want = true;
    }
    /*
     * One call too many is allowed for what happened before the device's
     * time, and where it was asked less than once per lap.
     */
    if (want || (m->asked_once && m->dev_used - m->asked_used <= d->num)) {
        g_assert_cmpint(called, ==, want);
    }
    m->asked_once |= m->dev_used != m->asked_used;
    m->asked_used = m->dev_used;

    /* The driver may change its mind only between two answers. */
    if (g_rand_int_range(d->rand, 0, 4) == 0) {
        driver_call_off(d);
    } else {
        driver_call_at(d, m->dev_used +
                       g_rand_int_range(d->rand, 0, d->num + 1) / 2);
    }
}

static void do_unpop(Model *m)
{
    AfXdpVringElem elems[64];
    uint32_t n = 0, max = g_rand_int_range(m->d->rand, 0, ARRAY_SIZE(elems));

    while (n < max && n < m->held->len &&
           held_at(m, m->held->len - 1 - n)->seq > m->pushed_seq) {
        n++;
    }
    for (uint32_t i = 0; i < n; i++) {
        elems[i] = held_at(m, m->held->len - n + i)->elem;
    }
    af_xdp_vring_unpop(m->vr, elems, n);
    for (uint32_t i = 0; i < n; i++) {
        g_queue_push_head(&m->avail, held_at(m, m->held->len - 1)->chain);
        g_array_set_size(m->held, m->held->len - 1);
    }
    if (m->held->len == 0) {
        m->pool.n = 0;
    }
}

/* Stop and go on elsewhere: nothing lost, nothing doubled. */
static void do_restart(Model *m)
{
    AfXdpVringConfig config;
    GError *err = NULL;
    uint32_t base;

    do_unpop(m);
    while (m->held->len > 0) {
        do_push(m, 0);
    }
    do_flush(m);
    g_assert_cmpuint(af_xdp_vring_held(m->vr), ==, 0);
    base = af_xdp_vring_base(m->vr);
    af_xdp_vring_free(m->vr);
    config = driver_config(m->d, base);
    m->vr = af_xdp_vring_new(&config, &err);
    g_assert_no_error(err);
    g_assert_cmpuint(af_xdp_vring_base(m->vr), ==, base);
    m->asked_once = false;
    m->asked_used = m->dev_used;
    m->kicks_on = false;
    m->pushed_seq = m->seq;
    if (g_rand_boolean(m->d->rand)) {
        af_xdp_vring_disable_kick(m->vr);
    }
}

static void do_kick(Model *m)
{
    Driver *d = m->d;

    if (g_rand_boolean(d->rand)) {
        af_xdp_vring_disable_kick(m->vr);
        m->kicks_on = false;
    } else {
        bool more = af_xdp_vring_enable_kick(m->vr);

        g_assert_cmpint(more, ==, !g_queue_is_empty(&m->avail));
        /* When we were told that there is nothing, we count on a kick. */
        m->kicks_on = !more;
    }
}

static void run_model(const Case *c, uint32_t num, uint32_t seed, int steps)
{
    Model m;

    model_init(&m, c, num, seed & 1, seed);
    for (int i = 0; i < steps; i++) {
        switch (g_rand_int_range(m.d->rand, 0, 20)) {
        case 0 ... 6:
            do_add(&m, c);
            break;
        case 7 ... 8:
            do_pop(&m);
            break;
        case 9 ... 12:
            /* Mostly in order. */
            for (uint32_t k = m.held->len / 2; m.held->len > k; ) {
                do_push(&m, g_rand_int_range(m.d->rand, 0, 8) ? 0
                        : g_rand_int_range(m.d->rand, 0, m.held->len));
            }
            break;
        case 13:
            do_flush(&m);
            break;
        case 14:
            do_flush(&m);
            do_call(&m);
            break;
        case 15:
            do_collect(&m, UINT32_MAX);
            break;
        case 16:
            do_collect(&m, g_rand_int_range(m.d->rand, 0, 8));
            break;
        case 17:
            do_unpop(&m);
            break;
        case 18:
            if (g_rand_int_range(m.d->rand, 0, 8) == 0) {
                do_restart(&m);
            }
            break;
        case 19:
            do_kick(&m);
            break;
        }
        if (m.pool.n > POOL_MAX - 2 * AF_XDP_VRING_CHAIN_MAX) {
            while (m.held->len > 0) {
                do_push(&m, 0);
            }
        }
        g_assert_cmpuint(af_xdp_vring_held(m.vr), <=, num);
    }
    model_free(&m);
}

static void test_random(gconstpointer opaque)
{
    static const uint32_t split[] = { 1, 2, 4, 16, 64, 256, 1024 };
    static const uint32_t packed[] = { 1, 2, 3, 5, 16, 100, 256, 1000, 1024 };
    const Case *c = opaque;
    const uint32_t *size = c->packed ? packed : split;
    int n = c->packed ? ARRAY_SIZE(packed) : ARRAY_SIZE(split);

    for (int i = 0; i < n; i++) {
        run_model(c, size[i], 2 * i, 8000);
        run_model(c, size[i], 2 * i + 1, 8000);
    }
}

/* Many laps, so that every 16 bit index wraps, in a straight line. */
static void test_laps(gconstpointer opaque)
{
    const Case *c = opaque;
    DriverSeg seg = { DRIVER_BUFFERS, 64 };
    Model m;

    model_init(&m, c, c->packed ? 7 : 8, true, 1);
    for (int lap = 0; lap < 30000; lap++) {
        for (int i = 0; i < 5; i++) {
            DriverChain *chain = driver_add(m.d, &seg, 1, !c->indirect);

            g_assert_nonnull(chain);
            g_queue_push_tail(&m.avail, chain);
        }
        while (!g_queue_is_empty(&m.avail)) {
            do_pop(&m);
        }
        while (m.held->len > 0) {
            do_push(&m, 0);
        }
        do_flush(&m);
        do_call(&m);
        do_collect(&m, UINT32_MAX);
        g_assert_cmpuint(m.d->n_free, ==, m.d->num);
    }
    g_assert_cmpuint(m.d->avail, ==, 150000);
    model_free(&m);
}

/*
 * The dirty log: pages of buffers written, exactly; and every page of the
 * ring that the device changes.
 */
static void test_log(gconstpointer opaque)
{
    const Case *c = opaque;
    const size_t ring = DRIVER_TABLES;
    uint8_t *before = g_malloc(ring);
    Model m;

    model_init(&m, c, 1024, true, 3);
    af_xdp_vring_set_log(m.vr, &m.log);
    for (int i = 0; i < 1500; i++) {
        for (int k = 0; k < 6; k++) {
            do_add(&m, c);
        }
        memset(m.log.words, 0, LOG_WORDS * sizeof(long));
        memcpy(before, driver_host(m.d, 0), ring);
        if (af_xdp_vring_enable_kick(m.vr)) {
            af_xdp_vring_disable_kick(m.vr);
        }
        do_pop(&m);
        while (m.held->len > 0) {
            Used *used;

            do_push(&m, 0);
            used = g_queue_peek_tail(&m.pushed);
            check_log(&m, used->chain, used->len);
        }
        do_flush(&m);
        af_xdp_vring_should_call(m.vr);
        for (size_t page = 0; page < ring / LOG_PAGE; page++) {
            bool changed = memcmp(before + page * LOG_PAGE,
                                  driver_host(m.d, page * LOG_PAGE), LOG_PAGE);

            /* Of the ring nothing is logged that we do not write. */
            g_assert_true(log_bit(&m, page) || !changed);
            g_assert_false(log_bit(&m, page) && !c->packed &&
                           page < DRIVER_USED / LOG_PAGE);
        }
        do_collect(&m, UINT32_MAX);
    }

    /* Nothing is written, so nothing is logged. */
    memset(m.log.words, 0, LOG_WORDS * sizeof(long));
    do_add(&m, c);
    do_pop(&m);
    if (m.held->len > 0) {
        af_xdp_vring_push(m.vr, &held_at(&m, 0)->elem, 0);
        for (uint64_t i = 0; i < LOG_WORDS; i++) {
            g_assert_cmphex(m.log.words[i], ==, 0);
        }
    }
    model_free(&m);
    g_free(before);
}

/* Exactly the pages of what was written, not those of the whole buffer. */
static void test_log_exact(void)
{
    static const Case c;
    DriverSeg seg[] = { { DRIVER_BUFFERS, 2 * LOG_PAGE },
                        { DRIVER_HIGH, 2 * LOG_PAGE } };
    uint64_t n_bits = 0;
    Model m;

    model_init(&m, &c, 4, true, 0);
    af_xdp_vring_set_log(m.vr, &m.log);
    g_queue_push_tail(&m.avail, driver_add(m.d, seg, 2, 2));
    while (m.held->len == 0) {
        do_pop(&m);
    }
    af_xdp_vring_push(m.vr, &held_at(&m, 0)->elem, 2 * LOG_PAGE + 1);
    for (uint64_t i = 0; i < LOG_WORDS; i++) {
        n_bits += __builtin_popcountl(m.log.words[i]);
    }
    g_assert_cmpuint(n_bits, ==, 3);
    g_assert_true(log_bit(&m, DRIVER_BUFFERS / LOG_PAGE));
    g_assert_true(log_bit(&m, DRIVER_BUFFERS / LOG_PAGE + 1));
    g_assert_true(log_bit(&m, DRIVER_HIGH / LOG_PAGE));
    model_free(&m);
}

/* Several buffers of one packet appear together, or not yet. */
static void test_together(gconstpointer opaque)
{
    const Case *c = opaque;
    DriverSeg seg = { DRIVER_BUFFERS, 64 };
    AfXdpVringElem elems[8];
    DriverChain *chain;
    uint32_t len;
    Model m;

    model_init(&m, c, 8, true, 0);
    for (int i = 0; i < 6; i++) {
        driver_add(m.d, &seg, 1, 1);
    }
    g_assert_cmpuint(af_xdp_vring_pop(m.vr, elems, 8, &m.pool), ==, 6);
    for (int i = 0; i < 5; i++) {
        af_xdp_vring_push(m.vr, &elems[i], 10 + i);
        g_assert_null(driver_collect(m.d, &len));
        g_assert_false(af_xdp_vring_should_call(m.vr));
    }
    g_assert_cmpuint(af_xdp_vring_held(m.vr), ==, 6);
    af_xdp_vring_flush(m.vr);
    g_assert_cmpuint(af_xdp_vring_held(m.vr), ==, 1);
    for (int i = 0; i < 5; i++) {
        chain = driver_collect(m.d, &len);
        g_assert_nonnull(chain);
        g_assert_cmpuint(len, ==, 10 + i);
        g_free(chain);
    }
    g_assert_null(driver_collect(m.d, &len));
    model_free(&m);
}

/* A pool too small for the burst cuts it short, and stops nothing. */
static void test_small_pool(gconstpointer opaque)
{
    const Case *c = opaque;
    AfXdpVringElem elems[8];
    DriverSeg seg[4];
    struct iovec iov[10];
    uint64_t gpa[10];
    AfXdpVringPool pool = { .iov = iov, .gpa = gpa, .max = 10 };
    Model m;

    for (int i = 0; i < 4; i++) {
        seg[i] = (DriverSeg) { DRIVER_BUFFERS + 0x1000 * i, 64 };
    }
    model_init(&m, c, 32, false, 0);
    for (int i = 0; i < 4; i++) {
        g_assert_nonnull(driver_add(m.d, seg, 4, 4));
    }
    g_assert_cmpuint(af_xdp_vring_pop(m.vr, elems, 8, &pool), ==, 2);
    g_assert_cmpuint(pool.n, ==, 8);
    g_assert_cmpuint(af_xdp_vring_pop(m.vr, elems, 8, &pool), ==, 0);
    g_assert_cmpint(af_xdp_vring_fault(m.vr), ==, AF_XDP_VRING_FAULT_NONE);
    g_assert_true(af_xdp_vring_pending(m.vr));
    pool.n = 0;
    g_assert_cmpuint(af_xdp_vring_pop(m.vr, elems, 8, &pool), ==, 2);
    /* The same with single buffers, to the last piece. */
    for (int i = 0; i < 4; i++) {
        g_assert_nonnull(driver_add(m.d, seg, 1, 1));
    }
    g_assert_cmpuint(af_xdp_vring_pop(m.vr, elems, 8, &pool), ==, 2);
    g_assert_cmpuint(pool.n, ==, 10);
    g_assert_cmpuint(af_xdp_vring_pop(m.vr, elems, 8, &pool), ==, 0);
    pool.n = 0;
    g_assert_cmpuint(af_xdp_vring_pop(m.vr, elems, 8, &pool), ==, 2);
    model_free(&m);
}

static void test_config(void)
{
    static const uint32_t bad_num[] = { 0, 3, 1000, 32769, 65536 };
    /* Packed, 16 entries: outside, used ahead of avail, more than a lap. */
    static const uint32_t bad_base[] = {
        0x80008010, 0x80108000, 0x80048003, 0x80030005, 0x00058006 + 0x10,
    };
    static const uint32_t good_base[] = {
        0x80008000, 0x80038005, 0x80040003, 0x00000000, 0x80040004,
    };
    Driver *d = driver_new(0, 16, true, 0);
    AfXdpVringConfig config, good = driver_config(d, 0);
    AfXdpVring *vr;
    GError *err = NULL;

    for (int i = 0; i < ARRAY_SIZE(bad_num); i++) {
        config = good;
        config.num = bad_num[i];
        g_assert_null(af_xdp_vring_new(&config, &err));
        g_assert_error(err, AF_XDP_ERROR, EINVAL);
        g_clear_error(&err);
    }
    for (int i = 0; i < 6; i++) {
        config = good;
        config.features |= i & 1 ? UINT64_C(1) << VIRTIO_F_RING_PACKED : 0;
        config.base = i & 1 ? 0x80008000 : 0;
        config.desc = (uint8_t *)config.desc + (i / 2 == 0 ? 8 : 0);
        config.driver = (uint8_t *)config.driver + (i / 2 == 1 ? 1 : 0);
        config.device = (uint8_t *)config.device + (i / 2 == 2 ? 2 : 0);
        g_assert_null(af_xdp_vring_new(&config, &err));
        g_assert_error(err, AF_XDP_ERROR, EINVAL);
        g_clear_error(&err);
    }
    config = good;
    config.base = 65536;
    g_assert_null(af_xdp_vring_new(&config, &err));
    g_assert_error(err, AF_XDP_ERROR, EINVAL);
    g_clear_error(&err);
    config = good;
    config.features |= UINT64_C(1) << VIRTIO_F_RING_PACKED;
    for (int i = 0; i < ARRAY_SIZE(bad_base); i++) {
        config.base = bad_base[i];
        g_assert_null(af_xdp_vring_new(&config, &err));
        g_assert_error(err, AF_XDP_ERROR, EINVAL);
        g_clear_error(&err);
    }
    for (int i = 0; i < ARRAY_SIZE(good_base); i++) {
        config.base = good_base[i];
        vr = af_xdp_vring_new(&config, &err);
        g_assert_no_error(err);
        g_assert_cmphex(af_xdp_vring_base(vr), ==, good_base[i]);
        af_xdp_vring_free(vr);
    }
    driver_free(d);
}

static void test_fault_text(void)
{
    for (int i = 0; i < AF_XDP_VRING_FAULT__MAX; i++) {
        g_assert_nonnull(af_xdp_vring_fault_text(i));
        for (int k = 0; k < i; k++) {
            g_assert_cmpstr(af_xdp_vring_fault_text(i), !=,
                            af_xdp_vring_fault_text(k));
        }
    }
    g_assert_nonnull(af_xdp_vring_fault_text(AF_XDP_VRING_FAULT__MAX));
}

static void add_case(const char *what, const Case *c, GTestDataFunc func)
{
    g_autofree char *path =
        g_strdup_printf("/vring/%s/%s%s%s%s", what,
                        c->packed ? "packed" : "split",
                        c->event_idx ? "-event-idx" : "",
                        c->indirect ? "-indirect" : "",
                        c->chained ? "-chained" : "");

    g_test_add_data_func(path, c, func);
}

int main(int argc, char **argv)
{
    static Case cases[16];

    g_test_init(&argc, &argv, NULL);
    for (int i = 0; i < 16; i++) {
        cases[i] = (Case) { i & 1, i & 2, i & 4, i & 8 };
        add_case("random", &cases[i], test_random);
        if (!cases[i].chained) {
            add_case("laps", &cases[i], test_laps);
        }
        if (cases[i].chained == cases[i].indirect) {
            add_case("log", &cases[i], test_log);
        }
        if (i < 2) {
            add_case("visible-together", &cases[i], test_together);
            add_case("small-pool", &cases[i], test_small_pool);
        }
    }
    g_test_add_func("/vring/log-exact", test_log_exact);
    g_test_add_func("/vring/config", test_config);
    g_test_add_func("/vring/fault-text", test_fault_text);
    return g_test_run();
}
