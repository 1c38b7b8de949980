"""Publisher of the endpoint set. The balancer in every replica follows the set and decides by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from argosy.contracts.fleet import Endpoint, EndpointSet


class Publisher:
    """Holder of the current endpoint set, which is None before the first `publish`."""

    def __init__(self, epoch: int) -> None:
        """Create a publisher. Its versions are `EPOCH.NUMBER`, so a later controller needs a higher epoch."""
        self._epoch = epoch
        self._number = 0
        self._current: EndpointSet | None = None
        self._changed = asyncio.Event()

    @property
    def current(self) -> EndpointSet | None:
        """Current endpoint set; None before the first `publish`."""
        return self._current

    def publish(self, services: Mapping[str, Sequence[Endpoint]], emptied: Sequence[str] = ()) -> None:
        """Make this the current set under a new version. An equal set changes nothing."""
        wanted = {name: sorted(endpoints, key=lambda e: e.id) for name, endpoints in services.items()}
        now = self._current
        if now is not None and now.services == wanted and now.emptied == list(emptied):
            return
        self._number += 1
        self._current = EndpointSet(f"{self._epoch}.{self._number}", wanted, list(emptied))
        self._changed.set()
        self._changed = asyncio.Event()

    async def newer_than(self, version: str | None, timeout_s: float) -> EndpointSet | None:
        """Return the current set as soon as its version is not `version`; None after `timeout_s` without one."""
        try:
            async with asyncio.timeout(timeout_s):
                while self._current is None or self._current.version == version:
                    await self._changed.wait()
                return self._current
        except TimeoutError:
            return None
