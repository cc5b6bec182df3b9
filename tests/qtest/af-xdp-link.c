/*
 * af-xdp qtest: the guest's link, and what goes over it
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qobject/qdict.h"
#include "af-xdp-link.h"

void axt_send_some(AxtNet *net, unsigned n)
{
    uint8_t buf[AXT_LEN_MIN];

    while (n--) {
        axt_frame_fill(buf, sizeof(buf), 0xb1a57, 0);
        axt_wire_send(net->wire, buf, sizeof(buf));
    }
}

void axt_settle(AxtNet *net)
{
    g_autofree uint8_t *buf = g_malloc(AXT_FRAME_MAX);
    ssize_t len;

    while ((len = axt_nic_recv(net->nic, 0, buf, AXT_FRAME_MAX, 20)) >= 0) {
        axt_frame_check(buf, len, NULL);
    }
    while ((len = axt_wire_recv(net->wire, 0, buf, AXT_FRAME_MAX, 5)) >= 0) {
        axt_frame_check(buf, len, NULL);
    }
}

void axt_send_in_vain(AxtNet *net)
{
    g_autofree uint8_t *buf = g_malloc(AXT_FRAME_MAX);
    unsigned i;

    axt_frame_fill(buf, AXT_LEN_MIN, 0, 0);
    for (i = 0; i < 2 * AXT_RING; i++) {
        if (i % AXT_RING == 0) {
            axt_nic_tx_wait(net->nic, 0);
        }
        axt_nic_send(net->nic, 0, buf, AXT_LEN_MIN);
    }
    axt_nic_tx_wait(net->nic, 0);
    g_assert_cmpint(axt_wire_recv(net->wire, 0, buf, AXT_FRAME_MAX, 30), ==,
                    -1);
}

void axt_wait_link(AxtNet *net, bool up)
{
    gint64 end = g_get_monotonic_time() + AXT_TIMEOUT_US;

    while (axt_nic_link_up(net->nic) != up) {
        g_assert_cmpint(g_get_monotonic_time(), <, end);
        g_usleep(1000);
    }
}

void axt_wait_interface(AxtNet *net, bool up)
{
    gint64 end = g_get_monotonic_time() + AXT_TIMEOUT_US;

    for (;;) {
        g_autofree char *info = qtest_hmp(net->vm->qts, "info network");

        if (!strstr(info, "interface down") == up) {
            return;
        }
        g_assert_cmpint(g_get_monotonic_time(), <, end);
        g_usleep(1000);
    }
}

void axt_set_link(AxtNet *net, const char *name, bool up)
{
    qtest_qmp_assert_success(net->vm->qts, "{'execute': 'set_link',"
                             " 'arguments': {'name': %s, 'up': %i}}",
                             name, up);
    axt_wait_link(net, up);
}

char *axt_wait_status(AxtNet *net, const char *status)
{
    QDict *event = qtest_qmp_eventwait_ref(net->vm->qts,
                                           "NETDEV_AF_XDP_STATUS_CHANGED");
    QDict *data = qdict_get_qdict(event, "data");
    char *reason = g_strdup(qdict_get_try_str(data, "reason"));

    g_test_message("%s %s", qdict_get_str(data, "status"), reason ?: "");
    g_assert_cmpstr(qdict_get_str(data, "netdev-id"), ==, "n0");
    g_assert_cmpstr(qdict_get_str(data, "ifname"), ==, AXT_DEV);
    g_assert_cmpstr(qdict_get_str(data, "status"), ==, status);
    qobject_unref(event);
    return reason;
}

void axt_assert_idle(AxtNet *net)
{
    unsigned cpu = axt_vm_cpu_ms(net->vm);
    QDict *status;

    g_usleep(G_USEC_PER_SEC / 2);
    g_assert_cmpuint(axt_vm_cpu_ms(net->vm) - cpu, <, AXT_IDLE_CPU_MS / 2);

    status = qtest_qmp_assert_success_ref(net->vm->qts,
                                          "{'execute': 'query-status'}");
    g_assert_cmpstr(qdict_get_str(status, "status"), ==, "running");
    qobject_unref(status);
}
