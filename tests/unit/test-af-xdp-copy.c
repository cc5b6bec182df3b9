/*
 * AF_XDP: sockets and the copying data path, over a real veth pair
 *
 * Both ends of the pair are queues of the core.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <dirent.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <linux/capability.h>
#include "af-xdp-netns.h"
#include "ebpf/ebpf_af_xdp.h"
#include "net/af-xdp-copy.h"
#include "net/af-xdp-device.h"
#include "net/af-xdp-error.h"

#define RING 2048               /* frames per direction of a queue */
#define MAX_FRAME 9018
#define PATIENCE_US (2 * G_USEC_PER_SEC)

typedef struct End {
    const char *ifname;
    EbpfAfXdp *prog;
    AfXdpCopy *copy;
} End;

/* --- The bench --- */

static void veth_new(int mtu)
{
    ip("link add va mtu %d numrxqueues 1 numtxqueues 1 type veth "
       "peer name vb mtu %d numrxqueues 1 numtxqueues 1", mtu, mtu);
    /* No IPv6, whose own packets would mix with ours. */
    ip("link set va addrgenmode none up");
    ip("link set vb addrgenmode none up");
}

static void veth_free(void)
{
    ip("link del va");
}

static void end_open(End *end, const char *ifname)
{
    GError *err = NULL;
    AfXdpDevice info;
    EbpfAfXdpConfig config = {
        .ifname = ifname,
        .dev_queues = 1,
        .queues = 1,
    };

    end->ifname = ifname;
    af_xdp_device_query(ifname, &info, &err);
    g_assert_no_error(err);
    end->prog = ebpf_af_xdp_attach(&config, &err);
    g_assert_no_error(err);
    end->copy = af_xdp_copy_new(ifname, 0, -1, info.mtu + 18,
                                AF_XDP_BIND_BEST, &err);
    g_assert_no_error(err);
    ebpf_af_xdp_set_socket(end->prog, 0, af_xdp_copy_socket(end->copy)->fd,
                           &err);
    g_assert_no_error(err);
    g_assert_false(af_xdp_copy_socket(end->copy)->zero_copy);
}

static void end_close(End *end)
{
    af_xdp_copy_free(end->copy);
    ebpf_af_xdp_detach(end->prog, NULL);
}

/* A frame whose every byte depends on its number and place. */
static void frame_make(uint8_t *frame, size_t len, uint32_t number)
{
    memset(frame, 0xff, 6);
    memset(frame + 6, 0x02, 6);
    frame[12] = 0x88;
    frame[13] = 0xb5;           /* IEEE 802 local experimental EtherType 1 */
    for (size_t i = 14; i < len; i++) {
        frame[i] = number * 7 + i * 13 + (i >> 8);
    }
}

/* Cut @frame into pieces of random length, some of them empty. */
static int cut(uint8_t *frame, size_t len, struct iovec *iov, int max)
{
    int n = 0;

    while (len > 0 && n < max - 1) {
        size_t piece = g_test_rand_int_range(0, 700);

        piece = MIN(piece, len);
        iov[n++] = (struct iovec) { frame, piece };
        frame += piece;
        len -= piece;
    }
    iov[n++] = (struct iovec) { frame, len };
    return n;
}

static void end_send(End *end, uint8_t *frame, size_t len)
{
    struct iovec iov[64];
    int n = cut(frame, len, iov, ARRAY_SIZE(iov));
    int64_t deadline = g_get_monotonic_time() + PATIENCE_US;
    AfXdpTxResult result;

    while ((result = af_xdp_copy_tx(end->copy, iov, n)) == AF_XDP_TX_FULL) {
        g_assert_cmpint(g_get_monotonic_time(), <, deadline);
        g_usleep(50);
    }
    g_assert_cmpint(result, ==, AF_XDP_TX_QUEUED);
}

/* Returns the length of the next frame, 0 if none comes. */
static size_t end_receive(End *end, uint8_t *frame, int64_t patience_us)
{
    int64_t deadline = g_get_monotonic_time() + patience_us;
    struct iovec iov[AF_XDP_MAX_SEGS];
    size_t len = 0;
    uint32_t n;

    while (!(n = af_xdp_copy_rx_next(end->copy, iov))) {
        af_xdp_copy_rx_flush(end->copy);
        if (g_get_monotonic_time() > deadline) {
            return 0;
        }
        g_usleep(50);
    }
    for (uint32_t i = 0; i < n; i++) {
        memcpy(frame + len, iov[i].iov_base, iov[i].iov_len);
        len += iov[i].iov_len;
    }
    af_xdp_copy_rx_flush(end->copy);
    return len;
}

static void assert_all_home(End *end)
{
    const AfXdpUmem *umem = af_xdp_copy_umem(end->copy);

    af_xdp_copy_tx_flush(end->copy);
    g_assert_cmpuint(af_xdp_umem_count(umem, AF_XDP_FRAME_TX), ==, 0);
    g_assert_cmpuint(af_xdp_umem_count(umem, AF_XDP_FRAME_RECEIVED), ==, 0);
    g_assert_cmpuint(af_xdp_umem_count(umem, AF_XDP_FRAME_FILL), ==, RING);
    g_assert_cmpuint(af_xdp_umem_count(umem, AF_XDP_FRAME_FREE), ==, RING);
}

/* The class of CVE-2019-14818 and CVE-2020-10726: one leaks each time. */
static int count_fds(void)
{
    DIR *dir = opendir("/proc/self/fd");
    int n = 0;

    g_assert_nonnull(dir);
    while (readdir(dir)) {
        n++;
    }
    closedir(dir);
    return n;
}

/* Run @func in a child, so that what it gives up is not given up here. */
static void in_child(void (*func)(void))
{
    pid_t pid = fork();
    int status;

    g_assert_cmpint(pid, >=, 0);
    if (pid == 0) {
        func();
        _exit(0);
    }
    g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
    g_assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void drop_capability(int cap)
{
    struct __user_cap_header_struct head = {
        .version = _LINUX_CAPABILITY_VERSION_3,
    };
    struct __user_cap_data_struct data[2];

    g_assert_cmpint(syscall(SYS_capget, &head, data), ==, 0);
    data[cap / 32].effective &= ~(1u << (cap % 32));
    g_assert_cmpint(syscall(SYS_capset, &head, data), ==, 0);
}

/* --- Tests --- */

static void exchange(int mtu, size_t from, size_t to, size_t step)
{
    static uint8_t sent[MAX_FRAME], got[MAX_FRAME];
    uint32_t number = 0;
    End a, b;

    veth_new(mtu);
    end_open(&a, "va");
    end_open(&b, "vb");
    for (size_t len = from; len <= to; len += step) {
        for (int way = 0; way < 2; way++) {
            End *tx = way ? &a : &b;
            End *rx = way ? &b : &a;

            frame_make(sent, len, ++number);
            end_send(tx, sent, len);
            g_assert_cmpint(af_xdp_copy_tx_flush(tx->copy), ==,
                            AF_XDP_TX_IDLE);
            g_assert_cmpuint(end_receive(rx, got, PATIENCE_US), ==, len);
            g_assert_cmpmem(sent, len, got, len);
        }
    }
    g_assert_cmpuint(end_receive(&a, got, 1000), ==, 0);
    g_assert_cmpuint(af_xdp_copy_stats(a.copy)->tx_packets, ==, number / 2);
    g_assert_cmpuint(af_xdp_copy_stats(a.copy)->rx_packets, ==, number / 2);
    g_assert_cmpuint(af_xdp_copy_stats(a.copy)->tx_bytes, ==,
                     af_xdp_copy_stats(b.copy)->rx_bytes);
    g_assert_cmpuint(af_xdp_copy_stats(a.copy)->rx_malformed, ==, 0);
    assert_all_home(&a);
    assert_all_home(&b);
    end_close(&a);
    end_close(&b);
    veth_free();
}

static void test_sizes(void)
{
    if (netns_fresh()) {
        exchange(1500, 14, 1514, 1);
    }
}

static void test_jumbo(void)
{
    End probe;
    bool multi_buffer;

    if (!netns_fresh()) {
        return;
    }
    veth_new(1500);
    end_open(&probe, "va");
    multi_buffer = af_xdp_copy_socket(probe.copy)->multi_buffer;
    end_close(&probe);
    veth_free();
    if (!multi_buffer) {
        g_test_skip("this kernel has no multi-buffer AF_XDP (Linux 6.6)");
        return;
    }
    exchange(9000, 3800, 4200, 7);
    exchange(9000, 7600, 9014, 11);
}

static void test_undeliverable(void)
{
    static uint8_t big[AF_XDP_MAX_SEGS * AF_XDP_FRAME_SIZE + 1];
    uint8_t got[MAX_FRAME];
    struct iovec runt = { big, 13 };
    struct iovec empty = { big, 0 };
    struct iovec over = { big, sizeof(big) };
    End a, b;

    if (!netns_fresh()) {
        return;
    }
    veth_new(1500);
    end_open(&a, "va");
    end_open(&b, "vb");
    g_assert_cmpint(af_xdp_copy_tx(a.copy, &runt, 1), ==, AF_XDP_TX_DROPPED);
    g_assert_cmpint(af_xdp_copy_tx(a.copy, &empty, 1), ==, AF_XDP_TX_DROPPED);
    g_assert_cmpint(af_xdp_copy_tx(a.copy, NULL, 0), ==, AF_XDP_TX_DROPPED);
    g_assert_cmpint(af_xdp_copy_tx(a.copy, &over, 1), ==, AF_XDP_TX_DROPPED);
    g_assert_cmpuint(af_xdp_copy_stats(a.copy)->tx_runt, ==, 3);
    g_assert_cmpuint(af_xdp_copy_stats(a.copy)->tx_oversize, ==, 1);
    g_assert_cmpuint(af_xdp_copy_stats(a.copy)->tx_packets, ==, 0);
    af_xdp_copy_tx_flush(a.copy);
    g_assert_cmpuint(end_receive(&b, got, 1000), ==, 0);
    assert_all_home(&a);
    end_close(&a);
    end_close(&b);
    veth_free();
}

/* Many times what the rings hold; what the device takes arrives in order. */
static void test_burst(void)
{
    static uint8_t frame[MAX_FRAME], got[MAX_FRAME];
    const uint32_t total = 20 * RING;
    uint32_t received = 0, last = 0;
    size_t len;
    End a, b;

    if (!netns_fresh()) {
        return;
    }
    veth_new(1500);
    end_open(&a, "va");
    end_open(&b, "vb");
    for (uint32_t i = 1; i <= total; i++) {
        frame_make(frame, 64, 0);
        memcpy(frame + 14, &i, sizeof(i));
        end_send(&a, frame, 64);
        if (i % 64 && i < total) {
            continue;
        }
        while (af_xdp_copy_tx_flush(a.copy) != AF_XDP_TX_IDLE) {
            g_usleep(AF_XDP_TX_RETRY_NS / 1000);
        }
        /* The softirq that delivers may run a little later. */
        while ((len = end_receive(&b, got, i < total ? 0 : 20000)) > 0) {
            uint32_t number;

            g_assert_cmpuint(len, ==, 64);
            memcpy(&number, got + 14, sizeof(number));
            g_assert_cmpuint(number, >, last);
            last = number;
            received++;
        }
    }
    g_assert_cmpuint(af_xdp_copy_stats(a.copy)->tx_packets, ==, total);
    g_assert_cmpuint(received + af_xdp_copy_stats(a.copy)->tx_refused, ==,
                     total);
    g_assert_cmpuint(received, >, total / 2);
    assert_all_home(&a);
    assert_all_home(&b);
    end_close(&a);
    end_close(&b);
    veth_free();
}

/* Without a flush the rings fill up, and no frame is lost by that. */
static void test_back_pressure(void)
{
    uint8_t frame[64];
    struct iovec iov = { frame, sizeof(frame) };
    AfXdpTxResult result = AF_XDP_TX_QUEUED;
    uint32_t queued = 0;
    End a;

    if (!netns_fresh()) {
        return;
    }
    veth_new(1500);
    end_open(&a, "va");
    frame_make(frame, sizeof(frame), 1);
    ip("link set va down");
    while (queued <= RING &&
           (result = af_xdp_copy_tx(a.copy, &iov, 1)) == AF_XDP_TX_QUEUED) {
        queued++;
    }
    g_assert_cmpint(result, ==, AF_XDP_TX_FULL);
    g_assert_cmpuint(queued, ==, RING);
    g_assert_false(af_xdp_copy_tx_ready(a.copy));
    g_assert_cmpint(af_xdp_copy_tx_flush(a.copy), ==, AF_XDP_TX_DOWN);
    g_assert_cmpuint(af_xdp_umem_count(af_xdp_copy_umem(a.copy),
                                       AF_XDP_FRAME_TX), ==, RING);

    ip("link set va up");
    for (int i = 0; i < 2 * RING && !af_xdp_copy_tx_ready(a.copy); i++) {
        af_xdp_copy_tx_flush(a.copy);
    }
    g_assert_true(af_xdp_copy_tx_ready(a.copy));
    while (af_xdp_copy_tx_flush(a.copy) != AF_XDP_TX_IDLE) {
        g_usleep(50);
    }
    assert_all_home(&a);
    end_close(&a);
    veth_free();
}

static void test_device_gone(void)
{
    uint8_t frame[64];
    struct iovec iov = { frame, sizeof(frame) };
    struct iovec got[AF_XDP_MAX_SEGS];
    End a;

    if (!netns_fresh()) {
        return;
    }
    veth_new(1500);
    end_open(&a, "va");
    veth_free();
    frame_make(frame, sizeof(frame), 1);
    g_assert_cmpint(af_xdp_copy_tx(a.copy, &iov, 1), ==, AF_XDP_TX_QUEUED);
    g_assert_cmpint(af_xdp_copy_tx_flush(a.copy), ==, AF_XDP_TX_DOWN);
    g_assert_cmpuint(af_xdp_copy_rx_next(a.copy, got), ==, 0);
    af_xdp_copy_rx_flush(a.copy);
    end_close(&a);
}

/* What a socket knows of its device, and another device of the same name. */
static void test_device_back(void)
{
    uint8_t frame[64], got[AF_XDP_FRAME_SIZE];
    struct iovec iov = { frame, sizeof(frame) };
    struct iovec none[AF_XDP_MAX_SEGS];
    AfXdpMove move = { .ifname = "va", .frame_max = 1518, .patience = 1 };
    GError *err = NULL;
    uint64_t sent;
    End a, b;
    int fds;

    if (!netns_fresh()) {
        return;
    }
    veth_new(1500);
    end_open(&a, "va");
    fds = count_fds();
    g_assert_cmpint(af_xdp_socket_probe(af_xdp_copy_socket(a.copy)), ==, 0);
    ip("link set va down");
    g_assert_cmpint(af_xdp_socket_probe(af_xdp_copy_socket(a.copy)), ==,
                    -ENETDOWN);
    ip("link set va up");
    g_assert_cmpint(af_xdp_socket_probe(af_xdp_copy_socket(a.copy)), ==, 0);
    frame_make(frame, sizeof(frame), 1);
    g_assert_cmpint(af_xdp_copy_tx(a.copy, &iov, 1), ==, AF_XDP_TX_QUEUED);
    sent = af_xdp_copy_stats(a.copy)->tx_packets;

    veth_free();
    g_assert_cmpint(af_xdp_socket_probe(af_xdp_copy_socket(a.copy)), ==,
                    -ENXIO);
    af_xdp_copy_close(a.copy);
    g_assert_true(af_xdp_copy_is_absent(a.copy));
    g_assert_cmpint(af_xdp_socket_probe(af_xdp_copy_socket(a.copy)), ==,
                    -ENXIO);
    g_assert_cmpint(af_xdp_copy_tx(a.copy, &iov, 1), ==, AF_XDP_TX_FULL);
    g_assert_cmpint(af_xdp_copy_tx_flush(a.copy), ==, AF_XDP_TX_DOWN);
    g_assert_cmpuint(af_xdp_copy_rx_next(a.copy, none), ==, 0);
    af_xdp_copy_rx_flush(a.copy);
    /* Closing what is closed, too. */
    af_xdp_copy_close(a.copy);
    g_assert_cmpint(count_fds(), ==, fds);

    g_assert_false(af_xdp_copy_move(a.copy, &move, &err));
    g_assert_error(err, AF_XDP_ERROR, ENODEV);
    g_clear_error(&err);
    g_assert_true(af_xdp_copy_is_absent(a.copy));

    ebpf_af_xdp_detach(a.prog, NULL);
    veth_new(1500);
    end_open(&b, "vb");
    a.prog = NULL;
    move.ifindex = if_nametoindex("va");
    af_xdp_copy_set_bind(a.copy, AF_XDP_BIND_ZERO_COPY);
    g_assert_false(af_xdp_copy_move(a.copy, &move, &err));
    g_assert_error(err, AF_XDP_ERROR, EOPNOTSUPP);
    g_assert_nonnull(strstr(err->message, "in driver zero-copy on 'va' queue "
                                          "0"));
    g_assert_nonnull(strstr(err->message, "never sends in copy mode"));
    g_clear_error(&err);
    /* Nor is it bound in copy mode because others are. */
    move.copy_mode = true;
    g_assert_false(af_xdp_copy_move(a.copy, &move, &err));
    g_assert_error(err, AF_XDP_ERROR, EOPNOTSUPP);
    g_clear_error(&err);
    g_assert_true(af_xdp_copy_is_absent(a.copy));
    move.copy_mode = false;
    af_xdp_copy_set_bind(a.copy, AF_XDP_BIND_COPY);
    g_assert_true(af_xdp_copy_move(a.copy, &move, &err));
    g_assert_no_error(err);
    g_assert_false(af_xdp_copy_is_absent(a.copy));
    end_send(&a, frame, sizeof(frame));
    af_xdp_copy_tx_flush(a.copy);
    g_assert_cmpuint(end_receive(&b, got, PATIENCE_US), ==, sizeof(frame));
    g_assert_cmpint(memcmp(got, frame, sizeof(frame)), ==, 0);
    /* What was counted before counts. */
    g_assert_cmpuint(af_xdp_copy_stats(a.copy)->tx_packets, ==, sent + 1);
    end_close(&a);
    end_close(&b);
    veth_free();
}

static void test_reopen(void)
{
    int fds;

    if (!netns_fresh()) {
        return;
    }
    veth_new(1500);
    fds = count_fds();
    for (int i = 0; i < 20; i++) {
        End a;

        end_open(&a, "va");
        end_close(&a);
        g_assert_cmpint(count_fds(), ==, fds);
    }
    veth_free();
}

static void assert_fails(const char *ifname, uint32_t queue, int fd, int code,
                         const char *words, const char *hint_words)
{
    g_autofree char *msg = NULL;
    const char *hint = NULL;
    GError *err = NULL;
    int fds = count_fds();

    g_assert_null(af_xdp_copy_new(ifname, queue, fd, 1518,
                                  AF_XDP_BIND_BEST, &err));
    g_assert_error(err, AF_XDP_ERROR, code);
    af_xdp_error_split(err, &msg, &hint);
    g_test_message("%s", err->message);
    g_assert_nonnull(strstr(msg, words));
    if (hint_words) {
        g_assert_nonnull(hint);
        g_assert_nonnull(strstr(hint, hint_words));
    }
    g_error_free(err);
    /* What was given is left alone, it may be a mistake. */
    g_assert_cmpint(count_fds(), ==, fds);
}

static void test_busy(void)
{
    End a;

    if (!netns_fresh()) {
        return;
    }
    veth_new(1500);
    end_open(&a, "va");
    assert_fails("va", 0, -1, EBUSY, "'va' queue 0", NULL);
    end_close(&a);
    end_open(&a, "va");
    end_close(&a);
    veth_free();
}

static void test_bad_queue(void)
{
    if (!netns_fresh()) {
        return;
    }
    veth_new(1500);
    assert_fails("va", 7, -1, EINVAL, "'va' queue 7", NULL);
    assert_fails("no-such-if", 0, -1, ENODEV, "'no-such-if'", NULL);
    veth_free();
}

static void test_given_socket(void)
{
    GError *err = NULL;
    AfXdpCopy *copy;
    int fd, fds;

    if (!netns_fresh()) {
        return;
    }
    veth_new(1500);

    fds = count_fds();
    fd = socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0);
    g_assert_cmpint(fd, >=, 0);
    copy = af_xdp_copy_new("va", 0, fd, 1518, AF_XDP_BIND_BEST, &err);
    g_assert_no_error(err);
    af_xdp_copy_free(copy);
    g_assert_cmpint(count_fds(), ==, fds);

    fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_fails("va", 0, fd, EINVAL, "not an AF_XDP socket", "AF_XDP");
    close(fd);
    fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_fails("va", 0, fd, ENOTSOCK, "sock-fds", NULL);
    close(fd);
    assert_fails("va", 0, 987, EBADF, "987", NULL);
    veth_free();

    /* A socket of one network namespace, an interface of another. */
    fd = socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0);
    g_assert_cmpint(fd, >=, 0);
    g_assert_true(netns_fresh());
    veth_new(1500);
    assert_fails("va", 0, fd, EINVAL, "another network namespace",
                 "network namespace");
    close(fd);
    veth_free();
}

static void without_net_raw(void)
{
    drop_capability(CAP_NET_RAW);
    assert_fails("va", 0, -1, EPERM, "cannot open an AF_XDP socket",
                 "CAP_NET_RAW");
}

static void without_descriptors(void)
{
    struct rlimit limit = { 4, 4 };
    GError *err = NULL;

    /* 0 to 2, and one for the socket. */
    for (int fd = 3; fd < 256; fd++) {
        close(fd);
    }
    g_assert_cmpint(setrlimit(RLIMIT_NOFILE, &limit), ==, 0);
    g_assert_null(af_xdp_copy_new("va", 0, -1, 1518, AF_XDP_BIND_BEST,
                                  &err));
    g_assert_error(err, AF_XDP_ERROR, EMFILE);
}

static void with_little_memory(void)
{
    struct rlimit limit = { 64 * 1024, 64 * 1024 };

    g_assert_cmpint(setrlimit(RLIMIT_MEMLOCK, &limit), ==, 0);
    drop_capability(CAP_IPC_LOCK);
    assert_fails("va", 0, -1, ENOBUFS, "cannot register a UMEM", "ulimit");
}

static void test_privileges(void)
{
    if (!netns_fresh()) {
        return;
    }
    veth_new(1500);
    in_child(without_net_raw);
    in_child(with_little_memory);
    in_child(without_descriptors);
    veth_free();
}

static void test_mtu(void)
{
    GError *err = NULL;

    g_assert_true(af_xdp_socket_check_mtu("x", 0, 1518, AF_XDP_RX_ROOM,
                                          false, &err));
    g_assert_true(af_xdp_socket_check_mtu("x", 0, AF_XDP_RX_ROOM,
                                          AF_XDP_RX_ROOM, false,
                                          &err));
    g_assert_true(af_xdp_socket_check_mtu("x", 0, 9018, AF_XDP_RX_ROOM, true,
                                          &err));
    g_assert_no_error(err);
    g_assert_false(af_xdp_socket_check_mtu("x", 3, 9018, AF_XDP_RX_ROOM,
                                           false, &err));
    g_assert_error(err, AF_XDP_ERROR, EMSGSIZE);
    g_assert_nonnull(strstr(err->message, "MTU 9000 of 'x' (queue 3)"));
    g_assert_nonnull(strstr(err->message, "largest that fits is 3822"));
    g_error_free(err);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    netns_init();

    g_test_add_func("/af-xdp/copy/mtu", test_mtu);
    g_test_add_func("/af-xdp/copy/sizes", test_sizes);
    g_test_add_func("/af-xdp/copy/jumbo", test_jumbo);
    g_test_add_func("/af-xdp/copy/undeliverable", test_undeliverable);
    g_test_add_func("/af-xdp/copy/burst", test_burst);
    g_test_add_func("/af-xdp/copy/back-pressure", test_back_pressure);
    g_test_add_func("/af-xdp/copy/device-gone", test_device_gone);
    g_test_add_func("/af-xdp/copy/device-back", test_device_back);
    g_test_add_func("/af-xdp/copy/reopen", test_reopen);
    g_test_add_func("/af-xdp/copy/busy", test_busy);
    g_test_add_func("/af-xdp/copy/bad-queue", test_bad_queue);
    g_test_add_func("/af-xdp/copy/given-socket", test_given_socket);
    g_test_add_func("/af-xdp/copy/privileges", test_privileges);
    return g_test_run();
}
