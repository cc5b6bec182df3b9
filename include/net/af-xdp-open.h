/*
 * AF_XDP network backend: the interface's program and queues, opened and closed
 *
 *                 begin       the interface     it is
 *                             is gone           back          end
 *     device      check                         check
 *     program     program     close             again         (netdev)
 *     queues      queue       close             again         (queue)
 *
 * Threads: main loop, under the big QEMU lock; no worker may be using a queue
 * that is opened or closed.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef NET_AF_XDP_OPEN_H
#define NET_AF_XDP_OPEN_H

#include "net/af-xdp-netdev.h"

/*
 * af_xdp_open_check: look at interface @ifname; can it be used as @opts say?
 * @info: filled in on success.
 * @errp: set on failure; codes ENODEV and ENETDOWN as those of
 *        af_xdp_device_query() and af_xdp_device_check().
 */
bool af_xdp_open_check(const char *ifname, const AfXdpOptions *opts,
                       AfXdpDevice *info, GError **errp);

/*
 * af_xdp_open_program: attach our program, or open the map of another one.
 * With sock-fds there is nothing to do.
 */
bool af_xdp_open_program(AfXdpNetdev *dev, const AfXdpDevice *info,
                         GError **errp);

/*
 * af_xdp_open_warn: warn of what is allowed with the program that is open, and
 * most likely not meant.
 */
void af_xdp_open_warn(AfXdpNetdev *dev, const AfXdpDevice *info);

/*
 * af_xdp_open_queue: open queue @i of the netdev, and put its socket into the
 * program's map. Returns NULL and sets @errp on failure.
 */
AfXdpCopy *af_xdp_open_queue(AfXdpNetdev *dev, const AfXdpDevice *info,
                             uint32_t i, Error **errp);

/*
 * af_xdp_open_again: program and queues of an interface that is back.
 * @errp: set on failure; all is closed again then.
 *
 * Does not wait for a queue that is busy. Not for sock-fds.
 */
bool af_xdp_open_again(AfXdpNetdev *dev, const AfXdpDevice *info,
                       GError **errp);

/*
 * af_xdp_open_socket: give queue @s another socket, on memory of its own.
 * @ifindex: of the interface.
 * @frame_max: longest frame expected, in bytes.
 * @patience: ms to wait for a queue that is busy.
 * @errp: set on failure; the queue has no socket then. EEXIST: a pinned map's
 *        entry is another socket's.
 *
 * No worker may be using the queue.
 */
bool af_xdp_open_socket(AfXdpState *s, int ifindex, uint32_t frame_max,
                        uint32_t patience, GError **errp);

/*
 * af_xdp_open_missing: sockets for queues that have lost theirs.
 * @errp: set if one still has none.
 *
 * Does not wait for a queue that is busy. No worker may be using the queues.
 */
bool af_xdp_open_missing(AfXdpNetdev *dev, GError **errp);

/*
 * af_xdp_open_close: the interface is gone: close the sockets, detach our
 * program. A map of somebody else stays open.
 */
void af_xdp_open_close(AfXdpNetdev *dev);

#endif /* NET_AF_XDP_OPEN_H */
