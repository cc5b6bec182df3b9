# SPDX-License-Identifier: GPL-2.0-or-later
#
# The peer's half of the traffic, run inside its network namespace
#
#   send ADDRESS PORT FILE     connect, send FILE, wait for the other end
#   receive PORT               accept, print length and SHA-256 of what came
#   flows ADDRESS PORT N COUNT send COUNT UDP packets from each of N sockets

"""The peer's half of the traffic."""

import hashlib
import socket
import sys
import time


def connect(address, port):
    """Connect, with patience: the other end may not listen yet."""
    deadline = time.monotonic() + 10
    while True:
        try:
            return socket.create_connection((address, port), timeout=60)
        except ConnectionRefusedError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def send(address, port, path):
    """Send the file @path."""
    with connect(address, int(port)) as link, open(path, 'rb') as file:
        link.sendfile(file)
        link.shutdown(socket.SHUT_WR)
        while link.recv(4096):
            pass


def receive(port):
    """Print length and digest of what one connection brings."""
    digest = hashlib.sha256()
    length = 0
    with socket.create_server(('', int(port))) as server:
        server.settimeout(60)
        print('listening', flush=True)
        with server.accept()[0] as link:
            link.settimeout(60)
            while data := link.recv(1 << 16):
                digest.update(data)
                length += len(data)
    print(length, digest.hexdigest())


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


if __name__ == '__main__':
    {'send': send, 'receive': receive, 'flows': flows}[sys.argv[1]](
        *sys.argv[2:])
