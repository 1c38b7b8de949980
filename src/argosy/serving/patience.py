"""Patience of the server with slow callers: time limits of a connection, and the check of an unread answer."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Patience:
    """Times for which a connection may keep the server waiting."""

    head_s: float = 10.0
    """Longest time from the first to the last byte of a head, and from the opening of a connection to its request."""
    keep_alive_s: float = 75.0
    """Longest time between two requests."""
    body_window_s: float = 10.0
    body_bytes_per_s: float = 1024.0
    """Least rate of a body. Each window is measured separately, so a fast start does not allow a later pause."""
    stream_idle_s: float = 60.0
    """Longest time between two bytes of a body whose answer has begun: its caller may wait for pieces of the answer."""
    unread_s: float = 60.0
    """Longest time for which the caller may read too little of its answer."""
    linger_s: float = 2.0
    """Time after a refusal in which the rest of the request is dropped, so that the caller can read the answer."""
    reserve_s: float = 1.0
    """Same as `head_s`, for a connection of the reserve."""


class UnreadAnswer:
    """Check whether a caller reads too little of its answer for too long. Pure."""

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self._since: tuple[float, int] | None = None
        """Time since which the answer is not read, and the number of unsent bytes at that time."""

    def reset(self) -> None:
        """Begin again, because the caller reads."""
        self._since = None

    def is_stuck(self, now_s: float, unsent: int, *, growing: bool) -> bool:
        """Return whether the caller has read too little of its answer for too long.

        Args:
            growing: whether the answer still grows while its caller reads. Such an answer always has some unsent bytes
                and is not stuck.
        """
        if not unsent or growing:
            self._since = None
        elif self._since is None:
            self._since = now_s, unsent
        elif now_s - self._since[0] >= self._patience.unread_s:
            since_s, before = self._since
            self._since = now_s, unsent
            return before - unsent < self._patience.body_bytes_per_s * (now_s - since_s)
        return False
