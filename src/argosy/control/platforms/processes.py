"""Processes of a replica. Each replica leads a session of its own, and the session ends with it."""

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
    """Return the pid of the process started for this run file, even before it has written there. Blocking.

    Child processes inherit the environment variable, but only the replica leads the session.
    """
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if os.getsid(process.pid) == process.pid and process.environ().get(RUN_FILE_VARIABLE) == str(record):
                return int(process.pid)
    return None


def leads_children(group: int) -> bool:
    """Return whether processes of an ended replica are alive: no other process belongs to its session and group."""
    for pid in psutil.pids():
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if os.getsid(pid) == group and os.getpgid(pid) == group:
                return True
    return False


def kill_group(group: int) -> None:
    """Kill all processes of the group. A missing group is ignored."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


async def until_ended(descriptor: int) -> None:
    """Wait until the process of this pidfd has ended, then close the descriptor."""
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    try:
        loop.add_reader(descriptor, ended.set)
        await ended.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)


def used_by(process: psutil.Process) -> tuple[float, int]:
    """Return (CPU seconds, bytes of memory) of a process. The CPU time includes its ended children.

    Raises: psutil.Error when the process is gone.
    """
    with process.oneshot():
        times = process.cpu_times()
        ended_s = getattr(times, "children_user", 0.0) + getattr(times, "children_system", 0.0)
        return times.user + times.system + ended_s, int(process.memory_info().rss)


def used_by_family(process: psutil.Process) -> tuple[float, int]:
    """Return (CPU seconds, bytes of memory) of a process with its living descendants.

    Raises: psutil.Error when the process is gone.
    """
    cpu_s, memory_bytes = used_by(process)
    for child in descendants(process.pid):
        with contextlib.suppress(psutil.Error):
            more_s, more_bytes = used_by(psutil.Process(child))
            cpu_s, memory_bytes = cpu_s + more_s, memory_bytes + more_bytes
    return cpu_s, memory_bytes


def descendants(pid: int) -> Iterator[int]:
    """Yield the pids of all living descendants from the kernel's lists, because a scan of all processes is slow."""
    for path in glob.iglob(f"/proc/{pid}/task/*/children"):
        with contextlib.suppress(OSError):
            for child in Path(path).read_text().split():
                yield int(child)
                yield from descendants(int(child))
