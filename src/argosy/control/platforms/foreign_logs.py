"""Rotation of the logs of programs that are not built from the service kit and hold their log file open."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

from argosy.control.platforms.platform import Replica
from argosy.telemetry.log_output import Rotation, limit_total, shift

SWEEP_S = 30.0


class ForeignLogs:
    """Logs of the `command` services in one folder."""

    def __init__(self, folder: Path, rotation: Rotation, replicas: Callable[[], Iterable[Replica]]) -> None:
        self._folder = folder
        self._rotation = rotation
        self._replicas = replicas

    async def run(self) -> None:
        """Rotate full files every SWEEP_S, until cancelled."""
        while True:
            await asyncio.sleep(SWEEP_S)
            foreign = [replica.id for replica in self._replicas() if replica.health_path and not replica.external]
            if foreign:
                await asyncio.to_thread(self.rotate, foreign)

    def rotate(self, replica_ids: Iterable[str]) -> None:
        """Rotate the full files of these replicas. A file that cannot be rotated now is tried again later."""
        for replica_id in replica_ids:
            path = self._folder / f"{replica_id}.log"
            with contextlib.suppress(OSError):
                if path.stat().st_size >= self._rotation.file_bytes:
                    shift(path, self._rotation, _copied_and_emptied)
        limit_total(self._folder, self._rotation)


def _copied_and_emptied(path: Path, copy: Path) -> None:
    """Copy a file and empty it. The program appends, so its next line is the first of the emptied file."""
    shutil.copyfile(path, copy)
    copy.chmod(0o600)
    os.truncate(path, 0)
