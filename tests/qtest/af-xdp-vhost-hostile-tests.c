/*
 * af-xdp qtest: the fast path and a guest that breaks its rings
 *
 * Whatever is in a ring, one direction of one queue pair stops at most: there
 * is one warning, "info network" has the cause, everything else goes on, and
 * a reset heals it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/atomic.h"
#include "qemu/bswap.h"
#include <sys/mman.h>
#include "qobject/qdict.h"
#include "standard-headers/linux/virtio_config.h"
#include "standard-headers/linux/virtio_pci.h"
#include "af-xdp-flow.h"

#define QUEUES 2

/* Where no RAM is, in a machine of this size. */
#define NOWHERE 0x7000000000ull

/* Kicks for nothing. */
#define KICKS 500

typedef struct Setup {
    AxtNet net;
    int errors;                 /* what QEMU writes to stderr */
} Setup;

static void setup_pairs(Setup *s, unsigned pairs)
{
    AxtNet *net = &s->net;

    s->errors = memfd_create("axt-errors", 0);
    g_assert_cmpint(s->errors, >=, 0);
    net->wire = axt_wire_new(pairs, 1500);
    /* The shell that starts QEMU opens it. */
    net->vm = axt_vm_new("-netdev af-xdp,id=n0,ifname=" AXT_DEV ",queues=%u%s "
                         "-device virtio-net-pci," AXT_NIC_ARGS ",id=nic,"
                         "mq=on,vectors=6,packed=on 2>>/proc/self/fd/%d",
                         pairs, axt_path(), s->errors);
    net->nic = axt_virtio_new(net->vm, pairs);
}

static void setup(Setup *s)
{
    setup_pairs(s, QUEUES);
}

static void teardown(Setup *s)
{
    axt_net_stop(&s->net);
    close(s->errors);
}

/* Lines about @what that QEMU has written so far. */
static unsigned warnings(Setup *s, const char *what)
{
    off_t size = lseek(s->errors, 0, SEEK_END);
    g_autofree char *text = g_malloc0(size + 1);
    unsigned n = 0;
    const char *p;

    g_assert_cmpint(pread(s->errors, text, size, 0), ==, size);
    for (p = strstr(text, what); p; p = strstr(p + 1, what)) {
        n++;
    }
    return n;
}

/* The line of queue @queue in "info network" has @text, before long. */
static void wait_line(AxtNet *net, unsigned queue, const char *text)
{
    gint64 end = g_get_monotonic_time() + AXT_TIMEOUT_US;
    g_autofree char *key = g_strdup_printf(",queue=%u,", queue);

    for (;;) {
        g_autofree char *info = qtest_hmp(net->vm->qts, "info network");
        g_auto(GStrv) lines = g_strsplit(info, "\n", -1);
        char **line;

        for (line = lines; *line; line++) {
            if (strstr(*line, key) && strstr(*line, text)) {
                return;
            }
        }
        if (g_get_monotonic_time() > end) {
            g_error("queue %u: no \"%s\" in:\n%s", queue, text, info);
        }
        g_usleep(1000);
    }
}

static void assert_no_fault(AxtNet *net)
{
    g_autofree char *info = qtest_hmp(net->vm->qts, "info network");

    g_assert_null(strstr(info, "fault"));
}

/* Frames of many flows; those of the first queue pair need not arrive. */
static void from_wire(AxtNet *net, unsigned n)
{
    uint8_t buf[AXT_LEN_MIN];
    unsigned i;

    for (i = 0; i < n; i++) {
        axt_frame_fill(buf, sizeof(buf), i, i);
        axt_wire_send(net->wire, buf, sizeof(buf));
    }
}

/* Take what arrives at a queue; at least one frame must. */
static void some_arrive(AxtNet *net, unsigned queue)
{
    uint8_t buf[AXT_LEN_MAX];
    ssize_t len = axt_nic_recv(net->nic, queue, buf, sizeof(buf), 3000);

    g_assert_cmpint(len, >=, 0);
    while (len >= 0) {
        axt_frame_check(buf, len, NULL);
        len = axt_nic_recv(net->nic, queue, buf, sizeof(buf), 0);
    }
}

static void all_work(AxtNet *net)
{
    unsigned q;

    from_wire(net, 64);
    for (q = 0; q < QUEUES; q++) {
        some_arrive(net, q);
        axt_to_wire(net, q, 100, axt_len_sweep);
    }
}

/* --- What a guest may write into a ring --- */

/* Make a chain available that axt_ring_add() would make otherwise. */
static void offer(AxtRing *r, const AxtSeg *segs, unsigned n)
{
    g_assert_cmpint(axt_ring_add(r, segs, n, NULL, 0), >=, 0);
}

/* Change the flags of the descriptor offered last, split ring. */
static struct vring_desc *last(AxtRing *r)
{
    uint16_t at = (r->avail_idx - 1) % r->size;

    return &r->desc[le16_to_cpu(r->avail->ring[at])];
}

static void unpublish(AxtRing *r)
{
    qatomic_set(&r->avail->idx, cpu_to_le16(r->avail_idx - 1));
}

static void publish(AxtRing *r)
{
    qatomic_store_release(&r->avail->idx, cpu_to_le16(r->avail_idx));
}

typedef struct Attack {
    const char *name;
    bool rx;
    void (*run)(Setup *s, AxtVq *q, bool rx);
    const char *fault;
} Attack;

/* Not yet visible: no kick, and the ring is idle. */
static struct vring_desc *prepare(Setup *s, AxtVq *q, bool rx)
{
    AxtSeg seg = { q->bufs, 200, rx };

    /* The worker polls now and then; it must not see it half made. */
    qtest_qmp_assert_success(s->net.vm->qts, "{'execute': 'stop'}");
    offer(&q->ring, &seg, 1);
    unpublish(&q->ring);
    return last(&q->ring);
}

static void commit(Setup *s, AxtVq *q)
{
    publish(&q->ring);
    qtest_qmp_assert_success(s->net.vm->qts, "{'execute': 'cont'}");
}

static void avail_index(Setup *s, AxtVq *q, bool rx)
{
    qatomic_set(&q->ring.avail->idx, cpu_to_le16(q->ring.avail_idx +
                                                 q->ring.size + 1));
}

static void avail_back(Setup *s, AxtVq *q, bool rx)
{
    qatomic_set(&q->ring.avail->idx, cpu_to_le16(q->ring.avail_idx - 1000));
}

static void bad_head(Setup *s, AxtVq *q, bool rx)
{
    prepare(s, q, rx);
    q->ring.avail->ring[(uint16_t)(q->ring.avail_idx - 1) % q->ring.size] =
        cpu_to_le16(q->ring.size);
    commit(s, q);
}

static void bad_next(Setup *s, AxtVq *q, bool rx)
{
    struct vring_desc *d = prepare(s, q, rx);

    d->flags |= cpu_to_le16(VRING_DESC_F_NEXT);
    d->next = cpu_to_le16(0xffff);
    commit(s, q);
}

static void loop(Setup *s, AxtVq *q, bool rx)
{
    struct vring_desc *d = prepare(s, q, rx);

    d->flags |= cpu_to_le16(VRING_DESC_F_NEXT);
    d->next = cpu_to_le16(d - q->ring.desc);
    commit(s, q);
}

static void direction(Setup *s, AxtVq *q, bool rx)
{
    prepare(s, q, rx)->flags ^= cpu_to_le16(VRING_DESC_F_WRITE);
    commit(s, q);
}

static void nowhere(Setup *s, AxtVq *q, bool rx)
{
    prepare(s, q, rx)->addr = cpu_to_le64(NOWHERE);
    commit(s, q);
}

/* The first bytes are in RAM. */
static void over_the_end(Setup *s, AxtVq *q, bool rx)
{
    prepare(s, q, rx)->addr = cpu_to_le64(AXT_RAM_SIZE - 100);
    commit(s, q);
}

static void wraps(Setup *s, AxtVq *q, bool rx)
{
    prepare(s, q, rx)->addr = cpu_to_le64(UINT64_MAX - 20);
    commit(s, q);
}

/* The registers of the NIC itself. */
static void device_memory(Setup *s, AxtVq *q, bool rx)
{
    QVirtioPCIDevice *dev = axt_virtio(s->net.nic)->dev;

    g_assert_false(dev->bar.is_io);
    prepare(s, q, rx)->addr = cpu_to_le64(dev->bar.addr);
    commit(s, q);
}

static void empty(Setup *s, AxtVq *q, bool rx)
{
    prepare(s, q, rx)->len = 0;
    commit(s, q);
}

static void part_of_header(Setup *s, AxtVq *q, bool rx)
{
    prepare(s, q, rx)->len = cpu_to_le32(11);
    commit(s, q);
}

static void huge_length(Setup *s, AxtVq *q, bool rx)
{
    prepare(s, q, rx)->len = cpu_to_le32(UINT32_MAX);
    commit(s, q);
}

static void table_length(Setup *s, AxtVq *q, bool rx)
{
    struct vring_desc *d = prepare(s, q, rx);

    d->flags = cpu_to_le16(VRING_DESC_F_INDIRECT);
    d->len = cpu_to_le32(17);
    commit(s, q);
}

static void table_nowhere(Setup *s, AxtVq *q, bool rx)
{
    struct vring_desc *d = prepare(s, q, rx);

    d->flags = cpu_to_le16(VRING_DESC_F_INDIRECT);
    d->addr = cpu_to_le64(NOWHERE);
    d->len = cpu_to_le32(32);
    commit(s, q);
}

static void table_in_table(Setup *s, AxtVq *q, bool rx)
{
    struct vring_desc *d = prepare(s, q, rx);
    struct vring_desc *table = axt_ram(s->net.vm, q->bufs);

    memset(table, 0, 2 * sizeof(*table));
    table->flags = cpu_to_le16(VRING_DESC_F_INDIRECT);
    d->flags = cpu_to_le16(VRING_DESC_F_INDIRECT);
    d->len = cpu_to_le32(32);
    commit(s, q);
}

/* Seen when the machine goes on: the position does not fit any more. */
static void used_index(Setup *s, AxtVq *q, bool rx)
{
    prepare(s, q, rx);
    qatomic_set(&q->ring.used->idx, cpu_to_le16(q->ring.used_idx + 7777));
    commit(s, q);
}

static void packed_nowhere(Setup *s, AxtVq *q, bool rx)
{
    const AxtSeg seg = { NOWHERE, 200, rx };

    offer(&q->ring, &seg, 1);
}

static void packed_direction(Setup *s, AxtVq *q, bool rx)
{
    const AxtSeg seg = { q->bufs, 200, !rx };

    offer(&q->ring, &seg, 1);
}

static void packed_short(Setup *s, AxtVq *q, bool rx)
{
    const AxtSeg seg = { q->bufs, 3, rx };

    offer(&q->ring, &seg, 1);
}

/* Everything is available at all times, and all of it one chain. */
static void packed_all(Setup *s, AxtVq *q, bool rx)
{
    AxtSeg segs[2] = { { q->bufs, 1, rx }, { q->bufs, 1, rx } };
    unsigned i;

    qtest_qmp_assert_success(s->net.vm->qts, "{'execute': 'stop'}");
    while (axt_ring_add(&q->ring, segs, 2, NULL, 0) >= 0) {
        /* Fill it. */
    }
    for (i = 0; i < q->ring.size; i++) {
        q->ring.pdesc[i].flags |= cpu_to_le16(VRING_DESC_F_NEXT);
    }
    qtest_qmp_assert_success(s->net.vm->qts, "{'execute': 'cont'}");
}

#define BUFFER_FAULT "buffer is not wholly in guest RAM"

static const Attack split_attacks[] = {
    { "avail index", false, avail_index, "more buffers available" },
    { "avail index back", false, avail_back, "more buffers available" },
    { "head", false, bad_head, "available entry names no descriptor" },
    { "next", false, bad_next, "continues outside" },
    { "loop", false, loop, "chain is longer than its descriptor table" },
    { "direction", false, direction, "other direction" },
    { "nowhere", false, nowhere, BUFFER_FAULT },
    { "over the end", false, over_the_end, BUFFER_FAULT },
    { "wraps", false, wraps, BUFFER_FAULT },
    { "device memory", false, device_memory, BUFFER_FAULT },
    { "huge", false, huge_length, BUFFER_FAULT },
    { "empty", false, empty, "shorter than its header" },
    { "part of header", false, part_of_header, "shorter than its header" },
    { "table length", false, table_length, "impossible length" },
    { "table nowhere", false, table_nowhere, "indirect table is not wholly" },
    { "table in table", false, table_in_table, "inside an indirect table" },
    { "used index", false, used_index, "used index does not fit" },
    { "rx avail index", true, avail_index, "more buffers available" },
    { "rx head", true, bad_head, "available entry names no descriptor" },
    { "rx loop", true, loop, "chain is longer than its descriptor table" },
    { "rx direction", true, direction, "other direction" },
    { "rx nowhere", true, nowhere, BUFFER_FAULT },
    { "rx device memory", true, device_memory, BUFFER_FAULT },
    { "rx empty", true, empty, "buffer is shorter than the header" },
    { "rx part of header", true, part_of_header,
      "buffer is shorter than the header" },
    { "rx used index", true, used_index, "used index does not fit" },
};

static const Attack packed_attacks[] = {
    { "nowhere", false, packed_nowhere, BUFFER_FAULT },
    { "direction", false, packed_direction, "other direction" },
    { "short", false, packed_short, "shorter than its header" },
    { "all of it", false, packed_all, "chain is longer than its descriptor" },
    { "rx nowhere", true, packed_nowhere, BUFFER_FAULT },
    { "rx direction", true, packed_direction, "other direction" },
    { "rx short", true, packed_short, "buffer is shorter than the header" },
};

/* Let the device use all receive buffers, so that the bad one is the next. */
static void use_up(Setup *s, AxtVq *q)
{
    AxtNet *net = &s->net;
    gint64 end = g_get_monotonic_time() + AXT_TIMEOUT_US;
    uint8_t buf[AXT_LEN_MIN];
    uint32_t len;

    while (axt_ring_used(&q->ring) < q->n_slots) {
        g_assert_cmpint(g_get_monotonic_time(), <, end);
        from_wire(net, 128);
        g_usleep(500);
        while (axt_nic_recv(net->nic, 1, buf, sizeof(buf), 0) >= 0) {
            /* The other queue pair does not run dry. */
        }
    }
    while (axt_ring_get(&q->ring, &len) >= 0) {
        /* None is given back. */
    }
}

/* It begins with a reset, which heals what the attack before has done. */
static void one_attack(Setup *s, const Attack *a, const AxtVirtioConfig *config)
{
    AxtNet *net = &s->net;
    AxtVirtio *v = axt_virtio(net->nic);
    AxtVq *q = a->rx ? &v->rx[0] : &v->tx[0];
    g_autofree char *text = g_strdup_printf("%s-fault=%s", a->rx ? "rx" : "tx",
                                            "");
    unsigned before, i;

    g_test_message("%s", a->name);
    axt_virtio_again(net->nic, config);
    assert_no_fault(net);
    before = warnings(s, "the guest broke");
    if (a->rx) {
        use_up(s, q);
    } else {
        axt_to_wire(net, 0, 30, axt_len_small);
    }

    a->run(s, q, a->rx);
    for (i = 0; i < 20; i++) {
        axt_virtio_kick(net->nic, q);
        from_wire(net, 4);
    }
    wait_line(net, 0, text);
    wait_line(net, 0, a->fault);
    for (i = 0; i < 20; i++) {
        axt_virtio_kick(net->nic, q);
        from_wire(net, 4);
    }

    /* The other queue pair, and the other direction of this one. */
    axt_to_wire(net, 1, 100, axt_len_sweep);
    some_arrive(net, 1);
    if (a->rx) {
        axt_to_wire(net, 0, 100, axt_len_sweep);
    } else {
        some_arrive(net, 0);
    }
    g_assert_cmpuint(warnings(s, "the guest broke"), ==, before + 1);
    g_assert_cmpuint(warnings(s, a->fault), >=, 1);
}

static void test_attacks(const void *opaque)
{
    const bool packed = GPOINTER_TO_INT(opaque);
    /* Small rings, as they are filled and set up a lot. */
    const AxtVirtioConfig config = {
        .packed = packed,
        .rx_size = 64,
        .tx_size = 64,
    };
    const Attack *attacks = packed ? packed_attacks : split_attacks;
    unsigned i, n = packed ? ARRAY_SIZE(packed_attacks)
                           : ARRAY_SIZE(split_attacks);
    Setup s;

    setup(&s);
    for (i = 0; i < n; i++) {
        one_attack(&s, &attacks[i], &config);
    }
    axt_virtio_again(s.net.nic, NULL);
    all_work(&s.net);
    teardown(&s);
}

/* Kicks for nothing: no fault, no packet, and then all is as before. */
static void test_kicks(void)
{
    AxtVirtio *v;
    unsigned i;
    Setup s;

    setup(&s);
    v = axt_virtio(s.net.nic);
    for (i = 0; i < KICKS; i++) {
        axt_virtio_kick(s.net.nic, &v->tx[i % QUEUES]);
        axt_virtio_kick(s.net.nic, &v->rx[i % QUEUES]);
    }
    assert_no_fault(&s.net);
    all_work(&s.net);
    g_assert_cmpuint(warnings(&s, "af-xdp"), ==, 0);
    teardown(&s);
}

/* The device's own part of the rings is rewritten: it does not rely on it. */
static void test_used_rewritten(void)
{
    AxtVirtio *v;
    unsigned i;
    Setup s;

    setup(&s);
    v = axt_virtio(s.net.nic);
    for (i = 0; i < 20; i++) {
        AxtRing *r = &v->tx[0].ring;

        axt_to_wire(&s.net, 0, 20, axt_len_small);
        memset(r->used->ring, 0xff, r->size * sizeof(r->used->ring[0]));
        qatomic_set(&r->used->idx, cpu_to_le16(i * 1000));
        qatomic_set(&r->used->flags, 0xffff);
        {
            uint8_t buf[AXT_LEN_MIN];
            size_t len = sizeof(buf);
            uint16_t idx = r->used_idx;

            axt_frame_fill(buf, len, i, 0);
            /* What the driver itself looks at, it knows. */
            qatomic_set(&r->used->idx, cpu_to_le16(idx));
            g_assert_true(axt_nic_tx(s.net.nic, 0, buf, &len, 1, false));
            axt_nic_tx_kick(s.net.nic, 0);
            g_assert_cmpint(axt_wire_recv(s.net.wire, 0, buf, len, 2000), ==,
                            len);
            axt_nic_tx_wait(s.net.nic, 0);
        }
    }
    assert_no_fault(&s.net);
    all_work(&s.net);
    teardown(&s);
}

/* Ring addresses change under the device, and are wrong from the start. */
static void test_addresses(void)
{
    AxtVirtio *v;
    unsigned i;
    Setup s;

    setup(&s);
    v = axt_virtio(s.net.nic);
    for (i = 0; i < 6; i++) {
        static const uint64_t places[] = { NOWHERE, AXT_RAM_SIZE - 64, 0x1000 };
        QVirtioDevice *vdev = &v->dev->vdev;
        QVirtQueue bad = *v->tx[0].vq;
        uint64_t place = places[i % ARRAY_SIZE(places)];

        axt_to_wire(&s.net, 0, 50, axt_len_small);
        bad.desc = bad.avail = bad.used = place;
        vdev->bus->queue_select(vdev, 1);
        vdev->bus->set_queue_address(vdev, &bad);
        axt_virtio_kick(s.net.nic, &v->tx[0]);
        axt_virtio_kick(s.net.nic, &v->rx[0]);
        if (i >= 3) {
            /* And the machine stops and starts with that. */
            qtest_qmp_assert_success(s.net.vm->qts, "{'execute': 'stop'}");
            qtest_qmp_assert_success(s.net.vm->qts, "{'execute': 'cont'}");
        }
        axt_to_wire(&s.net, 1, 50, axt_len_small);
        axt_virtio_again(s.net.nic, NULL);
        all_work(&s.net);
    }
    assert_no_fault(&s.net);
    teardown(&s);
}

/* Make a ring empty, as before its first use; the device is reset. */
static void empty_ring(AxtVirtio *v, AxtVq *q)
{
    AxtVm *vm = v->nic.vm;
    QVirtQueue *vq = q->vq;
    AxtRing *r = &q->ring;

    axt_ring_clear(r);
    axt_ring_init(r, vq->size, false, false, axt_ram(vm, vq->desc),
                  axt_ram(vm, vq->avail), axt_ram(vm, vq->used));
    r->avail->idx = 0;
    memset(r->used, 0, sizeof(*r->used) + r->size * sizeof(r->used->ring[0]));
}

/* Tell the device of a ring, which is at @vq. */
static void enable_ring(AxtVirtio *v, QVirtQueue *vq)
{
    QVirtioDevice *vdev = &v->dev->vdev;

    vdev->bus->queue_select(vdev, vq->index);
    vdev->bus->set_queue_address(vdev, vq);
    qpci_io_writew(v->dev->pdev, v->dev->bar, v->dev->common_cfg_offset +
                   offsetof(struct virtio_pci_common_cfg, queue_enable), 1);
}

static void reset_and_negotiate(AxtVirtio *v)
{
    qvirtio_start_device(&v->dev->vdev);
    qvirtio_set_features(&v->dev->vdev, v->features);
}

/*
 * A start fails half-way, as only one of two rings is in RAM. The next driver
 * has a ring to send alone: the other one of before is nothing to the device.
 */
static void test_half_start(void)
{
    g_autofree uint8_t *ring_copy = NULL, *bufs_copy = NULL;
    uint8_t *bufs, *ring;
    size_t ring_size;
    unsigned i, failures;
    QVirtioDevice *vdev;
    QVirtQueue bad;
    AxtVirtio *v;
    AxtVq *rx;
    Setup s;

    setup_pairs(&s, 1);
    v = axt_virtio(s.net.nic);
    vdev = &v->dev->vdev;
    rx = &v->rx[0];
    g_assert_cmpuint(v->tx[0].n_free, ==, v->tx[0].n_slots);

    reset_and_negotiate(v);
    empty_ring(v, rx);
    empty_ring(v, &v->tx[0]);
    for (i = 0; i < rx->n_slots; i++) {
        const AxtSeg seg = { rx->at[i], AXT_RX_BUF, true };

        offer(&rx->ring, &seg, 1);
    }
    bad = *v->tx[0].vq;
    bad.desc = bad.avail = bad.used = NOWHERE;
    failures = warnings(&s, "unable to start vhost net");
    enable_ring(v, rx->vq);
    enable_ring(v, &bad);
    vdev->bus->set_status(vdev, vdev->bus->get_status(vdev) |
                                VIRTIO_CONFIG_S_DRIVER_OK);
    g_assert_cmpuint(warnings(&s, "unable to start vhost net"), ==,
                     failures + 1);

    reset_and_negotiate(v);
    /* What the device would use if it remembered it: nothing used so far. */
    memset(rx->ring.used, 0, sizeof(*rx->ring.used) +
           rx->ring.size * sizeof(rx->ring.used->ring[0]));
    ring = axt_ram(s.net.vm, rx->vq->desc);
    ring_size = (uint8_t *)&rx->ring.used->ring[rx->ring.size] - ring;
    bufs = axt_ram(s.net.vm, rx->bufs);
    memset(bufs, 0xa5, axt_vq_bytes(rx));
    ring_copy = g_memdup2(ring, ring_size);
    bufs_copy = g_memdup2(bufs, axt_vq_bytes(rx));
    enable_ring(v, v->tx[0].vq);
    qvirtio_set_driver_ok(vdev);
    axt_vhost_assert_running(&s.net);

    for (i = 0; i < 5; i++) {
        from_wire(&s.net, 20);
        /* The worker looks at all it has. */
        axt_virtio_kick(s.net.nic, rx);
        axt_to_wire(&s.net, 0, 100, axt_len_small);
        g_usleep(10000);
    }
    g_assert_cmpuint(le16_to_cpu(rx->ring.used->idx), ==, 0);
    g_assert_cmpint(memcmp(ring, ring_copy, ring_size), ==, 0);
    g_assert_cmpint(memcmp(bufs, bufs_copy, axt_vq_bytes(rx)), ==, 0);

    axt_virtio_again(s.net.nic, NULL);
    axt_vhost_assert_running(&s.net);
    from_wire(&s.net, 64);
    some_arrive(&s.net, 0);
    axt_to_wire(&s.net, 0, 100, axt_len_sweep);
    teardown(&s);
}

static void wait_migrated(AxtVm *vm)
{
    gint64 end = g_get_monotonic_time() + 4 * AXT_TIMEOUT_US;
    bool done = false;

    while (!done) {
        QDict *info = qtest_qmp_assert_success_ref(vm->qts, "{'execute':"
                                                   " 'query-migrate'}");

        done = g_strcmp0(qdict_get_try_str(info, "status"), "completed") == 0;
        qobject_unref(info);
        g_assert_cmpint(g_get_monotonic_time(), <, end);
        g_usleep(10000);
    }
}

/* A guest with broken rings is stopped, continued, saved and ended. */
static void test_broken_stop(void)
{
    AxtVirtio *v;
    unsigned i;
    Setup s;

    setup(&s);
    v = axt_virtio(s.net.nic);
    bad_head(&s, &v->tx[0], false);
    axt_virtio_kick(s.net.nic, &v->tx[0]);
    wait_line(&s.net, 0, "tx-fault=");
    for (i = 0; i < 5; i++) {
        qtest_qmp_assert_success(s.net.vm->qts, "{'execute': 'stop'}");
        qtest_qmp_assert_success(s.net.vm->qts, "{'execute': 'cont'}");
        /* It is found anew each time, and the others work. */
        wait_line(&s.net, 0, "tx-fault=");
        axt_to_wire(&s.net, 1, 100, axt_len_small);
        from_wire(&s.net, 64);
        some_arrive(&s.net, 0);
        some_arrive(&s.net, 1);
    }
    qtest_qmp_assert_success(s.net.vm->qts, "{'execute': 'migrate',"
                             " 'arguments': {'uri': 'exec:cat > /dev/null'}}");
    wait_migrated(s.net.vm);
    teardown(&s);
}

void axt_add_vhost_hostile_tests(void)
{
    axt_add_fast_data("broken/split", GINT_TO_POINTER(false), test_attacks);
    axt_add_fast_data("broken/packed", GINT_TO_POINTER(true), test_attacks);
    axt_add_fast("broken/kicks", test_kicks);
    axt_add_fast("broken/used-rewritten", test_used_rewritten);
    axt_add_fast("broken/addresses", test_addresses);
    axt_add_fast("broken/half-start", test_half_start);
    axt_add_fast("broken/stop", test_broken_stop);
}
