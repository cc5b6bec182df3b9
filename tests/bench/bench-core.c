/*
 * AF_XDP: what the core costs per packet
 *
 * The whole data path, from the guest's ring to the socket's and back, with
 * rings in our own memory: no kernel, no QEMU, no guest. A round makes packets
 * available on one side and takes them from the other; timed is only the turn
 * between, which is the product's code.
 *
 * Printed are nanoseconds per packet, the median of many rounds: with what the
 * others wrote still in this processor's cache, and with it flushed to memory,
 * which is worse than what another processor's cache costs. And instructions:
 * counted by the processor, or by callgrind where that cannot.
 *
 * With direct buffers (zero-copy) a round of reception fills buffers that were
 * posted before and posts as many; one of sending returns those of the round
 * before, for the kernel takes packets between the turns.
 *
 * With --tap it is a test: some packets through each case, compared.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <endian.h>
#include <linux/perf_event.h>
#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <linux/virtio_ring.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include "net/af-xdp-datapath.h"
#include "af-xdp-fake-socket.h"

/* What the core may cost, each way: copying, and with direct buffers. */
#define TARGET_NS 80
#define TARGET_DIRECT_NS 60

#define NUM 256u
#define BATCH 64u
#define HDR 12u
#define GPA_BASE UINT64_C(0x100000000)
#define TABLES 0x100000u
#define BUFFERS 0x200000u
#define BUFFER_SIZE 2048u
/* An odd number of cache lines: not all begin in the same set of the cache. */
#define BUFFER_DIRECT (69 * LINE)
#define RAM_SIZE 0x400000u
/* Of the window, in front of RAM. */
#define FRONT ((uint64_t)AF_XDP_COPY_FRAMES * AF_XDP_FRAME_SIZE)
#define LINE 64u
#define AVAIL_FLAG (1u << VRING_PACKED_DESC_F_AVAIL)
#define USED_FLAG (1u << VRING_PACKED_DESC_F_USED)
/* Rounds in which instructions are counted. */
#define COUNTED_ROUNDS 100
#define ROUNDS_MAX 100000

/* How a chain is laid out: header and packet in ... */
typedef enum Shape {
    SHAPE_ONE,              /* one buffer */
    SHAPE_TWO,              /* a buffer each, two descriptors */
    SHAPE_TABLE,            /* the same, in an indirect table */
    SHAPE__MAX,
} Shape;

static const char *const shape_name[] = { "one", "two", "indirect" };

typedef struct Case {
    bool rx;
    bool direct;
    bool packed;
    bool mergeable;
    Shape shape;
    uint32_t len;
} Case;

typedef struct Bench {
    Case c;
    uint8_t *window;        /* with direct buffers RAM is the end of it */
    uint8_t *ram;
    uint32_t stride;        /* from buffer to buffer */
    uint8_t *desc;
    uint8_t *driver;
    uint8_t *device;
    uint32_t slots;         /* ring entries that a chain takes */
    uint64_t added;         /* chains made available, in all */
    uint64_t seen;          /* and seen used */
    uint64_t passed;        /* packets that came out at the other end */
    uint64_t rounds;        /* packets of all rounds */
    uint64_t primed;            /* packets before them */
    bool cold;
    AfXdpMemory *memory;
    AfXdpVring *vr;
    AfXdpCopy *copy;
    AfXdpFakeSocket *fake;
    AfXdpDatapath *dp;
    int counter;            /* of the processor, or -1 */
    uint64_t instructions;
    uint8_t packet[BUFFER_DIRECT];
} Bench;

static uint64_t now_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * UINT64_C(1000000000) + ts.tv_nsec;
}

/* Out of all caches, on processors that let us. */
static void flush_lines(const void *from, size_t len)
{
#ifdef HAVE_FLUSH
    const char *end = (const char *)from + len;

    for (const char *p = from; p < end; p += LINE) {
        __builtin_ia32_clflush(p);
    }
#endif
}

/* --- The guest --- */

static uint64_t buffer_gpa(const Bench *b, uint32_t chain)
{
    return GPA_BASE + BUFFERS + chain * b->stride;
}

static uint8_t *buffer(const Bench *b, uint32_t chain)
{
    return b->ram + BUFFERS + chain * b->stride;
}

static uint16_t way(const Bench *b)
{
    return b->c.rx ? VRING_DESC_F_WRITE : 0;
}

/* The two pieces of a chain, or the only one. */
static uint64_t piece_addr(const Bench *b, uint32_t chain, uint32_t i)
{
    return htole64(buffer_gpa(b, chain) + (i > 0 ? HDR : 0));
}

static uint32_t piece_len(const Bench *b, uint32_t i)
{
    uint32_t whole = b->c.rx ? b->stride : HDR + b->c.len;

    if (b->c.shape == SHAPE_ONE) {
        return htole32(whole);
    }
    return htole32(i > 0 ? whole - HDR : HDR);
}

/* Chains that fit the ring: each has its own descriptors and buffer. */
static uint32_t n_chains(const Bench *b)
{
    return NUM / b->slots;
}

static void split_prepare(Bench *b)
{
    struct vring_avail *avail = (struct vring_avail *)b->driver;

    for (uint32_t i = 0; i < n_chains(b); i++) {
        bool table = b->c.shape == SHAPE_TABLE;
        struct vring_desc *at = (struct vring_desc *)b->desc + i * b->slots;
        uint32_t n = b->c.shape == SHAPE_ONE ? 1 : 2;

        if (table) {
            at->addr = htole64(GPA_BASE + TABLES + i * LINE);
            at->len = htole32(2 * sizeof(*at));
            at->flags = htole16(VRING_DESC_F_INDIRECT);
            at = (struct vring_desc *)(b->ram + TABLES + i * LINE);
        }
        for (uint32_t j = 0; j < n; j++) {
            at[j].addr = piece_addr(b, i, j);
            at[j].len = piece_len(b, j);
            at[j].flags = htole16(way(b) |
                                  (j + 1 < n ? VRING_DESC_F_NEXT : 0));
            at[j].next = htole16(table ? j + 1 : i * b->slots + j + 1);
        }
    }
    for (uint32_t i = 0; i < NUM; i++) {
        avail->ring[i] = htole16(i % n_chains(b) * b->slots);
    }
}

static void packed_add(Bench *b, uint64_t chain)
{
    struct vring_packed_desc *ring = (struct vring_packed_desc *)b->desc;
    uint32_t i = chain % n_chains(b);
    bool wrap = chain / n_chains(b) % 2 == 0;
    uint16_t flags = wrap ? AVAIL_FLAG : USED_FLAG;
    struct vring_packed_desc *at = ring + i * b->slots;

    if (b->c.shape == SHAPE_TABLE) {
        struct vring_packed_desc *t =
            (struct vring_packed_desc *)(b->ram + TABLES + i * LINE);

        for (uint32_t j = 0; j < 2; j++) {
            t[j].addr = piece_addr(b, i, j);
            t[j].len = piece_len(b, j);
            t[j].flags = htole16(way(b));
        }
        at->addr = htole64(GPA_BASE + TABLES + i * LINE);
        at->len = htole32(2 * sizeof(*at));
        flags |= VRING_DESC_F_INDIRECT;
    } else {
        if (b->slots == 2) {
            at[1].addr = piece_addr(b, i, 1);
            at[1].len = piece_len(b, 1);
            at[1].id = htole16(i);
            at[1].flags = htole16(flags | way(b));
            flags |= VRING_DESC_F_NEXT;
        }
        at->addr = piece_addr(b, i, 0);
        at->len = piece_len(b, 0);
        flags |= way(b);
    }
    at->id = htole16(i);
    __atomic_store_n(&at->flags, htole16(flags), __ATOMIC_RELEASE);
}

static void guest_add(Bench *b, uint32_t n)
{
    if (!b->c.rx) {
        for (uint32_t i = 0; i < n; i++) {
            uint8_t *to = buffer(b, (b->added + i) % n_chains(b));

            memset(to, 0, HDR);
            memcpy(to + HDR, b->packet, b->c.len);
        }
    }
    if (b->c.packed) {
        for (uint32_t i = 0; i < n; i++) {
            packed_add(b, b->added + i);
        }
        b->added += n;
    } else {
        struct vring_avail *avail = (struct vring_avail *)b->driver;

        b->added += n;
        __atomic_store_n(&avail->idx, htole16(b->added), __ATOMIC_RELEASE);
    }
}

/* Take the next used chain; false if there is none. */
static bool guest_used(Bench *b, uint32_t *len)
{
    uint32_t i = b->seen % n_chains(b);

    if (b->c.packed) {
        struct vring_packed_desc *at =
            (struct vring_packed_desc *)b->desc + i * b->slots;
        bool wrap = b->seen / n_chains(b) % 2 == 0;
        uint16_t flags = le16toh(at->flags);

        if (!!(flags & AVAIL_FLAG) != wrap || !!(flags & USED_FLAG) != wrap ||
            b->seen == b->added) {
            return false;
        }
        g_assert_cmpuint(le16toh(at->id), ==, i);
        *len = flags & VRING_DESC_F_WRITE ? le32toh(at->len) : 0;
    } else {
        struct vring_used *used = (struct vring_used *)b->device;

        if (le16toh(used->idx) == (uint16_t)b->seen) {
            return false;
        }
        g_assert_cmpuint(le32toh(used->ring[b->seen % NUM].id), ==,
                         i * b->slots);
        *len = le32toh(used->ring[b->seen % NUM].len);
    }
    b->seen++;
    return true;
}

/* --- The other side --- */

static void sent(void *opaque, const struct xdp_desc *desc, const void *data)
{
    Bench *b = opaque;

    g_assert_cmpuint(desc->len, ==, b->c.len);
    g_assert(memcmp(data, b->packet, b->c.len) == 0);
    b->passed++;
    if (b->cold) {
        flush_lines(data, desc->len);
    }
}

static void flush_batch(Bench *b)
{
    const struct xsk_ring_cons *rx = &b->fake->sock.rx;
    uint32_t first = *rx->consumer, n = *rx->producer - first;

    for (uint32_t i = 0; i < n; i++) {
        const struct xdp_desc *desc = xsk_ring_cons__rx_desc(rx, first + i);

        flush_lines(b->fake->area + af_xdp_addr_data(desc->addr), desc->len);
        flush_lines(desc, sizeof(*desc));
    }
    /* Headers of those that were posted before. */
    for (uint64_t i = b->seen; i < b->seen + BATCH && b->c.direct; i++) {
        flush_lines(buffer(b, i % n_chains(b)), HDR);
    }
    for (uint64_t i = b->added - BATCH; i < b->added; i++) {
        uint32_t chain = i % n_chains(b);

        flush_lines(buffer(b, chain), HDR + b->c.len);
        flush_lines(b->desc + 16 * b->slots * chain, 16);
        flush_lines(b->ram + TABLES + chain * LINE, LINE);
    }
    flush_lines(b->driver, sizeof(struct vring_avail) + 2 * NUM);
    flush_lines(b->device, sizeof(struct vring_used) + 8 * NUM);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

/* --- A round --- */

static void count(const Bench *b, unsigned long what)
{
    if (b->counter >= 0) {
        ioctl(b->counter, what, 0);
    }
}

static uint64_t turn(Bench *b)
{
    uint64_t start = now_ns();
    AfXdpTxState state;
    AfXdpTurn end;
    bool call = false;

    count(b, PERF_EVENT_IOC_ENABLE);
    end = b->c.rx ? af_xdp_datapath_rx(b->dp, b->copy, &call)
                  : af_xdp_datapath_tx(b->dp, &call, &state);
    count(b, PERF_EVENT_IOC_DISABLE);
    start = now_ns() - start;
    /* Few buffers are in use here, and a guest would be asked for more. */
    g_assert_true(end == AF_XDP_TURN_DONE || end == AF_XDP_TURN_LOW);
    b->rounds += BATCH;
    return start;
}

/* Take all used chains. */
static void guest_collect(Bench *b)
{
    uint32_t len, want = b->c.rx ? HDR + b->c.len : 0;

    while (guest_used(b, &len)) {
        g_assert_cmpuint(len, ==, want);
        b->passed += b->c.rx;
    }
}

/* Returns the nanoseconds of the turn. */
static uint64_t bench_round(Bench *b)
{
    AfXdpFakeKick nothing = { 0 };
    uint64_t ns;

    guest_add(b, BATCH);
    for (uint32_t i = 0; i < BATCH && b->c.rx; i++) {
        g_assert(af_xdp_fake_receive(b->fake, b->packet, b->c.len,
                                     AF_XDP_RX_ROOM));
    }
    if (b->cold) {
        flush_batch(b);
    }
    /* What the kernel does in the system call is not timed. */
    b->fake->kicks = &nothing;
    b->fake->n_kicks = 1;
    ns = turn(b);
    b->fake->n_kicks = 0;
    if (!b->c.rx) {
        g_assert_cmpint(af_xdp_socket_kick_tx(&b->fake->sock), ==, 0);
    }
    guest_collect(b);
    g_assert_cmpuint(b->passed, ==, b->rounds);
    g_assert_cmpuint(b->added - b->seen, ==, b->c.direct ? BATCH : 0);
    return ns;
}

static int open_counter(void)
{
    struct perf_event_attr attr = {
        .type = PERF_TYPE_HARDWARE,
        .size = sizeof(attr),
        .config = PERF_COUNT_HW_INSTRUCTIONS,
        .disabled = 1,
        .exclude_kernel = 1,
        .exclude_hv = 1,
    };

    return syscall(SYS_perf_event_open, &attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
}

/* Our frames into the window, and away, so that chains are used in order. */
static void direct_begin(Bench *b)
{
    AfXdpPlace place = {
        .area = b->window,
        .size = FRONT + RAM_SIZE,
    };
    AfXdpMove move = { .ifname = "fake", .frame_max = 1518, .place = &place };
    AfXdpDirectConfig config = {
        .area = (char *)b->window,
        .size = place.size,
        .front = FRONT,
        .room = AF_XDP_RX_ROOM,
        .rx = true,
        .tx = true,
    };
    struct iovec iov[AF_XDP_MAX_SEGS];
    GError *err = NULL;

    af_xdp_copy_move(b->copy, &move, &err);
    g_assert_no_error(err);
    af_xdp_copy_outside_begin(b->copy, &err);
    g_assert_no_error(err);
    b->fake = af_xdp_fake(af_xdp_copy_socket(b->copy));
    b->fake->sent = sent;
    b->fake->opaque = b;
    while (af_xdp_copy_rx_frames(b->copy) > 0) {
        g_assert(af_xdp_fake_receive(b->fake, b->packet, b->c.len,
                                     AF_XDP_RX_ROOM));
        g_assert_cmpuint(af_xdp_copy_rx_next(b->copy, iov), >, 0);
        af_xdp_copy_rx_flush(b->copy);
    }
    b->primed = b->c.rx ? af_xdp_copy_stats(b->copy)->rx_packets : 0;
    af_xdp_datapath_direct_begin(b->dp, &config);
    guest_add(b, BATCH);
    if (b->c.rx) {
        af_xdp_datapath_rx_refill(b->dp);
    } else {
        b->fake->kicks = NULL;
        turn(b);
        b->seen = 0;
    }
}

static Bench *bench_new(const Case *c)
{
    Bench *b = g_new0(Bench, 1);
    AfXdpRegion region = { GPA_BASE, RAM_SIZE };
    uint64_t features = UINT64_C(1) << VIRTIO_F_VERSION_1 |
        UINT64_C(1) << VIRTIO_RING_F_INDIRECT_DESC |
        UINT64_C(1) << VIRTIO_RING_F_EVENT_IDX |
        (uint64_t)c->packed << VIRTIO_F_RING_PACKED |
        (uint64_t)c->mergeable << VIRTIO_NET_F_MRG_RXBUF;
    AfXdpVringConfig config = {
        .features = features,
        .num = NUM,
        .base = c->packed ? 0x80008000 : 0,
        .writable = c->rx,
    };
    GError *err = NULL;

    b->c = *c;
    b->slots = c->shape == SHAPE_TWO ? 2 : 1;
    b->counter = -1;
    b->stride = c->direct ? BUFFER_DIRECT : BUFFER_SIZE;
    b->window = aligned_alloc(4096, FRONT + RAM_SIZE);
    b->ram = region.host = b->window + FRONT;
    memset(b->ram, 0, RAM_SIZE);
    for (uint32_t i = 0; i < c->len; i++) {
        b->packet[i] = i * 7 + 3;
    }
    b->desc = config.desc = b->ram;
    b->driver = config.driver = b->ram + 0x4000;
    b->device = config.device = b->ram + 0x8000;
    if (!c->packed) {
        split_prepare(b);
    }
    b->memory = af_xdp_memory_new(&region, 1, &err);
    g_assert_no_error(err);
    config.memory = b->memory;
    b->vr = af_xdp_vring_new(&config, &err);
    g_assert_no_error(err);
    b->copy = af_xdp_copy_new("fake", 0, -1, 1518, AF_XDP_BIND_COPY, &err);
    g_assert_no_error(err);
    b->fake = af_xdp_fake(af_xdp_copy_socket(b->copy));
    b->fake->sent = sent;
    b->fake->opaque = b;
    b->dp = af_xdp_datapath_new(b->copy, c->rx ? b->vr : NULL,
                                c->rx ? NULL : b->vr, features);
    if (c->direct) {
        direct_begin(b);
    }
    return b;
}

static void bench_free(Bench *b)
{
    const AfXdpCopyStats *stats = af_xdp_copy_stats(b->copy);

    g_assert_cmpuint(b->c.rx ? stats->rx_packets : stats->tx_packets, ==,
                     b->rounds + b->primed);
    if (b->c.direct) {
        bool call;

        af_xdp_datapath_direct_stop(b->dp, &call);
        af_xdp_datapath_direct_end(b->dp, &call);
    }
    af_xdp_datapath_quiesce(b->dp);
    g_assert_cmpuint(af_xdp_vring_held(b->vr), ==, 0);
    af_xdp_datapath_free(b->dp);
    af_xdp_vring_free(b->vr);
    af_xdp_copy_free(b->copy);
    af_xdp_memory_free(b->memory);
    free(b->window);
    g_free(b);
}

/* --- All cases --- */

static char *case_name(const Case *c)
{
    return g_strdup_printf("%s%s/%s/%s%s/%u", c->rx ? "rx" : "tx",
                           c->direct ? "-direct" : "",
                           c->packed ? "packed" : "split",
                           shape_name[c->shape],
                           c->mergeable ? "-mergeable" : "", c->len);
}

/* Is there a driver that does that, and does it tell us more than others? */
static bool worth_it(const Case *c)
{
    /* Mergeable buffers are single ones, in every driver, and received. */
    if (c->mergeable && (!c->rx || c->shape != SHAPE_ONE)) {
        return false;
    }
    if (c->direct && c->rx) {
        return c->shape != SHAPE_TABLE;
    }
    /* More than a frame receives, or a buffer has, is another case. */
    return c->direct || c->len <= 1500;
}

/* All, or those whose names begin with @prefix. */
static GArray *cases_new(const char *prefix)
{
    /* The last ones: a page nearly, and what a frame receives. */
    static const uint32_t lens[] = { 64, 1500, 4000, AF_XDP_RX_ROOM };
    GArray *cases = g_array_new(false, false, sizeof(Case));

    for (int i = 0; i < 32; i++) {
        for (int s = -1; s < SHAPE__MAX; s++) {
            Case c = {
                .direct = i & 16,
                .rx = !(i & 8),
                .packed = i & 4,
                .mergeable = s < 0,
                .shape = MAX(s, 0),
                .len = lens[i & 3],
            };
            g_autofree char *name = NULL;

            if (!worth_it(&c) ||
                (c.len > 1500 && c.rx != (c.len == AF_XDP_RX_ROOM))) {
                continue;
            }
            name = case_name(&c);
            if (g_str_has_prefix(name, prefix)) {
                g_array_append_val(cases, c);
            }
        }
    }
    return cases;
}

static int compare_ns(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return x < y ? -1 : x > y;
}

/* Median nanoseconds per packet of what fits into @ms. */
static double measure(const Case *c, bool cold, int ms, double *instructions)
{
    uint64_t end = now_ns() + ms * UINT64_C(1000000), counted = 0;
    g_autofree uint32_t *ns = g_new(uint32_t, ROUNDS_MAX);
    Bench *b = bench_new(c);
    uint32_t n = 0;

    b->cold = cold;
    for (int i = 0; i < 100; i++) {
        bench_round(b);
    }
    while (n < ROUNDS_MAX && (n < 100 || now_ns() < end)) {
        ns[n++] = bench_round(b);
    }
    /* Apart: switching a counter on and off takes longer than a packet. */
    b->counter = instructions ? open_counter() : -1;
    for (int i = 0; i < COUNTED_ROUNDS && b->counter >= 0; i++) {
        bench_round(b);
    }
    if (b->counter >= 0 &&
        read(b->counter, &counted, sizeof(counted)) == sizeof(counted)) {
        *instructions = (double)counted / (COUNTED_ROUNDS * BATCH);
        close(b->counter);
    }
    bench_free(b);
    qsort(ns, n, sizeof(*ns), compare_ns);
    return (double)ns[n / 2] / BATCH;
}

/*
 * What valgrind runs: callgrind counts inside of the turns, and writes a file
 * and begins again at 0 when a case begins and when it ends.
 */
static G_GNUC_NO_INLINE void bench_case_mark(void)
{
    __asm__ volatile("");
}

static void run_for_callgrind(const GArray *cases)
{
    for (uint32_t i = 0; i < cases->len; i++) {
        Bench *b = bench_new(&g_array_index(cases, Case, i));

        bench_case_mark();
        for (int round = 0; round < COUNTED_ROUNDS; round++) {
            bench_round(b);
        }
        bench_case_mark();
        bench_free(b);
    }
}

/* The number behind "summary:" in one of callgrind's files; 0 without one. */
static double callgrind_summary(const char *dir, uint32_t i)
{
    g_autofree char *path = g_strdup_printf("%s/out.%u", dir, i);
    g_autofree char *text = NULL;
    const char *at;

    if (!g_file_get_contents(path, &text, NULL, NULL)) {
        return 0;
    }
    unlink(path);
    at = strstr(text, "\nsummary: ");
    return at ? g_ascii_strtod(at + strlen("\nsummary: "), NULL) : 0;
}

/* Fills in instructions per packet of each case; false without valgrind. */
static bool callgrind(const GArray *cases, const char *prefix, double *result)
{
    g_autofree char *self = g_file_read_link("/proc/self/exe", NULL);
    g_autofree char *valgrind = g_find_program_in_path("valgrind");
    g_autofree char *dir = g_dir_make_tmp("bench-core-XXXXXX", NULL);
    g_autofree char *out = g_strdup_printf("--callgrind-out-file=%s/out", dir);
    const char *argv[] = {
        valgrind, "--tool=callgrind", "-q", out, "--combine-dumps=no",
        "--toggle-collect=af_xdp_datapath_rx",
        "--toggle-collect=af_xdp_datapath_tx",
        "--dump-before=bench_case_mark", self, "--count", prefix, NULL,
    };
    g_autofree char *last = NULL;
    int status = -1;
    bool ok;

    ok = self && valgrind && dir &&
         g_spawn_sync(NULL, (char **)argv, NULL,
                      G_SPAWN_STDOUT_TO_DEV_NULL | G_SPAWN_STDERR_TO_DEV_NULL,
                      NULL, NULL, NULL, NULL, &status, NULL) && status == 0;
    for (uint32_t i = 0; i < cases->len && dir; i++) {
        callgrind_summary(dir, 2 * i + 1);
        result[i] = callgrind_summary(dir, 2 * i + 2) /
                    (COUNTED_ROUNDS * BATCH);
        ok &= result[i] > 0;
    }
    if (dir) {
        last = g_build_filename(dir, "out", NULL);
        unlink(last);
        rmdir(dir);
    }
    return ok;
}

static void print_table(const GArray *cases, const char *prefix, int ms)
{
    g_autofree double *instructions = g_new0(double, cases->len);
    bool counted = callgrind(cases, prefix, instructions);
    double worst[2][2] = { { 0 } };

    printf("Median of rounds of %u packets, rings of %u entries.\n"
           "cached, memory: where the packets and the guest's buffers are "
           "when a turn begins.\n\n", BATCH, NUM);
    printf("%-9s %-7s %-14s %5s %10s %10s %12s\n", "way", "ring", "buffers",
           "bytes", "ns, cached", "ns, memory", "instructions");
    for (uint32_t i = 0; i < cases->len; i++) {
        const Case *c = &g_array_index(cases, Case, i);
        double warm = measure(c, false, ms, &instructions[i]);
        double cold = measure(c, true, ms, NULL);

        worst[c->direct][c->rx] = MAX(worst[c->direct][c->rx], warm);
        counted |= instructions[i] > 0;
        printf("%s%-7s %-7s %-14s %5u %10.1f ", c->rx ? "rx" : "tx",
               c->direct ? "-direct" : "", c->packed ? "packed" : "split",
               c->mergeable ? "one, mergeable" : shape_name[c->shape], c->len,
               warm);
#ifdef HAVE_FLUSH
        printf("%10.1f ", cold);
#else
        printf("%10s ", "-");
#endif
        if (instructions[i] > 0) {
            printf("%12.1f\n", instructions[i]);
        } else {
            printf("%12s\n", "-");
        }
        fflush(stdout);
    }
    if (!counted) {
        printf("\nNo instructions: neither has this processor a counter that "
               "we may use,\nnor is valgrind installed.\n");
    }
    for (int direct = 0; direct < 2; direct++) {
        uint32_t target = direct ? TARGET_DIRECT_NS : TARGET_NS;

        if (worst[direct][0] == 0 && worst[direct][1] == 0) {
            continue;
        }
        printf("\nTarget%s: at most %u ns, cached.",
               direct ? " with direct buffers" : "", target);
        for (int rx = 1; rx >= 0; rx--) {
            double ns = worst[direct][rx];

            if (ns > 0) {
                printf(" Worst %s: %.1f ns, %s.", rx ? "rx" : "tx", ns,
                       ns <= target ? "met" : "missed");
            }
        }
    }
    printf("\n");
}

static void test_case(gconstpointer opaque)
{
    Bench *b = bench_new(opaque);

    for (uint32_t done = 0; done < 1000; done += BATCH) {
        bench_round(b);
        for (uint32_t i = 0; i < BATCH && b->c.rx; i++) {
            uint32_t chain = (b->seen - 1 - i) % n_chains(b);

            g_assert(memcmp(buffer(b, chain) + HDR, b->packet, b->c.len) == 0);
            memset(buffer(b, chain), 0, b->stride);
        }
    }
    bench_free(b);
}

int main(int argc, char **argv)
{
    const char *what = "50", *prefix = "";
    g_autoptr(GArray) cases = NULL;
    int ms;

    if (argc > 1) {
        what = argv[1];
    }
    ms = atoi(what);
    if (argc > 2 && strcmp(what, "--tap") != 0) {
        prefix = argv[2];
    }
    cases = cases_new(prefix);
    /* Pages that come and go as the kernel likes make figures jump. */
    prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
    if (strcmp(what, "--tap") == 0) {
        g_test_init(&argc, &argv, NULL);
        for (uint32_t i = 0; i < cases->len; i++) {
            g_autofree char *name = case_name(&g_array_index(cases, Case, i));
            g_autofree char *path = g_strdup_printf("/bench-core/%s", name);

            g_test_add_data_func(path, &g_array_index(cases, Case, i),
                                 test_case);
        }
        return g_test_run();
    }
    if (argc > 3 || (ms <= 0 && strcmp(what, "--count") != 0) ||
        cases->len == 0) {
        fprintf(stderr, "usage: %s [milliseconds per figure [case]]\n"
                "case: the beginning of WAY/RING/BUFFERS/BYTES, as in "
                "\"tx/split\"\n       %s --tap\n", argv[0], argv[0]);
        return 2;
    }
    if (strcmp(what, "--count") == 0) {
        run_for_callgrind(cases);
    } else {
        print_table(cases, prefix, ms);
    }
    return 0;
}
