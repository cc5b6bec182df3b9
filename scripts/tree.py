# SPDX-License-Identifier: GPL-2.0-or-later
#
"""What the assembled QEMU tree is made of: our files and patches/."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import tempfile

IGNORE = re.compile(r'(^\.|~$|\.(orig|rej|swp|o|pyc)$|^__pycache__$)')
# -p1 names in a patch; a file that a patch creates or deletes has /dev/null
# on the other side.
TOUCHED = re.compile(r'^--- (\S+).*\n\+\+\+ (\S+)', re.MULTILINE)


class TreeError(Exception):
    """Something in this repository does not fit the QEMU source."""


def overlay(top):
    """Paths, relative to TOP, of our files that have a place in QEMU."""
    conf = os.path.join(top, 'scripts/overlay.conf')
    found = set()
    with open(conf, encoding='utf-8') as lines:
        rooms = [line.strip() for line in lines]
    for room in rooms:
        if not room or room.startswith('#'):
            continue
        for where, dirs, files in os.walk(os.path.join(top, room)):
            dirs[:] = [d for d in dirs if not IGNORE.search(d)]
            for name in files:
                if not IGNORE.search(name):
                    path = os.path.join(where, name)
                    found.add(os.path.relpath(path, top))
    return sorted(found)


def patches(top):
    """Files of the patch series in the order they apply."""
    folder = os.path.join(top, 'patches')
    if not os.path.isdir(folder):
        return []
    return [os.path.join(folder, name) for name in sorted(os.listdir(folder))
            if name.endswith('.patch')]


def touched(patch):
    """Paths that a patch changes, creates or deletes."""
    with open(patch, encoding='utf-8') as source:
        text = source.read()
    paths = set()
    for old, new in TOUCHED.findall(text):
        for name in (old, new):
            if name != '/dev/null':
                paths.add(name.split('/', 1)[1])
    return paths


@contextlib.contextmanager
def scratch_directory(parent, name):
    """A directory below PARENT that is gone afterwards.

    Also after SIGTERM or SIGHUP, which become SystemExit; what a killed run
    of NAME left is removed by the next.
    """
    def terminated(signum, _frame):
        raise SystemExit(128 + signum)

    prefix = f'tmp.{name}.'
    for entry in os.listdir(parent):
        owner = entry[len(prefix):].split('.')[0]
        if (entry.startswith(prefix) and owner.isdigit()
                and not os.path.exists(f'/proc/{owner}')):
            shutil.rmtree(os.path.join(parent, entry))
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, terminated)
    with tempfile.TemporaryDirectory(dir=parent,
                                     prefix=f'{prefix}{os.getpid()}.') as path:
        yield path


def apply_patches(top, pristine, scratch):
    """Apply the series to copies of what it touches.

    Returns the touched paths. Afterwards SCRATCH holds their new contents; a
    path that is missing there was deleted by the series.
    """
    ours = set(overlay(top))
    paths = set()
    for patch in patches(top):
        name = os.path.basename(patch)
        for path in sorted(touched(patch)):
            if path in ours:
                raise TreeError(f'patches/{name} changes {path}, which is '
                                'a file of this repository')
            if path in paths:
                continue
            paths.add(path)
            source = os.path.join(pristine, path)
            target = os.path.join(scratch, path)
            os.makedirs(os.path.dirname(target), exist_ok=True)
            if os.path.exists(source):
                shutil.copy2(source, target)
        # No fuzz: a hunk that only nearly fits is for a human to look at.
        done = subprocess.run(['patch', '-p1', '-N', '-F0', '-s',
                               '--no-backup-if-mismatch', '-r', '-',
                               '-d', scratch, '-i', patch],
                              stdin=subprocess.DEVNULL, text=True,
                              stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, check=False)
        if done.returncode != 0:
            raise TreeError(f'patches/{name} does not apply to this QEMU:\n'
                            + done.stdout.rstrip())
    return paths
