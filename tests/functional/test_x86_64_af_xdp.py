#!/usr/bin/env python3
#
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Functional tests of -netdev af-xdp: a Linux guest and its host exchange
# packets over a veth pair, in network namespaces of their own

import os
import signal
import sys
import time

from qemu_test import QemuSystemTest

from af_xdp_guest import GuestError
from af_xdp_migration import Migration
from af_xdp_network import GUEST_IP, PEER_IF, PEER_IP, QEMU_IF, QEMU_IFS
from af_xdp_testcase import AfXdpTestCase, MEBIBYTE, TRAFFIC


# Bits of virtio's features
HOST_MTU, MERGEABLE, INDIRECT, EVENT_IDX, VERSION_1, PACKED = (
    3, 15, 28, 29, 32, 34)
LONG_QUEUES = ('rx_queue_size=1024', 'tx_queue_size=1024')


def setUpModule():
    """Have SIGTERM end the run as Ctrl-C does, with all taken down."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


class AfXdp(AfXdpTestCase):

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


class AfXdpZeroCopy(AfXdpVhost):
    """The same with the guest's memory as the sockets'"""

    # Nothing of the sockets' memory is in these.
    test_set_link = None
    test_mac_filter = None
    test_device_moved = None
    test_guest_without_mq = None
    test_migration_packed = None
    test_migration_paths = None
    test_migration_broken_off = None
    test_migration_interface_down = None

    GUEST_OPTIONS = {'shared': ('ram0',)}

    def netdev_options(self, nic, netdev):
        return netdev + ('' if 'vhost=off' in netdev else ',zero-copy=on')

    def check_path(self, guest):
        super().check_path(guest)
        for queue in guest.queue_info():
            if guest.wants_vhost:
                self.assertRegex(queue['zero-copy'], r'^on \(window')

    def check_direct(self):
        """Packets went through the guest's own buffers."""
        queues = self.guest.queue_info()
        for counter in ('rx-direct', 'tx-direct'):
            self.assertGreater(sum(int(queue.get(counter, 0))
                                   for queue in queues), 0, queues)

    def test_ping_and_tcp(self):
        super().test_ping_and_tcp()
        self.check_direct()

    def test_mtu_9000(self):
        super().test_mtu_9000()
        self.check_direct()

    def test_large(self):
        """RAM below and above the hole under 4 GiB, of two NUMA nodes"""
        self.boot(shared=('node0', 'node1'), memory=4096)
        self.ping_both_ways()
        self.tcp_both_ways()
        self.check_direct()


if __name__ == '__main__':
    QemuSystemTest.main()
