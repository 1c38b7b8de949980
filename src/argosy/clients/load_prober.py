"""Load prober: requests load reports from replicas for the balancers, in the background."""

from __future__ import annotations

import asyncio
import contextlib

import aiohttp

from argosy.balancing.balancer import Balancer
from argosy.balancing.outcome import LoadReport
from argosy.clients.address import url_at
from argosy.clients.directory import Directory
from argosy.clients.proven import Sessions
from argosy.contracts.fleet import Endpoint
from argosy.contracts.request import LOAD_HEADER

LOOK_EVERY_S = 0.1
TIMEOUT_S = 1.0
PATH = "/livez"
"""Path of the probe. It checks nothing and does not count as load, and every answer carries the report."""
AT_ONCE = 32


class LoadProber:
    """Background prober of one process."""

    def __init__(
        self,
        directory: Directory,
        session: aiohttp.ClientSession,
        sessions: Sessions | None = None,
        look_every_s: float = LOOK_EVERY_S,
    ) -> None:
        self._directory = directory
        self._sessions = sessions or Sessions(session, "")
        self._look_every_s = look_every_s
        self._running: dict[str, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Probe until cancelled. Each replica has at most one probe in flight."""
        try:
            while True:
                await asyncio.sleep(self._look_every_s)
                for service in self._directory.services:
                    self._begin(self._directory.balancer(service))
        finally:
            running = list(self._running.values())
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    def _begin(self, balancer: Balancer) -> None:
        for endpoint in balancer.due_probes():
            if endpoint.id not in self._running and len(self._running) < AT_ONCE:
                self._running[endpoint.id] = asyncio.create_task(self._probe(balancer, endpoint))

    async def _probe(self, balancer: Balancer, endpoint: Endpoint) -> None:
        report = None
        try:
            report = await self._asked(endpoint)
        finally:
            # An endpoint that stayed in `_running` would never be probed again.
            self._running.pop(endpoint.id, None)
            balancer.probed(endpoint.id, report)

    async def _asked(self, endpoint: Endpoint) -> LoadReport | None:
        """Return the load report of the replica; None when it sends none."""
        with contextlib.suppress(aiohttp.ClientError, TimeoutError, OSError):
            timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
            address, session = url_at(endpoint.url, PATH), self._sessions.to(endpoint)
            async with session.get(address, timeout=timeout, allow_redirects=False) as response:
                return LoadReport.parse(response.headers.get(LOAD_HEADER))
        return None
