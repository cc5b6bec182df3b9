/*
 * af-xdp qtest: beginnings, interruptions and ends
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <net/if.h>
#include "af-xdp-link.h"

#define ROUNDS 20

#define QUEUES 4

/* Enough for the kernel's hash to find each of the queues. */
#define FLOWS 256

/*
 * Send until the device gives nothing back any more: the netdev's rings are
 * full. Returns how many frames that were.
 */
static unsigned send_until_full(AxtNet *net)
{
    gint64 last = g_get_monotonic_time();
    uint8_t buf[AXT_LEN_MIN];
    size_t len = sizeof(buf);
    unsigned n = 0;

    while (g_get_monotonic_time() - last < G_USEC_PER_SEC / 5) {
        bool moved = false;

        axt_frame_fill(buf, len, n, 0);
        while (axt_nic_tx(net->nic, 0, buf, &len, 1, false)) {
            moved = true;
            axt_frame_fill(buf, len, ++n, 0);
        }
        if (moved) {
            axt_nic_tx_kick(net->nic, 0);
            last = g_get_monotonic_time();
        }
        axt_pause();
    }
    g_assert_cmpuint(axt_nic_tx_pending(net->nic, 0), ==, AXT_RING);
    return n;
}

/* The guest resets the device in the middle of traffic, many times. */
static void test_reset(void)
{
    uint8_t buf[AXT_LEN_MIN];
    AxtNet net;
    unsigned i, j;

    axt_net_start(&net, AXT_VIRTIO, 1, 1500, "%s", "");
    for (i = 0; i < ROUNDS; i++) {
        axt_send_some(&net, 30);
        axt_frame_fill(buf, sizeof(buf), i, 0);
        for (j = 0; j < 200; j++) {
            size_t len = sizeof(buf);

            g_assert_true(axt_nic_tx(net.nic, 0, buf, &len, 1, false));
        }
        axt_nic_tx_kick(net.nic, 0);
        axt_virtio_reset(net.nic);
        axt_send_some(&net, 30);
        axt_virtio_restart(net.nic);
        axt_send_some(&net, 30);
        axt_settle(&net);
        axt_some_traffic(&net);
    }
    axt_net_stop(&net);
}

/* The machine stops: nothing moves, nothing is lost. */
static void test_stop_cont(void)
{
    g_autofree uint8_t *buf = g_malloc(AXT_FRAME_MAX);
    AxtNet net;
    unsigned i, round;

    axt_net_start(&net, AXT_VIRTIO, 1, 1500, "%s", "");
    for (round = 0; round < 5; round++) {
        axt_some_traffic(&net);
        qtest_qmp_assert_success(net.vm->qts, "{'execute': 'stop'}");
        for (i = 0; i < 100; i++) {
            axt_frame_fill(buf, 100 + i, i, 0);
            axt_wire_send(net.wire, buf, 100 + i);
            axt_nic_send(net.nic, 0, buf, 100 + i);
        }
        g_assert_cmpint(axt_wire_recv(net.wire, 0, buf, AXT_FRAME_MAX, 20),
                        ==, -1);
        g_assert_cmpint(axt_nic_recv(net.nic, 0, buf, AXT_FRAME_MAX, 20), ==,
                        -1);
        qtest_qmp_assert_success(net.vm->qts, "{'execute': 'cont'}");
        for (i = 0; i < 100; i++) {
            ssize_t len = axt_wire_recv(net.wire, 0, buf, AXT_FRAME_MAX, 2000);

            g_assert_cmpint(len, ==, 100 + i);
            g_assert_cmpuint(axt_frame_check(buf, len, NULL), ==, i);
            len = axt_nic_recv(net.nic, 0, buf, AXT_FRAME_MAX, 2000);
            g_assert_cmpint(len, ==, 100 + i);
            g_assert_cmpuint(axt_frame_check(buf, len, NULL), ==, i);
        }
        axt_nic_tx_wait(net.nic, 0);
    }
    axt_net_stop(&net);
}

/* Link off by the monitor, on either end of the cable. */
static void test_set_link(const void *name)
{
    g_autofree uint8_t *buf = g_malloc(AXT_FRAME_MAX);
    AxtNet net;
    unsigned i;

    axt_net_start(&net, AXT_VIRTIO, 1, 1500, "%s", "");
    for (i = 0; i < 3; i++) {
        axt_some_traffic(&net);
        axt_set_link(&net, name, false);
        axt_send_some(&net, 50);
        g_assert_cmpint(axt_nic_recv(net.nic, 0, buf, AXT_FRAME_MAX, 30), ==,
                        -1);
        axt_send_in_vain(&net);
        axt_set_link(&net, name, true);
        axt_settle(&net);
    }
    axt_some_traffic(&net);
    axt_net_stop(&net);
}

static void unplug(AxtNet *net)
{
    axt_unplug(net->vm, "nic");
    axt_nic_free(net->nic);
    axt_netdev_del(net->vm, "n0");
    g_assert_cmpuint(axt_prog_id(net->wire->ifindex), ==, 0);
}

/* Plug and unplug on the same queue without a pause; nothing piles up. */
static void test_hotplug(void)
{
    AxtNet net;
    unsigned i, fds = 0;

    net.wire = axt_wire_new(1, 1500);
    net.vm = axt_vm_new("%s", "");
    for (i = 0; i < ROUNDS; i++) {
        axt_net_plug(&net, "ifname=" AXT_DEV);
        axt_some_traffic(&net);
        axt_send_some(&net, 10);            /* gone with frames in its rings */
        unplug(&net);
        if (i == 1) {
            fds = axt_vm_fds(net.vm);
        }
    }
    g_assert_cmpuint(axt_vm_fds(net.vm), ==, fds);
    axt_vm_free(net.vm);
    axt_wire_free(net.wire);
}

/* The netdev alone comes and goes, with all queues. */
static void test_readd(void)
{
    AxtNet net;
    unsigned i, fds = 0;

    net.wire = axt_wire_new(4, 1500);
    net.vm = axt_vm_new("%s", "");
    for (i = 0; i < ROUNDS; i++) {
        g_autofree char *options = g_strconcat("ifname=" AXT_DEV ",queues=4",
                                               axt_path(), NULL);
        g_autofree char *error = axt_netdev_add(net.vm, "n0", options);

        g_assert_cmpstr(error, ==, NULL);
        g_assert_cmpuint(axt_prog_id(net.wire->ifindex), !=, 0);
        axt_netdev_del(net.vm, "n0");
        g_assert_cmpuint(axt_prog_id(net.wire->ifindex), ==, 0);
        if (i == 1) {
            fds = axt_vm_fds(net.vm);
        }
    }
    g_assert_cmpuint(axt_vm_fds(net.vm), ==, fds);
    axt_vm_free(net.vm);
    axt_wire_free(net.wire);
}

/*
 * The netdev is deleted under a living NIC with traffic. QEMU keeps the
 * backend, and with it the program, for as long as the NIC lives.
 */
static void test_netdev_del_first(void)
{
    uint8_t buf[AXT_LEN_MIN];
    unsigned i;
    AxtNet net;

    axt_net_start(&net, AXT_VIRTIO, 1, 1500, "%s", "");
    axt_some_traffic(&net);
    axt_send_some(&net, 50);
    axt_netdev_del(net.vm, "n0");
    axt_wait_link(&net, false);
    axt_send_some(&net, 50);
    axt_frame_fill(buf, sizeof(buf), 0, 0);
    for (i = 0; i < 10; i++) {
        axt_nic_send(net.nic, 0, buf, sizeof(buf));
    }
    axt_nic_tx_wait(net.nic, 0);
    axt_unplug(net.vm, "nic");
    axt_nic_free(net.nic);
    g_assert_cmpuint(axt_prog_id(net.wire->ifindex), ==, 0);

    axt_net_plug(&net, "ifname=" AXT_DEV);
    axt_some_traffic(&net);
    axt_net_stop(&net);
}

/*
 * Each queue has packets that wait for the guest: one in the net layer, unless
 * there is none on the way, and others in the socket.
 */
static void fill_queues(AxtNet *net)
{
    const unsigned full = QUEUES * (net->nic->rx_bufs + !axt_vhost());
    gint64 end = g_get_monotonic_time() + 4 * AXT_TIMEOUT_US;
    uint8_t buf[AXT_LEN_MIN];
    unsigned i;

    while (axt_counter(net->vm, "rx") < full) {
        for (i = 0; i < FLOWS; i++) {
            axt_frame_fill(buf, sizeof(buf), 0, i);
            axt_wire_send(net->wire, buf, sizeof(buf));
        }
        g_assert_cmpint(g_get_monotonic_time(), <, end);
    }
    g_assert_cmpuint(axt_counter(net->vm, "rx"), ==, full);
}

static void unplug_waiting(bool netdev_first)
{
    AxtNet net;

    axt_net_start(&net, AXT_VIRTIO, QUEUES, 1500, "%s", "");
    fill_queues(&net);
    if (netdev_first) {
        axt_netdev_del(net.vm, "n0");
        axt_unplug(net.vm, "nic");
    } else {
        axt_unplug(net.vm, "nic");
        axt_netdev_del(net.vm, "n0");
    }
    axt_nic_free(net.nic);
    g_assert_cmpuint(axt_prog_id(net.wire->ifindex), ==, 0);

    axt_net_plug(&net, "ifname=" AXT_DEV);
    axt_settle(&net);
    axt_to_wire(&net, 0, 64, axt_len_sweep);
    axt_net_stop(&net);
}

static void test_unplug_netdev_first(void)
{
    unplug_waiting(true);
}

static void test_unplug_nic_first(void)
{
    unplug_waiting(false);
}

/* Run a test under valgrind, which sees each use of freed memory. */
static void test_valgrind(const void *func)
{
    g_autofree char *qemu = g_strdup(getenv("QTEST_QEMU_BINARY"));
    g_autofree char *valgrind = g_find_program_in_path("valgrind");
    g_autofree char *command =
        g_strdup_printf("%s -q --undef-value-errors=no --error-exitcode=99 %s",
                        valgrind ?: "", qemu);

    if (!valgrind) {
        g_test_skip("valgrind is not installed");
        return;
    }
    g_setenv("QTEST_QEMU_BINARY", command, true);
    ((void (*)(void))func)();
    g_setenv("QTEST_QEMU_BINARY", qemu, true);
}

/* First the netdev is deleted, then the interface, then the NIC. */
static void test_netdev_del_then_deleted(void)
{
    uint8_t buf[AXT_LEN_MIN];
    AxtNet net;

    axt_net_start(&net, AXT_VIRTIO, 1, 1500, "%s", "");
    axt_some_traffic(&net);
    axt_netdev_del(net.vm, "n0");
    axt_wait_link(&net, false);
    axt_ip("link del " AXT_DEV);
    axt_frame_fill(buf, sizeof(buf), 0, 0);
    axt_nic_send(net.nic, 0, buf, sizeof(buf));
    axt_nic_tx_wait(net.nic, 0);
    axt_unplug(net.vm, "nic");
    axt_nic_free(net.nic);
    axt_wire_free(net.wire);

    net.wire = axt_wire_new(1, 1500);
    axt_net_plug(&net, "ifname=" AXT_DEV);
    axt_some_traffic(&net);
    axt_net_stop(&net);
}

/* The device goes down and up again; then it works as before. */
static void test_down_up(void)
{
    AxtNet net;
    unsigned i, cpu;

    axt_net_start(&net, AXT_VIRTIO, 1, 1500, "%s", "");
    for (i = 0; i < 3; i++) {
        axt_some_traffic(&net);
        axt_ip("link set dev " AXT_DEV " down");
        axt_wait_link(&net, false);
        cpu = axt_vm_cpu_ms(net.vm);
        g_usleep(G_USEC_PER_SEC / 4);
        g_assert_cmpuint(axt_vm_cpu_ms(net.vm) - cpu, <, AXT_IDLE_CPU_MS / 4);
        axt_send_in_vain(&net);
        axt_ip("link set dev " AXT_DEV " up");
        axt_wait_link(&net, true);
        axt_settle(&net);
    }
    axt_some_traffic(&net);
    axt_net_stop(&net);
}

/* The interface is down already when the NIC comes. */
static void test_down_plug(void)
{
    AxtNet net;
    unsigned i;

    net.wire = axt_wire_new(1, 1500);
    net.vm = axt_vm_new("-netdev af-xdp,id=n0,ifname=" AXT_DEV "%s",
                        axt_path());
    for (i = 0; i < 3; i++) {
        axt_ip("link set dev " AXT_DEV " down");
        axt_wait_interface(&net, false);
        qtest_qmp_device_add(net.vm->qts, "virtio-net-pci", "nic",
                             "{'netdev': 'n0', 'addr': '4', 'romfile': ''}");
        net.nic = axt_virtio_new(net.vm, 1);
        axt_wait_link(&net, false);
        axt_send_in_vain(&net);
        axt_ip("link set dev " AXT_DEV " up");
        axt_wait_link(&net, true);
        axt_settle(&net);
        axt_some_traffic(&net);
        if (axt_vhost()) {
            g_autofree char *info = qtest_hmp(net.vm->qts, "info network");

            g_assert_nonnull(strstr(info, "vhost=on"));
        }
        axt_unplug(net.vm, "nic");
        axt_nic_free(net.nic);
    }
    axt_vm_free(net.vm);
    axt_wire_free(net.wire);
}

/*
 * The interface is down, then the user takes the link down as well: only he
 * may raise it again.
 */
static void test_down_link_off(const void *name)
{
    AxtNet net;

    axt_net_start(&net, AXT_VIRTIO, 1, 1500, "%s", "");
    axt_some_traffic(&net);
    axt_ip("link set dev " AXT_DEV " down");
    axt_wait_link(&net, false);
    axt_set_link(&net, name, false);
    axt_ip("link set dev " AXT_DEV " up");
    axt_wait_interface(&net, true);
    g_assert_false(axt_nic_link_up(net.nic));
    axt_send_in_vain(&net);
    axt_set_link(&net, name, true);
    axt_settle(&net);
    axt_some_traffic(&net);
    axt_net_stop(&net);
}

/* The other order: the user's link is down before the interface is. */
static void test_link_off_down(const void *name)
{
    AxtNet net;

    axt_net_start(&net, AXT_VIRTIO, 1, 1500, "%s", "");
    axt_some_traffic(&net);
    axt_set_link(&net, name, false);
    axt_ip("link set dev " AXT_DEV " down");
    axt_wait_interface(&net, false);
    axt_ip("link set dev " AXT_DEV " up");
    axt_wait_interface(&net, true);
    g_assert_false(axt_nic_link_up(net.nic));
    axt_send_in_vain(&net);
    axt_set_link(&net, name, true);
    axt_settle(&net);
    axt_some_traffic(&net);
    axt_net_stop(&net);
}

/* The interface is down, but not the link: the guest sends what it can. */
static void start_full(AxtNet *net)
{
    axt_net_start(net, AXT_VIRTIO, 1, 1500, "%s", "");
    axt_some_traffic(net);
    axt_set_link(net, "n0", false);
    axt_ip("link set dev " AXT_DEV " down");
    axt_wait_interface(net, false);
    axt_set_link(net, "n0", true);
}

/* What waited for the interface goes out once it is up, all of it. */
static void test_full_up(void)
{
    uint8_t buf[AXT_LEN_MIN];
    AxtNet net;
    unsigned i, n;

    start_full(&net);
    n = send_until_full(&net);
    axt_ip("link set dev " AXT_DEV " up");
    axt_nic_tx_wait(net.nic, 0);
    for (i = 0; i < n; i++) {
        ssize_t len = axt_wire_recv(net.wire, 0, buf, sizeof(buf), 2000);

        g_assert_cmpint(len, ==, sizeof(buf));
        g_assert_cmpuint(axt_frame_check(buf, len, NULL), ==, i);
    }
    axt_some_traffic(&net);
    axt_net_stop(&net);
}

/* QEMU hears of several changes at once, the last of them the same as ever. */
static void test_full_up_unnoticed(void)
{
    AxtNet net;
    pid_t pid;

    start_full(&net);
    send_until_full(&net);
    pid = qtest_pid(net.vm->qts);
    kill(pid, SIGSTOP);
    g_assert_cmpint(waitpid(pid, NULL, WUNTRACED), ==, pid);
    axt_ip("link set dev " AXT_DEV " up");
    axt_ip("link set dev " AXT_DEV " down");
    axt_ip("link set dev " AXT_DEV " up");
    kill(pid, SIGCONT);
    axt_nic_tx_wait(net.nic, 0);
    axt_settle(&net);

    /* Down and up again with nothing but that in between. */
    kill(pid, SIGSTOP);
    g_assert_cmpint(waitpid(pid, NULL, WUNTRACED), ==, pid);
    axt_ip("link set dev " AXT_DEV " down");
    axt_ip("link set dev " AXT_DEV " up");
    kill(pid, SIGCONT);
    axt_wait_link(&net, true);
    axt_some_traffic(&net);
    axt_net_stop(&net);
}

/* The interface flaps as fast as it can while the guest sends. */
static void test_flapping(void)
{
    char *argv[] = {
        (char *)"sh", (char *)"-c",
        (char *)"for i in $(seq 50); do "
                "echo link set dev " AXT_DEV " down; "
                "echo link set dev " AXT_DEV " up; done | ip -batch -", NULL,
    };
    g_autofree uint8_t *buf = g_malloc(AXT_FRAME_MAX);
    size_t len = AXT_LEN_MIN;
    AxtNet net;
    int status;
    GPid pid;

    axt_net_start(&net, AXT_VIRTIO, 1, 1500, "%s", "");
    axt_some_traffic(&net);
    axt_frame_fill(buf, len, 0, 0);
    g_assert_true(g_spawn_async(NULL, argv, NULL,
                                G_SPAWN_SEARCH_PATH |
                                G_SPAWN_DO_NOT_REAP_CHILD, NULL, NULL, &pid,
                                NULL));
    while (waitpid(pid, &status, WNOHANG) == 0) {
        while (axt_nic_tx(net.nic, 0, buf, &len, 1, false)) {
            /* Fill the ring. */
        }
        axt_nic_tx_kick(net.nic, 0);
    }
    g_assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    axt_nic_tx_wait(net.nic, 0);
    axt_settle(&net);
    axt_wait_interface(&net, true);
    axt_wait_link(&net, true);
    axt_some_traffic(&net);
    axt_net_stop(&net);
}

/* The NIC goes while its packets wait for the interface, which then comes. */
static void test_unplug_full(void)
{
    AxtNet net;

    axt_net_start(&net, AXT_VIRTIO, 1, 1500, "%s", "");
    axt_ip("link set dev " AXT_DEV " down");
    axt_wait_link(&net, false);
    axt_set_link(&net, "n0", true);
    send_until_full(&net);
    axt_unplug(net.vm, "nic");
    axt_nic_free(net.nic);
    axt_ip("link set dev " AXT_DEV " up");
    axt_wait_interface(&net, true);
    axt_netdev_del(net.vm, "n0");
    axt_net_plug(&net, "ifname=" AXT_DEV);
    axt_settle(&net);
    axt_some_traffic(&net);
    axt_net_stop(&net);
}

/* Nobody at the other end: the guest is not stuck, and nothing spins. */
static void test_peer_down(void)
{
    uint8_t buf[AXT_LEN_MIN];
    AxtNet net;
    unsigned i, cpu;

    axt_net_start(&net, AXT_VIRTIO, 1, 1500, "%s", "");
    axt_some_traffic(&net);
    axt_ip("link set dev " AXT_PEER " down");
    axt_frame_fill(buf, sizeof(buf), 0, 0);
    for (i = 0; i < 200; i++) {
        axt_nic_send(net.nic, 0, buf, sizeof(buf));
    }
    axt_nic_tx_wait(net.nic, 0);
    cpu = axt_vm_cpu_ms(net.vm);
    g_usleep(G_USEC_PER_SEC / 2);
    g_assert_cmpuint(axt_vm_cpu_ms(net.vm) - cpu, <, AXT_IDLE_CPU_MS / 2);
    axt_ip("link set dev " AXT_PEER " up");
    axt_settle(&net);
    axt_some_traffic(&net);
    axt_net_stop(&net);
}

/* Nothing to do, nothing done. */
static void test_idle(void)
{
    AxtNet net;
    unsigned cpu;

    axt_net_start(&net, AXT_VIRTIO, 4, 1500, "%s", "");
    cpu = axt_vm_cpu_ms(net.vm);
    g_usleep(G_USEC_PER_SEC / 2);
    g_assert_cmpuint(axt_vm_cpu_ms(net.vm) - cpu, <, AXT_IDLE_CPU_MS / 2);
    axt_net_stop(&net);
}

/* @vhost: under valgrind on both ways; that takes a while. */
static void add_with_valgrind(const char *name, void (*func)(void), bool vhost)
{
    g_autofree char *plain = g_strdup_printf("life/%s", name);
    g_autofree char *valgrind = g_strdup_printf("life/%s/valgrind", name);

    axt_add(plain, func);
    axt_add_copy_data(valgrind, (const void *)func, test_valgrind);
    if (vhost) {
        axt_add_vhost_data(valgrind, (const void *)func, test_valgrind);
    }
}

void axt_add_lifecycle_tests(void)
{
    axt_add("life/reset", test_reset);
    axt_add("life/stop-cont", test_stop_cont);
    axt_add_data("life/set-link-netdev", "n0", test_set_link);
    axt_add_data("life/set-link-nic", "nic", test_set_link);
    axt_add("life/hotplug", test_hotplug);
    axt_add("life/re-add", test_readd);
    axt_add("life/netdev-del-first", test_netdev_del_first);
    add_with_valgrind("unplug-netdev-first", test_unplug_netdev_first,
                      false);
    add_with_valgrind("unplug-nic-first", test_unplug_nic_first, true);
    add_with_valgrind("unplug-full", test_unplug_full, false);
    axt_add("life/netdev-del-then-deleted", test_netdev_del_then_deleted);
    axt_add("life/down-up", test_down_up);
    axt_add("life/down-plug", test_down_plug);
    axt_add_data("life/down-link-off/netdev", "n0", test_down_link_off);
    axt_add_data("life/down-link-off/nic", "nic", test_down_link_off);
    axt_add_data("life/link-off-down/netdev", "n0", test_link_off_down);
    axt_add_data("life/link-off-down/nic", "nic", test_link_off_down);
    axt_add("life/full-up", test_full_up);
    axt_add("life/full-up-unnoticed", test_full_up_unnoticed);
    axt_add("life/flapping", test_flapping);
    axt_add("life/peer-down", test_peer_down);
    axt_add("life/idle", test_idle);
}
