# SPDX-License-Identifier: GPL-2.0-or-later
#
# The peer's half of the traffic, run inside its network namespace
#
#   send ADDRESS PORT FILE     connect, send FILE, wait for the other end
#   receive PORT               accept, print length and SHA-256 of what came
#   flows ADDRESS PORT N COUNT send COUNT UDP packets from each of N sockets
#   stream ADDRESS PORT RATE   connect, send RATE bytes a second until SIGTERM,
#                              print length and SHA-256 of what was sent
#   fill ADDRESS PORT FILE     connect, send FILE, print "acknowledged" as soon
#                              as all of it has arrived, read or not; wait for
#                              the other end
#   count PORT                 accept, print how many lines came: "1", "2", ...
#                              up to "end"
#   announced INTERFACE ADDRESS
#                              wait for a RARP frame and for an ARP broadcast
#                              in which the owner of ADDRESS says where it is

"""The peer's half of the traffic."""

import fcntl
import hashlib
import os
import signal
import socket
import struct
import sys
import termios
import time


# Seconds without any progress of a connection. Only a test that fails waits
# so long: a migration on a slow machine is part of it.
PATIENCE = 180


def connect(address, port):
    """Connect, with patience: the other end may not listen yet."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return socket.create_connection((address, int(port)),
                                            timeout=PATIENCE)
        except ConnectionRefusedError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def finish(link):
    """Tell the other end that this was all; wait for it to end as well."""
    link.shutdown(socket.SHUT_WR)
    while link.recv(4096):
        pass


def send(address, port, path):
    """Send the file @path."""
    with connect(address, port) as link, open(path, 'rb') as file:
        link.sendfile(file)
        finish(link)


def accept(port):
    """Say "listening" and return the first connection that comes."""
    with socket.create_server(('', int(port))) as server:
        server.settimeout(PATIENCE)
        print('listening', flush=True)
        link = server.accept()[0]
    link.settimeout(PATIENCE)
    return link


def receive(port):
    """Print length and digest of what one connection brings."""
    digest = hashlib.sha256()
    length = 0
    with accept(port) as link:
        while data := link.recv(1 << 16):
            digest.update(data)
            length += len(data)
    print(length, digest.hexdigest())


def stream(address, port, rate):
    """Send something new all the time, until SIGTERM."""
    stop = []
    signal.signal(signal.SIGTERM, lambda *_: stop.append(True))
    digest = hashlib.sha256()
    length = 0
    with connect(address, port) as link:
        print('connected', flush=True)
        while not stop:
            data = os.urandom(int(rate) // 20)
            link.sendall(data)
            digest.update(data)
            length += len(data)
            time.sleep(0.05)
        finish(link)
    print(length, digest.hexdigest())


def fill(address, port, path):
    """Send the file @path to somebody who does not read it yet."""
    with connect(address, port) as link, open(path, 'rb') as file:
        link.sendfile(file)
        while True:
            left = fcntl.ioctl(link, termios.TIOCOUTQ, bytes(4))
            if struct.unpack('i', left) == (0,):
                break
            time.sleep(0.05)
        print('acknowledged', flush=True)
        finish(link)


def count(port):
    """Check numbered lines; none may be missing, doubled or garbled."""
    with accept(port) as link, link.makefile('rb') as lines:
        for number, line in enumerate(lines, 1):
            if line == b'end\n':
                print(number - 1)
                return
            if line != b'%d\n' % number:
                print(f'line {number} is {line!r}')
                return
        print('the connection has ended early')


def flows(address, port, sockets, count):
    """Send from many ports, so that the packets spread over the queues."""
    senders = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
               for _ in range(int(sockets))]
    for _ in range(int(count)):
        for sender in senders:
            sender.sendto(b'x' * 64, (address, int(port)))
        # Slow enough for an emulated guest: what is tested is where the
        # packets go, not how fast.
        time.sleep(0.05)


def announced(interface, address):
    """Say what has come, of the two kinds of announcements."""
    owner = socket.inet_aton(address)
    links = []
    for kind in (0x0806, 0x8035):
        link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW,
                             socket.htons(kind))
        link.bind((interface, kind))
        link.settimeout(PATIENCE)
        links.append(link)
    print('listening', flush=True)
    arp, rarp = links
    rarp.recv(2048)
    while True:
        frame = arp.recv(2048)
        if (frame[:6] == b'\xff' * 6 and
                frame[28:32] == frame[38:42] == owner):
            break
    print('both')


if __name__ == '__main__':
    {'send': send, 'receive': receive, 'flows': flows, 'stream': stream,
     'fill': fill, 'count': count, 'announced': announced}[sys.argv[1]](
        *sys.argv[2:])
