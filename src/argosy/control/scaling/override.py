"""A number of replicas that an operator asked for. It stands above the policy until it expires or is taken back."""

from __future__ import annotations

import msgspec


class Override(msgspec.Struct, frozen=True):
    replicas: int
    until_s: float | None = None
    """On the monotonic clock; None for until it is taken back."""

    def holds(self, now_s: float) -> bool:
        return self.until_s is None or now_s < self.until_s

    def moved(self, by_s: float) -> Override:
        return Override(self.replicas, None if self.until_s is None else self.until_s + by_s)
