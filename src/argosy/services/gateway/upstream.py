"""Interfaces of the other services, as the gateway uses them.

`argosy.clients.upstreams.Upstreams` implements them; tests use fakes. Every call raises Unavailable, Overloaded,
DeadlineExceeded or UpstreamFailed when the service fails, and otherwise the error that the service answered with.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from typing import Protocol

from argosy.clients.directory import Directory
from argosy.clients.exchange import RawResponse
from argosy.clients.transport import Transport
from argosy.contracts.embedding import EmbedResponse, TextKind
from argosy.contracts.fleet import Endpoint, FleetView, ReplicaStatus
from argosy.contracts.generation import AnswerEvent, GenerateRequest, StandaloneRequest, StandaloneResponse
from argosy.contracts.request import RequestContext
from argosy.contracts.rerank import RerankRequest, RerankResponse
from argosy.contracts.retrieval import RetrievalRequest, RetrievalResponse


class Retriever(Protocol):
    async def search(self, request: RetrievalRequest, context: RequestContext) -> RetrievalResponse:
        """Return at most `request.top_k` passages, best first.

        Raises: CollectionNotFound when there is no such collection.
        """
        ...

    async def rerank(self, request: RerankRequest, context: RequestContext) -> RerankResponse:
        """Return the relevance of each text of the request."""
        ...


class Generator(Protocol):
    def answer(self, request: GenerateRequest, context: RequestContext) -> AsyncGenerator[AnswerEvent, None]:
        """Yield deltas, then AnswerDone or AnswerFailed. Closing the generator ends the request.

        Raises: an ArgosyError in place of the first event when no answer was begun.
        """
        ...

    async def standalone(self, request: StandaloneRequest, context: RequestContext) -> StandaloneResponse:
        """Return the last question of a conversation, rewritten by the language model to stand alone."""
        ...


class TextEmbedder(Protocol):
    async def embed(
        self, texts: Sequence[str], kind: TextKind, context: RequestContext, *, partial: bool = False
    ) -> EmbedResponse:
        """Return a vector for each text, in order; with `partial`, for each text that is not in `failures`.

        Raises: InvalidRequest when a text cannot be embedded and `partial` is false; `param` is its `texts[N]`.
        """
        ...


class DocumentStore(Protocol):
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
        """Return the response of the documents service, whatever its status. `waits` marks a long poll."""
        ...


class VersionSource(Protocol):
    async def version(self, collection: str, context: RequestContext) -> str:
        """Return the version of a collection's visible content, which differs after every acknowledged change.

        Raises: CollectionNotFound when there is no such collection.
        """
        ...


class StatusSource(Protocol):
    async def fleet(self, context: RequestContext) -> FleetView:
        """Return the controller's view of the fleet."""
        ...

    async def replica(self, endpoint: Endpoint, context: RequestContext) -> ReplicaStatus:
        """Return the status that one replica reports of itself."""
        ...


class Upstream(Protocol):
    @property
    def retrieval(self) -> Retriever: ...
    @property
    def generation(self) -> Generator: ...
    @property
    def embedding(self) -> TextEmbedder: ...
    @property
    def store(self) -> VersionSource: ...
    @property
    def documents(self) -> DocumentStore: ...
    @property
    def status(self) -> StatusSource: ...
    @property
    def directory(self) -> Directory: ...
    @property
    def transport(self) -> Transport: ...
