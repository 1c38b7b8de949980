"""Client of the embedding service."""

from __future__ import annotations

from collections.abc import Sequence

from argosy.clients.transport import Transport
from argosy.contracts.embedding import EmbedRequest, EmbedResponse, ModelInfo, TextKind
from argosy.contracts.request import RequestContext


class EmbeddingClient:
    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def embed(
        self, texts: Sequence[str], kind: TextKind, context: RequestContext, *, partial: bool = False
    ) -> EmbedResponse:
        """One vector for each text, in order; with `partial`, for each that is not in the answer's `failures`.

        Raises: Overloaded, Unavailable, DeadlineExceeded; without `partial` also the error of the first text that
        failed (InvalidRequest, Internal), its `param` being `texts[INDEX]`.
        """
        request = EmbedRequest(list(texts), kind, partial)
        # A text's vector is in the cache of the replica that embedded it; of many texts the first one decides.
        key = texts[0] if texts else None
        return await self._transport.call("embedding", "/embed", request, EmbedResponse, context, read=True, key=key)

    async def model(self, context: RequestContext) -> ModelInfo:
        return await self._transport.call("embedding", "/model", None, ModelInfo, context, read=True)
