# SPDX-License-Identifier: GPL-2.0-or-later
#
# A libvirtd of the test's own

"""
libvirtd runs in the network namespace that QEMU's end of the veth pair is in,
and in a mount and a PID namespace of its own: it sees none of the machine's
domains, leaves none of its files, and takes its QEMUs with it when it ends,
also when this process is killed. What a killed process has left in /tmp, the
next one removes.
"""

import os
from pathlib import Path
import shutil
import signal
import subprocess
import tempfile
import time

from af_xdp_network import is_abandoned, owner_name

HERE = Path(__file__).resolve().parent
# Where private-libvirtd shows the build, also to users who cannot reach it
EMULATOR = '/run/af-xdp/qemu-system-x86_64'
# Emulated guests and a busy machine
TIMEOUT = 120
START_TIMEOUT = 60


class DaemonError(Exception):
    """libvirtd does not start, or virsh failed."""


class Daemon:
    """libvirtd and the virsh that talks to it."""

    def __init__(self, prefix, build, config, *, capabilities=()):
        """
        @prefix: what to put before its command, for the network namespace
        @build: QEMU's build directory, EMULATOR is in it
        @config: lines for qemu.conf
        @capabilities: all that it and its QEMUs have; none: those of root
        """
        # A socket's path must be short.
        for left in Path('/tmp').glob('axf-*'):
            if is_abandoned(left.name):
                shutil.rmtree(left, ignore_errors=True)
        self.directory = Path(tempfile.mkdtemp(prefix=f'{owner_name()}-',
                                               dir='/tmp'))
        self.directory.chmod(0o755)
        # For QEMU's own files, whoever it is
        self.files = self.directory / 'files'
        self.files.mkdir()
        self.files.chmod(0o777)
        self.uri = ('qemu+unix:///system?socket='
                    f'{self.directory}/libvirt-sock')
        lines = ['stdio_handler = "file"', 'security_driver = "none"',
                 'remember_owner = 0', *config]
        (self.directory / 'qemu.conf').write_text('\n'.join(lines) + '\n',
                                                  encoding='ascii')
        self._output = (self.directory / 'output').open('wb')
        self._child = subprocess.Popen(
            [*prefix, 'unshare', '--mount', '--pid', '--fork',
             '--kill-child=KILL', '--mount-proc',
             HERE / 'private-libvirtd', self.directory, build,
             ','.join(f'+{name}' for name in capabilities)],
            stdin=subprocess.DEVNULL, stdout=self._output,
            stderr=subprocess.STDOUT)

    def wait(self):
        """Wait until it answers."""
        deadline = time.monotonic() + START_TIMEOUT
        while True:
            done = self.run('list', check=False)
            if done.returncode == 0:
                return
            if self._child.poll() is not None or time.monotonic() > deadline:
                raise DaemonError(f'libvirtd does not answer: {done.stderr}'
                                  f'{self.log()}')
            time.sleep(0.1)

    def log(self):
        """What it has said."""
        text = ''
        for name in ('output', 'libvirtd.log'):
            try:
                text += (self.directory / name).read_text(errors='replace')
            except OSError:
                pass
        return text

    def qemu_log(self, domain):
        """What QEMU has said, after the command line that it was run with."""
        try:
            return (self.directory / 'log' / 'qemu' / f'{domain}.log'
                    ).read_text(errors='replace')
        except OSError:
            return ''

    def run(self, *words, check=True, timeout=TIMEOUT, pass_fds=()):
        """
        Run a command of virsh.

        @pass_fds: descriptors that virsh is to inherit
        """
        done = subprocess.run(['virsh', '--quiet', '-c', self.uri,
                               *(str(word) for word in words)],
                              stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=timeout, check=False,
                              pass_fds=pass_fds)
        if check and done.returncode:
            raise DaemonError(f'virsh {words[0]}: {done.stderr}{self.log()}')
        return done

    def virsh(self, *words, **kwargs):
        """The output of a command of virsh that must not fail."""
        return self.run(*words, **kwargs).stdout

    def pid(self):
        """Process 1 of its PID namespace, seen from here."""
        pid = self._child.pid
        while Path(f'/proc/{pid}/comm').read_text(
                encoding='ascii').strip() != 'private-libvirt':
            pid = Path(f'/proc/{pid}/task/{pid}/children').read_text(
                encoding='ascii').split()[0]
        return int(pid)

    def inside(self, *command, check=True):
        """Run a command in its mount, PID and network namespaces."""
        done = subprocess.run(['nsenter', f'--target={self.pid()}', '--mount',
                               '--pid', '--net',
                               *(str(word) for word in command)],
                              stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=TIMEOUT, check=False)
        if check and done.returncode:
            raise DaemonError(f'{command}: {done.stderr}{done.stdout}')
        return done.stdout

    def qemu_pid(self, domain):
        """The process of a domain's QEMU, seen from here; None without."""
        for entry in Path('/proc').iterdir():
            if not entry.name.isdigit():
                continue
            try:
                line = (entry / 'cmdline').read_bytes().split(b'\0')
                if (f'guest={domain},debug-threads=on'.encode() in line and
                        os.readlink(entry / 'ns/pid') ==
                        os.readlink(f'/proc/{self.pid()}/ns/pid')):
                    return int(entry.name)
            except OSError:
                continue
        return None

    def close(self, keep=None):
        """
        End it with all its QEMUs and remove its files.

        @keep: a directory for the logs
        """
        if self._child.poll() is None:
            os.kill(self._child.pid, signal.SIGTERM)
            try:
                self._child.wait(5)
            except subprocess.TimeoutExpired:
                self._child.kill()
                self._child.wait()
        self._output.close()
        if keep:
            for name in ('output', 'libvirtd.log', 'log'):
                source = self.directory / name
                target = Path(keep) / f'libvirt-{name}'
                if source.is_dir():
                    shutil.copytree(source, target, dirs_exist_ok=True)
                elif source.exists():
                    shutil.copy(source, target)
        shutil.rmtree(self.directory, ignore_errors=True)
