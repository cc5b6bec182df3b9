/*
 * AF_XDP network backend: the event loop side of the fast path
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "net/af-xdp-worker.h"
#include "qemu/error-report.h"
#include "qemu/event_notifier.h"
#include "qemu/thread.h"
#include "qemu/timer.h"

/* A socket to receive from. */
typedef struct Source {
    AfXdpWorker *w;
    AfXdpCopy *copy;
    bool reading;               /* its handler is registered */
} Source;

struct AfXdpWorker {
    AioContext *ctx;
    char *name;
    bool running;
    bool active;

    AfXdpVring *ring[AF_XDP_RINGS];
    EventNotifier kick[AF_XDP_RINGS];   /* around the fd of somebody else */
    bool kick_set[AF_XDP_RINGS];
    int call[AF_XDP_RINGS];
    AfXdpDatapath *dp;

    Source own;
    GPtrArray *lent;            /* Source * */
    bool starved;               /* the guest has no receive buffers */
    bool low;                   /* few of its buffers are posted */
    guint rx_next;              /* whose turn it is when there are some */
    bool tx_polling;            /* the context polls: no kicks wanted */
    bool tx_waiting;            /* for the socket, not for the guest */
    bool tx_writable;
    bool told[AF_XDP_RINGS];    /* of a fault */
    QEMUBH *tx_bh;
    QEMUTimer *tx_timer;
    QemuSemaphore done;         /* what control has asked for */
};

static void rx_readable(void *opaque);
static void tx_run(void *opaque);

static void notify(AfXdpWorker *w, int i)
{
    uint64_t one = 1;

    if (w->call[i] >= 0) {
        /* Full means that the guest has been called already. */
        ssize_t ret G_GNUC_UNUSED = write(w->call[i], &one, sizeof(one));
    }
}

static void report_fault(AfXdpWorker *w, int i, const char *fault)
{
    if (!w->told[i]) {
        w->told[i] = true;
        warn_report("af-xdp '%s': the guest broke a %s virtqueue (%s); it is "
                    "stopped until the guest resets the device", w->name,
                    i == AF_XDP_RX ? "receive" : "transmit", fault);
    }
}

/* --- What is waited for --- */

static bool source_poll(void *opaque)
{
    Source *source = opaque;

    return af_xdp_copy_rx_pending(source->copy);
}

static void source_update(Source *source)
{
    AfXdpWorker *w = source->w;
    bool own = source == &w->own;
    bool reading = w->running && w->active && w->ring[AF_XDP_RX] &&
                   !af_xdp_datapath_rx_fault(w->dp);
    /* What is in direct buffers needs no others. */
    bool waiting = w->starved &&
                   !(own && af_xdp_datapath_rx_posted(w->dp) > 0);
    bool writing = own && w->running && w->active && w->tx_writable;

    reading = reading && !waiting;
    if (reading || writing || source->reading) {
        int base = af_xdp_copy_base_fd(source->copy);

        if (base != af_xdp_copy_socket(source->copy)->fd) {
            /* The other one does not tell of what comes to it. */
            aio_set_fd_handler(w->ctx, base, reading ? rx_readable : NULL,
                               NULL, NULL, NULL, source);
        }
        aio_set_fd_handler(w->ctx, af_xdp_copy_socket(source->copy)->fd,
                           reading ? rx_readable : NULL,
                           writing ? tx_run : NULL,
                           reading ? source_poll : NULL,
                           reading ? rx_readable : NULL,
                           source);
    }
    source->reading = reading || writing;
}

static void sources_update(AfXdpWorker *w)
{
    source_update(&w->own);
    for (guint i = 0; i < w->lent->len; i++) {
        source_update(g_ptr_array_index(w->lent, i));
    }
}

/* --- Reception --- */

/* Ask for a kick; false if the guest was faster, and none will come. */
static bool rx_want_kick(AfXdpWorker *w)
{
    if (af_xdp_vring_enable_kick(w->ring[AF_XDP_RX])) {
        af_xdp_vring_disable_kick(w->ring[AF_XDP_RX]);
        return false;
    }
    return true;
}

/* Few buffers are posted: be told when there are more, or post them. */
static void rx_low(AfXdpWorker *w)
{
    AfXdpTurn turn = AF_XDP_TURN_LOW;

    while (turn == AF_XDP_TURN_LOW && !rx_want_kick(w)) {
        turn = af_xdp_datapath_rx_refill(w->dp);
    }
    w->low = turn == AF_XDP_TURN_LOW;
    if (turn == AF_XDP_TURN_FAULT) {
        report_fault(w, AF_XDP_RX, af_xdp_datapath_rx_fault(w->dp));
        sources_update(w);
    }
}

static void rx_turn(AfXdpWorker *w, AfXdpCopy *copy)
{
    bool call = false;
    AfXdpTurn turn = af_xdp_datapath_rx(w->dp, copy, &call);

    if (call) {
        notify(w, AF_XDP_RX);
    }
    switch (turn) {
    case AF_XDP_TURN_MORE:
        /* The socket stays readable: the loop comes back by itself. */
        break;
    case AF_XDP_TURN_NO_BUFFERS:
        if (rx_want_kick(w)) {
            w->starved = true;
            sources_update(w);
        }
        break;
    case AF_XDP_TURN_LOW:
        if (!w->low) {
            rx_low(w);
        }
        break;
    case AF_XDP_TURN_FAULT:
        report_fault(w, AF_XDP_RX, af_xdp_datapath_rx_fault(w->dp));
        sources_update(w);
        break;
    default:
        if (w->low && !w->starved) {
            w->low = false;
            af_xdp_vring_disable_kick(w->ring[AF_XDP_RX]);
        }
        break;
    }
}

static void rx_readable(void *opaque)
{
    Source *source = opaque;

    if (!af_xdp_copy_rx_pending(source->copy)) {
        /* Woken by an error: fetch it, or poll() spins on it. */
        af_xdp_socket_error(af_xdp_copy_socket(source->copy));
        return;
    }
    rx_turn(source->w, source->copy);
}

/* A turn for each source, as long as the guest has buffers. */
static void rx_all(AfXdpWorker *w)
{
    guint n = w->lent->len + 1;

    for (guint i = 0; i < n && !w->starved && w->ring[AF_XDP_RX] &&
                      !af_xdp_datapath_rx_fault(w->dp); i++) {
        guint k = w->rx_next++ % n;
        Source *source = k ? g_ptr_array_index(w->lent, k - 1) : &w->own;

        if (af_xdp_copy_rx_pending(source->copy)) {
            rx_turn(w, source->copy);
        }
    }
}

/*
 * The guest has receive buffers again. They may be few: sources take them in
 * turn, or the one that the context asks first would get them all.
 */
static void rx_kicked(AfXdpWorker *w)
{
    bool starved = w->starved;

    if (!starved && !w->low) {
        return;
    }
    w->starved = false;
    w->low = false;
    af_xdp_vring_disable_kick(w->ring[AF_XDP_RX]);
    if (starved) {
        rx_all(w);
    }
    if (af_xdp_datapath_direct(w->dp) &&
        af_xdp_datapath_rx_refill(w->dp) != AF_XDP_TURN_DONE) {
        rx_low(w);
    }
    if (starved && !w->starved) {
        sources_update(w);
    }
}

static void rx_kick_read(EventNotifier *n)
{
    AfXdpWorker *w = container_of(n, AfXdpWorker, kick[AF_XDP_RX]);

    event_notifier_test_and_clear(n);
    rx_kicked(w);
}

static bool rx_kick_poll(void *opaque)
{
    EventNotifier *n = opaque;
    AfXdpWorker *w = container_of(n, AfXdpWorker, kick[AF_XDP_RX]);

    return (w->starved || w->low) &&
           af_xdp_vring_pending(w->ring[AF_XDP_RX]);
}

static void rx_kick_ready(EventNotifier *n)
{
    rx_kicked(container_of(n, AfXdpWorker, kick[AF_XDP_RX]));
}

/* --- Transmission --- */

/*
 * Come back after all others had their turn. Not by a bottom half: as long as
 * one is scheduled the event loop looks at no file descriptor.
 */
static void tx_again(AfXdpWorker *w)
{
    if (w->kick_set[AF_XDP_TX]) {
        event_notifier_set(&w->kick[AF_XDP_TX]);
    } else {
        qemu_bh_schedule(w->tx_bh);
    }
}

static void tx_turn(AfXdpWorker *w)
{
    AfXdpTxState state;
    bool call = false;
    AfXdpTurn turn;

    timer_del(w->tx_timer);
    turn = af_xdp_datapath_tx(w->dp, &call, &state);
    if (call) {
        notify(w, AF_XDP_TX);
    }
    w->tx_waiting = turn == AF_XDP_TURN_NO_ROOM;

    if (w->tx_writable != (state == AF_XDP_TX_POLL)) {
        w->tx_writable = state == AF_XDP_TX_POLL;
        source_update(&w->own);
    }
    /* Without an interface there is nothing to try: af_xdp_worker_tx(). */
    if (state == AF_XDP_TX_RETRY || state == AF_XDP_TX_WAIT ||
        (state == AF_XDP_TX_IDLE && w->tx_waiting)) {
        timer_mod(w->tx_timer, qemu_clock_get_ns(QEMU_CLOCK_REALTIME) +
                               AF_XDP_TX_RETRY_NS);
    }

    switch (turn) {
    case AF_XDP_TURN_MORE:
        tx_again(w);
        /* A loop that finds work by polling may not look at the others. */
        rx_all(w);
        break;
    case AF_XDP_TURN_DONE:
        if (!w->tx_polling && af_xdp_vring_enable_kick(w->ring[AF_XDP_TX])) {
            af_xdp_vring_disable_kick(w->ring[AF_XDP_TX]);
            tx_again(w);
        }
        break;
    case AF_XDP_TURN_FAULT:
        report_fault(w, AF_XDP_TX, af_xdp_datapath_tx_fault(w->dp));
        break;
    default:
        break;
    }
}

/* From the bottom half, the timer, or the socket that is writable. */
static void tx_bh_run(void *opaque)
{
    AfXdpWorker *w = opaque;

    if (w->running && w->active && w->ring[AF_XDP_TX]) {
        tx_turn(w);
    }
}

static void tx_run(void *opaque)
{
    Source *source = opaque;

    tx_bh_run(source->w);
}

static void tx_kick_read(EventNotifier *n)
{
    AfXdpWorker *w = container_of(n, AfXdpWorker, kick[AF_XDP_TX]);

    event_notifier_test_and_clear(n);
    if (!w->tx_waiting) {
        af_xdp_vring_disable_kick(w->ring[AF_XDP_TX]);
        tx_turn(w);
    }
}

static bool tx_kick_poll(void *opaque)
{
    EventNotifier *n = opaque;
    AfXdpWorker *w = container_of(n, AfXdpWorker, kick[AF_XDP_TX]);

    return !w->tx_waiting && !af_xdp_datapath_tx_fault(w->dp) &&
           af_xdp_vring_pending(w->ring[AF_XDP_TX]);
}

static void tx_kick_ready(EventNotifier *n)
{
    tx_turn(container_of(n, AfXdpWorker, kick[AF_XDP_TX]));
}

static void tx_poll_begin(EventNotifier *n)
{
    AfXdpWorker *w = container_of(n, AfXdpWorker, kick[AF_XDP_TX]);

    w->tx_polling = true;
    af_xdp_vring_disable_kick(w->ring[AF_XDP_TX]);
}

static void tx_poll_end(EventNotifier *n)
{
    AfXdpWorker *w = container_of(n, AfXdpWorker, kick[AF_XDP_TX]);

    w->tx_polling = false;
    if (!w->tx_waiting && af_xdp_vring_enable_kick(w->ring[AF_XDP_TX])) {
        af_xdp_vring_disable_kick(w->ring[AF_XDP_TX]);
        tx_again(w);
    }
}

/* --- Attach and detach, in the worker's thread --- */

static void kick_attach(AfXdpWorker *w, int i)
{
    if (!w->kick_set[i] || !w->ring[i] || !w->active) {
        return;
    }
    if (i == AF_XDP_RX) {
        aio_set_event_notifier(w->ctx, &w->kick[i], rx_kick_read,
                               rx_kick_poll, rx_kick_ready);
    } else {
        aio_set_event_notifier(w->ctx, &w->kick[i], tx_kick_read,
                               tx_kick_poll, tx_kick_ready);
        aio_set_event_notifier_poll(w->ctx, &w->kick[i], tx_poll_begin,
                                    tx_poll_end);
    }
}

static void kick_detach(AfXdpWorker *w, int i)
{
    if (w->kick_set[i] && w->ring[i]) {
        aio_set_event_notifier(w->ctx, &w->kick[i], NULL, NULL, NULL);
    }
}

static void attach(AfXdpWorker *w)
{
    w->starved = false;
    w->low = false;
    w->tx_waiting = false;
    w->tx_polling = false;
    w->tx_writable = false;
    for (int i = 0; i < AF_XDP_RINGS; i++) {
        if (w->ring[i]) {
            /* Only asked for when there are no buffers. */
            af_xdp_vring_disable_kick(w->ring[i]);
            kick_attach(w, i);
        }
    }
    sources_update(w);
    if (w->ring[AF_XDP_RX] && af_xdp_datapath_direct(w->dp)) {
        /* The first buffers are posted at the end of a turn. */
        rx_turn(w, w->own.copy);
    }
    if (af_xdp_datapath_rx_fault(w->dp)) {
        /* Found when the ring was taken over: there will be no turn. */
        report_fault(w, AF_XDP_RX, af_xdp_datapath_rx_fault(w->dp));
    }
    if (w->ring[AF_XDP_TX]) {
        qemu_bh_schedule(w->tx_bh);
    }
}

static void detach(AfXdpWorker *w)
{
    for (int i = 0; i < AF_XDP_RINGS; i++) {
        kick_detach(w, i);
    }
    timer_del(w->tx_timer);
    qemu_bh_cancel(w->tx_bh);
    w->tx_writable = false;
    sources_update(w);
    af_xdp_datapath_quiesce(w->dp);
}

/* --- Control, from the main loop --- */

typedef struct Request {
    AfXdpWorker *w;
    QEMUBHFunc *bh;
    int i;
    int fd;
    bool on;
    uint32_t base[AF_XDP_RINGS];
    const void *ptr;
    AfXdpCopy *copy;
    void (*func)(void *);
} Request;

static void run_bh(void *opaque)
{
    Request *r = opaque;

    r->bh(r);
    qemu_sem_post(&r->w->done);
}

/*
 * Not by aio_wait_bh_oneshot(): that runs the main loop's bottom halves while
 * it waits, and we may be in the midst of a change of the memory map, which
 * they could change again. What runs in the worker never waits for us.
 */
static void run(AfXdpWorker *w, QEMUBHFunc *func, Request *request)
{
    request->w = w;
    request->bh = func;
    aio_bh_schedule_oneshot(w->ctx, run_bh, request);
    qemu_sem_wait(&w->done);
}

AfXdpWorker *af_xdp_worker_new(AioContext *ctx, AfXdpCopy *copy,
                               const char *name)
{
    AfXdpWorker *w = g_new0(AfXdpWorker, 1);

    w->ctx = ctx;
    w->name = g_strdup(name);
    w->active = true;
    w->own.w = w;
    w->own.copy = copy;
    w->lent = g_ptr_array_new_with_free_func(g_free);
    qemu_sem_init(&w->done, 0);
    w->tx_bh = aio_bh_new(ctx, tx_bh_run, w);
    w->tx_timer = aio_timer_new(ctx, QEMU_CLOCK_REALTIME, SCALE_NS,
                                tx_bh_run, w);
    for (int i = 0; i < AF_XDP_RINGS; i++) {
        w->call[i] = -1;
    }
    return w;
}

void af_xdp_worker_free(AfXdpWorker *w)
{
    if (!w) {
        return;
    }
    g_assert(!w->running);
    qemu_bh_delete(w->tx_bh);
    timer_free(w->tx_timer);
    qemu_sem_destroy(&w->done);
    g_ptr_array_free(w->lent, true);
    g_free(w->name);
    g_free(w);
}

static void start_bh(void *opaque)
{
    Request *r = opaque;

    r->w->running = true;
    if (r->w->active) {
        attach(r->w);
    }
}

bool af_xdp_worker_start(AfXdpWorker *w, const AfXdpWorkerRing *rings,
                         uint64_t features, GError **errp)
{
    Request r = { 0 };

    g_assert(!w->running);
    for (int i = 0; i < AF_XDP_RINGS; i++) {
        w->told[i] = false;
        w->call[i] = rings[i].call;
        w->kick_set[i] = rings[i].kick >= 0;
        if (w->kick_set[i]) {
            event_notifier_init_fd(&w->kick[i], rings[i].kick);
        }
        if (rings[i].ready) {
            w->ring[i] = af_xdp_vring_new(&rings[i].config, errp);
            if (!w->ring[i]) {
                while (i-- > 0) {
                    af_xdp_vring_free(w->ring[i]);
                    w->ring[i] = NULL;
                }
                return false;
            }
        }
    }
    w->dp = af_xdp_datapath_new(w->own.copy, w->ring[AF_XDP_RX],
                                w->ring[AF_XDP_TX], features);
    run(w, start_bh, &r);
    return true;
}

static void stop_bh(void *opaque)
{
    Request *r = opaque;
    AfXdpWorker *w = r->w;

    w->running = false;
    detach(w);
    for (int i = 0; i < AF_XDP_RINGS; i++) {
        r->base[i] = w->ring[i] ? af_xdp_vring_base(w->ring[i]) : 0;
    }
}

void af_xdp_worker_stop(AfXdpWorker *w, uint32_t base[AF_XDP_RINGS])
{
    Request r = { 0 };

    run(w, stop_bh, &r);
    memcpy(base, r.base, sizeof(r.base));
    af_xdp_datapath_free(w->dp);
    w->dp = NULL;
    for (int i = 0; i < AF_XDP_RINGS; i++) {
        af_xdp_vring_free(w->ring[i]);
        w->ring[i] = NULL;
    }
    g_ptr_array_set_size(w->lent, 0);
}

bool af_xdp_worker_running(const AfXdpWorker *w)
{
    return w && w->running;
}

static void active_bh(void *opaque)
{
    Request *r = opaque;

    if (r->w->active == r->on) {
        return;
    }
    if (!r->on) {
        detach(r->w);
    }
    r->w->active = r->on;
    if (r->on) {
        attach(r->w);
    } else {
        sources_update(r->w);
    }
}

void af_xdp_worker_set_active(AfXdpWorker *w, bool active)
{
    Request r = { .on = active };

    if (!w->running) {
        w->active = active;
        return;
    }
    run(w, active_bh, &r);
}

static void base_bh(void *opaque)
{
    Request *r = opaque;

    af_xdp_datapath_quiesce(r->w->dp);
    r->base[0] = af_xdp_vring_base(r->w->ring[r->i]);
}

uint32_t af_xdp_worker_base(AfXdpWorker *w, int i)
{
    Request r = { .i = i };

    if (!w->ring[i]) {
        return 0;
    }
    run(w, base_bh, &r);
    return r.base[0];
}

static void call_bh(void *opaque)
{
    Request *r = opaque;

    r->w->call[r->i] = r->fd;
}

void af_xdp_worker_set_call(AfXdpWorker *w, int i, int fd)
{
    Request r = { .i = i, .fd = fd };

    run(w, call_bh, &r);
}

static void kick_bh(void *opaque)
{
    Request *r = opaque;

    kick_detach(r->w, r->i);
    r->w->kick_set[r->i] = r->fd >= 0;
    if (r->fd >= 0) {
        event_notifier_init_fd(&r->w->kick[r->i], r->fd);
        kick_attach(r->w, r->i);
    }
    /* A kick may have got lost in the old one. */
    if (!r->w->ring[r->i] || !r->w->active) {
        return;
    }
    if (r->i == AF_XDP_RX) {
        rx_kicked(r->w);
    } else {
        /* The end of polling is not told to a handler that is new or gone. */
        r->w->tx_polling = false;
        qemu_bh_schedule(r->w->tx_bh);
    }
}

void af_xdp_worker_set_kick(AfXdpWorker *w, int i, int fd)
{
    Request r = { .i = i, .fd = fd };

    run(w, kick_bh, &r);
}

static void memory_bh(void *opaque)
{
    Request *r = opaque;

    /* Chains that are held have addresses of the old table. */
    af_xdp_datapath_quiesce(r->w->dp);
    for (int i = 0; i < AF_XDP_RINGS; i++) {
        if (r->w->ring[i]) {
            af_xdp_vring_set_memory(r->w->ring[i], r->ptr);
        }
    }
}

void af_xdp_worker_set_memory(AfXdpWorker *w, const AfXdpMemory *memory)
{
    Request r = { .ptr = memory };

    run(w, memory_bh, &r);
}

static void log_bh(void *opaque)
{
    Request *r = opaque;

    for (int i = 0; i < AF_XDP_RINGS; i++) {
        if (r->w->ring[i]) {
            af_xdp_vring_set_log(r->w->ring[i], r->ptr);
        }
    }
}

void af_xdp_worker_set_log(AfXdpWorker *w, const AfXdpLog *log)
{
    Request r = { .ptr = log };

    run(w, log_bh, &r);
}

static void tx_bh_wake(void *opaque)
{
    Request *r = opaque;

    tx_bh_run(r->w);
}

void af_xdp_worker_tx(AfXdpWorker *w)
{
    Request r = { 0 };

    run(w, tx_bh_wake, &r);
}

static void lend_bh(void *opaque)
{
    Request *r = opaque;
    Source *source;

    for (guint i = 0; i < r->w->lent->len; i++) {
        source = g_ptr_array_index(r->w->lent, i);
        if (source->copy == r->copy) {
            return;
        }
    }
    source = g_new0(Source, 1);
    source->w = r->w;
    source->copy = r->copy;
    g_ptr_array_add(r->w->lent, source);
    source_update(source);
}

void af_xdp_worker_lend(AfXdpWorker *w, AfXdpCopy *copy)
{
    Request r = { .copy = copy };

    run(w, lend_bh, &r);
}

static void take_back_bh(void *opaque)
{
    Request *r = opaque;

    for (guint i = 0; i < r->w->lent->len; i++) {
        Source *source = g_ptr_array_index(r->w->lent, i);

        if (source->copy == r->copy) {
            aio_set_fd_handler(r->w->ctx, af_xdp_copy_socket(r->copy)->fd,
                               NULL, NULL, NULL, NULL, NULL);
            g_ptr_array_remove_index(r->w->lent, i);
            return;
        }
    }
}

void af_xdp_worker_take_back(AfXdpWorker *w, AfXdpCopy *copy)
{
    Request r = { .copy = copy };

    run(w, take_back_bh, &r);
}

static void func_bh(void *opaque)
{
    Request *r = opaque;

    r->func((void *)r->ptr);
}

void af_xdp_worker_call(AfXdpWorker *w, void (*func)(void *), void *opaque)
{
    Request r = { .func = func, .ptr = opaque };

    run(w, func_bh, &r);
}

void af_xdp_worker_notify(AfXdpWorker *w)
{
    for (int i = 0; i < AF_XDP_RINGS; i++) {
        notify(w, i);
    }
}

AfXdpDatapath *af_xdp_worker_datapath(AfXdpWorker *w)
{
    return w->dp;
}
