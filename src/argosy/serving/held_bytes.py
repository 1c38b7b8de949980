"""Bytes of request bodies that a process holds: one bound over all of them, since senders hold no other place."""

from __future__ import annotations

from argosy.contracts.errors import Overloaded

RETRY_AFTER_S = 2.0


class HeldBytes:
    def __init__(self, most: int, setting: str) -> None:
        self.most = most
        self.count = 0
        self._setting = setting

    def add(self, size: int) -> None:
        """Count the bytes in. Raises: Overloaded, they are too many; they count all the same until `remove`."""
        self.count += size
        if self.count > self.most:
            raise Overloaded(
                f"The bodies that are received now have over {self.most} bytes together, the limit. Try again after "
                f"the time in Retry-After, or raise {self._setting}.",
                retry_after_s=RETRY_AFTER_S,
            )

    def remove(self, size: int) -> None:
        self.count -= size
