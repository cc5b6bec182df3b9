# SPDX-License-Identifier: GPL-2.0-or-later
#
# The test's Linux guest as a domain of libvirt

"""
A domain's XML as an administrator would write it, with a mark for the filter,
and the guest that libvirt makes of it.
"""

import json
from pathlib import Path
import re
import shutil
import socket
import time
from xml.sax.saxutils import quoteattr

from af_xdp_guest import Guest, GuestError, KERNEL_ARGS, image_files
from af_xdp_network import QEMU_IFS
from libvirt_daemon import EMULATOR

NAMESPACE = 'http://qemu.org/schemas/domain/af-xdp/1.0'
MACS = ('52:54:00:12:34:56', '52:54:00:12:34:57')


def attributes(options):
    """@options as attributes of an element."""
    return ''.join(f' {name}={quoteattr(str(value))}'
                   for name, value in options.items())


def interface_xml(number, *, inner='', more=''):
    """
    The <interface> on QEMU's end of the veth pair @number.

    @inner: for <driver>: its attributes
    @more: elements
    """
    return f'''
    <interface type='ethernet'>
      <mac address='{MACS[number]}'/>
      <target dev='{QEMU_IFS[number]}' managed='no'/>
      <model type='virtio'/>
      <driver{inner}/>
      <rom enabled='no'/>
      <alias name='ua-lan{number}'/>
      {more}
    </interface>'''


def copy_guest(images, directory):
    """
    Copies of the kernel and initramfs below @images in @directory, which are
    libvirt's to give to another owner.
    """
    copies = []
    for file in image_files(images, 'virtio-net'):
        copies.append(shutil.copy(file, directory))
    return copies


def domain_xml(name, guest, directory, *, accel='tcg', emulator=EMULATOR,
               marks=(), interfaces='', devices='', memory='', memory_mib=512):
    """
    A domain's XML.

    @guest: kernel and initramfs
    @directory: for the guest's console and the socket of its commands
    @marks: options of each mark
    @interfaces, @devices, @memory: elements
    """
    kernel, initrd = guest
    kvm = accel == 'kvm'
    metadata = ''
    if marks:
        metadata = (f'<metadata>\n    <af-xdp:interfaces xmlns:af-xdp='
                    f"'{NAMESPACE}'>"
                    + ''.join(f'\n      <af-xdp:interface{attributes(mark)}/>'
                              for mark in marks)
                    + '\n    </af-xdp:interfaces>\n  </metadata>')
    return f'''<domain type='{"kvm" if kvm else "qemu"}'>
  <name>{name}</name>
  {metadata}
  <memory unit='MiB'>{memory_mib}</memory>
  {memory}
  <vcpu>2</vcpu>
  <os>
    <type arch='x86_64' machine='q35'>hvm</type>
    <kernel>{kernel}</kernel>
    <initrd>{initrd}</initrd>
    <cmdline>{KERNEL_ARGS} quiet</cmdline>
  </os>
  <features><acpi/><apic/></features>
  <cpu mode='{"host-passthrough" if kvm else "maximum"}'/>
  <on_reboot>destroy</on_reboot>
  <devices>
    <emulator>{emulator}</emulator>{interfaces}
    <controller type='usb' model='none'/>
    <serial type='file'>
      <source path='{directory}/{name}-console.log'/>
      <target port='0'/>
    </serial>
    <serial type='unix'>
      <source mode='bind' path='{directory}/{name}-commands'/>
      <target port='1'/>
    </serial>
    {devices}
    <memballoon model='none'/>
  </devices>
</domain>
'''


class LibvirtGuest(Guest):
    """A running domain of a Daemon; libvirt starts and ends it."""

    # pylint: disable=super-init-not-called
    def __init__(self, daemon, name, network):
        """@network: a Network, for configure()"""
        self.daemon = daemon
        self.name = name
        self.network = network
        self.directory = daemon.files
        self.console_log = Path(daemon.files, f'{name}-console.log')
        self.console_socket = None
        self.link = None
        self.wants_vhost = True
        self._buffer = b''
        self._id = 0

    def connect(self, timeout=60):
        """Connect with the guest's second serial port."""
        if self.link:
            self.link.close()
        deadline = time.monotonic() + timeout
        while True:
            self.link = socket.socket(socket.AF_UNIX)
            try:
                self.link.connect(f'{self.directory}/{self.name}-commands')
                return
            except OSError as exc:
                self.link.close()
                if time.monotonic() > deadline:
                    raise GuestError(f'no serial port: {exc}') from exc
                time.sleep(0.1)

    def qmp(self, command, arguments=None, pass_fds=()):
        """The answer to a QMP command."""
        request = {'execute': command}
        if arguments is not None:
            request['arguments'] = arguments
        options = (['--pass-fds', ','.join(str(fd) for fd in pass_fds)]
                   if pass_fds else [])
        text = self.daemon.virsh('qemu-monitor-command', self.name, *options,
                                 json.dumps(request), pass_fds=pass_fds)
        answer = json.loads(text)
        if 'error' in answer:
            raise GuestError(f'{command}: {answer["error"]["desc"]}')
        return answer['return']

    def monitor(self, line):
        return self.daemon.virsh('qemu-monitor-command', self.name, '--hmp',
                                 line)

    def queues(self, netdev):
        """What "info network" says of each queue of @netdev."""
        queues = []
        for line in self.monitor('info network').splitlines():
            if 'type=af-xdp' in line and f'{netdev}: ' in line:
                text = line.partition(f'{netdev}: ')[2]
                queues.append(dict(re.findall(r'([\w-]+)=([^,]*)', text)))
        return queues

    def wait_network(self, what, timeout=60):
        """Wait for "info network" to have the text @what."""
        deadline = time.monotonic() + timeout
        while True:
            text = self.monitor('info network')
            if what in text:
                return text
            if time.monotonic() > deadline:
                raise GuestError(f'"{what}" is not in: {text}')
            time.sleep(0.1)

    def qemu_log(self):
        return self.daemon.qemu_log(self.name)

    def death(self):
        state = self.daemon.run('domstate', self.name, check=False)
        if state.stdout.strip() == 'running':
            return None
        return f'is {state.stdout.strip() or "gone"}'

    def close(self):
        if self.link:
            self.link.close()
