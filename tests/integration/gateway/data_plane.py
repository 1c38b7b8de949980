"""Real gateway, retrieval and generation over sockets, with fake store, embedding and documents services."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

import msgspec
import numpy as np
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from argosy.config.models import Fleet
from argosy.contracts.embedding import EmbedRequest, EmbedResponse
from argosy.contracts.errors import CollectionNotFound
from argosy.contracts.fleet import Endpoint, EndpointSet
from argosy.contracts.request import RequestContext
from argosy.contracts.store import Candidate, Chunk, StoreSearchRequest, StoreSearchResponse
from argosy.contracts.vectors import Vectors
from argosy.services.gateway.app import GatewayService
from argosy.services.generation.app import GenerationService
from argosy.services.retrieval.app import RetrievalService
from argosy.serving.app import create_app, typed
from argosy.serving.kit import Kit
from argosy.serving.server import Service
from tests.kits import make_kit, served

TEXTS = ["The tide turns twice a day.", "Lighthouses guide ships at night.", "Pilots board ships at the outer buoy."]
CHUNKS = [
    Chunk(f"c{n}", "d1", 1, n, "sea.md", "file:sea.md", text, n * 100, n * 100 + len(text))
    for n, text in enumerate(TEXTS)
]


def _vector(text: str) -> Vectors:
    """Return the vector of a text: shape (4,), of unit length or 0."""
    words = np.array([text.lower().count(word) for word in ("tide", "light", "pilot", "ship")], np.float32)
    length = np.float32(max(float(np.linalg.norm(words)), 1e-6))
    return np.divide(words, length, dtype=np.float32)


async def _embed(request: EmbedRequest, context: RequestContext) -> EmbedResponse:
    rows = np.stack([_vector(text) for text in request.texts])
    return EmbedResponse("m", 4, rows.tobytes(), [2] * len(request.texts), [False] * len(request.texts))


async def _search(request: StoreSearchRequest, context: RequestContext) -> StoreSearchResponse:
    if request.collection != "default":
        raise CollectionNotFound(f"There is no collection {request.collection}.")
    query = np.zeros(4, "<f4") if request.vector is None else np.frombuffer(request.vector, "<f4")
    words = set((request.text or "").lower().strip("?").split())
    candidates = [
        Candidate(c.chunk_id, float(_vector(c.text) @ query), float(len(words & set(c.text.lower().split()))))
        for c in CHUNKS
    ]
    found = [one for one in candidates if request.vector is not None or one.words]
    return StoreSearchResponse({c.chunk_id: msgspec.json.encode(c).decode() for c in CHUNKS}, found)


class Plane:
    """Data plane with one replica of each service.

    `uploads` are the bodies that reached the documents service, with their content types; `embedded` are the requests
    that reached the embedding service.
    """

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        self.endpoints = EndpointSet("1.0", {})
        self.uploads: list[tuple[str, bytes]] = []
        self.embedded: list[EmbedRequest] = []
        self.url = ""
        self._followers: list[Kit] = []
        self._followed, self._changed = asyncio.Event(), asyncio.Event()

    async def _endpoints(self, request: Request) -> Response:
        if request.query_params.get("watch") == self.endpoints.version:
            if self._has_followed():
                self._followed.set()
            await self._changed.wait()
            return Response(status_code=204)
        return Response(msgspec.json.encode(self.endpoints), media_type="application/json")

    async def _embed(self, request: EmbedRequest, context: RequestContext) -> EmbedResponse:
        self.embedded.append(request)
        return await _embed(request, context)

    async def _documents(self, request: Request) -> Response:
        self.uploads.append((request.headers["content-type"], await request.body()))
        return Response(b'{"batch_id": "b1"}', status_code=202, media_type="application/json")

    def without(self, *services: str) -> None:
        """Publish an endpoint set in which these services have no replicas."""
        known = {name: found for name, found in self.endpoints.services.items() if name not in services}
        number = int(self.endpoints.version.partition(".")[2]) + 1
        self.endpoints = EndpointSet(f"1.{number}", known, list(services))
        self._followed.clear()
        self._changed.set()
        self._changed = asyncio.Event()

    async def settled(self) -> None:
        """Wait until every service has applied the newest endpoint set; it asks for the next one then."""
        async with asyncio.timeout(20):
            await self._followed.wait()

    def _has_followed(self) -> bool:
        return all(kit.readiness.endpoints_version == self.endpoints.version for kit in self._followers)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with contextlib.AsyncExitStack() as stack:
            controller_app = Starlette(routes=[Route("/v1/endpoints", self._endpoints)])
            controller = await stack.enter_async_context(served(controller_app))
            stack.callback(lambda: self._changed.set())

            def kit(service: str) -> Kit:
                return make_kit(service, self.fleet, controller_url=controller)

            played = {
                "embedding": create_app(kit("embedding"), [typed("/embed", EmbedRequest, self._embed)]),
                "store": create_app(kit("store"), [typed("/search", StoreSearchRequest, _search)]),
                "documents": create_app(kit("documents"), [Route("/documents", self._documents, methods=["POST"])]),
            }
            factories: dict[str, Callable[[Kit], Service]] = {
                "retrieval": RetrievalService,
                "generation": GenerationService,
                "gateway": GatewayService,
            }
            kits = {name: kit(name) for name in factories}
            self._followers = list(kits.values())
            real = {name: factory(kits[name]) for name, factory in factories.items()}
            apps = played | {name: service.app for name, service in real.items()}
            urls = {name: await stack.enter_async_context(served(app)) for name, app in apps.items()}
            self.url = urls["gateway"]
            self.endpoints = EndpointSet("1.1", {n: [Endpoint(f"{n}-1", url)] for n, url in urls.items()})
            for service in real.values():
                stack.push_async_callback(service.stop)
                await service.start()
            yield
