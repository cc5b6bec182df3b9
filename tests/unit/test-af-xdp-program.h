/*
 * AF_XDP tests: what the tests of the XDP program and of its loader share
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef TEST_AF_XDP_PROGRAM_H
#define TEST_AF_XDP_PROGRAM_H

#include <sched.h>
#include <net/if.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/if_xdp.h>
#include <bpf/libbpf.h>
#include "net/af-xdp-error.h"
#include "ebpf/ebpf_af_xdp.h"
#include "af-xdp-netns.h"

#ifndef SOL_XDP
#define SOL_XDP 283
#endif

/* A veth pair with as many queues, in the test's network namespace */
#define DEV "axt0"
#define PEER "axt1"
#define QUEUES 4

/* Where libxdp looks for a BPF file system */
#define TEST_BPFFS "/sys/fs/bpf"

#define SOCKET_FRAMES 16
#define SOCKET_FRAME_SIZE 2048
/* Where in its memory a socket can receive one packet */
#define SOCKET_RX_FRAME SOCKET_FRAME_SIZE

/* The kernel's own IPv6 packets would be counted with the test's. */
static inline void test_no_ipv6(void)
{
    static const char *const paths[] = {
        "/proc/sys/net/ipv6/conf/all/disable_ipv6",
        "/proc/sys/net/ipv6/conf/default/disable_ipv6",
    };

    for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
        int fd = open(paths[i], O_WRONLY | O_CLOEXEC);

        if (fd >= 0) {      /* else the kernel has no IPv6 */
            g_assert_cmpint(write(fd, "1", 1), ==, 1);
            close(fd);
        }
    }
}

/* Mount a BPF file system of our own where libxdp looks for it. */
static inline void test_mount_bpffs(void)
{
    int ret = mount("bpf", TEST_BPFFS, "bpf", 0, NULL);

    g_assert_cmpint(ret, ==, 0);
}

/*
 * Move this process to a network namespace with the pair in it, where nobody
 * sends by himself, and to a mount namespace without BPF file system.
 *
 * Returns NULL, or why that is not possible.
 */
static inline const char *test_veth_setup(void)
{
    if (geteuid() != 0) {
        return "loading an XDP program needs root";
    }
    netns_init();
    if (!netns_available()) {
        return "cannot make a network namespace, or ip(8) is missing";
    }
    if (unshare(CLONE_NEWNS) < 0 ||
        mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) {
        return "cannot make a mount namespace";
    }
    while (umount2(TEST_BPFFS, MNT_DETACH) == 0) {
        /* one mount may hide another */
    }
    test_no_ipv6();
    ip("link set dev lo up");
    ip("link add " DEV " numrxqueues %d numtxqueues %d type veth "
       "peer name " PEER " numrxqueues %d numtxqueues %d",
       QUEUES, QUEUES, QUEUES, QUEUES);
    ip("link set dev " DEV " up");
    ip("link set dev " PEER " up");
    return NULL;
}

/* Older kernels map the rings only of a socket that is not bound yet. */
static inline void test_socket_fill(int fd)
{
    struct xdp_mmap_offsets off;
    socklen_t len = sizeof(off);
    size_t size;
    uint8_t *ring;
    int ret;

    ret = getsockopt(fd, SOL_XDP, XDP_MMAP_OFFSETS, &off, &len);
    g_assert_cmpint(ret, ==, 0);
    size = off.fr.desc + SOCKET_FRAMES * sizeof(uint64_t);
    ring = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE,
                fd, XDP_UMEM_PGOFF_FILL_RING);
    g_assert(ring != MAP_FAILED);
    *(uint64_t *)(ring + off.fr.desc) = SOCKET_RX_FRAME;
    __atomic_store_n((uint32_t *)(ring + off.fr.producer), 1,
                     __ATOMIC_RELEASE);
    munmap(ring, size);
}

/* A bound AF_XDP socket with its memory; closed by test_socket_close(). */
typedef struct TestSocket {
    int fd;
    void *umem;
} TestSocket;

static inline void test_socket_open(TestSocket *sock, const char *ifname,
                                    uint32_t queue)
{
    struct xdp_umem_reg reg = {
        .len = SOCKET_FRAMES * SOCKET_FRAME_SIZE,
        .chunk_size = SOCKET_FRAME_SIZE,
    };
    struct sockaddr_xdp addr = {
        .sxdp_family = AF_XDP,
        .sxdp_ifindex = if_nametoindex(ifname),
        .sxdp_queue_id = queue,
        .sxdp_flags = XDP_COPY,
    };
    int entries = SOCKET_FRAMES;
    int ret;

    sock->fd = socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0);
    g_assert_cmpint(sock->fd, >=, 0);
    sock->umem = mmap(NULL, reg.len, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    g_assert(sock->umem != MAP_FAILED);
    reg.addr = (uintptr_t)sock->umem;
    ret = setsockopt(sock->fd, SOL_XDP, XDP_UMEM_REG, &reg, sizeof(reg));
    g_assert_cmpint(ret, ==, 0);
    for (int opt = XDP_RX_RING; opt <= XDP_UMEM_COMPLETION_RING; opt++) {
        if (opt == XDP_UMEM_REG) {
            continue;
        }
        ret = setsockopt(sock->fd, SOL_XDP, opt, &entries, sizeof(entries));
        g_assert_cmpint(ret, ==, 0);
    }
    test_socket_fill(sock->fd);
    /* The kernel may not have released the queue's last socket yet. */
    for (int i = 0; i < 200; i++) {
        ret = bind(sock->fd, (struct sockaddr *)&addr, sizeof(addr));
        if (ret == 0 || errno != EBUSY) {
            break;
        }
        g_usleep(5000);
    }
    g_assert_cmpint(ret, ==, 0);
}

static inline void test_socket_close(TestSocket *sock)
{
    close(sock->fd);
    munmap(sock->umem, SOCKET_FRAMES * SOCKET_FRAME_SIZE);
}

static inline EbpfAfXdpConfig test_config(void)
{
    return (EbpfAfXdpConfig) {
        .ifname = DEV,
        .ifindex = if_nametoindex(DEV),
        .dev_queues = QUEUES,
        .queues = QUEUES,
    };
}

static inline EbpfAfXdp *test_attach(const EbpfAfXdpConfig *cfg)
{
    GError *err = NULL;
    EbpfAfXdp *prog = ebpf_af_xdp_attach(cfg, &err);

    g_assert_no_error(err);
    g_assert_nonnull(prog);
    return prog;
}

static inline void test_detach(EbpfAfXdp *prog)
{
    GError *err = NULL;
    bool ok = ebpf_af_xdp_detach(prog, &err);

    g_assert_no_error(err);
    g_assert_true(ok);
}

static inline void test_set_socket(EbpfAfXdp *prog, uint32_t queue,
                                   TestSocket *sock)
{
    GError *err = NULL;
    bool ok = ebpf_af_xdp_set_socket(prog, queue, sock->fd, &err);

    g_assert_no_error(err);
    g_assert_true(ok);
}

#define MAC_GUEST "\x52\x54\x00\x12\x34\x56"
#define MAC_OTHER "\x52\x54\x00\x12\x34\x57"
#define MAC_ZERO "\0\0\0\0\0\0"
#define MAC_BROADCAST "\xff\xff\xff\xff\xff\xff"
#define MAC_MULTICAST "\x01\x00\x5e\x00\x00\xfb"

/* Attaching must fail with @code; every one of the words must be said. */
static inline void assert_attach_fails(const EbpfAfXdpConfig *cfg, int code,
                                       ...)
{
    GError *err = NULL;
    EbpfAfXdp *prog = ebpf_af_xdp_attach(cfg, &err);
    const char *word;
    va_list ap;

    g_assert_null(prog);
    g_test_message("%s", err->message);
    g_assert_error(err, AF_XDP_ERROR, code);
    va_start(ap, code);
    while ((word = va_arg(ap, const char *))) {
        if (!strstr(err->message, word)) {
            g_error("\"%s\" is missing in: %s", word, err->message);
        }
    }
    va_end(ap);
    g_error_free(err);
}

/* The id of the program that the device runs, 0 if none */
static inline uint32_t device_prog_id(const char *ifname)
{
    LIBBPF_OPTS(bpf_xdp_query_opts, opts);
    int ret = bpf_xdp_query(if_nametoindex(ifname), 0, &opts);

    g_assert_cmpint(ret, ==, 0);
    return opts.prog_id;
}

/* Start a process that attaches the program and waits to be killed. */
static inline pid_t attached_child(void)
{
    int ready[2];
    pid_t pid;
    char c;

    g_assert_cmpint(pipe(ready), ==, 0);
    pid = fork();
    g_assert_cmpint(pid, >=, 0);
    if (pid == 0) {
        EbpfAfXdpConfig cfg = test_config();

        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (ebpf_af_xdp_attach(&cfg, NULL)) {
            g_assert_cmpint(write(ready[1], "", 1), ==, 1);
        }
        close(ready[1]);
        for (;;) {
            pause();
        }
    }
    close(ready[1]);
    g_assert_cmpint(read(ready[0], &c, 1), ==, 1);
    close(ready[0]);
    return pid;
}

static inline void kill_child(pid_t pid)
{
    int status;

    kill(pid, SIGKILL);
    g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
    g_assert_true(WIFSIGNALED(status));
}

static inline int count_fds(void)
{
    GDir *dir = g_dir_open("/proc/self/fd", 0, NULL);
    int n = 0;

    while (g_dir_read_name(dir)) {
        n++;
    }
    g_dir_close(dir);
    return n;
}

/* Send @n frames from the peer, all through its queue 0. */
static inline void peer_send(unsigned n)
{
    struct sockaddr_ll addr = {
        .sll_family = AF_PACKET,
        .sll_ifindex = if_nametoindex(PEER),
        .sll_halen = ETH_ALEN,
    };
    uint8_t frame[60] = { 0 };
    int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);

    g_assert_cmpint(fd, >=, 0);
    memcpy(frame, MAC_GUEST, ETH_ALEN);
    /* Local experimental EtherType: nobody else sends it. */
    frame[12] = 0x88;
    frame[13] = 0xb5;
    for (unsigned i = 0; i < n; i++) {
        ssize_t ret = sendto(fd, frame, sizeof(frame), 0,
                             (struct sockaddr *)&addr, sizeof(addr));

        g_assert_cmpint(ret, ==, sizeof(frame));
    }
    close(fd);
}

/* All queues' counters together, once @total frames have been counted */
static inline EbpfAfXdpCounters wait_counters(EbpfAfXdp *prog,
                                              uint64_t total)
{
    EbpfAfXdpCounters sum;

    for (int i = 0; i < 200; i++) {
        memset(&sum, 0, sizeof(sum));
        for (uint32_t q = 0; q < QUEUES; q++) {
            EbpfAfXdpCounters count;

            g_assert_true(ebpf_af_xdp_read_counters(prog, q, &count));
            sum.redirected += count.redirected;
            sum.passed += count.passed;
            sum.filtered += count.filtered;
            sum.dropped += count.dropped;
        }
        if (sum.redirected + sum.passed + sum.filtered + sum.dropped >=
            total) {
            break;
        }
        g_usleep(10000);
    }
    return sum;
}

#endif /* TEST_AF_XDP_PROGRAM_H */
