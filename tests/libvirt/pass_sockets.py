#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Open AF_XDP sockets for a domain of libvirt that may not do so itself

"""
usage: pass_sockets.py URI DOMAIN MAP FIRST COUNT

To be run in the network namespace of the interface, by somebody who has
CAP_NET_RAW and may write to the pinned MAP.  Puts fresh sockets into its
entries FIRST and following and gives them to the domain's QEMU, by the names
xsk0, xsk1, ...
"""

import json
import socket
import subprocess
import sys

AF_XDP = 44


def little_endian(number):
    """Four bytes as bpftool wants them."""
    return [str(byte) for byte in number.to_bytes(4, 'little')]


def main():
    """Open them, one by one."""
    uri, domain, path, first, count = sys.argv[1:]
    for number in range(int(count)):
        xsk = socket.socket(AF_XDP, socket.SOCK_RAW)
        subprocess.run(['bpftool', 'map', 'update', 'pinned', path,
                        'key', *little_endian(int(first) + number),
                        'value', *little_endian(xsk.fileno())],
                       pass_fds=[xsk.fileno()], check=True)
        request = {'execute': 'getfd',
                   'arguments': {'fdname': f'xsk{number}'}}
        answer = subprocess.run(['virsh', '-q', '-c', uri,
                                 'qemu-monitor-command', domain,
                                 '--pass-fds', str(xsk.fileno()),
                                 json.dumps(request)],
                                pass_fds=[xsk.fileno()], check=True,
                                capture_output=True, text=True).stdout
        if 'error' in json.loads(answer):
            sys.exit(answer)


if __name__ == '__main__':
    main()
