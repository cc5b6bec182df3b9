# SPDX-License-Identifier: GPL-2.0-or-later
#
# A Linux guest that runs commands and tells how they ended

"""
The guest is a kernel and an initramfs that scripts/guest-image makes.  Its
init takes commands from the second serial port: a line "ID COMMAND" is
answered with the command's output and a line "@ID STATUS".
"""

import collections
import contextlib
import json
import os
from pathlib import Path
import re
import select
import shutil
import signal
import socket
import subprocess
import time

from qemu.machine import QEMUMachine
from qemu.qmp import QMPError

from af_xdp_network import GUEST_IP, PREFIX_LENGTH, QEMU_IFS


MAC = '52:54:00:12:34:56'
NETDEV = 'n0'
# Network cards that the small kernel of cloud images has a driver for.
CLOUD_NICS = ('virtio-net', 'vmxnet3')
# An emulator that gets too little CPU time fails the kernel's timer check.
# Buffers that the guest fills with zeros first, it has written to itself: what
# is wrong with a device's writes to them might not show.
KERNEL_ARGS = ('console=ttyS0 panic=-1 net.ifnames=0 no_timer_check '
               'init_on_alloc=0 init_on_free=0')
# Emulated on a busy machine, a guest takes many times its usual 4 s.
BOOT_TIMEOUT = 240
# For whatever else it does: only what never comes takes as long.
TIMEOUT = 120
# What the kernel says when its timer has stopped, and how often to look for it.
TIMER_STOPPED = "kthread timer wakeup didn't happen"
STOPPED_SECONDS = 5
# Where /dev/kvm is present but useless the guest never says a word.
KVM_TIMEOUT = 5

Result = collections.namedtuple('Result', 'status output')


class GuestError(Exception):
    """The guest does not answer or a command in it failed."""


class GuestTimeout(GuestError):
    """The guest has not answered in time."""


def flavour_of(nic):
    """Which of scripts/guest-image's guests can use the network card @nic."""
    return 'cloud' if nic.startswith(CLOUD_NICS) else 'generic'


def image_files(directory, nic):
    """
    The kernel and the initramfs below @directory that can use @nic.

    Raises GuestError if they are missing.
    """
    files = [Path(directory, flavour_of(nic), name)
             for name in ('vmlinuz', 'initrd')]
    for file in files:
        if not file.exists():
            raise GuestError(f'no test guest: {file} is missing; '
                             f'"scripts/guest-image {flavour_of(nic)}" '
                             'makes it')
    return [str(file) for file in files]


def accelerator(binary, directory, images=None):
    """
    The value of -accel to use: KVM if it really starts a guest, else TCG.

    /dev/kvm can be there and open and still not run a stock kernel.  The
    answer for this very @binary is kept below @directory until the next boot
    of this machine.
    @images: kernel and initramfs to try; those of the small guest if None
    $AF_XDP_ACCEL, if set, is taken instead.
    """
    tcg = 'tcg,thread=multi'
    choice = os.environ.get('AF_XDP_ACCEL')
    if choice:
        return tcg if choice == 'tcg' else choice
    if not os.access('/dev/kvm', os.R_OK | os.W_OK):
        return tcg
    boot = Path('/proc/sys/kernel/random/boot_id').read_text(encoding='ascii')
    file = Path(shutil.which(binary) or binary).resolve()
    cache = Path(directory, 'accelerator')
    mtime = file.stat().st_mtime_ns if file.exists() else None
    asked = [boot.strip(), str(file), mtime]
    try:
        known = json.loads(cache.read_text(encoding='utf-8'))
        if known['asked'] == asked:
            return known['answer']
    except (OSError, ValueError, KeyError, TypeError):
        pass
    images = images or image_files(directory, 'virtio-net')
    answer = 'kvm' if _kvm_works(binary, *images) else tcg
    temporary = Path(f'{cache}.{os.getpid()}')
    temporary.write_text(json.dumps({'asked': asked, 'answer': answer}),
                         encoding='utf-8')
    temporary.replace(cache)
    return answer


def timer_stopped(console):
    """
    Has a guest that boots, with its messages in the file @console, lost the
    timer of a processor?

    It happens with several emulated processors, once in some hundred boots:
    the timer's interrupt stays in service in the local APIC, and no other one
    comes through (QEMU 10.0). Nothing of ours has run by then.
    """
    try:
        return TIMER_STOPPED in Path(console).read_text(errors='replace')
    except FileNotFoundError:
        return False


def _kvm_works(binary, kernel, initrd):
    command = ['setpriv', '--pdeathsig', 'KILL', binary,
               '-M', 'q35', '-accel', 'kvm', '-cpu', 'host', '-m', '256',
               '-nodefaults', '-display', 'none', '-no-reboot',
               '-kernel', kernel, '-initrd', initrd, '-append', KERNEL_ARGS,
               '-serial', 'null', '-serial', 'stdio']
    with subprocess.Popen(command, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL) as qemu:
        try:
            ready, _, _ = select.select([qemu.stdout], [], [], KVM_TIMEOUT)
            return bool(ready) and b'@0' in os.read(qemu.stdout.fileno(), 64)
        finally:
            qemu.kill()


@contextlib.contextmanager
def deferred_signals():
    """
    Deliver signals afterwards. QEMUMachine.launch() takes any exception for
    a QEMU that is about to end by itself, and waits 30 s for that.
    """
    pending = []
    handlers = {number: signal.signal(number, lambda n, _: pending.append(n))
                for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for number in pending:
            os.kill(os.getpid(), number)


class Guest:
    """One guest, on the qemu end of a Network or without any network."""

    def __init__(self, binary, images, network, directory, *,
                 nic='virtio-net-pci', netdev='', objects=(), pair=0,
                 shell=False, files=None, shared=(), memory=512):
        """
        @binary: the QEMU to run
        @images: directory with scripts/guest-image's guests
        @network: a Network; the netdev has as many queues as its devices.
                  None for a guest that has no network card.
        @directory: for the logs; must exist
        @nic: the network card, with options if any
        @netdev: more options for the netdev, starting with a comma
        @objects: values of -object
        @pair: the Network's veth pair to use
        @shell: console_socket is connected to a shell in the guest
        @shared: names of memory nodes that are shared memory; more than one
                 are NUMA nodes; none: memory of the usual kind
        @memory: of the guest, in MiB
        @files: a cpio archive, not compressed, with more files for the
                guest's root directory; None for none
        """
        self.network = network
        self.directory = Path(directory)
        self.console_log = self.directory / 'guest-console.log'
        self.console_socket = None
        self.link = None
        self._buffer = b''
        self._id = 0
        self._inherited = []
        # Before anything is created that would have to be removed
        kernel, initrd = image_files(images, nic)
        self.accel = accelerator(binary, images)
        cpu = 'host' if self.accel == 'kvm' else 'max'
        if files:
            initrd = self._add_files(initrd, files)

        append = KERNEL_ARGS + (' guest_shell=1' if shell else ' quiet')
        args = ['-M', 'q35', '-accel', self.accel, '-cpu', cpu,
                '-m', str(memory), *self._memory_args(shared, memory),
                '-smp', str(max(2, network.queues if network else 0)),
                '-nodefaults', '-no-reboot',
                '-kernel', kernel, '-initrd', initrd, '-append', append]
        for value in objects:
            args += ['-object', value]
        if network:
            args += self._network_args(network.queues, nic, netdev,
                                       QEMU_IFS[pair])
            wrapper = network.qemu_prefix()
        else:
            wrapper = ['setpriv', '--pdeathsig', 'KILL']
        if shell:
            self.console_socket = self._socket_serial(
                args, 'console', f',logfile={self.console_log}')
        else:
            args += ['-serial', f'file:{self.console_log}']
        self.link = self._socket_serial(args, 'commands')
        self.vm = QEMUMachine(binary, args, name='qemu',
                              wrapper=wrapper,
                              base_temp_dir=str(self.directory),
                              log_dir=str(self.directory))

    def _add_files(self, initrd, files):
        """Make an initramfs of the archives @initrd and @files."""
        combined = self.directory / 'initrd'
        with combined.open('wb') as out:
            for part in (initrd, files):
                with open(part, 'rb') as archive:
                    shutil.copyfileobj(archive, out)
        return str(combined)

    @staticmethod
    def _memory_args(shared, memory):
        args = []
        for name in shared:
            args += ['-object', f'memory-backend-memfd,id={name},share=on,'
                                f'size={memory // len(shared)}M']
            if len(shared) > 1:
                args += ['-numa', f'node,memdev={name}']
        if len(shared) == 1:
            args += ['-machine', f'memory-backend={shared[0]}']
        return args

    @staticmethod
    def _network_args(queues, nic, netdev, interface):
        device = f'{nic},netdev={NETDEV},mac={MAC},id=nic0,romfile='
        if nic.startswith('virtio-net') and queues > 1:
            # One vector for each ring, the control queue and the
            # configuration.
            device += f',mq=on,vectors={2 * queues + 2}'
        return ['-netdev', f'af-xdp,id={NETDEV},ifname={interface},'
                           f'queues={queues}{netdev}',
                '-device', device]

    def _socket_serial(self, args, name, options=''):
        """Add a serial port to @args; return our end of its socket."""
        ours, theirs = socket.socketpair()
        theirs.set_inheritable(True)
        self._inherited.append(theirs)
        args += ['-chardev',
                 f'socket,id={name},fd={theirs.fileno()}{options}',
                 '-serial', f'chardev:{name}']
        return ours

    def launch(self):
        """Start QEMU."""
        with deferred_signals():
            self.vm.launch()
        for theirs in self._inherited:
            theirs.close()

    def boot(self):
        """Start QEMU, wait for the guest, configure its network card."""
        self.launch()
        self.wait_ready()
        if self.network:
            self.configure()

    def listen(self, path):
        """Start QEMU to receive a guest at the UNIX socket @path."""
        self.vm.add_args('-incoming', f'unix:{path}')
        self.launch()

    def take_over(self, source, timeout=TIMEOUT):
        """The guest has come from @source: wait for it to run here."""
        # A command that it works on answers here.
        self._id = source._id
        self._buffer = source._buffer + self._rest(source.link)
        self.wait_status('running', timeout)

    @staticmethod
    def _rest(link):
        """What can be read from @link without waiting."""
        rest = b''
        while select.select([link], [], [], 0)[0]:
            data = link.recv(65536)
            if not data:
                break
            rest += data
        return rest

    def wait_status(self, wanted, timeout=TIMEOUT):
        """Wait for "query-status" to say @wanted."""
        deadline = time.monotonic() + timeout
        while True:
            status = self.vm.cmd('query-status')['status']
            if status == wanted:
                return
            if time.monotonic() > deadline:
                raise GuestError(f'the status is "{status}", not "{wanted}", '
                                 f'after {timeout} s')
            time.sleep(0.05)

    def wait_ready(self):
        """Wait for the guest to say that it takes commands."""
        self._buffer = b''
        self._id = 0
        deadline = time.monotonic() + BOOT_TIMEOUT
        again = False
        while True:
            try:
                self._wait(STOPPED_SECONDS, 'booting')
                break
            except GuestTimeout:
                if time.monotonic() > deadline:
                    raise
            if timer_stopped(self.console_log):
                print('# emulation has lost the timer of the guest that '
                      'boots: reset', flush=True)
                os.truncate(self.console_log, 0)
                # The firmware makes two resets of one.
                self.vm.cmd('set-action', reboot='reset')
                self.vm.cmd('system_reset')
                again = True
        if again:
            self.vm.cmd('set-action', reboot='shutdown')

    def configure(self):
        """Give the network card its address and bring it up."""
        self.run(f'ip link set eth0 mtu {self.network.mtu} up && '
                 f'ip addr add {GUEST_IP}/{PREFIX_LENGTH} dev eth0')
        # Some cards negotiate their link for seconds.
        if not self.wait_carrier(True):
            raise GuestError("the guest's network card has no link")

    def start(self, command, pause=0):
        """
        Have @command, a line for sh, run; finish() must follow.

        @pause: seconds to wait in the midst of the line
        """
        assert '\n' not in command
        self._id += 1
        line = f'{self._id} {command}\n'.encode()
        half = len(line) // 2 if pause else 0
        self.link.sendall(line[:half])
        time.sleep(pause)
        self.link.sendall(line[half:])
        return command

    def finish(self, command, timeout=TIMEOUT, check=True):
        """
        Wait for @command, returned by start(): a Result.

        @timeout: in seconds
        @check: raise GuestError if its exit status is not 0
        """
        result = self._wait(timeout, f'"{command}"')
        if check and result.status:
            raise GuestError(f'"{command}" in the guest ended with status '
                             f'{result.status}: {result.output}')
        return result

    def run(self, command, timeout=TIMEOUT, check=True):
        """start() and finish(); returns the output."""
        return self.finish(self.start(command), timeout, check).output

    def wait_listening(self, port, timeout=TIMEOUT):
        """Wait until a program in the guest listens on the TCP @port."""
        self.run(f'timeout {timeout} sh -c "until netstat -ltn | '
                 f'grep -q :{port}; do sleep 0.1; done"', timeout + 30)

    def _wait(self, timeout, what):
        answer = re.compile(rb'^@%d (\d+)\r?\n' % self._id, re.MULTILINE)
        deadline = time.monotonic() + timeout
        while True:
            match = answer.search(self._buffer)
            if match:
                output = self._buffer[:match.start()].decode(errors='replace')
                self._buffer = self._buffer[match.end():]
                return Result(int(match[1]),
                              output.replace('\r\n', '\n').strip('\n'))
            left = deadline - time.monotonic()
            if left <= 0:
                raise GuestTimeout(
                    f'{what}: no answer from the guest within {timeout} s; '
                    f'so far: {self._buffer.decode(errors="replace")!r}')
            ready = select.select([end for end in (self.link,
                                                   self.console_socket)
                                   if end], [], [], left)[0]
            if self.console_socket in ready:
                # It is in the log. Unread, it would stop the guest.
                self.console_socket.recv(65536)
            if self.link not in ready:
                continue
            data = self.link.recv(65536)
            if not data:
                raise GuestError(f'{what}: QEMU has ended')
            self._buffer += data

    def monitor(self, line):
        """The output of @line, a command of the human monitor."""
        try:
            text = self.vm.cmd('human-monitor-command', command_line=line)
        except QMPError as exc:
            raise GuestError(f'"{line}": QEMU has ended') from exc
        return text.replace('\r\n', '\n')

    def queue_info(self):
        """What "info network" says of each queue: a list of dicts."""
        queues = []
        for line in self.monitor('info network').splitlines():
            if 'type=af-xdp' in line:
                text = line.partition(f'{NETDEV}: ')[2]
                queues.append(dict(re.findall(r'([\w-]+)=([^,]*)', text)))
        return queues

    def nic_queue_counters(self, direction):
        """Packets by queue of virtio-net in the guest; 'rx' or 'tx'."""
        text = self.run('ethtool -S eth0')
        found = re.findall(rf'{direction}_queue_(\d+)_packets: (\d+)', text)
        return {int(queue): int(packets) for queue, packets in found}

    def udp_packets(self):
        """UDP packets that have reached the guest's network stack."""
        lines = self.run('grep ^Udp: /proc/net/snmp').splitlines()
        names, values = (line.split()[1:] for line in lines)
        count = dict(zip(names, map(int, values)))
        return count['InDatagrams'] + count['NoPorts']

    def carrier(self):
        """Whether the guest's network card says it has a link."""
        return self.run('cat /sys/class/net/eth0/carrier').strip() == '1'

    def wait_carrier(self, wanted, timeout=60):
        """Wait for the link to be @wanted; return whether it came so."""
        deadline = time.monotonic() + timeout
        while self.carrier() != wanted:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.1)
        return True

    def cpu_seconds(self):
        """CPU time that QEMU has used so far."""
        stat = Path(f'/proc/{self.vm.get_pid()}/stat').read_text(
            encoding='ascii')
        user, system = stat.rpartition(')')[2].split()[11:13]
        return (int(user) + int(system)) / os.sysconf('SC_CLK_TCK')

    def death(self):
        """How QEMU came to its end, in words; None if it lives."""
        code = self.vm.exitcode()
        if code is None:
            return None
        if code < 0:
            return f'was killed by signal {-code}'
        return f'ended with exit code {code}'

    def qemu_log(self):
        """What QEMU itself has printed."""
        try:
            return (self.directory / 'qemu.log').read_text(errors='replace')
        except FileNotFoundError:
            return ''

    def close(self):
        """End QEMU, if it is still there."""
        self.vm.shutdown(hard=True)
        for end in [self.link, self.console_socket, *self._inherited]:
            if end:
                end.close()
