"""Follows the controller's endpoint sets by long polling. A controller that is gone changes nothing."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

import aiohttp
import msgspec

from argosy.clients.directory import Directory
from argosy.contracts.fleet import EndpointSet
from argosy.telemetry.logs import logger

POLL_TIMEOUT_S = 40.0
"""Longer than the controller holds a poll open."""
BACKOFF_FIRST_S = 0.1
BACKOFF_MOST_S = 2.0

log = logger("follower")


class Follower:
    def __init__(
        self,
        directory: Directory,
        controller_url: str,
        token: str,
        on_version: Callable[[str], None] = lambda version: None,
    ) -> None:
        self._directory = directory
        self._url = f"{controller_url}/v1/endpoints"
        self._headers = {"authorization": f"Bearer {token}"}
        self._on_version = on_version

    async def run(self, session: aiohttp.ClientSession) -> None:
        """Follows until cancelled."""
        backoff_s = BACKOFF_FIRST_S
        while True:
            try:
                await self._poll(session)
                backoff_s = BACKOFF_FIRST_S
            except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
                log.info("controller not answering", error=type(error).__name__, again_in_s=round(backoff_s, 2))
                await asyncio.sleep(backoff_s * random.uniform(0.5, 1.5))
                backoff_s = min(BACKOFF_MOST_S, backoff_s * 2)

    async def _poll(self, session: aiohttp.ClientSession) -> None:
        known = self._directory.version
        async with session.get(
            self._url,
            params={"watch": known} if known else {},
            headers=self._headers,
            timeout=aiohttp.ClientTimeout(total=POLL_TIMEOUT_S),
            allow_redirects=False,
        ) as response:
            if response.status == 204:
                return
            if response.status != 200:
                raise ValueError(f"answered {response.status}")
            self._directory.apply(msgspec.json.decode(await response.read(), type=EndpointSet))
        if self._directory.version is not None:
            self._on_version(self._directory.version)
