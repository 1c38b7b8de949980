"""Hold on a kind of work in a data folder: a backup takes it, and services that do the work then wait.

A hold is a lock on a file, so that it works across processes and ends with the process that took it. Those who do the
work take a shared lock for each piece of it. A second file is the door: whoever wants the hold locks it first, so that
the pieces of work in progress end and no new one begins.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import time
from collections.abc import AsyncIterator, Iterator
from enum import StrEnum
from pathlib import Path

from argosy.contracts.errors import Conflict

_POLL_S = 0.02


class Work(StrEnum):
    """Kinds of work that a backup holds."""

    CHANGES = "changes"
    """Changes of the store's files."""
    REMOVALS = "removals"
    """Deletion of data that no longer belongs to a visible document."""


class Hold:
    """Hold on one kind of work in `data_dir`. One object serves one thread or one event loop; others need their own."""

    def __init__(self, data_dir: Path, work: Work) -> None:
        self._folder = data_dir / "holds"
        self._work = work
        self._files: tuple[int, int] | None = None
        self._sharing = 0

    def _open(self) -> tuple[int, int]:
        if self._files is None:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            door, lock = (
                os.open(self._folder / f"{self._work}.{name}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
                for name in ("door", "lock")
            )
            self._files = door, lock
        return self._files

    @contextlib.contextmanager
    def taken(self, wait_s: float) -> Iterator[None]:
        """Hold the work while the block runs, after the pieces in progress have ended.

        Raises: Conflict when another process has the hold, or the work does not end within `wait_s`.
        """
        door, lock = self._open()
        until_s = time.monotonic() + wait_s
        try:
            for file in (door, lock):
                while not _try(file, fcntl.LOCK_EX):
                    if time.monotonic() >= until_s:
                        raise Conflict(
                            "Another backup of this fleet is running, or a long deletion is; try again when it ends."
                        )
                    time.sleep(_POLL_S)
            yield
        finally:
            for file in (lock, door):
                fcntl.flock(file, fcntl.LOCK_UN)

    def enter(self) -> bool:
        """Begin a piece of the work, unless it is held. Returns: whether it has begun; then `leave` must follow."""
        door, lock = self._open()
        if not _try(door, fcntl.LOCK_SH):
            return False
        try:
            if self._sharing == 0 and not _try(lock, fcntl.LOCK_SH):
                return False
        finally:
            fcntl.flock(door, fcntl.LOCK_UN)
        self._sharing += 1
        return True

    def leave(self) -> None:
        """End a piece of the work."""
        self._sharing -= 1
        if self._sharing == 0:
            fcntl.flock(self._open()[1], fcntl.LOCK_UN)

    @contextlib.asynccontextmanager
    async def shared(self) -> AsyncIterator[None]:
        """Do a piece of the work in the block, which begins when nobody holds the work."""
        await self._entered()
        try:
            yield
        finally:
            self.leave()

    async def _entered(self) -> None:
        while True:  # the hold is another process's, so there is no event to wait for
            if self.enter():
                return
            await asyncio.sleep(_POLL_S)

    @contextlib.contextmanager
    def attempted(self) -> Iterator[bool]:
        """Do a piece of the work in the block if nobody holds it. Yields: whether the work may be done."""
        entered = self.enter()
        try:
            yield entered
        finally:
            if entered:
                self.leave()

    def close(self) -> None:
        for file in self._files or ():
            os.close(file)
        self._files = None


def _try(file: int, kind: int) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
