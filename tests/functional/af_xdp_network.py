# SPDX-License-Identifier: GPL-2.0-or-later
#
# The network that a test or a demonstration of -netdev af-xdp runs in

"""
Two network namespaces joined by a veth pair::

    namespace axf-...-qemu              namespace axf-...-peer
      QEMU, bound to vethq  <------->  vethp  192.0.2.1
       `- guest             192.0.2.2

and, if asked for, a second pair, vethq2 and vethp2, for another QEMU that the
guest migrates to.  The peer sends through one pair at a time.

Nothing outside of the two namespaces is touched.  Their names hold the
process that made them and its start time: what a killed process left is
recognised and removed by the next one.
"""

import atexit
import json
import os
from pathlib import Path
import re
import signal
import subprocess
import time


PREFIX = 'axf'
# By number of the pair
QEMU_IFS = ('vethq', 'vethq2')
PEER_IFS = ('vethp', 'vethp2')
QEMU_IF = QEMU_IFS[0]
PEER_IF = PEER_IFS[0]
PEER_IP = '192.0.2.1'
GUEST_IP = '192.0.2.2'
PREFIX_LENGTH = 24


class NetworkError(Exception):
    """A command that builds or uses the network failed."""


def run(*command, prefix=(), check=True, timeout=120):
    """
    Run @command and return what it printed.

    @prefix: a command that runs the command; not shown in errors
    @check: raise NetworkError if its exit status is not 0
    @timeout: in seconds
    """
    command = [str(word) for word in command]
    try:
        done = subprocess.run([*prefix, *command], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              text=True, timeout=timeout, check=False)
    except FileNotFoundError as exc:
        raise NetworkError(f'{exc.filename} is not installed') from exc
    except subprocess.TimeoutExpired as exc:
        raise NetworkError(f'"{" ".join(command)}" did not end within '
                           f'{timeout} s') from exc
    if check and done.returncode:
        raise NetworkError(f'"{" ".join(command)}" failed with status '
                           f'{done.returncode}: '
                           f'{(done.stderr or done.stdout).strip()}')
    return done.stdout


def start_time(pid):
    """When @pid was started, in clock ticks after boot; None if it is gone."""
    try:
        stat = Path(f'/proc/{pid}/stat').read_text(encoding='ascii')
    except OSError:
        return None
    # The command's name, in parentheses, may contain spaces.
    fields = stat.rpartition(')')[2].split()
    return None if fields[0] in 'ZX' else fields[19]


def owner_name():
    """What names of this process's things start with."""
    return f'{PREFIX}-{os.getpid()}-{start_time(os.getpid())}'


def is_abandoned(name):
    """Whether @name is that of something whose process has ended."""
    match = re.match(rf'{PREFIX}-(\d+)-(\d+)\b', name)
    return bool(match) and start_time(match[1]) != match[2]


def remove_namespace(name):
    """Remove the namespace @name of ours, with the processes left in it."""
    for pid in run('ip', 'netns', 'pids', name, check=False).split():
        try:
            os.kill(int(pid), signal.SIGKILL)
        except ProcessLookupError:
            pass
    run('ip', 'netns', 'del', name, check=False)


def remove_abandoned():
    """Remove the namespaces of processes that no longer exist."""
    for line in run('ip', 'netns', 'list').splitlines():
        if is_abandoned(line):
            remove_namespace(line.split()[0])


class Network:
    """The two namespaces and the veth pair or pairs between them."""

    def __init__(self, queues=1, mtu=1500, pairs=1):
        """
        @queues: receive and transmit queues of each end
        @mtu: in bytes, of each end
        @pairs: 1 or 2
        """
        self.queues = queues
        self.mtu = mtu
        self.pairs = pairs
        self.qemu_ns = f'{owner_name()}-qemu'
        self.peer_ns = f'{owner_name()}-peer'
        remove_abandoned()
        atexit.register(self.close)
        try:
            self._create()
        except BaseException:
            self.close()
            raise

    def _create(self):
        for name in (self.qemu_ns, self.peer_ns):
            run('ip', 'netns', 'add', name)
        # On QEMU's side the kernel's own network stack has no business.
        self.qemu('sysctl', '-qw', 'net.ipv6.conf.all.disable_ipv6=1')
        self.peer('sysctl', '-qw', 'net.ipv6.conf.all.disable_ipv6=1')
        for pair in range(self.pairs):
            self._create_pair(QEMU_IFS[pair], PEER_IFS[pair])
        self.peer('ip', 'addr', 'add', f'{PEER_IP}/{PREFIX_LENGTH}',
                  'dev', PEER_IF)
        if self.pairs > 1:
            # To the guest it is the same neighbour, wherever it runs.
            for interface in PEER_IFS:
                self.peer('sysctl', '-qw',
                          f'net.ipv4.conf.{interface}.rp_filter=0')
            self.peer('sysctl', '-qw', 'net.ipv4.conf.all.rp_filter=0')
            address = self._link(self.peer, PEER_IF)['address']
            self.peer('ip', 'link', 'set', PEER_IFS[1], 'address', address)

    def _create_pair(self, ours, theirs):
        # A veth has as many queues as there are CPUs unless told otherwise,
        # and flows that hash to a queue without a socket do not arrive.
        numbers = ('numrxqueues', str(self.queues),
                   'numtxqueues', str(self.queues), 'mtu', str(self.mtu))
        run('ip', '-n', self.qemu_ns, 'link', 'add', ours, *numbers,
            'type', 'veth', 'peer', 'name', theirs, *numbers,
            'netns', self.peer_ns)
        # veth hands packets of the local stack over with a checksum that is
        # only begun (the pseudo header's sum) and a note that says so.  The
        # note does not fit through an XDP program: the guest would find each
        # checksum wrong and drop the packet.  ICMP is summed by the stack,
        # hence ping works without this and TCP does not.
        self.peer('ethtool', '-K', theirs, 'tx', 'off')
        self.peer('ip', 'link', 'set', theirs, 'up')
        self.qemu('ip', 'link', 'set', ours, 'up')

    def use_pair(self, pair):
        """From now on the peer sends to the guest through @pair, 0 or 1."""
        self.peer('ip', 'route', 'replace', f'{GUEST_IP}/32',
                  'dev', PEER_IFS[pair], 'src', PEER_IP)

    def qemu_prefix(self):
        """
        What to put before a command to have it run in QEMU's namespace and
        killed when this process ends, whichever way.
        """
        return ['setpriv', '--pdeathsig', 'KILL',
                'ip', 'netns', 'exec', self.qemu_ns]

    def peer_prefix(self):
        """The same for the peer's namespace."""
        return ['setpriv', '--pdeathsig', 'KILL',
                'ip', 'netns', 'exec', self.peer_ns]

    def qemu(self, *command, **kwargs):
        """Run @command in QEMU's namespace; see run()."""
        return run(*command, prefix=self.qemu_prefix(), **kwargs)

    def peer(self, *command, **kwargs):
        """Run @command in the peer's namespace; see run()."""
        return run(*command, prefix=self.peer_prefix(), **kwargs)

    def program_ids(self):
        """The ids of the XDP programs on QEMU's end of the pair."""
        xdp = self._link(self.qemu, QEMU_IF).get('xdp', {})
        # Attached in several modes: each is listed. In one: named twice.
        entries = [xdp, *xdp.get('attached', [])]
        return sorted({entry['prog']['id'] for entry in entries
                       if 'prog' in entry})

    def qemu_mac(self):
        """The address of QEMU's end of the pair."""
        return self._link(self.qemu, QEMU_IF)['address']

    @staticmethod
    def _link(side, interface):
        text = side('ip', '-j', '-d', 'link', 'show', 'dev', interface)
        return json.loads(text)[0]

    def wait_for_no_program(self, timeout=30):
        """Wait up to @timeout seconds; return the programs still there."""
        deadline = time.monotonic() + timeout
        while self.program_ids() and time.monotonic() < deadline:
            time.sleep(0.05)
        return self.program_ids()

    def close(self):
        """Remove both namespaces, and with them the veth pairs."""
        atexit.unregister(self.close)
        for name in (self.qemu_ns, self.peer_ns):
            remove_namespace(name)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()
