"""File descriptors: the limit of this process, and spare descriptors for health checks."""

from __future__ import annotations

import os
import resource

SPARE = 16
MARGIN = 8
"""Descriptors that must be free in addition; otherwise the process counts as out of descriptors."""
KEPT_LEAST = 64
"""Least number of descriptors reserved for files, databases and calls to other services."""


def raise_limit() -> int:
    """Raise the soft limit on open files to the hard limit. Returns: the limit now in force."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        except (OSError, ValueError):  # a hard limit of "unlimited" is refused by some kernels
            return soft
    return hard


def room_for_connections(wanted: int) -> int:
    """Return the most connections that may be open: `wanted`, or fewer if the limit on open files requires it."""
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if soft == resource.RLIM_INFINITY:
        return wanted
    return max(8, min(wanted, soft - max(KEPT_LEAST, soft // 4)))


def room_needed(connections: int) -> int:
    """Return the limit on open files at which `room_for_connections` allows that many connections."""
    return max(connections + KEPT_LEAST, -(-connections * 4 // 3))


class SpareDescriptors:
    """Descriptors held open so that some can be released when the process runs out of them."""

    def __init__(self) -> None:
        self._held: list[int] = []
        self.exhausted = False

    def check(self) -> None:
        """Release the spare descriptors when almost none is left; open them again when there are enough."""
        try:
            while len(self._held) < SPARE + MARGIN:
                self._held.append(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))
            while len(self._held) > SPARE:
                os.close(self._held.pop())
            self.exhausted = False
        except OSError:
            self.exhausted = True
            self.close()

    def close(self) -> None:
        while self._held:
            os.close(self._held.pop())
