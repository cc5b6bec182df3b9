# SPDX-License-Identifier: GPL-2.0-or-later
#
# The tests of a QEMU that may do little, with a libvirtd

"""
The host prepares program and map.  QEMU then needs CAP_NET_RAW for a pinned
map, and nothing for sockets that are given to it.

It is run as the user that libvirt has for it, without capabilities except those
that its file has.
"""

import os
from pathlib import Path
import re
import resource
import shutil
import subprocess
import sys

from libvirt_daemon import EMULATOR, HERE, DaemonError
from libvirt_guest import MACS, interface_xml
from libvirt_testcase import NAME, LibvirtTestCase, can_raise_limit

# What libvirtd itself cannot do without
BASE = ('chown', 'dac_override', 'fowner', 'kill', 'setuid', 'setgid',
        'setpcap', 'sys_nice', 'sys_ptrace')
# Numbers in include/uapi/linux/capability.h
NET_ADMIN, NET_RAW, IPC_LOCK, BPF = 12, 13, 14, 39
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

    def emulator(self, *capabilities):
        """A copy of QEMU whose file has these."""
        name = 'qemu-with-' + '-'.join(capabilities)
        copy = Path(os.environ['QEMU_BUILD_ROOT'], name)
        shutil.copy(self.qemu_bin, copy)
        self.addCleanup(copy.unlink)
        done = subprocess.run(['setcap', ','.join(f'cap_{name}' for name
                                                  in capabilities) + '+ep',
                               copy], check=False, capture_output=True,
                              text=True)
        if done.returncode:
            self.skipTest(f'setcap: {done.stderr}')
        return str(Path(EMULATOR).parent / name)

    def check_capabilities(self, expected):
        """The process has these, and can get no others."""
        status = Path(f'/proc/{self.daemon.qemu_pid(NAME)}/status').read_text(
            encoding='ascii')
        mask = 0
        for field in ('CapEff', 'CapPrm', 'CapInh', 'CapAmb'):
            mask |= int(re.search(rf'{field}:\s+(\w+)', status)[1], 16)
        held = {number for number in range(64) if mask >> number & 1}
        self.assertEqual(held, expected)
        self.assertRegex(status, r'NoNewPrivs:\s+1')
        self.assertNotRegex(status, r'Uid:\s+0')

    def check_traffic(self):
        self.guest.wait_ready()
        self.guest.configure()
        self.wait_ping()
        self.ping_both_ways()
        self.tcp_both_ways(1 << 20)

    def map_domain(self, path, **parts):
        """A domain that takes its packets by a pinned map."""
        return self.domain(
            marks=[{'dev': 'vethq', 'inhibit': 'on', 'map-path': path,
                    'map-start-index': 0}],
            interfaces=interface_xml(0), **parts)

    def start_unprivileged(self):
        """libvirt's defaults"""
        self.start_daemon()
        # Its user is in no group that may use KVM.
        self.accel = 'tcg'

    def test_pinned_map(self):
        """A pinned map, and no capability but for sockets."""
        self.start_unprivileged()
        emulator = self.emulator('net_raw', 'ipc_lock')
        path = self.prepare('--pin-owner', 'libvirt-qemu:libvirt-qemu',
                            '--pin-mode', '0600')
        self.convert(self.map_domain(path, emulator=emulator))
        self.begin()
        self.check_capabilities({NET_RAW, IPC_LOCK})
        self.check_traffic()
        queue, = self.guest.queues('hostua-lan0')
        self.assertEqual(queue['program'], 'inhibited (map-path)')
        self.daemon.virsh('destroy', NAME)

    def test_own_program(self):
        """QEMU loads its own program, without being root."""
        self.start_unprivileged()
        emulator = self.emulator('net_admin', 'net_raw', 'ipc_lock', 'bpf')
        self.convert(self.domain(marks=[{'dev': 'vethq'}],
                                 interfaces=interface_xml(0),
                                 emulator=emulator))
        self.begin()
        self.check_capabilities({NET_ADMIN, NET_RAW, IPC_LOCK, BPF})
        self.check_traffic()
        self.daemon.virsh('destroy', NAME)
        self.assertEqual(self.network.wait_for_no_program(), [])

    def start_refused(self, text):
        """Define and start a domain in vain; what was said."""
        self.convert(text)
        with self.assertRaises(DaemonError) as caught:
            self.begin()
        self.daemon.virsh('undefine', NAME)
        return str(caught.exception)

    def test_pinned_map_refused(self):
        """Without the capability, or the map, it is said what is missing."""
        self.start_unprivileged()
        path = self.prepare('--pin-owner', 'libvirt-qemu:libvirt-qemu',
                            '--pin-mode', '0600')
        said = self.start_refused(self.map_domain(path))
        self.assertIn("cannot open an AF_XDP socket on 'vethq'", said)
        self.assertIn('not permitted', said)
        self.daemon.inside('chown', '0:0', path)
        emulator = self.emulator('net_raw', 'ipc_lock')
        said = self.start_refused(self.map_domain(path, emulator=emulator))
        self.assertIn(f"cannot open pinned map '{path}'", said)

    def test_container(self):
        """A libvirtd that has few capabilities itself, with QEMU as root."""
        self.start_daemon('user = "root"', 'group = "root"',
                          'clear_emulator_capabilities = 0', 'namespaces = []',
                          capabilities=(*BASE, 'ipc_lock', 'net_raw'))
        self.convert(self.map_domain(self.prepare()))
        self.begin()
        self.check_traffic()
        self.daemon.virsh('destroy', NAME)

    def test_sockets(self):
        """Sockets that somebody else has opened; libvirt passes them on."""
        parts, expected = {}, set()
        if can_raise_limit():
            before = resource.getrlimit(resource.RLIMIT_MEMLOCK)
            resource.setrlimit(resource.RLIMIT_MEMLOCK, (1 << 30, 1 << 30))
            self.addCleanup(resource.setrlimit, resource.RLIMIT_MEMLOCK,
                            before)
        else:
            self.log.info('the limit of locked memory cannot be raised here')
            parts, expected = {'emulator': self.emulator('ipc_lock')}, {
                IPC_LOCK}
        self.start_unprivileged()
        path = self.prepare()
        self.define(self.domain(devices=PORT, **parts))
        # It waits for its network card before it runs.
        self.begin('--paused')
        self.check_capabilities(expected)
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
