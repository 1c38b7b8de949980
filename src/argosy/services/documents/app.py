"""Documents over HTTP: takes uploads, tells what became of them, and works on them in the background."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from argosy.clients.upstreams import Upstreams
from argosy.config.models import DocumentsSettings
from argosy.contracts.codec import JSON, decode
from argosy.contracts.documents import BatchView, CollectionCreate
from argosy.contracts.errors import ArgosyError, InvalidRequest
from argosy.contracts.request import Deadline, RequestContext
from argosy.contracts.store import EnsureCollection
from argosy.services.documents.blobs import BlobStore
from argosy.services.documents.catalog import Catalog
from argosy.services.documents.chunking import ChunkLimits
from argosy.services.documents.database import Database
from argosy.services.documents.housekeeping import sweep
from argosy.services.documents.intake import QueueLimits, Upload
from argosy.services.documents.jobs import JobRules, Jobs
from argosy.services.documents.parsing import ParserLimits, ParserPool
from argosy.services.documents.pipeline import Pipeline, PipelineSettings
from argosy.services.documents.tokenization import ModelTokenizer
from argosy.services.documents.uploads import Content, read_upload
from argosy.services.documents.worker import Worker
from argosy.serving.app import create_app, until_gone
from argosy.serving.kit import Details, Kit
from argosy.serving.middleware import body_of, context_of
from argosy.telemetry.logs import logger

R = TypeVar("R")
UPLOAD_TIMEOUT_S = 300.0
STORE_HINT_TIMEOUT_S = 2.0
BATCH_POLL_S = 0.2
MAX_WAIT_S = 60.0
HOUSEKEEPING_S = 3600.0

log = logger("documents")


class DocumentsService:
    def __init__(self, kit: Kit) -> None:
        if not isinstance(kit.settings, DocumentsSettings):
            raise TypeError("the documents service needs its own settings")
        self._kit = kit
        self._settings = kit.settings
        self._folder = Path(kit.record.data_dir)
        self._upstreams = Upstreams.of(kit)
        self._worker: Worker | None = None
        self._parser: ParserPool | None = None
        self._database: Database | None = None
        self._background: set[asyncio.Task[None]] = set()
        kit.timeouts_s = {"/documents": UPLOAD_TIMEOUT_S, "/batches": MAX_WAIT_S + 10}
        kit.details = self._details
        kit.load.queued = lambda: len(self._worker.running) if self._worker is not None else 0
        self.app = create_app(
            kit,
            [
                Route("/documents", self._add, methods=["POST"]),
                Route("/documents", self._list, methods=["GET"]),
                Route("/documents/{id}", self._show, methods=["GET"]),
                Route("/documents/{id}", self._delete, methods=["DELETE"]),
                Route("/documents/{id}/retry", self._retry, methods=["POST"]),
                Route("/batches/{id}", self._batch, methods=["GET"]),
                Route("/collections", self._collections, methods=["GET"]),
                Route("/collections", self._create_collection, methods=["POST"]),
                Route("/collections/{name}", self._delete_collection, methods=["DELETE"]),
            ],
        )

    async def start(self) -> None:
        settings, embedding = self._settings, self._kit.fleet.services.embedding
        self._database = database = await asyncio.to_thread(Database.open, self._folder / "catalog.db")
        self._blobs = await asyncio.to_thread(BlobStore, self._folder / "blobs")
        processing = f"{embedding.backend}:{embedding.model}:{settings.chunk_tokens}:{settings.chunk_overlap_tokens}"
        limits = QueueLimits(settings.max_queued_documents, settings.max_queued_bytes)
        self._catalog = await asyncio.to_thread(Catalog, database, time.time, limits, processing)
        jobs = Jobs(database, time.time, JobRules(lease_s=settings.lease_s, max_attempts=settings.max_attempts))
        self._parser = ParserPool(settings.workers, ParserLimits(memory_bytes=settings.parser_memory_bytes))
        await self._upstreams.start()
        tokenizer = await asyncio.to_thread(ModelTokenizer, embedding)
        tokens = min(settings.chunk_tokens, tokenizer.room)
        chunks = ChunkLimits(tokens=tokens, overlap_tokens=min(settings.chunk_overlap_tokens, tokens // 2))
        pipeline = Pipeline(
            jobs,
            self._blobs,
            self._parser,
            tokenizer,
            self._upstreams.embedding,
            self._upstreams.store,
            PipelineSettings(chunks=chunks, parse_timeout_s=settings.parse_timeout_s),
        )
        self._worker = Worker(jobs, pipeline, slots=settings.workers)
        self._worker.start()
        self._spawn(self._keep_house())

    async def stop(self) -> None:
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        if self._worker is not None:
            await self._worker.stop(self._settings.drain_timeout_s)
        if self._parser is not None:
            await self._parser.close()
        await self._upstreams.stop()
        if self._database is not None:
            await asyncio.to_thread(self._database.close)

    async def _add(self, request: Request) -> Response:
        """202 once every document of the request is on disk; refused as a whole otherwise."""
        context = context_of(request.scope)
        try:
            collection, contents = await read_upload(request, self._settings)
        except ArgosyError:
            await body_of(request.scope).drain()
            raise
        await asyncio.to_thread(self._catalog.check_room, len(contents), sum(len(c.data) for c in contents))
        accepted = await asyncio.to_thread(self._accept, collection, contents)
        assert self._worker is not None
        self._worker.wake()
        self._spawn(self._tell_store(collection, context))
        return _json(accepted, 202)

    def _accept(self, collection: str, contents: list[Content]) -> object:
        uploads = [
            Upload(
                name=content.name,
                source=content.source,
                content_type=content.content_type,
                bytes_len=len(content.data),
                content_hash=self._blobs.put(content.data),
                title=content.title,
                metadata=content.metadata,
            )
            for content in contents
        ]
        return self._catalog.accept(collection, uploads)

    async def _tell_store(self, collection: str, context: RequestContext) -> None:
        """A search of a new collection finds it empty rather than missing; indexing ensures it again."""
        with contextlib.suppress(ArgosyError):
            await self._upstreams.store.ensure(EnsureCollection(collection), _brief(context))

    async def _list(self, request: Request) -> Response:
        query = request.query_params
        limit = query.get("limit", "100")
        if not (limit.isascii() and limit.isdigit()):
            raise InvalidRequest("`limit` must be a whole number.", param="limit")
        return await self._answer(
            lambda: self._catalog.documents(
                int(limit), query.get("after"), query.get("status"), query.get("collection")
            )
        )

    async def _show(self, request: Request) -> Response:
        return await self._answer(lambda: self._catalog.document(request.path_params["id"]))

    async def _delete(self, request: Request) -> Response:
        """Durable at once; the store is told at once too where it can be reached, else by a job."""
        document_id = request.path_params["id"]
        forget = await asyncio.to_thread(self._catalog.delete, document_id)
        with contextlib.suppress(ArgosyError):
            await self._upstreams.store.forget(forget, _brief(context_of(request.scope)))
        assert self._worker is not None
        self._worker.wake()
        return _json({"id": document_id, "deleted": True})

    async def _retry(self, request: Request) -> Response:
        view = await asyncio.to_thread(self._catalog.retry, request.path_params["id"])
        assert self._worker is not None
        self._worker.wake()
        return _json(view, 202)

    async def _batch(self, request: Request) -> Response:
        """With `wait_s`: as soon as something changed or all is done, at the latest after that time."""
        asked = request.query_params.get("wait_s", "0")
        try:
            wait_s = min(MAX_WAIT_S, float(asked))
        except ValueError as error:
            raise InvalidRequest("`wait_s` must be a number of seconds.", param="wait_s") from error
        context = context_of(request.scope)
        return _json(await until_gone(request, self._changed(request.path_params["id"], wait_s), context))

    async def _changed(self, batch_id: str, wait_s: float) -> BatchView:
        deadline = Deadline.after(wait_s, self._kit.clock)
        first = view = await asyncio.to_thread(self._catalog.batch, batch_id)
        while not view.done and (view.progress, view.counts) == (first.progress, first.counts):
            if deadline.remaining_s() <= 0:
                break
            await asyncio.sleep(min(BATCH_POLL_S, max(0.0, deadline.remaining_s())))
            view = await asyncio.to_thread(self._catalog.batch, batch_id)
        return view

    async def _collections(self, request: Request) -> Response:
        return await self._answer(lambda: {"collections": self._catalog.collections()})

    async def _create_collection(self, request: Request) -> Response:
        wanted = decode(await request.body(), CollectionCreate, JSON)
        view = await asyncio.to_thread(self._catalog.create_collection, wanted.name)
        await self._tell_store(wanted.name, context_of(request.scope))
        return _json(view, 201)

    async def _delete_collection(self, request: Request) -> Response:
        name = request.path_params["name"]
        count = await asyncio.to_thread(self._catalog.delete_collection, name)
        with contextlib.suppress(ArgosyError):
            await self._upstreams.store.drop(EnsureCollection(name), _brief(context_of(request.scope)))
        assert self._worker is not None
        self._worker.wake()
        return _json({"name": name, "deleted": True, "documents": count})

    async def _answer(self, work: Callable[[], object]) -> Response:
        return _json(await asyncio.to_thread(work))

    async def _keep_house(self) -> None:
        while True:
            try:
                await asyncio.to_thread(sweep, self._catalog, self._blobs)
            except Exception as error:
                log.error("housekeeping failed", exc_info=error)
            await asyncio.sleep(HOUSEKEEPING_S)

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    def _details(self) -> Details:
        return {"working_on": len(self._worker.running) if self._worker is not None else 0}


def _brief(context: RequestContext) -> RequestContext:
    """The same request with little time: what is asked here is a courtesy that a job repeats."""
    return replace(context, deadline=Deadline.after(STORE_HINT_TIMEOUT_S))


def _json(message: object, status: int = 200) -> Response:
    return Response(msgspec.json.encode(message), status_code=status, media_type=JSON)
