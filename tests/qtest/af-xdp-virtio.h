/*
 * af-xdp qtest: a driver for virtio-net, and what is inside it
 *
 * Most tests use it through AxtNic only. Those that are about virtqueues
 * choose what is negotiated and how buffers are laid out, and reach the rings.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef TESTS_QTEST_AF_XDP_VIRTIO_H
#define TESTS_QTEST_AF_XDP_VIRTIO_H

#include "libqos/virtio.h"
#include "libqos/virtio-pci.h"
#include "af-xdp-nic.h"
#include "af-xdp-ring.h"
#include "af-xdp-wire.h"

#define AXT_VIRTIO_CUTS 4

/* How to drive the device; all zeroes is what axt_virtio_new() does. */
typedef struct AxtVirtioConfig {
    bool packed;
    bool event_idx;
    bool indirect;              /* every buffer in a table of its own */
    bool not_mergeable;         /* then a packet must fit AXT_RX_BUF */
    bool mtu;                   /* negotiate VIRTIO_NET_F_MTU */
    bool honest_kicks;          /* only when the device wants them */
    bool msix;                  /* a vector for each virtqueue, AxtVq.msi */
    unsigned rx_size;           /* of rings; 0: as the device offers */
    unsigned tx_size;
    uint32_t rx_len;            /* of receive buffers; 0: what fits all */
    unsigned tx_slots;          /* packets under way; 0: AXT_RING */
    /*
     * Header and data are one row of bytes, cut into pieces of these lengths
     * and a last one with the rest. None: one piece, except that a packet to
     * send has a header of its own. Empty pieces are allowed.
     */
    uint32_t cuts[AXT_VIRTIO_CUTS];
    unsigned n_cuts;
} AxtVirtioConfig;

typedef struct AxtVq {
    QVirtQueue *vq;
    AxtRing ring;
    uint64_t msi;               /* where its vector writes AXT_MSI_DATA */
    uint64_t bufs;              /* slots for buffers, as allocated */
    uint64_t home;              /* where they are to be from their next use */
    size_t slot_size;
    unsigned n_slots;
    uint64_t *at;               /* by slot: its address now */
    uint16_t *slot_of;          /* by id of a buffer: its slot */
    uint16_t *free;             /* stack of unused slots (tx) */
    unsigned n_free;
    unsigned empties;           /* receive buffers that came back unused */
} AxtVq;

typedef struct AxtVirtio {
    AxtNic nic;
    QVirtioPCIDevice *dev;
    AxtVirtioConfig config;
    uint64_t offered;           /* features */
    uint64_t features;          /* negotiated */
    size_t hdr_len;
    AxtVq rx[AXT_MAX_QUEUES];
    AxtVq tx[AXT_MAX_QUEUES];
    AxtVq ctrl;
} AxtVirtio;

/* What a vector writes to its address in RAM. */
#define AXT_MSI_DATA 0x12345678

static inline AxtVirtio *axt_virtio(AxtNic *nic)
{
    return container_of(nic, AxtVirtio, nic);
}

/* axt_virtio_new_config: like axt_virtio_new(); @config may be NULL. */
AxtNic *axt_virtio_new_config(AxtVm *vm, unsigned queues,
                              const AxtVirtioConfig *config);

/*
 * axt_virtio_again: reset the device and drive it by another @config, or by
 * the same one if that is NULL.
 */
void axt_virtio_again(AxtNic *nic, const AxtVirtioConfig *config);

/* axt_virtio_kick: one kick. */
void axt_virtio_kick(AxtNic *nic, AxtVq *q);

/* axt_virtio_rebind: what a driver does that is unloaded and loaded. */
void axt_virtio_rebind(AxtNic *nic);

/*
 * axt_virtio_move: use memory from @gpa on for all buffers of the first queue
 * pair, each from its next use on; 0: the old memory again.
 */
void axt_virtio_move(AxtNic *nic, uint64_t gpa);

/* axt_virtio_outside: how many buffers of @q are not in its own memory? */
unsigned axt_virtio_outside(AxtVq *q);

/*
 * axt_virtio_touch: write the driver's part of the rings again, by QEMU, which
 * does not see what is written to mapped RAM: it is dirty then.
 */
void axt_virtio_touch(AxtNic *nic);

/* axt_virtio_migrate: the driver goes on in the machine @to. */
void axt_virtio_migrate(AxtNic *nic, AxtVm *to);

/* Bytes of memory that a queue's buffers need. */
static inline size_t axt_vq_bytes(const AxtVq *q)
{
    return q->slot_size * q->n_slots;
}

/* axt_virtio_rx_len: bytes of a receive buffer. */
uint32_t axt_virtio_rx_len(const AxtVirtio *v);

#endif /* TESTS_QTEST_AF_XDP_VIRTIO_H */
