"""Limits of a container: those of the control groups, version 2 or 1, that this process is in."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import psutil

from argosy.control.platforms.platform import HostCapacity

MOUNT = Path("/sys/fs/cgroup")
MEMBERSHIP = Path("/proc/self/cgroup")
NO_LIMIT_BYTES = 2**60
"""Memory limit from which there is no limit: version 1 expresses "no limit" as a number near the largest integer."""


def machine() -> HostCapacity:
    """Return the cores and memory that this process may use: its CPU affinity within the limits of its container."""
    cores, memory_bytes = limits()
    affinity, total = len(os.sched_getaffinity(0)), psutil.virtual_memory().total
    return HostCapacity(min(affinity, cores or affinity), min(total, memory_bytes or total))


def limits(mount: Path = MOUNT, membership: Path = MEMBERSHIP) -> tuple[float | None, int | None]:
    """Return (cores, bytes of memory), each the least limit of the group and its ancestors; None without a limit."""
    cores: list[float] = []
    memory_bytes: list[int] = []
    for controllers, path in _groups(membership):
        for folder in _upwards(mount, controllers, path):
            quota, period = _words(folder / "cpu.max") or (_word(folder / "cpu.cfs_quota_us"), None)
            period = period or _word(folder / "cpu.cfs_period_us")
            if quota and period and quota > 0 and period > 0:
                cores.append(quota / period)
            size = _word(folder / "memory.max") or _word(folder / "memory.limit_in_bytes")
            if size and size < NO_LIMIT_BYTES:
                memory_bytes.append(int(size))
    return min(cores, default=None), min(memory_bytes, default=None)


def busy_s(mount: Path = MOUNT, membership: Path = MEMBERSHIP) -> float | None:
    """Return the CPU time in seconds of all processes of this group so far; None when it is not counted."""
    for controllers, path in _groups(membership):
        for folder in _upwards(mount, controllers, path):
            with contextlib.suppress(OSError, ValueError):
                for line in (folder / "cpu.stat").read_text().splitlines():
                    name, value = line.split()
                    if name == "usage_usec":
                        return float(value) / 1e6
            nanoseconds = _word(folder / "cpuacct.usage")
            if nanoseconds is not None:
                return nanoseconds / 1e9
    return None


def _groups(membership: Path) -> Iterator[tuple[str, str]]:
    """Yield (controllers, path) of each hierarchy. Version 2 has an empty list of controllers."""
    with contextlib.suppress(OSError):
        for line in membership.read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            yield controllers, path


def _upwards(mount: Path, controllers: str, path: str) -> Iterator[Path]:
    """Yield the folder of the group and the folders above it. In a container, the mount itself may be the group."""
    root = mount / controllers if controllers else mount
    folder = root / path.lstrip("/")
    while folder != root and root in folder.parents:
        yield folder
        folder = folder.parent
    yield root


def _words(path: Path) -> tuple[float | None, float | None] | None:
    """Return quota and period of `cpu.max`. The quota is None when there is no limit."""
    with contextlib.suppress(OSError, ValueError):
        quota, period = path.read_text().split()
        return (None if quota == "max" else float(quota)), float(period)
    return None


def _word(path: Path) -> float | None:
    with contextlib.suppress(OSError, ValueError):
        return float(path.read_text())
    return None
