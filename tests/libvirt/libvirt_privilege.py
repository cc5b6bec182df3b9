# SPDX-License-Identifier: GPL-2.0-or-later
#
# The tests of a QEMU that may do little, with a libvirtd

"""
The host prepares program and map.  QEMU then needs CAP_NET_RAW for a pinned
map, and nothing for sockets that are given to it.
"""

import os
from pathlib import Path
import re
import resource
import shutil
import sys

from libvirt_daemon import HERE, DaemonError
from libvirt_guest import MACS, interface_xml
from libvirt_testcase import NAME, LibvirtTestCase, can_raise_limit

# What libvirtd itself cannot do without
BASE = ('chown', 'dac_override', 'fowner', 'kill', 'setuid', 'setgid',
        'setpcap', 'sys_nice', 'sys_ptrace')
AS_ROOT = ('user = "root"', 'group = "root"',
           'clear_emulator_capabilities = 0', 'namespaces = []')
# Numbers in include/uapi/linux/capability.h
NET_ADMIN, NET_RAW, IPC_LOCK, SYS_ADMIN, BPF = 12, 13, 14, 21, 39
PORT = ("<controller type='pci' index='1' model='pcie-root-port'/>")


class LibvirtPrivilege(LibvirtTestCase):
    """Program and map are the host's."""

    def setUp(self):
        super().setUp()
        self.host_tool = os.environ.get('AF_XDP_HOST_TOOL')
        if not self.host_tool or not shutil.which(self.host_tool):
            self.skipTest('AF_XDP_HOST_TOOL does not name qemu-af-xdp')

    def prepare(self, *options):
        """The host's part: program and map for queue 0; the map's path."""
        self.daemon.inside(self.host_tool, 'attach', 'vethq', '--vm', NAME,
                           '--queues', '0', '--run-dir',
                           self.daemon.files / 'run', *options)
        path = '/sys/fs/bpf/qemu-af-xdp/vethq'
        name, = [name for name in self.daemon.inside('ls', path).split()
                 if name.startswith('vm-')]
        return f'{path}/{name}'

    def capabilities(self):
        """The numbers of those that QEMU has, and may ever get."""
        status = Path(f'/proc/{self.daemon.qemu_pid(NAME)}/status').read_text(
            encoding='ascii')
        found = set()
        for field in ('CapEff', 'CapPrm', 'CapBnd'):
            mask = int(re.search(rf'{field}:\s+(\w+)', status)[1], 16)
            found |= {number for number in range(64) if mask >> number & 1}
        return found

    def check_traffic(self):
        self.guest.wait_ready()
        self.guest.configure()
        self.wait_ping()
        self.ping_both_ways()
        self.tcp_both_ways(1 << 20)

    def map_domain(self, path):
        """A domain that takes its packets by a pinned map."""
        return self.domain(
            marks=[{'dev': 'vethq', 'inhibit': 'on', 'map-path': path,
                    'map-start-index': 0}],
            interfaces=interface_xml(0))

    def test_pinned_map(self):
        """A pinned map, and no capability but for sockets."""
        self.start_daemon(*AS_ROOT,
                          capabilities=(*BASE, 'ipc_lock', 'net_raw'))
        self.convert(self.map_domain(self.prepare()))
        self.begin()
        held = self.capabilities()
        self.assertIn(NET_RAW, held)
        self.assertFalse(held & {NET_ADMIN, SYS_ADMIN, BPF}, held)
        self.check_traffic()
        queue, = self.guest.queues('hostua-lan0')
        self.assertEqual(queue['program'], 'inhibited (map-path)')
        self.daemon.virsh('destroy', NAME)

    def test_pinned_map_refused(self):
        """Without that capability it is said what is missing."""
        self.start_daemon(*AS_ROOT, capabilities=(*BASE, 'ipc_lock'))
        self.convert(self.map_domain(self.prepare()))
        with self.assertRaises(DaemonError) as caught:
            self.begin()
        self.assertIn("cannot open an AF_XDP socket on 'vethq'",
                      str(caught.exception))
        self.assertIn('not permitted', str(caught.exception))

    def start_for_sockets(self):
        """A libvirtd whose QEMUs may do nothing but lock memory."""
        if can_raise_limit():
            # libvirt's default: a user of its own, without capabilities
            before = resource.getrlimit(resource.RLIMIT_MEMLOCK)
            resource.setrlimit(resource.RLIMIT_MEMLOCK, (1 << 30, 1 << 30))
            self.addCleanup(resource.setrlimit, resource.RLIMIT_MEMLOCK,
                            before)
            self.start_daemon()
            return set()
        self.log.info('the limit of locked memory cannot be raised here: '
                      'QEMU gets CAP_IPC_LOCK')
        self.start_daemon(*AS_ROOT, capabilities=(*BASE, 'ipc_lock'))
        return {IPC_LOCK}

    def test_sockets(self):
        """Sockets that somebody else has opened; libvirt passes them on."""
        allowed = self.start_for_sockets()
        path = self.prepare()
        self.define(self.domain(devices=PORT))
        # It waits for its network card before it runs.
        self.begin('--paused')
        held = self.capabilities()
        self.assertFalse(held & ({NET_ADMIN, NET_RAW, IPC_LOCK, SYS_ADMIN,
                                  BPF} - allowed), held)
        self.daemon.inside(sys.executable, HERE / 'pass_sockets.py',
                           self.daemon.uri, NAME, path, '0', '1')
        self.guest.qmp('netdev_add', {
            'type': 'af-xdp', 'id': 'hostua-lan0', 'ifname': 'vethq',
            'inhibit': True, 'sock-fds': 'xsk0'})
        self.guest.qmp('device_add', {
            'driver': 'virtio-net-pci', 'id': 'ua-lan0', 'bus': 'pci.1',
            'netdev': 'hostua-lan0', 'mac': MACS[0], 'romfile': ''})
        self.daemon.virsh('resume', NAME)
        self.check_traffic()
        queue, = self.guest.queues('hostua-lan0')
        self.assertEqual(queue['program'], 'inhibited (sock-fds)')
        self.daemon.virsh('destroy', NAME)
