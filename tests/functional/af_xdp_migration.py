# SPDX-License-Identifier: GPL-2.0-or-later
#
# A guest moves to another QEMU while it has work to do

"""Live migration of a Guest, step by step."""

import socket
import threading
import time

from af_xdp_guest import GuestError


# A guest at work on a slow machine takes less, or it never ends.
TIMEOUT = 180
# How much is let through at once: much less than what DIRTY_MEMORY writes.
STEP = 1 << 18
# Some megabytes that are not zero, as zeros are hardly worth sending. Always
# the same pages: pages set free would be the next to receive packets, and
# they are sent anyway.
DIRTY_MEMORY = ('(for i in 0 2 4 6; do dd if=/bin/busybox of=/tmp/dirty '
                'bs=1M seek=$i conv=notrunc; done) 2> /dev/null')


class Link(threading.Thread):
    """What one QEMU sends to the other passes here, as far as it may."""

    def __init__(self, path, destination):
        """
        @path: where to listen for the source
        @destination: where the destination listens
        """
        super().__init__(daemon=True)
        self._there = socket.socket(socket.AF_UNIX)
        self._there.connect(destination)
        self._server = socket.socket(socket.AF_UNIX)
        self._server.bind(path)
        self._server.listen()
        self._allowed = 0
        self._changed = threading.Condition()
        self.start()

    def allow(self, length):
        """Let the next @length bytes through; None: all from now on."""
        with self._changed:
            if self._allowed is not None:
                self._allowed = length
            self._changed.notify()

    def run(self):
        with self._server, self._there:
            here = self._server.accept()[0]
            with here:
                try:
                    self._forward(here)
                except OSError:
                    # One of them has died; the other one hears of it now.
                    pass

    def _forward(self, here):
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._allowed != 0)
                most = min(self._allowed or STEP, STEP)
            data = here.recv(most)
            if not data:
                return
            self._there.sendall(data)
            with self._changed:
                if self._allowed is not None:
                    self._allowed -= len(data)


class Migration:
    """
    One migration.

        start() -> next_round() ... -> finish()   it runs at its destination
                        |
                        +------------> cancel()   it stays where it is
                        +------------> lose()

    Between these steps nothing is sent: the guest runs on, and what is
    written to memory that has been sent has to be sent again.
    """

    def __init__(self, source, destination, path):
        """
        @source: the Guest that runs
        @destination: a Guest, not started yet
        @path: prefix for the names of UNIX sockets
        """
        self.source = source
        self.destination = destination
        self._path = path
        self._link = None
        self._rounds = 1

    def start(self):
        """Both sides are ready, and from now on writes to memory count."""
        there, here = self._path + '.there', self._path + '.here'
        self.destination.listen(there)
        self._link = Link(here, there)
        self.source.vm.cmd('migrate-set-parameters',
                           {'max-bandwidth': 1 << 30, 'downtime-limit': 1})
        self.source.vm.cmd('migrate', uri=f'unix:{here}')
        self._wait(lambda info: info['status'] == 'active', 'start')

    def next_round(self):
        """
        Send everything, the first time, or what was written since it was
        sent, until the next of these rounds has begun.
        """
        # So that the next one will not be the last one
        self.source.run(DIRTY_MEMORY, timeout=TIMEOUT)
        self._rounds += 1
        self._wait(lambda info: info['ram']['dirty-sync-count'] >=
                   self._rounds, 'next round', step=STEP)

    def finish(self):
        """Stop the guest here, go on there."""
        self.source.vm.cmd('migrate-set-parameters',
                           {'downtime-limit': 10000})
        self._link.allow(None)
        self._wait(lambda info: info['status'] == 'completed', 'end')
        self.destination.take_over(self.source)

    def cancel(self):
        """Give up; the destination ends."""
        self.source.vm.cmd('migrate_cancel')
        self._link.allow(None)
        self._wait(lambda info: info['status'] == 'cancelled', 'end')
        self.destination.close()

    def lose(self):
        """The destination dies."""
        self.destination.close()
        self._link.allow(None)
        self._wait(lambda info: info['status'] == 'failed', 'end')

    def close(self):
        """Have nothing left that waits."""
        if self._link:
            self._link.allow(None)

    def _wait(self, done, what, step=0):
        """@step: bytes to let through each time before it is asked again"""
        deadline = time.monotonic() + TIMEOUT
        while True:
            info = self.source.vm.cmd('query-migrate')
            # No status: it is about to start.
            if 'status' in info and done(info):
                return
            if info.get('status') in ('completed', 'failed', 'cancelled'):
                raise GuestError(f'no {what} of the migration, it has '
                                 f'{info["status"]}: '
                                 f'{info.get("error-desc", "")}')
            if time.monotonic() > deadline:
                raise GuestError(f'no {what} of the migration within '
                                 f'{TIMEOUT} s: {info}')
            if step:
                self._link.allow(step)
            time.sleep(0.005 if step else 0.05)
