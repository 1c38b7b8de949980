"""Start report of a running fleet, read from its admin API."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import aiohttp
import msgspec

from argosy.clients.proven import proven_session
from argosy.contracts.errors import Unavailable, error_from_wire
from argosy.contracts.fleet import StartReport
from argosy.serving import token_file

T = TypeVar("T")
TIMEOUT_S = 5.0


async def start_report(admin_url: str, data_dir: Path) -> StartReport:
    """Return the report of the last start.

    Raises: Unavailable when no controller of this fleet answers; StartError when the token file is not valid.
    """
    return await _get(f"{admin_url}/v1/start", token_file.read(data_dir), StartReport)


async def _get(url: str, token: str, into: type[T]) -> T:
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
    try:
        async with (
            proven_session(token, timeout) as session,
            session.get(url, headers={"authorization": f"Bearer {token}"}, allow_redirects=False) as response,
        ):
            body = await response.read()
            if response.status != 200:
                raise error_from_wire(response.status, body, "controller")
            return msgspec.json.decode(body, type=into)
    except (aiohttp.ClientError, TimeoutError) as error:
        raise Unavailable("The controller does not answer.") from error
