"""What the gateway asks of the other services. `argosy.clients.upstreams.Upstreams` is one; tests bring their own."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from typing import Protocol

from argosy.clients.directory import Directory
from argosy.clients.exchange import RawResponse
from argosy.clients.transport import Transport
from argosy.contracts.embedding import EmbedResponse, TextKind
from argosy.contracts.fleet import Endpoint, FleetView, ReplicaStatus
from argosy.contracts.generation import AnswerEvent, GenerateRequest
from argosy.contracts.request import RequestContext
from argosy.contracts.retrieval import RetrievalRequest, RetrievalResponse


class Retriever(Protocol):
    async def search(self, request: RetrievalRequest, context: RequestContext) -> RetrievalResponse: ...


class Generator(Protocol):
    def answer(self, request: GenerateRequest, context: RequestContext) -> AsyncGenerator[AnswerEvent, None]: ...


class Embedder(Protocol):
    async def embed(
        self, texts: Sequence[str], kind: TextKind, context: RequestContext, *, partial: bool = False
    ) -> EmbedResponse: ...


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
    ) -> RawResponse: ...


class StatusSource(Protocol):
    async def fleet(self, context: RequestContext) -> FleetView: ...
    async def replica(self, endpoint: Endpoint, context: RequestContext) -> ReplicaStatus: ...


class Upstream(Protocol):
    @property
    def retrieval(self) -> Retriever: ...
    @property
    def generation(self) -> Generator: ...
    @property
    def embedding(self) -> Embedder: ...
    @property
    def documents(self) -> DocumentStore: ...
    @property
    def status(self) -> StatusSource: ...
    @property
    def directory(self) -> Directory: ...
    @property
    def transport(self) -> Transport: ...
