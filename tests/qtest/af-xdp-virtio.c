/*
 * af-xdp qtest: a driver for virtio-net
 *
 * Virtqueues in the mapped RAM; libqos does the registers. Receive buffers are
 * mergeable if nothing else is asked for, so that any frame fits into 2 KiB
 * buffers.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/bswap.h"
#include "hw/pci/pci.h"
#include "standard-headers/linux/virtio_config.h"
#include "standard-headers/linux/virtio_ids.h"
#include "standard-headers/linux/virtio_net.h"
#include "standard-headers/linux/virtio_pci.h"
#include "af-xdp-net.h"
#include "af-xdp-virtio.h"

/* A packet's memory, with an indirect table at its end. */
#define TABLE_BYTES (AXT_RING_SEGS * sizeof(struct vring_desc))

/* All memory for packets to be sent by one queue. */
#define TX_BYTES (AXT_RING * AXT_TX_SLOT)

/* Behind a receive buffer: a table for its pieces, and the gaps. */
#define RX_SLOT (AXT_RX_BUF + 128)
#define RX_TABLE (RX_SLOT - (AXT_VIRTIO_CUTS + 1) * sizeof(struct vring_desc))

/* An odd gap between pieces, so that most begin at an odd address. */
#define SEG_GAP 3

static QVirtioDevice *vdev(AxtVirtio *v)
{
    return &v->dev->vdev;
}

static bool has(AxtVirtio *v, unsigned feature)
{
    return v->features & (1ull << feature);
}

/* --- Queues --- */

/* With VIRTIO 1 the driver may make a ring smaller. */
static void choose_size(AxtVirtio *v, unsigned index, unsigned size)
{
    if (size) {
        g_assert_true(has(v, VIRTIO_F_VERSION_1));
        vdev(v)->bus->queue_select(vdev(v), index);
        g_assert_cmpuint(vdev(v)->bus->get_queue_size(vdev(v)), >=, size);
        qpci_io_writew(v->dev->pdev, v->dev->bar, v->dev->common_cfg_offset +
                       offsetof(struct virtio_pci_common_cfg, queue_size),
                       size);
    }
}

static void vq_init(AxtVirtio *v, AxtVq *q, unsigned index, unsigned size)
{
    AxtVm *vm = v->nic.vm;

    choose_size(v, index, size);
    q->vq = qvirtqueue_setup(vdev(v), &vm->alloc, index);
    axt_ring_init(&q->ring, q->vq->size, v->config.packed,
                  v->config.event_idx, axt_ram(vm, q->vq->desc),
                  axt_ram(vm, q->vq->avail), axt_ram(vm, q->vq->used));
    if (v->config.msix) {
        QVirtQueuePCI *pci = container_of(q->vq, QVirtQueuePCI, vq);

        pci->msix_data = AXT_MSI_DATA;
        qvirtqueue_pci_msix_setup(v->dev, pci, &vm->alloc, index);
        q->msi = pci->msix_addr;
    }
}

static void vq_init_slots(AxtVirtio *v, AxtVq *q, unsigned n, size_t size)
{
    unsigned i;

    q->n_slots = n;
    q->slot_size = size;
    q->bufs = q->home = guest_alloc(&v->nic.vm->alloc, n * size);
    q->at = g_new(uint64_t, n);
    q->slot_of = g_new0(uint16_t, q->ring.size);
    q->free = g_new(uint16_t, n);
    for (i = 0; i < n; i++) {
        q->at[i] = q->home + i * size;
        q->free[i] = n - 1 - i;
    }
    q->n_free = n;
}

/* One more use of a slot: where? */
static uint64_t vq_place(AxtVq *q, unsigned slot)
{
    q->at[slot] = q->home + slot * q->slot_size;
    return q->at[slot];
}

static void vq_free(AxtVirtio *v, AxtVq *q)
{
    QGuestAllocator *alloc = &v->nic.vm->alloc;

    if (!q->vq) {
        return;
    }
    qvirtqueue_cleanup(vdev(v)->bus, q->vq, alloc);
    if (q->bufs) {
        guest_free(alloc, q->bufs);
    }
    if (q->msi) {
        guest_free(alloc, q->msi);
    }
    axt_ring_clear(&q->ring);
    g_free(q->at);
    g_free(q->slot_of);
    g_free(q->free);
    memset(q, 0, sizeof(*q));
}

static void vq_kick(AxtVirtio *v, AxtVq *q)
{
    vdev(v)->bus->virtqueue_kick(vdev(v), q->vq);
}

static void vq_tell(AxtVirtio *v, AxtVq *q)
{
    if (!v->config.honest_kicks || axt_ring_wants_kick(&q->ring)) {
        vq_kick(v, q);
    }
}

void axt_virtio_kick(AxtNic *nic, AxtVq *q)
{
    vq_kick(axt_virtio(nic), q);
}

/* --- Reception --- */

/*
 * A NIC that is not known may want 2 KiB behind the header. Frames are shorter
 * than AXT_RX_BUF.
 */
uint32_t axt_virtio_rx_len(const AxtVirtio *v)
{
    return v->config.rx_len ?: AXT_RX_BUF + (axt_wire_given() ? 12 : 0);
}

/* The pieces of a receive buffer; returns their number. */
static unsigned rx_pieces(AxtVirtio *v, AxtVq *q, unsigned slot, AxtSeg *segs)
{
    uint64_t gpa = q->at[slot];
    uint32_t left = axt_virtio_rx_len(v);
    unsigned i;

    for (i = 0; i <= v->config.n_cuts; i++) {
        uint32_t len = i < v->config.n_cuts ? v->config.cuts[i] : left;

        segs[i] = (AxtSeg) { gpa, len, true };
        gpa += len + SEG_GAP;
        left -= len;
    }
    g_assert_cmpuint(gpa, <=, q->at[slot] + RX_TABLE);
    return i;
}

/* Give the device the buffer of @slot. Returns false if there is no room. */
static bool rx_give(AxtVirtio *v, AxtVq *q, unsigned slot)
{
    AxtSeg segs[AXT_VIRTIO_CUTS + 1];
    uint64_t table = vq_place(q, slot) + RX_TABLE;
    unsigned n = rx_pieces(v, q, slot, segs);
    int id;

    if (v->config.indirect) {
        id = axt_ring_add(&q->ring, segs, n, axt_ram(v->nic.vm, table), table);
    } else {
        id = axt_ring_add(&q->ring, segs, n, NULL, 0);
    }
    if (id >= 0) {
        q->slot_of[id] = slot;
    }
    return id >= 0;
}

static void vq_init_rx(AxtVirtio *v, AxtVq *q, unsigned index)
{
    unsigned n;

    vq_init(v, q, index, v->config.rx_size);
    n = v->config.indirect ? q->ring.size
                           : q->ring.size / (v->config.n_cuts + 1);
    vq_init_slots(v, q, n, RX_SLOT);
    while (n--) {
        g_assert_true(rx_give(v, q, n));
    }
}

/* The first @len bytes of a buffer, whose pieces need not be neighbours. */
static void rx_gather(AxtVirtio *v, AxtVq *q, unsigned slot, uint8_t *to,
                      uint32_t len)
{
    AxtSeg segs[AXT_VIRTIO_CUTS + 1];
    unsigned i, n = rx_pieces(v, q, slot, segs);

    for (i = 0; i < n && len > 0; i++) {
        uint32_t part = MIN(len, segs[i].len);

        memcpy(to, axt_ram(v->nic.vm, segs[i].gpa), part);
        to += part;
        len -= part;
    }
    g_assert_cmpuint(len, ==, 0);
}

static ssize_t virtio_rx(AxtNic *nic, unsigned queue, uint8_t *buf,
                         size_t size)
{
    AxtVirtio *v = axt_virtio(nic);
    AxtVq *q = &v->rx[queue];
    int i, n_bufs = 1;
    size_t total = 0;

    for (i = 0; i < n_bufs; i++) {
        uint8_t data[AXT_RX_BUF];
        size_t skip = 0;
        uint32_t len;
        int id = axt_ring_get(&q->ring, &len);

        if (id < 0) {
            /* All buffers of a packet appear at once. */
            g_assert_cmpint(i, ==, 0);
            return -1;
        }
        g_assert_cmpuint(len, <=, AXT_RX_BUF);
        if (i == 0 && len == 0) {
            /*
             * It was posted when the device stopped, and comes back unused.
             * What is lost by that shows in what comes next.
             */
            q->empties++;
            g_assert_true(rx_give(v, q, q->slot_of[id]));
            n_bufs = 1;
            i--;
            continue;
        }
        rx_gather(v, q, q->slot_of[id], data, len);
        if (i == 0) {
            struct virtio_net_hdr_mrg_rxbuf hdr = { 0 };

            g_assert_cmpuint(len, >, v->hdr_len);
            memcpy(&hdr, data, v->hdr_len);
            g_assert_cmpuint(hdr.hdr.flags, ==, 0);
            g_assert_cmpuint(hdr.hdr.gso_type, ==, 0);
            if (has(v, VIRTIO_NET_F_MRG_RXBUF)) {
                n_bufs = le16_to_cpu(hdr.num_buffers);
                g_assert_cmpint(n_bufs, >, 0);
            } else if (v->hdr_len == sizeof(hdr) && axt_vhost()) {
                /* VIRTIO 1.2, 5.1.6.4.1; virtio-net itself leaves it 0. */
                g_assert_cmpuint(le16_to_cpu(hdr.num_buffers), ==, 1);
            }
            skip = v->hdr_len;
        }
        g_assert_cmpuint(total + len - skip, <=, size);
        memcpy(buf + total, data + skip, len - skip);
        total += len - skip;
        g_assert_true(rx_give(v, q, q->slot_of[id]));
    }
    return total;
}

static void virtio_rx_kick(AxtNic *nic, unsigned queue)
{
    AxtVirtio *v = axt_virtio(nic);

    vq_tell(v, &v->rx[queue]);
}

/* --- Transmission --- */

static void vq_init_tx(AxtVirtio *v, AxtVq *q, unsigned index)
{
    unsigned n = v->config.tx_slots ?: AXT_RING;

    vq_init(v, q, index, v->config.tx_size);
    vq_init_slots(v, q, n, TX_BYTES / n);
}

static void tx_reclaim(AxtVq *q)
{
    uint32_t len;
    int id;

    while ((id = axt_ring_get(&q->ring, &len)) >= 0) {
        /* Nothing is written when a packet is sent. */
        g_assert_cmpuint(len, ==, 0);
        q->free[q->n_free++] = q->slot_of[id];
    }
}

/*
 * Put @len bytes of @row, from @pos on, to @gpa. The row is a header of
 * zeroes and the packet's data.
 */
static void tx_put(AxtVirtio *v, uint64_t gpa, const uint8_t *data, size_t pos,
                   size_t len)
{
    uint8_t *to = axt_ram(v->nic.vm, gpa);
    size_t zeroes = pos < v->hdr_len ? MIN(len, v->hdr_len - pos) : 0;

    memset(to, 0, zeroes);
    if (len > zeroes) {
        memcpy(to + zeroes, data + pos + zeroes - v->hdr_len, len - zeroes);
    }
}

/* Lengths of the pieces: as configured, or the header and @segs. */
static unsigned tx_lengths(AxtVirtio *v, const size_t *segs, unsigned n_segs,
                           size_t *lens)
{
    size_t left = v->hdr_len;
    unsigned i;

    if (v->config.n_cuts == 0) {
        lens[0] = v->hdr_len;
        memcpy(lens + 1, segs, n_segs * sizeof(*segs));
        return n_segs + 1;
    }
    for (i = 0; i < n_segs; i++) {
        left += segs[i];
    }
    for (i = 0; i < v->config.n_cuts; i++) {
        g_assert_cmpuint(left, >, v->config.cuts[i]);
        lens[i] = v->config.cuts[i];
        left -= lens[i];
    }
    lens[i++] = left;
    return i;
}

static bool virtio_tx(AxtNic *nic, unsigned queue, const uint8_t *data,
                      const size_t *segs, unsigned n_segs, bool indirect)
{
    AxtVirtio *v = axt_virtio(nic);
    AxtVq *q = &v->tx[queue];
    g_autofree size_t *lens = g_new(size_t, n_segs + AXT_VIRTIO_CUTS + 1);
    unsigned i, n = tx_lengths(v, segs, n_segs, lens);
    g_autofree AxtSeg *pieces = g_new(AxtSeg, n);
    uint64_t slot, gpa, table;
    size_t pos = 0;
    int id;

    tx_reclaim(q);
    if (q->n_free == 0) {
        return false;
    }
    slot = gpa = vq_place(q, q->free[q->n_free - 1]);
    table = slot + q->slot_size - TABLE_BYTES;
    for (i = 0; i < n; i++) {
        pieces[i] = (AxtSeg) { gpa, lens[i], false };
        g_assert_cmpuint(gpa + lens[i], <=, table);
        tx_put(v, gpa, data, pos, lens[i]);
        pos += lens[i];
        gpa += lens[i] + SEG_GAP;
    }
    if (indirect || v->config.indirect) {
        id = axt_ring_add(&q->ring, pieces, n, axt_ram(nic->vm, table), table);
    } else {
        id = axt_ring_add(&q->ring, pieces, n, NULL, 0);
    }
    if (id >= 0) {
        q->slot_of[id] = q->free[--q->n_free];
    }
    return id >= 0;
}

static void virtio_tx_kick(AxtNic *nic, unsigned queue)
{
    AxtVirtio *v = axt_virtio(nic);

    vq_tell(v, &v->tx[queue]);
}

static unsigned virtio_tx_pending(AxtNic *nic, unsigned queue)
{
    AxtVirtio *v = axt_virtio(nic);
    AxtVq *q = &v->tx[queue];

    tx_reclaim(q);
    return q->ring.held;
}

void axt_virtio_move(AxtNic *nic, uint64_t gpa)
{
    AxtVirtio *v = axt_virtio(nic);

    v->rx[0].home = gpa ?: v->rx[0].bufs;
    v->tx[0].home = gpa ? gpa + axt_vq_bytes(&v->rx[0]) : v->tx[0].bufs;
}

unsigned axt_virtio_outside(AxtVq *q)
{
    unsigned i, n = 0;

    for (i = 0; i < q->n_slots; i++) {
        n += q->at[i] != q->bufs + i * q->slot_size;
    }
    return n;
}

/* --- The device --- */

static unsigned max_pairs(AxtVirtio *v)
{
    if (!has(v, VIRTIO_NET_F_MQ)) {
        return 1;
    }
    return qvirtio_config_readw(vdev(v),
                                offsetof(struct virtio_net_config,
                                         max_virtqueue_pairs));
}

static void set_pairs(AxtVirtio *v, unsigned pairs)
{
    AxtVm *vm = v->nic.vm;
    AxtVq *q = &v->ctrl;
    gint64 end = g_get_monotonic_time() + AXT_TIMEOUT_US;
    AxtSeg segs[3];
    uint32_t len;
    uint8_t *cmd;

    if (!q->bufs) {
        q->bufs = guest_alloc(&vm->alloc, 16);
    }
    cmd = axt_ram(vm, q->bufs);
    cmd[0] = VIRTIO_NET_CTRL_MQ;
    cmd[1] = VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET;
    stw_le_p(cmd + 2, pairs);
    cmd[4] = 0xff;                              /* the device's answer */
    segs[0] = (AxtSeg) { q->bufs, 2, false };
    segs[1] = (AxtSeg) { q->bufs + 2, 2, false };
    segs[2] = (AxtSeg) { q->bufs + 4, 1, true };
    g_assert_cmpint(axt_ring_add(&q->ring, segs, 3, NULL, 0), >=, 0);
    vq_kick(v, q);
    while (axt_ring_get(&q->ring, &len) < 0) {
        g_assert_cmpint(g_get_monotonic_time(), <, end);
        axt_pause();
    }
    g_assert_cmpint(cmd[4], ==, VIRTIO_NET_OK);
}

static uint64_t wanted_features(AxtVirtio *v)
{
    const AxtVirtioConfig *c = &v->config;
    uint64_t want = 1ull << VIRTIO_NET_F_STATUS |
                    1ull << VIRTIO_RING_F_INDIRECT_DESC;

    /* A legacy device does not offer it, and cannot be asked for it. */
    want |= v->offered & (1ull << VIRTIO_F_VERSION_1);
    if (!c->not_mergeable) {
        want |= 1ull << VIRTIO_NET_F_MRG_RXBUF;
    }
    if (c->packed) {
        want |= 1ull << VIRTIO_F_RING_PACKED;
    }
    if (c->event_idx) {
        want |= 1ull << VIRTIO_RING_F_EVENT_IDX;
    }
    if (c->mtu) {
        want |= 1ull << VIRTIO_NET_F_MTU;
    }
    if (c->n_cuts && !(want & (1ull << VIRTIO_F_VERSION_1))) {
        want |= 1ull << VIRTIO_F_ANY_LAYOUT;
    }
    if (v->nic.queues > 1) {
        want |= 1ull << VIRTIO_NET_F_MQ | 1ull << VIRTIO_NET_F_CTRL_VQ;
    }
    return want;
}

static void virtio_start(AxtVirtio *v)
{
    uint64_t want;
    unsigned i;

    qvirtio_start_device(vdev(v));
    v->offered = qvirtio_get_features(vdev(v));
    want = wanted_features(v);
    v->features = v->offered & want;
    g_assert_cmphex(v->features, ==, want);
    qvirtio_set_features(vdev(v), v->features);
    v->hdr_len = has(v, VIRTIO_F_VERSION_1) || has(v, VIRTIO_NET_F_MRG_RXBUF) ?
                 sizeof(struct virtio_net_hdr_mrg_rxbuf) :
                 sizeof(struct virtio_net_hdr);

    for (i = 0; i < v->nic.queues; i++) {
        vq_init_rx(v, &v->rx[i], 2 * i);
        vq_init_tx(v, &v->tx[i], 2 * i + 1);
    }
    if (v->nic.queues > 1) {
        g_assert_cmpuint(max_pairs(v), >=, v->nic.queues);
        vq_init(v, &v->ctrl, 2 * max_pairs(v), 0);
    }
    v->nic.rx_bufs = v->rx[0].n_slots;
    qvirtio_set_driver_ok(vdev(v));
    if (v->nic.queues > 1) {
        set_pairs(v, v->nic.queues);
    }
    for (i = 0; i < v->nic.queues; i++) {
        vq_kick(v, &v->rx[i]);
    }
}

static void virtio_forget(AxtVirtio *v)
{
    unsigned i;

    for (i = 0; i < v->nic.queues; i++) {
        vq_free(v, &v->rx[i]);
        vq_free(v, &v->tx[i]);
    }
    vq_free(v, &v->ctrl);
}

void axt_virtio_reset(AxtNic *nic)
{
    AxtVirtio *v = axt_virtio(nic);

    qvirtio_reset(vdev(v));
    virtio_forget(v);
}

void axt_virtio_restart(AxtNic *nic)
{
    virtio_start(axt_virtio(nic));
}

void axt_virtio_again(AxtNic *nic, const AxtVirtioConfig *config)
{
    axt_virtio_reset(nic);
    if (config) {
        axt_virtio(nic)->config = *config;
    }
    axt_virtio_restart(nic);
}

void axt_virtio_rebind(AxtNic *nic)
{
    AxtVirtio *v = axt_virtio(nic);
    QPCIDevice *pdev = v->dev->pdev;
    uint16_t command;

    axt_virtio_reset(nic);
    /* Its driver lets go of the function, the next one takes it. */
    command = qpci_config_readw(pdev, PCI_COMMAND);
    qpci_config_writew(pdev, PCI_COMMAND, command & ~PCI_COMMAND_MASTER);
    qpci_config_writew(pdev, PCI_COMMAND, command);
    axt_virtio_restart(nic);
}

static void vq_touch(AxtVm *vm, const AxtVq *q)
{
    if (q->vq) {
        qtest_memwrite(vm->qts, q->vq->desc, axt_ram(vm, q->vq->desc),
                       q->vq->used - q->vq->desc);
    }
}

void axt_virtio_touch(AxtNic *nic)
{
    AxtVirtio *v = axt_virtio(nic);
    unsigned i;

    g_assert_false(v->config.packed);
    for (i = 0; i < nic->queues; i++) {
        vq_touch(nic->vm, &v->rx[i]);
        vq_touch(nic->vm, &v->tx[i]);
    }
}

static void vq_migrate(AxtVm *to, AxtVq *q)
{
    if (q->vq) {
        q->ring.desc = axt_ram(to, q->vq->desc);
        q->ring.avail = axt_ram(to, q->vq->avail);
        q->ring.used = axt_ram(to, q->vq->used);
    }
}

void axt_virtio_migrate(AxtNic *nic, AxtVm *to)
{
    AxtVirtio *v = axt_virtio(nic);
    QGuestAllocator alloc;
    unsigned i;

    for (i = 0; i < nic->queues; i++) {
        vq_migrate(to, &v->rx[i]);
        vq_migrate(to, &v->tx[i]);
    }
    vq_migrate(to, &v->ctrl);
    /* What is allocated has gone with the rest. */
    alloc = to->alloc;
    to->alloc = nic->vm->alloc;
    nic->vm->alloc = alloc;
    nic->vm = to;
    v->dev->pdev->bus = to->bus;
}

void axt_virtio_set_pairs(AxtNic *nic, unsigned pairs)
{
    set_pairs(axt_virtio(nic), pairs);
}

static void virtio_free(AxtNic *nic)
{
    AxtVirtio *v = axt_virtio(nic);

    virtio_forget(v);
    qvirtio_pci_device_disable(v->dev);
    g_free(v->dev->pdev);
    g_free(v->dev);
    g_free(v);
}

static bool virtio_link_up(AxtNic *nic)
{
    return qvirtio_config_readw(vdev(axt_virtio(nic)),
                                offsetof(struct virtio_net_config, status)) &
           VIRTIO_NET_S_LINK_UP;
}

static const AxtNicOps virtio_ops = {
    .free = virtio_free,
    .tx = virtio_tx,
    .tx_kick = virtio_tx_kick,
    .tx_pending = virtio_tx_pending,
    .rx = virtio_rx,
    .rx_kick = virtio_rx_kick,
    .link_up = virtio_link_up,
};

static void found_virtio(QPCIDevice *dev, int devfn, void *opaque)
{
    *(int *)opaque = devfn;
    g_free(dev);
}

AxtNic *axt_virtio_new_config(AxtVm *vm, unsigned queues,
                              const AxtVirtioConfig *config)
{
    /* VIRTIO 1.2, 5.1.2 and 4.1.2.1: with a legacy interface or without. */
    static const uint16_t ids[] = { PCI_DEVICE_ID_VIRTIO_NET,
                                    PCI_DEVICE_ID_VIRTIO_10_BASE +
                                    VIRTIO_ID_NET };
    AxtVirtio *v = g_new0(AxtVirtio, 1);
    QPCIAddress addr = { 0 };
    int devfn = -1;
    unsigned i;

    /* With -net and -nic it is the machine that chooses the slot. */
    for (i = 0; i < ARRAY_SIZE(ids); i++) {
        qpci_device_foreach(vm->bus, PCI_VENDOR_ID_REDHAT_QUMRANET, ids[i],
                            found_virtio, &devfn);
    }
    g_assert_cmpint(devfn, >=, 0);
    addr.devfn = devfn;

    v->nic.ops = &virtio_ops;
    v->nic.vm = vm;
    v->nic.queues = queues;
    if (config) {
        v->config = *config;
    }
    v->dev = virtio_pci_new(vm->bus, &addr);
    g_assert_nonnull(v->dev);
    g_assert_cmphex(vdev(v)->device_type, ==, VIRTIO_ID_NET);
    qvirtio_pci_device_enable(v->dev);
    if (v->config.msix) {
        qpci_msix_enable(v->dev->pdev);
    }
    virtio_start(v);
    return &v->nic;
}

AxtNic *axt_virtio_new(AxtVm *vm, unsigned queues)
{
    return axt_virtio_new_config(vm, queues, NULL);
}
