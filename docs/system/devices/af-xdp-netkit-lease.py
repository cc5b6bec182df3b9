#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""af-xdp-netkit-lease.py NAME NIC QUEUE...: lease queues of a NIC to a new
netkit device.  Needs Linux 7.1 and root."""

import os
import socket
import struct
import sys

# <linux/netlink.h>, <linux/rtnetlink.h>
NLMSG_ERROR, RTM_NEWLINK = 2, 16
NLM_F_REQUEST, NLM_F_ACK, NLM_F_EXCL, NLM_F_CREATE = 1, 4, 0x200, 0x400
SOL_NETLINK, NETLINK_CAP_ACK, NETLINK_EXT_ACK = 270, 10, 11
NLMSGERR_ATTR_MSG = 1
NLA_F_NESTED = 0x8000
# <linux/genetlink.h>
NETLINK_GENERIC, GENL_ID_CTRL, CTRL_CMD_GETFAMILY = 16, 16, 3
CTRL_ATTR_FAMILY_ID, CTRL_ATTR_FAMILY_NAME = 1, 2
# <linux/if_link.h>
IFLA_IFNAME, IFLA_LINKINFO, IFLA_NUM_RX_QUEUES = 3, 18, 32
IFLA_INFO_KIND, IFLA_INFO_DATA = 1, 2
IFLA_NETKIT_MODE, NETKIT_L2 = 5, 0
IFLA_NETKIT_PAIRING, NETKIT_DEVICE_SINGLE = 10, 1
# <linux/netdev.h>
NETDEV_CMD_DEV_GET, NETDEV_CMD_QUEUE_CREATE = 1, 16
NETDEV_A_DEV_IFINDEX, NETDEV_A_DEV_XDP_FEATURES = 1, 3
NETDEV_XDP_ACT_XSK_ZEROCOPY = 8
NETDEV_A_QUEUE_ID, NETDEV_A_QUEUE_IFINDEX, NETDEV_A_QUEUE_TYPE = 1, 2, 3
NETDEV_QUEUE_TYPE_RX = 0
NETDEV_A_QUEUE_LEASE = 8
NETDEV_A_LEASE_IFINDEX, NETDEV_A_LEASE_QUEUE = 1, 2


def attr(kind, value):
    """An attribute: its length, its type, and a number or a text."""
    if isinstance(value, int):
        value = struct.pack('=I', value)
    elif isinstance(value, str):
        value = value.encode() + b'\0'
    return (struct.pack('=HH', 4 + len(value), kind) + value
            + bytes(-len(value) % 4))


def nested(kind, *attributes):
    """An attribute that consists of others."""
    return attr(NLA_F_NESTED | kind, b''.join(attributes))


def attrs(data):
    """The attributes in a message, by type."""
    found = {}
    while len(data) >= 4:
        length, kind = struct.unpack_from('=HH', data)
        found[kind & 0x3fff] = data[4:length]
        data = data[(length + 3) & ~3:]
    return found


def request(protocol, kind, flags, body):
    """Send one message; returns the attributes of the answer."""
    answer = b''
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol) as nl:
        nl.setsockopt(SOL_NETLINK, NETLINK_CAP_ACK, 1)
        nl.setsockopt(SOL_NETLINK, NETLINK_EXT_ACK, 1)
        nl.send(struct.pack('=IHHII', 16 + len(body), kind,
                            NLM_F_REQUEST | NLM_F_ACK | flags, 1, 0) + body)
        while True:
            data = nl.recv(65536)
            while data:
                length, kind = struct.unpack_from('=IH', data)
                if kind == NLMSG_ERROR:         # always the last; 0 is success
                    error, = struct.unpack_from('=i', data, 16)
                    words = attrs(data[36:length]).get(NLMSGERR_ATTR_MSG, b'')
                    if error:
                        sys.exit(f'{os.strerror(-error)} '
                                 f'({words.decode().rstrip(chr(0))})')
                    return attrs(answer)
                answer = data[20:length]        # behind struct genlmsghdr
                data = data[(length + 3) & ~3:]


def generic(family, command, *attributes):
    """A message of generic netlink: command and version, then attributes."""
    return request(NETLINK_GENERIC, family, 0,
                   struct.pack('=BBH', command, 1, 0) + b''.join(attributes))


def main(name, nic, *queues):
    """Make the device, lease the queues."""
    answer = generic(GENL_ID_CTRL, CTRL_CMD_GETFAMILY,
                     attr(CTRL_ATTR_FAMILY_NAME, 'netdev'))
    netdev, = struct.unpack('=H', answer[CTRL_ATTR_FAMILY_ID])

    nic_index = socket.if_nametoindex(nic)
    answer = generic(netdev, NETDEV_CMD_DEV_GET,
                     attr(NETDEV_A_DEV_IFINDEX, nic_index))
    if not answer[NETDEV_A_DEV_XDP_FEATURES][0] & NETDEV_XDP_ACT_XSK_ZEROCOPY:
        sys.exit(f'the driver of {nic} has no AF_XDP zero-copy')

    ifinfomsg = bytes(16)
    request(socket.NETLINK_ROUTE, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL,
            ifinfomsg +
            attr(IFLA_IFNAME, name) +
            attr(IFLA_NUM_RX_QUEUES, 1 + len(queues)) +
            nested(IFLA_LINKINFO,
                   attr(IFLA_INFO_KIND, 'netkit'),
                   nested(IFLA_INFO_DATA,
                          attr(IFLA_NETKIT_MODE, NETKIT_L2),
                          attr(IFLA_NETKIT_PAIRING, NETKIT_DEVICE_SINGLE))))
    for queue in queues:
        answer = generic(
            netdev, NETDEV_CMD_QUEUE_CREATE,
            attr(NETDEV_A_QUEUE_IFINDEX, socket.if_nametoindex(name)),
            attr(NETDEV_A_QUEUE_TYPE, NETDEV_QUEUE_TYPE_RX),
            nested(NETDEV_A_QUEUE_LEASE,
                   attr(NETDEV_A_LEASE_IFINDEX, nic_index),
                   nested(NETDEV_A_LEASE_QUEUE,
                          attr(NETDEV_A_QUEUE_ID, int(queue)),
                          attr(NETDEV_A_QUEUE_TYPE, NETDEV_QUEUE_TYPE_RX))))
        number, = struct.unpack('=I', answer[NETDEV_A_QUEUE_ID])
        print(f'queue {number} of {name} is queue {queue} of {nic}')


if len(sys.argv) < 4:
    sys.exit(__doc__)
main(*sys.argv[1:])
