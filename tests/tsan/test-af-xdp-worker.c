/*
 * The data plane in its thread, while everything about it is changed
 *
 * To be run under ThreadSanitizer. A guest and a far end of the veth pair make
 * traffic, each in a thread of its own; the worker moves the packets in an
 * IOThread; this thread, as QEMU's main loop does, starts and stops it and
 * replaces what it uses. Whatever was replaced is freed, closed or made
 * inaccessible at once, as QEMU may do.
 *
 * Beside races, this sees packets that are damaged, doubled or stuck, and
 * counts every packet and every buffer. With direct buffers also what the
 * kernel writes to guest memory when it may not any more.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <linux/virtio_net.h>
#include <sys/eventfd.h>
#include "af-xdp-netns.h"
#include "ebpf/ebpf_af_xdp.h"
#include "guest.h"
#include "memory.h"
#include "qapi/error.h"
#include "qemu/lockable.h"
#include "qemu/main-loop.h"
#include "qemu/module.h"
#include "qom/object.h"
#include "sanitizer.h"
#include "system/iothread.h"
#include "wire.h"

#define MERGEABLE (1ULL << VIRTIO_NET_F_MRG_RXBUF)
#define MODERN (1ULL << VIRTIO_F_VERSION_1)
#define PACKED (1ULL << VIRTIO_F_RING_PACKED)
#define EVENT_IDX (1ULL << VIRTIO_RING_F_EVENT_IDX)
#define INDIRECT (1ULL << VIRTIO_RING_F_INDIRECT_DESC)

/* Starts, and changes between each and its stop. */
#define ROUNDS 15
#define CHANGES 6
/*
 * After a change so many packets have to come through, both ways: more than
 * the guest may not have seen yet when it was made.
 */
#define PROGRESS (RING_SIZE + 1)
/* So long nothing may change after a stop: the wire's pauses are shorter. */
#define LOOK_US 5000
/* For what takes microseconds, on a slow machine that does other things. */
#define PATIENCE_US (60 * G_USEC_PER_SEC)

/* Bytes of direct buffers behind the header. */
#define ROOM (FRAME_MAX + 4)
/* Bytes of a queue's frames in the window. */
#define FRONT ((uint64_t)AF_XDP_COPY_FRAMES * AF_XDP_FRAME_SIZE)

typedef struct Scenario {
    uint64_t features;
    int64_t poll_max_ns;
    bool direct;                /* buffers */
} Scenario;

typedef struct Bench {
    EbpfAfXdp *prog[2];
    AfXdpCopy *copy[QUEUES];    /* of the guest's end */
    Wire wire;
    Guest *guest;
    GRand *rand;
    const char *doing;          /* the last change */
    const char *before;         /* and the one before it */

    bool direct;
    Memory ram;
    AfXdpMemory *memory;        /* the table of it */
    AfXdpLog *log;

    IOThread *thread;
    AfXdpWorker *worker;
    int call[AF_XDP_RINGS];
    uint32_t base[AF_XDP_RINGS];
    bool lent;                  /* copy[1], to the worker */
    uint32_t at_lend[QUEUES];   /* received until then */
    uint32_t while_lent[QUEUES];    /* and since, of all times together */
    uint64_t calls;
    uint64_t rx_packets;        /* of copy[0], when its counters were read */
    uint64_t rx_direct;         /* packets since the last start, likewise */
    uint64_t rx_lost;
    uint64_t lost;              /* of all starts */
    uint32_t drained;           /* packets this thread took from copy[1] */
    Seen seen;
} Bench;

/* --- Looking at the traffic --- */

static void patience(Bench *b, int64_t *deadline)
{
    if (*deadline == 0) {
        *deadline = g_get_monotonic_time() + PATIENCE_US;
    }
    if (g_get_monotonic_time() > *deadline) {
        g_error("stuck after: %s; before that: %s; received %u + %u, sent %u, "
                "done %u", b->doing, b->before,
                qatomic_read(&b->guest->received[0]),
                qatomic_read(&b->guest->received[1]),
                qatomic_read(&b->guest->sent), qatomic_read(&b->guest->done));
    }
    g_usleep(100);
}

static void now_doing(Bench *b, const char *doing)
{
    b->before = b->doing;
    b->doing = doing;
}

/* Packets come through to the guest, from @queue, and from the guest. */
static void progress(Bench *b, int queue)
{
    uint32_t *received = &b->guest->received[queue];
    uint32_t rx = qatomic_read(received), tx = qatomic_read(&b->guest->done);
    int64_t deadline = 0;

    while (qatomic_read(received) - rx < PROGRESS ||
           qatomic_read(&b->guest->done) - tx < PROGRESS) {
        patience(b, &deadline);
    }
}

/* As many calls as were made by an eventfd. */
static uint64_t drain_eventfd(int fd)
{
    uint64_t n = 0;

    if (read(fd, &n, sizeof(n)) < 0) {
        g_assert_cmpint(errno, ==, EAGAIN);
    }
    return n;
}

static int new_eventfd(void)
{
    int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);

    g_assert_cmpint(fd, >=, 0);
    return fd;
}

/* A ring at rest goes on where all that was taken has been used. */
static void assert_at_rest(Bench *b, int i, uint32_t base)
{
    Driver *d = b->guest->driver[i];

    if (d->packed) {
        g_assert_cmpuint(base & 0xffff, ==, base >> 16);
    } else {
        uint16_t idx = qatomic_read(&driver_used(d)->idx);

        g_assert_cmpuint(base, ==, le16toh(idx));
    }
}

static void read_stats(void *opaque)
{
    Bench *b = opaque;
    const AfXdpCopyStats *stats = af_xdp_copy_stats(b->copy[0]);
    const AfXdpDatapathStats *path_stats =
        af_xdp_datapath_stats(af_xdp_worker_datapath(b->worker));

    g_assert_cmpuint(stats->rx_packets, >=, b->rx_packets);
    b->rx_packets = stats->rx_packets;
    b->rx_direct = path_stats->rx_direct;
    b->rx_lost = path_stats->rx_lost;
    g_assert_cmpuint(stats->rx_malformed, ==, 0);
    g_assert_cmpuint(path_stats->rx_too_long, ==, 0);
}

static void look_at_stats(Bench *b)
{
    af_xdp_worker_call(b->worker, read_stats, b);
}

/* --- Direct buffers: as af_xdp_ram_begin() and af_xdp_ram_end() do --- */

static void into_map(EbpfAfXdp *prog, uint32_t queue, int fd)
{
    GError *err = NULL;

    ebpf_af_xdp_replace_socket(prog, queue, fd, &err);
    g_assert_no_error(err);
}

static void direct_begin(Bench *b)
{
    AfXdpDirectConfig config = {
        .area = af_xdp_window_area(b->ram.window),
        .size = af_xdp_window_size(b->ram.window),
        .front = af_xdp_window_front(b->ram.window),
        .headroom = AF_XDP_RX_ROOM - ROOM,
        .room = ROOM,
        .rx = true, .tx = true,
        .spare = RING_SIZE / 4,
    };
    GError *err = NULL;

    af_xdp_copy_outside_begin(b->copy[0], &err);
    g_assert_no_error(err);
    af_xdp_datapath_direct_begin(af_xdp_worker_datapath(b->worker), &config);
    into_map(b->prog[0], 0, af_xdp_copy_socket(b->copy[0])->fd);
}

static void direct_end(Bench *b)
{
    AfXdpDatapath *dp = af_xdp_worker_datapath(b->worker);
    bool call = false;

    into_map(b->prog[0], 0, af_xdp_copy_base_fd(b->copy[0]));
    af_xdp_datapath_direct_stop(dp, &call);
    af_xdp_datapath_direct_end(dp, &call);
    if (call) {
        af_xdp_worker_notify(b->worker);
    }
}

/* The worker holds still: buffers are with the kernel only in between. */
static void set_active(Bench *b, bool active)
{
    if (active && b->direct) {
        direct_begin(b);
    }
    af_xdp_worker_set_active(b->worker, active);
    if (!active && b->direct) {
        direct_end(b);
    }
}

/* Packets come into the guest's buffers, if all of these are in the window. */
static void progress_direct(Bench *b)
{
    int64_t deadline = 0;
    uint64_t before;

    if (!b->direct || b->ram.which) {
        return;
    }
    look_at_stats(b);
    before = b->rx_direct;
    while (b->rx_direct - before < PROGRESS) {
        patience(b, &deadline);
        g_usleep(1000);
        look_at_stats(b);
    }
}

/* --- Changes --- */

static void change_call(Bench *b)
{
    int i = g_rand_int_range(b->rand, 0, AF_XDP_RINGS);
    int old = b->call[i];

    if (g_rand_boolean(b->rand)) {
        /* Masked for a while. */
        af_xdp_worker_set_call(b->worker, i, -1);
        now_doing(b, "call fd taken away");
        progress(b, 0);
    }
    b->call[i] = new_eventfd();
    af_xdp_worker_set_call(b->worker, i, b->call[i]);
    b->calls += drain_eventfd(old);
    close(old);
}

static void change_kick(Bench *b)
{
    for (int i = 0; i < AF_XDP_RINGS; i++) {
        int new = new_eventfd(), old;

        WITH_QEMU_LOCK_GUARD(&b->guest->lock) {
            old = b->guest->kick[i];
            b->guest->kick[i] = new;
        }
        af_xdp_worker_set_kick(b->worker, i, new);
        /* A kick that came too late for the worker is passed on. */
        if (drain_eventfd(old) > 0) {
            eventfd_write(new, 1);
        }
        close(old);
    }
    /* A change after this one might wake up what has fallen asleep. */
    progress(b, 0);
}

static void change_memory(Bench *b)
{
    AfXdpMemory *old = b->memory;

    memory_turn(&b->ram);
    b->memory = memory_table(&b->ram);
    af_xdp_worker_set_memory(b->worker, b->memory);
    af_xdp_memory_free(old);
    memory_unplug(&b->ram);
}

static void log_new(Bench *b)
{
    const uint64_t end = DRIVER_HIGH + DRIVER_REGION_SIZE;
    const uint64_t pages = end >> AF_XDP_LOG_PAGE_BITS;

    b->log = g_new0(AfXdpLog, 1);
    b->log->n_words = DIV_ROUND_UP(pages, BITS_PER_LONG);
    b->log->words = g_new0(unsigned long, b->log->n_words);
}

static void log_free(Bench *b)
{
    if (b->log) {
        g_free(b->log->words);
        g_free(b->log);
        b->log = NULL;
    }
}

/* Migration takes the bits while they are set; the page of @gpa was written. */
static void assert_logged(Bench *b, uint64_t gpa)
{
    uint64_t page = gpa >> AF_XDP_LOG_PAGE_BITS;
    unsigned long word = qatomic_xchg(&b->log->words[page / BITS_PER_LONG], 0);

    g_assert_true(word & (1UL << page % BITS_PER_LONG));
}

static void change_log(Bench *b)
{
    if (!b->log) {
        log_new(b);
        af_xdp_worker_set_log(b->worker, b->log);
        now_doing(b, "log switched on");
        progress(b, 0);
        for (int i = 0; i < AF_XDP_RINGS; i++) {
            Driver *d = b->guest->driver[i];

            assert_logged(b, d->place + (d->packed ? DRIVER_DESC
                                                   : DRIVER_USED));
        }
        if (g_rand_boolean(b->rand)) {
            return;
        }
    }
    af_xdp_worker_set_log(b->worker, NULL);
    log_free(b);
}

static void change_active(Bench *b)
{
    uint32_t base[AF_XDP_RINGS];

    set_active(b, false);
    for (int i = 0; i < AF_XDP_RINGS; i++) {
        base[i] = af_xdp_worker_base(b->worker, i);
        assert_at_rest(b, i, base[i]);
    }
    WITH_QEMU_LOCK_GUARD(&b->guest->lock) {
        memory_remember(&b->ram);
        g_usleep(LOOK_US);
        memory_compare(&b->ram);
    }
    for (int i = 0; i < AF_XDP_RINGS; i++) {
        g_assert_cmpuint(af_xdp_worker_base(b->worker, i), ==, base[i]);
    }
    set_active(b, true);
    if (g_rand_boolean(b->rand)) {
        progress_direct(b);
    }
}

/* Receive from copy[1] here, as the net layer does while nobody has it. */
static void drain(Bench *b)
{
    uint8_t frame[FRAME_MAX];
    struct iovec iov[AF_XDP_MAX_SEGS];

    for (int i = 0; i < 64 && af_xdp_copy_rx_next(b->copy[1], iov) > 0; i++) {
        memcpy(frame, iov[0].iov_base, iov[0].iov_len);
        packet_check(frame, iov[0].iov_len, &b->seen);
        b->drained++;
    }
    af_xdp_copy_rx_flush(b->copy[1]);
}

static void lend(Bench *b)
{
    drain(b);
    for (int i = 0; i < QUEUES; i++) {
        b->at_lend[i] = qatomic_read(&b->guest->received[i]);
    }
    af_xdp_worker_lend(b->worker, b->copy[1]);
    b->lent = true;
}

/* The worker has given the socket back. */
static void lent_until_now(Bench *b)
{
    for (int i = 0; i < QUEUES && b->lent; i++) {
        b->while_lent[i] += qatomic_read(&b->guest->received[i]) -
                            b->at_lend[i];
    }
    b->lent = false;
}

static void change_lent(Bench *b)
{
    if (!b->lent) {
        lend(b);
        now_doing(b, "socket lent");
        progress(b, 1);
        if (g_rand_boolean(b->rand)) {
            return;
        }
    }
    af_xdp_worker_take_back(b->worker, b->copy[1]);
    lent_until_now(b);
    drain(b);
}

static void look_at_base(Bench *b)
{
    for (int i = 0; i < AF_XDP_RINGS; i++) {
        uint32_t base = af_xdp_worker_base(b->worker, i);
        Driver *d = b->guest->driver[i];

        if (b->direct) {
            /* What is posted has not been used. */
        } else if (d->packed) {
            g_assert_cmpuint(base & 0xffff, ==, base >> 16);
        } else {
            uint16_t idx = le16toh(qatomic_read(&driver_used(d)->idx));

            /* It may have gone on since. */
            g_assert_cmpint((int16_t)(idx - base), >=, 0);
        }
    }
}

static void send_again(Bench *b)
{
    af_xdp_worker_tx(b->worker);
}

static const struct {
    void (*func)(Bench *b);
    const char *doing;
} changes[] = {
    { change_call, "call fd changed" },
    { change_kick, "kick fd changed" },
    { change_memory, "memory table changed" },
    { change_log, "log changed" },
    { change_active, "inactive" },
    { change_lent, "socket lent or taken back" },
    { look_at_base, "position asked for" },
    { look_at_stats, "counters read" },
    { send_again, "told to send" },
};

/* --- Start and stop --- */

static void start(Bench *b)
{
    AfXdpWorkerRing rings[AF_XDP_RINGS];
    GError *err = NULL;

    for (int i = 0; i < AF_XDP_RINGS; i++) {
        b->call[i] = new_eventfd();
        rings[i] = (AfXdpWorkerRing) {
            .ready = true,
            .config = driver_config(b->guest->driver[i], b->base[i]),
            .call = b->call[i],
            .kick = b->guest->kick[i],
        };
        rings[i].config.memory = b->memory;
        rings[i].config.log = b->log;
    }
    af_xdp_worker_set_active(b->worker, false);
    af_xdp_worker_start(b->worker, rings, MERGEABLE | MODERN, &err);
    g_assert_no_error(err);
    set_active(b, true);
}

/* Stop, and see that nothing of the guest's is touched any more. */
static void stop(Bench *b)
{
    bool before = g_rand_boolean(b->rand);

    if (before) {
        qemu_mutex_lock(&b->guest->lock);
    }
    if (b->direct || g_rand_boolean(b->rand)) {
        set_active(b, false);
    }
    look_at_stats(b);
    b->lost += b->rx_lost;
    af_xdp_worker_stop(b->worker, b->base);
    lent_until_now(b);
    if (!before) {
        /* The guest may be in the midst of a burst, and kick. */
        qemu_mutex_lock(&b->guest->lock);
    }
    memory_hide(&b->ram);
    memory_remember(&b->ram);
    log_free(b);
    af_xdp_memory_free(b->memory);
    for (int i = 0; i < AF_XDP_RINGS; i++) {
        b->calls += drain_eventfd(b->call[i]);
        close(b->call[i]);
        close(b->guest->kick[i]);
        b->guest->kick[i] = new_eventfd();
    }
    drain(b);
    g_usleep(LOOK_US);
    memory_compare(&b->ram);
    memory_show(&b->ram);
    if (b->direct && b->ram.which) {
        memory_turn(&b->ram);
        memory_unplug(&b->ram);
    }
    b->memory = memory_table(&b->ram);
    for (int i = 0; i < AF_XDP_RINGS; i++) {
        assert_at_rest(b, i, b->base[i]);
    }
    qemu_mutex_unlock(&b->guest->lock);
}

/* --- Begin and end --- */

static AfXdpCopy *open_queue(EbpfAfXdp *prog, const char *ifname,
                             uint32_t queue)
{
    GError *err = NULL;
    AfXdpCopy *copy = af_xdp_copy_new(ifname, queue, -1, FRAME_MAX,
                                      AF_XDP_BIND_BEST, &err);

    g_assert_no_error(err);
    into_map(prog, queue, af_xdp_copy_socket(copy)->fd);
    return copy;
}

/* The guest's end of a queue, to the window; the first one registers it. */
static void move_queue(Bench *b, uint32_t queue)
{
    AfXdpPlace place = {
        .area = af_xdp_window_area(b->ram.window),
        .size = af_xdp_window_size(b->ram.window),
        .base = queue * FRONT,
        .headroom = AF_XDP_RX_ROOM - ROOM,
    };
    AfXdpMove move = {
        .ifname = "va", .frame_max = ROOM, .copy_mode = true,
        .place = &place,
        .share = queue ? b->copy[0] : NULL,
    };
    GError *err = NULL;

    af_xdp_copy_move(b->copy[queue], &move, &err);
    g_assert_no_error(err);
    into_map(b->prog[0], queue, af_xdp_copy_socket(b->copy[queue])->fd);
}

static EbpfAfXdp *attach(const char *ifname)
{
    EbpfAfXdpConfig config = {
        .ifname = ifname,
        .dev_queues = QUEUES,
        .queues = QUEUES,
    };
    GError *err = NULL;
    EbpfAfXdp *prog = ebpf_af_xdp_attach(&config, &err);

    g_assert_no_error(err);
    return prog;
}

static IOThread *new_thread(int64_t poll_max_ns)
{
    g_autofree char *ns = g_strdup_printf("%" PRId64, poll_max_ns);
    Object *obj = object_new_with_props(TYPE_IOTHREAD,
                                        object_get_internal_root(), "worker",
                                        &error_abort, "poll-max-ns", ns, NULL);

    /* Unparenting, which ends the thread, frees it otherwise. */
    object_ref(obj);
    return IOTHREAD(obj);
}

static void bench_open(Bench *b, const Scenario *scenario)
{
    ip("link add va numrxqueues %d numtxqueues %d type veth "
       "peer name vb numrxqueues %d numtxqueues %d",
       QUEUES, QUEUES, QUEUES, QUEUES);
    /* No IPv6, whose own packets would mix with ours. */
    ip("link set va addrgenmode none up");
    ip("link set vb addrgenmode none up");
    b->prog[0] = attach("va");
    b->prog[1] = attach("vb");
    b->direct = scenario->direct;
    memory_open(&b->ram, b->direct ? QUEUES * FRONT : 0);
    b->memory = memory_table(&b->ram);
    b->guest = guest_new(scenario->features, b->ram.host, b->direct);
    for (uint32_t i = 0; i < QUEUES; i++) {
        b->copy[i] = open_queue(b->prog[0], "va", i);
        b->wire.copy[i] = open_queue(b->prog[1], "vb", i);
        if (b->direct) {
            move_queue(b, i);
        }
    }
    if (b->direct) {
        seen_any_order(&b->guest->seen);
        seen_any_order(&b->wire.seen);
    }
    b->rand = g_rand_new_with_seed(scenario->features);
    for (int i = 0; i < AF_XDP_RINGS; i++) {
        b->guest->kick[i] = new_eventfd();
        b->base[i] = scenario->features & PACKED ? 0x80008000 : 0;
    }
    b->thread = new_thread(scenario->poll_max_ns);
    b->worker = af_xdp_worker_new(iothread_get_aio_context(b->thread),
                                  b->copy[0], "test");
}

/* All frames are where they are at the beginning. */
static void assert_all_home(Bench *b, AfXdpCopy *copy)
{
    const AfXdpUmem *umem = af_xdp_copy_umem(copy);
    int64_t deadline = 0;

    now_doing(b, "the end, frames are missing");
    af_xdp_copy_tx_flush(copy);
    while (af_xdp_umem_count(umem, AF_XDP_FRAME_TX) > 0) {
        patience(b, &deadline);
        af_xdp_copy_tx_flush(copy);
    }
    g_assert_cmpuint(af_xdp_umem_count(umem, AF_XDP_FRAME_RECEIVED), ==, 0);
    if (!af_xdp_umem_is_placed(umem)) {
        g_assert_cmpuint(af_xdp_umem_count(umem, AF_XDP_FRAME_FILL), ==,
                         af_xdp_umem_count(umem, AF_XDP_FRAME_FREE));
    }
}

/* Let the guest's packets run out, stop, and account for everything. */
static void settle(Bench *b)
{
    const AfXdpCopyStats *stats = af_xdp_copy_stats(b->copy[0]);
    Guest *g = b->guest;
    int64_t deadline = 0;

    qatomic_set(&b->wire.quiet, true);
    WITH_QEMU_LOCK_GUARD(&g->lock) {
        qatomic_set(&g->quiet, true);
    }
    now_doing(b, "the end, the guest's packets are missing");
    while (qatomic_read(&g->done) != qatomic_read(&g->sent)) {
        patience(b, &deadline);
    }
    stop(b);
    wire_join(&b->wire);
    guest_join(g);

    /* Sent: all that the guest gave, once; or taken back, and given again. */
    g_assert_cmpuint(stats->tx_packets, >=, g->sent);
    g_assert_true(b->direct || stats->tx_packets == g->sent);
    g_assert_cmpuint(stats->tx_runt + stats->tx_oversize, ==, 0);
    g_assert_cmpuint(g->n_slots[AF_XDP_TX], ==, RING_SIZE);
    g_assert_cmpuint(b->wire.received, <=, g->sent);
    /* Received: all that the sockets gave, once. */
    g_assert_cmpuint(stats->rx_packets +
                     af_xdp_copy_stats(b->copy[1])->rx_packets, ==,
                     g->received[0] + g->received[1] + b->drained +
                     b->lost);
    /* Of the buffers, those that the guest has not are in the ring. */
    for (int i = 0; i < AF_XDP_RINGS; i++) {
        uint32_t held = 0;

        for (uint32_t id = 0; id <= UINT16_MAX; id++) {
            held += !!g->driver[i]->by_id[id];
        }
        g_assert_cmpuint(g->n_slots[i] + held, ==, RING_SIZE);
    }
    g_assert_cmpuint(b->calls, >, 0);
    /*
     * Of both sockets the worker was sent the same. Whoever is asked first
     * would get four times as much and more. (Direct buffers are for one.)
     */
    g_assert_cmpuint(b->while_lent[1], >,
                     b->direct ? 0 : b->while_lent[0] / 4);
    g_test_message("%u packets sent, %u of them arrived; %u received, while a "
                   "socket was lent %u and %u from that, %" PRIu64 " lost; %"
                   PRIu64 " calls",
                   g->sent, b->wire.received, g->received[0] + g->received[1],
                   b->while_lent[0], b->while_lent[1], b->lost, b->calls);
    for (int i = 0; i < QUEUES; i++) {
        assert_all_home(b, b->copy[i]);
        assert_all_home(b, b->wire.copy[i]);
    }
}

static void bench_close(Bench *b)
{
    af_xdp_worker_free(b->worker);
    iothread_destroy(b->thread);
    object_unref(OBJECT(b->thread));
    for (int i = 0; i < AF_XDP_RINGS; i++) {
        close(b->guest->kick[i]);
    }
    guest_free(b->guest);
    af_xdp_memory_free(b->memory);
    for (int i = 0; i < QUEUES; i++) {
        af_xdp_copy_free(b->copy[i]);
        af_xdp_copy_free(b->wire.copy[i]);
    }
    memory_close(&b->ram);
    seen_free(&b->wire.seen);
    ebpf_af_xdp_detach(b->prog[0], NULL);
    ebpf_af_xdp_detach(b->prog[1], NULL);
    g_rand_free(b->rand);
    g_free(b);
    ip("link del va");
}

static void test_changes(gconstpointer opaque)
{
    Bench *b;

    if (!netns_fresh()) {
        return;
    }
    b = g_new0(Bench, 1);
    bench_open(b, opaque);
    guest_start(b->guest);
    wire_start(&b->wire);
    for (int round = 0; round < ROUNDS; round++) {
        start(b);
        now_doing(b, "start");
        progress(b, 0);
        progress_direct(b);
        now_doing(b, "kick fd changed, first of all");
        change_kick(b);
        for (int i = 0; i < CHANGES; i++) {
            int which = g_rand_int_range(b->rand, 0, ARRAY_SIZE(changes));

            now_doing(b, changes[which].doing);
            changes[which].func(b);
            /* Also one change right after another. */
            if (g_rand_boolean(b->rand)) {
                progress(b, 0);
            }
        }
        if (round < ROUNDS - 1) {
            stop(b);
        }
    }
    settle(b);
    bench_close(b);
}

int main(int argc, char **argv)
{
    static const Scenario scenarios[] = {
        { INDIRECT, 32768 },
        { EVENT_IDX | INDIRECT, 32768 },
        { PACKED, 32768 },
        { PACKED | EVENT_IDX | INDIRECT, 32768 },
        { EVENT_IDX, 0 },
        { PACKED | INDIRECT, 0 },
        { EVENT_IDX | INDIRECT, 32768, true },
        { PACKED, 0, true },
    };
    bool race_only = argc == 2 && !strcmp(argv[1], "--race");

    netns_init();
    module_call_init(MODULE_INIT_QOM);
    qemu_init_main_loop(&error_abort);
    if (race_only) {
        return sanitizer_race(new_thread(0));
    }
    packet_init();
    g_test_init(&argc, &argv, NULL);
    for (int i = 0; i < ARRAY_SIZE(scenarios); i++) {
        const Scenario *s = &scenarios[i];
        g_autofree char *name =
            g_strdup_printf("/worker/%s%s%s%s%s",
                            s->features & PACKED ? "packed" : "split",
                            s->features & EVENT_IDX ? ",event-idx" : "",
                            s->features & INDIRECT ? ",indirect" : "",
                            s->poll_max_ns ? ",polling" : "",
                            s->direct ? ",direct" : "");

        g_test_add_data_func(name, s, test_changes);
    }
    return g_test_run();
}
