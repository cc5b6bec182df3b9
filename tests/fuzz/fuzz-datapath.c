/*
 * AF_XDP: fuzzing the data path
 *
 * The input is the guest and the kernel: it fills both virtqueues and changes
 * them between turns, and it decides what the socket (af-xdp-fake-socket.h)
 * receives, when it sends, which errors it reports, and when it lies. In
 * between the control plane stops, hands over, and changes memory and log.
 *
 * Checked after each step are the promises to whoever runs this: every frame
 * is in one place, every packet is accounted for, a turn is bounded, only the
 * rings and the pieces taken from them are written, all of it is logged, and
 * what was taken from the guest goes back. The sanitizers check the rest.
 *
 * Linked with --wrap=af_xdp_vring_pop, to see what is taken from the rings.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <sys/prctl.h>
#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <linux/virtio_ring.h>
#include "net/af-xdp-datapath.h"
#include "net/af-xdp-uapi.h"
#include "af-xdp-fake-socket.h"
#include "fuzz.h"

/*
 * Guest memory: three regions for each ring, as small as a page of the dirty
 * log. The first two touch; the last is at the end of the address space, past
 * the end of the log.
 */
#define REGION 4096u
#define N_REGIONS 6
#define LOG_PAGES 256u
#define NUM_MAX 64u

static const uint64_t region_gpa[N_REGIONS] = {
    0, REGION, 0x10000, 0x20000, 0x21000, UINT64_MAX - REGION + 1,
};

#define AVAIL_FLAG (1u << VRING_PACKED_DESC_F_AVAIL)
#define USED_FLAG (1u << VRING_PACKED_DESC_F_USED)

/* Quotas of a turn, see af-xdp-datapath.c. */
#define TURN_PACKETS 256u
#define TURN_BYTES (TURN_PACKETS * 1514u)
#define PACKET_MAX (AF_XDP_MAX_SEGS * AF_XDP_FRAME_SIZE)

typedef struct Input {
    const uint8_t *data;
    size_t left;
} Input;

typedef struct Ring {
    AfXdpVring *vr;
    uint32_t num;
    /* Each at the end of a region, for the sanitizer to see its end. */
    uint8_t *desc;
    uint8_t *driver;
    uint8_t *device;
    uint32_t device_size;
    uint64_t desc_gpa;
    uint64_t device_gpa;
} Ring;

typedef struct Fuzz {
    uint8_t *host[N_REGIONS];
    AfXdpMemory *memory;
    AfXdpMemory *empty;
    bool packed;
    uint64_t features;
    Ring ring[2];               /* receive, transmit */
    AfXdpCopy *copy[2];         /* own, and one of a queue not driven */
    AfXdpFakeSocket *fake[2];
    uint64_t arrived[2];        /* packets that the kernel delivered */
    bool lied[2];               /* the kernel did what it never does */
    AfXdpDatapath *dp;
    bool log_on;
    unsigned long log_words[LOG_PAGES / (8 * sizeof(unsigned long))];
    AfXdpLog log;
    uint8_t before[N_REGIONS][REGION];
    uint8_t named[N_REGIONS][REGION];   /* bytes of pieces ever taken */
    AfXdpFakeKick kicks[4];
} Fuzz;

static Fuzz *fuzz;

static uint32_t take(Input *in, int bytes)
{
    uint32_t value = 0;

    while (bytes-- > 0) {
        value <<= 8;
        if (in->left > 0) {
            value |= *in->data++;
            in->left--;
        }
    }
    return value;
}

/* --- What the datapath may write --- */

static void name_bytes(Fuzz *f, const uint8_t *from, size_t len)
{
    for (int r = 0; r < N_REGIONS; r++) {
        size_t off = from - f->host[r];

        if (off < REGION) {
            g_assert(len <= REGION - off);
            memset(f->named[r] + off, 1, len);
            return;
        }
    }
    g_assert_not_reached();
}

uint32_t __wrap_af_xdp_vring_pop(AfXdpVring *vr, AfXdpVringElem *elems,
                                 uint32_t max, AfXdpVringPool *pool)
{
    uint32_t n = __real_af_xdp_vring_pop(vr, elems, max, pool);

    for (uint32_t i = 0; i < n && vr == fuzz->ring[0].vr; i++) {
        for (uint32_t j = 0; j < elems[i].n_iov; j++) {
            name_bytes(fuzz, elems[i].iov[j].iov_base,
                       elems[i].iov[j].iov_len);
        }
    }
    return n;
}

/* Remember what memory is like before a turn. */
static void watch(Fuzz *f)
{
    for (int r = 0; r < N_REGIONS; r++) {
        memcpy(f->before[r], f->host[r], REGION);
    }
    memset(f->log_words, 0, sizeof(f->log_words));
}

static bool in_ring(const Fuzz *f, const Ring *ring, const uint8_t *at)
{
    return (uint64_t)(at - ring->device) < ring->device_size ||
           (f->packed && (uint64_t)(at - ring->desc) < 16 * ring->num);
}

static bool logged(const Fuzz *f, uint64_t gpa)
{
    const uint32_t bits = 8 * sizeof(unsigned long);
    uint64_t page = gpa >> AF_XDP_LOG_PAGE_BITS;

    return page >= LOG_PAGES || (f->log_words[page / bits] >> page % bits & 1);
}

/* Since watch() only @ring and, if it receives, pieces were written. */
static void check_writes(Fuzz *f, const Ring *ring)
{
    bool receives = ring == &f->ring[0];

    for (int r = 0; r < N_REGIONS; r++) {
        for (uint32_t i = 0; i < REGION; i++) {
            /* Fast over what did not change, as most of it. */
            if (i % 64 == 0 && !memcmp(f->before[r] + i, f->host[r] + i, 64)) {
                i += 63;
            } else if (f->before[r][i] != f->host[r][i]) {
                g_assert(in_ring(f, ring, f->host[r] + i) ||
                         (receives && f->named[r][i]));
                g_assert(!f->log_on || logged(f, region_gpa[r] + i));
            }
        }
    }
}

/* --- The guest --- */

static void place_ring(Fuzz *f, Ring *ring, int region, uint32_t num)
{
    uint32_t event = f->features & UINT64_C(1) << VIRTIO_RING_F_EVENT_IDX ?
                     sizeof(uint16_t) : 0;
    uint32_t driver = sizeof(struct vring_avail) + 2 * num + event;
    uint32_t at;

    ring->num = num;
    ring->device_size = sizeof(struct vring_used) + 8 * num + event;
    if (f->packed) {
        driver = sizeof(struct vring_packed_desc_event);
        ring->device_size = driver;
    }
    at = QEMU_ALIGN_DOWN(REGION - ring->device_size, VRING_USED_ALIGN_SIZE);
    ring->desc = f->host[region + 2] + REGION - 16 * num;
    ring->desc_gpa = region_gpa[region + 2] + REGION - 16 * num;
    ring->driver = f->host[region + 1] + REGION - driver;
    ring->device = f->host[region] + at;
    ring->device_gpa = region_gpa[region] + at;
}

static bool ring_open(Fuzz *f, int i, uint32_t base)
{
    Ring *ring = &f->ring[i];
    AfXdpVringConfig config = {
        .features = f->features,
        .num = ring->num,
        .base = base,
        .desc = ring->desc,
        .driver = ring->driver,
        .device = ring->device,
        .desc_gpa = ring->desc_gpa,
        .device_gpa = ring->device_gpa,
        .writable = i == 0,
        .memory = f->memory,
        .log = f->log_on ? &f->log : NULL,
    };

    ring->vr = af_xdp_vring_new(&config, NULL);
    return ring->vr;
}

static void do_write(Fuzz *f, Input *in)
{
    uint32_t at = take(in, 2) % (N_REGIONS * REGION), n = take(in, 1) % 33;

    for (uint32_t i = 0; i < n && at + i < N_REGIONS * REGION; i++) {
        f->host[(at + i) / REGION][(at + i) % REGION] = take(in, 1);
    }
}

/* A descriptor that is likely to be good, in a ring or in a table. */
static void do_desc(Fuzz *f, Input *in)
{
    uint32_t where = take(in, 1), flags = take(in, 1);
    const Ring *ring = &f->ring[where >> 6 & 1];
    uint64_t addr = region_gpa[where % N_REGIONS] + take(in, 2) % (2 * REGION);
    uint32_t len = take(in, 2), next = take(in, 1) % (NUM_MAX + 2);
    uint32_t i = take(in, 1) % (2 * NUM_MAX);
    uint8_t *to = where & 0x80 ? f->host[3] + 16 * i
                               : ring->desc + 16 * (i % ring->num);

    if (flags & 0x40) {
        len *= 16;
    }
    if (f->packed) {
        struct vring_packed_desc d = {
            .addr = addr,
            .len = len,
            .id = next,
            .flags = (flags & 7) | (flags & 0x80 ? USED_FLAG : AVAIL_FLAG),
        };

        memcpy(to, &d, sizeof(d));
    } else {
        struct vring_desc d = {
            .addr = addr, .len = len, .flags = flags & 7, .next = next,
        };

        memcpy(to, &d, sizeof(d));
    }
}

/* A whole ring of buffers of one length, side by side. */
static void do_buffers(Fuzz *f, Input *in)
{
    uint32_t what = take(in, 1), len = take(in, 2) % (REGION / 4);
    const Ring *ring = &f->ring[what & 1];
    uint16_t flags = what & 1 ? 0 : VRING_DESC_F_WRITE;

    for (uint32_t i = 0; i < ring->num; i++) {
        uint64_t at = (uint64_t)i * len % (REGION - len + 1);
        uint64_t addr = region_gpa[what % N_REGIONS] + at;

        if (f->packed) {
            struct vring_packed_desc *d =
                (struct vring_packed_desc *)ring->desc + i;

            *d = (struct vring_packed_desc) {
                .addr = addr, .len = len, .id = i,
                .flags = flags | (what & 0x80 ? USED_FLAG : AVAIL_FLAG),
            };
        } else {
            struct vring_avail *avail = (struct vring_avail *)ring->driver;
            struct vring_desc *d = (struct vring_desc *)ring->desc + i;

            *d = (struct vring_desc) {
                .addr = addr, .len = len, .flags = flags, .next = i + 1,
            };
            avail->ring[i] = i;
        }
    }
}

/* Some more entries are available. */
static void do_avail(Fuzz *f, Input *in)
{
    uint32_t what = take(in, 1), n = take(in, 1);
    const Ring *ring = &f->ring[what & 1];
    struct vring_avail *avail = (struct vring_avail *)ring->driver;

    if (f->packed) {
        struct vring_packed_desc *d = (struct vring_packed_desc *)ring->desc;

        for (uint32_t i = 0; i < ring->num; i++) {
            d[i].flags ^= n & 1 ? AVAIL_FLAG : AVAIL_FLAG | USED_FLAG;
        }
    } else if (what & 2) {
        /* All that the device has returned. */
        avail->idx = ((struct vring_used *)ring->device)->idx + ring->num;
    } else {
        avail->idx += n % (ring->num + 1 + !(n & 0x7f));
    }
}

/* --- The kernel --- */

static void do_receive(Fuzz *f, Input *in)
{
    uint32_t what = take(in, 1), len = take(in, 2);
    uint32_t pieces = 1 + (what >> 1 & 15), n = 1 + (what >> 5) * 9;
    static uint8_t data[PACKET_MAX];
    int i = what & 1;

    len = 1 + len % (pieces * 2000);
    memset(data, 0xa0 + what, len);
    while (n-- > 0) {
        f->arrived[i] += af_xdp_fake_receive(f->fake[i], data, len,
                                             DIV_ROUND_UP(len, pieces));
    }
}

static void do_kicks(Fuzz *f, Input *in)
{
    static const int results[] = {
        0, -EAGAIN, -EBUSY, -ENOBUFS, -ENETDOWN, -ENXIO, -ENODEV, -EINVAL,
    };
    uint32_t n = 1 + take(in, 1) % ARRAY_SIZE(f->kicks);

    for (uint32_t i = 0; i < n; i++) {
        uint32_t what = take(in, 1);

        f->kicks[i].result = results[what & 7];
        f->kicks[i].budget = what >> 3;
    }
    f->fake[0]->kicks = f->kicks;
    f->fake[0]->n_kicks = n;
}

static void do_lie(Fuzz *f, Input *in)
{
    uint32_t what = take(in, 1), i = what & 1;
    uint64_t addr = (uint64_t)(take(in, 2) % 5000) << 12;

    if (what & 2) {
        addr += take(in, 4);
    }
    if (what & 4) {
        addr |= UINT64_C(1) << 63 >> (what >> 4);
    }
    f->lied[i] = true;
    if (what & 8) {
        af_xdp_fake_comp(f->fake[i], addr);
    } else {
        uint32_t len = take(in, 2);

        af_xdp_fake_rx(f->fake[i], addr, what & 4 ? ~len : len,
                       take(in, 1) & 1 ? XDP_PKT_CONTD : 0);
    }
}

/* --- Checks --- */

static void check_socket(const Fuzz *f, int i)
{
    const AfXdpUmem *umem = af_xdp_copy_umem(f->copy[i]);
    const AfXdpCopyStats *stats = af_xdp_copy_stats(f->copy[i]);
    const AfXdpFakeSocket *fake = f->fake[i];
    uint64_t n = 0;

    for (int state = 0; state < AF_XDP_FRAME__MAX; state++) {
        n += af_xdp_umem_count(umem, state);
    }
    g_assert(n == af_xdp_umem_size(umem) / AF_XDP_FRAME_SIZE);
    /* Between turns no packet is half done. */
    g_assert(af_xdp_umem_count(umem, AF_XDP_FRAME_RECEIVED) == 0);
    g_assert(fake->tx_invalid == 0);
    if (f->lied[i]) {
        return;
    }
    g_assert(af_xdp_umem_count(umem, AF_XDP_FRAME_FILL) ==
             af_xdp_fake_in_fill(fake) + af_xdp_fake_in_rx(fake));
    g_assert(af_xdp_umem_count(umem, AF_XDP_FRAME_TX) ==
             af_xdp_socket_tx_pending(&fake->sock) + fake->n_in_flight +
             af_xdp_fake_in_comp(fake));
    g_assert(af_xdp_fake_frames_once(fake, umem));
    g_assert(stats->rx_malformed == 0);
    g_assert(stats->rx_packets + af_xdp_fake_packets_in_rx(fake) ==
             f->arrived[i]);
    /* Nothing that was not sent, and nothing twice. */
    g_assert(fake->tx_packets <= stats->tx_packets);
    if (af_xdp_socket_tx_pending(&fake->sock) == 0) {
        g_assert(fake->tx_packets == stats->tx_packets);
    }
}

static void check_fault(AfXdpTurn turn, const char *before, const char *after)
{
    g_assert((turn == AF_XDP_TURN_FAULT) == (after != NULL));
    /* The first one is told. */
    g_assert(!before || before == after);
}

static void do_rx(Fuzz *f, int i)
{
    const AfXdpCopyStats *stats = af_xdp_copy_stats(f->copy[i]);
    const char *fault = af_xdp_datapath_rx_fault(f->dp);
    uint64_t packets = stats->rx_packets, bytes = stats->rx_bytes;
    uint32_t malformed = stats->rx_malformed, wait;
    bool call = false;
    AfXdpTurn turn;

    watch(f);
    turn = af_xdp_datapath_rx(f->dp, f->copy[i], &call);
    check_writes(f, &f->ring[0]);
    check_fault(turn, fault, af_xdp_datapath_rx_fault(f->dp));
    packets = stats->rx_packets - packets;
    bytes = stats->rx_bytes - bytes;
    wait = af_xdp_fake_in_rx(f->fake[i]);
    g_assert(packets <= TURN_PACKETS && bytes <= TURN_BYTES + PACKET_MAX);
    if (fault) {
        g_assert(packets == 0 && !call);
    }
    if (turn == AF_XDP_TURN_DONE && !f->lied[i]) {
        g_assert(wait == 0);
    }
    if (turn == AF_XDP_TURN_NO_BUFFERS) {
        g_assert(wait > 0);
    }
    if (turn == AF_XDP_TURN_MORE) {
        g_assert(packets > 0 || stats->rx_malformed > malformed);
    }
}

static void do_tx(Fuzz *f)
{
    const AfXdpCopyStats *stats = af_xdp_copy_stats(f->copy[0]);
    const char *fault = af_xdp_datapath_tx_fault(f->dp);
    uint64_t packets = stats->tx_packets, bytes = stats->tx_bytes;
    AfXdpTxState state;
    bool call = false;
    AfXdpTurn turn;

    watch(f);
    turn = af_xdp_datapath_tx(f->dp, &call, &state);
    check_writes(f, &f->ring[1]);
    check_fault(turn, fault, af_xdp_datapath_tx_fault(f->dp));
    packets = stats->tx_packets - packets;
    bytes = stats->tx_bytes - bytes;
    g_assert(packets <= TURN_PACKETS && bytes <= TURN_BYTES + PACKET_MAX);
    if (fault) {
        g_assert(packets == 0 && !call);
    }
    /* Who waits for the socket is told by what. */
    if (state == AF_XDP_TX_POLL) {
        g_assert(af_xdp_socket_tx_pending(&f->fake[0]->sock) > 0);
    }
}

/* What is held goes back, and the next user goes on where this one stopped. */
static void do_quiesce(Fuzz *f)
{
    const char *rx = af_xdp_datapath_rx_fault(f->dp);
    const char *tx = af_xdp_datapath_tx_fault(f->dp);

    af_xdp_datapath_quiesce(f->dp);
    g_assert(af_xdp_vring_held(f->ring[0].vr) == 0);
    g_assert(af_xdp_vring_held(f->ring[1].vr) == 0);
    g_assert(rx == af_xdp_datapath_rx_fault(f->dp));
    g_assert(tx == af_xdp_datapath_tx_fault(f->dp));
}

static void do_hand_over(Fuzz *f)
{
    do_quiesce(f);
    af_xdp_datapath_free(f->dp);
    for (int i = 0; i < 2; i++) {
        uint32_t base = af_xdp_vring_base(f->ring[i].vr);

        af_xdp_vring_free(f->ring[i].vr);
        g_assert(ring_open(f, i, base));
        g_assert(af_xdp_vring_base(f->ring[i].vr) == base);
    }
    f->dp = af_xdp_datapath_new(f->copy[0], f->ring[0].vr, f->ring[1].vr,
                                f->features);
}

static void set_log(Fuzz *f, bool on)
{
    f->log_on = on;
    for (int i = 0; i < 2; i++) {
        af_xdp_vring_set_log(f->ring[i].vr, on ? &f->log : NULL);
    }
}

static void step(Fuzz *f, Input *in)
{
    uint8_t op = take(in, 1);

    switch (op % 32) {
    case 0 ... 3:
        do_rx(f, op % 4 == 3);
        break;
    case 4 ... 6:
        do_tx(f);
        break;
    case 7 ... 9:
        do_receive(f, in);
        break;
    case 10:
        do_kicks(f, in);
        break;
    case 11:
        f->fake[0]->late = op & 0x80;
        af_xdp_fake_complete(f->fake[0], take(in, 1));
        break;
    case 12:
        if (op & 0x80) {
            do_lie(f, in);
        }
        break;
    case 13:
        do_quiesce(f);
        break;
    case 14:
        do_quiesce(f);
        for (int i = 0; i < 2; i++) {
            af_xdp_vring_set_memory(f->ring[i].vr,
                                    op & 0x80 ? f->empty : f->memory);
        }
        break;
    case 15:
        set_log(f, op & 0x80);
        break;
    case 16:
        do_hand_over(f);
        break;
    case 17:
        if (af_xdp_copy_tx_ready(f->copy[0])) {
            const AfXdpUmem *umem = af_xdp_copy_umem(f->copy[0]);

            g_assert(af_xdp_umem_available(umem, AF_XDP_POOL_TX) >=
                     AF_XDP_MAX_TX_SEGS);
        }
        break;
    case 18:
        af_xdp_copy_tx_flush(f->copy[0]);
        break;
    case 19 ... 21:
        do_desc(f, in);
        break;
    case 22 ... 23:
        do_buffers(f, in);
        break;
    case 24 ... 28:
        do_avail(f, in);
        break;
    default:
        do_write(f, in);
        break;
    }
    if (op % 32 <= 18) {
        check_socket(f, 0);
        check_socket(f, 1);
    }
}

static void run(Fuzz *f, Input *in)
{
    static const uint16_t ring_sizes[] = { 16, 32, 64, 512 };
    uint8_t flags = take(in, 1), sizes = take(in, 1);
    uint32_t num[2], base[2];

    f->packed = flags & 1;
    f->features = (uint64_t)f->packed << VIRTIO_F_RING_PACKED |
        (uint64_t)(flags >> 1 & 1) << VIRTIO_RING_F_EVENT_IDX |
        (uint64_t)(flags >> 2 & 1) << VIRTIO_RING_F_INDIRECT_DESC |
        (uint64_t)(flags >> 3 & 1) << VIRTIO_NET_F_MRG_RXBUF |
        (uint64_t)(flags >> 4 & 1) << VIRTIO_F_VERSION_1;
    f->log_on = flags & 0x20;
    for (int i = 0; i < 2; i++) {
        num[i] = 1 + take(in, 1) % NUM_MAX;
        base[i] = f->packed ? 0x80008000 : 0;
        if (!f->packed) {
            num[i] = 1u << num[i] % 7;
        }
        if (flags & 0x40) {
            base[i] = take(in, 4);
        }
        place_ring(f, &f->ring[i], 3 * i, num[i]);
    }
    if (!ring_open(f, 0, base[0]) || !ring_open(f, 1, base[1])) {
        af_xdp_vring_free(f->ring[0].vr);
        return;
    }
    af_xdp_fake_limit(ring_sizes[sizes & 3], ring_sizes[sizes >> 2 & 3]);
    for (int i = 0; i < 2; i++) {
        f->copy[i] = af_xdp_copy_new("fake", i, -1, 9018, false, NULL);
        f->fake[i] = af_xdp_fake(af_xdp_copy_socket(f->copy[i]));
    }
    f->dp = af_xdp_datapath_new(f->copy[0], f->ring[0].vr, f->ring[1].vr,
                                f->features);
    while (in->left > 0) {
        step(f, in);
    }
    /* After any history: the kernel catches up, and no frame is missing. */
    f->fake[0]->n_kicks = 0;
    f->fake[0]->late = false;
    do_quiesce(f);
    while (af_xdp_fake_complete(f->fake[0], UINT32_MAX) > 0 ||
           af_xdp_socket_tx_pending(&f->fake[0]->sock) > 0) {
        af_xdp_copy_tx_flush(f->copy[0]);
    }
    af_xdp_copy_tx_flush(f->copy[0]);
    check_socket(f, 0);
    if (!f->lied[0]) {
        g_assert(af_xdp_umem_count(af_xdp_copy_umem(f->copy[0]),
                                   AF_XDP_FRAME_TX) == 0);
    }
    af_xdp_datapath_free(f->dp);
    for (int i = 0; i < 2; i++) {
        af_xdp_vring_free(f->ring[i].vr);
        af_xdp_copy_free(f->copy[i]);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Fuzz *f = fuzz = g_new0(Fuzz, 1);
    AfXdpRegion regions[N_REGIONS];
    Input in = { data, size };

    /* Or each UMEM of each input has huge pages cleared for it. */
    prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
    for (int i = 0; i < N_REGIONS; i++) {
        /* Each in its own allocation, for the sanitizer to see its ends. */
        f->host[i] = aligned_alloc(16, REGION);
        memset(f->host[i], 0, REGION);
        regions[i] = (AfXdpRegion) { region_gpa[i], REGION, f->host[i] };
    }
    f->memory = af_xdp_memory_new(regions, N_REGIONS, NULL);
    f->empty = af_xdp_memory_new(NULL, 0, NULL);
    g_assert(f->memory && f->empty);
    f->log = (AfXdpLog) { f->log_words, ARRAY_SIZE(f->log_words) };

    run(f, &in);

    af_xdp_memory_free(f->memory);
    af_xdp_memory_free(f->empty);
    for (int i = 0; i < N_REGIONS; i++) {
        free(f->host[i]);
    }
    g_free(f);
    return 0;
}
