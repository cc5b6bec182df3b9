/*
 * QTest for the af-xdp network backend
 *
 * Each test makes a veth pair in a network namespace that only this process
 * and its children see, gives one end to QEMU and is itself both the guest
 * (a driver on the NIC's registers and rings) and the wire (packet sockets on
 * the other end).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "af-xdp-net.h"

static void test_skip(const void *reason)
{
    g_test_skip(reason);
}

int main(int argc, char **argv)
{
    g_autofree char *reason = NULL;

    g_test_init(&argc, &argv, NULL);

    reason = axt_namespace_enter();
    if (reason) {
        qtest_add_data_func("af-xdp/namespace", reason, test_skip);
    } else if (axt_wire_given()) {
        axt_add_device_tests();
        axt_add_device_zero_copy_tests();
        axt_add_zero_copy_stop_tests();
        axt_add_leased_tests();
        axt_add_two_guests_tests();
    } else {
        axt_add_traffic_tests();
        axt_add_queue_tests();
        axt_add_lifecycle_tests();
        axt_add_return_tests();
        axt_add_refusal_tests();
        axt_add_hostile_tests();
        axt_add_vhost_tests();
        axt_add_vhost_control_tests();
        axt_add_vhost_hostile_tests();
        axt_add_zero_copy_tests();
        axt_add_zero_copy_stop_tests();
        axt_add_zero_copy_refusal_tests();
        axt_add_zero_copy_hostile_tests();
        axt_add_zero_copy_migration_tests();
    }
    return g_test_run();
}
