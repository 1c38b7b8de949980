"""Shared calls to the embedding service and the store: documents that wait at the same time share the next call.

Otherwise a document of one chunk would cost three separate calls, whose time is mostly overhead.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from argosy.contracts.embedding import EmbedResponse, ModelInfo, Spans, TextKind
from argosy.contracts.errors import UpstreamFailed
from argosy.contracts.request import RequestContext
from argosy.contracts.store import (
    EnsureCollection,
    ForgetRequest,
    PublishRequest,
    StoreOutcome,
    UpsertRequest,
)
from argosy.services.documents.jobs.shared_jobs import LINGER_S
from argosy.serving.grouping import Grouped

Contexts = Callable[[], RequestContext]
"""Factory for the context of a call that several documents share."""

EMBEDDING_CALLS = 2
"""Shared calls in flight to the embedding service: one is computed while the next one is sent."""
FULL_CALLS = 8
"""Shared calls in flight that hold the highest number of texts."""
PUBLICATIONS = 64
"""Highest number of publications in one call."""


Marked = list[tuple[str, Spans]]
"""Texts of one document, each with the spans whose vectors are wanted as well."""


class ChunkEmbedder(Protocol):
    async def embed(
        self, texts: list[str], kind: TextKind, context: RequestContext, *, spans: Sequence[Spans] = ()
    ) -> EmbedResponse:
        """Return a vector for each text, in the order given, and of its spans where the model gives such vectors.

        Raises: ArgosyError.
        """
        ...

    async def model(self, context: RequestContext) -> ModelInfo: ...


class BatchStore(Protocol):
    """The part of the store's client whose calls are shared."""

    async def ensure(self, request: EnsureCollection, context: RequestContext) -> None: ...

    async def upsert_many(self, requests: Sequence[UpsertRequest], context: RequestContext) -> list[StoreOutcome]: ...

    async def publish_many(self, requests: Sequence[PublishRequest], context: RequestContext) -> list[StoreOutcome]: ...

    async def forget(self, request: ForgetRequest, context: RequestContext) -> None: ...


class SharedEmbedder:
    """A `ChunkEmbedder` that embeds the texts of several documents in one request."""

    def __init__(self, inner: ChunkEmbedder, most_texts: int, contexts: Contexts) -> None:
        self._inner = inner
        self._contexts = contexts
        self._passages: Grouped[Marked, EmbedResponse] = Grouped(
            self._embed_together,
            most=most_texts,
            size=len,
            at_once=EMBEDDING_CALLS,
            full_at_once=FULL_CALLS,
            linger_s=LINGER_S,
        )

    async def embed(
        self, texts: list[str], kind: TextKind, context: RequestContext, *, spans: Sequence[Spans] = ()
    ) -> EmbedResponse:
        """Embed texts like the service. Raises: ArgosyError when the call fails."""
        if kind is not TextKind.PASSAGE:
            return await self._inner.embed(texts, kind, context, spans=spans)
        own = spans or [()] * len(texts)
        return await self._passages(list(zip(texts, own, strict=True)))

    async def model(self, context: RequestContext) -> ModelInfo:
        return await self._inner.model(context)

    async def _embed_together(self, several: Sequence[Marked]) -> list[EmbedResponse | Exception]:
        joined = [text for texts in several for text, _ in texts]
        spans = [own for texts in several for _, own in texts]
        wanted = spans if any(spans) else ()
        answer = await self._inner.embed(joined, TextKind.PASSAGE, self._contexts(), spans=wanted)
        if len(several) == 1:
            return [answer]
        row = answer.dimensions * 4
        if len(answer.vectors) != len(joined) * row:
            raise UpstreamFailed("The embedding service returned a different number of vectors than requested.")
        parts: list[EmbedResponse | Exception] = []
        at = 0
        for texts in several:
            end = at + len(texts)
            vectors = answer.vectors[at * row : end * row]
            tokens, truncated = answer.tokens[at:end], answer.truncated[at:end]
            part = EmbedResponse(answer.model, answer.dimensions, vectors, tokens, truncated)
            part.revision, part.spans = answer.revision, answer.spans[at:end]
            parts.append(part)
            at = end
        return parts


class SharedStore:
    """A `ChunkStore` that sends the chunks, and the publications, of several documents in one request each."""

    def __init__(self, inner: BatchStore, most_chunks: int, contexts: Contexts) -> None:
        self._inner = inner
        self._contexts = contexts
        self._upserts: Grouped[UpsertRequest, None] = Grouped(
            self._upsert_together, most=most_chunks, size=lambda request: len(request.chunks), linger_s=LINGER_S
        )
        self._publications: Grouped[PublishRequest, None] = Grouped(
            self._publish_together, most=PUBLICATIONS, linger_s=LINGER_S
        )

    async def ensure(self, request: EnsureCollection, context: RequestContext) -> None:
        await self._inner.ensure(request, context)

    async def upsert(self, request: UpsertRequest, context: RequestContext) -> None:
        await self._upserts(request)

    async def publish(self, request: PublishRequest, context: RequestContext) -> None:
        await self._publications(request)

    async def forget(self, request: ForgetRequest, context: RequestContext) -> None:
        await self._inner.forget(request, context)

    async def _upsert_together(self, requests: Sequence[UpsertRequest]) -> list[Exception | None]:
        outcomes = await self._inner.upsert_many(requests, self._contexts())
        return [outcome.error() for outcome in outcomes]

    async def _publish_together(self, requests: Sequence[PublishRequest]) -> list[Exception | None]:
        outcomes = await self._inner.publish_many(requests, self._contexts())
        return [outcome.error() for outcome in outcomes]
