"""What a replica is to the operating system: a session of its own, which it leads and which ends with it."""

from __future__ import annotations

import asyncio
import contextlib
import glob
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil

from argosy.serving.runfile import RUN_FILE_VARIABLE


def leader_of(record: Path) -> int | None:
    """The process that was started for this run file, also before it has written anything there. Blocking.

    Its helpers inherit the variable; only it leads the session.
    """
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if os.getsid(process.pid) == process.pid and process.environ().get(RUN_FILE_VARIABLE) == str(record):
                return int(process.pid)
    return None


def leads_children(group: int) -> bool:
    """Whether processes of a replica that was adopted outlived it: its session is its own, and nobody else's."""
    for pid in psutil.pids():
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if os.getsid(pid) == group and os.getpgid(pid) == group:
                return True
    return False


def kill_group(group: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


async def until_ended(descriptor: int) -> None:
    """Returns when the process of this pidfd has ended; closes the descriptor."""
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    try:
        loop.add_reader(descriptor, ended.set)
        await ended.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)


def used_by(process: psutil.Process) -> tuple[float, int]:
    """CPU time of a process and of those of its children that have ended, and its memory. Raises: psutil.Error."""
    with process.oneshot():
        times = process.cpu_times()
        ended_s = getattr(times, "children_user", 0.0) + getattr(times, "children_system", 0.0)
        return times.user + times.system + ended_s, int(process.memory_info().rss)


def used_by_family(process: psutil.Process) -> tuple[float, int]:
    """The same with all that it started and that is alive. Raises: psutil.Error, it is gone."""
    cpu_s, memory_bytes = used_by(process)
    for child in descendants(process.pid):
        with contextlib.suppress(psutil.Error):
            more_s, more_bytes = used_by(psutil.Process(child))
            cpu_s, memory_bytes = cpu_s + more_s, memory_bytes + more_bytes
    return cpu_s, memory_bytes


def descendants(pid: int) -> Iterator[int]:
    """Its children and theirs that are alive, as the kernel lists them: going through all processes would be slow."""
    for path in glob.iglob(f"/proc/{pid}/task/*/children"):
        with contextlib.suppress(OSError):
            for child in Path(path).read_text().split():
                yield int(child)
                yield from descendants(int(child))
