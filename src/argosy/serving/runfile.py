"""The two files of a local replica: `run/ID.json` (what it is and where) and `run/ID.lock` (held while it lives).

The controller writes the record before it spawns the process; the process adds its port. A lock, not a
pid, says that a replica is alive: a zombie keeps its pid but not its lock.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import random
import time
from pathlib import Path

import msgspec

from argosy.serving import private_file

RUN_FILE_VARIABLE = "ARGOSY_RUN_FILE"
LOCK_VARIABLE = "ARGOSY_LOCK_FD"
"""The descriptor of a lock that the controller took for the process it was about to start."""
LOOKERS_GONE_WITHIN_S = 10.0
"""Longest wait for those who only look at a lock, each of whom shares it for some microseconds."""
LOOK_AGAIN_S = 0.002


class RunRecord(msgspec.Struct):
    """All a replica needs to start, and what others need to find it."""

    id: str
    service: str
    revision: str
    token: str
    """The fleet's token, for internal routes and the controller."""
    data_dir: str
    controller_url: str
    fleet_json: str
    """The fleet's settings as validated JSON."""
    cpu_share: float = 1.0
    """Cores this replica may count on."""
    public_host: str | None = None
    public_port: int | None = None
    health_path: str | None = None
    """For a program that is not built from our kit."""
    proves: bool = False
    """Whether this replica and its controller prove that they know the token; those of earlier versions cannot."""
    created_at: float = 0.0
    pid: int | None = None
    port: int | None = None
    error: str | None = None
    """Why the process gave up starting: one sentence for the start report."""

    @property
    def url(self) -> str | None:
        return None if self.port is None else f"http://127.0.0.1:{self.port}"


def record_path(run_dir: Path, replica_id: str) -> Path:
    return run_dir / f"{replica_id}.json"


def controller_path(run_dir: Path) -> Path:
    """The record of the controller, which tells its replicas and the command line where it listens."""
    return run_dir / "controller.json"


def lock_path(record: Path) -> Path:
    return record.with_suffix(".lock")


def busy_path(record: Path) -> Path:
    """Where a replica says that it is in an engine call which may block it."""
    return record.with_suffix(".busy")


def read(path: Path) -> RunRecord:
    """Raises: FileNotFoundError; msgspec.DecodeError for a damaged file; NotPrivate, it may be another user's."""
    return msgspec.json.decode(private_file.read(path), type=RunRecord)


def write(path: Path, record: RunRecord) -> None:
    """Replaces the record in one step."""
    write_private(path, msgspec.json.encode(record))


def write_private(path: Path, content: bytes) -> None:
    """Replace a file (0600) in one step and durably: a reader sees the old content or the new."""
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    temporary.unlink(missing_ok=True)  # left by a process of the same number that was killed
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    temporary.replace(path)


class ReplicaLock:
    """Held from before a replica does anything until its process ends, however it ends."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def acquire(self) -> int | None:
        """The descriptor that holds the lock, or None when another process does.

        The lock lives as long as any copy of the descriptor: handing it to a child hands over the lock. Somebody who
        looks whether the lock is held (`is_held`) shares it for a moment, which does not count as holding it: then this
        tries again.
        """
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        until_s = time.monotonic() + LOOKERS_GONE_WITHIN_S
        while not _flock(descriptor, fcntl.LOCK_EX):
            is_shared = _flock(descriptor, fcntl.LOCK_SH)
            fcntl.flock(descriptor, fcntl.LOCK_UN)
            if not is_shared or time.monotonic() > until_s:
                os.close(descriptor)
                return None
            time.sleep(random.uniform(0, LOOK_AGAIN_S))
        self._descriptor = descriptor
        return descriptor

    def inherit(self, descriptor: int) -> None:
        """Takes over the lock from the process that started this one; keeps it from this one's own children."""
        os.set_inheritable(descriptor, False)
        self._descriptor = descriptor

    def release(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def is_held(path: Path) -> bool:
    """Whether some process holds the lock; a missing file is not held.

    It asks for a shared lock, so that those who look do not take each other for a holder. The kernel's table of locks,
    which could be read without taking any, leaves out locks in containers whose first holder has ended.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        return not _flock(descriptor, fcntl.LOCK_SH)
    finally:
        os.close(descriptor)


def _flock(descriptor: int, kind: int) -> bool:
    """Whether the lock was free to take."""
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def remove(record: Path) -> None:
    """Remove the files of a replica that is gone, also those that a killed writer left half written."""
    left = record.parent.glob(f"{record.stem}.*.tmp")
    for path in (*left, busy_path(record), record, lock_path(record)):
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
