/*
 * Benchmark: who sends to the guest
 *
 * One thread for each queue, on a processor of its own choice: drivers without
 * hardware (veth, tun) put a frame into the queue numbered like the sending
 * processor, modulo the queues there are. On veth everything up to the
 * backend's ring, the kernel's copy included, happens on that processor too.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef TESTS_BENCH_SENDER_H
#define TESTS_BENCH_SENDER_H

#include <sys/types.h>
#include "wire.h"

typedef enum AxbSenderKind {
    AXB_SENDER_LIVE,        /* BPF_PROG_TEST_RUN with live frames */
    AXB_SENDER_PACKET,      /* AF_PACKET, one system call a frame */
} AxbSenderKind;

typedef struct AxbSender AxbSender;

/*
 * axb_sender_new: get ready to send, not yet doing so.
 * @cpu: processor to run on
 * @rate: frames per second, evenly spaced; 0: as many as possible
 */
AxbSender *axb_sender_new(AxbWire *wire, int cpu, double rate, GError **errp);

/* axb_sender_start: send, until it is freed. */
void axb_sender_start(AxbSender *s);

/* axb_sender_sent: frames sent so far. Any thread. */
uint64_t axb_sender_sent(const AxbSender *s);

/* axb_sender_tid: its thread, 0 before that runs. */
pid_t axb_sender_tid(const AxbSender *s);

AxbSenderKind axb_sender_kind(const AxbSender *s);

/* axb_sender_free: stop and forget it. May be NULL. */
void axb_sender_free(AxbSender *s);

#endif /* TESTS_BENCH_SENDER_H */
