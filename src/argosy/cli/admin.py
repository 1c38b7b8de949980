"""Asks the admin API of a running fleet."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import aiohttp
import msgspec

from argosy.contracts.errors import Unavailable, error_from_wire
from argosy.contracts.fleet import StartReport

T = TypeVar("T")
TIMEOUT_S = 5.0


async def start_report(admin_url: str, data_dir: Path) -> StartReport:
    """How the last start went. Raises: Unavailable when no controller answers."""
    return await _get(f"{admin_url}/v1/start", (data_dir / "token").read_text("utf-8").strip(), StartReport)


async def _get(url: str, token: str, into: type[T]) -> T:
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.get(url, headers={"authorization": f"Bearer {token}"}) as response,
        ):
            body = await response.read()
            if response.status != 200:
                raise error_from_wire(response.status, body, "controller")
            return msgspec.json.decode(body, type=into)
    except (aiohttp.ClientError, TimeoutError) as error:
        raise Unavailable("The controller does not answer.") from error
