/*
 * af-xdp qtest: a driver for virtio-net
 *
 * Split virtqueues in the mapped RAM; libqos does the registers. Receive
 * buffers are mergeable, so that any frame fits into 2 KiB buffers.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/atomic.h"
#include "qemu/bswap.h"
#include "hw/pci/pci.h"
#include "libqos/virtio.h"
#include "libqos/virtio-pci.h"
#include "standard-headers/linux/virtio_config.h"
#include "standard-headers/linux/virtio_ids.h"
#include "standard-headers/linux/virtio_net.h"
#include "standard-headers/linux/virtio_ring.h"
#include "af-xdp-nic.h"
#include "af-xdp-wire.h"

#define HDR_LEN sizeof(struct virtio_net_hdr_mrg_rxbuf)
#define TABLE_MAX 1024          /* descriptors in an indirect table */
#define TABLE_OFFSET (AXT_TX_SLOT - TABLE_MAX * sizeof(struct vring_desc))

/* An odd gap between pieces, so that most begin at an odd address. */
#define SEG_GAP 3

typedef struct Vq {
    QVirtQueue *vq;
    struct vring_desc *desc;
    struct vring_avail *avail;
    struct vring_used *used;
    uint16_t size;
    uint16_t avail_idx;
    uint16_t used_idx;
    uint64_t buf;               /* guest address of the buffers */
    uint16_t *free;             /* stack of unused descriptors (tx) */
    unsigned n_free;
    uint16_t *chain_len;        /* by head: descriptors it took (tx) */
    uint64_t *slot_of;          /* by head: its slot (tx) */
    uint64_t *slots;            /* stack of unused slots (tx) */
    unsigned n_slots;
} Vq;

typedef struct AxtVirtio {
    AxtNic nic;
    QVirtioPCIDevice *dev;
    uint64_t features;
    Vq rx[AXT_MAX_QUEUES];
    Vq tx[AXT_MAX_QUEUES];
    Vq ctrl;
} AxtVirtio;

static QVirtioDevice *vdev(AxtVirtio *v)
{
    return &v->dev->vdev;
}

static void vq_set_desc(struct vring_desc *desc, uint64_t addr, uint32_t len,
                        uint16_t flags, uint16_t next)
{
    desc->addr = cpu_to_le64(addr);
    desc->len = cpu_to_le32(len);
    desc->flags = cpu_to_le16(flags);
    desc->next = cpu_to_le16(next);
}

static void vq_publish(Vq *q, uint16_t head)
{
    q->avail->ring[q->avail_idx % q->size] = cpu_to_le16(head);
    q->avail_idx++;
    /* The descriptors and the ring entry before the index. */
    qatomic_store_release(&q->avail->idx, cpu_to_le16(q->avail_idx));
}

/* The next used element, or NULL. */
static struct vring_used_elem *vq_used(Vq *q)
{
    if (le16_to_cpu(qatomic_load_acquire(&q->used->idx)) == q->used_idx) {
        return NULL;
    }
    return &q->used->ring[q->used_idx % q->size];
}

static void vq_init(AxtVirtio *v, Vq *q, unsigned index)
{
    AxtVm *vm = v->nic.vm;

    q->vq = qvirtqueue_setup(vdev(v), &vm->alloc, index);
    q->desc = axt_ram(vm, q->vq->desc);
    q->avail = axt_ram(vm, q->vq->avail);
    q->used = axt_ram(vm, q->vq->used);
    q->size = q->vq->size;
    q->avail_idx = 0;
    q->used_idx = 0;
    q->avail->flags = cpu_to_le16(VRING_AVAIL_F_NO_INTERRUPT);
}

static void vq_init_rx(AxtVirtio *v, Vq *q, unsigned index)
{
    unsigned i;

    vq_init(v, q, index);
    q->buf = guest_alloc(&v->nic.vm->alloc, q->size * AXT_RX_BUF);
    for (i = 0; i < q->size; i++) {
        vq_set_desc(&q->desc[i], q->buf + i * AXT_RX_BUF, AXT_RX_BUF,
                    VRING_DESC_F_WRITE, 0);
        vq_publish(q, i);
    }
}

static void vq_init_tx(AxtVirtio *v, Vq *q, unsigned index)
{
    unsigned i;

    vq_init(v, q, index);
    q->buf = guest_alloc(&v->nic.vm->alloc, AXT_RING * AXT_TX_SLOT);
    q->free = g_new(uint16_t, q->size);
    q->chain_len = g_new0(uint16_t, q->size);
    q->slot_of = g_new0(uint64_t, q->size);
    q->slots = g_new(uint64_t, AXT_RING);
    q->n_slots = AXT_RING;
    q->n_free = q->size;
    for (i = 0; i < AXT_RING; i++) {
        q->slots[i] = q->buf + i * AXT_TX_SLOT;
    }
    for (i = 0; i < q->size; i++) {
        q->free[i] = i;
    }
}

static void vq_free(AxtVirtio *v, Vq *q)
{
    QGuestAllocator *alloc = &v->nic.vm->alloc;

    if (!q->vq) {
        return;
    }
    qvirtqueue_cleanup(vdev(v)->bus, q->vq, alloc);
    if (q->buf) {
        guest_free(alloc, q->buf);
    }
    g_free(q->free);
    g_free(q->chain_len);
    g_free(q->slot_of);
    g_free(q->slots);
    memset(q, 0, sizeof(*q));
}

static void vq_kick(AxtVirtio *v, Vq *q)
{
    vdev(v)->bus->virtqueue_kick(vdev(v), q->vq);
}

static unsigned max_pairs(AxtVirtio *v)
{
    if (!(v->features & (1ull << VIRTIO_NET_F_MQ))) {
        return 1;
    }
    return qvirtio_config_readw(vdev(v),
                                offsetof(struct virtio_net_config,
                                         max_virtqueue_pairs));
}

static void set_pairs(AxtVirtio *v, unsigned pairs)
{
    AxtVm *vm = v->nic.vm;
    Vq *q = &v->ctrl;
    gint64 end = g_get_monotonic_time() + AXT_TIMEOUT_US;
    uint8_t *cmd;

    if (!q->buf) {
        q->buf = guest_alloc(&vm->alloc, 16);
    }
    cmd = axt_ram(vm, q->buf);
    cmd[0] = VIRTIO_NET_CTRL_MQ;
    cmd[1] = VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET;
    stw_le_p(cmd + 2, pairs);
    cmd[4] = 0xff;                              /* the device's answer */
    vq_set_desc(&q->desc[0], q->buf, 2, VRING_DESC_F_NEXT, 1);
    vq_set_desc(&q->desc[1], q->buf + 2, 2, VRING_DESC_F_NEXT, 2);
    vq_set_desc(&q->desc[2], q->buf + 4, 1, VRING_DESC_F_WRITE, 0);
    vq_publish(q, 0);
    vq_kick(v, q);
    while (!vq_used(q)) {
        g_assert_cmpint(g_get_monotonic_time(), <, end);
        axt_pause();
    }
    q->used_idx++;
    g_assert_cmpint(cmd[4], ==, VIRTIO_NET_OK);
}

static void virtio_start(AxtVirtio *v)
{
    uint64_t want = 1ull << VIRTIO_F_VERSION_1 |
                    1ull << VIRTIO_NET_F_MRG_RXBUF |
                    1ull << VIRTIO_NET_F_STATUS |
                    1ull << VIRTIO_RING_F_INDIRECT_DESC;
    unsigned i;

    if (v->nic.queues > 1) {
        want |= 1ull << VIRTIO_NET_F_MQ | 1ull << VIRTIO_NET_F_CTRL_VQ;
    }
    qvirtio_start_device(vdev(v));
    v->features = qvirtio_get_features(vdev(v)) & want;
    g_assert_cmphex(v->features, ==, want);
    qvirtio_set_features(vdev(v), v->features);

    for (i = 0; i < v->nic.queues; i++) {
        vq_init_rx(v, &v->rx[i], 2 * i);
        vq_init_tx(v, &v->tx[i], 2 * i + 1);
    }
    if (v->nic.queues > 1) {
        g_assert_cmpuint(max_pairs(v), >=, v->nic.queues);
        vq_init(v, &v->ctrl, 2 * max_pairs(v));
    }
    v->nic.rx_bufs = v->rx[0].size;
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
    AxtVirtio *v = container_of(nic, AxtVirtio, nic);

    qvirtio_reset(vdev(v));
    virtio_forget(v);
}

void axt_virtio_restart(AxtNic *nic)
{
    virtio_start(container_of(nic, AxtVirtio, nic));
}

void axt_virtio_set_pairs(AxtNic *nic, unsigned pairs)
{
    set_pairs(container_of(nic, AxtVirtio, nic), pairs);
}

static void virtio_free(AxtNic *nic)
{
    AxtVirtio *v = container_of(nic, AxtVirtio, nic);

    virtio_forget(v);
    qvirtio_pci_device_disable(v->dev);
    g_free(v->dev->pdev);
    g_free(v->dev);
    g_free(v);
}

static void tx_reclaim(Vq *q)
{
    struct vring_used_elem *elem;

    while ((elem = vq_used(q))) {
        uint32_t head = le32_to_cpu(elem->id);
        unsigned i, n;
        uint16_t d = head;

        g_assert_cmpuint(head, <, q->size);
        n = q->chain_len[head];
        /* Not one that was never given, or given back twice. */
        g_assert_cmpuint(n, >, 0);
        q->chain_len[head] = 0;
        q->slots[q->n_slots++] = q->slot_of[head];
        for (i = 0; i < n; i++) {
            uint16_t next = le16_to_cpu(q->desc[d].next);

            q->free[q->n_free++] = d;
            d = next;
        }
        q->used_idx++;
    }
}

static bool virtio_tx(AxtNic *nic, unsigned queue, const uint8_t *data,
                      const size_t *segs, unsigned n_segs, bool indirect)
{
    AxtVirtio *v = container_of(nic, AxtVirtio, nic);
    Vq *q = &v->tx[queue];
    unsigned n = n_segs + 1;            /* the header has its own */
    unsigned need = indirect ? 1 : n;
    g_autofree uint16_t *ids = NULL;
    struct vring_desc *table;
    uint64_t slot, gpa;
    uint16_t head;
    unsigned i;

    tx_reclaim(q);
    if (q->n_free < need || !q->n_slots) {
        g_assert_cmpuint(need, <=, q->size);
        return false;
    }
    g_assert_cmpuint(n, <=, TABLE_MAX);

    slot = q->slots[--q->n_slots];
    table = axt_ram(nic->vm, slot + TABLE_OFFSET);
    ids = g_new(uint16_t, n);
    for (i = 0; i < need; i++) {
        ids[i] = q->free[--q->n_free];
    }
    head = ids[0];

    gpa = slot;
    for (i = 0; i < n; i++) {
        size_t len = i == 0 ? HDR_LEN : segs[i - 1];
        uint16_t flags = i + 1 < n ? VRING_DESC_F_NEXT : 0;

        g_assert_cmpuint(gpa + len, <=, slot + TABLE_OFFSET);
        if (i == 0) {
            memset(axt_ram(nic->vm, gpa), 0, len);
        } else if (len) {
            memcpy(axt_ram(nic->vm, gpa), data, len);
            data += len;
        }
        if (indirect) {
            vq_set_desc(&table[i], gpa, len, flags, i + 1);
        } else {
            vq_set_desc(&q->desc[ids[i]], gpa, len, flags,
                        i + 1 < n ? ids[i + 1] : 0);
        }
        gpa += len + SEG_GAP;
    }
    if (indirect) {
        vq_set_desc(&q->desc[head], slot + TABLE_OFFSET,
                    n * sizeof(struct vring_desc), VRING_DESC_F_INDIRECT, 0);
    }
    q->chain_len[head] = need;
    q->slot_of[head] = slot;
    vq_publish(q, head);
    return true;
}

static void virtio_tx_kick(AxtNic *nic, unsigned queue)
{
    AxtVirtio *v = container_of(nic, AxtVirtio, nic);

    vq_kick(v, &v->tx[queue]);
}

static unsigned virtio_tx_pending(AxtNic *nic, unsigned queue)
{
    AxtVirtio *v = container_of(nic, AxtVirtio, nic);
    Vq *q = &v->tx[queue];

    tx_reclaim(q);
    return (uint16_t)(q->avail_idx - q->used_idx);
}

static ssize_t virtio_rx(AxtNic *nic, unsigned queue, uint8_t *buf,
                         size_t size)
{
    AxtVirtio *v = container_of(nic, AxtVirtio, nic);
    Vq *q = &v->rx[queue];
    struct vring_used_elem *elem = vq_used(q);
    unsigned i, n_bufs = 1;
    size_t total = 0;

    if (!elem) {
        return -1;
    }
    for (i = 0; i < n_bufs; i++) {
        uint32_t id, len;
        const uint8_t *data;
        size_t skip = 0;

        elem = vq_used(q);
        /* All buffers of a packet appear at once. */
        g_assert_nonnull(elem);
        id = le32_to_cpu(elem->id);
        len = le32_to_cpu(elem->len);
        g_assert_cmpuint(id, <, q->size);
        g_assert_cmpuint(len, <=, AXT_RX_BUF);
        data = axt_ram(nic->vm, q->buf + id * AXT_RX_BUF);
        if (i == 0) {
            g_assert_cmpuint(len, >, HDR_LEN);
            n_bufs = lduw_le_p(data + offsetof(struct virtio_net_hdr_mrg_rxbuf,
                                               num_buffers));
            g_assert_cmpuint(n_bufs, >, 0);
            skip = HDR_LEN;
        }
        g_assert_cmpuint(total + len - skip, <=, size);
        memcpy(buf + total, data + skip, len - skip);
        total += len - skip;
        q->used_idx++;
        vq_publish(q, id);
    }
    return total;
}

static void virtio_rx_kick(AxtNic *nic, unsigned queue)
{
    AxtVirtio *v = container_of(nic, AxtVirtio, nic);

    vq_kick(v, &v->rx[queue]);
}

static bool virtio_link_up(AxtNic *nic)
{
    AxtVirtio *v = container_of(nic, AxtVirtio, nic);

    return qvirtio_config_readw(vdev(v), offsetof(struct virtio_net_config,
                                                  status)) &
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

AxtNic *axt_virtio_new(AxtVm *vm, unsigned queues)
{
    AxtVirtio *v = g_new0(AxtVirtio, 1);
    QPCIAddress addr = { 0 };
    int devfn = -1;

    /* With -net and -nic it is the machine that chooses the slot. */
    qpci_device_foreach(vm->bus, PCI_VENDOR_ID_REDHAT_QUMRANET,
                        PCI_DEVICE_ID_VIRTIO_NET, found_virtio, &devfn);
    g_assert_cmpint(devfn, >=, 0);
    addr.devfn = devfn;

    v->nic.ops = &virtio_ops;
    v->nic.vm = vm;
    v->nic.queues = queues;
    v->dev = virtio_pci_new(vm->bus, &addr);
    g_assert_nonnull(v->dev);
    g_assert_cmphex(vdev(v)->device_type, ==, VIRTIO_ID_NET);
    qvirtio_pci_device_enable(v->dev);
    virtio_start(v);
    return &v->nic;
}
