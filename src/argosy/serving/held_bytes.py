"""Bytes of request bodies held by a process, with one bound over all, since a sending request has no other limit."""

from __future__ import annotations

from argosy.contracts.errors import Overloaded

RETRY_AFTER_S = 2.0


class HeldBytes:
    """Counter of the bytes of request bodies that a process holds, with an upper bound."""

    def __init__(self, most: int, setting: str) -> None:
        self.most = most
        self.count = 0
        self._setting = setting

    def add(self, size: int) -> None:
        """Add bytes. Raises: Overloaded when the total exceeds `most`; the bytes still count until `remove`."""
        self.count += size
        if self.count > self.most:
            raise Overloaded(
                f"The request bodies being received exceed {self.most} bytes in total, the limit. Try again after "
                f"the time in Retry-After, or raise {self._setting}.",
                retry_after_s=RETRY_AFTER_S,
            )

    def remove(self, size: int) -> None:
        self.count -= size
