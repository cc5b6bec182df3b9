/*
 * AF_XDP network backend: guest RAM as the UMEM (guest zero-copy)
 *
 * Decides whether the guest's memory can be what the sockets of a netdev
 * exchange packets in, makes the window and moves the queues there, and puts
 * a queue's datapath on direct buffers for as long as the guest drives it.
 *
 *                    copy mode                     driver zero-copy
 *     prepare        window; all queues move there window
 *     begin          second socket, map, datapath  the queue moves there
 *     end            datapath, map, second socket  ... and away again
 *     free           window                        window
 *
 * In copy mode the window stays registered while the guest is reset; in driver
 * zero-copy, where only the end of a socket makes a device let go of its
 * buffers, it is registered at each start.
 *
 * Threads: main loop, under the big QEMU lock; no worker may be using the queue
 * that a function is about.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef NET_AF_XDP_RAM_H
#define NET_AF_XDP_RAM_H

#include "net/af-xdp-datapath.h"
#include "net/af-xdp-netdev.h"
#include "net/af-xdp-options.h"

/* af_xdp_ram_init: to be freed with af_xdp_ram_free(). */
void af_xdp_ram_init(AfXdpNetdev *dev, const AfXdpOptions *opts,
                     const AfXdpDevice *info);

/* af_xdp_ram_new_device: the netdev's interface is another one from now on. */
void af_xdp_ram_new_device(AfXdpNetdev *dev, const AfXdpDevice *info);

/*
 * af_xdp_ram_closed: all sockets have been closed, after the kernel had let go
 * of their memory. The window stays.
 */
void af_xdp_ram_closed(AfXdpNetdev *dev);

/* af_xdp_ram_free: all sockets must be closed. */
void af_xdp_ram_free(AfXdpNetdev *dev);

/* af_xdp_ram_wanted: was zero-copy=on given? */
bool af_xdp_ram_wanted(const AfXdpNetdev *dev);

/*
 * af_xdp_ram_check: with zero-copy=on, is it possible with the RAM that the
 * machine has? Tries the registration. Returns false and sets @errp if not.
 */
bool af_xdp_ram_check(AfXdpNetdev *dev, Error **errp);

/*
 * af_xdp_ram_prepare: the guest's driver is about to start: see to a window
 * that fits.
 * @regions, @n: the guest's memory, as QEMU has it mapped.
 * @mergeable: VIRTIO_NET_F_MRG_RXBUF was negotiated.
 *
 * If it is not possible the queues stay or go where they have memory of
 * their own, and that is said. No queue pair may be running.
 */
void af_xdp_ram_prepare(AfXdpNetdev *dev, const AfXdpRegion *regions,
                        uint32_t n, bool mergeable);

/*
 * af_xdp_ram_table: the table of regions for the rings: addresses are the
 * window's for what is in it.
 */
AfXdpMemory *af_xdp_ram_table(AfXdpNetdev *dev, const AfXdpRegion *regions,
                              uint32_t n, GError **errp);

/*
 * af_xdp_ram_begin: let @dp, of queue @s, use the guest's buffers.
 * @num: entries of the receive virtqueue.
 */
void af_xdp_ram_begin(AfXdpState *s, AfXdpDatapath *dp, uint32_t num);

/*
 * af_xdp_ram_end: the end of that, if it was begun: no buffer is written to any
 * more. If a device does not let go in time the VM is stopped.
 * @call: set to true if the guest is to be interrupted, else left alone.
 */
void af_xdp_ram_end(AfXdpState *s, AfXdpDatapath *dp, bool *call);

/*
 * af_xdp_ram_vm_runs: the VM runs again; if a device had not let go of guest
 * memory, see whether it has now, and stop the VM once more if not.
 */
void af_xdp_ram_vm_runs(AfXdpNetdev *dev);

/*
 * af_xdp_ram_new_mtu: the interface has another MTU. Returns true if queue
 * pairs that use the guest's buffers must end and begin again, since buffers
 * that are with a device may be too short now.
 */
bool af_xdp_ram_new_mtu(AfXdpNetdev *dev, uint32_t mtu);

/* af_xdp_ram_info: for "info network"; to be freed. */
char *af_xdp_ram_info(const AfXdpState *s);

#endif /* NET_AF_XDP_RAM_H */
