/*
 * af-xdp qtest: two guests on leased queues of one NIC, and its host
 *
 * Everything is there already: the NIC, nic0, in this network namespace, which
 * is the host's; the other end of its cable, wire0, in the namespace "wire";
 * netkit devices in "a" and "b". $AXT_GUEST_A and $AXT_GUEST_B are the guests'
 * netdevs as the host's tool has printed them, $AXT_MAC_A and $AXT_MAC_B the
 * addresses that the NIC steers to them. $AXT_TALK is a program by which host
 * and wire talk to each other; it fails if they do not understand each other.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <sched.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <bpf/bpf.h>
#include "af-xdp-foreign.h"
#include "af-xdp-link.h"
#include "af-xdp-zero-copy.h"

#ifndef AF_XDP
#define AF_XDP 44
#endif

#define NIC "nic0"
#define WIRE "wire0"

#define RAM_SIZE (96 * MiB)

/* What a NIC of which nothing is known may write, and the header */
#define RX_LEN (2048 + 12)

/* See af-xdp-device-zero-copy-tests.c */
#define SIZES .rx_size = 256, .tx_size = 64, .tx_slots = 16

/* Frames on their way to everybody, and from each guest */
#define WINDOW 16
#define TX_WINDOW 8

/* More than are posted to a queue before the guest's own buffers are. */
#define PRIME 1100
/* Frames of each kind: many, and enough to see that nobody lacks any. */
#define MANY 150
#define FEW 50

/* How long nothing more must come after the last frame */
#define QUIET_US 50000

/* Until a queue of a QEMU that was killed is the host's again */
#define RELEASE_TIMEOUT_US (10 * G_USEC_PER_SEC)

typedef enum Place {
    GUEST_A,
    GUEST_B,
    HOST,
    WIRE_END,
    NOWHERE,
    HOST_OR_LOST,               /* a queue changes hands */
} Place;

/* A frame says in its flow what kind it is, and counts within its kind. */
typedef enum Kind {
    TO_A,
    TO_B,
    TO_HOST,
    TO_ALL,
    TO_GROUP,
    TO_NOBODY,
    N_FROM_WIRE,
    FROM_A = N_FROM_WIRE,
    FROM_B,
    N_KINDS,
} Kind;

typedef struct Guest {
    AxtZc z;                    /* z.net.wire is NULL */
    const char *netns;
    char *netdev;
    char *mac;
    char *map;
    unsigned queue;             /* of the NIC */
    bool runs;
    uint32_t had;               /* frames for it, and of it, before it ran */
    uint32_t had_sent;
} Guest;

typedef struct Two {
    Guest guest[2];
    int host_ns;
    int host_fd;                /* sees what the host's stack gets */
    AxtWire wire;
    uint8_t mac[N_FROM_WIRE][6];
    Place place[N_KINDS];       /* where it must arrive */
    uint32_t sent[N_KINDS];
    uint32_t got[N_KINDS];
    Kind next;
    uint64_t filtered;          /* by the NIC, before the first frame */
} Two;

/* --- Beginning and end --- */

static void enter(const char *netns)
{
    g_autofree char *path = g_strdup_printf("/run/netns/%s", netns);
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint(setns(fd, CLONE_NEWNET), ==, 0);
    close(fd);
}

static void leave(const Two *t)
{
    g_assert_cmpint(setns(t->host_ns, CLONE_NEWNET), ==, 0);
}

/* The value of an option in "a=1,b=2"; to be freed */
static char *option(const char *options, const char *name)
{
    g_auto(GStrv) parts = g_strsplit(options, ",", -1);
    char **p;

    for (p = parts; *p; p++) {
        if (g_str_has_prefix(*p, name) && (*p)[strlen(name)] == '=') {
            return g_strdup(*p + strlen(name) + 1);
        }
    }
    g_error("no %s in \"%s\"", name, options);
}

static uint64_t nic_counter(const char *name)
{
    g_autofree char *text = NULL;
    g_autofree char *pattern = g_strdup_printf("\\b%s: ([0-9]+)", name);
    g_autoptr(GRegex) regex = g_regex_new(pattern, 0, 0, NULL);
    g_autoptr(GMatchInfo) match = NULL;
    g_autofree char *number = NULL;

    g_assert_true(g_spawn_command_line_sync("ethtool -S " NIC, &text, NULL,
                                            NULL, NULL));
    g_assert_true(g_regex_match(regex, text, 0, &match));
    number = g_match_info_fetch(match, 1);
    return g_ascii_strtoull(number, NULL, 10);
}

static void guest_start(Two *t, Guest *g)
{
    const AxtRam ram = { .size = RAM_SIZE, .hugetlb = true };
    const AxtVirtioConfig virtio = { SIZES, .rx_len = RX_LEN };
    g_autofree char *id = option(g->netdev, "id");
    g_autofree char *info = NULL;

    enter(g->netns);
    g->z.net.vm = axt_vm_new_ram(&ram, "-netdev %s -device virtio-net-pci,"
                                 "netdev=%s,mac=%s,romfile=,addr=%d,id=nic",
                                 g->netdev, id, g->mac, AXT_SLOT);
    leave(t);
    g->z.net.nic = axt_virtio_new_config(g->z.net.vm, 1, &virtio);
    g->runs = true;
    g->had = t->got[TO_A + (g - t->guest)];
    g->had_sent = t->sent[FROM_A + (g - t->guest)];
    axt_wait_link(&g->z.net, true);
    info = qtest_hmp(g->z.net.vm->qts, "info network");
    g_test_message("%s", info);
    g_assert_nonnull(strstr(info, ",mode=driver zero-copy"));
    g_assert_nonnull(strstr(info, "inhibited (map-path)"));
    axt_zc_assert_on(&g->z);
}

static void guest_stop(Guest *g)
{
    axt_nic_free(g->z.net.nic);
    axt_vm_free(g->z.net.vm);
    g->runs = false;
}

static void guest_kill(Guest *g)
{
    pid_t pid = qtest_pid(g->z.net.vm->qts);

    kill(pid, SIGKILL);
    g_assert_cmpint(waitpid(pid, NULL, 0), ==, pid);
    /* What is left of it here takes a killed QEMU for a crash. */
    qtest_remove_abrt_handler(g->z.net.vm->qts);
    munmap(g->z.net.vm->ram, g->z.net.vm->ram_size);
    g->runs = false;
}

static void parse_mac(const char *text, uint8_t *mac)
{
    g_assert_cmpint(sscanf(text, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", &mac[0],
                           &mac[1], &mac[2], &mac[3], &mac[4], &mac[5]), ==,
                    6);
}

static void init_guest(Two *t, unsigned i, const char *netns,
                       const char *netdev, const char *mac)
{
    Guest *g = &t->guest[i];
    g_autofree char *queue = NULL;

    g->netns = netns;
    g->netdev = g_strdup(getenv(netdev));
    g->mac = g_strdup(getenv(mac));
    g->map = option(g->netdev, "map-path");
    queue = option(g->netdev, "map-start-index");
    g->queue = atoi(queue);
    parse_mac(g->mac, t->mac[i]);
}

static void start(Two *t)
{
    static const uint8_t group[] = { 0x01, 0x00, 0x5e, 0x00, 0x00, 0xfb };
    static const uint8_t nobody[] = { 0x52, 0x54, 0x00, 0xaf, 0x0d, 0x77 };
    g_autofree char *host = NULL;

    *t = (Two) {
        .place = { GUEST_A, GUEST_B, HOST, HOST, HOST, NOWHERE, WIRE_END,
                   WIRE_END },
    };
    t->host_ns = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
    g_assert_cmpint(t->host_ns, >=, 0);
    init_guest(t, GUEST_A, "a", "AXT_GUEST_A", "AXT_MAC_A");
    init_guest(t, GUEST_B, "b", "AXT_GUEST_B", "AXT_MAC_B");
    g_assert_true(g_file_get_contents("/sys/class/net/" NIC "/address", &host,
                                      NULL, NULL));
    parse_mac(host, t->mac[TO_HOST]);
    memset(t->mac[TO_ALL], 0xff, 6);
    memcpy(t->mac[TO_GROUP], group, 6);
    memcpy(t->mac[TO_NOBODY], nobody, 6);

    guest_start(t, &t->guest[GUEST_A]);
    guest_start(t, &t->guest[GUEST_B]);
    t->host_fd = axt_wire_sniff(NIC);
    enter("wire");
    t->wire = (AxtWire) { .n_fds = 1, .fd = { axt_wire_sniff(WIRE) } };
    leave(t);
    t->filtered = nic_counter("rx_filtered");
}

static void stop(Two *t)
{
    unsigned i;

    for (i = 0; i < 2; i++) {
        Guest *g = &t->guest[i];

        if (g->runs) {
            guest_stop(g);
        }
        g_free(g->netdev);
        g_free(g->mac);
        g_free(g->map);
    }
    close(t->wire.fd[0]);
    close(t->host_fd);
    close(t->host_ns);
}

/* --- Frames --- */

static void send_to(Two *t, Kind kind, size_t len)
{
    uint8_t frame[AXT_LEN_MAX];

    axt_frame_fill(frame, len, t->sent[kind]++, kind);
    axt_frame_dst(frame, t->mac[kind]);
    axt_wire_send(&t->wire, frame, len);
}

/* A guest sends to the other, and to all: there is no switch in between. */
static bool send_from(Two *t, unsigned i)
{
    const Kind kind = FROM_A + i;
    AxtNic *nic = t->guest[i].z.net.nic;
    uint8_t frame[AXT_LEN_MAX];
    size_t len = axt_len_sweep(t->sent[kind] * 7);

    axt_frame_fill(frame, len, t->sent[kind], kind);
    if (t->sent[kind] % 2) {
        axt_frame_dst(frame, t->mac[TO_A + !i]);
    }
    if (!axt_nic_tx(nic, 0, frame, &len, 1, false)) {
        return false;
    }
    axt_nic_tx_kick(nic, 0);
    t->sent[kind]++;
    return true;
}

/* A frame arrived: here, in order, each once, unharmed? */
static void arrived(Two *t, Place place, const uint8_t *frame, size_t len)
{
    static const char *const names[] = {
        "guest A", "guest B", "the host", "the wire", "nobody", "the host",
    };
    unsigned kind;
    uint32_t seq = axt_frame_check(frame, len, &kind);

    g_assert_cmpuint(kind, <, N_KINDS);
    if (t->place[kind] == HOST_OR_LOST && place == HOST) {
        g_assert_cmpuint(seq, >=, t->got[kind]);
        t->got[kind] = seq;
    } else if (t->place[kind] != place) {
        g_error("%s has got frame %u of kind %u, which is for %s",
                names[place], seq, kind, names[t->place[kind]]);
    }
    g_assert_cmpuint(seq, ==, t->got[kind]);
    if (kind < N_FROM_WIRE) {
        g_assert_cmpint(memcmp(frame, t->mac[kind], 6), ==, 0);
    }
    t->got[kind]++;
}

/* Take what has arrived anywhere. Returns whether there was anything. */
static bool take(Two *t)
{
    /* The host's TCP segments may come several in one. */
    static uint8_t buf[AXT_FRAME_MAX];
    bool any = false;
    ssize_t len;
    unsigned i;

    for (i = 0; i < 2; i++) {
        AxtNic *nic = t->guest[i].z.net.nic;
        bool reuse = false;

        while (t->guest[i].runs &&
               (len = axt_nic_rx(nic, 0, buf, sizeof(buf))) >= 0) {
            /* Not even the host's ARP: all that gets here must be ours. */
            arrived(t, GUEST_A + i, buf, len);
            reuse = true;
        }
        if (reuse) {
            axt_nic_rx_kick(nic, 0);
            any = true;
        }
    }
    while ((len = axt_sniff_recv(t->host_fd, buf, sizeof(buf), 0)) >= 0) {
        arrived(t, HOST, buf, len);
        any = true;
    }
    while ((len = axt_wire_recv(&t->wire, 0, buf, sizeof(buf), 0)) >= 0) {
        arrived(t, WIRE_END, buf, len);
        any = true;
    }
    return any;
}

/* Frames on their way, of these kinds, that must arrive */
static uint32_t on_the_way(const Two *t, Kind from, Kind to)
{
    uint32_t n = 0;
    unsigned kind;

    for (kind = from; kind < to; kind++) {
        if (t->place[kind] < NOWHERE) {
            n += t->sent[kind] - t->got[kind];
        }
    }
    return n;
}

static void say_stuck(Two *t)
{
    g_autofree char *text = NULL;
    unsigned i;

    for (i = 0; i < N_KINDS; i++) {
        g_test_message("kind %u: sent %u, arrived %u", i, t->sent[i],
                       t->got[i]);
    }
    for (i = 0; i < 2; i++) {
        if (t->guest[i].runs) {
            g_autofree char *info = qtest_hmp(t->guest[i].z.net.vm->qts,
                                              "info network");

            g_test_message("%s", info);
        }
    }
    g_spawn_command_line_sync("ethtool -S " NIC, &text, NULL, NULL, NULL);
    g_error("frames are missing\n%s", text);
}

/*
 * Until no more than @left frames that must arrive are on their way and nothing
 * has come for @quiet_us.
 */
static void take_until(Two *t, uint32_t left, gint64 quiet_us)
{
    gint64 last = g_get_monotonic_time();

    for (;;) {
        gint64 quiet = g_get_monotonic_time() - last;

        if (take(t)) {
            last = g_get_monotonic_time();
        } else if (quiet >= quiet_us && on_the_way(t, 0, N_KINDS) <= left) {
            return;
        } else if (quiet > AXT_TIMEOUT_US) {
            say_stuck(t);
        } else {
            axt_pause();
        }
    }
}

/* No more is sent. All that must arrive does, and then no more comes. */
static void take_all(Two *t)
{
    take_until(t, 0, QUIET_US);
}

/* From now on frames of a kind arrive elsewhere. */
static void lead(Two *t, Kind kind, Place place)
{
    take_all(t);
    t->got[kind] = t->sent[kind];
    t->place[kind] = place;
}

static GPid talk_start(void)
{
    const char *argv[] = { getenv("AXT_TALK"), NULL };
    GPid pid;

    g_assert_true(g_spawn_async(NULL, (char **)argv, NULL,
                                G_SPAWN_DO_NOT_REAP_CHILD, NULL, NULL, &pid,
                                NULL));
    return pid;
}

static bool talk_goes_on(GPid *pid)
{
    int status;

    if (!*pid || waitpid(*pid, &status, WNOHANG) == 0) {
        return *pid;
    }
    g_assert_cmpint(status, ==, 0);
    *pid = 0;
    return false;
}

/*
 * One frame of each kind in turn, each guest that runs as many as it can, until
 * @rounds are over and so is what host and wire have to talk about. All must
 * arrive where they belong.
 */
static void exchange(Two *t, uint32_t rounds, bool talk)
{
    GPid pid = talk ? talk_start() : 0;
    gint64 last = g_get_monotonic_time();
    uint32_t before = t->sent[TO_HOST];

    while (t->sent[TO_HOST] - before < rounds || talk_goes_on(&pid)) {
        bool moved = take(t);
        unsigned i;

        if (on_the_way(t, 0, N_FROM_WIRE) < WINDOW) {
            send_to(t, t->next, axt_len_sweep(t->sent[t->next] * 7));
            t->next = (t->next + 1) % N_FROM_WIRE;
            moved = true;
        }
        for (i = 0; i < 2; i++) {
            if (t->guest[i].runs &&
                on_the_way(t, FROM_A + i, FROM_A + i + 1) < TX_WINDOW) {
                moved |= send_from(t, i);
            }
        }
        if (moved) {
            last = g_get_monotonic_time();
        } else if (g_get_monotonic_time() - last > AXT_TIMEOUT_US) {
            say_stuck(t);
        } else {
            axt_pause();
        }
    }
    take_all(t);
}

/* Use up what is posted first, so that the NIC writes to guest memory. */
static void prime(Two *t)
{
    unsigned i;

    for (i = 0; i < PRIME; i++) {
        take_until(t, WINDOW, 0);
        send_to(t, TO_A, AXT_LEN_MIN);
        send_to(t, TO_B, AXT_LEN_MIN);
    }
}

/* What each has counted is what has arrived here, and there. */
static void check_counts(Two *t, bool direct)
{
    unsigned i;

    for (i = 0; i < 2; i++) {
        const Guest *g = &t->guest[i];
        AxtVm *vm = g->z.net.vm;
        g_autofree char *info = qtest_hmp(vm->qts, "info network");

        g_test_message("%s", info);
        g_assert_cmpuint(axt_counter(vm, "rx"), ==, t->got[TO_A + i] - g->had);
        g_assert_cmpuint(axt_counter(vm, "tx"), ==,
                         t->sent[FROM_A + i] - g->had_sent);
        g_assert_cmpuint(axt_counter(vm, "rx-lost"), ==, 0);
        g_assert_cmpuint(axt_counter(vm, "tx-direct"), >, 0);
        if (direct) {
            g_assert_cmpuint(axt_counter(vm, "rx-direct"), >=, MANY);
        }
    }
    g_assert_cmpuint(nic_counter("rx_filtered") - t->filtered, ==,
                     t->sent[TO_NOBODY]);
}

/* --- Tests --- */

/* Each gets what is its own, and nobody else's, while the host talks. */
static void test_frames(void)
{
    Two t;

    start(&t);
    prime(&t);
    exchange(&t, MANY, true);
    check_counts(&t, true);
    stop(&t);
}

/* QEMU's only AF_XDP socket */
static int take_socket(const Guest *g)
{
    const pid_t pid = qtest_pid(g->z.net.vm->qts);
    int pidfd = syscall(SYS_pidfd_open, pid, 0);
    int found = -1;
    unsigned i;

    g_assert_cmpint(pidfd, >=, 0);
    for (i = 0; i < 256; i++) {
        int fd = syscall(SYS_pidfd_getfd, pidfd, i, 0);
        int domain = 0;
        socklen_t len = sizeof(domain);

        if (fd >= 0) {
            getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len);
            if (domain == AF_XDP) {
                g_assert_cmpint(found, ==, -1);
                found = fd;
            } else {
                close(fd);
            }
        }
    }
    close(pidfd);
    g_assert_cmpint(found, >=, 0);
    return found;
}

/* A guest's map leads to its own queue only, whatever it writes there. */
static void test_maps(void)
{
    Guest *a, *b;
    int a_map, b_map, a_socket, b_socket;
    Two t;

    start(&t);
    a = &t.guest[GUEST_A];
    b = &t.guest[GUEST_B];
    a_map = bpf_obj_get(a->map);
    b_map = bpf_obj_get(b->map);
    g_assert_cmpint(a_map, >=, 0);
    g_assert_cmpint(b_map, >=, 0);
    a_socket = take_socket(a);
    b_socket = take_socket(b);
    exchange(&t, FEW, false);

    axt_foreign_put(a_map, b->queue, a_socket);
    exchange(&t, FEW, false);
    axt_foreign_remove(a_map, b->queue);
    exchange(&t, FEW, false);

    /* What it would be if they shared one */
    lead(&t, TO_B, NOWHERE);
    axt_foreign_put(b_map, b->queue, a_socket);
    exchange(&t, FEW, false);
    lead(&t, TO_B, GUEST_B);
    axt_foreign_put(b_map, b->queue, b_socket);
    exchange(&t, FEW, false);
    close(a_map);
    close(b_map);
    close(a_socket);
    close(b_socket);
    stop(&t);
}

/* A's queue has no socket now: its frames are the host's. */
static void without_a(Two *t)
{
    gint64 end = g_get_monotonic_time() + RELEASE_TIMEOUT_US;
    const uint32_t before = t->got[TO_A];

    lead(t, TO_A, HOST_OR_LOST);
    exchange(t, FEW, true);
    while (t->got[TO_A] == before) {
        g_assert_cmpint(g_get_monotonic_time(), <, end);
        send_to(t, TO_A, AXT_LEN_MIN);
        g_usleep(1000);
        take(t);
    }
    lead(t, TO_A, HOST);
    exchange(t, FEW, false);
}

/* One QEMU dies, another one comes; neither guest B nor the host notice. */
static void test_killed(void)
{
    Guest *a;
    Two t;

    start(&t);
    a = &t.guest[GUEST_A];
    exchange(&t, FEW, false);
    guest_kill(a);
    without_a(&t);
    lead(&t, TO_A, GUEST_A);
    guest_start(&t, a);
    exchange(&t, MANY, true);
    check_counts(&t, false);
    guest_stop(a);
    without_a(&t);
    stop(&t);
}

void axt_add_two_guests_tests(void)
{
    if (!getenv("AXT_GUEST_A")) {
        return;
    }
    qtest_add_func("af-xdp/two-guests/frames", test_frames);
    qtest_add_func("af-xdp/two-guests/maps", test_maps);
    qtest_add_func("af-xdp/two-guests/killed", test_killed);
}
