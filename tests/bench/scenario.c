/*
 * Benchmark: one measurement
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include "cpu.h"
#include "scenario.h"
#include "sender.h"
#include "stats.h"

#define MAX_CPUS 256
#define BURST 64
/* At 4 Mpps 400 frames come meanwhile: less than half a ring of 1024. */
#define NAP_NS 100000
/* One received frame in so many is compared byte by byte. */
#define SAMPLE_EVERY 1024
/* A ping that takes longer is lost. */
#define PING_NS 50000000ull
#define FIXED_RATE 300e3

static const AxbScenario table[] = {
    { "rx", "receive", AXB_RATE_MAX, AXB_RATE_NONE },
    { "tx", "send", AXB_RATE_NONE, AXB_RATE_MAX },
    { "both", "receive and send", AXB_RATE_MAX, AXB_RATE_MAX },
    { "rtt", "ping-pong", AXB_RATE_NONE, AXB_RATE_MAX, true, true },
    { "rx300", "receive 300 kpps", FIXED_RATE, AXB_RATE_NONE },
    { "tx300", "send 300 kpps", AXB_RATE_NONE, FIXED_RATE },
    { "rtt300", "round trips at 300 kpps", AXB_RATE_NONE, FIXED_RATE, true },
};

/* One queue of the near end, with its thread. */
typedef struct Traffic {
    AxbEndpoint *ep;
    const AxbScenario *scenario;
    unsigned queue;
    uint32_t len;
    int cpu;
    bool nap;
    bool stop;
    bool measuring;
    pid_t tid;
    uint64_t rx;                /* read by others while it runs */
    uint64_t rx_frames;
    uint64_t seq;
    uint64_t pinged;            /* ping-pong: when, or 0 */
    uint64_t lost;
    double next;                /* paced: when the next is due */
    AxbCheck check;
    AxbHist hist;
    GThread *thread;
} __attribute__((aligned(128))) Traffic;

/* Who runs where */
typedef struct Placement {
    int qemu[MAX_CPUS];
    unsigned n_qemu;
    int sender[MAX_CPUS];       /* by queue */
    int traffic[MAX_CPUS];      /* by queue */
    bool with_qemu;             /* traffic on QEMU's processors */
    bool nap;
} Placement;

/* Everything that one measurement consists of */
typedef struct Run {
    AxbWire *wire;
    AxbEndpoint *ep;
    AxbSender **senders;
    Traffic *traffic;
    unsigned queues;
    bool with_qemu;             /* see Placement */
} Run;

typedef struct Snapshot {
    uint64_t time;
    uint64_t rx;
    uint64_t tx;
    uint64_t sent;
    uint64_t kicks;
    uint64_t stolen;
    uint64_t far_wait;
    AxbCpuTime cpu;
    AxbCpuTime traffic;         /* of the guest driver */
} Snapshot;

const AxbScenario *axb_scenario_next(const AxbScenario *s)
{
    s = s ? s + 1 : table;
    return s == table + G_N_ELEMENTS(table) ? NULL : s;
}

const AxbScenario *axb_scenario_find(const char *name)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(table); i++) {
        if (!strcmp(table[i].name, name)) {
            return &table[i];
        }
    }
    return NULL;
}

/* --- The traffic threads --- */

static void traffic_received(void *opaque, const struct iovec *iov,
                             unsigned n, uint32_t len)
{
    Traffic *t = opaque;

    if (len != t->len) {
        /* Somebody else's, or a frame of ours that was cut. */
        t->check.bad++;
        return;
    }
    if (t->rx_frames++ % SAMPLE_EVERY == 0) {
        axb_frame_check(&t->check, iov, n, len, t->len);
    }
    if (t->scenario->echo) {
        uint64_t sent = axb_frame_word(iov[0].iov_base, AXB_OFF_TIME);

        if (__atomic_load_n(&t->measuring, __ATOMIC_RELAXED)) {
            axb_hist_add(&t->hist, axb_now() - sent);
        }
        t->pinged = 0;
    }
}

static void traffic_send(Traffic *t)
{
    double rate = t->scenario->tx_rate;
    uint64_t now;
    unsigned n;

    if (t->scenario->ping_pong) {
        now = axb_now();
        if (t->pinged && now - t->pinged < PING_NS) {
            return;
        }
        t->lost += t->pinged != 0;
        t->pinged = now;
        t->seq += t->ep->tx(t->ep, t->queue, 1, t->seq + 1, now);
    } else if (rate == AXB_RATE_MAX) {
        do {
            n = t->ep->tx(t->ep, t->queue, BURST, t->seq + 1, 0);
            t->seq += n;
        } while (n == BURST && t->nap);
    } else {
        now = axb_now();
        if (!t->next || now - t->next > 1e6) {
            t->next = now;      /* the start, or a stall: do not catch up */
        }
        while (t->next <= now) {
            t->next += 1e9 / rate;
            t->seq += t->ep->tx(t->ep, t->queue, 1, t->seq + 1, now);
        }
    }
}

static void *traffic_thread(void *opaque)
{
    static const struct timespec nap = { .tv_nsec = NAP_NS };
    Traffic *t = opaque;
    bool sends = t->scenario->tx_rate != AXB_RATE_NONE;

    axb_cpu_pin(&t->cpu, 1);
    if (t->nap) {
        axb_cpu_urgent();
    }
    __atomic_store_n(&t->tid, syscall(SYS_gettid), __ATOMIC_RELEASE);
    while (!__atomic_load_n(&t->stop, __ATOMIC_RELAXED)) {
        while (t->ep->rx(t->ep, t->queue, BURST, traffic_received, t) ==
               BURST && t->nap) {
            /* more to come */
        }
        __atomic_store_n(&t->rx, t->rx_frames, __ATOMIC_RELAXED);
        if (sends) {
            traffic_send(t);
        }
        if (t->nap) {
            nanosleep(&nap, NULL);
        }
    }
    return NULL;
}

/* --- Placement --- */

/* A processor of the list that feeds queue @queue; see sender.h */
static int feeding_cpu(const int *cpus, unsigned n, unsigned queue,
                       unsigned queues)
{
    for (unsigned i = 0; i < n; i++) {
        if (cpus[i] % queues == queue) {
            return cpus[i];
        }
    }
    return cpus[queue % n];
}

static void place(Placement *where, unsigned queues, bool sending, bool floor)
{
    int cpus[MAX_CPUS];
    unsigned n = axb_cpu_allowed(cpus, MAX_CPUS);
    bool apart = n >= 3 * queues;
    bool two = !apart && queues == 1 && n >= 2;

    memset(where, 0, sizeof(*where));
    where->n_qemu = apart || two ? queues : n;
    memcpy(where->qemu, cpus, where->n_qemu * sizeof(cpus[0]));
    for (unsigned i = 0; i < queues; i++) {
        if (apart) {
            where->sender[i] = feeding_cpu(cpus + queues, queues, i, queues);
            where->traffic[i] = cpus[2 * queues + i];
        } else if (two) {
            /* All of the guest and QEMU on one side, the wire on the other. */
            where->sender[i] = cpus[1];
            where->traffic[i] = sending ? cpus[0] : cpus[1];
        } else {
            where->sender[i] = feeding_cpu(cpus, n, i, queues);
            where->traffic[i] = where->sender[i];
        }
        if (floor) {
            where->traffic[i] = where->qemu[i % where->n_qemu];
        }
    }
    where->with_qemu = !floor && !apart && (sending || !two);
    /* Polling must not cost somebody else the processor. */
    where->nap = floor ? sending && !apart && !two
                       : !apart && (sending || !two);
}

/* --- Measuring --- */

static void traffic_stop(Traffic *t)
{
    if (t->thread) {
        __atomic_store_n(&t->stop, true, __ATOMIC_RELAXED);
        g_thread_join(t->thread);
        t->thread = NULL;
    }
}

static void run_free(Run *run)
{
    for (unsigned i = 0; i < run->queues; i++) {
        axb_sender_free(run->senders[i]);
        traffic_stop(&run->traffic[i]);
    }
    if (run->ep) {
        run->ep->free(run->ep);
    }
    axb_wire_free(run->wire);
    g_free(run->senders);
    free(run->traffic);
}

static bool run_start(Run *run, const AxbPoint *p, const AxbSettings *set,
                      GError **errp)
{
    bool sending = p->scenario->rx_rate != AXB_RATE_NONE;
    bool floor = p->backend->binary == AXB_BINARY_NONE;
    Placement where;
    AxbGuestConfig guest = {
        .ring = set->ring,
        .packed = p->packed,
        .event_idx = set->event_idx,
        .indirect = set->indirect,
        .mergeable = set->mergeable,
        .qtest_kicks = set->qtest_kicks,
    };

    place(&where, p->queues, sending, floor);
    guest.cpus = where.qemu;
    guest.n_cpus = where.n_qemu;

    run->queues = p->queues;
    run->with_qemu = where.with_qemu;
    run->senders = g_new0(AxbSender *, p->queues);
    run->traffic = aligned_alloc(128, p->queues * sizeof(Traffic));
    memset(run->traffic, 0, p->queues * sizeof(Traffic));
    run->wire = axb_wire_new(p->backend->wire, p->queues, p->len,
                             p->scenario->echo, errp);
    if (!run->wire) {
        return false;
    }
    run->ep = axb_backend_start(p->backend, &set->bin, run->wire, &guest,
                                errp);
    if (!run->ep) {
        return false;
    }
    for (unsigned i = 0; sending && i < p->queues; i++) {
        run->senders[i] = axb_sender_new(run->wire, where.sender[i],
                                         p->scenario->rx_rate, errp);
        if (!run->senders[i]) {
            return false;
        }
    }
    for (unsigned i = 0; i < p->queues; i++) {
        Traffic *t = &run->traffic[i];

        t->ep = run->ep;
        t->scenario = p->scenario;
        t->queue = i;
        t->len = p->len;
        t->cpu = where.traffic[i];
        t->nap = where.nap;
        t->thread = g_thread_new("axb-traffic", traffic_thread, t);
    }
    for (unsigned i = 0; sending && i < p->queues; i++) {
        axb_sender_start(run->senders[i]);
    }
    return true;
}

/* What the traffic threads used. */
static void traffic_cpu(const Run *run, AxbCpuTime *sum)
{
    for (unsigned i = 0; i < run->queues; i++) {
        pid_t tid = __atomic_load_n(&run->traffic[i].tid, __ATOMIC_ACQUIRE);
        AxbCpuTime one;

        if (tid && axb_cpu_time(getpid(), tid, &one)) {
            sum->busy_ns += one.busy_ns;
            sum->wait_ns += one.wait_ns;
            sum->user_ticks += one.user_ticks;
            sum->system_ticks += one.system_ticks;
        }
    }
}

static void take_snapshot(const Run *run, Snapshot *s)
{
    memset(s, 0, sizeof(*s));
    for (unsigned i = 0; i < run->queues; i++) {
        s->rx += __atomic_load_n(&run->traffic[i].rx, __ATOMIC_RELAXED);
        if (run->senders[i]) {
            AxbCpuTime one;

            s->sent += axb_sender_sent(run->senders[i]);
            if (axb_cpu_time(getpid(), axb_sender_tid(run->senders[i]),
                             &one)) {
                s->far_wait += one.wait_ns;
            }
        }
    }
    s->tx = axb_bpf_frames(run->wire->arrived);
    s->kicks = run->ep->kicks(run->ep);
    s->time = axb_now();
    s->stolen = axb_cpu_stolen();
    traffic_cpu(run, &s->traffic);
    if (run->ep->pid) {
        axb_cpu_time(run->ep->pid, 0, &s->cpu);
    } else {
        s->cpu = s->traffic;
    }
}

static void set_measuring(Run *run, bool on)
{
    for (unsigned i = 0; i < run->queues; i++) {
        __atomic_store_n(&run->traffic[i].measuring, on, __ATOMIC_RELAXED);
    }
}

/* Sleep in steps, looking at what has arrived on the wire in between. */
static void pass_time(Run *run, double seconds)
{
    uint64_t end = axb_now() + seconds * 1e9;

    while (axb_now() < end) {
        g_usleep(5000);
        axb_wire_sample(run->wire);
    }
}

static void evaluate(Run *run, const AxbPoint *p, const Snapshot *a,
                     const Snapshot *b, AxbResult *r)
{
    g_autofree AxbHist *hist = g_new0(AxbHist, 1);
    double ns = b->time - a->time;
    double s = ns / 1e9;
    double moved = (b->rx - a->rx) + (b->tx - a->tx);
    double waited = b->cpu.wait_ns - a->cpu.wait_ns;
    double ticks = (b->cpu.user_ticks - a->cpu.user_ticks) +
                   (b->cpu.system_ticks - a->cpu.system_ticks);

    r->seconds = s;
    r->rx_pps = (b->rx - a->rx) / s;
    r->tx_pps = (b->tx - a->tx) / s;
    r->offered_pps = (b->sent - a->sent) / s;
    r->kicks = (b->kicks - a->kicks) / s;
    r->cpu_share = (b->cpu.busy_ns - a->cpu.busy_ns) / ns;
    if (run->with_qemu) {
        /* Waiting for the guest driver is as it should be. */
        waited = MAX(waited - (b->traffic.busy_ns - a->traffic.busy_ns), 0);
    }
    r->wait_share = waited / ns;
    r->far_wait_share = (b->far_wait - a->far_wait) / ns / p->queues;
    r->stolen_share = (b->stolen - a->stolen) / ns;
    if (moved) {
        r->cpu_ns = (b->cpu.busy_ns - a->cpu.busy_ns) / moved;
    }
    if (moved && ticks) {
        r->user_ns = r->cpu_ns *
                     (b->cpu.user_ticks - a->cpu.user_ticks) / ticks;
        r->system_ns = r->cpu_ns - r->user_ns;
    }
    r->bad = axb_bpf_odd(run->wire->arrived) + run->wire->check.bad;
    r->sampled = run->wire->check.sampled;
    /* Samples of several queues come in no order. */
    r->misplaced = p->queues > 1 ? 0 : run->wire->check.misplaced;
    r->live_frames = run->senders[0] &&
                     axb_sender_kind(run->senders[0]) == AXB_SENDER_LIVE;
    for (unsigned i = 0; i < run->queues; i++) {
        const Traffic *t = &run->traffic[i];

        axb_hist_merge(hist, &t->hist);
        r->lost += t->lost;
        r->bad += t->check.bad;
        r->sampled += t->check.sampled;
        r->misplaced += p->queues > 1 ? 0 : t->check.misplaced;
    }
    r->p50_us = axb_hist_quantile(hist, 0.50) / 1e3;
    r->p99_us = axb_hist_quantile(hist, 0.99) / 1e3;
}

bool axb_point_run(const AxbPoint *p, const AxbSettings *settings,
                   AxbResult *result, GError **errp)
{
    Run run = { 0 };
    Snapshot before, after;

    memset(result, 0, sizeof(*result));
    if (!run_start(&run, p, settings, errp)) {
        run_free(&run);
        return false;
    }
    pass_time(&run, settings->warmup);
    set_measuring(&run, true);
    take_snapshot(&run, &before);
    pass_time(&run, settings->duration);
    take_snapshot(&run, &after);
    set_measuring(&run, false);
    for (unsigned i = 0; i < run.queues; i++) {
        traffic_stop(&run.traffic[i]);
    }
    evaluate(&run, p, &before, &after, result);
    run_free(&run);
    return true;
}

bool axb_point_kick_cost(const AxbBackend *b, const AxbSettings *settings,
                         AxbKickCost *cost, GError **errp)
{
    AxbPoint p = {
        .backend = b,
        .scenario = axb_scenario_find("tx"),
        .len = AXB_FRAME_MIN,
        .queues = 1,
    };
    Run run = { 0 };
    bool ok = run_start(&run, &p, settings, errp);

    if (ok) {
        /* Only the device is wanted, no traffic. */
        traffic_stop(&run.traffic[0]);
        g_usleep(50000);
        axb_guest_kick_cost(run.ep, 1000, cost);
    }
    run_free(&run);
    return ok;
}
