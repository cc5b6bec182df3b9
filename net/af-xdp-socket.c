/*
 * AF_XDP: one socket, bound to one queue of a network device
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <net/if.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include "net/af-xdp-error.h"
#include "net/af-xdp-lines.h"
#include "net/af-xdp-socket.h"
#include "net/af-xdp-uapi.h"

/* Longer than any zero-copy release seen (30 ms), short for a human. */
#define BUSY_RETRY_MS 500
#define BUSY_STEP_US 5000

/*
 * Memory of a UMEM that was closed counts as locked until a worker of the
 * kernel has unpinned it; whoever registers the same again waits for that.
 */
#define LOCKED_RETRY_MS 500
#define LOCKED_STEP_US 20000

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
                             uint32_t frame_max, uint32_t room,
                             bool multi_buffer, GError **errp)
{
    const uint32_t overhead = AF_XDP_FRAME_OVERHEAD;
    g_autofree char *hint = NULL;

    if (multi_buffer || frame_max <= room) {
        return true;
    }
    hint = g_strdup_printf("Longer frames need Linux 6.6 or later and an XDP "
                           "program that takes multi-buffer frames; otherwise "
                           "lower the MTU: 'ip link set dev %s mtu %u'",
                           ifname, room - overhead);
    af_xdp_error_set(errp, EMSGSIZE, hint,
                     "MTU %u of '%s' (queue %u) does not fit without "
                     "multi-buffer, the largest that fits is %u",
                     frame_max - overhead, ifname, queue,
                     room - overhead);
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

/* --- Rings --- */

/* The rings of a socket, and where its mappings are in AfXdpSocket.map. */
enum { MAP_FILL, MAP_COMP, MAP_BASE_RX, MAP_BASE_TX, MAP_RX, MAP_TX };

typedef struct RingKind {
    int option;                 /* to set its size */
    off_t page;                 /* to map it */
    size_t entry;               /* bytes */
    size_t offsets;             /* in struct xdp_mmap_offsets */
} RingKind;

static const RingKind kind_fill = {
    XDP_UMEM_FILL_RING, XDP_UMEM_PGOFF_FILL_RING, sizeof(uint64_t),
    offsetof(struct xdp_mmap_offsets, fr),
};
static const RingKind kind_comp = {
    XDP_UMEM_COMPLETION_RING, XDP_UMEM_PGOFF_COMPLETION_RING, sizeof(uint64_t),
    offsetof(struct xdp_mmap_offsets, cr),
};
static const RingKind kind_rx = {
    XDP_RX_RING, XDP_PGOFF_RX_RING, sizeof(struct xdp_desc),
    offsetof(struct xdp_mmap_offsets, rx),
};
static const RingKind kind_tx = {
    XDP_TX_RING, XDP_PGOFF_TX_RING, sizeof(struct xdp_desc),
    offsetof(struct xdp_mmap_offsets, tx),
};

/*
 * Make a ring of @size entries and map it. Returns where the kernel put its
 * parts, and 0 or a negative errno.
 */
static int ring_map(int fd, const RingKind *kind, uint32_t size,
                    AfXdpRingMap *map, struct xdp_ring_offset *at)
{
    struct xdp_mmap_offsets offsets;
    socklen_t len = sizeof(offsets);
    void *p;

    if (setsockopt(fd, SOL_XDP, kind->option, &size, sizeof(size)) < 0 ||
        getsockopt(fd, SOL_XDP, XDP_MMAP_OFFSETS, &offsets, &len) < 0) {
        return -errno;
    }
    if (len < sizeof(offsets)) {
        /* Before Linux 5.4 there was no need_wakeup flag. */
        return -EOPNOTSUPP;
    }
    memcpy(at, (char *)&offsets + kind->offsets, sizeof(*at));
    map->size = at->desc + size * kind->entry;
    p = mmap(NULL, map->size, PROT_READ | PROT_WRITE,
             MAP_SHARED | MAP_POPULATE, fd, kind->page);
    if (p == MAP_FAILED) {
        return -errno;
    }
    map->at = p;
    return 0;
}

static void ring_unmap(AfXdpRingMap *map)
{
    if (map->at) {
        munmap(map->at, map->size);
        map->at = NULL;
    }
}

static int ring_prod(int fd, const RingKind *kind, uint32_t size,
                     AfXdpRingMap *map, struct xsk_ring_prod *ring)
{
    struct xdp_ring_offset at;
    int ret = ring_map(fd, kind, size, map, &at);

    if (ret == 0) {
        *ring = (struct xsk_ring_prod) {
            .cached_cons = size,    /* libxdp's way: the entries are free */
            .mask = size - 1,
            .size = size,
            .producer = (uint32_t *)((char *)map->at + at.producer),
            .consumer = (uint32_t *)((char *)map->at + at.consumer),
            .ring = (char *)map->at + at.desc,
            .flags = (uint32_t *)((char *)map->at + at.flags),
        };
    }
    return ret;
}

static int ring_cons(int fd, const RingKind *kind, uint32_t size,
                     AfXdpRingMap *map, struct xsk_ring_cons *ring)
{
    struct xdp_ring_offset at;
    int ret = ring_map(fd, kind, size, map, &at);

    if (ret == 0) {
        *ring = (struct xsk_ring_cons) {
            .mask = size - 1,
            .size = size,
            .producer = (uint32_t *)((char *)map->at + at.producer),
            .consumer = (uint32_t *)((char *)map->at + at.consumer),
            .ring = (char *)map->at + at.desc,
            .flags = (uint32_t *)((char *)map->at + at.flags),
        };
    }
    return ret;
}

/* --- Registration and bind --- */

/* @patience: microseconds to wait for memory that counts as locked. */
static int memory_register(int fd, void *area, uint64_t size,
                           uint32_t headroom, bool unaligned, int64_t patience)
{
    struct xdp_umem_reg reg = {
        .addr = (uintptr_t)area,
        .len = size,
        .chunk_size = AF_XDP_FRAME_SIZE,
        .headroom = headroom,
        .flags = unaligned ? XDP_UMEM_UNALIGNED_CHUNK_FLAG : 0,
    };

    while (setsockopt(fd, SOL_XDP, XDP_UMEM_REG, &reg, sizeof(reg)) < 0) {
        if (errno != ENOBUFS || patience <= 0) {
            return -errno;
        }
        g_usleep(MIN(patience, LOCKED_STEP_US));
        patience -= LOCKED_STEP_US;
    }
    return 0;
}

/* All that bind() wants to find. */
static bool socket_prepare(AfXdpSocket *s, const AfXdpSocketConfig *config,
                           const AfXdpUmem *umem, GError **errp)
{
    int64_t patience = 0;
    int ret = 0;

    if (config->again) {
        patience = 1000 * (int64_t)MIN(config->patience ?: LOCKED_RETRY_MS,
                                       LOCKED_RETRY_MS);
    }
    if (!config->share) {
        ret = memory_register(s->fd, af_xdp_umem_area(umem),
                              af_xdp_umem_size(umem),
                              af_xdp_umem_headroom(umem),
                              af_xdp_umem_is_placed(umem), patience);
    }
    if (ret < 0) {
        af_xdp_error_step(errp, AF_XDP_STEP_UMEM, -ret, config->ifname,
                          config->queue, "cannot register a UMEM of %" PRIu64
                          " KiB", af_xdp_umem_size(umem) / 1024);
        return false;
    }
    ret = ring_prod(s->fd, &kind_fill, config->rx_size, &s->map[MAP_FILL],
                    &s->fill);
    if (ret == 0) {
        ret = ring_cons(s->fd, &kind_comp, config->tx_size, &s->map[MAP_COMP],
                        &s->comp);
    }
    if (ret == 0) {
        ret = ring_cons(s->fd, &kind_rx, config->rx_size,
                        &s->map[MAP_BASE_RX], &s->rx);
    }
    if (ret == 0) {
        ret = ring_prod(s->fd, &kind_tx, config->tx_size,
                        &s->map[MAP_BASE_TX], &s->tx);
    }
    if (ret < 0) {
        af_xdp_error_step(errp, AF_XDP_STEP_UMEM, -ret, config->ifname,
                          config->queue, "cannot make the rings of an AF_XDP "
                          "socket");
        return false;
    }
    return true;
}

/* Returns 0 or a negative errno. @patience: microseconds left to wait. */
static int socket_bind(int fd, int ifindex, uint32_t queue, uint16_t flags,
                       int share, int64_t *patience)
{
    struct sockaddr_xdp addr = {
        .sxdp_family = AF_XDP,
        .sxdp_flags = flags,
        .sxdp_ifindex = ifindex,
        .sxdp_queue_id = queue,
        .sxdp_shared_umem_fd = share,
    };

    while (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
        if (errno != EBUSY || *patience <= 0) {
            return -errno;
        }
        g_usleep(BUSY_STEP_US);
        *patience -= BUSY_STEP_US;
    }
    return 0;
}

/* May the bind mode be tried? */
static bool mode_fits(const BindMode *mode, const AfXdpSocketConfig *config,
                      const AfXdpUmem *umem)
{
    bool jumbo = config->frame_max > af_xdp_umem_rx_room(umem);

    if (!mode->zero_copy) {
        return config->bind != AF_XDP_BIND_ZERO_COPY;
    }
    return config->bind != AF_XDP_BIND_COPY && mode->multi_buffer == jumbo &&
           !(mode->multi_buffer && af_xdp_umem_is_placed(umem));
}

/* As the socket that has registered the memory; the kernel sees to that. */
static int socket_bind_shared(AfXdpSocket *s, const AfXdpSocketConfig *config,
                              int64_t *patience)
{
    const AfXdpSocket *other = config->share;
    int fd = other->base_fd >= 0 ? other->base_fd : other->fd;
    int ret = socket_bind(s->fd, s->ifindex, s->queue, XDP_SHARED_UMEM, fd,
                          patience);

    s->zero_copy = other->zero_copy;
    s->multi_buffer = other->multi_buffer;
    return ret;
}

static int socket_bind_best(AfXdpSocket *s, const AfXdpSocketConfig *config,
                            const AfXdpUmem *umem)
{
    int64_t patience = 1000 * (int64_t)(config->patience ?: BUSY_RETRY_MS);
    int ret = -EOPNOTSUPP;

    if (config->share) {
        return socket_bind_shared(s, config, &patience);
    }
    for (size_t i = 0; i < ARRAY_SIZE(bind_modes); i++) {
        const BindMode *mode = &bind_modes[i];

        if (mode_fits(mode, config, umem)) {
            ret = socket_bind(s->fd, s->ifindex, s->queue,
                              mode->flags | XDP_USE_NEED_WAKEUP, 0, &patience);
            if (ret == 0) {
                s->zero_copy = mode->zero_copy;
                s->multi_buffer = mode->multi_buffer;
                return 0;
            }
        }
    }
    return ret;
}

static void error_bind(const AfXdpSocketConfig *config, int errnum,
                       GError **errp)
{
    if (config->bind == AF_XDP_BIND_ZERO_COPY &&
        (errnum == EOPNOTSUPP || errnum == EINVAL)) {
        af_xdp_error_set(errp, errnum,
                         "A queue that is leased from a NIC never sends in "
                         "copy mode, so the NIC's driver must have AF_XDP "
                         "zero-copy, and take the MTU and the number of "
                         "queues: 'dmesg' may say why not.",
                         "cannot bind an AF_XDP socket in driver zero-copy on "
                         "'%s' queue %u", config->ifname, config->queue);
        return;
    }
    af_xdp_error_step(errp, AF_XDP_STEP_BIND, errnum, config->ifname,
                      config->queue, "cannot bind an AF_XDP socket");
}

/* Nothing here is needed to work, only to work well. */
static void socket_tune(AfXdpSocket *s)
{
    int budget = MIN(TX_BUDGET, s->tx.size);
    int sndbuf = SNDBUF_SIZE;

    if (setsockopt(s->fd, SOL_SOCKET, SO_SNDBUFFORCE, &sndbuf,
                   sizeof(sndbuf)) < 0) {
        setsockopt(s->fd, SOL_SOCKET, SO_SNDBUF, &sndbuf, sizeof(sndbuf));
    }
    setsockopt(s->fd, SOL_XDP, XDP_MAX_TX_SKB_BUDGET, &budget, sizeof(budget));
}

/* --- Beginning and end --- */

static AfXdpSocket *socket_alloc(void)
{
    AfXdpSocket *s = af_xdp_lines_new0(sizeof(*s));

    s->fd = -1;
    s->base_fd = -1;
    return s;
}

/* The index of a device, or a negative errno; if_nametoindex() hides it. */
static int find_device(const char *ifname)
{
    struct ifreq ifr = { 0 };
    int ret, fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (fd < 0) {
        return -errno;
    }
    g_strlcpy(ifr.ifr_name, ifname, sizeof(ifr.ifr_name));
    ret = ioctl(fd, SIOCGIFINDEX, &ifr) < 0 ? -errno : ifr.ifr_ifindex;
    close(fd);
    return ret;
}

static bool socket_setup(AfXdpSocket *s, const AfXdpSocketConfig *config,
                         const AfXdpUmem *umem, GError **errp)
{
    int ret;

    s->queue = config->queue;
    s->rx_room = af_xdp_umem_rx_room(umem);
    s->fd = socket_open(config, errp);
    if (s->fd < 0) {
        return false;
    }
    s->ifindex = config->ifindex ?: find_device(config->ifname);
    if (s->ifindex < 0) {
        error_bind(config, -s->ifindex, errp);
        return false;
    }
    if (!socket_prepare(s, config, umem, errp)) {
        return false;
    }
    ret = socket_bind_best(s, config, umem);
    if (ret < 0) {
        error_bind(config, -ret, errp);
        return false;
    }
    return af_xdp_socket_check_mtu(config->ifname, config->queue,
                                   config->frame_max, s->rx_room,
                                   s->multi_buffer, errp);
}

AfXdpSocket *af_xdp_socket_new(const AfXdpSocketConfig *config,
                               AfXdpUmem *umem, GError **errp)
{
    AfXdpSocket *s = socket_alloc();

    if (!socket_setup(s, config, umem, errp)) {
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
    socket_tune(s);
    if (config->fd >= 0) {
        /* Taken over: the copy is the only one. */
        close(config->fd);
    }
    return s;
}

bool af_xdp_socket_try(const AfXdpPlace *place, GError **errp)
{
    int fd = socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0);
    int ret = fd < 0 ? -errno : memory_register(fd, place->area, place->size,
                                                place->headroom, true, 0);

    if (ret < 0) {
        af_xdp_error_step(errp, AF_XDP_STEP_UMEM, -ret, NULL, -1,
                          "cannot register %" PRIu64 " MiB as a UMEM",
                          place->size >> 20);
    }
    if (fd >= 0) {
        close(fd);
    }
    return ret == 0;
}

AfXdpSocket *af_xdp_socket_absent(void)
{
    /* Indices that never move: rings without entries look at these. */
    static uint32_t index, flags;
    AfXdpSocket *s = socket_alloc();

    s->fill.producer = s->fill.consumer = &index;
    s->tx.producer = s->tx.consumer = &index;
    s->rx.producer = s->rx.consumer = &index;
    s->comp.producer = s->comp.consumer = &index;
    s->fill.flags = s->tx.flags = &flags;
    s->max_tx_segs = 1;
    s->rx_room = AF_XDP_RX_ROOM;
    s->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (s->fd < 0) {
        free(s);
        return NULL;
    }
    return s;
}

bool af_xdp_socket_open_second(AfXdpSocket *s, GError **errp)
{
    struct xsk_ring_cons rx;
    struct xsk_ring_prod tx;
    int64_t patience = 0;
    int fd, ret;

    fd = socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0);
    ret = fd < 0 ? -errno : 0;
    if (ret == 0) {
        ret = ring_cons(fd, &kind_rx, s->rx.size, &s->map[MAP_RX], &rx);
    }
    if (ret == 0) {
        ret = ring_prod(fd, &kind_tx, s->tx.size, &s->map[MAP_TX], &tx);
    }
    if (ret == 0) {
        ret = socket_bind(fd, s->ifindex, s->queue, XDP_SHARED_UMEM, s->fd,
                          &patience);
    }
    if (ret < 0) {
        af_xdp_error_set(errp, -ret, NULL,
                         "cannot bind a second AF_XDP socket to queue %u",
                         s->queue);
        ring_unmap(&s->map[MAP_RX]);
        ring_unmap(&s->map[MAP_TX]);
        if (fd >= 0) {
            close(fd);
        }
        return false;
    }
    s->base_fd = s->fd;
    s->base_rx = s->rx;
    s->base_tx = s->tx;
    s->fd = fd;
    s->rx = rx;
    s->tx = tx;
    socket_tune(s);
    return true;
}

static bool add_stats(int fd, uint64_t *rx_dropped, uint64_t *tx_invalid)
{
    struct xdp_statistics stats = { 0 };
    socklen_t len = sizeof(stats);

    /* The kernel fills in as much as it has; before 5.9 that is less. */
    if (getsockopt(fd, SOL_XDP, XDP_STATISTICS, &stats, &len) < 0) {
        return false;
    }
    *rx_dropped += stats.rx_dropped + stats.rx_ring_full;
    *tx_invalid += stats.tx_invalid_descs;
    return true;
}

void af_xdp_socket_close_second(AfXdpSocket *s)
{
    if (s->base_fd < 0) {
        return;
    }
    add_stats(s->fd, &s->rx_dropped, &s->tx_invalid);
    /* While a mapping is there, close() does nothing. */
    ring_unmap(&s->map[MAP_RX]);
    ring_unmap(&s->map[MAP_TX]);
    close(s->fd);
    s->fd = s->base_fd;
    s->rx = s->base_rx;
    s->tx = s->base_tx;
    s->base_fd = -1;
}

void af_xdp_socket_free(AfXdpSocket *s)
{
    if (!s) {
        return;
    }
    af_xdp_socket_close_second(s);
    for (size_t i = 0; i < ARRAY_SIZE(s->map); i++) {
        ring_unmap(&s->map[i]);
    }
    if (s->fd >= 0) {
        close(s->fd);
    }
    free(s);
}

/* --- While it lives --- */

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

int af_xdp_socket_probe(const AfXdpSocket *s)
{
    if (s->ifindex == 0) {
        return -ENXIO;
    }
    if (sendto(s->fd, NULL, 0, MSG_DONTWAIT, NULL, 0) < 0 &&
        (errno == ENETDOWN || errno == ENXIO || errno == ENODEV)) {
        return errno == ENETDOWN ? -ENETDOWN : -ENXIO;
    }
    return 0;
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
    int error = 0, base_error = 0;
    socklen_t len = sizeof(error);

    getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &error, &len);
    if (s->base_fd >= 0) {
        getsockopt(s->base_fd, SOL_SOCKET, SO_ERROR, &base_error, &len);
    }
    return error ?: base_error;
}

bool af_xdp_socket_stats(const AfXdpSocket *s, uint64_t *rx_dropped,
                         uint64_t *tx_invalid)
{
    *rx_dropped = s->rx_dropped;
    *tx_invalid = s->tx_invalid;
    return add_stats(s->fd, rx_dropped, tx_invalid) &&
           (s->base_fd < 0 || add_stats(s->base_fd, rx_dropped, tx_invalid));
}
