"""Fakes of the services that the gateway calls. Each gives the answers it was set up with and records its requests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence

import msgspec
import numpy as np

from argosy.clients.directory import Directory
from argosy.clients.exchange import RawResponse
from argosy.clients.transport import Transport
from argosy.config.models import Fleet
from argosy.contracts.embedding import EmbedResponse, TextFailure, TextKind
from argosy.contracts.errors import ArgosyError, CollectionNotFound, InvalidRequest, Unavailable
from argosy.contracts.fleet import ControllerView, Endpoint, FleetView, Health, Load, ReplicaStatus
from argosy.contracts.generation import (
    AnswerDelta,
    AnswerDone,
    AnswerEvent,
    GenerateRequest,
    StandaloneRequest,
    StandaloneResponse,
)
from argosy.contracts.request import RequestContext
from argosy.contracts.rerank import RerankRequest, RerankResponse
from argosy.contracts.retrieval import Passage, RetrievalRequest, RetrievalResponse
from argosy.contracts.store import Chunk
from argosy.services.gateway.app import create_gateway_app
from argosy.services.gateway.gateway import Gateway
from argosy.services.generation.citing import citation
from argosy.serving.kit import Kit
from tests.kits import make_kit

TEXT = "The tide turns twice a day. Lighthouses guide ships at night."
PASSAGE = Passage(
    Chunk(
        "c1", "d1", 1, 0, "tides.md", "file:tides.md", TEXT, 100, 100 + len(TEXT), title="Tides", page=3, last_page=4
    ),
    1.0,
)


class Retrieval:
    def __init__(self) -> None:
        self.answer = RetrievalResponse([PASSAGE], [], {"store": 1.5})
        self.error: ArgosyError | None = None
        self.asked: list[tuple[RetrievalRequest, RequestContext]] = []
        self.reranked: list[RerankRequest] = []

    async def search(self, request: RetrievalRequest, context: RequestContext) -> RetrievalResponse:
        self.asked.append((request, context))
        context.deadline.require("the store was asked")
        if self.error is not None:
            raise self.error
        if request.collection != "default":
            raise CollectionNotFound(f"There is no collection {request.collection}.")
        return self.answer

    async def rerank(self, request: RerankRequest, context: RequestContext) -> RerankResponse:
        """Return the relevance of each text: longer texts are more relevant."""
        self.reranked.append(request)
        if self.error is not None:
            raise self.error
        return RerankResponse("a-reranker", [len(text) / 1000 for text in request.texts], 12, self.answer.degraded)


class Generation:
    """Fake that yields `events` in turn. An error among them is raised in its place; None waits for ever."""

    def __init__(self) -> None:
        self.events: list[AnswerEvent | Exception | None] = [
            AnswerDelta("Twice "),
            AnswerDelta("a day [1]."),
            AnswerDone([citation(1, PASSAGE)], model="a-model", prompt_tokens=9, completion_tokens=4),
        ]
        self.asked: list[tuple[GenerateRequest, RequestContext]] = []
        self.closed = 0
        self.rewritten: StandaloneResponse | Exception | None = Unavailable("No model here.")
        """Rewritten question, an error to raise, or None to wait for ever."""

    async def standalone(self, request: StandaloneRequest, context: RequestContext) -> StandaloneResponse:
        if self.rewritten is None:
            await asyncio.Event().wait()
        if isinstance(self.rewritten, Exception):
            raise self.rewritten
        assert self.rewritten is not None
        return self.rewritten

    async def answer(self, request: GenerateRequest, context: RequestContext) -> AsyncGenerator[AnswerEvent, None]:
        self.asked.append((request, context))
        try:
            for event in self.events:
                if isinstance(event, Exception):
                    raise event
                if event is None:
                    await asyncio.Event().wait()
                else:
                    yield msgspec.convert(msgspec.to_builtins(event), AnswerEvent)
        finally:
            self.closed += 1


class Embedding:
    def __init__(self) -> None:
        self.asked: list[list[str]] = []
        self.truncated = False
        self.hits = 0
        self.errors: list[ArgosyError] = []
        """Errors raised in turn, before any answer is given."""
        self.contexts: list[RequestContext] = []
        self.release: asyncio.Event | None = None
        """Event that answers wait for."""
        self.in_work = 0

    async def embed(
        self, texts: Sequence[str], kind: TextKind, context: RequestContext, *, partial: bool = False
    ) -> EmbedResponse:
        """Return vectors. A text that contains `bad` fails: alone with `partial`, otherwise with the whole request."""
        self.asked.append(list(texts))
        self.contexts.append(context)
        if self.errors:
            raise self.errors.pop(0)
        self.in_work += 1
        try:
            if self.release is not None:
                await self.release.wait()
        finally:
            self.in_work -= 1
        bad = [n for n, text in enumerate(texts) if "bad" in text]
        if bad and not partial:
            raise InvalidRequest(f"The text at position {bad[0]} is bad.", param=f"texts[{bad[0]}]")
        good = len(texts) - len(bad)
        failures = [TextFailure(n, "invalid_request", "It is bad.") for n in bad]
        vectors = np.arange(2 * good, dtype="<f4").tobytes()
        tokens, truncated = [3] * len(texts), [self.truncated] * len(texts)
        return EmbedResponse("m", 2, vectors, tokens, truncated, self.hits, failures)


class Documents:
    def __init__(self) -> None:
        self.answer = RawResponse(200, b'{"documents": [], "next": null}', "application/json", None)
        self.error: ArgosyError | None = None
        self.asked: list[tuple[str, str, dict[str, str], dict[str, str]]] = []
        self.pieces: list[bytes] = []

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
        self.asked.append((method, path, dict(headers or {}), dict(params or {})))
        if isinstance(body, AsyncIterator):
            self.pieces = [piece async for piece in body]
        if self.error is not None:
            raise self.error
        return self.answer


class Versions:
    """Fake of the store's versions. None raises CollectionNotFound."""

    def __init__(self) -> None:
        self.now: str | None = "e.1"

    async def version(self, collection: str, context: RequestContext) -> str:
        if self.now is None:
            raise CollectionNotFound(f"There is no collection {collection}.")
        return self.now


class Status:
    def __init__(self) -> None:
        self.controller_runs = True

    async def fleet(self, context: RequestContext) -> FleetView:
        if not self.controller_runs:
            raise Unavailable("The controller cannot be reached.")
        return FleetView(ControllerView(7, 1.0, "0.1.0"), Health.HEALTHY, [])

    async def replica(self, endpoint: Endpoint, context: RequestContext) -> ReplicaStatus:
        if endpoint.id == "store-1":
            raise Unavailable("Replica store-1 cannot be reached.")
        return ReplicaStatus("embedding", endpoint.id, "r1", 42, True, False, Health.HEALTHY, "", 5.0, "1.1", Load())


class Upstream:
    def __init__(self, fleet: Fleet) -> None:
        self.retrieval = Retrieval()
        self.generation = Generation()
        self.embedding = Embedding()
        self.documents = Documents()
        self.store = Versions()
        self.status = Status()
        self.directory = Directory(fleet.services)

    @property
    def transport(self) -> Transport:
        raise Unavailable("No service of one's own runs here.")


class Rig:
    """Gateway app that calls fakes."""

    def __init__(self, fleet: Fleet | None = None, *, connected: bool = True) -> None:
        self.fleet = fleet or Fleet()
        self.kit: Kit = make_kit("gateway", self.fleet)
        self.upstream = Upstream(self.fleet)
        self.gateway = Gateway(self.kit)
        if connected:
            self.connect()
        self.app = create_gateway_app(self.gateway)

    def connect(self) -> None:
        self.gateway.connect(self.upstream)

    def metric(self, name: str, **labels: str) -> float | None:
        return self.kit.metrics.registry.get_sample_value(name, {"service": "gateway", **labels})
