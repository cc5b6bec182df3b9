# SPDX-License-Identifier: GPL-2.0-or-later
#
"""What the user of "make demo" chose, checked; needs nothing built yet."""

import os
from pathlib import Path
import shutil
import sys

TOP = Path(__file__).resolve().parent.parent
BUILD = Path(os.environ.get('BUILD') or TOP / 'build').resolve()


class DemoError(Exception):
    """What went wrong, in words for the user."""


def number(name, default, low, high):
    """The setting @name, an integer between @low and @high."""
    text = os.environ.get(name) or str(default)
    if not text.isdecimal() or not low <= int(text) <= high:
        raise DemoError(f'{name}={text}: give a number from {low} to {high}')
    return int(text)


class Settings:
    """The user's choices."""

    def __init__(self):
        self.queues = number('QUEUES', 1, 1, 16)
        self.mtu = number('MTU', 1500, 576, 65535)
        self.seconds = number('SECONDS', 4, 1, 3600)
        self.console = number('CONSOLE', 0, 0, 1)
        self.nic = os.environ.get('NIC') or 'virtio-net-pci'
        self.netdev = os.environ.get('NETDEV') or ''
        if self.netdev:
            self.netdev = ',' + self.netdev
        self.qemu = self.own_qemu() or \
            str(BUILD / 'bin' / 'qemu-system-x86_64')

    @staticmethod
    def own_qemu():
        """The program in $QEMU_BIN, a file or a name in PATH, or None."""
        given = os.environ.get('QEMU_BIN')
        if not given:
            return None
        found = shutil.which(given)
        if found:
            return os.path.abspath(found)
        if not os.path.exists(given):
            reason = 'does not exist'
        elif os.path.isdir(given):
            reason = 'is a directory; give the program'
        else:
            reason = 'cannot be executed'
        raise DemoError(f'QEMU_BIN={given} {reason}')

    def check(self):
        """Raise DemoError if the demo cannot run here with these choices."""
        if os.geteuid() != 0:
            raise DemoError('the demo needs root, to make network namespaces '
                            'and to load an XDP program: sudo make demo')
        if self.console and not sys.stdin.isatty():
            raise DemoError('CONSOLE=1 needs a terminal')
