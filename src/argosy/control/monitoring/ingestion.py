"""Ingestion report. The documents service counts in its job table, so any replica can report for all."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

import aiohttp
import msgspec

from argosy.clients.proven import proven_session
from argosy.contracts.documents import IngestionReport
from argosy.contracts.errors import InvalidRequest, Unavailable, UpstreamFailed
from argosy.contracts.fleet import Health, ReplicaView
from argosy.control.monitoring.body import limited_body

TIMEOUT_S = 5.0
_WINDOW = re.compile(r"(\d{1,6})([smhd])")
_UNIT_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def window_seconds(given: str) -> int:
    """Return the seconds of a window such as `90s`, `15m`, `1h` or `7d`.

    Raises: InvalidRequest when the window has another form or is zero.
    """
    found = _WINDOW.fullmatch(given)
    if found is None or int(found[1]) == 0:
        raise InvalidRequest("window is not a time; give one like 15m, 1h or 7d.", param="window")
    return int(found[1]) * _UNIT_S[found[2]]


async def ingestion_report(
    replicas: Iterable[ReplicaView], token: str, window_s: int, unproven: Collection[str] = ()
) -> IngestionReport:
    """Return the report of the first documents replica that answers.

    Args:
        unproven: ids of replicas of an earlier version, which cannot prove that they know the token.

    Raises: Unavailable when no replica answers.
    """
    headers = {"authorization": f"Bearer {token}"}
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
    async with proven_session(token, timeout) as proven, aiohttp.ClientSession(timeout=timeout) as plain:
        for replica in replicas:
            if replica.endpoint is None or replica.status is Health.UNHEALTHY:
                continue
            try:
                address = f"{replica.endpoint}/statistics?window_s={window_s}"
                session = plain if replica.id in unproven else proven
                async with session.get(address, headers=headers, allow_redirects=False) as response:
                    if response.status == 200:
                        return msgspec.json.decode(await limited_body(response), type=IngestionReport)
            except (TimeoutError, aiohttp.ClientError, msgspec.DecodeError, UpstreamFailed):
                continue
    raise Unavailable("No documents replica answers; look at: argosy status", retry_after_s=5.0)
