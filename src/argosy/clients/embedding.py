"""Client of the embedding service."""

from __future__ import annotations

from collections.abc import Sequence

from argosy.clients.transport import Transport
from argosy.contracts.embedding import EmbedRequest, EmbedResponse, ModelInfo, Spans, TextKind
from argosy.contracts.request import RequestContext


class EmbeddingClient:
    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def embed(
        self,
        texts: Sequence[str],
        kind: TextKind,
        context: RequestContext,
        *,
        partial: bool = False,
        spans: Sequence[Spans] = (),
    ) -> EmbedResponse:
        """Return one vector for each text, in order; with `partial`, only texts in the answer's `failures` have none.

        `spans` asks for vectors of parts of each text as well, which some models cannot give.

        Raises: Overloaded, Unavailable or DeadlineExceeded as `Transport.call` does; without `partial` also the error
        of the first failed text (InvalidRequest, Internal), with `param` set to `texts[INDEX]`.
        """
        request = EmbedRequest(list(texts), kind, partial, [list(own) for own in spans])
        # The replica that embedded a text has its vector in the cache, so the first text is used as the key.
        key = texts[0] if texts else None
        return await self._transport.call("embedding", "/embed", request, EmbedResponse, context, read=True, key=key)

    async def model(self, context: RequestContext) -> ModelInfo:
        """Return the model of the service: its name, dimensions and limits."""
        return await self._transport.call("embedding", "/model", None, ModelInfo, context, read=True)
