"""HTTP interface of the documents service: accepts uploads, reports their state and indexes them in the background."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import math
import os
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import ParamSpec, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from argosy.clients.upstreams import Upstreams
from argosy.config.services import DocumentsSettings
from argosy.contracts.codec import JSON
from argosy.contracts.documents import (
    BatchView,
    Cancelled,
    CollectionCreate,
    CollectionList,
    DocumentStatus,
    Dropped,
    Forgotten,
    RefusedUpload,
)
from argosy.contracts.errors import ArgosyError, InvalidRequest
from argosy.contracts.request import Deadline, RequestContext
from argosy.services.documents.catalog.acceptance import Acceptance
from argosy.services.documents.catalog.catalog import Catalog
from argosy.services.documents.catalog.clearing import Clearing
from argosy.services.documents.catalog.collection_languages import add_languages
from argosy.services.documents.catalog.intake import QueueLimits
from argosy.services.documents.catalog.job_control import JobControl
from argosy.services.documents.catalog.long_poll import changed
from argosy.services.documents.catalog.refusals import checked
from argosy.services.documents.catalog.upload_space import SpooledUpload, UploadSpace
from argosy.services.documents.catalog.uploads import Uploads
from argosy.services.documents.chunking.tokenization import ModelTokenizer
from argosy.services.documents.jobs.assembly import assembled
from argosy.services.documents.jobs.fingerprint import processing_key
from argosy.services.documents.jobs.leases import JobLeases
from argosy.services.documents.jobs.meters import IngestionMeters
from argosy.services.documents.jobs.parse_turns import OVERTIME_PLACES
from argosy.services.documents.jobs.rules import JobRules
from argosy.services.documents.jobs.statistics import report
from argosy.services.documents.jobs.worker import Worker
from argosy.services.documents.parsing.pool import ParserLimits, ParserPool
from argosy.services.documents.records.blobs import BlobStore
from argosy.services.documents.records.database import Database, open_database
from argosy.services.documents.upkeep import Upkeep
from argosy.serving.app import create_app, until_gone
from argosy.serving.bodies import json_message
from argosy.serving.kit import Details, Kit
from argosy.serving.middleware import becomes_waiter, body_of, context_of
from argosy.telemetry.logs import logger

P = ParamSpec("P")
R = TypeVar("R")
UPLOAD_TIMEOUT_S = 300.0
STORE_HINT_TIMEOUT_S = 2.0
MAX_WAIT_S = 60.0
MAX_WINDOW_S = 7 * 86_400
CALLER_THREADS = 8
MAX_DIGITS = 15
CLAIM_JOBS = 16
"""Highest number of small documents that one worker claims at once."""
CLAIM_BYTES = 64 * 2**10
"""Bytes of one claim; a claim ends with the document that exceeds them."""
MAX_REFUSED_BYTES = 4 * 2**20
MAX_COLLECTION_BYTES = 65_536

log = logger("documents")


class DocumentsService:
    """The documents service: HTTP routes, and the worker and background loops of one replica."""

    def __init__(self, kit: Kit) -> None:
        if not isinstance(kit.settings, DocumentsSettings):
            raise TypeError("the documents service needs DocumentsSettings")
        self._kit = kit
        self._settings = kit.settings
        self.folder = Path(kit.record.data_dir)
        self._upstreams = Upstreams.of(kit)
        self._worker: Worker | None = None
        self._parser: ParserPool | None = None
        self._database: Database | None = None
        self._background: set[asyncio.Task[None]] = set()
        kit.timeouts_s = {"/documents": UPLOAD_TIMEOUT_S, "/batches": MAX_WAIT_S + 10}
        kit.details = self._details
        kit.load.queued = self._busy
        self._meters = IngestionMeters(kit.metrics.registry)
        self._threads = ThreadPoolExecutor(CALLER_THREADS, thread_name_prefix="documents-call")
        self._upkeep: Upkeep | None = None
        self.spool = UploadSpace(self.folder / "uploads", kit.settings.max_receiving_bytes)
        self._uploads = Uploads(kit.settings, self._in_thread)
        self.app = create_app(
            kit,
            [
                Route("/documents", self._add, methods=["POST"]),
                Route("/documents", self._list, methods=["GET"]),
                Route("/documents/refused", self._refuse, methods=["POST"]),
                Route("/documents/{id}", self._show, methods=["GET"]),
                Route("/documents/{id}", self._delete, methods=["DELETE"]),
                Route("/documents/{id}/retry", self._retry, methods=["POST"]),
                Route("/documents/{id}/cancel", self._cancel, methods=["POST"]),
                Route("/batches/{id}", self._batch, methods=["GET"]),
                Route("/batches/{id}", self._cancel_batch, methods=["DELETE"]),
                Route("/batches/{id}/cancel", self._cancel_batch, methods=["POST"]),
                Route("/jobs", self._jobs, methods=["GET"]),
                Route("/statistics", self._statistics, methods=["GET"]),
                Route("/collections", self._collections, methods=["GET"]),
                Route("/collections", self._create_collection, methods=["POST"]),
                Route("/collections/{name}", self._delete_collection, methods=["DELETE"]),
            ],
        )

    async def start(self) -> None:
        settings, embedding = self._settings, self._kit.fleet.services.embedding
        self._database = database = await asyncio.to_thread(
            open_database, settings.database, self.folder, dict(os.environ)
        )
        self._blobs = await asyncio.to_thread(BlobStore, self.folder / "blobs")
        await asyncio.to_thread(self.spool.prepare)
        limits = QueueLimits(settings.max_queued_documents, settings.max_queued_bytes)
        self._catalog = await asyncio.to_thread(Catalog, database, limits, processing_key(settings, embedding))
        self._acceptance = Acceptance(self._catalog, self._blobs)
        self._job_control = JobControl(database, limits)
        jobs = JobLeases(database, JobRules(lease_s=settings.lease_s, max_attempts=settings.max_attempts))
        limits_of_one = ParserLimits(memory_bytes=settings.parser_memory_bytes, still_s=settings.parse_timeout_s)
        self._parser = ParserPool(settings.parsers + OVERTIME_PLACES, limits_of_one)
        await self._upstreams.start()
        tokenizer = await asyncio.to_thread(ModelTokenizer, embedding)
        pipeline = assembled(
            settings, jobs, self._blobs, self._parser, tokenizer, self._upstreams, embedding, self._meters
        )
        self._worker = Worker(
            jobs,
            pipeline,
            slots=settings.workers,
            claim_jobs=CLAIM_JOBS,
            claim_bytes=CLAIM_BYTES,
            on_failed=self._meters.failed,
            loops=self._kit.loops,
        )
        self._worker.start()
        self._upkeep = Upkeep(database, self._catalog, self._blobs, self._meters, self._busy, self._kit.loops)
        self._background.add(self._kit.loops.start("upkeep", self._upkeep.run))
        self._clearing = Clearing(database, self._blobs, self._upstreams.store, self._kit.clock)
        self._background.add(self._kit.loops.start("clearing", self._clearing.run))

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
        self._threads.shutdown(wait=False)

    async def _add(self, request: Request) -> Response:
        """Answer 202 once every document of the request is on disk; otherwise refuse the whole request."""
        context = context_of(request.scope)
        try:
            with SpooledUpload(self.spool) as spooled:
                self.spool.check(int(request.headers.get("content-length", "0")))
                incoming = await self._uploads.read(request, spooled)
                async with self._uploads.turn(spooled):
                    accepted = await self._in_thread(self._acceptance.accept, incoming, spooled)
        except ArgosyError:  # the spool is released before the rest of the body is read
            await body_of(request.scope).drain()
            raise
        if any(entry.status is DocumentStatus.QUEUED for entry in accepted.documents):
            self._wake()
            self._spawn(self._tell_store(incoming.collection, context))
        return _json(accepted, 202)

    async def _refuse(self, request: Request) -> Response:
        """Record documents that were refused, or that their sender could not read, as failed documents."""
        refused = checked(
            await json_message(request, RefusedUpload, MAX_REFUSED_BYTES), self._settings.max_files_per_request
        )
        kept = await self._in_thread(self._catalog.refuse, refused)
        self._spawn(self._tell_store(refused.collection, context_of(request.scope)))
        return _json(kept, 202)

    async def _tell_store(self, collection: str, context: RequestContext) -> None:
        """Create a new collection in the store, so that a search finds it empty rather than missing.

        Errors are ignored because indexing creates the collection too.
        """
        with contextlib.suppress(ArgosyError):
            wanted = await self._in_thread(self._catalog.generation, collection)
            if wanted is not None:
                await self._upstreams.store.ensure(wanted, _brief(context))

    async def _list(self, request: Request) -> Response:
        query = request.query_params
        limit = _whole(query.get("limit", "100"), "limit")
        return await self._answer(
            lambda: self._catalog.documents(limit, query.get("after"), query.get("status"), query.get("collection"))
        )

    async def _show(self, request: Request) -> Response:
        return await self._answer(lambda: self._catalog.document(request.path_params["id"]))

    async def _delete(self, request: Request) -> Response:
        """Delete a document durably, and from the store at once if it can be reached; otherwise a job does that."""
        document_id = request.path_params["id"]
        forget = await asyncio.to_thread(self._catalog.delete, document_id)
        with contextlib.suppress(ArgosyError):
            await self._upstreams.store.forget(forget, _brief(context_of(request.scope)))
        self._wake()
        self._clearing.wake()
        return _json(Forgotten(document_id))

    async def _retry(self, request: Request) -> Response:
        view = await self._in_thread(self._job_control.retry, request.path_params["id"])
        self._wake()
        return _json(view, 202)

    async def _cancel(self, request: Request) -> Response:
        return await self._answer(lambda: self._job_control.cancel_document(request.path_params["id"]))

    async def _cancel_batch(self, request: Request) -> Response:
        batch_id = request.path_params["id"]
        cancelled = await self._in_thread(self._job_control.cancel_batch, batch_id)
        return _json(Cancelled(batch_id, cancelled))

    async def _jobs(self, request: Request) -> Response:
        query = request.query_params
        limit = _whole(query.get("limit", "100"), "limit")
        after = None if "after" not in query else _whole(query["after"], "after")
        return await self._answer(lambda: self._job_control.jobs(limit, after, query.get("state")))

    async def _statistics(self, request: Request) -> Response:
        window_s = min(MAX_WINDOW_S, max(1, _whole(request.query_params.get("window_s", "3600"), "window_s")))
        assert self._database is not None
        database = self._database
        return await self._answer(lambda: report(database, window_s))

    async def _batch(self, request: Request) -> Response:
        """Return a batch. With `wait_s`, wait until it changes or is done, at most for that many seconds."""
        query, batch_id = request.query_params, request.path_params["id"]
        try:
            asked_s = float(query.get("wait_s", "0"))
        except ValueError:
            asked_s = math.nan
        if not 0 <= asked_s < math.inf:
            raise InvalidRequest("`wait_s` must be a number of seconds, 0 or more.", param="wait_s")
        if "wait_s" in query:  # even with 0: the first and last poll of a waiter are no work either
            becomes_waiter(request.scope)
        deadline = Deadline.after(min(MAX_WAIT_S, asked_s), self._kit.clock)
        waited = changed(lambda: self._view(batch_id), deadline, self._kit.waiters)
        return _json(await until_gone(request, waited, context_of(request.scope)))

    async def _view(self, batch_id: str) -> BatchView:
        return await self._in_thread(self._catalog.batch, batch_id)

    async def _collections(self, request: Request) -> Response:
        views = await self._in_thread(self._catalog.collections)
        await add_languages(
            views, self._upstreams.store, self._kit.fleet.services.embedding, _brief(context_of(request.scope))
        )
        return _json(CollectionList(views))

    async def _create_collection(self, request: Request) -> Response:
        wanted = await json_message(request, CollectionCreate, MAX_COLLECTION_BYTES)
        view = await asyncio.to_thread(self._catalog.create_collection, wanted.name)
        await self._tell_store(wanted.name, context_of(request.scope))
        return _json(view, 201)

    async def _delete_collection(self, request: Request) -> Response:
        name = request.path_params["name"]
        count, dropped = await asyncio.to_thread(self._catalog.delete_collection, name)
        with contextlib.suppress(ArgosyError):
            await self._upstreams.store.drop(dropped, _brief(context_of(request.scope)))
        self._clearing.wake()
        return _json(Dropped(name, count))

    async def _answer(self, work: Callable[[], object]) -> Response:
        return _json(await self._in_thread(work))

    async def _in_thread(self, work: Callable[P, R], /, *arguments: P.args, **named: P.kwargs) -> R:
        """Run blocking work on threads reserved for requests: indexing may occupy the default ones."""
        call = functools.partial(work, *arguments, **named)
        return await asyncio.get_running_loop().run_in_executor(self._threads, call)

    def _wake(self) -> None:
        assert self._worker is not None
        self._worker.wake()

    def _busy(self) -> int:
        """Return the number of busy workers."""
        return self._worker.busy if self._worker is not None else 0

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._background.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("background work failed", exc_info=error)

    def _details(self) -> Details:
        return {
            "working_on": self._busy(),
            "workers": self._settings.workers,
            "queued": self._upkeep.queued if self._upkeep else 0,
        }


def _brief(context: RequestContext) -> RequestContext:
    """Return the context with a short deadline, for optional calls that a job repeats."""
    return replace(context, deadline=Deadline.after(STORE_HINT_TIMEOUT_S))


def _whole(given: str, param: str) -> int:
    if not (given.isascii() and given.isdigit() and len(given) <= MAX_DIGITS):
        raise InvalidRequest(f"`{param}` must be a whole number.", param=param)
    return int(given)


def _json(message: object, status: int = 200) -> Response:
    return Response(msgspec.json.encode(message), status_code=status, media_type=JSON)
