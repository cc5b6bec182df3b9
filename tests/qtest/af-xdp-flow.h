/*
 * af-xdp qtest: traffic that goes on while something else happens
 *
 * And what else the tests of the fast path share.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef TESTS_QTEST_AF_XDP_FLOW_H
#define TESTS_QTEST_AF_XDP_FLOW_H

#include "af-xdp-net.h"
#include "af-xdp-virtio.h"

/*
 * axt_vhost_start: like axt_net_start(), for virtio-net only.
 * @device: more device options, from the comma on.
 * @config: how to drive it, or NULL.
 */
void axt_vhost_start(AxtNet *net, unsigned queues, const char *device,
                     const AxtVirtioConfig *config);

/* axt_vhost_assert_running: packets go past the main loop, without faults. */
void axt_vhost_assert_running(AxtNet *net);

/* axt_vm_stop, axt_vm_cont: the machine is stopped, and goes on. */
void axt_vm_stop(AxtNet *net);
void axt_vm_cont(AxtNet *net);

/*
 * Numbered frames on the first queue, both ways. They must arrive in order and
 * each once; none may be missing, unless somebody pulls the cable meanwhile.
 */
typedef struct AxtFlow {
    AxtNet *net;
    bool lossy;
    uint32_t sent[2];           /* indexed by direction */
    uint32_t next[2];           /* number of the next frame to arrive */
    uint32_t got[2];
} AxtFlow;

enum { TO_WIRE, TO_GUEST };

/* axt_flow_send: send what fits; both directions are full then. */
void axt_flow_send(AxtFlow *f);

/* axt_flow_run: go on until @n more frames have arrived at each end. */
void axt_flow_run(AxtFlow *f, uint32_t n);

/*
 * axt_flow_drain: no more is sent. What is on its way arrives; if frames may
 * get lost, what has not come by now never will.
 */
void axt_flow_drain(AxtFlow *f);

/*
 * axt_count_buffers: the device has all receive buffers of the first queue
 * that it was given, and uses them all; and nothing to send: no descriptor was
 * lost in any of what happened before.
 */
void axt_count_buffers(AxtNet *net);

/* axt_take_msi: has the vector of @q fired since this was last asked? */
bool axt_take_msi(AxtNet *net, AxtVq *q);

/* axt_wait_msi: it must, before long. */
void axt_wait_msi(AxtNet *net, AxtVq *q);

/* axt_wait_used: wait for @n used buffers that are not taken back. */
void axt_wait_used(AxtRing *ring, unsigned n);

/* axt_arrive: @n frames arrive at the guest, which does not take them. */
void axt_arrive(AxtNet *net, unsigned n);

/* axt_take_arrived: now it does. */
void axt_take_arrived(AxtNet *net);

#endif /* TESTS_QTEST_AF_XDP_FLOW_H */
