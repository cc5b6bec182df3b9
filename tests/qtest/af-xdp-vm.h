/*
 * af-xdp qtest: the virtual machine
 *
 * A QEMU with the qtest accelerator, whose RAM the test maps: drivers in the
 * test touch rings and buffers directly, at the speed of a real guest, and
 * need the qtest protocol for registers only.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef TESTS_QTEST_AF_XDP_VM_H
#define TESTS_QTEST_AF_XDP_VM_H

#include "qemu/units.h"
#include "libqtest.h"
#include "libqos/pci.h"
#include "libqos/libqos-malloc.h"

#define AXT_RAM_SIZE (256 * MiB)
#define AXT_DIMM_SIZE (128 * MiB)

/* PCI slots: devices on the command line, and those plugged in later. */
#define AXT_SLOT 4
#define AXT_NIC_ARGS "netdev=n0,mac=52:54:00:af:0d:01,romfile=,addr=4"

/* A machine's RAM; all zeroes is AXT_RAM_SIZE in one piece. */
typedef struct AxtRam {
    uint64_t size;              /* bytes in all; 0: AXT_RAM_SIZE */
    /*
     * Bytes below 4 GiB, the rest is above; 0: all, or what a PC has. The
     * machine leaves buffers above to those who ask for them.
     */
    uint64_t low;
    unsigned backends;          /* each a NUMA node of its own; 0: one */
    bool last_private;          /* the last one is not shared, nor mapped */
    bool hugetlb;
} AxtRam;

#define AXT_RAM_BACKENDS 4

typedef struct AxtVm {
    QTestState *qts;
    QPCIBus *bus;
    QGuestAllocator alloc;
    uint8_t *ram;
    uint64_t ram_size;
    uint64_t ram_low;           /* of which so many bytes are below 4 GiB */
    int ram_fd;
    uint8_t *dimm;              /* plugged in later, or NULL */
    int dimm_fd;
    uint64_t dimm_gpa;
} AxtVm;

extern const uint8_t axt_guest_mac[6];

/*
 * axt_vm_new: start QEMU with these arguments added. Its RAM is of huge pages
 * of 2 MiB if $AXT_HUGEPAGES is set.
 */
AxtVm *axt_vm_new(const char *fmt, ...) G_GNUC_PRINTF(1, 2);

/*
 * axt_vm_new_ram: the same with RAM of memory-backend-memfd, which belongs to
 * QEMU; backends are called ram0, ram1, ...
 */
AxtVm *axt_vm_new_ram(const AxtRam *ram, const char *fmt, ...)
    G_GNUC_PRINTF(2, 3);

/* axt_vm_free: end it, and check that it ends well. */
void axt_vm_free(AxtVm *vm);

/* Guest RAM at a guest-physical address. */
static inline void *axt_ram(AxtVm *vm, uint64_t gpa)
{
    if (vm->dimm && gpa >= vm->dimm_gpa) {
        g_assert_cmpuint(gpa - vm->dimm_gpa, <, AXT_DIMM_SIZE);
        return vm->dimm + (gpa - vm->dimm_gpa);
    }
    if (gpa >= 4 * GiB) {
        gpa = gpa - 4 * GiB + vm->ram_low;
        g_assert_cmpuint(gpa, >=, vm->ram_low);
        g_assert_cmpuint(gpa, <, vm->ram_size);
    } else {
        g_assert_cmpuint(gpa, <, vm->ram_low);
    }
    return vm->ram + gpa;
}

/* Arguments of a QEMU that a DIMM can be plugged into. */
#define AXT_DIMM_ARGS "-m 256,slots=1,maxmem=1G"

/* axt_dimm_plug: AXT_DIMM_SIZE bytes more RAM, from vm->dimm_gpa on. */
void axt_dimm_plug(AxtVm *vm);

/* axt_dimm_unplug: and away, with the guest's consent. */
void axt_dimm_unplug(AxtVm *vm);

/*
 * axt_netdev_add: netdev_add with options in -netdev's syntax, of which only
 * name=value pairs are known; the type and the id come by themselves.
 *
 * Returns NULL, or the error's description.
 */
char *axt_netdev_add(AxtVm *vm, const char *id, const char *options);

/* axt_netdev_del: must succeed. */
void axt_netdev_del(AxtVm *vm, const char *id);

/* axt_unplug: device_del, with the guest's consent, and wait for the end. */
void axt_unplug(AxtVm *vm, const char *id);

/* axt_unplug_slot: the same for a device that is not in AXT_SLOT. */
void axt_unplug_slot(AxtVm *vm, const char *id, unsigned slot);

/*
 * axt_counter: sum over all queues of a counter in "info network", which
 * shows some only when they are not 0.
 */
uint64_t axt_counter(AxtVm *vm, const char *name);

/* axt_vm_fds: how many file descriptors QEMU has open. */
unsigned axt_vm_fds(AxtVm *vm);

/* axt_vm_cpu_ms: CPU time QEMU has used, in milliseconds. */
unsigned axt_vm_cpu_ms(AxtVm *vm);

/*
 * axt_qemu_fails: run QEMU with options that it must refuse.
 * @args: the options, with spaces between them only.
 * @setup: runs in the child before QEMU, to take rights away; or NULL.
 *
 * Returns what it wrote to stderr. The exit status must be that of an error
 * in the options (1), not that of a crash.
 */
char *axt_qemu_fails(const char *args, GSpawnChildSetupFunc setup);

/* axt_pause: a pause short enough for a loop that waits for QEMU. */
static inline void axt_pause(void)
{
    g_usleep(20);
}

#define AXT_TIMEOUT_US (5 * G_USEC_PER_SEC)

#endif /* TESTS_QTEST_AF_XDP_VM_H */
