"""Trusted files in `data_dir`, which only the fleet's user may write.

A file that another user owns or could have changed is refused with a reason and a remedy. The file is opened without
following symbolic links and checked by its descriptor, so that it cannot be exchanged between check and read.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from argosy.contracts.errors import StartError

MAX_BYTES = 64 * 2**20
OTHERS_MAY_WRITE = 0o022
OTHERS_MAY_ANYTHING = 0o077


class NotPrivate(StartError):
    """A file or folder is owned by another user, or other users may read or change it."""


def read(path: Path) -> bytes:
    """Return the content of a file that only this user owns, reads and writes.

    Raises: NotPrivate when others have access to the file; OSError when it cannot be read.
    """
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        descriptor = os.open(path, flags)
    except OSError as error:
        if path.is_symlink():
            raise _link(path) from error
        raise
    try:
        _judge(path, os.fstat(descriptor), OTHERS_MAY_ANYTHING, "0600")
    except StartError:
        os.close(descriptor)
        raise
    with os.fdopen(descriptor, "rb") as stream:
        return stream.read(MAX_BYTES)


def check(path: Path) -> None:
    """Check a file that another library opens; a missing file passes.

    Raises: NotPrivate when others own it or may write it; OSError when it cannot be checked.
    """
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return
    if stat.S_ISLNK(found.st_mode):
        raise _link(path)
    _judge(path, found, OTHERS_MAY_WRITE, "0600")


def check_folder(folder: Path) -> None:
    """Check that no other user can put files into the folder.

    Raises: NotPrivate when another user can; OSError when the folder cannot be checked.
    """
    found = folder.stat()
    if not stat.S_ISDIR(found.st_mode):
        raise NotPrivate(f"{folder} is not a folder. Move it away, or choose another data_dir with --data-dir.")
    if found.st_uid != os.geteuid():
        raise NotPrivate(
            f"{folder} belongs to another user (uid {found.st_uid}). Run as that user, or choose another data_dir "
            "with --data-dir."
        )
    if found.st_mode & OTHERS_MAY_WRITE:
        mode = stat.S_IMODE(found.st_mode)
        raise NotPrivate(
            f"Other users may write into {folder} (mode {mode:04o}). Look for files in it that are not yours, then "
            f"run: chmod 700 {folder}"
        )


def _judge(path: Path, found: os.stat_result, forbidden: int, wanted: str) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise NotPrivate(f"{path} is not a regular file. Remove it; the fleet makes a new one.")
    if found.st_uid != os.geteuid():
        raise NotPrivate(
            f"{path} belongs to another user (uid {found.st_uid}). Run as that user; if the fleet is yours, somebody "
            "else put the file there: remove it."
        )
    if found.st_mode & forbidden:
        mode = stat.S_IMODE(found.st_mode)
        raise NotPrivate(
            f"{path} is open to other users (mode {mode:04o}, it must be {wanted}). If nobody else can have changed "
            f"it, run: chmod 600 {path}"
        )


def _link(path: Path) -> NotPrivate:
    return NotPrivate(f"{path} is a symbolic link, which is not followed. Remove it; the fleet makes a new file.")
