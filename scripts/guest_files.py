# SPDX-License-Identifier: GPL-2.0-or-later
#
# Programs and files of this machine for a guest's initramfs

"""
An initramfs may be of several archives, one after the other.  Here are those
that bring programs of this machine, with their libraries, into a guest.
"""

import hashlib
import os
from pathlib import Path
import re
import shutil
import subprocess


class FilesError(Exception):
    """What is missing, in words for the user."""


def find_program(name):
    """The file of the program @name, a path or a name to look for."""
    path = os.environ.get('PATH', os.defpath) + ':/usr/sbin:/sbin'
    file = shutil.which(name, path=path)
    if not file:
        raise FilesError(f'{name}: no such program')
    return Path(file)


def libraries(program):
    """
    What @program is linked with: a list of (file, is_loader).

    A static program, or a script, has none.
    """
    done = subprocess.run(['ldd', program], check=False, text=True,
                          stdin=subprocess.DEVNULL, capture_output=True)
    if done.returncode:
        return []
    missing = re.findall(r'^\s*(\S+) => not found', done.stdout, re.MULTILINE)
    if missing:
        raise FilesError(f'{program} needs libraries that are missing: '
                         + ' '.join(missing))
    found = re.findall(r'^\s*(?:\S+ => )?(/\S+) \(0x', done.stdout,
                       re.MULTILINE)
    return [(Path(file), Path(file).name.startswith('ld-')) for file in found]


class Archive:
    """Files of this machine, each with its place in the guest."""

    def __init__(self):
        self.files = {}     # by place, relative to the guest's root
        self.links = {}     # the same: what they name

    def _add_file(self, source, place):
        self.files[str(place).lstrip('/')] = Path(source)

    def add(self, name, place=None):
        """
        Add the file or directory @name; links are followed.

        @place: in the guest; the same path if None
        """
        source = Path(os.path.abspath(name))
        place = Path(place or source)
        if not source.exists():
            raise FilesError(f'{name}: no such file or directory')
        if not source.is_dir():
            self._add_file(source, place)
            return
        for directory, _, names in os.walk(source, followlinks=True):
            for entry in names:
                file = Path(directory, entry)
                if file.is_file():
                    self._add_file(file, place / file.relative_to(source))

    def add_program(self, program, place=None, library_place=None):
        """
        Add a program and its libraries.

        @place: in the guest; the same path if None
        @library_place: directory for the libraries; where they are if None.
                        The loader, which a program names by its full path,
                        stays there in any case.
        """
        self.add(program, place)
        for library, is_loader in libraries(program):
            if library_place and not is_loader:
                self._add_file(library, Path(library_place) / library.name)
            else:
                self._add_file(library, library)

    def add_link(self, place, target):
        """Make a symbolic link at @place in the guest."""
        self.links[str(place).lstrip('/')] = str(target)

    def key(self):
        """A name that changes when a file, its place or its rights do."""
        digest = hashlib.sha256()
        for place, source in sorted(self.files.items()):
            stat = source.stat()
            digest.update(f'{place}\0{source}\0{stat.st_size} '
                          f'{stat.st_mtime_ns} {stat.st_mode}\n'.encode())
        digest.update(repr(sorted(self.links.items())).encode())
        return digest.hexdigest()[:16]

    def write(self, directory, archive):
        """
        Write the cpio file @archive.

        @directory: to work in; "root" is made there
        """
        root = Path(directory) / 'root'
        for place, source in self.files.items():
            target = root / place
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target)
        for place, target in self.links.items():
            (root / place).parent.mkdir(parents=True, exist_ok=True)
            (root / place).symlink_to(target)
        names = sorted(str(path.relative_to(root))
                       for path in root.rglob('*'))
        with open(archive, 'wb') as out:
            try:
                subprocess.run(['cpio', '--quiet', '-o', '-H', 'newc', '-R',
                                '0:0'], cwd=root, stdout=out, check=True,
                               input='\n'.join(names).encode())
            except (OSError, subprocess.CalledProcessError) as exc:
                raise FilesError(f'cannot make an archive: {exc}') from exc
        shutil.rmtree(root)
