"""Documents and store in one process on one folder: catalog, pipeline and engine are real, the rest is fake."""

from __future__ import annotations

import asyncio
import contextlib
import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from argosy.contracts.documents import DocumentStatus
from argosy.contracts.embedding import EmbedResponse, ModelInfo, Spans, TextKind
from argosy.contracts.request import RequestContext
from argosy.contracts.store import (
    Chunk,
    EnsureCollection,
    ForgetRequest,
    Metadata,
    PublishRequest,
    StoreSearchRequest,
    UpsertRequest,
)
from argosy.services.documents.catalog.catalog import Catalog
from argosy.services.documents.catalog.clearing import Clearing
from argosy.services.documents.catalog.intake import QueueLimits, Upload, document_id
from argosy.services.documents.catalog.job_control import JobControl
from argosy.services.documents.chunking.packer import ChunkLimits
from argosy.services.documents.jobs.leases import JobLeases
from argosy.services.documents.jobs.pipeline import Pipeline
from argosy.services.documents.jobs.pipeline_settings import PipelineSettings
from argosy.services.documents.jobs.rules import JobRules
from argosy.services.documents.parsing.parsed import ParsedDocument, markdown_title
from argosy.services.documents.records.blobs import BlobStore
from argosy.services.documents.records.database import Database
from argosy.services.store.engine import StoreEngine
from tests.store_steps import rebuild, sweep
from tests.unit.documents.chunking.test_packer import Pieces

DIMENSIONS = 384


@contextlib.contextmanager
def quick_folder() -> Iterator[Path]:
    """Yield a folder, in memory if possible: these tests check what files hold, not whether they reach the disk."""
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="argosy-", dir=memory) as folder:
        yield Path(folder)


class EngineStore:
    """The store's engine without its HTTP interface."""

    def __init__(self, engine: StoreEngine) -> None:
        self.engine = engine

    async def ensure(self, request: EnsureCollection, context: RequestContext) -> None:
        self.engine.ensure(request)

    async def drop(self, request: EnsureCollection, context: RequestContext) -> None:
        self.engine.delete_collection(request.collection, request.generation)

    async def upsert(self, request: UpsertRequest, context: RequestContext) -> None:
        self.engine.upsert(request)

    async def publish(self, request: PublishRequest, context: RequestContext) -> None:
        self.engine.publish(request)

    async def forget(self, request: ForgetRequest, context: RequestContext) -> None:
        self.engine.forget(request)


class Played:
    """Fake parser and embedding service."""

    async def parse(self, data: bytes, name: str, timeout_s: float, content_type: str | None = None) -> ParsedDocument:
        text = data.decode() + "\n"  # differs from the original content
        return ParsedDocument(text, content_type or "", markdown_title(text))

    async def embed(
        self, texts: list[str], kind: TextKind, context: RequestContext, *, spans: Sequence[Spans] = ()
    ) -> EmbedResponse:
        rows = np.random.default_rng(len(texts)).standard_normal((len(texts), DIMENSIONS)).astype("<f4")
        return EmbedResponse("m", DIMENSIONS, rows.tobytes(), [1] * len(texts), [False] * len(texts))

    async def model(self, context: RequestContext) -> ModelInfo:
        return ModelInfo("m", "1", DIMENSIONS, 256)


class Site:
    """All parts on one folder. `reopen` simulates a restart of all processes."""

    def __init__(self, folder: Path, chunk_tokens: int = 200) -> None:
        self.folder = folder
        self.chunk_tokens = chunk_tokens
        self.now_s = 1_700_000_000.0
        self.played = Played()
        self._open()

    def _open(self) -> None:
        self.database = Database.open(self.folder / "catalog.db", lambda: self.now_s)
        self.catalog = Catalog(self.database, QueueLimits(), "settings")
        self.interventions = JobControl(self.database, QueueLimits())
        self.jobs = JobLeases(self.database, JobRules(lease_s=30.0, backoff_s=1.0))
        self.blobs = BlobStore(self.folder / "blobs", lambda: self.now_s)
        self.engine = StoreEngine(self.folder, lambda: self.now_s)
        self.engine.ensure(EnsureCollection("default"))
        self.store = EngineStore(self.engine)
        self.clearing = Clearing(self.database, self.blobs, self.store, lambda: self.now_s)
        settings = PipelineSettings(ChunkLimits(self.chunk_tokens))
        self.pipeline = Pipeline(
            self.jobs, self.blobs, self.played, Pieces(), self.played, self.store, settings, lambda: self.now_s
        )

    def close(self) -> None:
        self.engine.close()
        self.database.close()

    def reopen(self) -> None:
        self.close()
        self._open()

    def upload(
        self, source: str, text: str, collection: str = "default", title: str | None = None, **metadata: object
    ) -> str:
        """Accept a document. Returns: its id."""
        described: Metadata = {key: str(value) for key, value in metadata.items()}
        key = self.blobs.put(text.encode())
        sent = Upload(source, source, "text/markdown", len(text), key, title, described)
        self.catalog.accept(collection, [sent])
        return document_id(collection, source)

    async def work(self) -> int:
        """Run every job that is due. Returns: how many."""
        done = 0
        while (job := self.jobs.claim("w")) is not None:
            await self.pipeline.run(job)
            done += 1
        return done

    async def settle(self) -> None:
        """Do the work of about a minute: jobs, clearing, the store's sweeps and rewrites."""
        for _ in range(6):
            self.now_s += 10.0
            await self.work()
            await self.clearing.once()
            while sweep(self.engine, 200) or rebuild(self.engine):
                await asyncio.sleep(0)
            self.engine.shards.remove_orphans()

    async def index(self, source: str, text: str, collection: str = "default", **more: object) -> str:
        key = self.upload(source, text, collection, **more)  # type: ignore[arg-type]
        await self.work()
        assert self.catalog.document(key).status is DocumentStatus.INDEXED
        return key

    def found(self, text: str, collection: str = "default", limit: int = 50) -> list[Chunk]:
        answer = self.engine.search(StoreSearchRequest(collection, limit, text=text))
        return [answer.chunk(ranked.chunk_id) for ranked in answer.lexical]

    def holding(self, word: str) -> list[str]:
        """Return the files that contain the word, in any letter case."""
        self.engine.shards.flush()
        return [
            str(path.relative_to(self.folder))
            for path in self.files()
            if path.stat().st_size and _contains(path, word.encode())
        ]

    def files(self) -> list[Path]:
        return [Path(parent, name) for parent, _, names in os.walk(self.folder) for name in names]

    def stored_bytes(self) -> int:
        """Return the bytes that the files take on disk; most of a shard's files are holes."""
        self.engine.shards.flush()
        return sum(path.stat().st_blocks * 512 for path in self.files())


def _contains(path: Path, word: bytes) -> bool:
    return any(word in data or word.lower() in data for data in _written(path))


def _written(path: Path) -> Iterator[bytes]:
    """Yield the parts of a file that are not holes: a shard's files are much larger than their content."""
    with path.open("rb") as file:
        end = 0
        with contextlib.suppress(OSError):  # raised after the last part
            while True:
                begin = os.lseek(file.fileno(), end, os.SEEK_DATA)
                end = os.lseek(file.fileno(), begin, os.SEEK_HOLE)
                yield os.pread(file.fileno(), end - begin, begin)
