# SPDX-License-Identifier: GPL-2.0-or-later
#
# What the tests with a libvirtd have in common

"""
The network of the functional tests, a libvirtd in it, the filter, and domains
made with both.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from xml.etree import ElementTree
from xml.sax.saxutils import unescape

from af_xdp_guest import GuestError, accelerator, image_files
from af_xdp_network import Network
from af_xdp_testcase import AfXdpTestCase
from libvirt_daemon import Daemon
from libvirt_guest import LibvirtGuest, copy_guest, domain_xml

NAME = 'vm1'
SHARED = ("<memoryBacking><source type='memfd'/><access mode='shared'/>"
          '</memoryBacking>')
TOOLS = ('libvirtd', 'virsh', 'virt-xml-validate', 'unshare', 'nsenter')


def can_raise_limit():
    """Whether libvirt can allow a process to lock more memory here."""
    code = ('import resource as r; '
            'r.setrlimit(r.RLIMIT_MEMLOCK, (r.RLIM_INFINITY,) * 2)')
    return subprocess.run([sys.executable, '-c', code], check=False,
                          stderr=subprocess.DEVNULL).returncode == 0


class LibvirtTestCase(AfXdpTestCase):
    """A libvirtd and domains"""

    def setUp(self):
        super().setUp()
        for tool in TOOLS:
            if not shutil.which(tool):
                self.skipTest(f'needs the program {tool}')
        self.filter = os.environ['AF_XDP_DOMAIN_TOOL']
        self.daemon = None

    def start_daemon(self, *config, queues=1, pairs=1, mtu=1500,
                     **options):
        """The network and a libvirtd in QEMU's side of it."""
        try:
            image_files(self.images, 'virtio-net')
        except GuestError as exc:
            self.skipTest(str(exc))
        # Before the network is there: it may have to try KVM.
        self.accel = accelerator(self.qemu_bin, self.images)
        self.network = Network(queues, mtu, pairs)
        self.addCleanup(self.network.close)
        self.daemon = Daemon(self.network.qemu_prefix(),
                             os.environ['QEMU_BUILD_ROOT'], config, **options)
        self.addCleanup(self.daemon.close, self.outputdir)
        self.daemon.wait()
        self.kernel = copy_guest(self.images, self.daemon.files)

    def domain(self, name=NAME, **parts):
        """See domain_xml()."""
        return domain_xml(name, self.kernel, self.daemon.files,
                          accel=self.accel.split(',')[0], **parts)

    def run_filter(self, text, *options, status=0):
        """What the filter makes of @text, and what it says."""
        done = subprocess.run([self.filter, *options], input=text.encode(),
                              capture_output=True, check=False, timeout=60)
        said = done.stderr.decode()
        self.assertEqual(done.returncode, status, said)
        return done.stdout.decode(), said

    def validate(self, text):
        """libvirt's schema must know it."""
        path = self.scratch_file('domain.xml')
        with open(path, 'w', encoding='utf-8') as file:
            file.write(text)
        done = subprocess.run(['virt-xml-validate', path, 'domain'],
                              capture_output=True, text=True, check=False,
                              timeout=60)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return path

    def define(self, text):
        """Define a domain; returns the XML that libvirt makes of it."""
        self.daemon.virsh('define', self.validate(text))
        return self.daemon.virsh('dumpxml', '--inactive', NAME)

    def convert(self, text):
        """Filter, define; what comes back must be all right as it is."""
        converted, said = self.run_filter(text, '--explain')
        self.log.info('%s', said)
        defined = self.define(converted)
        self.validate(defined)
        again, _ = self.run_filter(defined)
        self.assertEqual(again, defined, 'the filter changes its own work')
        return defined

    def begin(self, *options):
        """Start the domain, wait for its guest."""
        self.daemon.virsh('start', NAME, *options)
        self.guest = LibvirtGuest(self.daemon, NAME, self.network)
        self.addCleanup(self.guest.close)
        self.guest.connect()

    def addresses(self, text):
        """(bus, slot, function) of each PCI device, and its element."""
        found = {}
        for device in ElementTree.fromstring(text).find('devices'):
            address = device.find("address[@type='pci']")
            if address is not None:
                place = tuple(int(address.get(part, '0'), 0)
                              for part in ('bus', 'slot', 'function'))
                self.assertNotIn(place, found)
                found[place] = device.tag
        return found

    def device_argument(self, text, ident):
        """The -device of @ident in a domain's XML, as a dict."""
        values = [unescape(value, {'&quot;': '"'}) for value in
                  re.findall(r"<\w+:arg value='([^']*)'/>", text)]
        for value in values:
            if value.startswith('{') and json.loads(value)['id'] == ident:
                return json.loads(value)
        return self.fail(f'no argument for {ident} in {values}')

    def place(self, text, ident):
        """(bus, slot, function) of the -device of @ident."""
        argument = self.device_argument(text, ident)
        slot, _, function = argument['addr'].partition('.')
        return (int(argument['bus'].partition('.')[2]), int(slot, 0),
                int(function or '0', 0))
