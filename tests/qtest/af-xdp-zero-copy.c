/*
 * af-xdp qtest: guest zero-copy: what its tests share
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/atomic.h"
#include <sys/mman.h>
#include <sys/syscall.h>
#include "af-xdp-zero-copy.h"

#ifndef AF_XDP
#define AF_XDP 44
#endif

/* Frames that are sent at once, and how long nothing is then. */
#define BLAST_BURST 32
#define BLAST_PAUSE_US 200

/* --- Beginning and end --- */

void axt_zc_start_vm(AxtZc *z, const AxtZcConfig *config)
{
    *z = (AxtZc) { .errors = memfd_create("axt-errors", 0) };
    g_assert_cmpint(z->errors, >=, 0);
    z->net.wire = axt_wire_new(MAX(config->queues, 1), config->mtu ?: 1500);
    /* The shell that starts QEMU opens it. */
    z->net.vm = axt_vm_new_ram(&config->ram, "%s 2>>/proc/self/fd/%d",
                               config->machine ?: "", z->errors);
    if (config->canary) {
        axt_canary_fill(z->net.vm);
    }
}

void axt_zc_start(AxtZc *z, const AxtZcConfig *config)
{
    const unsigned queues = MAX(config->queues, 1);
    AxtZcConfig all = *config;
    g_autofree char *machine =
        g_strdup_printf("%s -netdev af-xdp,id=n0,ifname=" AXT_DEV
                        ",queues=%u%s%s%s -device virtio-net-pci," AXT_NIC_ARGS
                        ",id=nic,packed=on%s%s", config->machine ?: "", queues,
                        config->netdev ? "" : ",zero-copy=on",
                        config->netdev ?: "", axt_wire_options(),
                        queues > 1 ? ",mq=on,vectors=10" : "",
                        config->device ?: "");

    all.machine = machine;
    axt_zc_start_vm(z, &all);
    z->net.nic = axt_virtio_new_config(z->net.vm, queues, &config->virtio);
    axt_wire_settle(z->net.wire);
}

void axt_zc_stop(AxtZc *z)
{
    if (z->net.nic) {
        axt_nic_free(z->net.nic);
    }
    axt_vm_free(z->net.vm);
    axt_wire_free(z->net.wire);
    close(z->errors);
}

void axt_zc_plug(AxtZc *z, const char *options)
{
    g_autofree char *all = g_strconcat("ifname=" AXT_DEV, options,
                                       axt_wire_options(), NULL);
    g_autofree char *error = axt_netdev_add(z->net.vm, "n0", all);

    g_assert_cmpstr(error, ==, NULL);
    qtest_qmp_device_add(z->net.vm->qts, "virtio-net-pci", "nic",
                         "{'netdev': 'n0', 'addr': '4', 'romfile': ''}");
    z->net.nic = axt_virtio_new(z->net.vm, 1);
}

void axt_zc_unplug(AxtZc *z)
{
    axt_unplug(z->net.vm, "nic");
    axt_nic_free(z->net.nic);
    z->net.nic = NULL;
    axt_netdev_del(z->net.vm, "n0");
    g_assert_cmpuint(axt_prog_id(z->net.wire->ifindex), ==, 0);
}

/* --- What QEMU says --- */

unsigned axt_zc_lines(AxtZc *z, const char *what)
{
    off_t size = lseek(z->errors, 0, SEEK_END);
    g_autofree char *text = g_malloc0(size + 1);
    g_auto(GStrv) lines = NULL;
    unsigned n = 0;
    char **line;

    g_assert_cmpint(pread(z->errors, text, size, 0), ==, size);
    lines = g_strsplit(text, "\n", -1);
    for (line = lines; *line; line++) {
        n += strstr(*line, what) != NULL;
    }
    if (n > 0) {
        g_test_message("stderr: %s", text);
    }
    return n;
}

char *axt_zc_info(AxtZc *z)
{
    static const char key[] = ",zero-copy=";
    g_autofree char *info = qtest_hmp(z->net.vm->qts, "info network");
    const char *at = strstr(info, key);
    const char *end;

    g_assert_nonnull(at);
    at += strlen(key);
    end = strchr(at, ')');
    return end ? g_strndup(at, end + 1 - at) : g_strdup(at);
}

void axt_zc_assert_on(AxtZc *z)
{
    g_autofree char *info = axt_zc_info(z);

    axt_vhost_assert_running(&z->net);
    if (!g_str_has_prefix(info, "on (window ")) {
        g_error("zero-copy=%s", info);
    }
}

void axt_zc_assert_off(AxtZc *z, const char *why)
{
    g_autofree char *info = axt_zc_info(z);

    if (!g_str_has_prefix(info, "off") || !strstr(info, why)) {
        g_error("zero-copy=%s; no \"%s\"", info, why);
    }
}

void axt_zc_counts(AxtZc *z, AxtZcCounts *c)
{
    AxtVm *vm = z->net.vm;

    *c = (AxtZcCounts) {
        .rx = axt_counter(vm, "rx"),
        .rx_direct = axt_counter(vm, "rx-direct"),
        .early = axt_counter(vm, "rx-copied-early"),
        .is_short = axt_counter(vm, "rx-copied-short"),
        .chain = axt_counter(vm, "rx-copied-chain"),
        .outside = axt_counter(vm, "rx-copied-outside"),
        .page = axt_counter(vm, "rx-copied-page"),
        .mixed = axt_counter(vm, "rx-copied-mixed"),
        .lost = axt_counter(vm, "rx-lost"),
        .tx = axt_counter(vm, "tx"),
        .tx_direct = axt_counter(vm, "tx-direct"),
        .tx_pieces = axt_counter(vm, "tx-copied-pieces"),
        .tx_outside = axt_counter(vm, "tx-copied-outside"),
    };
}

AxtZcCounts axt_zc_count(AxtZc *z, AxtZcCounts *before)
{
    AxtZcCounts now, diff;

    axt_zc_counts(z, &now);
    diff = (AxtZcCounts) {
        .rx = now.rx - before->rx,
        .rx_direct = now.rx_direct - before->rx_direct,
        .early = now.early - before->early,
        .is_short = now.is_short - before->is_short,
        .chain = now.chain - before->chain,
        .outside = now.outside - before->outside,
        .page = now.page - before->page,
        .mixed = now.mixed - before->mixed,
        .lost = now.lost - before->lost,
        .tx = now.tx - before->tx,
        .tx_direct = now.tx_direct - before->tx_direct,
        .tx_pieces = now.tx_pieces - before->tx_pieces,
        .tx_outside = now.tx_outside - before->tx_outside,
    };
    *before = now;
    g_test_message("rx %" PRIu64 ": direct %" PRIu64 ", early %" PRIu64
                   ", short %" PRIu64 ", chain %" PRIu64 ", outside %" PRIu64
                   ", page %" PRIu64 ", mixed %" PRIu64 ", lost %" PRIu64
                   "; tx %" PRIu64
                   ": direct %" PRIu64 ", pieces %" PRIu64 ", outside %" PRIu64,
                   diff.rx, diff.rx_direct, diff.early, diff.is_short,
                   diff.chain, diff.outside, diff.page, diff.mixed, diff.lost,
                   diff.tx, diff.tx_direct, diff.tx_pieces, diff.tx_outside);
    return diff;
}

/* --- What QEMU has --- */

static int by_value(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;

    return *x < *y ? -1 : *x > *y;
}

unsigned axt_zc_sockets(AxtZc *z, uint64_t *inodes)
{
    const pid_t pid = qtest_pid(z->net.vm->qts);
    int pidfd = syscall(SYS_pidfd_open, pid, 0);
    g_autofree char *path = g_strdup_printf("/proc/%d/fd", (int)pid);
    GDir *dir = g_dir_open(path, 0, NULL);
    const char *name;
    unsigned n = 0;

    g_assert_cmpint(pidfd, >=, 0);
    g_assert_nonnull(dir);
    while ((name = g_dir_read_name(dir))) {
        g_autofree char *entry = g_strconcat(path, "/", name, NULL);
        g_autofree char *link = g_file_read_link(entry, NULL);
        int fd, domain = 0;
        socklen_t len = sizeof(domain);
        unsigned long long inode;

        if (!link || sscanf(link, "socket:[%llu]", &inode) != 1) {
            continue;
        }
        fd = syscall(SYS_pidfd_getfd, pidfd, atoi(name), 0);
        if (fd < 0) {
            continue;           /* closed meanwhile */
        }
        getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len);
        close(fd);
        if (domain == AF_XDP) {
            g_assert_cmpuint(n, <, AXT_ZC_SOCKETS);
            inodes[n++] = inode;
        }
    }
    g_dir_close(dir);
    close(pidfd);
    qsort(inodes, n, sizeof(*inodes), by_value);
    return n;
}

unsigned axt_zc_mappings(AxtZc *z)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/maps",
                                            (int)qtest_pid(z->net.vm->qts));
    g_autofree char *text = NULL;
    g_auto(GStrv) lines = NULL;
    unsigned n = 0;
    char **line;

    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    lines = g_strsplit(text, "\n", -1);
    for (line = lines; *line; line++) {
        n += strstr(*line, "memory-backend-memfd") != NULL;
    }
    return n;
}

/* --- A blast --- */

struct AxtBlast {
    GThread *thread;
    AxtWire *wire;
    unsigned flows;
    size_t len_max;
    bool stop;
};

static gpointer blast(gpointer opaque)
{
    AxtBlast *b = opaque;
    g_autofree uint8_t *frame = g_malloc(b->len_max);
    uint32_t seq;

    for (seq = 0; !qatomic_read(&b->stop); seq++) {
        size_t len = AXT_LEN_MIN + seq * 37 % (b->len_max - AXT_LEN_MIN + 1);

        axt_frame_fill(frame, len, seq, seq % b->flows);
        /*
         * What finds no room is lost. An emulated wire has none for as long as
         * the device at its other end has no buffers, in a stopped VM.
         */
        if (send(b->wire->fd[0], frame, len, MSG_DONTWAIT) < 0 ||
            seq % BLAST_BURST == 0) {
            g_usleep(BLAST_PAUSE_US);
        }
    }
    return NULL;
}

AxtBlast *axt_blast_start(AxtWire *wire, unsigned flows, size_t len_max)
{
    AxtBlast *b = g_new0(AxtBlast, 1);

    b->wire = wire;
    b->flows = flows;
    b->len_max = len_max;
    b->thread = g_thread_new("blast", blast, b);
    return b;
}

void axt_blast_stop(AxtBlast *b)
{
    qatomic_set(&b->stop, true);
    g_thread_join(b->thread);
    g_free(b);
}

/* --- Canaries --- */

typedef struct Range {
    uint64_t gpa;
    uint64_t end;
} Range;

struct AxtCanaryRanges {
    GArray *ranges;             /* sorted, and without overlaps */
};

static int by_gpa(const void *a, const void *b)
{
    const Range *x = a, *y = b;

    return x->gpa < y->gpa ? -1 : x->gpa > y->gpa;
}

static void add_ring(GArray *ranges, const AxtVq *q)
{
    const QVirtQueue *vq = q->vq;
    Range r;

    if (vq) {
        /* Packed ones take less. */
        r = (Range) { vq->desc, vq->used + 6 + 8 * (uint64_t)vq->size };
        g_array_append_val(ranges, r);
    }
}

AxtCanaryRanges *axt_canary_ranges(AxtNic *nic)
{
    AxtCanaryRanges *all = g_new0(AxtCanaryRanges, 1);
    GArray *ranges = g_array_new(FALSE, FALSE, sizeof(Range));
    AxtVirtio *v = axt_virtio(nic);
    unsigned i, k;

    for (i = 0; i < nic->queues; i++) {
        const AxtVq *rx = &v->rx[i], *tx = &v->tx[i];
        const uint32_t len = axt_virtio_rx_len(v);
        Range sent = { tx->bufs, tx->bufs + axt_vq_bytes(tx) };

        g_assert_false(v->config.indirect);
        g_assert_cmpuint(v->config.n_cuts, ==, 0);
        for (k = 0; k < rx->n_slots; k++) {
            Range r = { rx->at[k], rx->at[k] + len };

            g_array_append_val(ranges, r);
        }
        g_array_append_val(ranges, sent);
        add_ring(ranges, rx);
        add_ring(ranges, tx);
    }
    if (v->ctrl.vq) {
        Range r = { v->ctrl.bufs, v->ctrl.bufs + 16 };

        g_array_append_val(ranges, r);
        add_ring(ranges, &v->ctrl);
    }
    g_array_sort(ranges, by_gpa);
    all->ranges = ranges;
    return all;
}

void axt_canary_ranges_free(AxtCanaryRanges *ranges)
{
    g_array_free(ranges->ranges, TRUE);
    g_free(ranges);
}

static void check_gap(AxtVm *vm, uint64_t from, uint64_t to)
{
    const uint8_t *p = vm->ram + from;
    uint64_t i, n = to - from;

    if (from >= to || (p[0] == AXT_CANARY && memcmp(p, p + 1, n - 1) == 0)) {
        return;
    }
    for (i = 0; p[i] == AXT_CANARY; i++) {
        /* The first one that is not. */
    }
    g_error("byte 0x%" PRIx64 " of guest RAM was written to: 0x%02x", from + i,
            p[i]);
}

void axt_canary_fill(AxtVm *vm)
{
    memset(vm->ram + AXT_CANARY_START, AXT_CANARY,
           vm->ram_size - AXT_CANARY_START);
}

void axt_canary_check(AxtVm *vm, const AxtCanaryRanges *all)
{
    const GArray *ranges = all->ranges;
    uint64_t at = AXT_CANARY_START;
    unsigned i;

    /* Addresses are offsets: all that is used is below 4 GiB. */
    for (i = 0; i < ranges->len; i++) {
        const Range *r = &g_array_index(ranges, Range, i);

        g_assert_cmphex(r->end, <=, vm->ram_low);
        check_gap(vm, at, r->gpa);
        at = r->end;
    }
    check_gap(vm, at, vm->ram_size);
}

void axt_canary_restore(AxtVm *vm, const AxtCanaryRanges *all)
{
    const GArray *ranges = all->ranges;
    unsigned i;

    for (i = 0; i < ranges->len; i++) {
        const Range *r = &g_array_index(ranges, Range, i);

        memset(vm->ram + r->gpa, AXT_CANARY, r->end - r->gpa);
    }
}

uint8_t *axt_ram_copy(AxtVm *vm)
{
    uint8_t *copy = g_malloc(vm->ram_size);

    memcpy(copy, vm->ram, vm->ram_size);
    return copy;
}

void axt_ram_check(AxtVm *vm, const uint8_t *copy, const char *what)
{
    uint64_t i;

    if (memcmp(copy, vm->ram, vm->ram_size) == 0) {
        return;
    }
    for (i = 0; copy[i] == vm->ram[i]; i++) {
        /* The first one that differs. */
    }
    g_error("after %s byte 0x%" PRIx64 " of guest RAM has changed from "
            "0x%02x to 0x%02x", what, i, copy[i], vm->ram[i]);
}
