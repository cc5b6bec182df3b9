# SPDX-License-Identifier: GPL-2.0-or-later
#
# What the tests of -netdev af-xdp with a guest have in common

"""
The network, guests on it, ways to exchange packets with them that notice what
is lost or damaged, and to move them to another QEMU while they do.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time

from qemu_test import QemuSystemTest

from af_xdp_guest import Guest, GuestError, image_files
from af_xdp_migration import Migration
from af_xdp_network import (GUEST_IP, Network, PEER_IFS, PEER_IP, QEMU_IF)


TRAFFIC = os.path.join(os.path.dirname(os.path.abspath(__file__)),
                       'af_xdp_traffic.py')
TOOLS = ('bpftool', 'ip', 'ethtool', 'iperf3', 'ping', 'setpriv', 'sysctl')
PORT = 5001
MEBIBYTE = 1 << 20
# Flows to use all of N queues with: 64 random ones miss one of 4 queues once
# in 25 million runs.
FLOWS = 64
# Together fewer than the 256 that veth holds for each queue: none is lost by
# a kernel or a QEMU that gets no CPU time for a while.
PACKETS_PER_FLOW = 3


class AfXdpTestCase(QemuSystemTest):
    """A guest on a veth pair, and traffic to and from it"""

    timeout = 120
    GUEST_OPTIONS = {}

    def setUp(self):
        super().setUp()
        if os.geteuid() != 0:
            self.skipTest('needs root, to make network namespaces')
        for tool in TOOLS:
            if not shutil.which(tool):
                self.skipTest(f'needs the program {tool}')
        self.images = os.environ.get('AF_XDP_GUEST_DIR')
        if not self.images:
            self.skipTest('AF_XDP_GUEST_DIR does not name the directory of '
                          "the test's guests")
        self.require_netdev('af-xdp')
        self.guests = 0
        self.links = 0

    def netdev_options(self, nic, netdev):
        """The options to use where a test asks for @netdev with @nic."""
        # By default, virtio-net would have the fast path.
        return netdev + (',vhost=off' if nic.startswith('virtio-net') else '')

    def boot(self, nic='virtio-net-pci', netdev='', queues=1, mtu=1500,
             pairs=1, **options):
        """Make the network and boot a guest that is connected to it."""
        try:
            image_files(self.images, nic)
        except GuestError as exc:
            self.skipTest(str(exc))
        self.network = Network(queues, mtu, pairs)
        self.addCleanup(self.network.close)
        self.guest = self.new_guest(nic, netdev, **options)
        self.guest.boot()
        self.check_path(self.guest)

    def new_guest(self, nic='virtio-net-pci', netdev='', **options):
        """A Guest in the network, not started; see there for @options."""
        self.guests += 1
        directory = os.path.join(self.outputdir, f'guest{self.guests}')
        os.makedirs(directory, exist_ok=True)
        netdev = self.netdev_options(nic, netdev)
        options = {**self.GUEST_OPTIONS, **options}
        guest = Guest(self.qemu_bin, self.images, self.network, directory,
                      nic=nic, netdev=netdev, **options)
        guest.wants_vhost = (nic.startswith('virtio-net') and
                             'vhost=off' not in netdev)
        self.console_log_name = str(guest.console_log)
        self.addCleanup(guest.close)
        return guest

    def check_path(self, guest):
        """The packets must take the way that was asked for."""
        (first, *_) = guest.queue_info()
        if guest.wants_vhost:
            self.assertEqual(first['vhost'], 'on')
        else:
            self.assertNotEqual(first['vhost'], 'on')

    def peer_start(self, *command):
        """Start a command in the peer's namespace, its output in a pipe."""
        child = subprocess.Popen([*self.network.peer_prefix(), *command],
                                 stdin=subprocess.DEVNULL,
                                 stdout=subprocess.PIPE,
                                 stderr=subprocess.STDOUT, text=True)
        self.addCleanup(child.stdout.close)
        self.addCleanup(child.wait)
        self.addCleanup(child.kill)
        return child

    def ping_both_ways(self, size=56, count=5):
        """Each packet must come back, from the host's side and the guest's."""
        out = self.network.peer('ping', '-n', '-q', '-M', 'do', '-i', '0.2',
                                '-W', '30', '-c', str(count), '-s', str(size),
                                GUEST_IP, check=False)
        self.assertIn(f' {count} received, 0% packet loss', out)
        out = self.guest.run(f'ping -q -c {count} -i 0.2 -W 30 -s {size} '
                             f'{PEER_IP}', check=False)
        self.assertIn(f' {count} packets received, 0% packet loss', out)

    def wait_ping(self, timeout=60):
        """Ping the guest until one packet comes back."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            out = self.network.peer('ping', '-n', '-q', '-W', '1', '-c', '1',
                                    GUEST_IP, check=False)
            if ' 1 received' in out:
                return
        self.fail(f'no packet came through within {timeout} s: {out}')

    def tcp_both_ways(self, length=20 * MEBIBYTE):
        """Send a file to the guest and back; what arrives must be the same."""
        path = self.scratch_file('random')
        with open(path, 'wb') as file:
            file.write(os.urandom(length))
        with open(path, 'rb') as file:
            digest = hashlib.sha256(file.read()).hexdigest()

        started = time.monotonic()
        listening = self.guest.start(
            f'nc -l -p {PORT} > /tmp/data < /dev/null; sha256sum /tmp/data')
        self.network.peer(sys.executable, TRAFFIC,
                          'send', GUEST_IP, str(PORT), path, timeout=300)
        received = self.guest.finish(listening, timeout=300).output
        self.assertEqual(received.split()[0], digest,
                         'the guest received something else than was sent')
        to_guest = time.monotonic() - started

        started = time.monotonic()
        receiver = self.peer_start(sys.executable, TRAFFIC,
                                   'receive', str(PORT))
        self.assertEqual(receiver.stdout.readline().strip(), 'listening')
        self.guest.run(f'nc {PEER_IP} {PORT} < /tmp/data; rm /tmp/data',
                       timeout=300)
        out, _ = receiver.communicate(timeout=240)
        self.assertEqual(out.split(), [str(length), digest],
                         'the host received something else than was sent')
        self.log.info('%d bytes: %.1f s to the guest, %.1f s back',
                      length, to_guest, time.monotonic() - started)

    def flows_to_guest(self):
        """Many UDP flows to the guest, none of whose packets may get lost."""
        # The guest's hardware address is known then.
        self.wait_ping()
        before = self.guest.udp_packets()
        self.network.peer(sys.executable, TRAFFIC, 'flows', GUEST_IP,
                          '9', str(FLOWS), str(PACKETS_PER_FLOW))
        expected = FLOWS * PACKETS_PER_FLOW
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            arrived = self.guest.udp_packets() - before
            if arrived >= expected:
                break
            time.sleep(0.2)
        self.assertEqual(arrived, expected, 'UDP packets lost or doubled')

    def load_both_ways(self, connections, seconds=3):
        """
        TCP as fast as it goes, both ways at the same time.

        Two runs of iperf3, not one with --bidir: that one tells directions
        apart by the order of connections, which several queues can change.
        """
        starved = self._iperf_both_ways(connections, seconds)
        if starved:
            # Where CPU time is short, that may be bad luck; what is stuck
            # does not move later either.
            starved = self._iperf_both_ways(connections, 10 * seconds)
        self.assertEqual(starved, 0, 'connections starved')

    def _iperf_both_ways(self, connections, seconds):
        """Returns how many connections brought nothing."""
        ports = (5201, 5202)
        for port in ports:
            self.guest.run(f'iperf3 -s -1 -D -p {port}')
            self.guest.wait_listening(port)
        clients = [self.peer_start('iperf3', '-c', GUEST_IP, '-J',
                                   '-p', str(port), '-t', str(seconds),
                                   '-P', str(connections), *way)
                   for port, way in zip(ports, ((), ('-R',)))]
        starved = 0
        for client in clients:
            text, _ = client.communicate(timeout=seconds + 120)
            answer = json.loads(text)
            self.assertNotIn('error', answer)
            streams = answer['end']['streams']
            self.assertEqual(len(streams), connections)
            starved += sum(stream['receiver']['bytes'] == 0
                           for stream in streams)
        return starved

    def no_program(self, programs):
        """None of @programs may be loaded any more."""
        for program in programs:
            # Freed after a grace period of the kernel's RCU.
            deadline = time.monotonic() + 30
            while True:
                done = subprocess.run(['bpftool', 'prog', 'show', 'id',
                                       str(program)], text=True,
                                      capture_output=True, check=False)
                if done.returncode or time.monotonic() > deadline:
                    break
                time.sleep(0.1)
            self.assertNotEqual(done.returncode, 0,
                                f'still loaded: {done.stdout}')

    def nothing_left(self, programs):
        """No program may be on the device, nor @programs in the kernel."""
        self.assertEqual(self.network.wait_for_no_program(), [],
                         f'an XDP program is left on {QEMU_IF}')
        self.no_program(programs)

    # Live migration

    # Bytes a second, kept in the guest's memory
    RATE = MEBIBYTE // 2
    # More than what the guest sets free and takes again in this time
    UNREAD_LENGTH = 4 * MEBIBYTE
    TO_GUEST, FROM_GUEST, UNREAD = PORT + 1, PORT + 2, PORT + 3

    def start_work(self):
        """
        Begin a connection that brings the guest data, and one on which it
        sends lines with numbers.
        """
        self.guest.run(f'(nc -l -p {self.TO_GUEST} < /dev/null | '
                       'tee /tmp/stream | sha256sum > /tmp/stream.sum; '
                       'touch /tmp/stream.end) > /dev/null 2>&1 &')
        self.guest.wait_listening(self.TO_GUEST)
        self.to_guest = self.traffic('stream', GUEST_IP, self.TO_GUEST,
                                     self.RATE)
        self.expect_line(self.to_guest, 'connected')
        self.from_guest = self.traffic('count', self.FROM_GUEST)
        self.expect_line(self.from_guest, 'listening')
        self.guest.run('rm -f /tmp/stop; (i=0; '
                       'while [ ! -e /tmp/stop ]; do '
                       'i=$((i + 1)); echo $i; done; echo end) | '
                       f'nc {PEER_IP} {self.FROM_GUEST} > /dev/null 2>&1 &')

    def fill_memory(self):
        """
        Send the guest data that no program of it reads for now. With MTU 9000
        it lies in pages that the guest's CPU has not written to.
        """
        self.unread_path = self.scratch_file('unread')
        with open(self.unread_path, 'wb') as file:
            file.write(os.urandom(self.UNREAD_LENGTH))
        self.guest.run('echo 4096 16777216 16777216 > '
                       '/proc/sys/net/ipv4/tcp_rmem; '
                       f'(nc -l -p {self.UNREAD} < /dev/null | '
                       '(until [ -e /tmp/go ]; do sleep 0.2; done; '
                       'sha256sum > /tmp/unread.sum); touch /tmp/unread.end) '
                       '> /dev/null 2>&1 &')
        self.guest.wait_listening(self.UNREAD)
        self.unread = self.traffic('fill', GUEST_IP, self.UNREAD,
                                   self.unread_path)
        self.expect_line(self.unread, 'acknowledged')

    def check_memory(self):
        """What fill_memory() sent must be there, wherever the guest is now."""
        self.guest.run('touch /tmp/go')
        self.wait_guest_file('/tmp/unread.end')
        with open(self.unread_path, 'rb') as file:
            digest = hashlib.sha256(file.read()).hexdigest()
        self.assertEqual(self.guest.run('cat /tmp/unread.sum').split()[0],
                         digest, 'what was received before is damaged')
        self.guest.run('rm /tmp/go /tmp/unread.*')
        self.unread.communicate(timeout=240)

    def end_work(self):
        """Nothing of it may be lost, doubled or damaged."""
        self.to_guest.terminate()
        out, _ = self.to_guest.communicate(timeout=240)
        length, digest = out.split()
        self.assertGreater(int(length), 0)
        self.wait_guest_file('/tmp/stream.end')
        out = self.guest.run('cat /tmp/stream.sum; sha256sum /tmp/stream; '
                             'rm /tmp/stream*', timeout=120)
        for line, what in zip(out.splitlines(), ('received', 'has kept')):
            self.assertEqual(line.split()[0], digest,
                             f'the guest {what} something else than was sent')
        self.guest.run('touch /tmp/stop')
        out, _ = self.from_guest.communicate(timeout=240)
        self.assertRegex(out, r'^[1-9]\d*$',
                         'the host received something else than was sent')

    def traffic(self, *words):
        """Start one of the peer's programs."""
        return self.peer_start(sys.executable, TRAFFIC, *map(str, words))

    def expect_line(self, child, wanted):
        """The next line that @child prints must be @wanted."""
        line = child.stdout.readline()
        if line.strip() != wanted:
            self.fail(f'expected "{wanted}": {line}{child.stdout.read()}')

    def wait_guest_file(self, path, timeout=120):
        """Wait for the file @path to appear in the guest."""
        self.guest.run(f'timeout {timeout} sh -c "until [ -e {path} ]; do '
                       'sleep 0.1; done"', timeout=timeout + 30)

    def new_migration(self, pair, nic='virtio-net-pci', **options):
        """A Migration of the guest to a new QEMU on the veth pair @pair."""
        there = self.new_guest(nic, pair=pair, **options)
        self.links += 1
        path = os.path.join(self.socket_dir().name, f'link{self.links}')
        migration = Migration(self.guest, there, path)
        self.addCleanup(migration.close)
        return migration

    def migrate(self, pair, nic='virtio-net-pci', **options):
        """Move the guest, at work, to a new QEMU on the veth pair @pair."""
        migration = self.new_migration(pair, nic, **options)
        migration.start()
        migration.next_round()
        self.fill_memory()
        migration.next_round()
        migration.next_round()
        # Switches want to hear where the guest is now.
        announced = self.traffic('announced', PEER_IFS[pair], GUEST_IP)
        self.expect_line(announced, 'listening')
        migration.finish()
        self.arrived(migration, pair)
        self.expect_line(announced, 'both')

    def arrived(self, migration, pair):
        """The guest is at its destination: so are its packets."""
        self.network.use_pair(pair)
        self.guest = migration.destination
        migration.source.close()
        self.check_path(self.guest)
        self.check_memory()

    def check_traffic(self):
        self.wait_ping()
        self.ping_both_ways()
        self.flows_to_guest()
        self.tcp_both_ways(4 * MEBIBYTE)

    def check_migration(self, nic='virtio-net-pci', **options):
        """There and back, to QEMU number three."""
        self.boot(nic, mtu=9000, pairs=2, **options)
        self.start_work()
        self.migrate(1, nic)
        self.migrate(0, nic)
        self.end_work()
        self.check_traffic()
