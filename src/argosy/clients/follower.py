"""Follower of the controller's endpoint sets by long polling. While the controller is away, the last set stays valid.

The session connects only to a listener that proves that it knows the fleet's token. Another program at the controller's
port therefore neither receives the token nor can it have a set applied.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

import aiohttp
import msgspec

from argosy.clients.controller_address import ControllerAddress
from argosy.clients.directory import Directory
from argosy.contracts.fleet import EndpointSet
from argosy.telemetry.logs import logger

POLL_TIMEOUT_S = 40.0
"""Timeout of a poll, longer than the controller keeps a poll open."""
BACKOFF_FIRST_S = 0.1
BACKOFF_MOST_S = 2.0

log = logger("follower")


class Follower:
    """Follower that applies the controller's endpoint sets to a directory."""

    def __init__(
        self,
        directory: Directory,
        controller: str | ControllerAddress,
        token: str,
        on_version: Callable[[str], None] = lambda version: None,
    ) -> None:
        self._directory = directory
        self._controller = ControllerAddress(controller) if isinstance(controller, str) else controller
        self._headers = {"authorization": f"Bearer {token}"}
        self._on_version = on_version

    async def run(self, session: aiohttp.ClientSession) -> None:
        """Follow the controller until cancelled."""
        backoff_s = BACKOFF_FIRST_S
        while True:
            try:
                await self._poll(session)
                backoff_s = BACKOFF_FIRST_S
            except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
                log.info("polling the controller failed", error=type(error).__name__, again_in_s=round(backoff_s, 2))
                await asyncio.sleep(backoff_s * random.uniform(0.5, 1.5))
                backoff_s = min(BACKOFF_MOST_S, backoff_s * 2)

    async def _poll(self, session: aiohttp.ClientSession) -> None:
        known = self._directory.version
        async with session.get(
            f"{self._controller.url()}/v1/endpoints",
            params={"watch": known} if known else {},
            headers=self._headers,
            timeout=aiohttp.ClientTimeout(total=POLL_TIMEOUT_S),
            allow_redirects=False,
        ) as response:
            if response.status == 204:
                return
            if response.status != 200:
                raise ValueError(f"the controller answered {response.status}")
            update = msgspec.json.decode(await response.read(), type=EndpointSet)
            # Polls are sequential and the controller has proved its identity, so its answer is the latest set.
            if not self._directory.apply(update, is_latest=True):
                # An error leads to a pause; without one, the next poll would get the same answer at once.
                raise ValueError(f"endpoint set {update.version} is already known")
        if self._directory.version is not None:
            self._on_version(self._directory.version)
