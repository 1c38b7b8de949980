"""File descriptors: the limit of this process, and a few that are kept free for health checks."""

from __future__ import annotations

import os
import resource

SPARE = 16
MARGIN = 8
"""Descriptors that must be free besides, or the process counts as having run out of them."""
KEPT_LEAST = 64
"""Descriptors that connections must leave to files, databases and calls to other services, at the least."""


def raise_limit() -> int:
    """Raise the soft limit on open files to the hard limit. Returns the limit that is now in force."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        except (OSError, ValueError):  # a hard limit of "unlimited" is refused by some kernels
            return soft
    return hard


def room_for_connections(wanted: int) -> int:
    """Return how many connections may be open at once: `wanted`, or what the limit on open files leaves."""
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if soft == resource.RLIM_INFINITY:
        return wanted
    return max(8, min(wanted, soft - max(KEPT_LEAST, soft // 4)))


class SpareDescriptors:
    """Descriptors held open so that there are some to give away when the process has run out of them."""

    def __init__(self) -> None:
        self._held: list[int] = []
        self.exhausted = False

    def check(self) -> None:
        """Give the spare ones away when next to none is left; take them back when there are enough again."""
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
