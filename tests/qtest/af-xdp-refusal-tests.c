/*
 * af-xdp qtest: what must be refused, with which words
 *
 * Each refusal must leave nothing behind: no program on the device, no file
 * descriptor in QEMU, and the next, correct attempt must succeed.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <net/if.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include "qobject/qdict.h"
#include "qobject/qjson.h"
#include "af-xdp-foreign.h"
#include "af-xdp-net.h"

#define QUEUES 2
#define GOOD "ifname=" AXT_DEV ",queues=2"
#define MAP_PATH AXT_BPFFS "/axt-map"
#define ARRAY_PATH AXT_BPFFS "/axt-array"
#define PROG_PATH AXT_BPFFS "/axt-prog"
#define RAM_ID "ram"
#define MAX_WORDS 4

typedef struct Refusal {
    const char *options;
    const char *words[MAX_WORDS];       /* the message has all of them */
} Refusal;

typedef struct Setup {
    AxtWire *wire;
    AxtVm *vm;
    unsigned fds;
} Setup;

static void assert_words(const char *what, const char *message,
                         const char *const *words)
{
    unsigned i;

    for (i = 0; i < MAX_WORDS && words[i]; i++) {
        if (!strstr(message, words[i])) {
            g_error("%s: no \"%s\" in: %s", what, words[i], message);
        }
    }
}

/* A correct netdev must work now, and leave nothing. */
static void assert_good(Setup *s, const char *after)
{
    g_autofree char *error = axt_netdev_add(s->vm, "good", GOOD);

    if (error) {
        g_error("after \"%s\" a correct netdev is refused: %s", after, error);
    }
    g_assert_cmpuint(axt_prog_id(s->wire->ifindex), !=, 0);
    axt_netdev_del(s->vm, "good");
    g_assert_cmpuint(axt_prog_id(s->wire->ifindex), ==, 0);
}

static void setup(Setup *s)
{
    s->wire = axt_wire_new(QUEUES, 1500);
    s->vm = axt_vm_new("%s", "");
    /* Once before counting: libraries open things at first use. */
    assert_good(s, "start");
    s->fds = axt_vm_fds(s->vm);
}

static void teardown(Setup *s)
{
    axt_vm_free(s->vm);
    axt_wire_free(s->wire);
}

static void refuse(Setup *s, const Refusal *r)
{
    uint32_t prog = axt_prog_id(s->wire->ifindex);
    g_autofree char *error = axt_netdev_add(s->vm, "bad", r->options);

    if (!error) {
        g_error("%s: not refused", r->options);
    }
    assert_words(r->options, error, r->words);
    g_assert_cmpuint(axt_prog_id(s->wire->ifindex), ==, prog);
    if (axt_vm_fds(s->vm) != s->fds) {
        g_error("%s: %u open files, there were %u", r->options,
                axt_vm_fds(s->vm), s->fds);
    }
}

static void refuse_all(Setup *s, const Refusal *r, size_t n)
{
    for (; n--; r++) {
        refuse(s, r);
        assert_good(s, r->options);
        g_assert_cmpuint(axt_vm_fds(s->vm), ==, s->fds);
    }
}

static void test_options(void)
{
    static const Refusal refusals[] = {
        { "ifname=axt-none", { "axt-none", "No such device" } },
        { "ifname=", { "ifname" } },
        { "ifname=a-name-that-is-too-long", { "ifname", "too long" } },
        { "ifname=a/b", { "ifname" } },
        { "ifname=" AXT_DEV ",queues=0", { "queues=0", "range" } },
        { "ifname=" AXT_DEV ",queues=-1", { "queues=-1", "range" } },
        { "ifname=" AXT_DEV ",queues=100000000",
          { "queues=100000000", "range" } },
        { "ifname=" AXT_DEV ",queues=9223372036854775807",
          { "queues", "range" } },
        { "ifname=" AXT_DEV ",queues=3", { "queues=3", AXT_DEV, "2" } },
        { "ifname=" AXT_DEV ",queue-start=2",
          { "queue-start=2", AXT_DEV, "2" } },
        { "ifname=" AXT_DEV ",start-queue=7", { AXT_DEV, "7", "2" } },
        { "ifname=" AXT_DEV ",queue-start=-1", { "queue-start=-1", "range" } },
        { "ifname=" AXT_DEV ",queue-start=4294967296",
          { "queue-start=4294967296", "range" } },
        { "ifname=" AXT_DEV ",queue-start=1,queues=2", { AXT_DEV, "queue" } },
        { "ifname=" AXT_DEV ",queue-start=0,start-queue=0",
          { "queue-start", "start-queue" } },
        { "ifname=" AXT_DEV ",inhibit=on",
          { "inhibit", "sock-fds", "map-path" } },
        { "ifname=" AXT_DEV ",map-path=" MAP_PATH, { "inhibit", "map-path" } },
        { "ifname=" AXT_DEV ",sock-fds=3", { "inhibit", "sock-fds" } },
        { "ifname=" AXT_DEV ",inhibit=on,sock-fds=3,map-path=" MAP_PATH,
          { "sock-fds", "map-path" } },
        { "ifname=" AXT_DEV ",map-start-index=1",
          { "map-start-index", "map-path" } },
        { "ifname=" AXT_DEV ",inhibit=on,mac-filter=on,map-path=" MAP_PATH,
          { "mac-filter", "inhibit" } },
        { GOOD ",vhost=maybe", { "maybe" } },
        { GOOD ",iothread=nobody", { "iothread=nobody", "no object" } },
        /* RAM_ID is the memory of the machine. */
        { GOOD ",iothread=" RAM_ID,
          { "iothread=" RAM_ID, "memory-backend-file", "not an iothread" } },
        { GOOD ",iothread=", { "iothread=", "entry 1", "empty" } },
        { GOOD ",iothread=a:", { "iothread=a:", "entry 2", "empty" } },
        { GOOD ",iothread=a:b:c",
          { "iothread=a:b:c", "3 threads", "2 queues" } },
        { GOOD ",iothread=a,vhost=off", { "iothread", "vhost=off" } },
        { GOOD ",iothread=a,poll-max-ns=5",
          { "poll-max-ns", "iothread", "-object iothread" } },
        { GOOD ",iothread=a,poll-grow=5", { "poll-grow", "iothread" } },
        { GOOD ",iothread=a,poll-shrink=5", { "poll-shrink", "iothread" } },
        { GOOD ",vhost=off,poll-max-ns=5", { "poll-max-ns", "vhost=off" } },
        { GOOD ",poll-max-ns=-1", { "poll-max-ns=-1", "range" } },
        { GOOD ",poll-grow=-7", { "poll-grow=-7", "range" } },
        { GOOD ",poll-shrink=-1", { "poll-shrink=-1", "range" } },
    };
    Setup s;

    setup(&s);
    refuse_all(&s, refusals, ARRAY_SIZE(refusals));
    teardown(&s);
}

static void test_map_path(void)
{
    static const Refusal refusals[] = {
        { GOOD ",inhibit=on,map-path=" AXT_BPFFS "/none",
          { AXT_BPFFS "/none", "No such file" } },
        { GOOD ",inhibit=on,map-path=/proc/version", { "/proc/version" } },
        { GOOD ",inhibit=on,map-path=", { "map-path" } },
        { GOOD ",inhibit=on,map-path=" PROG_PATH, { PROG_PATH, "not a map" } },
        { GOOD ",inhibit=on,map-path=" ARRAY_PATH, { ARRAY_PATH, "XSKMAP" } },
        { GOOD ",inhibit=on,map-path=" MAP_PATH ",map-start-index=3",
          { MAP_PATH, "small", "4", "3" } },
        { GOOD ",inhibit=on,map-path=" MAP_PATH ",map-start-index=-1",
          { "map-start-index=-1", "range" } },
        { GOOD ",inhibit=on,map-path=" MAP_PATH ",map-start-index=4294967295",
          { "map-start-index=4294967295" } },
    };
    int map = axt_foreign_map(BPF_MAP_TYPE_XSKMAP, 4);
    int array = axt_foreign_map(BPF_MAP_TYPE_ARRAY, 4);
    int prog = axt_foreign_pass();
    Setup s;

    axt_foreign_pin(map, MAP_PATH);
    axt_foreign_pin(array, ARRAY_PATH);
    axt_foreign_pin(prog, PROG_PATH);
    setup(&s);
    refuse_all(&s, refusals, ARRAY_SIZE(refusals));
    teardown(&s);
    unlink(MAP_PATH);
    unlink(ARRAY_PATH);
    unlink(PROG_PATH);
    close(map);
    close(array);
    close(prog);
}

static void give_fd(Setup *s, const char *name, int fd)
{
    qtest_qmp_fds_assert_success(s->vm->qts, &fd, 1, "{'execute': 'getfd',"
                                 " 'arguments': {'fdname': %s}}", name);
    s->fds++;
}

/*
 * Give @n descriptors s0, s1..., expect a refusal that uses or leaves them.
 * They are fresh AF_XDP sockets, the last is @last if that is not -1. They
 * are QEMU's alone: a socket that it has bound lives as long as anybody
 * has it open.
 */
static void refuse_fds(Setup *s, const Refusal *r, unsigned n, int last)
{
    g_autofree char *error = NULL;
    unsigned before = s->fds;
    unsigned i;

    for (i = 0; i < n; i++) {
        g_autofree char *name = g_strdup_printf("s%u", i);
        int fd = last >= 0 && i + 1 == n ? last : axt_foreign_xsk();

        give_fd(s, name, fd);
        close(fd);
    }
    error = axt_netdev_add(s->vm, "bad", r->options);
    if (!error) {
        g_error("%s: not refused", r->options);
    }
    assert_words(r->options, error, r->words);

    /* Names that the netdev did not take are the monitor's still. */
    for (i = 0; i < n; i++) {
        g_autofree char *name = g_strdup_printf("s%u", i);

        qobject_unref(qtest_qmp(s->vm->qts, "{'execute': 'closefd',"
                                " 'arguments': {'fdname': %s}}", name));
    }
    s->fds = before;
    g_assert_cmpuint(axt_vm_fds(s->vm), ==, s->fds);
    assert_good(s, r->options);
}

static void test_sock_fds(void)
{
    static const Refusal too_few = {
        GOOD ",inhibit=on,sock-fds=s0", { "sock-fds", "(1)", "queues (2)" },
    };
    static const Refusal too_many = {
        GOOD ",inhibit=on,sock-fds=s0:s1:s2",
        { "sock-fds", "(3)", "queues (2)" },
    };
    static const Refusal empty = {
        GOOD ",inhibit=on,sock-fds=s0:", { "sock-fds", "empty" },
    };
    static const Refusal twice = {
        GOOD ",inhibit=on,sock-fds=s0:s0", { "sock-fds", "same" },
    };
    static const Refusal unknown = {
        GOOD ",inhibit=on,sock-fds=s0:nobody", { "nobody" },
    };
    static const Refusal closed = {
        GOOD ",inhibit=on,sock-fds=s0:987", { "987", "Bad file descriptor" },
    };
    static const Refusal wrong = {
        GOOD ",inhibit=on,sock-fds=s0:s1", { "sock-fds", AXT_DEV, "queue 1" },
    };
    Setup s;

    setup(&s);
    refuse_fds(&s, &too_few, 1, -1);
    refuse_fds(&s, &too_many, 3, -1);
    refuse_fds(&s, &empty, 1, -1);
    refuse_fds(&s, &twice, 1, -1);
    refuse_fds(&s, &unknown, 1, -1);
    refuse_fds(&s, &closed, 1, -1);
    refuse_fds(&s, &wrong, 2, socket(AF_INET, SOCK_DGRAM, 0));
    refuse_fds(&s, &wrong, 2, open("/dev/null", O_RDWR));
    refuse_fds(&s, &wrong, 2, axt_foreign_map(BPF_MAP_TYPE_XSKMAP, 4));
    teardown(&s);
}

/* Queues and devices that others use. */
static void test_taken(void)
{
    static const Refusal same_queue = {
        "ifname=" AXT_DEV, { AXT_DEV, "already" },
    };
    static const Refusal same_bind = {
        "ifname=" AXT_DEV ",inhibit=on,map-path=" MAP_PATH,
        { AXT_DEV, "queue 0", "busy" },
    };
    static const Refusal same_index = {
        "ifname=" AXT_DEV ",inhibit=on,queue-start=1,map-path=" MAP_PATH,
        { MAP_PATH, "index 0" },
    };
    int map = axt_foreign_map(BPF_MAP_TYPE_XSKMAP, 4);
    int prog = axt_foreign_redirect(map, 0);
    g_autofree char *error = NULL;
    g_autofree char *error2 = NULL;
    unsigned fds;
    Setup s;

    setup(&s);
    fds = s.fds;
    error = axt_netdev_add(s.vm, "n0", GOOD);
    g_assert_cmpstr(error, ==, NULL);
    s.fds = axt_vm_fds(s.vm);
    refuse(&s, &same_queue);
    axt_netdev_del(s.vm, "n0");
    s.fds = fds;
    assert_good(&s, "same queue");

    axt_foreign_pin(map, MAP_PATH);
    axt_foreign_attach(s.wire->ifindex, prog);
    error2 = axt_netdev_add(s.vm, "n0", same_bind.options);
    g_assert_cmpstr(error2, ==, NULL);
    s.fds = axt_vm_fds(s.vm);
    refuse(&s, &same_bind);
    refuse(&s, &same_index);
    axt_netdev_del(s.vm, "n0");
    axt_foreign_attach(s.wire->ifindex, -1);
    assert_good(&s, "same bind");
    g_assert_cmpuint(axt_vm_fds(s.vm), ==, fds);

    unlink(MAP_PATH);
    close(prog);
    close(map);
    teardown(&s);
}

static void test_foreign_program(void)
{
    int prog = axt_foreign_pass();
    g_autofree char *id = NULL;
    Refusal r = { GOOD, { AXT_DEV, "XDP program" } };
    Refusal skb = { GOOD ",mode=skb", { AXT_DEV, "XDP program" } };
    Setup s;

    setup(&s);
    axt_foreign_attach(s.wire->ifindex, prog);
    id = g_strdup_printf("id %u", axt_prog_id(s.wire->ifindex));
    r.words[2] = id;
    skb.words[2] = id;
    refuse(&s, &r);
    refuse(&s, &skb);
    axt_foreign_attach(s.wire->ifindex, -1);
    assert_good(&s, "foreign program");
    close(prog);
    teardown(&s);
}

static void test_interface_state(void)
{
    static const Refusal down = { GOOD, { AXT_DEV, "down" } };
    static const Refusal away = { "ifname=axt-away",
                                  { "axt-away", "namespace" } };
    int ready[2];
    pid_t pid;
    char c;
    Setup s;

    setup(&s);
    axt_ip("link set dev " AXT_DEV " down");
    refuse(&s, &down);
    axt_ip("link set dev " AXT_DEV " up");
    assert_good(&s, "down");

    g_assert_cmpint(pipe2(ready, O_CLOEXEC), ==, 0);
    pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
        if (unshare(CLONE_NEWNET) || write(ready[1], "x", 1) != 1) {
            _exit(1);
        }
        for (;;) {
            pause();
        }
    }
    g_assert_cmpint(read(ready[0], &c, 1), ==, 1);
    close(ready[0]);
    close(ready[1]);
    axt_ip("link add axt-away type veth peer name axt-away2");
    axt_ip("link set dev axt-away netns %d", (int)pid);
    refuse(&s, &away);
    assert_good(&s, "away");
    axt_ip("link del axt-away2");
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    teardown(&s);
}

static void drop_cap(int cap)
{
    /* For root the bounding set decides what exec leaves. */
    if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0)) {
        _exit(99);
    }
}

static void child_no_net_raw(gpointer unused)
{
    drop_cap(CAP_NET_RAW);
}

static void child_no_admin(gpointer unused)
{
    drop_cap(CAP_NET_ADMIN);
    drop_cap(CAP_SYS_ADMIN);
    drop_cap(39 /* CAP_BPF, Linux 5.8 */);
}

static void child_memlock(gpointer unused)
{
    struct rlimit low = { 64 * KiB, 64 * KiB };

    if (setrlimit(RLIMIT_MEMLOCK, &low)) {
        _exit(99);
    }
    /* Either would let QEMU go beyond the limit. */
    drop_cap(CAP_IPC_LOCK);
    drop_cap(CAP_SYS_RESOURCE);
}

/* Refused on the command line: with a hint, and nothing left. */
static void refuse_start(Setup *s, const char *options,
                         GSpawnChildSetupFunc child,
                         const char *const *words)
{
    g_autofree char *args = g_strdup_printf("-netdev af-xdp,id=n0,%s",
                                            options);
    g_autofree char *output = axt_qemu_fails(args, child);

    assert_words(options, output, words);
    g_assert_cmpuint(axt_prog_id(s->wire->ifindex), ==, 0);
    assert_good(s, options);
}

#define WORDS(...) ((const char *const[MAX_WORDS]) { __VA_ARGS__ })

static void test_command_line(void)
{
    Setup s;

    setup(&s);
    refuse_start(&s, "ifname=axt-none", NULL,
                 WORDS("axt-none", "No such device", "ip -br link"));
    refuse_start(&s, GOOD ",queue-start=1", NULL,
                 WORDS(AXT_DEV, "queue", "numrxqueues"));
    refuse_start(&s, GOOD ",inhibit=on,sock-fds=987:988", NULL,
                 WORDS("987", "Bad file descriptor", "sock-fds="));
    refuse_start(&s, GOOD ",inhibit=on,map-path=" AXT_BPFFS "/none", NULL,
                 WORDS(AXT_BPFFS "/none", "No such file", "bpftool"));
    refuse_start(&s, GOOD ",mode=fast", NULL, WORDS("mode", "fast"));
    refuse_start(&s, GOOD ",iothread=nobody", NULL,
                 WORDS("iothread=nobody", "-object iothread,id=nobody"));
    refuse_start(&s, GOOD ",iothread=a:b:c", NULL,
                 WORDS("3 threads", "2 queues", "Fewer are allowed"));
    refuse_start(&s, "queues=1", NULL, WORDS("ifname"));

    axt_ip("link set dev " AXT_DEV " down");
    {
        g_autofree char *output =
            axt_qemu_fails("-netdev af-xdp,id=n0," GOOD, NULL);

        assert_words("down", output,
                     WORDS(AXT_DEV, "down", "ip link set dev " AXT_DEV " up"));
    }
    axt_ip("link set dev " AXT_DEV " up");
    assert_good(&s, "down");
    teardown(&s);
}

/* What a hub cannot connect; in both orders of the options. */
static void test_hub(void)
{
    static const struct {
        const char *options;
        const char *words[MAX_WORDS];
    } refusals[] = {
        { GOOD, { "queues=2", "-netdev", "hub" } },
        { "ifname=" AXT_DEV ",mac-filter=on",
          { "mac-filter", "-netdev", "hub" } },
        { "ifname=" AXT_DEV ",vhost=on",
          { "vhost=on", "-netdev", "virtio-net" } },
    };
    Setup s;
    unsigned i;

    setup(&s);
    for (i = 0; i < ARRAY_SIZE(refusals); i++) {
        g_autofree char *last = g_strdup_printf("-net af-xdp,%s -net nic",
                                                refusals[i].options);
        g_autofree char *first = g_strdup_printf("-net nic -net af-xdp,%s",
                                                 refusals[i].options);
        g_autofree char *last_output = axt_qemu_fails(last, NULL);
        g_autofree char *first_output = axt_qemu_fails(first, NULL);

        assert_words(last, last_output, refusals[i].words);
        assert_words(first, first_output, refusals[i].words);
        g_assert_cmpuint(axt_prog_id(s.wire->ifindex), ==, 0);
        assert_good(&s, last);
    }
    teardown(&s);
}

/* device_add with an error. Returns its description. */
static char *refuse_nic(Setup *s, const char *driver, const char *more)
{
    g_autofree char *command =
        g_strdup_printf("{'execute': 'device_add', 'arguments': {'driver': "
                        "'%s', 'id': 'nic', 'netdev': 'n0', 'addr': '4', "
                        "'romfile': ''%s}}", driver, more);
    QDict *response = qtest_qmp(s->vm->qts, "%p", qobject_from_json(command,
                                                                    NULL));
    QDict *error = qdict_get_qdict(response, "error");
    char *desc;

    g_assert_nonnull(error);
    desc = g_strdup(qdict_get_str(error, "desc"));
    g_test_message("%s: %s", driver, desc);
    qobject_unref(response);
    return desc;
}

/* With vhost=on a NIC that cannot is refused, and the next one is not. */
static void test_vhost_nic(void)
{
    g_autofree char *other = NULL;
    g_autofree char *iommu = NULL;
    g_autofree char *error = NULL;
    AxtNet net;
    Setup s;

    setup(&s);
    error = axt_netdev_add(s.vm, "n0", GOOD ",vhost=on");
    g_assert_cmpstr(error, ==, NULL);
    other = refuse_nic(&s, "e1000e", "");
    assert_words("e1000e", other, WORDS("n0", "vhost=on", "virtio-net"));
    iommu = refuse_nic(&s, "virtio-net-pci", ", 'iommu_platform': true, "
                       "'disable-legacy': 'on'");
    assert_words("iommu_platform", iommu, WORDS("iommu_platform"));

    qtest_qmp_device_add(s.vm->qts, "virtio-net-pci", "nic",
                         "{'netdev': 'n0', 'addr': '4', 'romfile': ''}");
    net = (AxtNet) { s.wire, s.vm, axt_virtio_new(s.vm, 1) };
    axt_to_wire(&net, 0, 100, axt_len_sweep);
    axt_net_stop(&net);
}

/*
 * With the default they are taken: "info network" says why there is no vhost,
 * and a NIC that can have it after one that cannot has it.
 */
static void test_vhost_auto(void)
{
    g_autofree char *error = NULL;
    g_autofree char *before = NULL;
    g_autofree char *ready = NULL;
    g_autofree char *on = NULL;
    AxtNet net;
    Setup s;

    setup(&s);
    error = axt_netdev_add(s.vm, "n0", GOOD);
    g_assert_cmpstr(error, ==, NULL);
    qtest_qmp_device_add(s.vm->qts, "e1000e", "nic",
                         "{'netdev': 'n0', 'addr': '4', 'romfile': ''}");
    before = qtest_hmp(s.vm->qts, "info network");
    g_assert_nonnull(strstr(before,
                            "vhost=off (the NIC is e1000e, not virtio-net)"));
    axt_unplug(s.vm, "nic");

    qtest_qmp_device_add(s.vm->qts, "virtio-net-pci", "nic",
                         "{'netdev': 'n0', 'addr': '4', 'romfile': '',"
                         " 'iommu_platform': true, 'disable-legacy': 'on'}");
    ready = qtest_hmp(s.vm->qts, "info network");
    g_assert_nonnull(strstr(ready, "vhost=off (the NIC has iommu_platform=on"));
    axt_unplug(s.vm, "nic");

    qtest_qmp_device_add(s.vm->qts, "virtio-net-pci", "nic",
                         "{'netdev': 'n0', 'addr': '4', 'romfile': ''}");
    net = (AxtNet) { s.wire, s.vm, axt_virtio_new(s.vm, 1) };
    on = qtest_hmp(s.vm->qts, "info network");
    g_assert_nonnull(strstr(on, "vhost=on"));
    axt_to_wire(&net, 0, 100, axt_len_sweep);
    axt_net_stop(&net);
}

/* "ioeventfd=off" is about virtio-net itself; vhost has its eventfds. */
static void test_vhost_ioeventfd(void)
{
    g_autofree char *info = NULL;
    AxtNet net;

    net.wire = axt_wire_new(1, 1500);
    net.vm = axt_vm_new("-netdev af-xdp,id=n0,ifname=" AXT_DEV
                        " -device virtio-net-pci," AXT_NIC_ARGS
                        ",id=nic,ioeventfd=off");
    net.nic = axt_virtio_new(net.vm, 1);
    axt_some_traffic(&net);
    info = qtest_hmp(net.vm->qts, "info network");
    g_assert_nonnull(strstr(info, "vhost=on"));
    qtest_qmp_assert_success(net.vm->qts, "{'execute': 'stop'}");
    qtest_qmp_assert_success(net.vm->qts, "{'execute': 'cont'}");
    axt_some_traffic(&net);
    axt_net_stop(&net);
}

static void test_rights(void)
{
    Setup s;

    setup(&s);
    refuse_start(&s, GOOD, child_no_net_raw,
                 WORDS(AXT_DEV, "Operation not permitted", "CAP_NET_RAW"));
    refuse_start(&s, GOOD, child_no_admin,
                 WORDS(AXT_DEV, "Operation not permitted", "CAP_NET_ADMIN"));
    refuse_start(&s, GOOD, child_memlock,
                 WORDS(AXT_DEV, "UMEM", "locked memory", "ulimit -l"));
    teardown(&s);
}

void axt_add_refusal_tests(void)
{
    qtest_add_func("af-xdp/refuse/options", test_options);
    qtest_add_func("af-xdp/refuse/map-path", test_map_path);
    qtest_add_func("af-xdp/refuse/sock-fds", test_sock_fds);
    qtest_add_func("af-xdp/refuse/taken", test_taken);
    qtest_add_func("af-xdp/refuse/foreign-program", test_foreign_program);
    qtest_add_func("af-xdp/refuse/interface", test_interface_state);
    qtest_add_func("af-xdp/refuse/command-line", test_command_line);
    qtest_add_func("af-xdp/refuse/hub", test_hub);
    qtest_add_func("af-xdp/refuse/rights", test_rights);
    qtest_add_func("af-xdp/vhost/choice/refused-nic", test_vhost_nic);
    qtest_add_func("af-xdp/vhost/choice/auto", test_vhost_auto);
    qtest_add_func("af-xdp/vhost/choice/no-ioeventfd", test_vhost_ioeventfd);
}
