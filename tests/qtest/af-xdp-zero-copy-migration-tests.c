/*
 * af-xdp qtest: guest zero-copy and live migration
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <glib/gstdio.h>
#include <net/if.h>
#include "qobject/qdict.h"
#include "af-xdp-zero-copy.h"

#define RAM_SIZE (64 * MiB)

/* The source's device; the destination has AXT_DEV. */
#define SOURCE_DEV "axt-src"
#define SOURCE_PEER "axt-src2"

static QDict *query(AxtVm *vm)
{
    QDict *info = qtest_qmp_assert_success_ref(vm->qts, "{'execute':"
                                               " 'query-migrate'}");

    if (g_strcmp0(qdict_get_try_str(info, "status"), "failed") == 0) {
        g_error("migration failed: %s",
                qdict_get_try_str(info, "error-desc") ?: "no reason");
    }
    return info;
}

static bool has_status(AxtVm *vm, const char *status)
{
    QDict *info = query(vm);
    bool has = g_strcmp0(qdict_get_try_str(info, "status"), status) == 0;

    qobject_unref(info);
    return has;
}

static void wait_completed(AxtVm *vm)
{
    gint64 end = g_get_monotonic_time() + 2 * AXT_TIMEOUT_US;

    while (!has_status(vm, "completed")) {
        g_assert_cmpint(g_get_monotonic_time(), <, end);
        g_usleep(1000);
    }
}

/* The driver takes what arrives, as long as it may. */
static void take(AxtNic *nic)
{
    AxtVq *rx = &axt_virtio(nic)->rx[0];
    unsigned empties = rx->empties;
    uint8_t buf[AXT_RX_BUF];
    bool any = false;

    while (axt_nic_rx(nic, 0, buf, sizeof(buf)) >= 0) {
        any = true;
    }
    if (any || rx->empties != empties) {
        axt_nic_rx_kick(nic, 0);
    }
}

typedef struct Case {
    const char *name;
    const char *from;           /* zero-copy= */
    const char *to;
} Case;

static void test_migrate(const void *opaque)
{
    const Case *c = opaque;
    const AxtRam ram = { .size = RAM_SIZE };
    const AxtVirtioConfig driver = { .tx_slots = 64 };
    g_autofree char *dir = g_dir_make_tmp("axt-XXXXXX", NULL);
    g_autofree char *path = g_strconcat(dir, "/socket", NULL);
    g_autofree char *uri = g_strconcat("unix:", path, NULL);
    AxtWire source_wire = { .queues = 1 };
    AxtVm *source;
    AxtBlast *blast;
    AxtNic *nic;
    AxtNet net;
    uint64_t direct = 0, meanwhile = 0, i;
    gint64 end = g_get_monotonic_time() + 8 * AXT_TIMEOUT_US;

    axt_ip("link add " SOURCE_DEV " numrxqueues 1 numtxqueues 1 "
           "type veth peer name " SOURCE_PEER " numrxqueues 1 numtxqueues 1");
    axt_ip("link set dev " SOURCE_DEV " up");
    axt_ip("link set dev " SOURCE_PEER " up");
    source_wire.fd[0] = axt_wire_sniff(SOURCE_PEER);
    net.wire = axt_wire_new(1, 1500);

    source = axt_vm_new_ram(&ram, "-netdev af-xdp,id=n0,ifname=" SOURCE_DEV
                            ",vhost=on,zero-copy=%s -device virtio-net-pci,"
                            AXT_NIC_ARGS ",id=nic", c->from);
    axt_canary_fill(source);
    nic = axt_virtio_new_config(source, 1, &driver);
    net.vm = axt_vm_new_ram(&ram, "-netdev af-xdp,id=n0,ifname=" AXT_DEV
                            ",vhost=on,zero-copy=%s -device virtio-net-pci,"
                            AXT_NIC_ARGS ",id=nic -S -incoming %s",
                            c->to, uri);

    blast = axt_blast_start(&source_wire, 1, AXT_LEN_MAX);
    do {
        take(nic);
        direct = axt_counter(source, "rx-direct");
        g_assert_cmpint(g_get_monotonic_time(), <, end);
    } while (direct == 0 && g_str_equal(c->from, "on"));

    /*
     * All RAM passes once, and what was written to meanwhile again; then the
     * machine stops, and waits.
     */
    qtest_qmp_assert_success(source->qts, "{'execute':"
                             " 'migrate-set-capabilities', 'arguments':"
                             " {'capabilities': [{'capability':"
                             " 'pause-before-switchover', 'state': true}]}}");
    qtest_qmp_assert_success(source->qts, "{'execute':"
                             " 'migrate-set-parameters', 'arguments':"
                             " {'downtime-limit': 1,"
                             " 'max-bandwidth': 67108864}}");
    qtest_qmp_assert_success(source->qts, "{'execute': 'migrate', 'arguments':"
                             " {'uri': %s}}", uri);
    while (!has_status(source, "pre-switchover")) {
        /* It is gone with the stop. */
        meanwhile = MAX(meanwhile, axt_counter(source, "rx-direct"));
        for (i = 0; i < 50; i++) {
            take(nic);
            axt_pause();
        }
        g_assert_cmpint(g_get_monotonic_time(), <, end);
    }
    g_test_message("%" PRIu64 " packets in direct buffers meanwhile",
                   meanwhile - direct);
    g_assert_cmpint(meanwhile > direct, ==, g_str_equal(c->from, "on"));

    axt_virtio_touch(nic);
    qtest_qmp_assert_success(source->qts, "{'execute': 'migrate-continue',"
                             " 'arguments': {'state': 'pre-switchover'}}");
    wait_completed(source);
    wait_completed(net.vm);

    /* All RAM has arrived, as it was in the end. */
    axt_ram_check(net.vm, source->ram, "migration");
    axt_blast_stop(blast);

    axt_virtio_migrate(nic, net.vm);
    net.nic = nic;
    axt_vm_cont(&net);
    /* Each of its buffers is there, used or not. */
    axt_nic_rx_kick(nic, 0);
    for (i = 0; i < 100; i++) {
        take(nic);
        g_usleep(500);
    }
    axt_vhost_assert_running(&net);
    axt_to_guest(&net, 1500, 48, axt_len_sweep);
    axt_to_wire(&net, 0, 300, axt_len_sweep);
    axt_count_buffers(&net);
    if (g_str_equal(c->to, "on")) {
        g_assert_cmpuint(axt_counter(net.vm, "rx-direct"), >, 0);
    }
    axt_vm_free(source);
    close(source_wire.fd[0]);
    axt_ip("link del " SOURCE_DEV);
    g_unlink(path);
    g_rmdir(dir);
    axt_net_stop(&net);
}

/* It could not see what the kernel writes. */
static void test_background(void)
{
    const AxtZcConfig config = { .ram.size = RAM_SIZE };
    gint64 end = g_get_monotonic_time() + AXT_TIMEOUT_US;
    QDict *response, *error;
    bool refused = false;
    AxtZc z;

    axt_zc_start(&z, &config);
    response = qtest_qmp(z.net.vm->qts, "{'execute':"
                         " 'migrate-set-capabilities', 'arguments': {'capabilities': [{'capability':"
                         " 'background-snapshot', 'state': true}]}}");
    error = qdict_get_qdict(response, "error");
    if (error) {
        g_test_skip(qdict_get_str(error, "desc"));
        qobject_unref(response);
        axt_zc_stop(&z);
        return;
    }
    qobject_unref(response);
    response = qtest_qmp(z.net.vm->qts, "{'execute': 'migrate', 'arguments':"
                         " {'uri': 'exec:cat > /dev/null'}}");
    error = qdict_get_qdict(response, "error");
    if (error) {
        refused = strstr(qdict_get_str(error, "desc"), "zero-copy");
    }
    qobject_unref(response);
    while (!refused) {
        QDict *info = qtest_qmp_assert_success_ref(z.net.vm->qts,
            "{'execute': 'query-migrate'}");
        const char *text = qdict_get_try_str(info, "error-desc");

        g_assert_cmpstr(qdict_get_try_str(info, "status"), !=, "completed");
        refused = text && strstr(text, "zero-copy=off");
        qobject_unref(info);
        g_assert_cmpint(g_get_monotonic_time(), <, end);
        g_usleep(1000);
    }
    axt_some_traffic(&z.net);
    axt_zc_stop(&z);
}

void axt_add_zero_copy_migration_tests(void)
{
    static const Case cases[] = {
        { "on-to-on", "on", "on" },
        { "on-to-off", "on", "off" },
        { "off-to-on", "off", "on" },
    };
    unsigned i;

    for (i = 0; i < ARRAY_SIZE(cases); i++) {
        g_autofree char *name = g_strdup_printf("migrate/%s", cases[i].name);

        axt_add_zero_copy_data(name, &cases[i], test_migrate);
    }
    axt_add_zero_copy("migrate/background-snapshot", test_background);
}
