"""Readiness: own engine loaded, first endpoint set received, not draining; independent of other services' state."""

from __future__ import annotations


class Readiness:
    """Readiness of one replica."""

    def __init__(self) -> None:
        self.engine_loaded = False
        self.endpoints_version: str | None = None
        self.draining = False

    def reason(self) -> str:
        """Return why this replica is not ready; empty when it is."""
        if self.draining:
            return "draining"
        if not self.engine_loaded:
            return "loading its engine"
        if self.endpoints_version is None:
            return "waiting for the first endpoint set"
        return ""

    @property
    def ready(self) -> bool:
        return not self.reason()
