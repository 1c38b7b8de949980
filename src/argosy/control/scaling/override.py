"""Operator's override: a number of replicas that takes precedence over the policy until it expires or is removed."""

from __future__ import annotations

import msgspec

from argosy.contracts.errors import InvalidRequest
from argosy.control.scaling.decision import Rule

LONGEST_S = 30 * 86_400.0


class Override(msgspec.Struct, frozen=True):
    replicas: int
    until_s: float | None = None
    """Expiry on the monotonic clock; None when it lasts until it is removed."""

    @classmethod
    def asked(cls, replicas: int, expires_s: float | None, service: str, rule: Rule, now_s: float) -> Override:
        """Create an override.

        Raises: InvalidRequest when the number is outside the service's bounds, or the override lasts too long.
        """
        if replicas != rule.bounded(replicas):
            raise InvalidRequest(
                f"{replicas} is not within {rule.min_instances} to {rule.max_instances}, the bounds of {service}; "
                f"give a number within them, or change replicas.min and replicas.max first.",
                param="replicas",
            )
        if expires_s is not None and not 0 < expires_s <= LONGEST_S:
            raise InvalidRequest(
                f"expires_s = {expires_s:g} is not above 0 and at most {LONGEST_S:.0f}; correct it.", param="expires_s"
            )
        return cls(replicas, None if expires_s is None else now_s + expires_s)

    def holds(self, now_s: float) -> bool:
        return self.until_s is None or now_s < self.until_s

    def moved(self, by_s: float) -> Override:
        return Override(self.replicas, None if self.until_s is None else self.until_s + by_s)
