/*
 * af-xdp qtest: network cards, seen from their drivers
 *
 * One interface over the two models that the tests drive, virtio-net-pci and
 * e1000e. The drivers poll; interrupts stay off.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef TESTS_QTEST_AF_XDP_NIC_H
#define TESTS_QTEST_AF_XDP_NIC_H

#include "af-xdp-vm.h"

/* Packets that may be under way in a queue, and the size of e1000e's rings. */
#define AXT_RING 256

/* A sent packet's memory: data, gaps, and an indirect table at the end. */
#define AXT_TX_SLOT (128 * KiB)

/* A receive buffer. */
#define AXT_RX_BUF (2 * KiB)

typedef struct AxtNic AxtNic;

typedef struct AxtNicOps {
    void (*free)(AxtNic *nic);
    bool (*tx)(AxtNic *nic, unsigned queue, const uint8_t *data,
               const size_t *segs, unsigned n_segs, bool indirect);
    void (*tx_kick)(AxtNic *nic, unsigned queue);
    unsigned (*tx_pending)(AxtNic *nic, unsigned queue);
    ssize_t (*rx)(AxtNic *nic, unsigned queue, uint8_t *buf, size_t size);
    void (*rx_kick)(AxtNic *nic, unsigned queue);
    bool (*link_up)(AxtNic *nic);
} AxtNicOps;

struct AxtNic {
    const AxtNicOps *ops;
    AxtVm *vm;
    unsigned queues;
    unsigned rx_bufs;           /* short packets that one queue takes */
};

/*
 * axt_virtio_new: find and start the only virtio-net device.
 * @queues: queue pairs to drive; more than one negotiates VIRTIO_NET_F_MQ and
 *          asks for them through the control virtqueue.
 */
AxtNic *axt_virtio_new(AxtVm *vm, unsigned queues);

/* axt_virtio_reset: reset by status 0; the device is dead until restarted. */
void axt_virtio_reset(AxtNic *nic);

/* axt_virtio_restart: set the device up again after axt_virtio_reset(). */
void axt_virtio_restart(AxtNic *nic);

/*
 * axt_virtio_set_pairs: tell a multi-queue device how many queue pairs to use,
 * of those that axt_virtio_new() has set up.
 */
void axt_virtio_set_pairs(AxtNic *nic, unsigned pairs);

/* axt_e1000e_new: find and start the e1000e in slot AXT_SLOT. */
AxtNic *axt_e1000e_new(AxtVm *vm);

/* axt_nic_free: forget the driver's state; the device is not touched. */
static inline void axt_nic_free(AxtNic *nic)
{
    nic->ops->free(nic);
}

/*
 * axt_nic_tx: give one packet to the device; see axt_nic_tx_kick().
 * @segs, @n_segs: lengths of the pieces to cut it into, each at an address
 *                 of its own, odd ones too.
 * @indirect: describe them in an indirect table (virtio-net).
 *
 * Returns false if the ring has no room now.
 */
static inline bool axt_nic_tx(AxtNic *nic, unsigned queue,
                              const uint8_t *data, const size_t *segs,
                              unsigned n_segs, bool indirect)
{
    return nic->ops->tx(nic, queue, data, segs, n_segs, indirect);
}

/* axt_nic_tx_kick: tell the device about packets given. */
static inline void axt_nic_tx_kick(AxtNic *nic, unsigned queue)
{
    nic->ops->tx_kick(nic, queue);
}

/* axt_nic_tx_pending: packets that the device has not given back yet. */
static inline unsigned axt_nic_tx_pending(AxtNic *nic, unsigned queue)
{
    return nic->ops->tx_pending(nic, queue);
}

/*
 * axt_nic_rx: take one received packet and reuse its buffers.
 *
 * Returns its length, or -1 if there is none.
 */
static inline ssize_t axt_nic_rx(AxtNic *nic, unsigned queue, uint8_t *buf,
                                 size_t size)
{
    return nic->ops->rx(nic, queue, buf, size);
}

/* axt_nic_rx_kick: tell the device about buffers that can be reused. */
static inline void axt_nic_rx_kick(AxtNic *nic, unsigned queue)
{
    nic->ops->rx_kick(nic, queue);
}

/* axt_nic_link_up: does the device say that its link is up? */
static inline bool axt_nic_link_up(AxtNic *nic)
{
    return nic->ops->link_up(nic);
}

/* axt_nic_send: one packet in one piece, with a kick; must fit the ring. */
void axt_nic_send(AxtNic *nic, unsigned queue, const uint8_t *data,
                  size_t len);

/* axt_nic_recv: wait for a packet of ours; -1 if none came in time. */
ssize_t axt_nic_recv(AxtNic *nic, unsigned queue, uint8_t *buf, size_t size,
                     int timeout_ms);

/* axt_nic_tx_wait: wait until the device has given back all packets. */
void axt_nic_tx_wait(AxtNic *nic, unsigned queue);

#endif /* TESTS_QTEST_AF_XDP_NIC_H */
