/*
 * Benchmark: the backends that are compared
 *
 * A table: a new backend is one entry more.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef TESTS_BENCH_BACKEND_H
#define TESTS_BENCH_BACKEND_H

#include "endpoint.h"
#include "guest.h"
#include "wire.h"

typedef enum AxbBinary {
    AXB_BINARY_NONE,        /* the floor: a bare socket */
    AXB_BINARY_OURS,
    AXB_BINARY_UPSTREAM,
    AXB_BINARY_TESTPMD,     /* ours, with DPDK's testpmd as its other side */
} AxbBinary;

typedef struct AxbBackend {
    const char *name;
    const char *title;
    AxbBinary binary;
    AxbWireKind wire;
    /* -netdev; @IF@ and @QUEUES@ are replaced */
    const char *netdev;
    const char *device;     /* more options of virtio-net-pci, or NULL */
    uint32_t max_len;       /* longest frame that it supports */
    unsigned max_queues;    /* 0: as many as there are */
} AxbBackend;

/* Where the binaries are; NULL: not available. */
typedef struct AxbBinaries {
    const char *ours;
    const char *upstream;
    const char *testpmd;
} AxbBinaries;

/* axb_backend_next: all of them in order; NULL starts, NULL ends. */
const AxbBackend *axb_backend_next(const AxbBackend *b);
const AxbBackend *axb_backend_find(const char *name);

/*
 * axb_backend_add: one more, for this run:
 * "NAME,ours|upstream,veth|tap,NETDEV". Returns false if that is not it.
 */
bool axb_backend_add(const char *spec);

/* axb_backend_missing: why @b cannot be measured, or NULL. */
const char *axb_backend_missing(const AxbBackend *b, const AxbBinaries *bin);

/*
 * axb_backend_start: start it on the wire.
 * @guest: how the guest is to be; the backend fills in the rest
 */
AxbEndpoint *axb_backend_start(const AxbBackend *b, const AxbBinaries *bin,
                               const AxbWire *wire, AxbGuestConfig *guest,
                               GError **errp);

#endif /* TESTS_BENCH_BACKEND_H */
