from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from argosy.services.documents.catalog.catalog import Catalog
from argosy.services.documents.catalog.clearing import Clearing
from argosy.services.documents.catalog.intake import QueueLimits, Upload
from argosy.services.documents.catalog.job_control import JobControl
from argosy.services.documents.jobs.leases import Indexed, Job, JobLeases
from argosy.services.documents.jobs.rules import JobRules
from argosy.services.documents.records.blobs import BlobStore, content_hash
from argosy.services.documents.records.database import Database
from tests.chunk_store import MemoryChunkStore


class WallClock:
    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


class Desk:
    """A catalog with its jobs on one database, and shortcuts to what tests do with them."""

    def __init__(self, folder: Path, url: str | None = None) -> None:
        """Open the database: SQLite in the folder, or PostgreSQL at `url`."""
        self.folder = folder
        self.clock = WallClock()
        limits = QueueLimits(documents=5, bytes=10_000)
        self.database = (
            Database.open(folder / "catalog.db", self.clock) if url is None else Database.connect(url, self.clock)
        )
        self.catalog = Catalog(self.database, limits, "minilm/200")
        self.interventions = JobControl(self.database, limits)
        self.jobs = JobLeases(self.database, JobRules(lease_s=30.0, max_attempts=3, backoff_s=1.0))
        self.blobs = BlobStore(folder / "blobs", self.clock)
        self.store = MemoryChunkStore()
        self.clearing = Clearing(self.database, self.blobs, self.store)

    def upload(self, source: str, content: bytes = b"text", **values: object) -> Upload:
        fields = {
            "name": source,
            "source": source,
            "content_type": "text/plain",
            "bytes_len": len(content),
            "content_hash": content_hash(content),
        }
        return Upload(**(fields | values))  # type: ignore[arg-type]

    def add(self, *sources: str, content: bytes = b"text", collection: str = "default") -> str:
        """Accept one upload for each source. Returns: the batch's id."""
        return self.catalog.accept(collection, [self.upload(source, content) for source in sources]).batch_id

    def claim(self, worker: str = "w") -> Job:
        job = self.jobs.claim(worker)
        assert job is not None
        return job

    def index(self, text: bytes = b"parsed") -> Job:
        """Claim a job and finish it one second later."""
        job = self.claim()
        self.clock.now += 1
        self.jobs.done(job, Indexed(chunks=2, pages=None, title="Found", text_hash=content_hash(text)))
        return job


MakeDesk = Callable[[], Desk]


@pytest.fixture
def make_desk(tmp_path: Path) -> MakeDesk:
    """Return a factory of desks, each with its own database. `tests/contract` runs these tests on other databases."""
    folders = itertools.count()
    return lambda: Desk(tmp_path / f"desk-{next(folders)}")


@pytest.fixture
def desk(make_desk: MakeDesk) -> Iterator[Desk]:
    desk = make_desk()
    yield desk
    desk.database.close()
