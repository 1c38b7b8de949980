"""Copy of a folder that keeps the holes of sparse files: an index reserves far more room than it uses."""

from __future__ import annotations

import errno
import os
from pathlib import Path

BLOCK_BYTES = 512
_STEP_BYTES = 2**23


def allocated_bytes(folder: Path) -> int:
    """Return the disk space that the files below `folder` take. Files that vanish meanwhile count as nothing."""
    size = 0
    for path in folder.rglob("*"):
        try:
            size += path.lstat().st_blocks * BLOCK_BYTES
        except FileNotFoundError:
            continue
    return size


def copy_folder(source: Path, target: Path) -> None:
    """Copy all files below `source` to the new folder `target` (mode 0700). Nothing is synced to disk.

    Other threads continue meanwhile. Raises: OSError when the disk is full or fails.
    """
    target.mkdir(mode=0o700, parents=True)
    for folder, names, files in os.walk(source):
        there = target / Path(folder).relative_to(source)
        for name in names:
            (there / name).mkdir(mode=0o700)
        for name in files:
            copy_file(Path(folder) / name, there / name)


def copy_file(source: Path, target: Path) -> None:
    """Copy one file (mode 0600) without its holes."""
    reading = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
    try:
        writing = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            size = os.fstat(reading).st_size
            os.truncate(writing, size)
            at = 0
            while at < size and (start := _data(reading, at, size)) < size:
                end = at = _hole(reading, start, size)
                _copy_range(reading, writing, start, end)
        finally:
            os.close(writing)
    finally:
        os.close(reading)


def _data(file: int, at: int, size: int) -> int:
    """Return the start of the next data from `at`, or `size` when only a hole follows."""
    try:
        return os.lseek(file, at, os.SEEK_DATA)
    except OSError as error:
        if error.errno == errno.ENXIO:
            return size
        return at


def _hole(file: int, at: int, size: int) -> int:
    try:
        return os.lseek(file, at, os.SEEK_HOLE)
    except OSError:
        return size


def _copy_range(reading: int, writing: int, start: int, end: int) -> None:
    while start < end:
        data = os.pread(reading, min(_STEP_BYTES, end - start), start)
        if not data:
            return
        view = memoryview(data)
        while view:
            written = os.pwrite(writing, view, start)
            view = view[written:]
            start += written
