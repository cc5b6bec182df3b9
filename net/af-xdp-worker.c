/*
 * AF_XDP network backend: the event loop side of the fast path
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "net/af-xdp-worker-int.h"
#include "qemu/error-report.h"

static void rx_readable(void *opaque);
static void tx_run(void *opaque);

void worker_notify(AfXdpWorker *w, int i)
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

/* Without one, the context would poll for nothing at all. */
static bool base_poll(void *opaque)
{
    Source *source = opaque;

    return af_xdp_copy_base_pending(source->copy);
}

void worker_source_update(Source *source)
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
                               NULL, reading ? base_poll : NULL,
                               reading ? rx_readable : NULL, source);
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

void worker_sources_update(AfXdpWorker *w)
{
    worker_source_update(&w->own);
    for (guint i = 0; i < w->lent->len; i++) {
        worker_source_update(g_ptr_array_index(w->lent, i));
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

/*
 * What the guest has is posted, which ended with @turn. If that is little: be
 * told when there is more, or post it.
 */
static void rx_posted(AfXdpWorker *w, AfXdpTurn turn)
{
    bool kick = false, more = true;

    while (turn == AF_XDP_TURN_LOW && more && !(kick = rx_want_kick(w))) {
        uint32_t before = af_xdp_datapath_rx_posted(w->dp);

        turn = af_xdp_datapath_rx_refill(w->dp);
        /* What does not fit, or is for frames: the next turn sees to it. */
        more = af_xdp_datapath_rx_posted(w->dp) != before;
    }
    w->low = kick;
    if (turn == AF_XDP_TURN_FAULT) {
        report_fault(w, AF_XDP_RX, af_xdp_datapath_rx_fault(w->dp));
        worker_sources_update(w);
    }
}

static void rx_turn(AfXdpWorker *w, AfXdpCopy *copy)
{
    bool call = false;
    AfXdpTurn turn = af_xdp_datapath_rx(w->dp, copy, &call);

    if (call) {
        worker_notify(w, AF_XDP_RX);
    }
    switch (turn) {
    case AF_XDP_TURN_MORE:
        /* The socket stays readable: the loop comes back by itself. */
        break;
    case AF_XDP_TURN_NO_BUFFERS:
        if (rx_want_kick(w)) {
            w->starved = true;
            worker_sources_update(w);
        }
        break;
    case AF_XDP_TURN_LOW:
        if (!w->low) {
            rx_posted(w, turn);
        }
        break;
    case AF_XDP_TURN_FAULT:
        report_fault(w, AF_XDP_RX, af_xdp_datapath_rx_fault(w->dp));
        worker_sources_update(w);
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
void worker_rx_kicked(AfXdpWorker *w)
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
    if (af_xdp_datapath_direct(w->dp)) {
        rx_posted(w, af_xdp_datapath_rx_refill(w->dp));
    }
    if (starved && !w->starved) {
        worker_sources_update(w);
    }
}

static void rx_kick_read(EventNotifier *n)
{
    AfXdpWorker *w = container_of(n, AfXdpWorker, kick[AF_XDP_RX]);

    event_notifier_test_and_clear(n);
    worker_rx_kicked(w);
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
    worker_rx_kicked(container_of(n, AfXdpWorker, kick[AF_XDP_RX]));
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
        worker_notify(w, AF_XDP_TX);
    }
    w->tx_waiting = turn == AF_XDP_TURN_NO_ROOM;

    if (w->tx_writable != (state == AF_XDP_TX_POLL)) {
        w->tx_writable = state == AF_XDP_TX_POLL;
        worker_source_update(&w->own);
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
void worker_tx_bh_run(void *opaque)
{
    AfXdpWorker *w = opaque;

    if (w->running && w->active && w->ring[AF_XDP_TX]) {
        tx_turn(w);
    }
}

static void tx_run(void *opaque)
{
    Source *source = opaque;

    worker_tx_bh_run(source->w);
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

/* --- Attach and worker_detach, in the worker's thread --- */

void worker_kick_attach(AfXdpWorker *w, int i)
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

void worker_kick_detach(AfXdpWorker *w, int i)
{
    if (w->kick_set[i] && w->ring[i]) {
        aio_set_event_notifier(w->ctx, &w->kick[i], NULL, NULL, NULL);
    }
}

void worker_attach(AfXdpWorker *w)
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
            worker_kick_attach(w, i);
        }
    }
    worker_sources_update(w);
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

void worker_detach(AfXdpWorker *w)
{
    for (int i = 0; i < AF_XDP_RINGS; i++) {
        worker_kick_detach(w, i);
    }
    timer_del(w->tx_timer);
    qemu_bh_cancel(w->tx_bh);
    w->tx_writable = false;
    worker_sources_update(w);
    af_xdp_datapath_quiesce(w->dp);
}
