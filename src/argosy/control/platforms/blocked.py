"""Blocked replicas: an engine call or the disk keeps a replica from answering, without a fault of the replica.

Before a call that may block while it holds the interpreter lock, a replica writes `run/ID.busy` with the name of the
call and the wall time, and removes the file afterwards. The content of the file is not trusted: it may be garbage, or
left by an earlier process.
"""

from __future__ import annotations

import contextlib
import math
from dataclasses import dataclass
from pathlib import Path

import msgspec

from argosy.serving.engine_call import RunningCall

MOST_BYTES = 4096
MOST_NAME_CHARS = 64
BIRTH_TOLERANCE_S = 1.0
"""Tolerance between the start time that the controller noted and the clock that the process reads."""
DISK_SLEEP = "D"


@dataclass(frozen=True, slots=True)
class Blocked:
    """Reason for which a replica is blocked now."""

    call: str = ""
    """Name of the engine call; empty when it is in none."""
    since: float = 0.0
    """Wall time at which the call began."""
    on_disk: bool = False
    """Whether a thread of the replica is in uninterruptible sleep, which means that it waits for a disk."""


def blocked(busy_path: Path, pid: int, started_at: float) -> Blocked | None:
    """Return what blocks the process, or None when nothing does. Never raises.

    Args:
        busy_path: path of `run/ID.busy`.
        started_at: wall time at which the process started.
    """
    busy, on_disk = _busy(busy_path, started_at), _sleeps_on_disk(pid)
    if busy is not None:
        return Blocked(busy.call, busy.since, on_disk)
    return Blocked(on_disk=True) if on_disk else None


def _busy(path: Path, started_at: float) -> RunningCall | None:
    try:
        with path.open("rb") as stream:
            busy = msgspec.json.decode(stream.read(MOST_BYTES), type=RunningCall)
    except (OSError, msgspec.DecodeError):
        return None
    if not math.isfinite(busy.since) or busy.since < started_at - BIRTH_TOLERANCE_S:
        return None  # the file is of an earlier process, which was killed during a call
    busy.call = "".join(c for c in busy.call if c.isprintable())[:MOST_NAME_CHARS] or "a call"
    return busy


def _sleeps_on_disk(pid: int) -> bool:
    """Return whether any thread waits for a disk. The thread that holds the interpreter lock may not be the first."""
    with contextlib.suppress(OSError):
        for path in Path(f"/proc/{pid}/task").iterdir():
            with contextlib.suppress(OSError):
                # The name of the program, in parentheses, may contain spaces and parentheses.
                if (path / "stat").read_text(errors="replace").rpartition(")")[2].split()[:1] == [DISK_SLEEP]:
                    return True
    return False
