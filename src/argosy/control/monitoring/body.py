"""Bodies of answers that replicas give to the controller, read up to a limit: one replica must not fill its memory."""

from __future__ import annotations

import aiohttp

from argosy.contracts.errors import UpstreamFailed

MOST_BYTES = 2**20
PART_BYTES = 2**16


async def limited_body(response: aiohttp.ClientResponse, most_bytes: int = MOST_BYTES) -> bytes:
    """Read the whole body. Raises: UpstreamFailed, it is longer; the connection is closed then."""
    body = bytearray()
    async for part in response.content.iter_chunked(PART_BYTES):
        body += part
        if len(body) > most_bytes:
            response.close()
            raise UpstreamFailed(f"more than {most_bytes >> 20} MiB")
    return bytes(body)
