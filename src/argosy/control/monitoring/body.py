"""Bodies of replicas' answers, read up to a limit so that no replica can fill the controller's memory."""

from __future__ import annotations

import aiohttp

from argosy.contracts.errors import UpstreamFailed

MOST_BYTES = 2**20
PART_BYTES = 2**16


async def limited_body(response: aiohttp.ClientResponse, most_bytes: int = MOST_BYTES) -> bytes:
    """Read the whole body. Raises: UpstreamFailed when it is longer than `most_bytes`; the connection is closed."""
    body = bytearray()
    async for part in response.content.iter_chunked(PART_BYTES):
        body += part
        if len(body) > most_bytes:
            response.close()
            raise UpstreamFailed(f"more than {most_bytes >> 20} MiB")
    return bytes(body)
