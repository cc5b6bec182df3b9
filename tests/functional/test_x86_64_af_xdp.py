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
from af_xdp_network import GUEST_IP, Network, PEER_IF, PEER_IP, QEMU_IF


TRAFFIC = os.path.join(os.path.dirname(os.path.abspath(__file__)),
                       'af_xdp_traffic.py')
TOOLS = ('bpftool', 'ip', 'ethtool', 'iperf3', 'ping', 'setpriv', 'sysctl')
PORT = 5001
MEBIBYTE = 1 << 20
# Flows to use all of N queues with: 64 random ones miss one of 4 queues once
# in 25 million runs.
FLOWS = 64
PACKETS_PER_FLOW = 10


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

    def netdev_options(self, nic, netdev):
        """The options to use where a test asks for @netdev with @nic."""
        return netdev

    def boot(self, nic='virtio-net-pci', netdev='', queues=1, mtu=1500):
        """Make the network and boot a guest that is connected to it."""
        try:
            image_files(self.images, nic)
        except GuestError as exc:
            self.skipTest(str(exc))
        self.network = Network(queues, mtu)
        self.addCleanup(self.network.close)
        self.guest = Guest(self.qemu_bin, self.images, self.network,
                           self.outputdir, nic=nic,
                           netdev=self.netdev_options(nic, netdev))
        self.console_log_name = str(self.guest.console_log)
        self.addCleanup(self.guest.close)
        self.guest.boot()

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
                                '-W', '5', '-c', str(count), '-s', str(size),
                                GUEST_IP, check=False)
        self.assertIn(f' {count} received, 0% packet loss', out)
        out = self.guest.run(f'ping -q -c {count} -i 0.2 -W 5 -s {size} '
                             f'{PEER_IP}', check=False)
        self.assertIn(f' {count} packets received, 0% packet loss', out)

    def wait_ping(self, timeout=10):
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
                          'send', GUEST_IP, str(PORT), path, timeout=90)
        received = self.guest.finish(listening, timeout=90).output
        self.assertEqual(received.split()[0], digest,
                         'the guest received something else than was sent')
        to_guest = time.monotonic() - started

        started = time.monotonic()
        receiver = self.peer_start(sys.executable, TRAFFIC,
                                   'receive', str(PORT))
        self.assertEqual(receiver.stdout.readline().strip(), 'listening')
        self.guest.run(f'nc {PEER_IP} {PORT} < /tmp/data; rm /tmp/data',
                       timeout=90)
        out, _ = receiver.communicate(timeout=30)
        self.assertEqual(out.split(), [str(length), digest],
                         'the host received something else than was sent')
        self.log.info('%d bytes: %.1f s to the guest, %.1f s back',
                      length, to_guest, time.monotonic() - started)

    def flows_to_guest(self):
        """Many UDP flows to the guest, none of whose packets may get lost."""
        before = self.guest.udp_packets()
        self.network.peer(sys.executable, TRAFFIC, 'flows', GUEST_IP,
                          '9', str(FLOWS), str(PACKETS_PER_FLOW))
        expected = FLOWS * PACKETS_PER_FLOW
        deadline = time.monotonic() + 10
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
        ports = (5201, 5202)
        for port in ports:
            self.guest.run(f'iperf3 -s -1 -D -p {port}')
            self.guest.wait_listening(port)
        clients = [self.peer_start('iperf3', '-c', GUEST_IP, '-J',
                                   '-p', str(port), '-t', str(seconds),
                                   '-P', str(connections), *way)
                   for port, way in zip(ports, ((), ('-R',)))]
        for client in clients:
            text, _ = client.communicate(timeout=seconds + 30)
            answer = json.loads(text)
            self.assertNotIn('error', answer)
            streams = answer['end']['streams']
            self.assertEqual(len(streams), connections)
            for stream in streams:
                self.assertGreater(stream['receiver']['bytes'], 0,
                                   'a connection starved')

    def no_program(self, programs):
        """None of @programs may be loaded any more."""
        for program in programs:
            # Freed after a grace period of the kernel's RCU.
            deadline = time.monotonic() + 5
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

    def test_four_queues(self):
        self.boot(queues=4)
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

        again = Guest(self.qemu_bin, self.images, self.network,
                      self.outputdir)
        self.addCleanup(again.close)
        again.boot()
        self.guest = again
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
        before = self.guest.cpu_seconds()
        time.sleep(2)
        self.assertLess(self.guest.cpu_seconds() - before, idle + 0.6,
                        'QEMU spins')
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
        out = self.network.peer('ping', '-n', '-q', '-i', '0.2', '-W', '2',
                                '-c', '5', address, check=False)
        self.assertIn(' 5 received', out)
        (after,) = self.guest.queue_info()
        self.assertGreaterEqual(int(after['filtered']),
                                int(before['filtered']) + 5)
        self.ping_both_ways()
        self.tcp_both_ways(4 * MEBIBYTE)


class AfXdpVhost(AfXdp):
    """The same with the experimental fast path, where virtio-net can use it"""

    # Nothing of the netdev is in it.
    test_daemon_ends = None
    # Other network cards do not start vhost.
    test_e1000e = None
    test_mtu_9000_e1000e = None

    def netdev_options(self, nic, netdev):
        return netdev + ',x-vhost=on'

    def boot(self, *args, **kwargs):
        super().boot(*args, **kwargs)
        (first, *_) = self.guest.queue_info()
        self.assertEqual(first.get('vhost'), 'on', 'vhost is not in use')


if __name__ == '__main__':
    QemuSystemTest.main()
