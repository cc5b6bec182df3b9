#!/usr/bin/env python3
#
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Functional tests of -netdev af-xdp: a Linux guest and its host exchange
# packets over a veth pair, in network namespaces of their own

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

from qemu_test import QemuSystemTest

from af_xdp_guest import Guest, GuestError, image_files
from af_xdp_migration import Migration
from af_xdp_network import (GUEST_IP, Network, PEER_IF, PEER_IFS, PEER_IP,
                            QEMU_IF, QEMU_IFS)


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
# Bits of virtio's features
HOST_MTU, MERGEABLE, INDIRECT, EVENT_IDX, VERSION_1, PACKED = (
    3, 15, 28, 29, 32, 34)
LONG_QUEUES = ('rx_queue_size=1024', 'tx_queue_size=1024')


def setUpModule():
    """Have SIGTERM end the run as Ctrl-C does, with all taken down."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


class AfXdp(QemuSystemTest):

    timeout = 120

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

    # The test's own guest

    def test_daemon_ends(self):
        """A daemon that ends while a command arrives does not garble it."""
        self.boot()
        self.guest.run('sleep 2 &')
        halting = self.guest.start('echo all of it', pause=4)
        self.assertEqual(self.guest.finish(halting).output, 'all of it')

    # One queue

    def test_ping_and_tcp(self):
        self.boot()
        self.ping_both_ways()
        self.ping_both_ways(size=1472)
        self.tcp_both_ways()
        (queue,) = self.guest.queue_info()
        self.assertIn('native', queue['mode'])
        self.assertGreater(int(queue['rx']), 20 * MEBIBYTE // 1500)
        self.assertGreater(int(queue['tx']), 20 * MEBIBYTE // 1500)
        self.assertEqual(int(queue['redirected']), int(queue['rx']))

    def test_skb_mode(self):
        self.boot(netdev=',mode=skb')
        self.ping_both_ways()
        self.tcp_both_ways(4 * MEBIBYTE)
        (queue,) = self.guest.queue_info()
        self.assertIn('skb', queue['mode'])

    def test_e1000e(self):
        self.boot(nic='e1000e')
        self.ping_both_ways()
        self.tcp_both_ways(8 * MEBIBYTE)

    # Jumbo frames

    def test_mtu_9000(self):
        self.boot(mtu=9000)
        self.ping_both_ways(size=8900)
        self.ping_both_ways(size=8972)
        self.tcp_both_ways()
        (queue,) = self.guest.queue_info()
        self.assertEqual(queue['multi-buffer'], 'on')

    def test_mtu_9000_e1000e(self):
        self.boot(nic='e1000e', mtu=9000)
        self.ping_both_ways(size=8900)
        self.tcp_both_ways(8 * MEBIBYTE)

    # Several queues

    # More options for boot()
    FOUR_QUEUES = {}

    def test_four_queues(self):
        self.boot(queues=4, **self.FOUR_QUEUES)
        self.assertRegex(self.guest.run('ethtool -l eth0'),
                         r'(?s)Current.*Combined:\s+4')
        rx = self.guest.nic_queue_counters('rx')
        tx = self.guest.nic_queue_counters('tx')
        self.assertEqual(sorted(rx), [0, 1, 2, 3])
        self.flows_to_guest()
        # The guest sends from the queue of the CPU that sends.
        for cpu in range(4):
            self.guest.run(f'taskset -c {cpu} ping -q -c 3 -i 0.1 {PEER_IP}')
        for before, direction in ((rx, 'rx'), (tx, 'tx')):
            after = self.guest.nic_queue_counters(direction)
            for queue in range(4):
                self.assertGreater(
                    after[queue], before[queue],
                    f'the guest has no {direction} packet on queue {queue}')
        info = self.guest.queue_info()
        self.assertEqual([int(queue['queue']) for queue in info],
                         [0, 1, 2, 3])
        for queue in info:
            self.assertGreater(int(queue['rx']), 0, queue)
            self.assertGreater(int(queue['tx']), 0, queue)
        self.tcp_both_ways()
        self.load_both_ways(connections=8)
        # Nothing got stuck under the load.
        self.flows_to_guest()

    def test_fewer_guest_queues(self):
        """A guest that uses one of four queues gets the packets of all."""
        self.boot(queues=4)
        self.guest.run('ethtool -L eth0 combined 1')
        self.flows_to_guest()
        self.ping_both_ways()
        self.tcp_both_ways(4 * MEBIBYTE)
        self.guest.run('ethtool -L eth0 combined 3')
        self.flows_to_guest()
        self.guest.run('ethtool -L eth0 combined 4')
        self.flows_to_guest()

    def test_guest_without_mq(self):
        """The same for a card that cannot have more than one queue."""
        self.boot(queues=4, nic='virtio-net-pci,mq=off')
        self.flows_to_guest()
        self.tcp_both_ways(4 * MEBIBYTE)

    # Comings and goings

    def test_killed(self):
        """SIGKILL leaves nothing behind, and QEMU can start again at once."""
        self.boot()
        self.ping_both_ways()
        programs = self.network.program_ids()
        self.assertEqual(len(programs), 1, 'no XDP program on the device')
        os.kill(self.guest.vm.get_pid(), signal.SIGKILL)
        self.guest.vm.kill()
        self.nothing_left(programs)

        self.guest = self.new_guest()
        self.guest.boot()
        self.ping_both_ways()

    def test_quit(self):
        """An orderly end leaves nothing behind."""
        self.boot()
        programs = self.network.program_ids()
        self.assertEqual(len(programs), 1, 'no XDP program on the device')
        self.guest.vm.shutdown()
        self.assertEqual(self.guest.vm.exitcode(), 0)
        self.nothing_left(programs)

    def test_guest_reboot(self):
        """A reset in the midst of traffic: the next system has a network."""
        self.boot()
        flood = self.peer_start('ping', '-n', '-q', '-i', '0.002', GUEST_IP)
        self.guest.vm.cmd('set-action', reboot='reset')
        self.guest.vm.cmd('system_reset')
        self.guest.wait_ready()
        self.guest.configure()
        flood.kill()
        self.wait_ping()
        self.ping_both_ways()
        self.tcp_both_ways(4 * MEBIBYTE)

    def test_pause(self):
        """Packets for a stopped guest fill the rings; then all goes on."""
        self.boot()
        self.guest.vm.cmd('stop')
        self.network.peer(sys.executable, TRAFFIC, 'flows', GUEST_IP, '9',
                          '200', '40', timeout=60)
        self.guest.vm.cmd('cont')
        self.wait_ping()
        self.flows_to_guest()
        self.ping_both_ways()
        self.tcp_both_ways(4 * MEBIBYTE)

    def test_device_deleted(self):
        self.boot()
        self.device_goes('ip', 'link', 'del', QEMU_IF)

    def test_device_moved(self):
        """To another namespace, which is as good as deleted."""
        self.boot()
        self.device_goes('ip', 'link', 'set', QEMU_IF,
                         'netns', self.network.peer_ns)

    def device_goes(self, *command):
        """The guest's link goes down; QEMU lives, says why, does not spin."""
        self.ping_both_ways()
        self.assertTrue(self.guest.carrier())
        programs = self.network.program_ids()
        before = self.guest.cpu_seconds()
        time.sleep(2)
        idle = self.guest.cpu_seconds() - before

        self.network.qemu(*command)
        self.assertTrue(self.guest.wait_carrier(False),
                        'the guest still has a link')
        # Packets that the guest still tries to send must not hurt.
        self.guest.run(f'ping -c 2 -W 1 {PEER_IP}', check=False)
        # Who spins does not stop; an emulated guest may have had work.
        for _ in range(10):
            before = self.guest.cpu_seconds()
            time.sleep(2)
            busy = self.guest.cpu_seconds() - before
            if busy < idle + 0.6:
                break
        self.assertLess(busy, idle + 0.6, 'QEMU spins')
        self.assertFalse(self.guest.carrier(), 'the link came back')
        self.assertEqual(self.guest.vm.cmd('query-status')['status'],
                         'running')
        self.assertIn(QEMU_IF, self.guest.qemu_log())
        self.guest.vm.shutdown()
        self.assertEqual(self.guest.vm.exitcode(), 0)
        self.no_program(programs)

    def test_device_down_and_up(self):
        """
        The guest's link follows its device, not the other end of the pair,
        and traffic comes back by itself.
        """
        self.boot()
        self.ping_both_ways()
        for side, name, link in ((self.network.qemu, QEMU_IF, False),
                                 (self.network.peer, PEER_IF, True)):
            side('ip', 'link', 'set', name, 'down')
            self.assertTrue(self.guest.wait_carrier(link),
                            f'{name} is down, the guest sees link {not link}')
            # Packets that the guest still tries to send must not hurt.
            self.guest.run(f'ping -c 2 -W 1 {PEER_IP}', check=False)
            self.assertEqual(self.guest.carrier(), link)
            side('ip', 'link', 'set', name, 'up')
            self.assertTrue(self.guest.wait_carrier(True),
                            f'{name} is up and the guest has no link')
            self.wait_ping()
            self.ping_both_ways()
        self.tcp_both_ways(4 * MEBIBYTE)

    def test_set_link(self):
        """The monitor takes the guest's link down and up again."""
        self.boot()
        self.guest.vm.cmd('set_link', name='n0', up=False)
        self.assertTrue(self.guest.wait_carrier(False))
        self.guest.vm.cmd('set_link', name='n0', up=True)
        self.assertTrue(self.guest.wait_carrier(True))
        self.wait_ping()
        self.ping_both_ways()

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

    def test_migration(self):
        self.check_migration()

    # The program

    def test_mac_filter(self):
        """The guest gets what is sent to its address, the host the rest."""
        self.boot(netdev=',mac-filter=on')
        self.ping_both_ways()
        # The device itself, in QEMU's namespace, has an address as well.
        # Broadcasts go to the guest alone, hence no ARP for it.
        address = '192.0.2.3'
        self.network.qemu('ip', 'addr', 'add', f'{address}/24',
                          'dev', QEMU_IF)
        self.network.peer('ip', 'neigh', 'add', address, 'dev', PEER_IF,
                          'lladdr', self.network.qemu_mac())
        (before,) = self.guest.queue_info()
        out = self.network.peer('ping', '-n', '-q', '-i', '0.2', '-W', '30',
                                '-c', '5', address, check=False)
        self.assertIn(' 5 received', out)
        (after,) = self.guest.queue_info()
        self.assertGreaterEqual(int(after['filtered']),
                                int(before['filtered']) + 5)
        self.ping_both_ways()
        self.tcp_both_ways(4 * MEBIBYTE)


class AfXdpVhost(AfXdp):
    """The same with the fast path, which virtio-net has by default"""

    # Nothing of the netdev is in it.
    test_daemon_ends = None
    # Other network cards do not start vhost.
    test_e1000e = None
    test_mtu_9000_e1000e = None

    FOUR_QUEUES = {'netdev': ',vhost=on,iothread=io0:io1',
                   'objects': ('iothread,id=io0', 'iothread,id=io1')}

    def netdev_options(self, nic, netdev):
        return netdev

    # Threads

    def iothread_times(self):
        """For each iothread object, how many nanoseconds it has run."""
        times = {}
        for thread in self.guest.vm.cmd('query-iothreads'):
            with open(f'/proc/{self.guest.vm.get_pid()}/task/'
                      f'{thread["thread-id"]}/schedstat',
                      encoding='ascii') as file:
                times[thread['id']] = int(file.read().split()[0])
        return times

    def check_iothreads(self, *names):
        """They must all have work when there is traffic."""
        before = self.iothread_times()
        self.assertEqual(sorted(before), sorted(names))
        self.flows_to_guest()
        after = self.iothread_times()
        for name in names:
            self.assertGreater(after[name], before[name],
                               f'{name} has not moved a packet')

    def test_four_queues(self):
        super().test_four_queues()
        self.check_iothreads('io0', 'io1')

    # What virtio-net can be

    def check_device(self, features, *properties, mtu=1500, netdev='',
                     objects=()):
        """
        @features: bits to negotiate and, negative, not to
        @properties: of the device
        """
        self.boot(','.join(('virtio-net-pci', *properties)), mtu=mtu,
                  netdev=netdev, objects=objects)
        acked = self.guest.run('cat /sys/class/net/eth0/device/features')
        for bit in features:
            self.assertEqual(acked[abs(bit)], '1' if bit > 0 else '0',
                             f'feature {abs(bit)}')
        self.ping_both_ways()
        self.ping_both_ways(size=mtu - 28)
        self.flows_to_guest()
        self.tcp_both_ways(4 * MEBIBYTE)
        self.load_both_ways(connections=4, seconds=2)
        self.flows_to_guest()

    def test_packed(self):
        self.check_device((PACKED, MERGEABLE, INDIRECT, EVENT_IDX, HOST_MTU),
                          'packed=on', 'host_mtu=9000', mtu=9000)
        with self.assertRaises(GuestError):
            self.guest.run('ip link set eth0 mtu 9001')

    def test_packed_plain(self):
        self.check_device((PACKED, -MERGEABLE, -INDIRECT, -EVENT_IDX),
                          'packed=on', 'mrg_rxbuf=off', 'indirect_desc=off',
                          'event_idx=off', *LONG_QUEUES)
        self.check_long_queues()

    def test_split_plain(self):
        self.check_device((VERSION_1, -MERGEABLE, -INDIRECT, -EVENT_IDX),
                          'mrg_rxbuf=off', 'indirect_desc=off',
                          'event_idx=off', *LONG_QUEUES,
                          netdev=',vhost=on,iothread=io0',
                          objects=('iothread,id=io0',))
        self.check_long_queues()
        self.check_iothreads('io0')

    def check_long_queues(self):
        self.assertRegex(self.guest.run('ethtool -g eth0'),
                         r'(?s)Current.*\nRX:\s+1024\b.*\nTX:\s+1024\b')

    def test_legacy(self):
        """The header of 10 bytes"""
        self.check_device((-VERSION_1, -MERGEABLE, INDIRECT, EVENT_IDX),
                          'disable-modern=on', 'disable-legacy=off',
                          'mrg_rxbuf=off')

    # Live migration, continued

    def test_migration_packed(self):
        self.check_migration('virtio-net-pci,packed=on')

    def test_migration_queues(self):
        self.check_migration(queues=4)
        for queue in self.guest.queue_info():
            self.assertGreater(int(queue['rx']), 0, queue)

    def test_migration_paths(self):
        """From the main loop's path to the fast one, and back."""
        # The fast path does not have VIRTIO_F_RING_RESET to offer.
        nic = 'virtio-net-pci,queue_reset=off'
        self.boot(nic, mtu=9000, pairs=2, netdev=',vhost=off')
        self.start_work()
        self.migrate(1, nic)
        self.migrate(0, nic, netdev=',vhost=off')
        self.end_work()
        self.check_traffic()

    def test_migration_broken_off(self):
        """The guest goes on where it is, and can migrate later."""
        self.boot(mtu=9000, pairs=2)
        self.start_work()
        for end in (Migration.cancel, Migration.lose):
            migration = self.new_migration(1)
            migration.start()
            migration.next_round()
            self.fill_memory()
            end(migration)
            self.check_memory()
            self.check_traffic()
        self.migrate(1)
        self.end_work()
        self.check_traffic()

    def test_migration_interface_down(self):
        """The destination's, which the guest finds out; then the source's."""
        self.boot(mtu=9000, pairs=2)
        self.migrate_without(1, QEMU_IFS[1])
        self.assertTrue(self.guest.wait_carrier(False))
        self.network.qemu('ip', 'link', 'set', QEMU_IFS[1], 'up')
        self.assertTrue(self.guest.wait_carrier(True))
        self.check_traffic()

        self.migrate_without(0, QEMU_IFS[1])
        # A link that the user had lowered would look the same.
        self.guest.vm.cmd('set_link', name='n0', up=True)
        self.assertTrue(self.guest.wait_carrier(True))
        self.check_traffic()

    def migrate_without(self, pair, interface):
        """Move the guest to @pair; @interface goes down meanwhile."""
        migration = self.new_migration(pair)
        migration.start()
        self.network.qemu('ip', 'link', 'set', interface, 'down')
        migration.next_round()
        migration.finish()
        self.network.use_pair(pair)
        self.guest = migration.destination
        migration.source.close()


if __name__ == '__main__':
    QemuSystemTest.main()
