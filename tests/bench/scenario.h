/*
 * Benchmark: one measurement
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef TESTS_BENCH_SCENARIO_H
#define TESTS_BENCH_SCENARIO_H

#include "backend.h"

/* Frames per second; the others are rates. */
#define AXB_RATE_NONE (-1.0)
#define AXB_RATE_MAX 0.0

typedef struct AxbScenario {
    const char *name;
    const char *title;
    double rx_rate;         /* what the wire sends to the guest */
    double tx_rate;         /* what the guest sends */
    bool echo;              /* the wire sends it back, latency is measured */
    bool ping_pong;         /* one frame at a time */
} AxbScenario;

/* What is measured: one cell of the table, in one ring format. */
typedef struct AxbPoint {
    const AxbBackend *backend;
    const AxbScenario *scenario;
    uint32_t len;
    unsigned queues;
    bool packed;
} AxbPoint;

typedef struct AxbSettings {
    AxbBinaries bin;
    double warmup;          /* seconds before... */
    double duration;        /* ...and of a measurement */
    bool event_idx;
    bool indirect;
    bool mergeable;
    bool qtest_kicks;
    uint32_t ring;          /* 0: as large as can be */
} AxbSettings;

typedef struct AxbResult {
    double seconds;
    double rx_pps;          /* received by the guest */
    double tx_pps;          /* counted on the wire */
    double offered_pps;     /* sent by the wire */
    double cpu_ns;          /* of the process, for each frame moved */
    double user_ns;         /* of it; sampled */
    double system_ns;
    double cpu_share;       /* busy processors */
    /*
     * Processors waited for while others were there, of whom the benchmark's
     * own guest driver does not count.
     */
    double wait_share;
    double far_wait_share;  /* likewise, of the senders */
    double stolen_share;
    double p50_us;          /* round trip */
    double p99_us;
    uint64_t lost;          /* of a ping-pong */
    double kicks;           /* per second */
    uint64_t sampled;       /* frames whose contents were looked at */
    uint64_t bad;           /* of them wrong, or of a wrong length */
    uint64_t misplaced;     /* of them out of order */
    bool live_frames;       /* the fast sender was used */
} AxbResult;

/* axb_scenario_next: all of them in order; NULL starts, NULL ends. */
const AxbScenario *axb_scenario_next(const AxbScenario *s);
const AxbScenario *axb_scenario_find(const char *name);

/*
 * axb_point_run: set everything up, measure, take it down.
 *
 * Which thread runs where, with P processors and Q queues:
 *
 *  P >= 3Q     each on its own: Q for QEMU, Q senders, Q guest drivers
 *  P == 2, Q == 1
 *              where the wire sends, the sender has the second to itself, and
 *              the guest driver shares the first with QEMU: it wakes every
 *              100 us for a few. Where it does not, QEMU has the first and
 *              the driver, which polls, the second.
 *  otherwise   QEMU everywhere, senders and drivers spread; the kernel
 *              decides, and ratios mean more than figures.
 *
 * The floor has its socket's thread where QEMU would be.
 */
bool axb_point_run(const AxbPoint *p, const AxbSettings *settings,
                   AxbResult *result, GError **errp);

/* axb_point_kick_cost: measure kicks of a backend. See guest.h. */
bool axb_point_kick_cost(const AxbBackend *b, const AxbSettings *settings,
                         AxbKickCost *cost, GError **errp);

#endif /* TESTS_BENCH_SCENARIO_H */
