/*
 * af-xdp qtest: the interface goes, and comes back
 *
 * It is deleted, or moved away, in every state the netdev can be in. The
 * guest's link is down meanwhile; another one of the same name is taken as
 * soon as it can be.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <linux/bpf.h>
#include <net/if.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include "qobject/qdict.h"
#include "af-xdp-foreign.h"
#include "af-xdp-link.h"
#include "qemu/timer.h"

#define ROUNDS 5

#define QUEUES 4

#define MAP_PATH AXT_BPFFS "/axt-map"

/* So long nothing happens that must not; several attempts fit in. */
#define WATCH_US (3 * G_USEC_PER_SEC / 2)

static void wait_gone(AxtNet *net, const char *status)
{
    g_autofree char *reason = axt_wait_status(net, status);

    g_assert_null(reason);
    axt_wait_link(net, false);
}

static void wait_back(AxtNet *net)
{
    g_free(axt_wait_status(net, "up"));
    /* An e1000e has a link half a second later, by its own clock. */
    qtest_clock_step(net->vm->qts, NANOSECONDS_PER_SECOND);
    axt_wait_link(net, true);
    axt_wire_settle(net->wire);
}

/* Link down, no spinning, no stuck guest, nothing held. */
static void after_gone(AxtNet *net)
{
    g_autofree char *info = NULL;
    uint8_t buf[AXT_LEN_MIN];
    unsigned i;

    axt_frame_fill(buf, sizeof(buf), 0, 0);
    for (i = 0; i < 10; i++) {
        axt_nic_send(net->nic, 0, buf, sizeof(buf));
    }
    axt_nic_tx_wait(net->nic, 0);
    axt_assert_idle(net);
    info = qtest_hmp(net->vm->qts, "info network");
    g_assert_nonnull(strstr(info, "interface gone"));
}

static void test_deleted(const void *data)
{
    unsigned i, fds = 0;
    AxtNet net;

    axt_net_start(&net, GPOINTER_TO_INT(data), 1, 1500, "%s", "");
    for (i = 0; i < ROUNDS; i++) {
        axt_some_traffic(&net);
        axt_send_some(&net, 50);
        axt_wire_gone(net.wire);
        wait_gone(&net, "deleted");
        if (i == 0) {
            after_gone(&net);
        }
        axt_wire_back(net.wire);
        wait_back(&net);
        axt_settle(&net);
        if (i == 1) {
            fds = axt_vm_fds(net.vm);
        }
    }
    axt_some_traffic(&net);
    g_assert_cmpuint(axt_vm_fds(net.vm), ==, fds);
    axt_net_stop(&net);
}

/* All queues are bound again, each to its own. */
static void test_queues(void)
{
    AxtNet net;
    unsigned q;

    axt_net_start(&net, AXT_VIRTIO, QUEUES, 1500, "%s", "");
    axt_wire_gone(net.wire);
    wait_gone(&net, "deleted");
    axt_wire_back(net.wire);
    wait_back(&net);
    for (q = 0; q < QUEUES; q++) {
        axt_to_wire(&net, q, 64, axt_len_sweep);
    }
    axt_net_stop(&net);
}

/* A child that owns another network namespace, until it is killed. */
static pid_t other_namespace(void)
{
    int ready[2];
    char c;
    pid_t pid;

    g_assert_cmpint(pipe(ready), ==, 0);
    pid = fork();
    g_assert_cmpint(pid, >=, 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
        if (unshare(CLONE_NEWNET) || write(ready[1], "x", 1) != 1) {
            _exit(1);
        }
        for (;;) {
            pause();
        }
    }
    close(ready[1]);
    g_assert_cmpint(read(ready[0], &c, 1), ==, 1);
    close(ready[0]);
    return pid;
}

static void end_namespace(pid_t pid)
{
    kill(pid, SIGKILL);
    g_assert_cmpint(waitpid(pid, NULL, 0), ==, pid);
}

/* Run ip in namespace @ns. */
static void ip_in(pid_t ns, const char *args)
{
    g_autofree char *command =
        g_strdup_printf("nsenter --net=/proc/%d/ns/net ip %s", (int)ns, args);
    int status;

    g_assert_true(g_spawn_command_line_sync(command, NULL, NULL, &status,
                                            NULL));
    g_assert_cmpint(status, ==, 0);
}

/* The same interface leaves, without our program, and returns. */
static void test_moved(void)
{
    g_autofree char *home = g_strdup_printf("link set dev " AXT_DEV
                                            " netns %d", (int)getpid());
    pid_t ns = other_namespace();
    AxtNet net;
    unsigned i;

    axt_net_start(&net, AXT_VIRTIO, 1, 1500, "%s", "");
    for (i = 0; i < 2; i++) {
        axt_some_traffic(&net);
        axt_ip("link set dev " AXT_DEV " netns %d", (int)ns);
        wait_gone(&net, "moved");
        after_gone(&net);
        ip_in(ns, "link set dev " AXT_DEV " up");
        ip_in(ns, home);
        /* That took it down: nothing can be done with it yet. */
        g_usleep(WATCH_US);
        g_assert_false(axt_nic_link_up(net.nic));
        g_assert_cmpuint(axt_prog_id(net.wire->ifindex), ==, 0);
        axt_ip("link set dev " AXT_DEV " up");
        wait_back(&net);
        axt_settle(&net);
    }
    axt_some_traffic(&net);
    axt_net_stop(&net);
    end_namespace(ns);
}

/* What was taken down by the user stays so. */
static void test_link_off(const void *name)
{
    AxtNet net;

    axt_net_start(&net, AXT_VIRTIO, 1, 1500, "%s", "");
    axt_set_link(&net, name, false);
    axt_wire_gone(net.wire);
    wait_gone(&net, "deleted");
    axt_wire_back(net.wire);
    g_free(axt_wait_status(&net, "up"));
    g_assert_false(axt_nic_link_up(net.nic));
    axt_set_link(&net, name, true);
    axt_some_traffic(&net);

    /* The other order. */
    axt_wire_gone(net.wire);
    wait_gone(&net, "deleted");
    axt_set_link(&net, name, false);
    axt_wire_back(net.wire);
    g_free(axt_wait_status(&net, "up"));
    g_assert_false(axt_nic_link_up(net.nic));
    axt_set_link(&net, name, true);
    axt_some_traffic(&net);
    axt_net_stop(&net);
}

/* He raises it while there is nothing: the guest's driver goes on by itself. */
static void test_link_on(void)
{
    uint8_t buf[AXT_LEN_MIN];
    AxtNet net;
    unsigned i;

    axt_net_start(&net, AXT_VIRTIO, 1, 1500, "%s", "");
    axt_some_traffic(&net);
    axt_wire_gone(net.wire);
    wait_gone(&net, "deleted");
    axt_set_link(&net, "n0", true);
    axt_frame_fill(buf, sizeof(buf), 0, 0);
    for (i = 0; i < AXT_RING; i++) {
        size_t len = sizeof(buf);

        axt_nic_tx(net.nic, 0, buf, &len, 1, false);
    }
    axt_nic_tx_kick(net.nic, 0);
    axt_assert_idle(&net);
    axt_wire_back(net.wire);
    wait_back(&net);
    axt_nic_tx_wait(net.nic, 0);
    axt_settle(&net);
    axt_some_traffic(&net);
    axt_net_stop(&net);
}

/* Down, then deleted: one after the other, and all the way back. */
static void test_down_deleted(void)
{
    AxtNet net;

    axt_net_start(&net, AXT_VIRTIO, 1, 1500, "%s", "");
    axt_some_traffic(&net);
    axt_ip("link set dev " AXT_DEV " down");
    wait_gone(&net, "down");
    axt_wire_gone(net.wire);
    wait_gone(&net, "deleted");
    axt_wire_back(net.wire);
    wait_back(&net);
    axt_some_traffic(&net);
    axt_ip("link set dev " AXT_DEV " down");
    wait_gone(&net, "down");
    axt_ip("link set dev " AXT_DEV " up");
    wait_back(&net);
    axt_some_traffic(&net);
    axt_net_stop(&net);
}

/* The machine is stopped meanwhile. */
static void test_stopped(void)
{
    AxtNet net;

    axt_net_start(&net, AXT_VIRTIO, 1, 1500, "%s", "");
    axt_some_traffic(&net);
    qtest_qmp_assert_success(net.vm->qts, "{'execute': 'stop'}");
    axt_wire_gone(net.wire);
    wait_gone(&net, "deleted");
    axt_wire_back(net.wire);
    wait_back(&net);
    qtest_qmp_assert_success(net.vm->qts, "{'execute': 'cont'}");
    axt_settle(&net);
    axt_some_traffic(&net);

    /* It goes, and the machine goes on before it is back. */
    qtest_qmp_assert_success(net.vm->qts, "{'execute': 'stop'}");
    axt_wire_gone(net.wire);
    wait_gone(&net, "deleted");
    qtest_qmp_assert_success(net.vm->qts, "{'execute': 'cont'}");
    g_assert_false(axt_nic_link_up(net.nic));
    axt_wire_back(net.wire);
    wait_back(&net);
    axt_some_traffic(&net);
    axt_net_stop(&net);
}

/* The guest resets its device while there is nothing. */
static void test_reset(void)
{
    AxtNet net;

    axt_net_start(&net, AXT_VIRTIO, 1, 1500, "%s", "");
    axt_some_traffic(&net);
    axt_wire_gone(net.wire);
    wait_gone(&net, "deleted");
    axt_virtio_reset(net.nic);
    axt_virtio_restart(net.nic);
    g_assert_false(axt_nic_link_up(net.nic));
    axt_wire_back(net.wire);
    wait_back(&net);
    axt_some_traffic(&net);
    axt_net_stop(&net);
}

/* Netdev and NIC are removed meanwhile, in both orders, or at the end. */
static void test_removed(const void *data)
{
    bool netdev_first = GPOINTER_TO_INT(data);
    AxtNet net;

    axt_net_start(&net, AXT_VIRTIO, 1, 1500, "%s", "");
    axt_some_traffic(&net);
    axt_wire_gone(net.wire);
    wait_gone(&net, "deleted");
    if (netdev_first) {
        axt_netdev_del(net.vm, "n0");
        /* It is not for a netdev that does not exist. */
        axt_wire_back(net.wire);
        g_usleep(WATCH_US);
        g_assert_cmpuint(axt_prog_id(net.wire->ifindex), ==, 0);
        axt_unplug(net.vm, "nic");
    } else {
        axt_unplug(net.vm, "nic");
        axt_netdev_del(net.vm, "n0");
        axt_wire_back(net.wire);
    }
    axt_nic_free(net.nic);
    axt_net_plug(&net, "ifname=" AXT_DEV);
    axt_some_traffic(&net);
    axt_wire_gone(net.wire);
    wait_gone(&net, "deleted");
    axt_nic_free(net.nic);
    axt_vm_free(net.vm);
    axt_wire_free(net.wire);
}

/* A NIC comes while there is nothing. */
static void test_plug(void)
{
    AxtNet net;

    net.wire = axt_wire_new(1, 1500);
    net.vm = axt_vm_new("-netdev af-xdp,id=n0,ifname=" AXT_DEV "%s",
                        axt_path());
    axt_wire_gone(net.wire);
    g_free(axt_wait_status(&net, "deleted"));
    qtest_qmp_device_add(net.vm->qts, "virtio-net-pci", "nic",
                         "{'netdev': 'n0', 'addr': '4', 'romfile': ''}");
    net.nic = axt_virtio_new(net.vm, 1);
    axt_wait_link(&net, false);
    axt_wire_back(net.wire);
    wait_back(&net);
    axt_some_traffic(&net);
    axt_net_stop(&net);
}

/* The user's own link down, before there is a NIC, is not ours to end. */
static void test_plug_link_off(void)
{
    AxtNet net;

    net.wire = axt_wire_new(1, 1500);
    net.vm = axt_vm_new("-netdev af-xdp,id=n0,ifname=" AXT_DEV "%s",
                        axt_path());
    qtest_qmp_assert_success(net.vm->qts, "{'execute': 'set_link',"
                             " 'arguments': {'name': 'n0', 'up': false}}");
    axt_wire_gone(net.wire);
    g_free(axt_wait_status(&net, "deleted"));
    qtest_qmp_device_add(net.vm->qts, "virtio-net-pci", "nic",
                         "{'netdev': 'n0', 'addr': '4', 'romfile': ''}");
    net.nic = axt_virtio_new(net.vm, 1);
    axt_wire_back(net.wire);
    g_free(axt_wait_status(&net, "up"));
    axt_wire_settle(net.wire);
    axt_send_in_vain(&net);
    axt_set_link(&net, "n0", true);
    axt_settle(&net);
    axt_some_traffic(&net);
    axt_net_stop(&net);
}

/* How often an interface that is back was tried, by QEMU's log. */
static unsigned attempts(const char *log)
{
    g_autofree char *text = NULL;
    const char *at;
    unsigned n = 0;

    g_assert_true(g_file_get_contents(log, &text, NULL, NULL));
    for (at = text; (at = strstr(at, "af_xdp_device_return")); at++) {
        n++;
    }
    return n;
}

/* What cannot be used is not tried each second: that resets many a NIC. */
static void test_rarely(void)
{
    int pass = axt_foreign_pass();
    g_autofree char *log = NULL;
    unsigned n;
    AxtNet net;

    close(g_file_open_tmp("axt-log-XXXXXX", &log, NULL));
    axt_net_start(&net, AXT_VIRTIO, 1, 1500, "%s", "");
    g_free(qtest_hmp(net.vm->qts, "logfile %s", log));
    g_free(qtest_hmp(net.vm->qts, "log trace:af_xdp_device_return"));
    axt_wire_gone(net.wire);
    wait_gone(&net, "deleted");
    /* Nothing is there, and the kernel need not be asked about it. */
    g_usleep(WATCH_US / 2);
    g_assert_cmpuint(attempts(log), ==, 0);
    axt_ip("link add " AXT_DEV " numrxqueues 1 numtxqueues 1 type veth "
           "peer name " AXT_PEER " numrxqueues 1 numtxqueues 1");
    axt_foreign_attach(if_nametoindex(AXT_DEV), pass);
    axt_ip("link set dev " AXT_DEV " up");
    g_free(axt_wait_status(&net, "failed"));
    n = attempts(log);
    g_usleep(4 * G_USEC_PER_SEC);
    g_assert_cmpuint(attempts(log) - n, >=, 1);
    g_assert_cmpuint(attempts(log) - n, <=, 2);
    /* Another one is at once. */
    axt_ip("link del " AXT_DEV);
    axt_wire_back(net.wire);
    wait_back(&net);
    axt_net_stop(&net);
    unlink(log);
    close(pass);
}

/* What is back cannot be used: said once, and used when it can be. */
static void test_fails(void)
{
    int pass = axt_foreign_pass();
    g_autofree char *reason = NULL;
    g_autofree char *info = NULL;
    gint64 end;
    AxtNet net;

    axt_net_start(&net, AXT_VIRTIO, 1, 1500, "%s", "");
    axt_some_traffic(&net);
    axt_wire_gone(net.wire);
    wait_gone(&net, "deleted");

    /* Somebody else's program is there before it is up. */
    axt_ip("link add " AXT_DEV " numrxqueues 1 numtxqueues 1 type veth "
           "peer name " AXT_PEER " numrxqueues 1 numtxqueues 1");
    axt_foreign_attach(if_nametoindex(AXT_DEV), pass);
    axt_ip("link set dev " AXT_DEV " up");
    reason = axt_wait_status(&net, "failed");
    g_assert_nonnull(strstr(reason, "already runs XDP program"));
    info = qtest_hmp(net.vm->qts, "info network");
    g_assert_nonnull(strstr(info, "interface gone (device '" AXT_DEV "' "
                                  "already runs"));
    axt_assert_idle(&net);
    end = g_get_monotonic_time() + WATCH_US;
    while (g_get_monotonic_time() < end) {
        g_autofree char *again = qtest_hmp(net.vm->qts, "info network");

        g_assert_false(axt_nic_link_up(net.nic));
        g_assert_nonnull(strstr(again, "interface gone"));
        g_usleep(G_USEC_PER_SEC / 10);
    }
    g_assert_null(qtest_qmp_event_ref(net.vm->qts,
                                      "NETDEV_AF_XDP_STATUS_CHANGED"));

    /* It goes, and nobody minds that this one is another. */
    axt_ip("link del " AXT_DEV);
    axt_wire_back(net.wire);
    wait_back(&net);
    axt_some_traffic(&net);
    axt_net_stop(&net);
    close(pass);
}

/* Fewer queues than the netdev has, then enough. */
static void test_fewer_queues(void)
{
    g_autofree char *reason = NULL;
    AxtNet net;

    axt_net_start(&net, AXT_VIRTIO, QUEUES, 1500, "%s", "");
    axt_wire_gone(net.wire);
    wait_gone(&net, "deleted");
    axt_ip("link add " AXT_DEV " numrxqueues 2 numtxqueues 2 up type veth "
           "peer name " AXT_PEER " numrxqueues 2 numtxqueues 2");
    reason = axt_wait_status(&net, "failed");
    g_assert_nonnull(strstr(reason, "needs queue 3"));
    axt_ip("link del " AXT_DEV);
    axt_wire_back(net.wire);
    wait_back(&net);
    axt_to_wire(&net, QUEUES - 1, 64, axt_len_sweep);
    axt_net_stop(&net);
}

/* --- Somebody else's map --- */

#define MAP_INDEX 1

typedef struct Pinned {
    AxtNet net;
    int map;
    int prog;
} Pinned;

/* Whether the map's entry has a socket. */
static bool is_set(Pinned *p)
{
    int xsk = axt_foreign_xsk();
    bool added = axt_foreign_add(p->map, MAP_INDEX, xsk);

    if (added) {
        axt_foreign_remove(p->map, MAP_INDEX);
    }
    close(xsk);
    return !added;
}

static void pinned_start(Pinned *p)
{
    p->map = axt_foreign_map(BPF_MAP_TYPE_XSKMAP, 4);
    p->prog = axt_foreign_redirect(p->map, MAP_INDEX);
    axt_foreign_pin(p->map, MAP_PATH);
    p->net.wire = axt_wire_new(1, 1500);
    axt_foreign_attach(p->net.wire->ifindex, p->prog);
    p->net.vm = axt_vm_new("%s", "");
    axt_net_plug(&p->net, "ifname=" AXT_DEV ",inhibit=on,map-path=" MAP_PATH
                 ",map-start-index=1");
    axt_some_traffic(&p->net);
}

static void pinned_back(Pinned *p)
{
    axt_wire_back(p->net.wire);
    axt_foreign_attach(p->net.wire->ifindex, p->prog);
    wait_back(&p->net);
    axt_settle(&p->net);
    axt_some_traffic(&p->net);
}

static void pinned_stop(Pinned *p)
{
    axt_foreign_attach(p->net.wire->ifindex, -1);
    axt_net_stop(&p->net);
    unlink(MAP_PATH);
    close(p->prog);
    close(p->map);
}

static void test_map(void)
{
    Pinned p;

    pinned_start(&p);
    g_assert_true(is_set(&p));
    axt_wire_gone(p.net.wire);
    wait_gone(&p.net, "deleted");
    g_assert_false(is_set(&p));
    pinned_back(&p);
    g_assert_true(is_set(&p));
    pinned_stop(&p);
}

/* Who made the interface anew has made program and map anew as well. */
static void test_map_anew(void)
{
    Pinned p;

    pinned_start(&p);
    axt_wire_gone(p.net.wire);
    wait_gone(&p.net, "deleted");
    unlink(MAP_PATH);
    close(p.prog);
    close(p.map);
    p.map = axt_foreign_map(BPF_MAP_TYPE_XSKMAP, 4);
    p.prog = axt_foreign_redirect(p.map, MAP_INDEX);
    axt_foreign_pin(p.map, MAP_PATH);
    pinned_back(&p);
    pinned_stop(&p);
}

/* Somebody else has the entry meanwhile: it is his until he gives it up. */
static void test_map_taken(void)
{
    int xsk = axt_foreign_xsk();
    g_autofree char *reason = NULL;
    Pinned p;

    pinned_start(&p);
    axt_wire_gone(p.net.wire);
    wait_gone(&p.net, "deleted");
    axt_foreign_put(p.map, MAP_INDEX, xsk);
    axt_wire_back(p.net.wire);
    axt_foreign_attach(p.net.wire->ifindex, p.prog);
    reason = axt_wait_status(&p.net, "failed");
    g_assert_nonnull(strstr(reason, "holds another socket"));
    /* Nor does the end of the netdev take it away. */
    axt_unplug(p.net.vm, "nic");
    axt_nic_free(p.net.nic);
    axt_netdev_del(p.net.vm, "n0");
    g_assert_true(is_set(&p));
    axt_foreign_remove(p.map, MAP_INDEX);
    close(xsk);
    axt_net_plug(&p.net, "ifname=" AXT_DEV ",inhibit=on,map-path=" MAP_PATH
                 ",map-start-index=1");
    axt_some_traffic(&p.net);
    pinned_stop(&p);
}

/* Waits until the entry is free, and takes it. */
static gpointer take_entry(gpointer opaque)
{
    Pinned *p = opaque;
    int xsk = axt_foreign_xsk();

    while (!axt_foreign_add(p->map, MAP_INDEX, xsk)) {
        axt_pause();
    }
    return GINT_TO_POINTER(xsk);
}

/* The same while a queue is moved to guest memory. */
static void test_map_taken_moving(void)
{
    const char *options = "ifname=" AXT_DEV ",inhibit=on,map-path=" MAP_PATH
                          ",map-start-index=1";
    g_autofree char *all = g_strconcat(options, axt_path(), NULL);
    g_autofree char *error = NULL;
    GThread *thief;
    Pinned p;
    int xsk;

    p.map = axt_foreign_map(BPF_MAP_TYPE_XSKMAP, 4);
    p.prog = axt_foreign_redirect(p.map, MAP_INDEX);
    axt_foreign_pin(p.map, MAP_PATH);
    p.net.wire = axt_wire_new(1, 1500);
    axt_foreign_attach(p.net.wire->ifindex, p.prog);
    p.net.vm = axt_vm_new("%s", "");
    error = axt_netdev_add(p.net.vm, "n0", all);
    g_assert_cmpstr(error, ==, NULL);
    qtest_qmp_device_add(p.net.vm->qts, "virtio-net-pci", "nic",
                         "{'netdev': 'n0', 'addr': '4', 'romfile': ''}");
    thief = g_thread_new("thief", take_entry, &p);
    p.net.nic = axt_virtio_new(p.net.vm, 1);
    xsk = GPOINTER_TO_INT(g_thread_join(thief));
    g_assert_true(is_set(&p));
    axt_unplug(p.net.vm, "nic");
    axt_nic_free(p.net.nic);
    axt_netdev_del(p.net.vm, "n0");
    g_assert_true(is_set(&p));
    axt_foreign_remove(p.map, MAP_INDEX);
    close(xsk);
    axt_net_plug(&p.net, options);
    axt_some_traffic(&p.net);
    pinned_stop(&p);
}

void axt_add_return_tests(void)
{
    axt_add_data("return/deleted/virtio", GINT_TO_POINTER(AXT_VIRTIO),
                 test_deleted);
    qtest_add_data_func("af-xdp/return/deleted/e1000e",
                        GINT_TO_POINTER(AXT_E1000E), test_deleted);
    axt_add("return/queues", test_queues);
    axt_add("return/moved", test_moved);
    axt_add_data("return/link-off/netdev", "n0", test_link_off);
    axt_add_data("return/link-off/nic", "nic", test_link_off);
    axt_add("return/link-on", test_link_on);
    axt_add("return/down-deleted", test_down_deleted);
    axt_add("return/stopped", test_stopped);
    axt_add("return/reset", test_reset);
    axt_add_data("return/removed/netdev-first", GINT_TO_POINTER(true),
                 test_removed);
    axt_add_data("return/removed/nic-first", GINT_TO_POINTER(false),
                 test_removed);
    axt_add("return/plug", test_plug);
    axt_add("return/plug-link-off", test_plug_link_off);
    axt_add("return/fails", test_fails);
    qtest_add_func("af-xdp/return/rarely", test_rarely);
    axt_add("return/fewer-queues", test_fewer_queues);
    axt_add("return/map", test_map);
    axt_add("return/map-anew", test_map_anew);
    axt_add("return/map-taken", test_map_taken);
    axt_add_zero_copy("map-taken", test_map_taken_moving);
}
