/*
 * AF_XDP: what the queues of a netkit device can do, and what they need
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "net/af-xdp-error.h"
#include "net/af-xdp-netkit.h"
#include "net/af-xdp-socket.h"

/*
 * What Linux 7.2 wants room for beside the MTU in driver zero-copy: Ethernet
 * header, two VLAN tags, checksum.
 */
#define LEASED_OVERHEAD (14 + 2 * 4 + 4)

/* Queue 0 is asked for together with what is a NIC's. */
static void error_mixed(const AfXdpDevice *dev, const AfXdpOptions *opts,
                        GError **errp)
{
    g_autofree char *hint = g_strdup_printf(
        "Queue 0 is the netkit device's own, with a program on the device; a "
        "leased one is fed by the program on the NIC. Use "
        "'queue-start=1,queues=%u' for the leased ones, or 'queues=1' for "
        "queue 0, or a netdev for each.", opts->queues - 1);

    af_xdp_error_set(errp, 0, hint,
                     "'queue-start=0,queues=%u' names queue 0 of netkit device "
                     "'%s' and queues that are leased to it", opts->queues,
                     dev->name);
}

/* The program cannot be ours: say who makes it. */
static void error_no_map(const AfXdpDevice *dev, const AfXdpOptions *opts,
                         GError **errp)
{
    af_xdp_error_set(errp, 0,
                     "On the host, 'qemu-af-xdp attach NIC --vm NAME --queues "
                     "N', with the NIC's own numbers of the queues, attaches "
                     "it and prints what to add here: 'inhibit=on,"
                     "map-path=PATH,map-start-index=N'. Or pass sockets that "
                     "are in that map with 'inhibit=on,sock-fds='.",
                     "queue %u of netkit device '%s' is leased from a NIC, "
                     "and fed by an XDP program on the NIC, which QEMU cannot "
                     "attach from here", opts->queue_start, dev->name);
}

static bool check_leased(const AfXdpDevice *dev, const AfXdpOptions *opts,
                         GError **errp)
{
    const uint32_t mtu_max = AF_XDP_RX_ROOM - LEASED_OVERHEAD;

    if (!opts->inhibit) {
        error_no_map(dev, opts, errp);
        return false;
    }
    if (opts->force_copy) {
        af_xdp_error_set(errp, 0,
                         "Leave it out: driver zero-copy is what the queue "
                         "has. Queue 0 of a netkit device works in copy mode, "
                         "and so does any other interface.",
                         "'force-copy=on' does not go with queue %u of netkit "
                         "device '%s', which is leased from a NIC: in copy "
                         "mode nothing is ever sent", opts->queue_start,
                         dev->name);
        return false;
    }
    if (dev->mtu > mtu_max) {
        g_autofree char *hint = g_strdup_printf(
            "Lower it, and that of the NIC too: 'ip link set dev %s mtu %u'.",
            dev->name, mtu_max);

        af_xdp_error_set(errp, EMSGSIZE, hint,
                         "MTU %u of netkit device '%s' does not fit: a leased "
                         "queue takes no frames of several buffers, the "
                         "largest that fits is %u", dev->mtu, dev->name,
                         mtu_max);
        return false;
    }
    return true;
}

bool af_xdp_netkit_check(const AfXdpDevice *dev, const AfXdpOptions *opts,
                         GError **errp)
{
    uint32_t last = opts->queue_start + opts->queues - 1;

    if (!dev->is_netkit) {
        return true;
    }
    if (af_xdp_device_is_leased(dev, opts->queue_start)) {
        return check_leased(dev, opts, errp);
    }
    if (af_xdp_device_is_leased(dev, last)) {
        error_mixed(dev, opts, errp);
        return false;
    }
    if (!opts->inhibit && opts->mode == AF_XDP_MODE_NATIVE) {
        af_xdp_error_set(errp, 0,
                         "Leave it out, or use 'mode=skb': slower, and in "
                         "copy mode. A queue leased from a NIC is fast.",
                         "'mode=native' does not go with netkit device '%s', "
                         "which takes no native XDP program", dev->name);
        return false;
    }
    return true;
}
