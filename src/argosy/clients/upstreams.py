"""Parts with which a process calls other services: session, directory, follower, and a typed client for each."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import Callable
from pathlib import Path

import aiohttp

from argosy.clients.call_metrics import CallMetrics
from argosy.clients.controller_address import ControllerAddress
from argosy.clients.directory import Directory
from argosy.clients.documents import DocumentsClient
from argosy.clients.embedding import EmbeddingClient
from argosy.clients.follower import Follower
from argosy.clients.generation import GenerationClient
from argosy.clients.load_prober import LoadProber
from argosy.clients.proven import CONNECTIONS, KEEP_ALIVE_S, Sessions
from argosy.clients.response import PooledResponse
from argosy.clients.retrieval import RetrievalClient
from argosy.clients.status import StatusClient
from argosy.clients.store import StoreClient
from argosy.clients.transport import Transport
from argosy.config.models import Services
from argosy.contracts.balance import BalanceExplanation
from argosy.contracts.fleet import Calls
from argosy.serving.kit import Kit
from argosy.serving.loops import Loops


class Upstreams:
    """Clients of one process. Call `start` before use and `stop` after the last request."""

    def __init__(
        self,
        services: Services,
        controller: str | ControllerAddress,
        token: str,
        on_version: Callable[[str], None],
        loops: Loops | None = None,
        *,
        controller_proves: bool = True,
    ) -> None:
        """Create the clients; `loops` runs the background work and reports its failures.

        `controller_proves` is False for a controller of an earlier version, which cannot prove itself.
        """
        self._services = services
        self._controller = ControllerAddress(controller) if isinstance(controller, str) else controller
        self._controller_proves = controller_proves
        self._token = token
        self._on_version = on_version
        self._loops = loops or Loops()
        self._following: asyncio.Task[None] | None = None
        self._background: list[asyncio.Task[None]] = []

    @classmethod
    def of(cls, kit: Kit) -> Upstreams:
        """Create the clients of a service process, whose readiness requires the first endpoint set."""

        def note(version: str) -> None:
            kit.readiness.endpoints_version = version

        record = kit.record
        controller = ControllerAddress(record.controller_url, Path(record.data_dir) / "run")
        made = cls(kit.fleet.services, controller, record.token, note, kit.loops, controller_proves=record.proves)
        kit.calls = made.calls
        kit.balance = made.balance
        kit.metrics.registry.register(CallMetrics(made.calling))
        return made

    def calls(self) -> dict[str, Calls]:
        """Return the counts of calls by this process to each replica, by replica id."""
        return {} if self._following is None else self.directory.calls()

    def balance(self, service: str) -> BalanceExplanation | None:
        """Return how this process balances the service; None when the service is unknown."""
        if self._following is None or service not in self.directory.services:
            return None
        return self.directory.balancer(service).explain()

    def calling(self) -> tuple[Directory, Transport] | None:
        """Return the directory and the transport of calls; None before `start`."""
        return None if self._following is None else (self.directory, self.transport)

    async def start(self) -> None:
        """Begin to follow the controller, and wait for the first endpoint set."""
        self.directory = Directory(self._services)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=CONNECTIONS, keepalive_timeout=KEEP_ALIVE_S),
            auto_decompress=False,
            # Cookies that one caller receives must never be sent with the request of another caller.
            cookie_jar=aiohttp.DummyCookieJar(),
            response_class=PooledResponse,
        )
        self._sessions = sessions = Sessions(self._session, self._token)
        self.transport = Transport(self.directory, self._session, self._token, sessions=sessions)
        self.documents = DocumentsClient(self.transport)
        self.embedding = EmbeddingClient(self.transport)
        self.generation = GenerationClient(self.transport)
        self.retrieval = RetrievalClient(self.transport)
        self.store = StoreClient(self.transport)
        to_controller = sessions.proven if self._controller_proves else sessions.plain
        self.status = StatusClient(to_controller, self._controller, self._token, sessions)
        follower = Follower(self.directory, self._controller, self._token, self._on_version)
        prober = LoadProber(self.directory, self._session, sessions)
        self._following = self._loops.start("following of endpoints", functools.partial(follower.run, to_controller))
        self._background = [self._following, self._loops.start("load probes", prober.run)]
        await self.directory.received()

    async def stop(self) -> None:
        """End the background work and close all sessions."""
        if self._following is not None:
            for task in self._background:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
            await self.transport.aclose()
            await self._session.close()
