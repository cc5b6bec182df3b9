/*
 * AF_XDP: virtqueue notifications: none too many, none lost
 *
 * First step by step what each side is told, then both sides in threads that
 * really sleep: a wake-up lost anywhere leaves one of them asleep for good.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <poll.h>
#include <sys/eventfd.h>
#include "af-xdp-vring-driver.h"

#define NUM 16
/* Far longer than any thread is ever kept off its CPU. */
#define LOST_MS 20000
#define PACKETS 60000

typedef struct Room {
    Driver *d;
    AfXdpVring *vr;
    AfXdpVringPool pool;
    int kick;
    int call;
    int stop;
    uint64_t kicks;
    uint64_t calls;
} Room;

static void room_init(Room *r, gconstpointer opaque)
{
    int bits = GPOINTER_TO_INT(opaque);

    memset(r, 0, sizeof(*r));
    r->d = driver_new((uint64_t)(bits & 1) << VIRTIO_F_RING_PACKED |
                      (uint64_t)(bits >> 1) << VIRTIO_RING_F_EVENT_IDX,
                      NUM, true, 0);
    r->vr = driver_device(r->d);
    r->pool.max = AF_XDP_VRING_CHAIN_MAX;
    r->pool.iov = g_new(struct iovec, r->pool.max);
    r->pool.gpa = g_new(uint64_t, r->pool.max);
    r->kick = eventfd(0, EFD_NONBLOCK);
    r->call = eventfd(0, EFD_NONBLOCK);
    g_assert_cmpint(r->kick, >=, 0);
    g_assert_cmpint(r->call, >=, 0);
}

static void room_free(Room *r)
{
    af_xdp_vring_free(r->vr);
    driver_free(r->d);
    g_free(r->pool.iov);
    g_free(r->pool.gpa);
    close(r->kick);
    close(r->call);
}

static void add(Room *r)
{
    DriverSeg seg = { DRIVER_BUFFERS, 64 };

    g_assert_nonnull(driver_add(r->d, &seg, 1, 1));
}

/* Use up to @max buffers. */
static uint32_t turn(Room *r, uint32_t max)
{
    AfXdpVringElem elems[NUM];
    uint32_t n;

    r->pool.n = 0;
    n = af_xdp_vring_pop(r->vr, elems, MIN(max, NUM), &r->pool);
    for (uint32_t i = 0; i < n; i++) {
        af_xdp_vring_push(r->vr, &elems[i], 0);
    }
    af_xdp_vring_flush(r->vr);
    return n;
}

static void collect(Room *r)
{
    DriverChain *chain;
    uint32_t len;

    while ((chain = driver_collect(r->d, &len))) {
        g_free(chain);
    }
}

/* What the driver is told about kicks. */
static void test_kick(gconstpointer opaque)
{
    Room r;

    room_init(&r, opaque);
    /* Asleep: the next buffer wakes us; the one after it need not. */
    g_assert_false(af_xdp_vring_enable_kick(r.vr));
    add(&r);
    g_assert_true(driver_wants_kick(r.d));
    af_xdp_vring_disable_kick(r.vr);
    for (int i = 0; i < 8; i++) {
        add(&r);
        g_assert_false(driver_wants_kick(r.d));
    }
    /* What came before we ask is for us to find. */
    g_assert_true(af_xdp_vring_enable_kick(r.vr));
    af_xdp_vring_disable_kick(r.vr);
    g_assert_cmpuint(turn(&r, NUM), ==, 9);
    collect(&r);
    /* Each time that we fall asleep. */
    for (int i = 0; i < 3 * NUM; i++) {
        g_assert_false(af_xdp_vring_enable_kick(r.vr));
        add(&r);
        g_assert_true(driver_wants_kick(r.d));
        af_xdp_vring_disable_kick(r.vr);
        g_assert_cmpuint(turn(&r, NUM), ==, 1);
        add(&r);
        g_assert_false(driver_wants_kick(r.d));
        g_assert_cmpuint(turn(&r, NUM), ==, 1);
        collect(&r);
    }
    /* Half read: a kick for what comes after that, and a sign of the rest. */
    add(&r);
    add(&r);
    driver_wants_kick(r.d);
    g_assert_cmpuint(turn(&r, 1), ==, 1);
    g_assert_true(af_xdp_vring_enable_kick(r.vr));
    room_free(&r);
}

/* What we are told about calls. */
static void test_call(gconstpointer opaque)
{
    bool event_idx = GPOINTER_TO_INT(opaque) & 2;
    Room r;

    room_init(&r, opaque);
    driver_call_at(r.d, 0);
    g_assert_false(af_xdp_vring_should_call(r.vr));
    add(&r);
    turn(&r, 1);
    g_assert_true(af_xdp_vring_should_call(r.vr));
    g_assert_false(af_xdp_vring_should_call(r.vr));
    collect(&r);

    for (int lap = 0; lap < 3 * NUM; lap++) {
        /* Not at all. */
        driver_call_off(r.d);
        for (int i = 0; i < 5; i++) {
            add(&r);
        }
        turn(&r, 5);
        g_assert_false(af_xdp_vring_should_call(r.vr));
        collect(&r);
        /* After the fourth from here; without an event index at once. */
        driver_call_at(r.d, r.d->used + 3);
        for (int i = 0; i < 6; i++) {
            add(&r);
        }
        turn(&r, 3);
        g_assert_cmpint(af_xdp_vring_should_call(r.vr), ==, !event_idx);
        turn(&r, 1);
        g_assert_true(af_xdp_vring_should_call(r.vr));
        turn(&r, 1);
        g_assert_cmpint(af_xdp_vring_should_call(r.vr), ==, !event_idx);
        turn(&r, 1);
        af_xdp_vring_should_call(r.vr);
        collect(&r);
    }

    /* One decision for many flushes. */
    driver_call_at(r.d, r.d->used);
    for (int i = 0; i < 6; i++) {
        add(&r);
    }
    for (int i = 0; i < 6; i++) {
        turn(&r, 1);
    }
    g_assert_true(af_xdp_vring_should_call(r.vr));
    g_assert_false(af_xdp_vring_should_call(r.vr));
    room_free(&r);
}

static void signal_fd(int fd)
{
    uint64_t one = 1;

    g_assert_cmpint(write(fd, &one, sizeof(one)), ==, sizeof(one));
}

static void wait_fd(int fd)
{
    struct pollfd p = { .fd = fd, .events = POLLIN };
    uint64_t count;

    if (poll(&p, 1, LOST_MS) != 1) {
        g_error("a wake-up was lost");
    }
    g_assert_cmpint(read(fd, &count, sizeof(count)), ==, sizeof(count));
}

/* A device that sleeps whenever there is nothing to do. */
static void *device_thread(void *opaque)
{
    Room *r = opaque;

    while (!__atomic_load_n(&r->stop, __ATOMIC_ACQUIRE)) {
        af_xdp_vring_disable_kick(r->vr);
        if (turn(r, 5)) {
            if (af_xdp_vring_should_call(r->vr)) {
                r->calls++;
                signal_fd(r->call);
            }
        } else if (!af_xdp_vring_enable_kick(r->vr)) {
            wait_fd(r->kick);
        }
    }
    return NULL;
}

/* And a driver that sleeps whenever it waits. */
static void test_no_wakeup_lost(gconstpointer opaque)
{
    uint64_t added = 0;
    GThread *t;
    Room r;

    room_init(&r, opaque);
    driver_call_off(r.d);
    t = g_thread_new("device", device_thread, &r);
    while (r.d->used < PACKETS) {
        uint32_t burst = g_rand_int_range(r.d->rand, 1, NUM + 1);

        while (burst-- > 0 && r.d->n_free > 0 && added < PACKETS) {
            add(&r);
            added++;
        }
        if (driver_wants_kick(r.d)) {
            r.kicks++;
            signal_fd(r.kick);
        }
        collect(&r);
        if (r.d->n_free > 0 && added < PACKETS) {
            continue;
        }
        /* Full, or done: wait for the next, or for some more. */
        while (r.d->used < r.d->avail) {
            uint64_t left = r.d->avail - r.d->used, before = r.d->used;

            driver_call_at(r.d, r.d->used +
                           g_rand_int_range(r.d->rand, 0, left));
            __atomic_thread_fence(__ATOMIC_SEQ_CST);
            collect(&r);
            if (r.d->used == before) {
                wait_fd(r.call);
                collect(&r);
            }
            if (r.d->n_free > 0 && added < PACKETS) {
                break;
            }
        }
        driver_call_off(r.d);
    }
    __atomic_store_n(&r.stop, 1, __ATOMIC_RELEASE);
    signal_fd(r.kick);
    g_thread_join(t);
    g_test_message("%d packets, %" PRIu64 " kicks, %" PRIu64 " calls", PACKETS,
                   r.kicks, r.calls);
    g_assert_cmpuint(r.kicks, <, PACKETS);
    g_assert_cmpint(af_xdp_vring_fault(r.vr), ==, AF_XDP_VRING_FAULT_NONE);
    room_free(&r);
}

/*
 * Both sides store and then look at what the other stored, at the same
 * moment, many times. They must not both miss the other's store; without the
 * fences C and D they do now and then, even on x86.
 */
#define ROUNDS 100000

typedef struct Duel {
    Room room;
    bool calls;                 /* about calls; else about kicks */
    uint32_t round;             /* started */
    uint32_t done;              /* by the device */
    bool saw;                   /* the device saw the driver's store */
} Duel;

/* Wait for *@p to become @value: spin, that both start together. */
static void meet(const uint32_t *p, uint32_t value)
{
    for (int i = 0; __atomic_load_n(p, __ATOMIC_ACQUIRE) != value; i++) {
        if (i > 20000) {
            g_thread_yield();
        }
    }
}

/* The other side hears of the round later than we do: by how much varies. */
static void dawdle(uint32_t round)
{
    for (uint32_t i = 0; i < round % 256; i++) {
        __atomic_signal_fence(__ATOMIC_SEQ_CST);
    }
}

static void *duel_device(void *opaque)
{
    Duel *f = opaque;
    Room *r = &f->room;

    for (uint32_t i = 1; i <= ROUNDS; i++) {
        AfXdpVringElem elem;

        if (f->calls) {
            r->pool.n = 0;
            while (af_xdp_vring_pop(r->vr, &elem, 1, &r->pool) == 0) {
                g_thread_yield();
            }
            af_xdp_vring_push(r->vr, &elem, 0);
            meet(&f->round, i);
            af_xdp_vring_flush(r->vr);
            f->saw = af_xdp_vring_should_call(r->vr);
        } else {
            meet(&f->round, i);
            f->saw = af_xdp_vring_enable_kick(r->vr);
        }
        __atomic_store_n(&f->done, i, __ATOMIC_RELEASE);
    }
    return NULL;
}

static void duel(gconstpointer opaque, bool calls)
{
    Duel f = { .calls = calls };
    Room *r = &f.room;
    DriverSeg seg = { DRIVER_BUFFERS, 64 };
    uint32_t neither = 0, one = 0;
    GThread *t;

    room_init(r, opaque);
    driver_call_off(r->d);
    af_xdp_vring_disable_kick(r->vr);
    t = g_thread_new("device", duel_device, &f);
    for (uint32_t i = 1; i <= ROUNDS; i++) {
        bool saw;

        if (calls) {
            DriverChain *chain;
            uint32_t len;

            driver_call_off(r->d);
            g_assert_nonnull(driver_add(r->d, &seg, 1, 1));
            __atomic_store_n(&f.round, i, __ATOMIC_RELEASE);
            dawdle(i);
            driver_call_at(r->d, r->d->used);
            __atomic_thread_fence(__ATOMIC_SEQ_CST);
            chain = driver_collect(r->d, &len);
            saw = chain;
            g_free(chain);
            meet(&f.done, i);
            collect(r);
        } else {
            driver_wants_kick(r->d);
            __atomic_store_n(&f.round, i, __ATOMIC_RELEASE);
            dawdle(i);
            g_assert_nonnull(driver_add(r->d, &seg, 1, 1));
            saw = driver_wants_kick(r->d);
            meet(&f.done, i);
            /* As before the round; the device waits for the next. */
            af_xdp_vring_disable_kick(r->vr);
            g_assert_cmpuint(turn(r, 1), ==, 1);
            collect(r);
        }
        neither += !saw && !f.saw;
        one += saw != f.saw;
    }
    g_thread_join(t);
    g_test_message("%u rounds, %u seen by one side only, %u by neither",
                   ROUNDS, one, neither);
    g_assert_cmpuint(neither, ==, 0);
    room_free(r);
}

static void test_call_duel(gconstpointer opaque)
{
    duel(opaque, true);
}

static void test_kick_duel(gconstpointer opaque)
{
    duel(opaque, false);
}

int main(int argc, char **argv)
{
    static const char *const names[] = {
        "split", "packed", "split-event-idx", "packed-event-idx",
    };

    g_test_init(&argc, &argv, NULL);
    for (int i = 0; i < 4; i++) {
        g_autofree char *kick = g_strdup_printf("/vring/kick/%s", names[i]);
        g_autofree char *call = g_strdup_printf("/vring/call/%s", names[i]);
        g_autofree char *lost = g_strdup_printf("/vring/no-wake-up-lost/%s",
                                                names[i]);
        g_autofree char *calls = g_strdup_printf("/vring/call-duel/%s",
                                                 names[i]);
        g_autofree char *kicks = g_strdup_printf("/vring/kick-duel/%s",
                                                 names[i]);

        g_test_add_data_func(kick, GINT_TO_POINTER(i), test_kick);
        g_test_add_data_func(call, GINT_TO_POINTER(i), test_call);
        g_test_add_data_func(lost, GINT_TO_POINTER(i), test_no_wakeup_lost);
        g_test_add_data_func(calls, GINT_TO_POINTER(i), test_call_duel);
        g_test_add_data_func(kicks, GINT_TO_POINTER(i), test_kick_duel);
    }
    return g_test_run();
}
