"""A small file system, and a way to fill it."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

DISK_BYTES = 512 * 2**20


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """Mount a file system of DISK_BYTES at `folder`. Skip the test where mounting is not permitted."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("only root can mount a small file system to fill")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES},mode=0700", "tmpfs", folder],
        capture_output=True,
        check=False,
    )
    if mounted.returncode != 0:
        pytest.skip(f"this machine lets nobody mount: {mounted.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


@contextlib.contextmanager
def filled(folder: Path, leaving_bytes: int = 0) -> Iterator[None]:
    """Fill the file system for the block, except for `leaving_bytes`."""
    handle, name = tempfile.mkstemp(prefix="ballast-", dir=folder)
    with open(handle, "wb", buffering=0) as ballast:
        for size in (2**20, 2**12):
            with contextlib.suppress(OSError):
                while _free_bytes(folder) >= leaving_bytes + size and ballast.write(b"x" * size) == size:
                    pass
    try:
        yield
    finally:
        os.unlink(name)


def _free_bytes(folder: Path) -> int:
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize
