/*
 * Benchmark: a virtio-pci device, driven through qtest
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include <inttypes.h>
#include <linux/pci_regs.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_pci.h>
#include <stddef.h>
#include "virtio-pci.h"

#define PCI_ADDRESS 0xcf8
#define PCI_DATA 0xcfc
#define VENDOR_REDHAT 0x1af4
#define DEVICE_MODERN_NET (0x1040 + VIRTIO_ID_NET)
/* Inside the hole for PCI devices of the pc machine. */
#define BAR_BASE 0xe0000000u
#define BAR_SPACE 0x00100000u

static void config_select(AxbVirtio *v, unsigned offset)
{
    axb_qtest_out(v->qtest, PCI_ADDRESS, 4,
                  1u << 31 | v->devfn << 8 | (offset & ~3u));
}

static uint32_t config_read(AxbVirtio *v, unsigned offset, unsigned size)
{
    config_select(v, offset);
    return axb_qtest_in(v->qtest, PCI_DATA + (offset & 3), size);
}

static void config_write(AxbVirtio *v, unsigned offset, unsigned size,
                         uint32_t value)
{
    config_select(v, offset);
    axb_qtest_out(v->qtest, PCI_DATA + (offset & 3), size, value);
}

static uint64_t common_read(AxbVirtio *v, unsigned offset, unsigned size)
{
    return axb_qtest_read(v->qtest, v->common + offset, size);
}

static void common_write(AxbVirtio *v, unsigned offset, unsigned size,
                         uint64_t value)
{
    axb_qtest_write(v->qtest, v->common + offset, size, value);
}

static bool qtest_ok(AxbVirtio *v, GError **errp)
{
    if (axb_qtest_failed(v->qtest)) {
        g_set_error(errp, G_FILE_ERROR, G_FILE_ERROR_FAILED, "%s",
                    axb_qtest_failed(v->qtest));
        return false;
    }
    return true;
}

/* Give a memory BAR its address, all of them in a row; returns it. */
static uint64_t place_bar(AxbVirtio *v, unsigned bar)
{
    unsigned offset = PCI_BASE_ADDRESS_0 + 4 * bar;
    uint32_t base = BAR_BASE + bar * BAR_SPACE;
    uint32_t flags = config_read(v, offset, 4) & ~PCI_BASE_ADDRESS_MEM_MASK;

    config_write(v, offset, 4, base);
    if ((flags & PCI_BASE_ADDRESS_MEM_TYPE_MASK) ==
        PCI_BASE_ADDRESS_MEM_TYPE_64) {
        config_write(v, offset + 4, 4, 0);
    }
    return base;
}

static void read_capabilities(AxbVirtio *v)
{
    unsigned at = config_read(v, PCI_CAPABILITY_LIST, 1);

    /* 48: more cannot fit the configuration space. */
    for (unsigned n = 0; at && n < 48; n++) {
        uint8_t type, bar;
        uint64_t addr;

        if (config_read(v, at, 1) == PCI_CAP_ID_VNDR) {
            type = config_read(v, at + VIRTIO_PCI_CAP_CFG_TYPE, 1);
            bar = config_read(v, at + VIRTIO_PCI_CAP_BAR, 1);
            if (type >= VIRTIO_PCI_CAP_COMMON_CFG &&
                type <= VIRTIO_PCI_CAP_DEVICE_CFG && bar < 6) {
                addr = place_bar(v, bar) +
                       config_read(v, at + VIRTIO_PCI_CAP_OFFSET, 4);
                if (type == VIRTIO_PCI_CAP_COMMON_CFG) {
                    v->common = addr;
                } else if (type == VIRTIO_PCI_CAP_NOTIFY_CFG) {
                    v->notify = addr;
                    v->notify_multiplier =
                        config_read(v, at + VIRTIO_PCI_NOTIFY_CAP_MULT, 4);
                } else if (type == VIRTIO_PCI_CAP_DEVICE_CFG) {
                    v->config = addr;
                }
            }
        }
        at = config_read(v, at + PCI_CAP_LIST_NEXT, 1);
    }
}

bool axb_virtio_find(AxbVirtio *v, AxbQtest *qtest, GError **errp)
{
    bool found = false;

    *v = (AxbVirtio) { .qtest = qtest };
    for (unsigned slot = 0; slot < 32 && !found; slot++) {
        v->devfn = slot << 3;
        found = config_read(v, PCI_VENDOR_ID, 4) ==
                ((uint32_t)DEVICE_MODERN_NET << 16 | VENDOR_REDHAT);
    }
    if (found) {
        read_capabilities(v);
        config_write(v, PCI_COMMAND, 2,
                     PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER |
                     PCI_COMMAND_INTX_DISABLE);
    }
    if (!qtest_ok(v, errp)) {
        return false;
    }
    if (!v->common || !v->notify || !v->config) {
        g_set_error(errp, G_FILE_ERROR, G_FILE_ERROR_FAILED,
                    "no modern virtio-net device on the bus");
        return false;
    }
    axb_virtio_stop(v);
    common_write(v, VIRTIO_PCI_COMMON_STATUS, 1,
                 VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER);
    return qtest_ok(v, errp);
}

bool axb_virtio_negotiate(AxbVirtio *v, uint64_t want, uint64_t need,
                          GError **errp)
{
    uint64_t offered = 0;
    uint8_t status;

    for (unsigned i = 0; i < 2; i++) {
        common_write(v, VIRTIO_PCI_COMMON_DFSELECT, 4, i);
        offered |= common_read(v, VIRTIO_PCI_COMMON_DF, 4) << (32 * i);
    }
    v->features = offered & want;
    if ((v->features & need) != need) {
        g_set_error(errp, G_FILE_ERROR, G_FILE_ERROR_FAILED,
                    "the device does not offer features 0x%" PRIx64,
                    need & ~offered);
        return false;
    }
    for (unsigned i = 0; i < 2; i++) {
        common_write(v, VIRTIO_PCI_COMMON_GFSELECT, 4, i);
        common_write(v, VIRTIO_PCI_COMMON_GF, 4,
                     (uint32_t)(v->features >> (32 * i)));
    }
    status = common_read(v, VIRTIO_PCI_COMMON_STATUS, 1);
    common_write(v, VIRTIO_PCI_COMMON_STATUS, 1,
                 status | VIRTIO_CONFIG_S_FEATURES_OK);
    status = common_read(v, VIRTIO_PCI_COMMON_STATUS, 1);
    if (!qtest_ok(v, errp)) {
        return false;
    }
    if (!(status & VIRTIO_CONFIG_S_FEATURES_OK)) {
        g_set_error(errp, G_FILE_ERROR, G_FILE_ERROR_FAILED,
                    "the device refuses features 0x%" PRIx64, v->features);
        return false;
    }
    return true;
}

uint16_t axb_virtio_queue_size(AxbVirtio *v, unsigned index)
{
    common_write(v, VIRTIO_PCI_COMMON_Q_SELECT, 2, index);
    return common_read(v, VIRTIO_PCI_COMMON_Q_SIZE, 2);
}

static void common_write64(AxbVirtio *v, unsigned offset, uint64_t value)
{
    common_write(v, offset, 4, (uint32_t)value);
    common_write(v, offset + 4, 4, value >> 32);
}

uint64_t axb_virtio_queue_enable(AxbVirtio *v, unsigned index, uint16_t size,
                                 uint64_t desc, uint64_t driver,
                                 uint64_t device)
{
    uint16_t off;

    common_write(v, VIRTIO_PCI_COMMON_Q_SELECT, 2, index);
    common_write(v, VIRTIO_PCI_COMMON_Q_SIZE, 2, size);
    common_write64(v, VIRTIO_PCI_COMMON_Q_DESCLO, desc);
    common_write64(v, VIRTIO_PCI_COMMON_Q_AVAILLO, driver);
    common_write64(v, VIRTIO_PCI_COMMON_Q_USEDLO, device);
    common_write(v, VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
    off = common_read(v, VIRTIO_PCI_COMMON_Q_NOFF, 2);
    return v->notify + (uint64_t)off * v->notify_multiplier;
}

bool axb_virtio_start(AxbVirtio *v, GError **errp)
{
    uint8_t status = common_read(v, VIRTIO_PCI_COMMON_STATUS, 1);

    common_write(v, VIRTIO_PCI_COMMON_STATUS, 1,
                 status | VIRTIO_CONFIG_S_DRIVER_OK);
    status = common_read(v, VIRTIO_PCI_COMMON_STATUS, 1);
    if (!qtest_ok(v, errp)) {
        return false;
    }
    if (status & VIRTIO_CONFIG_S_NEEDS_RESET) {
        g_set_error(errp, G_FILE_ERROR, G_FILE_ERROR_FAILED,
                    "the device needs a reset right after its start");
        return false;
    }
    return true;
}

void axb_virtio_stop(AxbVirtio *v)
{
    common_write(v, VIRTIO_PCI_COMMON_STATUS, 1, 0);
}
