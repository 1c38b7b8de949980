"""Client of the retrieval service."""

from __future__ import annotations

from argosy.clients.transport import Transport
from argosy.contracts.request import RequestContext
from argosy.contracts.retrieval import RetrievalRequest, RetrievalResponse


class RetrievalClient:
    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def search(self, request: RetrievalRequest, context: RequestContext) -> RetrievalResponse:
        """Return the ranked chunks for a question. Raises: the errors of `Transport.call`."""
        return await self._transport.call("retrieval", "/search", request, RetrievalResponse, context, read=True)
