"""Client of the embedding service."""

from __future__ import annotations

from collections.abc import Sequence

from argosy.clients.transport import Transport
from argosy.contracts.embedding import EmbedRequest, EmbedResponse, ModelInfo, TextKind
from argosy.contracts.request import RequestContext


class EmbeddingClient:
    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def embed(self, texts: Sequence[str], kind: TextKind, context: RequestContext) -> EmbedResponse:
        """One vector for each text, in order. Raises: Overloaded, Unavailable, DeadlineExceeded, InvalidRequest."""
        return await self._transport.call(
            "embedding", "/embed", EmbedRequest(texts=list(texts), kind=kind), EmbedResponse, context
        )

    async def model(self, context: RequestContext) -> ModelInfo:
        return await self._transport.call("embedding", "/model", None, ModelInfo, context)
