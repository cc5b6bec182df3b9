/*
 * AF_XDP: fuzzing the data path
 *
 * The input is the guest and the kernel: it fills both virtqueues and changes
 * them between turns, and it decides what the socket (af-xdp-fake-socket.h)
 * receives, when it sends, which errors it reports, and when it lies. In
 * between the control plane stops, hands over, changes memory and log, and
 * lets direct buffers begin and end, which need memory that is a window:
 *
 *     frames of copy[0] | frames of copy[1] | RAM
 *
 * Checked after each step are the promises to whoever runs this: every frame
 * is in one place, every packet is accounted for, a turn is bounded, only the
 * rings and the pieces taken from them are written, all of it is logged, what
 * was taken from the guest goes back once, and the kernel may write and read
 * nothing of the guest's but what is taken just then. The sanitizers check
 * the rest.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <sys/mman.h>
#include <sys/prctl.h>
#include <linux/virtio_net.h>
#include "net/af-xdp-datapath.h"
#include "fuzz.h"
#include "kernel.h"
#include "ledger.h"

/*
 * Guest memory: three regions for each ring. The first two touch; the last is
 * at the end of the address space, past the end of the log.
 */
#define N_REGIONS 6
#define LOG_PAGES 256u
#define NUM_MAX 64u

static const uint64_t region_gpa[N_REGIONS] = {
    0, FUZZ_REGION, 0x10000, 0x20000, 0x21000, UINT64_MAX - FUZZ_REGION + 1,
};

/* The window, and what of it is guest memory: the largest region. */
#define FRONT (2 * (uint64_t)AF_XDP_COPY_FRAMES * AF_XDP_FRAME_SIZE)
#define RAM_GPA 0x40000
#define RAM_SIZE (10 * FUZZ_REGION)
#define MEMORY_MAX (N_REGIONS * FUZZ_REGION + RAM_SIZE)

/* Quotas of a turn, see af-xdp-datapath-int.h. */
#define TURN_PACKETS 256u
#define TURN_BYTES (TURN_PACKETS * 1514u)

typedef struct Fuzz {
    FuzzGuest guest;
    FuzzKernel kernel[2];       /* own, and of a queue not driven */
    AfXdpDatapath *dp;
    bool log_on;
    unsigned long log_words[LOG_PAGES / (8 * sizeof(unsigned long))];
    AfXdpLog log;
    uint8_t before[MEMORY_MAX];
    bool faulted;               /* a ring of direct buffers was broken */

    char *window;               /* NULL: none */
    bool driver;                /* driver zero-copy */
    uint32_t headroom;
    bool direct;
    bool stopping;
    uint32_t how;               /* the kernel behaves while it stops */
    uint32_t race;              /* frames taken until it takes one, too */
    bool wrote[LOG_PAGES];      /* by the kernel, and not logged since */
} Fuzz;

static Fuzz *fuzz;

/* --- What the datapath may write --- */

static void copy_memory(Fuzz *f)
{
    uint32_t at = 0;

    for (uint32_t r = 0; r < f->guest.n_regions; r++) {
        const AfXdpRegion *region = &f->guest.region[r];

        memcpy(f->before + at, region->host, region->size);
        at += region->size;
    }
}

/* Remember what memory is like before a turn. */
static void watch(Fuzz *f)
{
    copy_memory(f);
    memset(f->log_words, 0, sizeof(f->log_words));
}

static bool in_ring(const Fuzz *f, const FuzzRing *ring, const uint8_t *at)
{
    return (uint64_t)(at - ring->device) < ring->device_size ||
           (f->guest.packed && (uint64_t)(at - ring->desc) < 16 * ring->num);
}

static bool logged(const Fuzz *f, uint64_t gpa)
{
    const uint32_t bits = 8 * sizeof(unsigned long);
    uint64_t page = gpa >> AF_XDP_LOG_PAGE_BITS;

    return page >= LOG_PAGES || (f->log_words[page / bits] >> page % bits & 1);
}

/* Since watch() only those rings and pieces for reception were written. */
static void check_writes(Fuzz *f, bool rx, bool tx)
{
    const FuzzRing *ring = f->guest.ring;
    uint32_t at = 0;

    for (uint32_t r = 0; r < f->guest.n_regions; r++) {
        const AfXdpRegion *region = &f->guest.region[r];
        const uint8_t *host = region->host;

        for (uint32_t i = 0; i < region->size; i++) {
            /* Fast over what did not change, as most of it. */
            if (i % 64 == 0 && !memcmp(f->before + at + i, host + i, 64)) {
                i += 63;
            } else if (f->before[at + i] != host[i]) {
                g_assert((rx && in_ring(f, &ring[0], host + i)) ||
                         (tx && in_ring(f, &ring[1], host + i)) ||
                         (rx && fuzz_ledger_named(0, at + i)));
                g_assert(!f->log_on || logged(f, region->gpa + i));
            }
        }
        at += region->size;
    }
    for (uint32_t page = 0; page < LOG_PAGES; page++) {
        f->wrote[page] &= !logged(f, (uint64_t)page << AF_XDP_LOG_PAGE_BITS);
    }
}

/* What the kernel writes is for the log, too, when it is delivered. */
static void kernel_wrote(const void *at, uint32_t len)
{
    const AfXdpRegion *ram = &fuzz->guest.region[fuzz->guest.favourite];
    uint64_t off = (const uint8_t *)at - (uint8_t *)ram->host;

    g_assert(off < ram->size && len <= ram->size - off);
    for (uint64_t i = off; i < off + len; i++) {
        fuzz->wrote[(ram->gpa + i) >> AF_XDP_LOG_PAGE_BITS] = true;
    }
}

/* --- The guest --- */

static bool ring_open(Fuzz *f, int i, uint32_t base)
{
    FuzzRing *ring = &f->guest.ring[i];
    AfXdpVringConfig config = fuzz_guest_config(&f->guest, ring, base);

    config.writable = i == 0;
    config.log = f->log_on ? &f->log : NULL;
    ring->vr = af_xdp_vring_new(&config, NULL);
    return ring->vr;
}

/* Some more entries are available. */
static void do_avail(Fuzz *f, FuzzInput *in)
{
    uint32_t what = fuzz_take(in, 1), n = fuzz_take(in, 1);
    const FuzzRing *ring = &f->guest.ring[what & 1];
    struct vring_avail *avail = (struct vring_avail *)ring->driver;

    if (f->guest.packed) {
        struct vring_packed_desc *d = (struct vring_packed_desc *)ring->desc;

        for (uint32_t i = 0; i < ring->num; i++) {
            d[i].flags ^= n & 1 ? FUZZ_AVAIL_FLAG
                                : FUZZ_AVAIL_FLAG | FUZZ_USED_FLAG;
        }
    } else if (what & 2) {
        /* All that the device has returned. */
        avail->idx = ((struct vring_used *)ring->device)->idx + ring->num;
    } else {
        avail->idx += n % (ring->num + 1 + !(n & 0x7f));
    }
}

/* --- Checks --- */

/* Buffers that the kernel has are in chains that are held. */
static void check_outside(const void *at, uint32_t len, bool write)
{
    uint64_t chunk = (char *)at - fuzz->window - AF_XDP_RX_HEADROOM -
                     fuzz->headroom;

    g_assert(fuzz->direct);
    g_assert(!write || (chunk >= FRONT &&
                        chunk <= FRONT + RAM_SIZE - AF_XDP_FRAME_SIZE));
    g_assert(fuzz_ledger_holds(write ? 0 : 1, at, len));
}

static void check_sockets(Fuzz *f)
{
    const FuzzKernel *own = &f->kernel[0];
    uint32_t posted = fuzz_kernel_check(own);

    fuzz_kernel_check(&f->kernel[1]);
    if (!own->lied && !f->faulted) {
        g_assert(posted == af_xdp_datapath_rx_posted(f->dp));
        g_assert(af_xdp_copy_stats(own->copy)->rx_malformed == 0);
        fuzz_kernel_outside(own, check_outside);
    }
    for (int i = 0; i < 2; i++) {
        g_assert(af_xdp_vring_held(f->guest.ring[i].vr) ==
                 fuzz_ledger_slots(i));
    }
}

static void check_fault(Fuzz *f, AfXdpTurn turn, const char *before,
                        const char *after)
{
    g_assert((turn == AF_XDP_TURN_FAULT) == (after != NULL));
    /* The first one is told. */
    g_assert(!before || before == after);
    f->faulted |= after != NULL;
}

/* --- Turns --- */

static void do_rx(Fuzz *f, int i)
{
    FuzzKernel *k = &f->kernel[i];
    const AfXdpCopyStats *stats = af_xdp_copy_stats(k->copy);
    const char *fault = af_xdp_datapath_rx_fault(f->dp);
    uint64_t packets = stats->rx_packets, bytes = stats->rx_bytes;
    uint64_t malformed = stats->rx_malformed;
    bool call = false;
    AfXdpTurn turn;

    watch(f);
    turn = af_xdp_datapath_rx(f->dp, k->copy, &call);
    check_writes(f, true, false);
    check_fault(f, turn, fault, af_xdp_datapath_rx_fault(f->dp));
    packets = stats->rx_packets - packets;
    bytes = stats->rx_bytes - bytes;
    g_assert(packets <= TURN_PACKETS &&
             bytes <= TURN_BYTES + FUZZ_PACKET_MAX);
    if (fault) {
        g_assert(packets == 0 && !call);
    }
    if (turn == AF_XDP_TURN_DONE && !k->lied) {
        /* Of two sockets, the second's packets are for the next turn. */
        g_assert(fuzz_kernel_waiting(k) == 0 ||
                 (f->direct && i == 0 && !f->driver &&
                  af_xdp_copy_rx_pending(k->copy)));
    }
    if (turn == AF_XDP_TURN_NO_BUFFERS) {
        g_assert(fuzz_kernel_waiting(k) > 0);
    }
    if (turn == AF_XDP_TURN_MORE) {
        g_assert(packets > 0 || stats->rx_malformed > malformed);
    }
    if (turn == AF_XDP_TURN_LOW) {
        g_assert(f->direct);
    }
}

static void do_tx(Fuzz *f)
{
    FuzzKernel *k = &f->kernel[0];
    const AfXdpCopyStats *stats = af_xdp_copy_stats(k->copy);
    const char *fault = af_xdp_datapath_tx_fault(f->dp);
    uint64_t packets = stats->tx_packets, bytes = stats->tx_bytes;
    AfXdpTxState state;
    bool call = false;
    AfXdpTurn turn;

    watch(f);
    turn = af_xdp_datapath_tx(f->dp, &call, &state);
    check_writes(f, false, true);
    check_fault(f, turn, fault, af_xdp_datapath_tx_fault(f->dp));
    packets = stats->tx_packets - packets;
    bytes = stats->tx_bytes - bytes;
    g_assert(packets <= TURN_PACKETS &&
             bytes <= TURN_BYTES + FUZZ_PACKET_MAX);
    if (fault) {
        g_assert(packets == 0 && !call);
    }
    /* Who waits for the socket is told by what. */
    if (state == AF_XDP_TX_POLL) {
        g_assert(af_xdp_socket_tx_pending(&k->fake->sock) > 0);
    }
    if (state == AF_XDP_TX_WAIT) {
        g_assert(f->direct && af_xdp_vring_held(f->guest.ring[1].vr) > 0);
    }
}

static void do_refill(Fuzz *f)
{
    watch(f);
    if (af_xdp_datapath_rx_refill(f->dp) == AF_XDP_TURN_FAULT) {
        g_assert(af_xdp_datapath_rx_fault(f->dp));
        f->faulted = true;
    }
    check_writes(f, true, false);
}

/* --- Control --- */

/* What is held goes back, and the next user goes on where this one stopped. */
static void do_quiesce(Fuzz *f)
{
    const char *rx = af_xdp_datapath_rx_fault(f->dp);
    const char *tx = af_xdp_datapath_tx_fault(f->dp);

    af_xdp_datapath_quiesce(f->dp);
    if (!f->direct) {
        for (int i = 0; i < 2; i++) {
            g_assert(af_xdp_vring_held(f->guest.ring[i].vr) == 0);
            fuzz_ledger_forget(i);
        }
    }
    g_assert(rx == af_xdp_datapath_rx_fault(f->dp));
    g_assert(tx == af_xdp_datapath_tx_fault(f->dp));
}

/* Our frames: in the window, or in memory of the queue's own. */
static void move(Fuzz *f, int i, bool in_window)
{
    AfXdpPlace place = {
        .area = f->window,
        .size = FRONT + RAM_SIZE,
        .base = i * (FRONT / 2),
        .headroom = f->headroom,
    };
    AfXdpMove to = {
        .ifname = "fake", .frame_max = 9018,
        .place = in_window ? &place : NULL,
    };
    FuzzKernel *k = &f->kernel[i];

    g_assert(af_xdp_copy_move(k->copy, &to, NULL));
    fuzz_kernel_moved(k, in_window ? place.base : 0);
    if (f->driver) {
        /* Never with SG. */
        k->fake->sock.multi_buffer = false;
        k->fake->sock.max_tx_segs = 1;
    }
}

static void do_begin(Fuzz *f, FuzzInput *in)
{
    FuzzKernel *k = &f->kernel[0];
    uint32_t what = fuzz_take(in, 1);
    uint32_t num = f->guest.ring[0].num;
    const uint32_t spare[] = { 0, 1, num / 2, num };
    AfXdpDirectConfig config = {
        .area = f->window,
        .size = FRONT + RAM_SIZE,
        .front = FRONT,
        .headroom = f->headroom,
        .rx = !(what & 1),
        .tx = !(what & 2),
        .spare = spare[what >> 2 & 3],
        .page_size = f->driver ? what & 0x20 ? 4096 : 8192 : 0,
    };

    if (f->direct) {
        return;
    }
    if (!af_xdp_umem_is_placed(af_xdp_copy_umem(k->copy))) {
        move(f, 0, true);
    }
    config.room = k->fake->sock.rx_room;
    k->fake->fail_second = what & 0x40;
    if (!af_xdp_copy_outside_begin(k->copy, NULL)) {
        return;
    }
    /* It is in the XSKMAP before, or only later. */
    k->fake->to_base = what & 0x10;
    watch(f);
    af_xdp_datapath_direct_begin(f->dp, &config);
    check_writes(f, true, true);
    f->direct = true;
    f->faulted |= af_xdp_datapath_rx_fault(f->dp) != NULL;
}

/* Called in the middle of covering: the kernel goes on meanwhile. */
uint32_t __wrap_af_xdp_umem_take(AfXdpUmem *umem, AfXdpPool pool,
                                 uint64_t *addrs, uint32_t n)
{
    if (fuzz->stopping && pool == AF_XDP_POOL_RX && fuzz->race > 0 &&
        --fuzz->race == 0) {
        fuzz_kernel_take(&fuzz->kernel[0], 1 + fuzz->how % 8);
    }
    return __real_af_xdp_umem_take(umem, pool, addrs, n);
}

/* What it took arrives before the second socket is gone, at either of them. */
void __wrap_af_xdp_socket_close_second(AfXdpSocket *s)
{
    if (fuzz->stopping) {
        check_writes(fuzz, true, true);
        fuzz_kernel_arrive_taken(&fuzz->kernel[0], 1 + (fuzz->how >> 3 & 3),
                                 fuzz->how & 0x20);
        /* For what is still to come: the log goes on. */
        copy_memory(fuzz);
    }
    __real_af_xdp_socket_close_second(s);
}

/* No buffer of the guest's is in any ring any more. */
static void check_none(const void *at, uint32_t len, bool write)
{
    g_assert_not_reached();
}

static void do_end(Fuzz *f, FuzzInput *in)
{
    FuzzKernel *k = &f->kernel[0];
    uint32_t what = fuzz_take(in, 1);
    bool call = false;

    if (!f->direct) {
        return;
    }
    k->fake->to_base = !(what & 0x80);
    f->how = what;
    f->race = what & 0x40 ? 1 + what % 64 : 0;
    f->stopping = true;
    watch(f);
    af_xdp_datapath_direct_stop(f->dp, &call);
    f->stopping = false;
    k->fake->to_base = true;
    if (!f->driver) {
        fuzz_kernel_closed(k);
        if (!k->lied) {
            fuzz_kernel_outside(k, check_none);
        }
    } else {
        if (what & 0x20) {
            fuzz_kernel_take(k, 8);
            fuzz_kernel_arrive_taken(k, 1, false);
            copy_memory(f);
        }
        move(f, 0, false);
    }
    af_xdp_datapath_direct_end(f->dp, &call);
    f->direct = false;
    check_writes(f, true, true);
    for (int i = 0; i < 2; i++) {
        g_assert(af_xdp_vring_held(f->guest.ring[i].vr) == 0);
        fuzz_ledger_forget(i);
    }
    for (uint32_t page = 0; page < LOG_PAGES; page++) {
        g_assert(!f->log_on || !f->wrote[page] || k->lied || f->faulted);
        f->wrote[page] = false;
    }
    if (!f->driver) {
        /* Nor in one that the next user reads. */
        g_assert(fuzz_kernel_check(k) == 0);
    }
    g_assert(!af_xdp_datapath_direct(f->dp));
}

static void do_hand_over(Fuzz *f, FuzzInput *in)
{
    do_end(f, in);
    do_quiesce(f);
    af_xdp_datapath_free(f->dp);
    for (int i = 0; i < 2; i++) {
        FuzzRing *ring = &f->guest.ring[i];
        uint32_t base = af_xdp_vring_base(ring->vr);

        af_xdp_vring_free(ring->vr);
        g_assert(ring_open(f, i, base));
        g_assert(af_xdp_vring_base(ring->vr) == base);
    }
    f->dp = af_xdp_datapath_new(f->kernel[0].copy, f->guest.ring[0].vr,
                                f->guest.ring[1].vr, f->guest.features);
}

static void set_log(Fuzz *f, bool on)
{
    f->log_on = on;
    for (int i = 0; i < 2; i++) {
        af_xdp_vring_set_log(f->guest.ring[i].vr, on ? &f->log : NULL);
    }
    /* All memory is sent after logging has begun. */
    memset(f->wrote, 0, sizeof(f->wrote));
}

/* What there is only in a window; @op is above those without one. */
static void step_window(Fuzz *f, FuzzInput *in, uint8_t op)
{
    switch (op % 32) {
    case 0 ... 3:
        do_begin(f, in);
        break;
    case 4 ... 5:
        do_end(f, in);
        break;
    case 6 ... 8:
        fuzz_kernel_take(&f->kernel[0], fuzz_take(in, 1) % 64);
        break;
    case 9:
        f->kernel[0].fake->to_base = op & 0x80 || !f->direct;
        break;
    case 10:
        if (f->direct) {
            do_refill(f);
        }
        break;
    case 11:
        if (!f->direct) {
            move(f, 0, op & 0x80);
        }
        break;
    case 12 ... 16:
        fuzz_guest_buffers(&f->guest, in);
        break;
    case 17 ... 21:
        do_avail(f, in);
        break;
    case 22 ... 25:
        fuzz_guest_desc(&f->guest, in);
        break;
    case 26 ... 28: {
        uint32_t what = fuzz_take(in, 1);

        fuzz_kernel_receive(&f->kernel[0], in, what);
        break;
    }
    case 29 ... 30:
        do_rx(f, 0);
        break;
    default:
        do_tx(f);
        break;
    }
    check_sockets(f);
}

static void step(Fuzz *f, FuzzInput *in)
{
    uint8_t op = fuzz_take(in, 1);
    FuzzKernel *k = &f->kernel[0];
    uint32_t what;

    if (f->window && op & 0x20) {
        step_window(f, in, op);
        return;
    }
    switch (op % 32) {
    case 0 ... 3:
        do_rx(f, op % 4 == 3);
        break;
    case 4 ... 6:
        do_tx(f);
        break;
    case 7 ... 9:
        what = fuzz_take(in, 1);
        fuzz_kernel_receive(&f->kernel[what & 1], in, what);
        break;
    case 10:
        fuzz_kernel_kicks(k, in);
        break;
    case 11:
        k->fake->late = op & 0x80;
        af_xdp_fake_complete(k->fake, fuzz_take(in, 1));
        break;
    case 12:
        if (op & 0x80) {
            what = fuzz_take(in, 1);
            fuzz_kernel_lie(&f->kernel[what & 1], in, what);
        }
        break;
    case 13:
        do_quiesce(f);
        break;
    case 14:
        do_quiesce(f);
        for (int i = 0; i < 2; i++) {
            af_xdp_vring_set_memory(f->guest.ring[i].vr,
                                    op & 0x80 ? f->guest.empty
                                              : f->guest.memory);
        }
        break;
    case 15:
        set_log(f, op & 0x80);
        break;
    case 16:
        do_hand_over(f, in);
        break;
    case 17:
        if (af_xdp_copy_tx_ready(k->copy)) {
            g_assert(af_xdp_umem_available(af_xdp_copy_umem(k->copy),
                                           AF_XDP_POOL_TX) >=
                     k->fake->sock.max_tx_segs);
        }
        break;
    case 18:
        af_xdp_copy_tx_flush(k->copy);
        break;
    case 19 ... 21:
        fuzz_guest_desc(&f->guest, in);
        break;
    case 22 ... 23:
        fuzz_guest_buffers(&f->guest, in);
        break;
    case 24 ... 28:
        do_avail(f, in);
        break;
    default:
        fuzz_guest_write(&f->guest, in);
        break;
    }
    if (op % 32 <= 18) {
        check_sockets(f);
    }
}

/* --- One input --- */

/* Room for a ring's three areas: of its own, or in RAM that packets hit. */
static void place_ring(Fuzz *f, int i, uint32_t num, bool in_ram)
{
    FuzzGuest *g = &f->guest;
    uint8_t *areas[3];

    for (int k = 0; k < 3; k++) {
        areas[k] = in_ram ? (uint8_t *)g->region[g->favourite].host +
                            (3 * i + k + 3) * FUZZ_REGION
                          : g->region[3 * i + k].host;
    }
    fuzz_guest_place(g, &g->ring[i], num, areas);
}

static void make_window(Fuzz *f)
{
    f->window = mmap(NULL, FRONT + RAM_SIZE, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    g_assert(f->window != MAP_FAILED);
    f->guest.favourite = fuzz_guest_region(&f->guest, RAM_GPA,
                                           (uint8_t *)f->window + FRONT,
                                           RAM_SIZE);
}

static void open_sockets(Fuzz *f, uint8_t sizes)
{
    static const uint16_t rx_sizes[] = { 16, 32, 64, 512 };
    static const uint16_t tx_sizes[] = { 32, 64, 128, 512 };

    af_xdp_fake_limit(rx_sizes[sizes & 3], tx_sizes[sizes >> 2 & 3]);
    af_xdp_fake_driver_zero_copy(f->driver);
    for (int i = 0; i < 2; i++) {
        FuzzKernel *k = &f->kernel[i];

        fuzz_kernel_init(k, af_xdp_copy_new("fake", i, -1, 9018,
                                            AF_XDP_BIND_COPY, NULL));
        k->wrote = kernel_wrote;
        k->fake->to_base = true;
        if (f->window) {
            move(f, i, true);
        }
    }
}

/* After any history: the kernel catches up, and no frame is missing. */
static void finish(Fuzz *f)
{
    FuzzKernel *k = &f->kernel[0];
    FuzzInput none = { 0 };

    do_end(f, &none);
    k->fake->n_kicks = 0;
    k->fake->late = false;
    do_quiesce(f);
    while (af_xdp_fake_complete(k->fake, UINT32_MAX) > 0 ||
           af_xdp_socket_tx_pending(&k->fake->sock) > 0) {
        af_xdp_copy_tx_flush(k->copy);
    }
    af_xdp_copy_tx_flush(k->copy);
    check_sockets(f);
    if (!k->lied) {
        g_assert(af_xdp_umem_count(af_xdp_copy_umem(k->copy),
                                   AF_XDP_FRAME_TX) == 0);
    }
    af_xdp_datapath_free(f->dp);
    for (int i = 0; i < 2; i++) {
        af_xdp_vring_free(f->guest.ring[i].vr);
        fuzz_kernel_free(&f->kernel[i]);
    }
}

static void run(Fuzz *f, FuzzInput *in)
{
    /* The last one leaves the least that Linux takes. */
    static const uint16_t headrooms[] = { 0, 2316, 1000, 3392 };
    uint8_t flags = fuzz_take(in, 1), sizes = fuzz_take(in, 1);
    FuzzGuest *g = &f->guest;
    uint32_t num[2], base[2];

    g->packed = flags & 1;
    g->features = (uint64_t)g->packed << VIRTIO_F_RING_PACKED |
        (uint64_t)(flags >> 1 & 1) << VIRTIO_RING_F_EVENT_IDX |
        (uint64_t)(flags >> 2 & 1) << VIRTIO_RING_F_INDIRECT_DESC |
        (uint64_t)(flags >> 3 & 1) << VIRTIO_NET_F_MRG_RXBUF |
        (uint64_t)(flags >> 4 & 1) << VIRTIO_F_VERSION_1;
    f->log_on = flags & 0x20;
    if (flags & 0x80) {
        make_window(f);
        f->driver = sizes & 0x10;
        f->headroom = headrooms[sizes >> 5 & 3];
    }
    fuzz_guest_ready(g);
    for (int i = 0; i < 2; i++) {
        num[i] = 1 + fuzz_take(in, 1) % NUM_MAX;
        base[i] = g->packed ? 0x80008000 : 0;
        if (!g->packed) {
            num[i] = 1u << num[i] % 7;
        }
        if (flags & 0x40) {
            base[i] = fuzz_take(in, 4);
        }
        place_ring(f, i, num[i], f->window && sizes & 0x80);
    }
    if (!ring_open(f, 0, base[0]) || !ring_open(f, 1, base[1])) {
        af_xdp_vring_free(g->ring[0].vr);
        return;
    }
    fuzz_ledger_open(g);
    open_sockets(f, sizes);
    f->dp = af_xdp_datapath_new(f->kernel[0].copy, g->ring[0].vr,
                                g->ring[1].vr, g->features);
    while (in->left > 0) {
        step(f, in);
    }
    finish(f);
    fuzz_ledger_close();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Fuzz *f = fuzz = g_new0(Fuzz, 1);
    FuzzInput in = { data, size };

    /* Or each UMEM of each input has huge pages cleared for it. */
    prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
    for (int i = 0; i < N_REGIONS; i++) {
        fuzz_guest_region(&f->guest, region_gpa[i], NULL, FUZZ_REGION);
    }
    f->guest.n_rings = 2;
    f->guest.num_max = NUM_MAX;
    f->guest.table = f->guest.region[3].host;
    f->log = (AfXdpLog) { f->log_words, ARRAY_SIZE(f->log_words) };

    run(f, &in);

    fuzz_guest_free(&f->guest);
    if (f->window) {
        munmap(f->window, FRONT + RAM_SIZE);
    }
    g_free(f);
    return 0;
}
