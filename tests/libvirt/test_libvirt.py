#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The domain filter with a real libvirtd

"""
What the filter makes of a domain, libvirt must take, keep, and run.
"""

import json
import os
from pathlib import Path
import re
import subprocess
import sys
import time

from af_xdp_network import run, start_time
from libvirt_daemon import EMULATOR
from libvirt_guest import MACS, interface_xml
# pylint: disable=unused-import
from libvirt_privilege import LibvirtPrivilege
from libvirt_testcase import (NAME, SHARED, LibvirtTestCase,
                              can_raise_limit)

PRIVILEGED = ('user = "root"', 'group = "root"',
              'clear_emulator_capabilities = 0')
PORT = "<controller type='pci' index='1' model='pcie-root-port'/>"
PORT_ADDRESS = ("<address type='pci' domain='0' bus='1' slot='0' "
                "function='0'/>")
# Starts a domain and says what there is to be ended.
VICTIM = '''
import os, signal, sys
from af_xdp_network import Network
from libvirt_daemon import Daemon

network = Network()
daemon = Daemon(network.qemu_prefix(), os.environ['QEMU_BUILD_ROOT'],
                sys.argv[2:])
daemon.wait()
daemon.virsh('create', sys.argv[1])
print(daemon.pid(), daemon.qemu_pid('vm1'), daemon.directory, network.qemu_ns,
      flush=True)
signal.pause()
'''
BARE = f"""<domain type='qemu'>
  <name>{NAME}</name>
  <memory unit='MiB'>64</memory>
  <os><type arch='x86_64' machine='q35'>hvm</type></os>
  <features><acpi/></features>
  <devices>
    <emulator>{EMULATOR}</emulator>
    <controller type='usb' model='none'/>
    <memballoon model='none'/>
  </devices>
</domain>"""
# What a libvirtd of the machine's own would use
OTHERS = ('/etc/libvirt', '/var/lib/libvirt', '/var/cache/libvirt',
          '/var/log/libvirt', '/run/libvirt')
RNG = ("<rng model='virtio'><backend model='random'>/dev/urandom</backend>"
       "</rng>")


class Libvirt(LibvirtTestCase):
    """Define, start, save, restore, detach, destroy"""

    def test_define(self):
        """The XML is valid before and after, and survives libvirt."""
        self.start_daemon(*PRIVILEGED)
        text = self.domain(
            marks=[{'alias': 'ua-lan0', 'queues': 2, 'iothread': '1'}],
            interfaces=interface_xml(0, more="<boot order='1'/>"),
            memory='<iothreads>1</iothreads>')
        self.validate(text)
        # libvirt keeps the mark, and chooses an address.
        defined = self.define(text)
        self.assertIn('<af-xdp:interface', defined)
        place = next(place for place, tag in self.addresses(defined).items()
                     if tag == 'interface')
        converted = self.convert(defined)
        self.assertEqual(self.place(converted, 'ua-lan0'), place)
        argument = self.device_argument(converted, 'ua-lan0')
        self.assertEqual(argument['bootindex'], 1)
        self.assertEqual(argument['vectors'], 6)

    def test_slot_is_reserved(self):
        """libvirt gives our slot to nobody, whatever is added later."""
        self.start_daemon(*PRIVILEGED)
        # Once with the address that libvirt had chosen, once with ours
        for text in (self.define(self.domain(
                marks=[{'dev': 'vethq'}], interfaces=interface_xml(0))),
                     self.domain(marks=[{'dev': 'vethq'}],
                                 interfaces=interface_xml(0))):
            converted = self.convert(text)
            ours = self.place(converted, 'ua-lan0')
            rng = Path(self.scratch_file('rng.xml'))
            rng.write_text(RNG, encoding='ascii')
            for _ in range(3):
                self.daemon.virsh('attach-device', NAME, rng, '--config')
            added = self.daemon.virsh('dumpxml', '--inactive', NAME)
            again = self.addresses(self.define(
                added.replace('<memballoon', RNG * 6 + '<memballoon')))
            self.assertEqual(list(again.values()).count('rng'), 9)
            self.assertNotIn(ours, again)
            self.daemon.virsh('undefine', NAME)

    def test_slot_is_taken_without(self):
        """The test above can fail: a port that can be plugged is used."""
        self.start_daemon(*PRIVILEGED)
        converted = self.convert(self.define(self.domain(
            marks=[{'dev': 'vethq', 'hotplug': 'on'}],
            interfaces=interface_xml(0))))
        ours = self.place(converted, 'ua-lan0')
        added = self.define(converted.replace('<memballoon',
                                              RNG * 6 + '<memballoon'))
        self.assertIn(ours, self.addresses(added))
        # And the filter finds that out.
        _, said = self.run_filter(added, '--check', status=1)
        self.assertIn('is also that of <rng>', said)

    def start_guest(self):
        """A guest on two interfaces, the second of which can be unplugged."""
        self.start_daemon(*PRIVILEGED, queues=2, pairs=2, mtu=1400)
        # With "on" the filter adds <locked/>, which libvirt cannot fulfil
        # everywhere. A privileged QEMU does not need it.
        self.locked = can_raise_limit()
        zero_copy, memory = ('on', '') if self.locked else ('auto', SHARED)
        self.convert(self.domain(
            marks=[{'dev': 'vethq', 'zero-copy': zero_copy, 'iothread': '1'},
                   {'dev': 'vethq2', 'hotplug': 'on', 'queues': 2,
                    'zero-copy': 'off'}],
            interfaces=(interface_xml(0, inner=" queues='2' "
                                      "rx_queue_size='512' packed='on'",
                                      more="<mtu size='1400'/>")
                        + interface_xml(1, more=PORT_ADDRESS)),
            devices=PORT, memory=memory + '<iothreads>1</iothreads>'))
        self.begin()
        self.guest.wait_ready()
        self.guest.configure()

    def check_properties(self):
        """What the interface said is so in the guest."""
        guest = self.guest
        run = guest.run
        self.assertEqual(run('cat /sys/class/net/eth0/address'), MACS[0])
        self.assertEqual(run('ls /sys/class/net/eth0/queues | wc -l').strip(),
                         '4')
        # Bit 34 of the features is VIRTIO_F_RING_PACKED.
        self.assertEqual(run('cat /sys/class/net/eth0/device/features')[34],
                         '1')
        for name, value in (('host_mtu', 1400), ('rx_queue_size', 512)):
            self.assertEqual(guest.qmp('qom-get', {
                'path': '/machine/peripheral/ua-lan0', 'property': name}),
                value)
        self.assertRegex(run('readlink -f /sys/class/net/eth0/device'),
                         r'/0000:00:1f\.4/virtio\d+$')

    def check_process(self):
        """What QEMU runs with."""
        pid = self.daemon.qemu_pid(NAME)
        line = Path(f'/proc/{pid}/cmdline').read_bytes().decode().split('\0')
        sandbox = line[line.index('-sandbox') + 1]
        self.assertIn('on', sandbox.split(','))
        self.assertIn('spawn=deny', sandbox)
        self.assertIn('resourcecontrol=deny', sandbox)
        status = Path(f'/proc/{pid}/status').read_text(encoding='ascii')
        self.assertRegex(status, r'Seccomp:\s+2')
        # Where the tuning page says one looks for them
        names = [file.read_text(encoding='ascii').strip()
                 for file in Path(f'/proc/{pid}/task').glob('*/comm')]
        self.assertIn('IO iothread1', names)
        if self.locked:
            limits = Path(f'/proc/{pid}/limits').read_text(encoding='ascii')
            locked = re.search(r'Max locked memory\s+(\S+)', limits)[1]
            self.assertGreater(float(locked.replace('unlimited', 'inf')),
                               1 << 50)
        return pid

    def check_queues(self):
        """What the netdevs say."""
        first = self.guest.queues('hostua-lan0')
        self.assertEqual(len(first), 2)
        self.assertEqual(first[0]['vhost'], 'on')
        self.assertEqual(first[0]['mode'], 'native copy')
        self.assertRegex(self.guest.monitor('info network'),
                         r'zero-copy=on \(window')
        self.assertGreater(int(first[0]['rx']) + int(first[1]['rx']), 0)
        self.assertGreater(int(first[0]['tx']) + int(first[1]['tx']), 0)

    def test_guest(self):
        """Traffic, save and restore, unplugging, the end."""
        self.start_guest()
        self.check_properties()
        pid = self.check_process()
        self.wait_ping()
        self.ping_both_ways()
        self.tcp_both_ways(4 << 20)
        self.check_queues()

        # Save and restore: migration into a file, and from it.
        saved = self.daemon.files / 'saved'
        self.daemon.virsh('save', NAME, saved)
        self.assertFalse(Path(f'/proc/{pid}').exists())
        self.assertEqual(self.network.wait_for_no_program(), [])
        self.daemon.virsh('restore', saved)
        self.guest.connect()
        self.wait_ping()
        self.ping_both_ways()
        self.tcp_both_ways(1 << 20)

        # libvirt may give the second one's slot to others, not the first's.
        self.guest.qmp('device_del', {'id': 'ua-lan1'})
        self.wait_gone('ua-lan1')
        self.guest.qmp('netdev_del', {'id': 'hostua-lan1'})
        self.assertNotIn('hostua-lan1', self.guest.monitor('info network'))
        rng = Path(self.scratch_file('rng.xml'))
        rng.write_text(RNG, encoding='ascii')
        self.daemon.virsh('attach-device', NAME, rng, '--live')
        self.ping_both_ways()

        pid = self.daemon.qemu_pid(NAME)
        self.daemon.virsh('destroy', NAME)
        self.assertFalse(Path(f'/proc/{pid}').exists())
        self.assertEqual(self.network.wait_for_no_program(), [])
        self.daemon.virsh('undefine', NAME)

    def test_hook(self):
        """As KubeVirt's hook: what it prints is defined, and runs."""
        self.start_daemon(*PRIVILEGED)
        hook = self.scratch_file('onDefineDomain')
        os.symlink(self.filter, hook)
        vmi = {'metadata': {'annotations': {'af-xdp.qemu.org/interfaces':
                                            '{"lan0": {"ifname": "vethq"}}'}},
               'spec': {'domain': {'devices': {'interfaces': [
                   {'name': 'lan0', 'binding': {'name': 'af-xdp'},
                    'macAddress': MACS[0]}]}}}}
        # virt-launcher's XML has no lines.
        before = re.sub(r'\n *', '', self.domain())
        done = subprocess.run([hook, '--vmi', json.dumps(vmi),
                               '--domain', before], capture_output=True,
                              text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.define(done.stdout)
        self.begin()
        self.guest.wait_ready()
        self.guest.configure()
        self.wait_ping()
        self.tcp_both_ways(1 << 20)
        self.assertEqual(len(self.guest.queues('hostua-lan0')), 1)
        self.daemon.virsh('destroy', NAME)

    @staticmethod
    def others():
        """All files that are none of ours."""
        return [sorted(Path(path).rglob('*')) for path in OTHERS]

    def test_killed(self):
        """A test that is killed leaves no process and no file of others."""
        before = self.others()
        domain = Path(self.scratch_file('bare.xml'))
        domain.write_text(BARE, encoding='ascii')
        with subprocess.Popen([sys.executable, '-c', VICTIM, domain,
                               *PRIVILEGED], stdout=subprocess.PIPE,
                              text=True) as victim:
            line = victim.stdout.readline()
            victim.kill()
        *pids, directory, namespace = line.split()
        self.assertEqual(len(pids), 2, line)
        deadline = time.monotonic() + 60
        while any(start_time(pid) for pid in pids):
            self.assertLess(time.monotonic(), deadline, f'{pids} live on')
            time.sleep(0.1)
        # The rest is removed by the next one.
        self.start_daemon(*PRIVILEGED)
        self.assertFalse(Path(directory).exists())
        self.assertNotIn(namespace, run('ip', 'netns', 'list'))
        self.assertEqual(self.others(), before)

    def wait_gone(self, device):
        """Wait until a device that is to be removed is gone."""
        deadline = time.monotonic() + 60
        while True:
            left = [entry['name'] for entry in self.guest.qmp(
                'qom-list', {'path': '/machine/peripheral'})]
            if device not in left:
                return
            self.assertLess(time.monotonic(), deadline,
                            f'{device} is not unplugged')
            time.sleep(0.1)


if __name__ == '__main__':
    LibvirtTestCase.main()
