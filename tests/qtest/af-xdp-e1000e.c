/*
 * af-xdp qtest: a driver for e1000e
 *
 * Legacy descriptors in the mapped RAM, one queue each way.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/atomic.h"
#include "qemu/bswap.h"
#include "hw/net/e1000_regs.h"
#include "af-xdp-nic.h"

#define DESC_LEN 16
#define TX_SLOT (32 * KiB)      /* a 9 KB frame in pieces, with gaps */
#define SEG_GAP 3

/* Offsets in a legacy descriptor, and the command bits as a byte. */
#define DESC_BUF_LEN 8
#define TX_DESC_CMD 11
#define DESC_STATUS 12
#define RX_DESC_ERRORS 13
#define TX_CMD(name) (E1000_TXD_CMD_ ## name >> 24)

typedef struct AxtE1000e {
    AxtNic nic;
    QPCIDevice *pdev;
    QPCIBar bar;
    uint64_t rx_ring, rx_buf;
    uint64_t tx_ring, tx_buf;
    uint32_t rx_head;           /* next descriptor to look at */
    uint32_t tx_tail;           /* next descriptor to use */
    uint32_t tx_head;           /* oldest that is not given back */
    uint32_t tx_packets;        /* whole packets in between */
} AxtE1000e;

static void reg_write(AxtE1000e *e, uint32_t reg, uint32_t value)
{
    qpci_io_writel(e->pdev, e->bar, reg, value);
}

static uint32_t reg_read(AxtE1000e *e, uint32_t reg)
{
    return qpci_io_readl(e->pdev, e->bar, reg);
}

static uint8_t *tx_desc(AxtE1000e *e, uint32_t i)
{
    return axt_ram(e->nic.vm, e->tx_ring + i * DESC_LEN);
}

static uint8_t *rx_desc(AxtE1000e *e, uint32_t i)
{
    return axt_ram(e->nic.vm, e->rx_ring + i * DESC_LEN);
}

static void e1000e_start(AxtE1000e *e)
{
    uint32_t i;

    qpci_device_enable(e->pdev);
    e->bar = qpci_iomap(e->pdev, 0, NULL);

    reg_write(e, E1000_CTRL, reg_read(e, E1000_CTRL) | E1000_CTRL_RST);
    reg_write(e, E1000_CTRL, reg_read(e, E1000_CTRL) | E1000_CTRL_SLU);
    reg_write(e, E1000_IMC, 0xffffffff);
    reg_write(e, E1000_CTRL_EXT,
              reg_read(e, E1000_CTRL_EXT) | E1000_CTRL_EXT_DRV_LOAD);

    reg_write(e, E1000_TDBAL, e->tx_ring);
    reg_write(e, E1000_TDBAH, e->tx_ring >> 32);
    reg_write(e, E1000_TDLEN, AXT_RING * DESC_LEN);
    reg_write(e, E1000_TDH, 0);
    reg_write(e, E1000_TDT, 0);
    reg_write(e, E1000_TCTL, E1000_TCTL_EN);

    for (i = 0; i < AXT_RING; i++) {
        memset(rx_desc(e, i), 0, DESC_LEN);
        stq_le_p(rx_desc(e, i), e->rx_buf + i * AXT_RX_BUF);
    }
    reg_write(e, E1000_RDBAL, e->rx_ring);
    reg_write(e, E1000_RDBAH, e->rx_ring >> 32);
    reg_write(e, E1000_RDLEN, AXT_RING * DESC_LEN);
    reg_write(e, E1000_RDH, 0);
    reg_write(e, E1000_RDT, AXT_RING - 1);
    reg_write(e, E1000_RCTL, E1000_RCTL_EN | E1000_RCTL_UPE |
                             E1000_RCTL_MPE | E1000_RCTL_BAM |
                             E1000_RCTL_LPE | E1000_RCTL_SECRC);
}

static void tx_reclaim(AxtE1000e *e)
{
    while (e->tx_head != e->tx_tail) {
        uint8_t *desc = tx_desc(e, e->tx_head);

        if (!(qatomic_load_acquire(&desc[DESC_STATUS]) &
              E1000_TXD_STAT_DD)) {
            break;
        }
        if (desc[TX_DESC_CMD] & TX_CMD(EOP)) {
            e->tx_packets--;
        }
        e->tx_head = (e->tx_head + 1) % AXT_RING;
    }
}

static bool e1000e_tx(AxtNic *nic, unsigned queue, const uint8_t *data,
                      const size_t *segs, unsigned n_segs, bool indirect)
{
    AxtE1000e *e = container_of(nic, AxtE1000e, nic);
    uint64_t slot = e->tx_buf + e->tx_tail * TX_SLOT;
    uint64_t gpa = slot;
    unsigned i, used;

    g_assert_false(indirect);
    tx_reclaim(e);
    used = (e->tx_tail + AXT_RING - e->tx_head) % AXT_RING;
    if (used + n_segs >= AXT_RING) {
        return false;
    }
    for (i = 0; i < n_segs; i++) {
        uint8_t *desc = tx_desc(e, e->tx_tail);

        g_assert_cmpuint(gpa + segs[i], <=, slot + TX_SLOT);
        memcpy(axt_ram(nic->vm, gpa), data, segs[i]);
        data += segs[i];
        memset(desc, 0, DESC_LEN);
        stq_le_p(desc, gpa);
        stw_le_p(desc + DESC_BUF_LEN, segs[i]);
        desc[TX_DESC_CMD] = TX_CMD(IFCS) | TX_CMD(RS) |
                            (i + 1 == n_segs ? TX_CMD(EOP) : 0);
        gpa += segs[i] + SEG_GAP;
        e->tx_tail = (e->tx_tail + 1) % AXT_RING;
    }
    e->tx_packets++;
    return true;
}

static void e1000e_tx_kick(AxtNic *nic, unsigned queue)
{
    AxtE1000e *e = container_of(nic, AxtE1000e, nic);

    reg_write(e, E1000_TDT, e->tx_tail);
}

static unsigned e1000e_tx_pending(AxtNic *nic, unsigned queue)
{
    AxtE1000e *e = container_of(nic, AxtE1000e, nic);

    tx_reclaim(e);
    return e->tx_packets;
}

static ssize_t e1000e_rx(AxtNic *nic, unsigned queue, uint8_t *buf,
                         size_t size)
{
    AxtE1000e *e = container_of(nic, AxtE1000e, nic);
    size_t total = 0;
    uint8_t status = 0;

    while (!(status & E1000_RXD_STAT_EOP)) {
        uint8_t *desc = rx_desc(e, e->rx_head);
        gint64 end = g_get_monotonic_time() + AXT_TIMEOUT_US;
        size_t len;

        do {
            status = qatomic_load_acquire(&desc[DESC_STATUS]);
            if (!(status & E1000_RXD_STAT_DD)) {
                if (total == 0) {
                    return -1;
                }
                /* The rest of a packet that has begun. */
                g_assert_cmpint(g_get_monotonic_time(), <, end);
                axt_pause();
            }
        } while (!(status & E1000_RXD_STAT_DD));

        len = lduw_le_p(desc + DESC_BUF_LEN);
        g_assert_cmphex(desc[RX_DESC_ERRORS], ==, 0);
        g_assert_cmpuint(len, <=, AXT_RX_BUF);
        g_assert_cmpuint(total + len, <=, size);
        memcpy(buf + total,
               axt_ram(nic->vm, e->rx_buf + e->rx_head * AXT_RX_BUF), len);
        total += len;
        memset(desc, 0, DESC_LEN);
        stq_le_p(desc, e->rx_buf + e->rx_head * AXT_RX_BUF);
        e->rx_head = (e->rx_head + 1) % AXT_RING;
    }
    return total;
}

static void e1000e_rx_kick(AxtNic *nic, unsigned queue)
{
    AxtE1000e *e = container_of(nic, AxtE1000e, nic);

    reg_write(e, E1000_RDT, (e->rx_head + AXT_RING - 1) % AXT_RING);
}

static bool e1000e_link_up(AxtNic *nic)
{
    AxtE1000e *e = container_of(nic, AxtE1000e, nic);

    return reg_read(e, E1000_STATUS) & E1000_STATUS_LU;
}

static void e1000e_free(AxtNic *nic)
{
    AxtE1000e *e = container_of(nic, AxtE1000e, nic);

    qpci_iounmap(e->pdev, e->bar);
    guest_free(&nic->vm->alloc, e->rx_ring);
    guest_free(&nic->vm->alloc, e->tx_ring);
    guest_free(&nic->vm->alloc, e->rx_buf);
    guest_free(&nic->vm->alloc, e->tx_buf);
    g_free(e->pdev);
    g_free(e);
}

static const AxtNicOps e1000e_ops = {
    .free = e1000e_free,
    .tx = e1000e_tx,
    .tx_kick = e1000e_tx_kick,
    .tx_pending = e1000e_tx_pending,
    .rx = e1000e_rx,
    .rx_kick = e1000e_rx_kick,
    .link_up = e1000e_link_up,
};

AxtNic *axt_e1000e_new(AxtVm *vm)
{
    AxtE1000e *e = g_new0(AxtE1000e, 1);

    e->nic.ops = &e1000e_ops;
    e->nic.vm = vm;
    e->nic.queues = 1;
    e->nic.rx_bufs = AXT_RING - 1;
    e->pdev = qpci_device_find(vm->bus, QPCI_DEVFN(AXT_SLOT, 0));
    g_assert_nonnull(e->pdev);
    e->rx_ring = guest_alloc(&vm->alloc, AXT_RING * DESC_LEN);
    e->tx_ring = guest_alloc(&vm->alloc, AXT_RING * DESC_LEN);
    e->rx_buf = guest_alloc(&vm->alloc, AXT_RING * AXT_RX_BUF);
    e->tx_buf = guest_alloc(&vm->alloc, AXT_RING * TX_SLOT);
    e1000e_start(e);
    return &e->nic;
}
