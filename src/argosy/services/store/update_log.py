"""Durability of a shard's update log without Edge.

Edge writes each update to memory-mapped files below `wal/` and replays them when it opens the shard. An update
therefore survives the death of the process at once, and a loss of power as soon as these files are synced. Edge's own
`flush` does this too, but it also rewrites tables of the whole shard and holds the interpreter's lock until the disk
has finished. Syncing only the log takes one `fsync`, and other threads continue.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from argosy.contracts.errors import Internal, StorageFull

_SCANS = 100
"""Most scans of the folder. Edge renames a full log file at most once per 32 MB of updates, so two scans suffice."""


class UpdateLog:
    """Update log of one shard. Call `sync` and `sync_all` on one thread; another may use the shard meanwhile."""

    def __init__(self, shard: Path) -> None:
        self._shard = shard
        self._folder = shard / "wal"
        self._names: frozenset[str] = frozenset()
        """Names of the log files whose directory entries are durable."""
        self._closed: frozenset[str] = frozenset()
        """Full log files that were synced after they were closed and are never written again."""

    def sync(self) -> None:
        """Make every update acknowledged before this call survive a loss of power.

        Raises: StorageFull when the disk is full; Internal when the disk fails.
        """
        with _disk_errors():
            for _ in range(_SCANS):
                names = frozenset(os.listdir(self._folder))
                if self._sync(names):
                    return
            raise Internal("The collection's update log changes faster than it can be synced.")

    def sync_all(self) -> None:
        """Write back every file of the shard, so that a following flush has little left to write.

        Raises: StorageFull when the disk is full; Internal when the disk fails.
        """
        with _disk_errors():
            for folder, _, files in os.walk(self._shard):
                for name in files:
                    try:
                        _sync(os.path.join(folder, name))
                    except FileNotFoundError:  # a temporary file, or a renamed log file
                        continue

    def _sync(self, names: frozenset[str]) -> bool:
        """Sync the named files. Returns: False when a file was renamed meanwhile, so the names must be read again."""
        closed = frozenset(name for name in names if name.startswith("closed-"))
        written = [name for name in names if name.startswith("open-")]
        try:
            for name in (*sorted(closed - self._closed), *written):
                _sync(self._folder / name)
        except FileNotFoundError:
            return False
        if names != self._names:
            _sync(self._folder)
            self._names = names
        self._closed = closed
        return True


def _sync(path: str | Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _disk_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageFull(
                "The disk is full, so the store could not make the change durable. Free disk space."
            ) from error
        raise Internal("The disk failed, so the store could not make the change durable. Check the disk.") from error
