"""Client of the retrieval service."""

from __future__ import annotations

from argosy.clients.transport import Transport
from argosy.contracts.request import RequestContext
from argosy.contracts.rerank import RerankRequest, RerankResponse
from argosy.contracts.retrieval import RetrievalRequest, RetrievalResponse


class RetrievalClient:
    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def search(self, request: RetrievalRequest, context: RequestContext) -> RetrievalResponse:
        """Return the ranked chunks for a question. Raises: the errors of `Transport.call`."""
        return await self._transport.call("retrieval", "/search", request, RetrievalResponse, context, read=True)

    async def rerank(self, request: RerankRequest, context: RequestContext) -> RerankResponse:
        """Return the relevance of texts to a query. Raises: the errors of `Transport.call`."""
        return await self._transport.call("retrieval", "/rerank", request, RerankResponse, context, read=True)
