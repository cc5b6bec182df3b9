/*
 * Benchmark: a virtio-pci device, driven through qtest
 *
 * Finds the virtio-net device on the bus, gives its registers a place in
 * memory, negotiates features and enables queues (VIRTIO 1.2, 4.1.4). The
 * rings themselves are vring.h's matter. There are no interrupts.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef TESTS_BENCH_VIRTIO_PCI_H
#define TESTS_BENCH_VIRTIO_PCI_H

#include <stdbool.h>
#include "qtest-client.h"

typedef struct AxbVirtio {
    AxbQtest *qtest;
    unsigned devfn;
    uint64_t common;            /* guest-physical addresses of registers */
    uint64_t notify;
    uint64_t config;
    uint32_t notify_multiplier; /* bytes */
    uint64_t features;          /* negotiated */
} AxbVirtio;

/* axb_virtio_find: find, reset and wake the device. */
bool axb_virtio_find(AxbVirtio *v, AxbQtest *qtest, GError **errp);

/*
 * axb_virtio_negotiate: take those of features @want that the device offers,
 * as bits; all of @need must be among them.
 */
bool axb_virtio_negotiate(AxbVirtio *v, uint64_t want, uint64_t need,
                          GError **errp);

/* axb_virtio_queue_size: most entries that queue @index can have; 0: none. */
uint16_t axb_virtio_queue_size(AxbVirtio *v, unsigned index);

/*
 * axb_virtio_queue_enable: hand over a ring of @size entries.
 * @desc, @driver, @device: guest-physical addresses of its three parts
 *
 * Returns the guest-physical address to write @index to for a kick.
 */
uint64_t axb_virtio_queue_enable(AxbVirtio *v, unsigned index, uint16_t size,
                                 uint64_t desc, uint64_t driver,
                                 uint64_t device);

/* axb_virtio_start: the driver is ready; queues are live from here on. */
bool axb_virtio_start(AxbVirtio *v, GError **errp);

/* axb_virtio_stop: reset the device; it forgets its queues. */
void axb_virtio_stop(AxbVirtio *v);

#endif /* TESTS_BENCH_VIRTIO_PCI_H */
