"""Watched replica: a process of this machine that holds the lock of its record while it lives."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from argosy.control.platforms.platform import Replica
from argosy.control.platforms.processes import kill_group, leads_children
from argosy.serving import runfile

LAST_WORDS_BYTES = 2000
"""Length of the end of the log in which the last line of a crashed process is searched."""


@dataclass(slots=True)
class Watched:
    """Replica with its record and what watches it. `process` is None for an adopted replica."""

    replica: Replica
    record_path: Path
    process: subprocess.Popen[bytes] | None
    asked: bool = False
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    watcher: asyncio.Task[None] | None = None
    meter: psutil.Process | None = None

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the replica while its lock is held, because then the pid is still that of the replica.

        A program that is not built from the service kit may be a shell with children, so its whole group is signalled.
        """
        pid = self.replica.pid
        if pid is not None and runfile.is_held(runfile.lock_path(self.record_path)):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                if self.replica.health_path is not None:
                    os.killpg(pid, number)
                else:
                    os.kill(pid, number)

    def holds_lock(self) -> bool:
        try:
            return runfile.is_held(runfile.lock_path(self.record_path))
        except OSError:  # unknown now, so ask again later
            return True

    def reap(self) -> int | None:
        """Kill the processes that the replica left running. Returns: its exit code; None when it was adopted."""
        if self.process is not None:
            # Child processes share its process group. Until it is reaped, its pid cannot be reused.
            kill_group(self.process.pid)
            return self.process.wait()
        if self.replica.pid is not None and leads_children(self.replica.pid):
            kill_group(self.replica.pid)
        return None


def last_words(log_path: Path, exit_code: int) -> str | None:
    """Return the last line that a process wrote when it crashed before it could log, such as an import error."""
    with contextlib.suppress(OSError), log_path.open("rb") as stream:
        stream.seek(max(0, log_path.stat().st_size - LAST_WORDS_BYTES))
        lines = stream.read().decode(errors="replace").strip().splitlines()
        if lines and not lines[-1].startswith("{"):
            return f"exited with code {exit_code}: {lines[-1]}"
    return None
