"""A mark beside the run file that says "an engine call runs since T".

An engine that holds the interpreter's lock while it waits for the disk silences the whole process: no probe is answered
and CPU time stands still, which looks exactly like a hang. The mark is the evidence from outside that the process is
waiting for its disk. The supervisor reads it and withholds the verdict while the mark is young.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from argosy.serving import runfile


class RunningCall(msgspec.Struct):
    """Content of the mark."""

    call: str
    since: float
    """Wall-clock time at which the call began."""


class EngineCalls:
    """Mark the calls of one engine thread; a mark costs some tens of microseconds."""

    def __init__(self, record: Path | None, now: Callable[[], float]) -> None:
        """`record` is the replica's run file; without one (in tests, or outside of a fleet) nothing is marked."""
        self._path = None if record is None else runfile.busy_path(record)
        self._temporary = None if record is None else record.with_suffix(f".{os.getpid()}.busy.tmp")
        self._now = now
        self._marked = False
        if self._path is not None:
            self._path.unlink(missing_ok=True)  # a former process of this id may have been killed within a call

    @contextlib.contextmanager
    def marked(self, call: str) -> Iterator[None]:
        """Show the mark while the block runs; within another marked block nothing changes.

        A mark that cannot be written never keeps the call from running.
        """
        if self._path is None or self._temporary is None or self._marked:
            yield
            return
        self._marked = True
        with contextlib.suppress(OSError):
            self._write(self._path, self._temporary, msgspec.json.encode(RunningCall(call, self._now())))
        try:
            yield
        finally:
            self._marked = False
            with contextlib.suppress(OSError):
                os.unlink(self._path)

    @staticmethod
    def _write(path: Path, temporary: Path, content: bytes) -> None:
        """Not synced: a mark does not need to survive its process."""
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            os.write(descriptor, content)
        finally:
            os.close(descriptor)
        os.replace(temporary, path)


def running_call(record: Path) -> RunningCall | None:
    """Return the engine call that the replica marked last and has not ended; None without a readable mark."""
    try:
        return msgspec.json.decode(runfile.busy_path(record).read_bytes(), type=RunningCall)
    except (OSError, msgspec.MsgspecError):
        return None
