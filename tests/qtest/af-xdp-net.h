/*
 * af-xdp qtest: a guest on a wire, and traffic between them
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef TESTS_QTEST_AF_XDP_NET_H
#define TESTS_QTEST_AF_XDP_NET_H

#include "af-xdp-nic.h"
#include "af-xdp-wire.h"

/*
 * Frames in flight towards the guest: fewer than veth's own ring (256) holds
 * while its NAPI is late, so that only QEMU can lose one.
 */
#define AXT_WINDOW 192

typedef enum AxtModel {
    AXT_VIRTIO,
    AXT_E1000E,
} AxtModel;

typedef struct AxtNet {
    AxtWire *wire;
    AxtVm *vm;
    AxtNic *nic;
} AxtNet;

/*
 * axt_add: add a test of virtio-net twice: as "af-xdp/NAME", where QEMU's main
 * loop copies packets, and as "af-xdp/vhost/NAME", where they go past it and
 * are copied (zero-copy=off). What concerns one of them only, or another NIC,
 * is added as any qtest; it gets the netdev's default unless it says more.
 */
void axt_add(const char *name, void (*func)(void));

/* axt_add_data: the same for a test with an argument. */
void axt_add_data(const char *name, const void *data, GTestDataFunc func);

/* axt_add_copy_data: a test of the first kind only. */
void axt_add_copy_data(const char *name, const void *data, GTestDataFunc func);

/* axt_add_vhost, axt_add_vhost_data: a test of the second kind only. */
void axt_add_vhost(const char *name, void (*func)(void));
void axt_add_vhost_data(const char *name, const void *data,
                        GTestDataFunc func);

/*
 * axt_add_zero_copy: of guest zero-copy only, as "af-xdp/zero-copy/NAME".
 * axt_path() has it switched on.
 */
void axt_add_zero_copy(const char *name, void (*func)(void));
void axt_add_zero_copy_data(const char *name, const void *data,
                            GTestDataFunc func);

/*
 * axt_add_fast: twice, as of the second kind and with guest zero-copy. Not for
 * tests that count used buffers: some come back unused when a queue stops.
 */
void axt_add_fast(const char *name, void (*func)(void));
void axt_add_fast_data(const char *name, const void *data,
                       GTestDataFunc func);

/* axt_vhost: do packets go past the main loop in the running test? */
bool axt_vhost(void);

/*
 * axt_path: the netdev option, from the comma on, that makes the running test
 * what it is; axt_net_start() and axt_net_plug() add it.
 */
const char *axt_path(void);

/*
 * axt_net_start: make a wire, start QEMU on it and the driver in it.
 * @queues: of the wire, of the netdev, and driven by the guest.
 * @mtu: of the wire, in bytes.
 * @fmt: more netdev options, from the comma on.
 */
void axt_net_start(AxtNet *net, AxtModel model, unsigned queues,
                   unsigned mtu, const char *fmt, ...) G_GNUC_PRINTF(5, 6);

/*
 * axt_net_plug: give a running QEMU the netdev "n0" and a virtio-net-pci "nic"
 * in AXT_SLOT, and start the driver.
 * @options: of the netdev.
 */
void axt_net_plug(AxtNet *net, const char *options);

/* axt_net_stop: end all of it; nothing may be left on the device. */
void axt_net_stop(AxtNet *net);

/* Frame lengths by number: all that an MTU of 1500 allows, in turn. */
size_t axt_len_sweep(uint32_t seq);

/* Frame lengths by number: always 64. */
size_t axt_len_small(uint32_t seq);

/*
 * axt_to_wire: the guest sends @n frames as fast as its ring allows; all
 * must leave by @queue, in order, unharmed, each once.
 * @len_of: length of a frame by its number.
 */
void axt_to_wire(AxtNet *net, unsigned queue, uint32_t n,
                 size_t (*len_of)(uint32_t seq));

/*
 * axt_to_guest: the wire sends @n frames, at most @window in flight; all
 * must reach the guest's first queue, in order, unharmed, each once.
 */
void axt_to_guest(AxtNet *net, uint32_t n, uint32_t window,
                  size_t (*len_of)(uint32_t seq));

/* axt_some_traffic: a few frames of many lengths, both ways. */
void axt_some_traffic(AxtNet *net);

/* Each adds the tests of one subject. */
void axt_add_traffic_tests(void);
void axt_add_queue_tests(void);
void axt_add_lifecycle_tests(void);
void axt_add_return_tests(void);
void axt_add_refusal_tests(void);
void axt_add_hostile_tests(void);
void axt_add_vhost_tests(void);
void axt_add_vhost_control_tests(void);
void axt_add_vhost_hostile_tests(void);
void axt_add_zero_copy_tests(void);
void axt_add_zero_copy_stop_tests(void);
void axt_add_zero_copy_refusal_tests(void);
void axt_add_zero_copy_hostile_tests(void);
void axt_add_zero_copy_migration_tests(void);

/* For a given wire, in place of all those. */
void axt_add_device_tests(void);
void axt_add_device_zero_copy_tests(void);
void axt_add_leased_tests(void);
void axt_add_two_guests_tests(void);

#endif /* TESTS_QTEST_AF_XDP_NET_H */
