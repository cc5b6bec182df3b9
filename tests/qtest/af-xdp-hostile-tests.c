/*
 * af-xdp qtest: guests and users with the worst in mind
 *
 * What a guest may do to QEMU's memory, and what happens to packets that wait
 * while everything around them is taken away.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "af-xdp-foreign.h"
#include "af-xdp-net.h"

#define QUEUES 4

/* Enough for the kernel's hash to find each of the queues. */
#define FLOWS 256

/*
 * QEMU's memory may grow by this much, in KiB: less than a hundred packets
 * as the net layer stores them, and more than any other noise.
 */
#define GROWTH_KIB (6 * KiB)

/* Longer than QEMU goes without a look at a queue that waits. */
#define QUIET_MS 120

/* More than the netdev's rings and the NIC's have room for. */
#define TOO_MANY 3000

/* An interface beside the wire. */
#define OTHER_DEV "axt-other"

/* Anonymous memory in KiB; the guest's RAM is not part of it. */
static int64_t memory_kib(AxtVm *vm)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/status",
                                            (int)qtest_pid(vm->qts));
    g_autofree char *text = NULL;
    const char *field;

    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    field = strstr(text, "RssAnon:");
    g_assert_nonnull(field);
    return g_ascii_strtoll(field + strlen("RssAnon:"), NULL, 10);
}

/* Packets that one queue of the interface has handed to the net layer. */
static uint64_t queue_rx(AxtVm *vm, unsigned queue)
{
    g_autofree char *info = qtest_hmp(vm->qts, "info network");
    g_autofree char *key = g_strdup_printf(",queue=%u,", queue);
    const char *line = strstr(info, key);
    const char *field;

    g_assert_nonnull(line);
    field = strstr(line, ",rx=");
    g_assert_nonnull(field);
    return g_ascii_strtoull(field + strlen(",rx="), NULL, 10);
}

/* Wait until "info network" says @text, or no longer does. */
static void wait_info(AxtVm *vm, const char *text, bool there)
{
    gint64 end = g_get_monotonic_time() + AXT_TIMEOUT_US;

    for (;;) {
        g_autofree char *info = qtest_hmp(vm->qts, "info network");

        if (!strstr(info, text) != there) {
            return;
        }
        g_assert_cmpint(g_get_monotonic_time(), <, end);
        g_usleep(1000);
    }
}

/* Frames of all flows in turn, as many as get through. */
static void flood(AxtNet *net, unsigned n, size_t len)
{
    g_autofree uint8_t *buf = g_malloc(len);
    static uint32_t seq;

    while (n--) {
        axt_frame_fill(buf, len, seq, seq % FLOWS);
        axt_wire_send(net->wire, buf, len);
        seq++;
    }
}

/*
 * Take what the guest finds in a queue right now. Returns how much.
 * @kick: tell the device about the buffers; without, it may still see them.
 */
static unsigned take_all(AxtNet *net, unsigned queue, bool kick)
{
    g_autofree uint8_t *buf = g_malloc(AXT_FRAME_MAX);
    unsigned n = 0;
    ssize_t len;

    while ((len = axt_nic_rx(net->nic, queue, buf, AXT_FRAME_MAX)) >= 0) {
        if (axt_frame_is_ours(buf, len)) {
            axt_frame_check(buf, len, NULL);
        }
        n++;
        if (kick) {
            axt_nic_rx_kick(net->nic, queue);
        }
    }
    return n;
}

/* The same for the first @queues of them, until nothing comes any more. */
static unsigned take_until_quiet(AxtNet *net, unsigned queues)
{
    gint64 last = g_get_monotonic_time();
    unsigned q, n = 0;

    while (g_get_monotonic_time() - last < QUIET_MS * 1000) {
        for (q = 0; q < queues; q++) {
            unsigned got = take_all(net, q, true);

            if (got) {
                last = g_get_monotonic_time();
            }
            n += got;
        }
        axt_pause();
    }
    return n;
}

/*
 * The guest drives one of four queue pairs and takes packets one by one. Each
 * makes room for one, and not for one from each of the interface's queues.
 */
static void test_grow(void)
{
    const unsigned rounds = 6000;
    g_autofree uint8_t *buf = g_malloc(AXT_FRAME_MAX);
    unsigned i, q, taken = 0;
    int64_t before;
    AxtNet net;

    net.wire = axt_wire_new(QUEUES, 1500);
    net.vm = axt_vm_new("-netdev af-xdp,id=n0,ifname=" AXT_DEV ",queues=%u%s "
                        "-device virtio-net-pci," AXT_NIC_ARGS
                        ",id=nic,mq=on,vectors=%u", QUEUES, axt_path(),
                        2 * QUEUES + 2);
    net.nic = axt_virtio_new(net.vm, 1);
    for (i = 0; i < 8; i++) {
        flood(&net, FLOWS, AXT_LEN_MAX);
        g_usleep(2000);
    }
    before = memory_kib(net.vm);

    for (i = 1; i <= rounds; i++) {
        ssize_t len;

        /* More than are taken, so that no queue runs dry. */
        flood(&net, 8, AXT_LEN_MAX);
        len = axt_nic_rx(net.nic, 0, buf, AXT_FRAME_MAX);
        if (len >= 0) {
            axt_nic_rx_kick(net.nic, 0);
            taken++;
        }
        if (i % (rounds / 6) == 0) {
            /* In the guest's hands, in its ring, one waiting per queue. */
            g_assert_cmpuint(axt_counter(net.vm, "rx"), <=,
                             taken + net.nic->rx_bufs + QUEUES);
            g_assert_cmpint(memory_kib(net.vm) - before, <, GROWTH_KIB);
        }
    }
    g_assert_cmpuint(taken, >, rounds / 2);
    for (q = 0; q < QUEUES; q++) {
        g_assert_cmpuint(queue_rx(net.vm, q), >, taken / QUEUES / 2);
    }
    taken += take_until_quiet(&net, 1);
    g_assert_cmpuint(axt_counter(net.vm, "rx"), ==, taken);
    axt_net_stop(&net);
}

/*
 * The guest switches between one queue pair and four, with packets waiting
 * for those that it gives up.
 */
static void test_toggle(void)
{
    const size_t len = 8900;
    unsigned i, q, taken = 0;
    int64_t before = 0;
    AxtNet net;

    axt_net_start(&net, AXT_VIRTIO, QUEUES, 9000, "%s", "");
    for (i = 0; i < 20; i++) {
        flood(&net, 128, len);
        g_usleep(3000);
        taken += take_all(&net, 0, true);
    }
    for (i = 0; i < 16; i++) {
        axt_virtio_set_pairs(net.nic, 1);
        g_usleep(60 * 1000);        /* until QEMU notices */
        taken += take_all(&net, 0, true);
        axt_virtio_set_pairs(net.nic, QUEUES);
        flood(&net, 128, len);
        g_usleep(5000);
        if (i == 0) {
            before = memory_kib(net.vm);
        }
    }
    g_assert_cmpint(memory_kib(net.vm) - before, <, GROWTH_KIB);

    /* No more than one packet waits for each queue that was given up. */
    axt_virtio_set_pairs(net.nic, 1);
    taken += take_until_quiet(&net, 1);
    for (q = 1; q < QUEUES; q++) {
        taken += take_all(&net, q, false);
    }
    g_assert_cmpuint(axt_counter(net.vm, "rx"), <=, taken + QUEUES - 1);

    /* They come when it is taken back, and others after them. */
    axt_virtio_set_pairs(net.nic, QUEUES);
    taken += take_until_quiet(&net, QUEUES);
    g_assert_cmpuint(axt_counter(net.vm, "rx"), ==, taken);
    flood(&net, AXT_WINDOW, 100);
    for (q = 0; q < QUEUES; q++) {
        gint64 end = g_get_monotonic_time() + AXT_TIMEOUT_US;

        while (take_all(&net, q, true) == 0) {
            g_assert_cmpint(g_get_monotonic_time(), <, end);
            axt_pause();
        }
    }
    axt_net_stop(&net);
}

static void set_link(AxtNet *net, bool up)
{
    qtest_qmp_assert_success(net->vm->qts, "{'execute': 'set_link',"
                             " 'arguments': {'name': 'n0', 'up': %i}}", up);
}

/* Fill everything on the way to an interface that is down. */
static unsigned send_to_nowhere(AxtNet *net)
{
    uint8_t buf[AXT_LEN_MIN];
    size_t len = sizeof(buf);
    unsigned n = 0;
    gint64 last;

    /* The user's word on the link counts more than the interface's. */
    set_link(net, false);
    axt_ip("link set dev " AXT_DEV " down");
    wait_info(net->vm, "interface down", true);
    set_link(net, true);

    last = g_get_monotonic_time();
    while (n < TOO_MANY &&
           g_get_monotonic_time() - last < QUIET_MS * 1000) {
        bool moved = false;

        axt_frame_fill(buf, len, n, 0);
        while (n < TOO_MANY && axt_nic_tx(net->nic, 0, buf, &len, 1, false)) {
            moved = true;
            axt_frame_fill(buf, len, ++n, 0);
        }
        if (moved) {
            axt_nic_tx_kick(net->nic, 0);
            last = g_get_monotonic_time();
        }
        axt_pause();
    }
    /* Or nothing waits, and this is not the test that it wants to be. */
    g_assert_cmpuint(n, >, axt_counter(net->vm, "tx"));
    return n;
}

/*
 * Returns how many frames were on the wire; their numbers must be ascending
 * and below @limit.
 */
static unsigned wire_take_all(AxtNet *net, unsigned limit)
{
    uint8_t buf[AXT_LEN_MIN];
    unsigned n = 0, next = 0;
    ssize_t len;

    while ((len = axt_wire_recv(net->wire, 0, buf, sizeof(buf),
                                QUIET_MS)) >= 0) {
        uint32_t seq = axt_frame_check(buf, len, NULL);

        g_assert_cmpuint(seq, >=, next);
        g_assert_cmpuint(seq, <, limit);
        next = seq + 1;
        n++;
    }
    return n;
}

/*
 * The NIC is unplugged while its packets wait in the net layer, and then the
 * interface comes up. What the netdev has taken is sent; the rest belongs to
 * a NIC that is no more.
 */
static void test_eject(const void *data)
{
    AxtModel model = GPOINTER_TO_INT(data);
    g_autofree char *perturb = g_strdup(getenv("MALLOC_PERTURB_"));
    unsigned accepted, i;
    AxtNet net;

    /* Freed memory must not look as if it were still the NIC's. */
    g_setenv("MALLOC_PERTURB_", "165", true);
    axt_net_start(&net, model, 1, 1500, "%s", "");
    if (perturb) {
        g_setenv("MALLOC_PERTURB_", perturb, true);
    } else {
        g_unsetenv("MALLOC_PERTURB_");
    }

    send_to_nowhere(&net);
    accepted = axt_counter(net.vm, "tx");
    axt_unplug(net.vm, "nic");
    axt_nic_free(net.nic);

    for (i = 0; i < 2; i++) {
        axt_ip("link set dev " AXT_DEV " up");
        wait_info(net.vm, "interface down", false);
        g_assert_cmpuint(wire_take_all(&net, accepted), ==,
                         i == 0 ? accepted : 0);
        axt_ip("link set dev " AXT_DEV " down");
        wait_info(net.vm, "interface down", true);
    }
    axt_ip("link set dev " AXT_DEV " up");
    wait_info(net.vm, "interface down", false);
    g_assert_cmpuint(axt_counter(net.vm, "tx"), ==, accepted);

    /* The netdev serves the next NIC. */
    qtest_qmp_device_add(net.vm->qts, "virtio-net-pci", "nic",
                         "{'netdev': 'n0', 'addr': '4', 'romfile': ''}");
    net.nic = axt_virtio_new(net.vm, 1);
    axt_some_traffic(&net);
    axt_net_stop(&net);
}

/*
 * The machine is stopped while packets wait, and then the interface comes
 * up. A stopped machine's memory does not change: somebody may be saving it.
 */
static void test_stopped(void)
{
    unsigned sent, pending, purged, i;
    AxtNet net;

    axt_net_start(&net, AXT_VIRTIO, 1, 1500, "%s", "");
    sent = send_to_nowhere(&net);
    pending = axt_nic_tx_pending(net.nic, 0);
    g_assert_cmpuint(pending, >, 1);
    qtest_qmp_assert_success(net.vm->qts, "{'execute': 'stop'}");
    /* QEMU drops the packet that the net layer holds when it stops. */
    purged = pending - axt_nic_tx_pending(net.nic, 0);
    g_assert_cmpuint(purged, <=, 1);
    pending -= purged;

    for (i = 0; i < 3; i++) {
        axt_ip("link set dev " AXT_DEV " up");
        wait_info(net.vm, "interface down", false);
        g_usleep(QUIET_MS * 1000);
        g_assert_cmpuint(axt_nic_tx_pending(net.nic, 0), ==, pending);
        if (i < 2) {
            axt_ip("link set dev " AXT_DEV " down");
            wait_info(net.vm, "interface down", true);
        }
    }
    qtest_qmp_assert_success(net.vm->qts, "{'execute': 'cont'}");
    axt_nic_tx_wait(net.nic, 0);
    g_assert_cmpuint(wire_take_all(&net, sent), ==, sent - purged);
    axt_some_traffic(&net);
    axt_net_stop(&net);
}

/*
 * A deleted netdev lives for as long as its NIC, and its name may be given to
 * another one meanwhile. What happens to its interface is not the other's
 * business.
 */
static void test_wrong_link(void)
{
    AxtNet net;

    net.wire = axt_wire_new(1, 1500);
    axt_ip("link add " OTHER_DEV " type veth peer name axt-other2");
    axt_ip("link set dev " OTHER_DEV " up");
    axt_ip("link set dev axt-other2 up");
    net.vm = axt_vm_new("-netdev af-xdp,id=n0,ifname=" OTHER_DEV
                        " -device e1000e,netdev=n0,id=old,romfile=,addr=5");
    axt_netdev_del(net.vm, "n0");
    axt_net_plug(&net, "ifname=" AXT_DEV);
    axt_some_traffic(&net);

    axt_ip("link set dev " OTHER_DEV " down");
    wait_info(net.vm, "interface down", true);
    g_assert_true(axt_nic_link_up(net.nic));
    axt_some_traffic(&net);

    /* And an interface that comes up does not raise its link either. */
    set_link(&net, false);
    axt_ip("link set dev " OTHER_DEV " up");
    wait_info(net.vm, "interface down", false);
    g_assert_false(axt_nic_link_up(net.nic));
    set_link(&net, true);

    axt_ip("link del " OTHER_DEV);
    wait_info(net.vm, "interface gone", true);
    g_assert_true(axt_nic_link_up(net.nic));
    axt_some_traffic(&net);
    axt_net_stop(&net);
}

static int compare_numbers(gconstpointer a, gconstpointer b)
{
    return *(const int *)a - *(const int *)b;
}

/* The file descriptors that QEMU has, in ascending order. */
static GArray *descriptors(AxtVm *vm)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/fd",
                                            (int)qtest_pid(vm->qts));
    GArray *fds = g_array_new(false, false, sizeof(int));
    GDir *dir = g_dir_open(path, 0, NULL);
    const char *name;

    g_assert_nonnull(dir);
    while ((name = g_dir_read_name(dir))) {
        int fd = atoi(name);

        g_array_append_val(fds, fd);
    }
    g_dir_close(dir);
    g_array_sort(fds, compare_numbers);
    return fds;
}

/* What they are, one line each. */
static char *describe(AxtVm *vm)
{
    g_autoptr(GArray) fds = descriptors(vm);
    GString *str = g_string_new(NULL);
    unsigned i;

    for (i = 0; i < fds->len; i++) {
        int fd = g_array_index(fds, int, i);
        g_autofree char *path = g_strdup_printf("/proc/%d/fd/%d",
                                                (int)qtest_pid(vm->qts), fd);
        g_autofree char *target = g_file_read_link(path, NULL);

        g_string_append_printf(str, "%d %s\n", fd, target);
    }
    return g_string_free(str, false);
}

/*
 * Numbers in sock-fds are typed by hand. None of QEMU's own descriptors is
 * closed because somebody mistook it for a socket of his: neither the monitor,
 * nor the program's link, nor the socket of another netdev.
 */
static void test_sock_fds(void)
{
    int xsk = axt_foreign_xsk();
    g_autoptr(GArray) fds = NULL;
    g_autofree char *before = NULL;
    unsigned i, sockets = 0;
    uint32_t id;
    AxtNet net;

    axt_net_start(&net, AXT_VIRTIO, 1, 1500, "%s", "");
    close(xsk);                 /* QEMU has a copy, not bound to anything */
    id = axt_prog_id(net.wire->ifindex);
    g_assert_cmpuint(id, !=, 0);
    fds = descriptors(net.vm);
    before = describe(net.vm);

    for (i = 0; i < fds->len; i++) {
        int fd = g_array_index(fds, int, i);
        g_autofree char *options = g_strdup_printf("ifname=" AXT_DEV ",inhibit="
                                                   "on,sock-fds=%d", fd);
        g_autofree char *error = axt_netdev_add(net.vm, "n1", options);
        g_autofree char *after = describe(net.vm);

        g_assert_nonnull(error);
        g_assert_cmpstr(after, ==, before);
        g_assert_cmpuint(axt_prog_id(net.wire->ifindex), ==, id);
        /* The two of them get further than the others. */
        sockets += strstr(error, "busy") != NULL;
    }
    g_assert_cmpuint(sockets, ==, 2);
    axt_some_traffic(&net);
    axt_net_stop(&net);
}

/* QEMU is killed: the kernel detaches the program. */
static void test_sigkill(void)
{
    g_autofree char *netdev = g_strconcat("af-xdp,id=n0,queues=2,ifname="
                                          AXT_DEV, axt_path(), NULL);
    char *argv[] = {
        (char *)getenv("QTEST_QEMU_BINARY"), (char *)"-machine",
        (char *)"none,accel=qtest", (char *)"-nodefaults",
        (char *)"-display", (char *)"none", (char *)"-netdev", netdev, NULL,
    };
    AxtWire *wire = axt_wire_new(2, 1500);
    gint64 end = g_get_monotonic_time() + AXT_TIMEOUT_US;
    GPid pid;

    g_assert_true(g_spawn_async(NULL, argv, NULL,
                                G_SPAWN_DO_NOT_REAP_CHILD, NULL, NULL, &pid,
                                NULL));
    while (!axt_prog_id(wire->ifindex)) {
        g_assert_cmpint(g_get_monotonic_time(), <, end);
        g_usleep(1000);
    }
    kill(pid, SIGKILL);
    g_assert_cmpint(waitpid(pid, NULL, 0), ==, pid);
    while (axt_prog_id(wire->ifindex)) {
        g_assert_cmpint(g_get_monotonic_time(), <, end);
        g_usleep(1000);
    }
    axt_wire_free(wire);
}

void axt_add_hostile_tests(void)
{
    axt_add("life/sigkill", test_sigkill);
    axt_add("hostile/grow", test_grow);
    axt_add("hostile/toggle-mq", test_toggle);
    axt_add_data("hostile/eject-tx", GINT_TO_POINTER(AXT_VIRTIO), test_eject);
    qtest_add_data_func("af-xdp/hostile/e1000e-eject",
                        GINT_TO_POINTER(AXT_E1000E), test_eject);
    axt_add("hostile/stopped-write", test_stopped);
    axt_add("hostile/wrong-link", test_wrong_link);
    axt_add("hostile/sock-fds", test_sock_fds);
}
