"""Mark file beside the run file that records the running engine call and its start time.

An engine that holds the interpreter's lock while it waits for the disk blocks the whole process: no probe is answered
and CPU time does not advance, which looks exactly like a hang. The mark shows other processes that this one waits for
its disk. While the mark is recent, the supervisor does not treat the replica as hung.
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
    """Marks of the calls of one engine thread; a mark costs some tens of microseconds."""

    def __init__(self, record: Path | None = None, now: Callable[[], float] | None = None) -> None:
        """Create the marks of a replica; without a run file (in tests, or outside of a fleet) do nothing.

        Args:
            record: run file of the replica.
            now: wall clock, in seconds, because another process reads the mark.
        """
        self._path = None if record is None or now is None else runfile.busy_path(record)
        self._temporary = None if record is None else record.with_suffix(f".{os.getpid()}.busy.tmp")
        self._now = now
        self._marked = False
        if self._path is not None:
            self._path.unlink(missing_ok=True)  # an earlier process with this id may have been killed during a call

    @contextlib.contextmanager
    def marked(self, call: str) -> Iterator[None]:
        """Keep the mark while the block runs; a nested block changes nothing.

        The call runs even when the mark cannot be written.
        """
        if self._path is None or self._temporary is None or self._now is None or self._marked:
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
        """Write the mark without fsync, because it does not need to survive its process."""
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            os.write(descriptor, content)
        finally:
            os.close(descriptor)
        os.replace(temporary, path)


def running_call(record: Path) -> RunningCall | None:
    """Return the engine call that the replica runs now according to its mark; None without a readable mark."""
    try:
        return msgspec.json.decode(runfile.busy_path(record).read_bytes(), type=RunningCall)
    except (OSError, msgspec.MsgspecError):
        return None
