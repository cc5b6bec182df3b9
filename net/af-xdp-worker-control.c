/*
 * AF_XDP network backend: a worker's control, from the main loop
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "net/af-xdp-worker-int.h"

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
    w->tx_bh = aio_bh_new(ctx, worker_tx_bh_run, w);
    w->tx_timer = aio_timer_new(ctx, QEMU_CLOCK_REALTIME, SCALE_NS,
                                worker_tx_bh_run, w);
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
        worker_attach(r->w);
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
    worker_detach(w);
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
    r->w->active = r->on;
    if (r->on) {
        worker_attach(r->w);
    } else {
        worker_detach(r->w);
    }
}

static void nothing_bh(void *opaque)
{
}

void af_xdp_worker_set_active(AfXdpWorker *w, bool active)
{
    Request r = { .on = active };

    if (!w->running) {
        w->active = active;
        return;
    }
    run(w, active_bh, &r);
    if (!active) {
        /*
         * Once more around the loop: if it waits by io_uring, what it has asked
         * of the kernel for a descriptor is taken back in the next round only,
         * and until then closing that one would not end it.
         */
        run(w, nothing_bh, &r);
    }
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

    worker_kick_detach(r->w, r->i);
    r->w->kick_set[r->i] = r->fd >= 0;
    if (r->fd >= 0) {
        event_notifier_init_fd(&r->w->kick[r->i], r->fd);
        worker_kick_attach(r->w, r->i);
    }
    /* A kick may have got lost in the old one. */
    if (!r->w->ring[r->i] || !r->w->active) {
        return;
    }
    if (r->i == AF_XDP_RX) {
        worker_rx_kicked(r->w);
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

void af_xdp_worker_tx(AfXdpWorker *w)
{
    af_xdp_worker_call(w, worker_tx_bh_run, w);
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
    worker_source_update(source);
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
        worker_notify(w, i);
    }
}

AfXdpDatapath *af_xdp_worker_datapath(AfXdpWorker *w)
{
    return w->dp;
}
