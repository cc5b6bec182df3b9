/*
 * Benchmark: the wire
 *
 * A network namespace of this process's own, in it the device that a backend
 * is given and, at its far end, who sends to it and counts what it sends:
 *
 *      veth:   backend <-> axb-dev ===== axb-wire <-> programs, senders
 *      tap:    backend <-> (tap) axb-dev          <-> programs, senders
 *
 * A tap device has its far end in itself, so tap crosses one device less than
 * the backends on veth, which is in its favour.
 *
 * What is echoed reaches backends with a native XDP program or none; generic
 * XDP ignores frames that a traffic control program has redirected, so there
 * are no round trips with mode=skb.
 *
 * The namespace vanishes with the process and its children.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef TESTS_BENCH_WIRE_H
#define TESTS_BENCH_WIRE_H

#include <glib.h>
#include "frame.h"
#include "wire-bpf.h"

#define AXB_DEV "axb-dev"
#define AXB_WIRE "axb-wire"

typedef enum AxbWireKind {
    AXB_WIRE_VETH,
    AXB_WIRE_TAP,
} AxbWireKind;

typedef struct AxbWire {
    AxbWireKind kind;
    unsigned queues;
    uint32_t len;           /* of the frames that travel */
    int dev;                /* ifindex of the backend's device */
    int far;                /* ifindex of the far end */
    AxbBpfMap *arrived;     /* what the guest sent */
    AxbCheck check;         /* of the samples taken from it */
} AxbWire;

/* axb_wire_enter: move this process to its own namespace. Before threads. */
gboolean axb_wire_enter(GError **errp);

/*
 * axb_wire_new: make the devices and put the program at the far end.
 * @queues: receive and transmit queues of the devices
 * @len: of the frames; the MTU is 1500, or 9000 if they do not fit that
 * @echo: send back what the guest sends, instead of dropping it
 */
AxbWire *axb_wire_new(AxbWireKind kind, unsigned queues, uint32_t len,
                      gboolean echo, GError **errp);
void axb_wire_free(AxbWire *w);

/*
 * axb_wire_takes_live: do frames that @prog sends arrive at the device? Not
 * if the kernel has no live frames or the frame is too long for them, nor
 * over veth to a backend whose XDP program is not attached natively.
 */
bool axb_wire_takes_live(const AxbWire *w, int prog, const void *frame);

/* axb_wire_sample: check the frame last copied out, if there is one. */
void axb_wire_sample(AxbWire *w);

#endif /* TESTS_BENCH_WIRE_H */
