"""Checks before a fleet starts. Each failure is one sentence with a remedy."""

from __future__ import annotations

import contextlib
import errno
import os
import random
import shutil
import socket
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from argosy.contracts.errors import StartError
from argosy.serving import private_file, token_file

UNASSIGNED_PORTS = range(20_000, 32_000)
"""Ports below the range from which Linux assigns ports by itself (32768 to 60999)."""
PORTS_TRIED = 20
BACKLOG = 512
PARTS = ("run", "logs")
LEAST_ROOM_BYTES = 2**20
"""Least disk space that the files of a start take."""
NO_ROOM = "No space is left on the disk of data_dir"
MARKS = ("token", "run", "logs", "control.db")
"""Names that identify the data folder of a fleet."""


def prepare_data_dir(data_dir: Path) -> None:
    """Create the folder (0700), or check that it is private to this user, writable, and empty or the data of a fleet.

    Raises: StartError when a check fails.
    """
    is_new = not data_dir.exists()
    if not is_new and not data_dir.is_dir():
        raise StartError(f"data_dir {data_dir} is not a folder. Choose another with --data-dir.")
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        owner = data_dir.stat().st_uid
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise StartError(f"data_dir {data_dir} cannot be created: {reason}. Choose another with --data-dir.") from error
    if owner != os.geteuid():
        raise StartError(
            f"data_dir {data_dir} belongs to another user (uid {owner}). Run as that user, or choose another "
            "with --data-dir."
        )
    with explained(data_dir):
        if is_new or not any(data_dir.iterdir()):
            data_dir.chmod(0o700)
        elif not any((data_dir / mark).exists() for mark in MARKS):
            raise StartError(
                f"data_dir {data_dir} holds files that do not belong to a fleet. Choose an empty or new folder with "
                "--data-dir."
            )
        private_file.check_folder(data_dir)
        _require_writable(data_dir)
        _check_parts(data_dir)


def make_parts(data_dir: Path) -> None:
    """Create the missing folders inside data_dir (0700). Raises: StartError when that fails or one is not private."""
    with explained(data_dir):
        for name in PARTS:
            (data_dir / name).mkdir(mode=0o700, exist_ok=True)
        _check_parts(data_dir)


def _check_parts(data_dir: Path) -> None:
    """Check the folders inside data_dir.

    Raises: StartError when one is a symbolic link; NotPrivate when another user can put files into one.
    """
    for part in (data_dir / name for name in PARTS):
        if part.is_symlink():
            raise StartError(f"{part} is a symbolic link, and links are not followed here. Remove it.")
        if part.exists():
            private_file.check_folder(part)


def _require_writable(folder: Path) -> None:
    """Write and remove a file of LEAST_ROOM_BYTES.

    Raises: StartError without write permission; OSError when the disk is full or read-only.
    """
    probe = folder / f".probe-{os.getpid()}"
    try:
        with probe.open("wb") as stream:
            stream.write(b"\0" * LEAST_ROOM_BYTES)
            stream.flush()
            os.fsync(stream.fileno())
    except PermissionError as error:
        raise StartError(
            f"data_dir {folder} is not writable. Give yourself write access, or use --data-dir."
        ) from error
    finally:
        with contextlib.suppress(OSError):
            probe.unlink(missing_ok=True)


def fleet_token(data_dir: Path) -> str:
    """Return the fleet's token, created on first use and kept in `data_dir/token` (0600).

    Raises: OSError when the file cannot be read or written; StartError when it is not private or not a token.
    """
    return token_file.read_or_make(data_dir)


@contextlib.contextmanager
def explained(data_dir: Path) -> Iterator[None]:
    """Turn errors of the disk or the database at the start into one sentence with a remedy.

    Raises: StartError in place of OSError and sqlite3.Error.
    """
    try:
        yield
    except OSError as error:
        raise StartError(_disk_sentence(error, data_dir)) from error
    except sqlite3.Error as error:
        raise StartError(_database_sentence(error, data_dir)) from error


def _disk_sentence(error: OSError, data_dir: Path) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"{NO_ROOM} {data_dir}. Free at least 1 GiB and start again, or choose another data_dir with --data-dir."
    if error.errno == errno.EROFS:
        return f"The disk of data_dir {data_dir} is read-only. Make it writable, or choose another with --data-dir."
    place = data_dir if error.filename is None else error.filename
    return (
        f"{place} cannot be used: {error.strerror or error}. Give yourself read and write access to it, or choose "
        "another data_dir with --data-dir."
    )


def _database_sentence(error: sqlite3.Error, data_dir: Path) -> str:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    with contextlib.suppress(OSError):
        if code == sqlite3.SQLITE_FULL or shutil.disk_usage(data_dir).free < LEAST_ROOM_BYTES:
            return _disk_sentence(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), data_dir)
    path = data_dir / "control.db"
    if code in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
        return (
            f"{path} is damaged ({error}). It holds the fleet's history and no documents: move it away, together with "
            "control.db-wal and control.db-shm, and start again."
        )
    if code == sqlite3.SQLITE_BUSY:
        return f"{path} is in use by another program. Close that program, and start again."
    return f"{path} cannot be used: {error}. Give yourself read and write access to it, and start again."


def free_port(host: str, port: int, option: str) -> int:
    """Return `port`, or a free port when it is 0.

    The caller's process listens there seconds later. The system could assign a port of its own range to another process
    by then, so the free port is chosen from UNASSIGNED_PORTS.

    Raises: StartError when the port is taken.
    """
    with listener(host, port, option) as opened:
        return int(opened.getsockname()[1])


def listener(host: str, port: int, option: str) -> socket.socket:
    """Return a socket that listens at `port`, or at a free port when it is 0.

    Raises: StartError when the port cannot be opened; `option` is the command-line option named in the remedy.
    """
    for candidate in random.sample(UNASSIGNED_PORTS, PORTS_TRIED) if port == 0 else ():
        with contextlib.suppress(StartError):
            return _opened(host, candidate, option)
    return _opened(host, port, option)


def _opened(host: str, port: int, option: str) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    opened = socket.socket(family, socket.SOCK_STREAM)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        opened.bind((host, port))
        opened.listen(BACKLOG)
    except OSError as error:
        opened.close()
        raise StartError(
            f"Port {port} on {host} cannot be opened ({error.strerror}). Stop what uses it, or choose another with "
            f"{option}."
        ) from error
    return opened
