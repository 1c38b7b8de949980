"""Responses of replicas, and the rule whether their connections may be reused."""

from __future__ import annotations

import aiohttp
from aiohttp.connector import Connection

WITHOUT_BODY = frozenset({204, 304})


class PooledResponse(aiohttp.ClientResponse):
    """Response that returns its connection to the pool only when no unread bytes can follow on it.

    A replica may wrongly send a body after the head of an answer that must not have one. On a pooled connection these
    bytes would be read as the answer to the next caller's request.
    """

    async def start(self, connection: Connection) -> aiohttp.ClientResponse:
        protocol = connection.protocol
        if protocol is not None and self.method == "HEAD":
            protocol.force_close()
        response = await super().start(connection)
        if protocol is not None and self.status in WITHOUT_BODY and self._promises_a_body():
            protocol.force_close()
            protocol.close()  # aiohttp has already returned it to the pool
        return response

    def _promises_a_body(self) -> bool:
        return self.headers.get("content-length", "0") != "0" or "transfer-encoding" in self.headers
