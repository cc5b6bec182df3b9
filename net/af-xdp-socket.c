/*
 * AF_XDP: one socket, bound to one queue of a network device
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <sys/socket.h>
#include "net/af-xdp-error.h"
#include "net/af-xdp-lines.h"
#include "net/af-xdp-socket.h"
#include "net/af-xdp-uapi.h"

/* Longer than any zero-copy release seen (30 ms), short for a human. */
#define BUSY_RETRY_US 500000
#define BUSY_STEP_US 5000

/*
 * Frames that one system call may send in copy mode: what virtio-net hands
 * over at most before it lets other devices run (its tx_burst, 256).
 */
#define TX_BUDGET 256

/*
 * Bytes of sent packets that may wait in the kernel: a ring of 2048 of up to
 * 2 KiB each, skb included. The kernel cuts this to net.core.wmem_max for the
 * unprivileged.
 */
#define SNDBUF_SIZE (4 * 1024 * 1024)

typedef struct BindMode {
    uint16_t flags;
    bool zero_copy;
    bool multi_buffer;
} BindMode;

/* From the best to the one that every kernel with AF_XDP has. */
static const BindMode bind_modes[] = {
    { XDP_ZEROCOPY, true, false },
    { XDP_ZEROCOPY | XDP_USE_SG, true, true },
    { XDP_COPY | XDP_USE_SG, false, true },
    { XDP_COPY, false, false },
};

bool af_xdp_socket_check_mtu(const char *ifname, uint32_t queue,
                             uint32_t frame_max, bool multi_buffer,
                             GError **errp)
{
    const uint32_t overhead = AF_XDP_FRAME_OVERHEAD;
    g_autofree char *hint = NULL;

    if (multi_buffer || frame_max <= AF_XDP_RX_ROOM) {
        return true;
    }
    hint = g_strdup_printf("Longer frames need Linux 6.6 or later and an XDP "
                           "program that takes multi-buffer frames; otherwise "
                           "lower the MTU: 'ip link set dev %s mtu %u'",
                           ifname, AF_XDP_RX_ROOM - overhead);
    af_xdp_error_set(errp, EMSGSIZE, hint,
                     "MTU %u of '%s' (queue %u) does not fit without "
                     "multi-buffer, the largest that fits is %u",
                     frame_max - overhead, ifname, queue,
                     AF_XDP_RX_ROOM - overhead);
    return false;
}

/*
 * Are @a and @b sockets of the same network namespace? Where the kernel does
 * not tell (before 5.14), they are taken to be.
 */
static bool same_netns(int a, int b)
{
    uint64_t cookie[2] = { 0 };
    socklen_t len = sizeof(cookie[0]);

    return getsockopt(a, SOL_SOCKET, SO_NETNS_COOKIE, &cookie[0], &len) < 0 ||
           getsockopt(b, SOL_SOCKET, SO_NETNS_COOKIE, &cookie[1], &len) < 0 ||
           cookie[0] == cookie[1];
}

/* Can the socket given in @config be ours? It is not touched. */
static bool socket_check(const AfXdpSocketConfig *config, GError **errp)
{
    int domain = 0, probe;
    socklen_t len = sizeof(domain);
    bool here = true;

    if (getsockopt(config->fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) < 0) {
        af_xdp_error_step(errp, AF_XDP_STEP_SOCKET, errno, config->ifname,
                          config->queue,
                          "file descriptor %d of sock-fds is not usable",
                          config->fd);
        return false;
    }
    if (domain != AF_XDP) {
        af_xdp_error_set(errp, 0,
                         af_xdp_error_hint(ENOTSOCK, AF_XDP_STEP_SOCKET),
                         "file descriptor %d of sock-fds for '%s' queue %u is "
                         "not an AF_XDP socket",
                         config->fd, config->ifname, config->queue);
        return false;
    }
    probe = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (probe >= 0) {
        here = same_netns(config->fd, probe);
        close(probe);
    }
    if (!here) {
        af_xdp_error_set(errp, 0,
                         "It would be bound to whatever has the same index "
                         "there. Open the socket in QEMU's network namespace.",
                         "file descriptor %d of sock-fds for '%s' queue %u "
                         "belongs to another network namespace",
                         config->fd, config->ifname, config->queue);
        return false;
    }
    return true;
}

/* Open a socket, or copy a given one. Returns it, or -1. */
static int socket_open(const AfXdpSocketConfig *config, GError **errp)
{
    int fd;

    if (config->fd >= 0) {
        if (!socket_check(config, errp)) {
            return -1;
        }
        /* libxdp takes descriptor 0 for "none": keep clear of it. */
        fd = fcntl(config->fd, F_DUPFD_CLOEXEC, 3);
    } else {
        fd = socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0);
    }
    if (fd < 0) {
        af_xdp_error_step(errp, AF_XDP_STEP_SOCKET, errno, config->ifname,
                          config->queue, "cannot open an AF_XDP socket");
    }
    return fd;
}

static bool socket_register(AfXdpSocket *s, const AfXdpSocketConfig *config,
                            AfXdpUmem *umem, GError **errp)
{
    struct xsk_umem_config reg = {
        .fill_size = config->rx_size,
        .comp_size = config->tx_size,
        .frame_size = AF_XDP_FRAME_SIZE,
    };
    int fd, ret;

    fd = socket_open(config, errp);
    if (fd < 0) {
        return false;
    }
    /* libxdp owns the socket from here on and closes it on failure. */
    ret = xsk_umem__create_with_fd(&s->reg, fd, af_xdp_umem_area(umem),
                                   af_xdp_umem_size(umem), &s->fill, &s->comp,
                                   &reg);
    if (ret < 0) {
        s->reg = NULL;
        af_xdp_error_step(errp, AF_XDP_STEP_UMEM, -ret, config->ifname,
                          config->queue, "cannot register a UMEM of %" PRIu64
                          " KiB", af_xdp_umem_size(umem) / 1024);
        return false;
    }
    s->fd = fd;
    return true;
}

/* Returns 0 or a negative errno. @patience: microseconds left to wait. */
static int socket_bind(AfXdpSocket *s, const AfXdpSocketConfig *config,
                       uint16_t flags, int *patience)
{
    struct xsk_socket_config bind = {
        .rx_size = config->rx_size,
        .tx_size = config->tx_size,
        .libxdp_flags = XSK_LIBXDP_FLAGS__INHIBIT_PROG_LOAD,
        .bind_flags = flags | XDP_USE_NEED_WAKEUP,
    };
    int ret;

    for (;;) {
        ret = xsk_socket__create(&s->xsk, config->ifname, config->queue,
                                 s->reg, &s->rx, &s->tx, &bind);
        if (ret != -EBUSY || *patience <= 0) {
            break;
        }
        g_usleep(BUSY_STEP_US);
        *patience -= BUSY_STEP_US;
    }
    if (ret < 0) {
        s->xsk = NULL;
    }
    return ret;
}

/*
 * libxdp looks the interface up with a socket of its own and hides that there
 * was no descriptor for it. Returns the negative errno to report.
 */
static int out_of_descriptors(int error)
{
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (fd < 0) {
        return -errno;
    }
    close(fd);
    return error;
}

static bool socket_bind_best(AfXdpSocket *s, const AfXdpSocketConfig *config,
                             GError **errp)
{
    bool jumbo = config->frame_max > AF_XDP_RX_ROOM;
    int patience = BUSY_RETRY_US;
    int ret = -EOPNOTSUPP;

    for (size_t i = 0; i < ARRAY_SIZE(bind_modes); i++) {
        const BindMode *mode = &bind_modes[i];

        if (mode->zero_copy &&
            (!config->zero_copy || mode->multi_buffer != jumbo)) {
            continue;
        }
        ret = socket_bind(s, config, mode->flags, &patience);
        if (ret == 0) {
            s->zero_copy = mode->zero_copy;
            s->multi_buffer = mode->multi_buffer;
            return af_xdp_socket_check_mtu(config->ifname, config->queue,
                                           config->frame_max,
                                           mode->multi_buffer, errp);
        }
    }
    if (ret == -ENOENT) {
        ret = out_of_descriptors(ret);
    }
    af_xdp_error_step(errp, AF_XDP_STEP_BIND, -ret, config->ifname,
                      config->queue, "cannot bind an AF_XDP socket");
    return false;
}

/* Nothing here is needed to work, only to work well. */
static void socket_tune(AfXdpSocket *s, const AfXdpSocketConfig *config)
{
    int budget = MIN(TX_BUDGET, config->tx_size);
    int sndbuf = SNDBUF_SIZE;

    if (setsockopt(s->fd, SOL_SOCKET, SO_SNDBUFFORCE, &sndbuf,
                   sizeof(sndbuf)) < 0) {
        setsockopt(s->fd, SOL_SOCKET, SO_SNDBUF, &sndbuf, sizeof(sndbuf));
    }
    setsockopt(s->fd, SOL_XDP, XDP_MAX_TX_SKB_BUDGET, &budget, sizeof(budget));
}

AfXdpSocket *af_xdp_socket_new(const AfXdpSocketConfig *config,
                               AfXdpUmem *umem, GError **errp)
{
    AfXdpSocket *s = af_xdp_lines_new0(sizeof(*s));

    s->fd = -1;
    if (!socket_register(s, config, umem, errp) ||
        !socket_bind_best(s, config, errp)) {
        af_xdp_socket_free(s);
        return NULL;
    }
    if (!s->multi_buffer) {
        s->max_tx_segs = 1;
    } else if (!s->zero_copy) {
        s->max_tx_segs = AF_XDP_MAX_TX_SEGS;
    } else {
        /* Drivers differ; one that takes this MTU takes this many. */
        s->max_tx_segs = DIV_ROUND_UP(config->frame_max, AF_XDP_FRAME_SIZE);
    }
    socket_tune(s, config);
    if (config->fd >= 0) {
        /* Taken over: the copy is the only one. */
        close(config->fd);
    }
    return s;
}

void af_xdp_socket_free(AfXdpSocket *s)
{
    if (!s) {
        return;
    }
    /* Both take NULL; the socket must go before the UMEM. */
    xsk_socket__delete(s->xsk);
    xsk_umem__delete(s->reg);
    free(s);
}

/*
 * What was submitted must be visible before need_wakeup is read, for the
 * kernel sets that and then looks at the ring once more.
 */
static void submit_before_wakeup(void)
{
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

int af_xdp_socket_kick_tx(AfXdpSocket *s)
{
    submit_before_wakeup();
    if (!xsk_ring_prod__needs_wakeup(&s->tx)) {
        return 0;
    }
    return sendto(s->fd, NULL, 0, MSG_DONTWAIT, NULL, 0) < 0 ? -errno : 0;
}

void af_xdp_socket_kick_rx(AfXdpSocket *s)
{
    submit_before_wakeup();
    if (xsk_ring_prod__needs_wakeup(&s->fill)) {
        recvfrom(s->fd, NULL, 0, MSG_DONTWAIT, NULL, NULL);
    }
}

uint32_t af_xdp_socket_tx_pending(const AfXdpSocket *s)
{
    return *s->tx.producer - __atomic_load_n(s->tx.consumer, __ATOMIC_ACQUIRE);
}

int af_xdp_socket_error(AfXdpSocket *s)
{
    int error = 0;
    socklen_t len = sizeof(error);

    getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &error, &len);
    return error;
}

bool af_xdp_socket_stats(const AfXdpSocket *s, uint64_t *rx_dropped,
                         uint64_t *tx_invalid)
{
    struct xdp_statistics stats = { 0 };
    socklen_t len = sizeof(stats);

    /* The kernel fills in as much as it has; before 5.9 that is less. */
    if (getsockopt(s->fd, SOL_XDP, XDP_STATISTICS, &stats, &len) < 0) {
        return false;
    }
    *rx_dropped = stats.rx_dropped + stats.rx_ring_full;
    *tx_invalid = stats.tx_invalid_descs;
    return true;
}
