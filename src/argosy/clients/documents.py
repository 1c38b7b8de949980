"""Client of the documents service, which forwards requests and answers unchanged."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping

from argosy.clients.exchange import RawResponse
from argosy.clients.transport import Transport
from argosy.contracts.request import RequestContext


class DocumentsClient:
    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def forward(
        self,
        method: str,
        path: str,
        context: RequestContext,
        *,
        body: bytes | AsyncIterator[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
        waits: bool = False,
    ) -> RawResponse:
        """Forward a request and return the unchanged answer, as `Transport.forward` does."""
        return await self._transport.forward(
            "documents", path, method, context, body=body, headers=headers, params=params, waits=waits
        )
