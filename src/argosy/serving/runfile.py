"""Files of a local replica: record, lock and mark.

`run/ID.json` is the record with the replica's identity and address. `run/ID.lock` is locked while the replica lives.
`run/ID.busy` exists while an engine call may keep the replica from answering, see `engine_call`.

The controller writes the record before it spawns the process; the process adds its port. The lock, not the pid, shows
that a replica is alive: a zombie keeps its pid but not its lock.
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
"""Variable with the descriptor of the lock that the controller acquired for the process before starting it."""
LOOKERS_GONE_WITHIN_S = 10.0
"""Longest wait for processes that only check the lock; each of them shares it for some microseconds."""
LOOK_AGAIN_S = 0.002


class RunRecord(msgspec.Struct):
    """Settings with which a replica starts, and the address at which others find it."""

    id: str
    service: str
    revision: str
    token: str
    """Token of the fleet, for internal routes and the controller."""
    data_dir: str
    controller_url: str
    fleet_json: str
    """Settings of the fleet as validated JSON."""
    cpu_share: float = 1.0
    """Number of cores that this replica can expect to have."""
    public_host: str | None = None
    public_port: int | None = None
    health_path: str | None = None
    """Path of the health check of a program that is not built from Argosy's kit."""
    proves: bool = False
    """Whether this replica and its controller prove that they know the token; earlier versions cannot."""
    created_at: float = 0.0
    pid: int | None = None
    port: int | None = None
    error: str | None = None
    """Reason why the process could not start: one sentence for the start report."""

    @property
    def url(self) -> str | None:
        return None if self.port is None else f"http://127.0.0.1:{self.port}"


def record_path(run_dir: Path, replica_id: str) -> Path:
    return run_dir / f"{replica_id}.json"


def controller_path(run_dir: Path) -> Path:
    """Return the path of the controller's record, from which replicas and the command line learn its address."""
    return run_dir / "controller.json"


def lock_path(record: Path) -> Path:
    return record.with_suffix(".lock")


def busy_path(record: Path) -> Path:
    """Return the path of the mark that exists while an engine call may block the replica."""
    return record.with_suffix(".busy")


def read(path: Path) -> RunRecord:
    """Read a record.

    Raises: FileNotFoundError when there is none; msgspec.DecodeError when the file is damaged; NotPrivate when another
    user may have written it.
    """
    return msgspec.json.decode(private_file.read(path), type=RunRecord)


def write(path: Path, record: RunRecord) -> None:
    """Replace the record atomically."""
    write_private(path, msgspec.json.encode(record))


def write_private(path: Path, content: bytes) -> None:
    """Replace a file (mode 0600) atomically and durably: a reader sees the old or the new content."""
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    temporary.unlink(missing_ok=True)  # left by a killed process with the same pid
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    temporary.replace(path)


class ReplicaLock:
    """Lock that a replica holds from its first step until its process ends, in any way."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def acquire(self) -> int | None:
        """Acquire the lock. Returns: the descriptor that holds it, or None when another process holds it.

        The lock lasts as long as any copy of the descriptor, so a child that inherits the descriptor holds the lock. A
        process that checks the lock (`is_held`) shares it for a moment, which does not count as holding it: in this
        case the acquisition is retried.
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
        """Take over the lock from the parent process; children of this process do not inherit it."""
        os.set_inheritable(descriptor, False)
        self._descriptor = descriptor

    def release(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def is_held(path: Path) -> bool:
    """Return whether a process holds the lock; the lock of a missing file is not held.

    The check takes a shared lock, so that simultaneous checks do not mistake each other for a holder. Reading the
    kernel's table of locks instead is not reliable: in containers it omits locks whose first holder has ended.
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
    """Try to take the lock. Returns: whether it was free."""
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def remove(record: Path) -> None:
    """Remove the files of an ended replica, including temporary files that a killed writer left."""
    left = record.parent.glob(f"{record.stem}.*.tmp")
    for path in (*left, busy_path(record), record, lock_path(record)):
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
