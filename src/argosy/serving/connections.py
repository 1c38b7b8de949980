"""Connections of one process: limit, eviction of idle connections, and a reserve for health checks."""

from __future__ import annotations

import asyncio
import resource
import time
from collections.abc import Callable

from argosy.contracts.request import Clock
from argosy.serving.descriptors import SpareDescriptors
from argosy.serving.protocol import BoundedProtocol
from argosy.telemetry.logs import logger

RESERVE = 32
"""Number of connections beyond the limit; only health checks are answered on them."""
EVICTABLE_AFTER_S = 1.0
EVICTED_AT_ONCE = 32
SHORT_FOR_S = 10.0
"""Time for which a shortage is reported after it last occurred: longer than the interval of health checks."""
SWEEP_S = 0.5

log = logger("server")


class Connections:
    """Connections of one process. At the limit, idle connections are closed to accept new ones.

    If no connection can be closed, a new connection goes into the reserve: health checks are answered on it and all
    other requests are refused.
    """

    def __init__(
        self,
        most: int,
        *,
        setting: str = "max_connections",
        on_refused: Callable[[str], None] = lambda code: None,
        clock: Clock = time.monotonic,
    ) -> None:
        """Create an empty set of at most `most` connections and a reserve.

        Args:
            setting: name of the setting of the limit, which the reason of a shortage mentions.
            on_refused: called with the error code of each request that the protocol refuses.
        """
        self.most = most
        self.refused = on_refused
        self._setting = setting
        self._clock = clock
        self._open: set[BoundedProtocol] = set()
        self._reserve: dict[BoundedProtocol, None] = {}
        self._descriptors = SpareDescriptors()
        self._full_until_s = self._exhausted_until_s = self._evicted_s = float("-inf")

    @property
    def count(self) -> int:
        return len(self._open) + len(self._reserve)

    def shortage(self) -> str:
        """Return why connections are refused, or were refused in the last SHORT_FOR_S; empty when all are accepted."""
        now_s = self._clock()
        if now_s < self._exhausted_until_s:
            limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
            return f"file descriptors have run out; the limit is {limit} (ulimit -n)"
        if now_s < self._full_until_s:
            return f"all {self.most} connections are in use ({self._setting})"
        return ""

    def opened(self, connection: BoundedProtocol) -> None:
        """Add a new connection. At the limit it replaces an idle connection or goes into the reserve."""
        if not self._descriptors.exhausted and (len(self._open) < self.most or self._evict()):
            self._open.add(connection)
            return
        connection.in_reserve = True
        if self._descriptors.exhausted:
            self._exhausted_until_s = self._clock() + SHORT_FOR_S
        else:
            self._full_until_s = self._clock() + SHORT_FOR_S
        if len(self._reserve) >= RESERVE:
            oldest = next(iter(self._reserve))
            del self._reserve[oldest]
            oldest.transport.abort()
        self._reserve[connection] = None

    def closed(self, connection: BoundedProtocol) -> None:
        self._open.discard(connection)
        self._reserve.pop(connection, None)

    def _evict(self) -> bool:
        """Close the connections that were idle longest. Returns: whether a connection can be added now."""
        now_s = asyncio.get_running_loop().time()
        if now_s - self._evicted_s < SWEEP_S:
            return False  # searching all connections for each new one would itself be open to attack
        self._evicted_s = now_s
        idle = [(since_s, n, each) for n, each in enumerate(self._open) if (since_s := each.idle_since_s) is not None]
        for since_s, _, each in sorted(idle)[:EVICTED_AT_ONCE]:
            if now_s - since_s >= EVICTABLE_AFTER_S:
                self._open.discard(each)
                each.transport.abort()
        return len(self._open) < self.most

    async def watch(self) -> None:
        """Periodically close connections that keep the server waiting too long, until cancelled."""
        loop = asyncio.get_running_loop()
        self._descriptors.check()
        while True:
            await asyncio.sleep(SWEEP_S)
            self._descriptors.check()
            if self._descriptors.exhausted:
                self._exhausted_until_s = self._clock() + SHORT_FOR_S
            now_s = loop.time()
            for connection in [*self._open, *self._reserve]:
                try:
                    connection.sweep(now_s)
                except Exception as error:  # an error of one connection must not end the checks of the others
                    log.error("connection check failed", exc_info=error)
                    connection.transport.abort()

    def close(self) -> None:
        self._descriptors.close()
