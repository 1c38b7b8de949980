"""What keeps a replica from answering although it is no fault of its own: an engine call, or the disk.

Before a call that may block with the interpreter's lock held, a replica writes `run/ID.busy` with the name of the call
and the wall time; it removes the file afterwards. Nothing in the file is trusted: it may be garbage, or left behind by
the process before.
"""

from __future__ import annotations

import contextlib
import math
from dataclasses import dataclass
from pathlib import Path

import msgspec

MOST_BYTES = 4096
MOST_NAME_CHARS = 64
BIRTH_TOLERANCE_S = 1.0
"""Between the time that the controller noted for a start and the clock that the process reads."""
DISK_SLEEP = "D"


@dataclass(frozen=True, slots=True)
class Blocked:
    """What a replica is in right now."""

    call: str = ""
    """Name of the engine call; empty where it is in none."""
    since: float = 0.0
    """Wall time at which the call began."""
    on_disk: bool = False
    """Whether one of its threads is in uninterruptible sleep, which means that it waits for a disk."""


class _BusyFile(msgspec.Struct):
    call: str
    since: float


def blocked(busy_path: Path, pid: int, started_at: float) -> Blocked | None:
    """What blocks the process of that id, which started at that wall time; None when nothing does. Never raises."""
    busy, on_disk = _busy(busy_path, started_at), _sleeps_on_disk(pid)
    if busy is not None:
        return Blocked(busy.call, busy.since, on_disk)
    return Blocked(on_disk=True) if on_disk else None


def _busy(path: Path, started_at: float) -> _BusyFile | None:
    try:
        with path.open("rb") as stream:
            busy = msgspec.json.decode(stream.read(MOST_BYTES), type=_BusyFile)
    except (OSError, msgspec.DecodeError):
        return None
    if not math.isfinite(busy.since) or busy.since < started_at - BIRTH_TOLERANCE_S:
        return None  # of an earlier process, which was killed in the middle of a call
    busy.call = "".join(c for c in busy.call if c.isprintable())[:MOST_NAME_CHARS] or "a call"
    return busy


def _sleeps_on_disk(pid: int) -> bool:
    """Any thread of it: the one that holds the interpreter's lock is not always the first."""
    with contextlib.suppress(OSError):
        for path in Path(f"/proc/{pid}/task").iterdir():
            with contextlib.suppress(OSError):
                # The name of the program, in parentheses, may hold anything, also spaces and parentheses.
                if (path / "stat").read_text(errors="replace").rpartition(")")[2].split()[:1] == [DISK_SLEEP]:
                    return True
    return False
