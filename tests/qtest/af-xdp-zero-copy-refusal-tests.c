/*
 * af-xdp qtest: guest zero-copy: what cannot be, what is done instead, and what
 * others may not do meanwhile
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/bswap.h"
#include <net/if.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <linux/capability.h>
#include "libqos/virtio.h"
#include "libqos/virtio-pci.h"
#include "qobject/qdict.h"
#include "standard-headers/linux/virtio_balloon.h"
#include "af-xdp-zero-copy.h"

/* Enough for a queue's own frames, not for guest RAM. */
#define MEMLOCK (64 * MiB)

/* A machine that can be given more memory. */
#define DIMM_ARGS "-m 256M,slots=2,maxmem=2G"

#define NIC " -device virtio-net-pci,netdev=n0,romfile="
#define SHARED "-machine pc,memory-backend=r0 -m 128 " \
               "-object memory-backend-memfd,id=r0,size=128M,share=on"

#define MAX_WORDS 4

static void child_memlock(gpointer unused)
{
    struct rlimit low = { MEMLOCK, MEMLOCK };

    if (setrlimit(RLIMIT_MEMLOCK, &low) ||
        prctl(PR_CAPBSET_DROP, CAP_IPC_LOCK, 0, 0, 0) ||
        prctl(PR_CAPBSET_DROP, CAP_SYS_RESOURCE, 0, 0, 0)) {
        _exit(99);
    }
}

/* --- zero-copy=on --- */

static const struct {
    const char *machine;
    const char *netdev;
    const char *nic;
    const char *words[MAX_WORDS];
} refusals[] = {
    { "-machine pc -m 128", "", NIC,
      { "zero-copy=on", "private", "memory-backend-memfd", "share=on" } },
    { "-machine pc,memory-backend=r0 -m 128 "
      "-object memory-backend-memfd,id=r0,size=128M,share=off", "", NIC,
      { "zero-copy=on", "'r0' is private", "share=on" } },
    { "-machine pc -m 128 "
      "-object memory-backend-memfd,id=r0,size=64M,share=on "
      "-object memory-backend-ram,id=r1,size=64M "
      "-numa node,memdev=r0 -numa node,memdev=r1", "", NIC,
      { "zero-copy=on", "'r1' is private", "share=on" } },
    { SHARED, ",inhibit=on,sock-fds=3", NIC,
      { "zero-copy=on", "sock-fds", "map-path" } },
    { SHARED, ",vhost=off", NIC, { "zero-copy=on", "vhost=off" } },
    { SHARED, "", " -device e1000e,netdev=n0,romfile=",
      { "zero-copy=on", "virtio-net" } },
    { SHARED, ",zero-copy-limit=1M", NIC,
      { "zero-copy=on", "4 MiB of kernel memory", "zero-copy-limit=1M" } },
    { SHARED, ",zero-copy-limit=0", NIC, { "zero-copy-limit=0" } },
    { SHARED, ",zero-copy-limit=-5", NIC, { "zero-copy-limit" } },
    { SHARED, ",zero-copy-limit=much", NIC, { "zero-copy-limit" } },
    { SHARED " -object memory-backend-memfd,id=r1,size=128M,share=on "
      "-m 128,maxmem=1G -device virtio-mem-pci,memdev=r1", "", NIC,
      { "zero-copy=on", "discard", "virtio-mem" } },
};

static void test_refused(void)
{
    AxtWire *wire = axt_wire_new(1, 1500);
    unsigned i, k;

    for (i = 0; i < ARRAY_SIZE(refusals); i++) {
        g_autofree char *args =
            g_strdup_printf("%s -netdev af-xdp,id=n0,ifname=" AXT_DEV
                            ",zero-copy=on%s%s", refusals[i].machine,
                            refusals[i].netdev, refusals[i].nic);
        g_autofree char *output = axt_qemu_fails(args, NULL);

        for (k = 0; k < MAX_WORDS && refusals[i].words[k]; k++) {
            if (!strstr(output, refusals[i].words[k])) {
                g_error("%s: no \"%s\" in: %s", args, refusals[i].words[k],
                        output);
            }
        }
        g_assert_cmpuint(axt_prog_id(wire->ifindex), ==, 0);
    }
    axt_wire_free(wire);
}

/* May the limit be what the tests need? */
static bool can_limit(void)
{
    pid_t pid = fork();
    int status;

    if (pid == 0) {
        child_memlock(NULL);
        _exit(0);
    }
    g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void test_refused_memlock(void)
{
    AxtWire *wire = axt_wire_new(1, 1500);
    g_autofree char *output = NULL;

    if (can_limit()) {
        output = axt_qemu_fails(SHARED " -netdev af-xdp,id=n0,ifname=" AXT_DEV
                                ",zero-copy=on" NIC, child_memlock);
        g_assert_nonnull(strstr(output, "zero-copy=on"));
        g_assert_nonnull(strstr(output, "locked memory"));
        g_assert_nonnull(strstr(output, "ulimit -l"));
    } else {
        g_test_skip("the limit of locked memory cannot be 64 MiB here");
    }
    axt_wire_free(wire);
}

/* The same while QEMU runs, and the next, correct one works. */
static void test_refused_later(void)
{
    const AxtZcConfig config = {
        .ram = { .backends = 2, .last_private = true },
    };
    g_autofree char *error = NULL;
    QDict *response;
    unsigned i;
    AxtZc z;

    axt_zc_start_vm(&z, &config);
    error = axt_netdev_add(z.net.vm, "n0", "ifname=" AXT_DEV ",zero-copy=on");
    g_assert_cmpstr(error, ==, NULL);
    for (i = 0; i < 3; i++) {
        response = qtest_qmp(z.net.vm->qts, "{'execute': 'device_add',"
                             " 'arguments': {'driver': 'virtio-net-pci',"
                             " 'id': 'nic', 'netdev': 'n0', 'addr': '4',"
                             " 'romfile': ''}}");
        g_assert_nonnull(strstr(qdict_get_str(qdict_get_qdict(response,
                                                              "error"),
                                              "desc"), "private"));
        qobject_unref(response);
    }
    axt_netdev_del(z.net.vm, "n0");
    g_assert_cmpuint(axt_prog_id(z.net.wire->ifindex), ==, 0);
    axt_zc_plug(&z, ",zero-copy=off");
    axt_some_traffic(&z.net);
    axt_zc_unplug(&z);
    axt_zc_stop(&z);
}

/* --- zero-copy=auto --- */

/* It copies, and says why, once. */
static void falls_back(const AxtZcConfig *config, const char *why)
{
    unsigned i;
    AxtZc z;

    axt_zc_start(&z, config);
    for (i = 0; i < 3; i++) {
        axt_zc_assert_off(&z, why);
        axt_some_traffic(&z.net);
        g_assert_cmpuint(axt_counter(z.net.vm, "rx-direct"), ==, 0);
        g_assert_cmpuint(axt_counter(z.net.vm, "tx-direct"), ==, 0);
        axt_virtio_again(z.net.nic, NULL);
    }
    g_assert_cmpuint(axt_zc_lines(&z, "warning: "), ==, 1);
    g_assert_cmpuint(axt_zc_lines(&z, why), ==, 1);
    g_assert_cmpuint(axt_zc_lines(&z, "no guest zero-copy"), ==, 1);
    g_assert_cmpuint(axt_zc_mappings(&z), ==, MAX(config->ram.backends, 1) -
                                              config->ram.last_private);
    axt_count_buffers(&z.net);
    axt_zc_stop(&z);
}

static void test_auto_private(void)
{
    const AxtZcConfig config = {
        .ram = { .backends = 2, .last_private = true },
        .netdev = ",zero-copy=auto",
    };

    falls_back(&config, "guest RAM 'ram1' is private");
}

static void test_auto_limit(void)
{
    const AxtZcConfig config = { .netdev = ",zero-copy-limit=1M" };

    falls_back(&config, "zero-copy-limit=1M");
}

/* setpriv(1) and prlimit(1) do what child_memlock() does. */
static void test_auto_memlock(void)
{
    const AxtZcConfig config = { .netdev = ",zero-copy=auto" };
    g_autofree char *qemu = g_strdup(getenv("QTEST_QEMU_BINARY"));
    g_autofree char *limited =
        g_strdup_printf("prlimit --memlock=%" PRId64 " setpriv "
                        "--bounding-set=-ipc_lock,-sys_resource %s", MEMLOCK,
                        qemu);
    g_autofree char *setpriv = g_find_program_in_path("setpriv");
    g_autofree char *prlimit = g_find_program_in_path("prlimit");

    if (!setpriv || !prlimit || !can_limit()) {
        g_test_skip("no setpriv(1), no prlimit(1) or no right to do that");
        return;
    }
    g_setenv("QTEST_QEMU_BINARY", limited, true);
    falls_back(&config, "locked memory");
    g_setenv("QTEST_QEMU_BINARY", qemu, true);
}

static void test_auto_virtio_mem(void)
{
    const AxtZcConfig config = {
        .machine = DIMM_ARGS " -object memory-backend-shm,id=more,size=128M "
                   "-device virtio-mem-pci,memdev=more,addr=7",
        .netdev = ",zero-copy=auto",
    };

    falls_back(&config, "discard guest RAM");
}

/* --- Others --- */

/* What is refused while the window exists, works before and after. */
static bool plug_virtio_mem(AxtZc *z)
{
    QDict *response, *error;
    bool ok;

    qtest_qmp_assert_success(z->net.vm->qts, "{'execute': 'object-add',"
                             " 'arguments': {'qom-type': 'memory-backend-ram',"
                             " 'id': 'more', 'size': 134217728}}");
    response = qtest_qmp(z->net.vm->qts, "{'execute': 'device_add',"
                         " 'arguments': {'driver': 'virtio-mem-pci',"
                         " 'id': 'mem', 'memdev': 'more', 'addr': '7'}}");
    error = qdict_get_qdict(response, "error");
    ok = !error;
    if (error) {
        g_test_message("virtio-mem: %s", qdict_get_str(error, "desc"));
        g_assert_nonnull(strstr(qdict_get_str(error, "desc"), "iscard"));
    }
    qobject_unref(response);
    if (!ok) {
        qtest_qmp_assert_success(z->net.vm->qts, "{'execute': 'object-del',"
                                 " 'arguments': {'id': 'more'}}");
    }
    return ok;
}

/* Everything that a netdev has is released with it. */
static void test_release(void)
{
    const AxtZcConfig config = { .machine = DIMM_ARGS };
    uint64_t sockets[AXT_ZC_SOCKETS];
    unsigned i, fds = 0;
    AxtZc z;

    axt_zc_start_vm(&z, &config);
    g_assert_cmpuint(axt_zc_mappings(&z), ==, 1);
    for (i = 0; i < 5; i++) {
        axt_zc_plug(&z, i & 1 ? "" : ",zero-copy=on");
        axt_zc_assert_on(&z);
        axt_some_traffic(&z.net);
        g_assert_cmpuint(axt_zc_mappings(&z), ==, 2);
        g_assert_cmpuint(axt_zc_sockets(&z, sockets), ==, 2);
        g_assert_false(plug_virtio_mem(&z));
        axt_some_traffic(&z.net);
        axt_zc_unplug(&z);
        g_assert_cmpuint(axt_zc_mappings(&z), ==, 1);
        g_assert_cmpuint(axt_zc_sockets(&z, sockets), ==, 0);
        if (i == 1) {
            fds = axt_vm_fds(z.net.vm);
        }
    }
    g_assert_cmpuint(axt_vm_fds(z.net.vm), ==, fds);
    g_assert_true(plug_virtio_mem(&z));
    axt_zc_stop(&z);
}

#define BALLOON_SLOT 5

/* Let the balloon have the page at @gpa. */
static void inflate(AxtZc *z, uint64_t gpa)
{
    AxtVm *vm = z->net.vm;
    QPCIAddress addr = { .devfn = QPCI_DEVFN(BALLOON_SLOT, 0) };
    QVirtioPCIDevice *dev = virtio_pci_new(vm->bus, &addr);
    uint64_t pfn = guest_alloc(&vm->alloc, 4096);
    QVirtioDevice *vdev = &dev->vdev;
    QVirtQueue *vq;
    uint32_t head;

    qvirtio_pci_device_enable(dev);
    qvirtio_start_device(vdev);
    qvirtio_set_features(vdev, qvirtio_get_features(vdev) &
                               (1ull << VIRTIO_F_VERSION_1));
    vq = qvirtqueue_setup(vdev, &vm->alloc, 0);
    qvirtio_set_driver_ok(vdev);
    stl_le_p(axt_ram(vm, pfn), gpa >> VIRTIO_BALLOON_PFN_SHIFT);
    head = qvirtqueue_add(vm->qts, vq, pfn, 4, false, false);
    qvirtqueue_kick(vm->qts, vdev, vq, head);
    qvirtio_wait_used_elem(vm->qts, vdev, vq, head, NULL, AXT_TIMEOUT_US);
    qvirtio_reset(vdev);
    qvirtqueue_cleanup(vdev->bus, vq, &vm->alloc);
    guest_free(&vm->alloc, pfn);
    qvirtio_pci_device_disable(dev);
    g_free(dev->pdev);
    g_free(dev);
}

/* A page that the kernel may write to does not go to the host. */
static void test_balloon(void)
{
    const AxtZcConfig config = {
        .machine = "-device virtio-balloon-pci,addr=5",
    };
    const uint64_t gpa = AXT_RAM_SIZE - 64 * KiB;
    uint32_t *page;
    AxtZc z;

    axt_zc_start_vm(&z, &config);
    page = axt_ram(z.net.vm, gpa);
    axt_zc_plug(&z, ",zero-copy=on");
    *page = 0x600d;
    inflate(&z, gpa);
    g_assert_cmphex(*page, ==, 0x600d);
    axt_some_traffic(&z.net);
    axt_zc_unplug(&z);
    inflate(&z, gpa);
    g_assert_cmphex(*page, ==, 0);
    axt_zc_stop(&z);
}

/* --- Memory comes and goes --- */

static void traffic_until_moved(AxtZc *z, uint64_t gpa)
{
    AxtVirtio *v = axt_virtio(z->net.nic);
    gint64 end = g_get_monotonic_time() + AXT_TIMEOUT_US;
    const unsigned n = v->rx[0].n_slots + v->tx[0].n_slots;

    axt_virtio_move(z->net.nic, gpa);
    while (axt_virtio_outside(&v->rx[0]) + axt_virtio_outside(&v->tx[0]) < n) {
        axt_to_wire(&z->net, 0, 64, axt_len_sweep);
        axt_to_guest(&z->net, 64, 48, axt_len_sweep);
        g_assert_cmpint(g_get_monotonic_time(), <, end);
    }
}

/* What becomes of 200 packets each way when all buffers are at @gpa. */
static AxtZcCounts count_at(AxtZc *z, uint64_t gpa)
{
    AxtZcCounts before;

    traffic_until_moved(z, gpa);
    axt_to_guest(&z->net, 1200, 48, axt_len_small);
    axt_zc_counts(z, &before);
    axt_to_guest(&z->net, 200, 48, axt_len_sweep);
    axt_to_wire(&z->net, 0, 200, axt_len_sweep);
    return axt_zc_count(z, &before);
}

static void test_dimm(void)
{
    const AxtZcConfig config = {
        .machine = DIMM_ARGS,
        .virtio = { .tx_slots = 64, .rx_size = 256 },
    };
    AxtZcCounts c;
    unsigned round, i;
    AxtZc z;

    axt_zc_start(&z, &config);
    for (round = 0; round < 3; round++) {
        axt_some_traffic(&z.net);
        axt_dimm_plug(z.net.vm);

        /* Not in the window: by frames, and no frame is lost. */
        c = count_at(&z, z.net.vm->dimm_gpa);
        g_assert_cmpuint(c.outside, ==, 200);
        g_assert_cmpuint(c.tx_outside, ==, 200);
        axt_zc_assert_on(&z);

        /* In the next one it is. */
        axt_virtio_again(z.net.nic, NULL);
        c = count_at(&z, z.net.vm->dimm_gpa);
        g_assert_cmpuint(c.rx_direct, ==, 200);
        g_assert_cmpuint(c.tx_direct, ==, 200);

        /* Away while its buffers are posted, in a blast. */
        {
            AxtBlast *b = axt_blast_start(z.net.wire, 1, AXT_LEN_MAX);

            axt_dimm_unplug(z.net.vm);
            for (i = 0; i < 20; i++) {
                g_usleep(2000);
                g_free(qtest_hmp(z.net.vm->qts, "info network"));
            }
            axt_blast_stop(b);
        }
        axt_virtio_move(z.net.nic, 0);
        axt_virtio_again(z.net.nic, NULL);
        while (axt_nic_recv(z.net.nic, 0, (uint8_t[AXT_RX_BUF]) { 0 },
                            AXT_RX_BUF, 50) >= 0) {
            /* What waited in the socket. */
        }
        axt_zc_assert_on(&z);
        axt_some_traffic(&z.net);
        axt_count_buffers(&z.net);
    }
    g_assert_cmpuint(axt_zc_mappings(&z), ==, 2);
    axt_zc_stop(&z);
}

/* --- Two netdevs --- */

#define OTHER_DEV "axt-other"

/* Both have a window on the same RAM; one goes, the other goes on. */
static void test_two(void)
{
    const AxtZcConfig config = { .machine = DIMM_ARGS };
    g_autofree char *error = NULL;
    uint64_t sockets[AXT_ZC_SOCKETS];
    AxtNic *other;
    unsigned i;
    AxtZc z;

    axt_ip("link add " OTHER_DEV " numrxqueues 1 numtxqueues 1 "
           "type veth peer name axt-other2 numrxqueues 1 numtxqueues 1");
    axt_ip("link set dev " OTHER_DEV " up");
    axt_ip("link set dev axt-other2 up");
    axt_zc_start_vm(&z, &config);
    error = axt_netdev_add(z.net.vm, "n1", "ifname=" OTHER_DEV
                           ",zero-copy=on");
    g_assert_cmpstr(error, ==, NULL);
    qtest_qmp_device_add(z.net.vm->qts, "virtio-net-pci", "other",
                         "{'netdev': 'n1', 'addr': '3', 'romfile': ''}");
    other = axt_virtio_new(z.net.vm, 1);
    for (i = 0; i < 3; i++) {
        axt_zc_plug(&z, ",zero-copy=on");
        g_assert_cmpuint(axt_zc_mappings(&z), ==, 3);
        g_assert_cmpuint(axt_zc_sockets(&z, sockets), ==, 4);
        axt_some_traffic(&z.net);
        axt_zc_unplug(&z);
        g_assert_cmpuint(axt_zc_mappings(&z), ==, 2);
        g_assert_false(plug_virtio_mem(&z));
    }
    axt_zc_plug(&z, ",zero-copy=on");
    axt_unplug_slot(z.net.vm, "other", 3);
    axt_nic_free(other);
    axt_netdev_del(z.net.vm, "n1");
    g_assert_cmpuint(axt_zc_mappings(&z), ==, 2);
    g_assert_false(plug_virtio_mem(&z));
    axt_some_traffic(&z.net);
    axt_zc_unplug(&z);
    g_assert_true(plug_virtio_mem(&z));
    axt_ip("link del " OTHER_DEV);
    axt_zc_stop(&z);
}

void axt_add_zero_copy_refusal_tests(void)
{
    axt_add_zero_copy("refuse/on", test_refused);
    axt_add_zero_copy("refuse/on-memlock", test_refused_memlock);
    axt_add_zero_copy("refuse/on-later", test_refused_later);
    axt_add_zero_copy("auto/private", test_auto_private);
    axt_add_zero_copy("auto/limit", test_auto_limit);
    axt_add_zero_copy("auto/memlock", test_auto_memlock);
    axt_add_zero_copy("auto/virtio-mem", test_auto_virtio_mem);
    axt_add_zero_copy("others/release", test_release);
    axt_add_zero_copy("others/balloon", test_balloon);
    axt_add_zero_copy("others/dimm", test_dimm);
    axt_add_zero_copy("others/two", test_two);
}
