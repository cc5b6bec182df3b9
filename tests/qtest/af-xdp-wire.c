/*
 * af-xdp qtest: the wire
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/bswap.h"
#include <ifaddrs.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/if_packet.h>
#include <bpf/libbpf.h>
#include "af-xdp-wire.h"

/* Enough for the largest burst of any test: about 4 KiB per small frame. */
#define WIRE_RCVBUF (128 * 1024 * 1024)

/* igb negotiates its link for 2 to 3 s, longer if it is emulated. */
#define SETTLE_TIMEOUT_US (30 * G_USEC_PER_SEC)

#define FLOW_PORT 1000
#define OUR_PORT 0xaf0d
#define HEADER_LEN 42           /* Ethernet, IPv4, UDP */
#define TAG_LEN 10              /* number, flow, length */

static bool write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    bool ok;

    if (fd < 0) {
        return false;
    }
    ok = write(fd, text, strlen(text)) == (ssize_t)strlen(text);
    close(fd);
    return ok;
}

static bool run_ip(const char *args, char **output)
{
    g_autofree char *command = g_strdup_printf("ip %s", args);
    int status;

    return g_spawn_command_line_sync(command, NULL, output, &status, NULL) &&
           status == 0;
}

void axt_ip(const char *fmt, ...)
{
    g_autofree char *args = NULL;
    g_autofree char *output = NULL;
    va_list ap;

    va_start(ap, fmt);
    args = g_strdup_vprintf(fmt, ap);
    va_end(ap);

    if (!run_ip(args, &output)) {
        g_error("ip %s: %s", args, output ?: "cannot be run");
    }
}

bool axt_wire_given(void)
{
    return g_strcmp0(getenv("AXT_WIRE"), "given") == 0;
}

char *axt_namespace_enter(void)
{
    const int net = axt_wire_given() ? 0 : CLONE_NEWNET;
    g_autofree char *output = NULL;

    if (geteuid() != 0) {
        return g_strdup("not root");
    }
    if (unshare(net | CLONE_NEWNS)) {
        return g_strdup_printf("cannot make namespaces: %s",
                               strerror(errno));
    }
    if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL)) {
        return g_strdup_printf("cannot make mounts private: %s",
                               strerror(errno));
    }
    /*
     * Ours alone: libxdp pins its dispatchers here, and so do the tests. In
     * a user namespace there can be none.
     */
    if (mount("axt", AXT_BPFFS, "bpf", 0, NULL) && !axt_wire_given()) {
        return g_strdup_printf("cannot mount bpffs on " AXT_BPFFS ": %s",
                               strerror(errno));
    }
    /* Or the kernel's own IPv6 chatter mixes with the frames under test. */
    if (access("/proc/sys/net/ipv6", F_OK) == 0 &&
        (!write_file("/proc/sys/net/ipv6/conf/all/disable_ipv6", "1") ||
         !write_file("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1"))) {
        return g_strdup("cannot switch off IPv6 in the namespace");
    }
    if (!run_ip("link set dev lo up", &output)) {
        return g_strdup_printf("ip(8) of iproute2 does not work: %s",
                               output ?: "not found");
    }
    if (axt_wire_given()) {
        return NULL;
    }
    if (!run_ip("link add axt-probe type veth peer name axt-probe2",
                &output)) {
        return g_strdup_printf("cannot make a veth pair: %s", output ?: "");
    }
    axt_ip("link del axt-probe");
    return NULL;
}

int axt_wire_sniff(const char *dev)
{
    struct sockaddr_ll sll = {
        .sll_family = AF_PACKET,
        .sll_protocol = htons(ETH_P_ALL),
        .sll_ifindex = if_nametoindex(dev),
    };
    int rcvbuf = WIRE_RCVBUF, one = 1;
    int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);

    g_assert_cmpint(fd, >=, 0);
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &rcvbuf,
                   sizeof(rcvbuf)) < 0) {
        /* Not root to the kernel: as much as anybody may have. */
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &rcvbuf, sizeof(rcvbuf));
    }
    g_assert_cmpint(setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING,
                               &one, sizeof(one)), ==, 0);
    g_assert_cmpint(bind(fd, (struct sockaddr *)&sll, sizeof(sll)), ==, 0);
    return fd;
}

/* What the peer end dropped while it sent, since it exists. */
static uint64_t peer_tx_dropped(void)
{
    struct ifaddrs *all, *i;
    uint64_t dropped = 0;

    g_assert_cmpint(getifaddrs(&all), ==, 0);
    for (i = all; i; i = i->ifa_next) {
        if (i->ifa_addr && i->ifa_addr->sa_family == AF_PACKET &&
            g_str_equal(i->ifa_name, AXT_PEER)) {
            dropped = ((struct rtnl_link_stats *)i->ifa_data)->tx_dropped;
        }
    }
    freeifaddrs(all);
    return dropped;
}

static void wire_make(AxtWire *w)
{
    const unsigned n = w->queues;

    if (w->given) {
        axt_ip("link set dev " AXT_DEV " mtu %u", w->mtu);
        axt_ip("link set dev " AXT_PEER " mtu %u", w->mtu);
    } else {
        axt_ip("link add " AXT_DEV " numrxqueues %u numtxqueues %u mtu %u "
               "type veth peer name " AXT_PEER
               " numrxqueues %u numtxqueues %u mtu %u",
               n, n, w->mtu, n, n, w->mtu);
    }
    axt_ip("link set dev " AXT_PEER " up");
    axt_ip("link set dev " AXT_DEV " up");
    w->ifindex = if_nametoindex(AXT_DEV);
}

/* The sockets keep their numbers: a blast may be using them. */
static void wire_open(AxtWire *w)
{
    unsigned i;

    for (i = 0; i < w->n_fds; i++) {
        int fd = axt_wire_sniff(AXT_PEER);

        if (w->fd[i] < 0) {
            w->fd[i] = fd;
        } else {
            g_assert_cmpint(dup3(fd, w->fd[i], O_CLOEXEC), ==, w->fd[i]);
            close(fd);
        }
    }
    for (i = 0; w->n_fds > 1 && i < w->n_fds; i++) {
        /* Fanout by queue: socket i gets what the device's queue i sent. */
        int fanout = PACKET_FANOUT_QM << 16 | 1;

        g_assert_cmpint(setsockopt(w->fd[i], SOL_PACKET, PACKET_FANOUT,
                                   &fanout, sizeof(fanout)), ==, 0);
    }
    w->peer_dropped = peer_tx_dropped();
}

AxtWire *axt_wire_new(unsigned queues, unsigned mtu)
{
    AxtWire *w = g_new0(AxtWire, 1);

    g_assert_cmpuint(queues, <=, AXT_MAX_QUEUES);
    w->given = axt_wire_given();
    w->queues = queues;
    /* Of a NIC's end it is not known which queue a frame has left by. */
    w->n_fds = w->given ? 1 : queues;
    w->mtu = mtu;
    memset(w->fd, -1, sizeof(w->fd));
    wire_make(w);
    wire_open(w);
    return w;
}

const char *axt_wire_options(void)
{
    const char *options = getenv("AXT_NETDEV");

    return axt_wire_given() && options ? options : "";
}

void axt_wire_event(const char *what)
{
    const char *argv[] = { getenv("AXT_EVENTS"), what, NULL };
    g_autofree char *output = NULL;
    int status = -1;

    g_assert_nonnull(argv[0]);
    if (!g_spawn_sync(NULL, (char **)argv, NULL, G_SPAWN_DEFAULT, NULL, NULL,
                      NULL, &output, &status, NULL) || status != 0) {
        g_error("%s %s: %s", argv[0], what, output ?: "cannot be run");
    }
}

bool axt_wire_can_go(void)
{
    return !axt_wire_given() || getenv("AXT_EVENTS");
}

void axt_wire_gone(AxtWire *w)
{
    if (w->given) {
        axt_wire_event("gone");
    } else {
        axt_ip("link del " AXT_DEV);
    }
}

void axt_wire_again(AxtWire *w)
{
    wire_make(w);
    wire_open(w);
}

void axt_wire_back(AxtWire *w)
{
    if (w->given) {
        axt_wire_event("back");
    }
    axt_wire_again(w);
}

uint32_t axt_prog_id(int ifindex)
{
    uint32_t id = 0;

    if (bpf_xdp_query_id(ifindex, 0, &id)) {
        return 0;
    }
    return id;
}

void axt_wire_free(AxtWire *w)
{
    unsigned i;

    if (if_nametoindex(AXT_DEV)) {
        g_assert_cmpuint(axt_prog_id(w->ifindex), ==, 0);
        if (!w->given) {
            axt_ip("link del " AXT_DEV);
        }
    }
    for (i = 0; i < w->n_fds; i++) {
        close(w->fd[i]);
    }
    g_free(w);
}

static bool has_carrier(const char *dev)
{
    g_autofree char *path = g_strdup_printf("/sys/class/net/%s/carrier", dev);
    g_autofree char *text = NULL;

    return g_file_get_contents(path, &text, NULL, NULL) && *text == '1';
}

void axt_wire_settle(AxtWire *w)
{
    gint64 end = g_get_monotonic_time() + SETTLE_TIMEOUT_US;

    while (w->given && (!has_carrier(AXT_DEV) || !has_carrier(AXT_PEER))) {
        g_assert_cmpint(g_get_monotonic_time(), <, end);
        g_usleep(10000);
    }
}

void axt_wire_send(AxtWire *w, const void *frame, size_t len)
{
    ssize_t n = send(w->fd[0], frame, len, 0);

    if (n < 0) {
        g_error("wire: send of %zu bytes: %s", len, strerror(errno));
    }
    g_assert_cmpint(n, ==, len);
}

ssize_t axt_sniff_recv(int fd, void *buf, size_t size, int timeout_ms)
{
    gint64 end = g_get_monotonic_time() + timeout_ms * 1000LL;

    for (;;) {
        ssize_t n = recv(fd, buf, size, MSG_DONTWAIT | MSG_TRUNC);
        struct pollfd pfd = { .fd = fd, .events = POLLIN };
        gint64 left = end - g_get_monotonic_time();

        if (n >= 0) {
            g_assert_cmpint(n, <=, size);
            if (axt_frame_is_ours(buf, n)) {
                return n;
            }
            continue;
        }
        if (errno == ENETDOWN) {
            /* Reported once after the device went down. */
            continue;
        }
        g_assert_cmpint(errno, ==, EAGAIN);
        if (left <= 0) {
            return -1;
        }
        poll(&pfd, 1, left / 1000 + 1);
    }
}

ssize_t axt_wire_recv(AxtWire *w, unsigned queue, void *buf, size_t size,
                      int timeout_ms)
{
    return axt_sniff_recv(w->fd[MIN(queue, w->n_fds - 1)], buf, size,
                          timeout_ms);
}

void axt_wire_assert_no_drops(AxtWire *w)
{
    unsigned i;

    g_assert_cmpuint(peer_tx_dropped(), ==, w->peer_dropped);
    for (i = 0; i < w->n_fds; i++) {
        struct tpacket_stats stats;
        socklen_t len = sizeof(stats);

        g_assert_cmpint(getsockopt(w->fd[i], SOL_PACKET, PACKET_STATISTICS,
                                   &stats, &len), ==, 0);
        g_assert_cmpuint(stats.tp_drops, ==, 0);
    }
}

/* Byte @i of frame @seq; a prime step, so that a shift by any amount shows. */
static uint8_t frame_byte(uint32_t seq, size_t i)
{
    return seq * 7 + i * 13 + (i >> 8) * 29;
}

/* Of an IPv4 header without options; NICs look at it. */
static uint16_t ip_checksum(const uint8_t *header)
{
    uint32_t sum = 0;
    unsigned i;

    for (i = 0; i < 20; i += 2) {
        sum += lduw_be_p(header + i);
    }
    sum = (sum & 0xffff) + (sum >> 16);
    return ~(sum + (sum >> 16));
}

void axt_frame_fill(uint8_t *frame, size_t len, uint32_t seq, unsigned flow)
{
    static const uint8_t src[ETH_ALEN] = { 2, 0xa, 0xf, 0xd, 0xe, 1 };
    size_t ip_len = MIN(len - ETH_HLEN, 65535);
    size_t i;

    g_assert_cmpuint(len, >=, AXT_LEN_MIN);
    memset(frame, 0xff, ETH_ALEN);
    memcpy(frame + ETH_ALEN, src, ETH_ALEN);
    stw_be_p(frame + 12, ETH_P_IP);

    memset(frame + 14, 0, 28);
    frame[14] = 0x45;
    stw_be_p(frame + 16, ip_len);
    frame[22] = 64;                             /* time to live */
    frame[23] = 17;                             /* UDP */
    stl_be_p(frame + 26, 0xc6120001);           /* 198.18.0.1 */
    stl_be_p(frame + 30, 0xc6120002);
    stw_be_p(frame + 24, ip_checksum(frame + 14));
    stw_be_p(frame + 34, FLOW_PORT + flow);
    stw_be_p(frame + 36, OUR_PORT);
    stw_be_p(frame + 38, ip_len - 20);

    stl_be_p(frame + HEADER_LEN, seq);
    stw_be_p(frame + HEADER_LEN + 4, flow);
    stl_be_p(frame + HEADER_LEN + 6, len);
    for (i = HEADER_LEN + TAG_LEN; i < len; i++) {
        frame[i] = frame_byte(seq, i);
    }
}

void axt_frame_dst(uint8_t *frame, const uint8_t *mac)
{
    memcpy(frame, mac, ETH_ALEN);
}

bool axt_frame_is_ours(const uint8_t *frame, size_t len)
{
    return len >= HEADER_LEN + TAG_LEN && lduw_be_p(frame + 12) == ETH_P_IP &&
           frame[23] == 17 && lduw_be_p(frame + 36) == OUR_PORT;
}

uint32_t axt_frame_check(const uint8_t *frame, size_t len, unsigned *flow)
{
    g_autofree uint8_t *want = g_malloc(MAX(len, AXT_LEN_MIN));
    uint32_t seq;
    unsigned f;
    size_t i;

    g_assert_true(axt_frame_is_ours(frame, len));
    seq = ldl_be_p(frame + HEADER_LEN);
    f = lduw_be_p(frame + HEADER_LEN + 4);
    g_assert_cmpuint(len, ==, ldl_be_p(frame + HEADER_LEN + 6));

    axt_frame_fill(want, len, seq, f);
    axt_frame_dst(want, frame);
    for (i = 0; i < len; i++) {
        if (frame[i] != want[i]) {
            g_error("frame %u of %zu bytes: byte %zu is 0x%02x, not 0x%02x",
                    seq, len, i, frame[i], want[i]);
        }
    }
    if (flow) {
        *flow = f;
    }
    return seq;
}
