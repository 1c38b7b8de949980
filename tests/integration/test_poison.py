"""A document that kills its parser each time: it fails after its attempts, and the others are indexed."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from argosy.contracts.documents import DocumentStatus
from argosy.services.documents.catalog.intake import document_id
from argosy.services.documents.chunking.packer import ChunkLimits
from argosy.services.documents.jobs.leases import JobLeases
from argosy.services.documents.jobs.pipeline import Pipeline
from argosy.services.documents.jobs.pipeline_settings import PipelineSettings
from argosy.services.documents.jobs.rules import JobRules
from argosy.services.documents.jobs.worker import Worker
from argosy.services.documents.parsing.parsed import ParsedDocument
from argosy.services.documents.parsing.pool import ParserPool
from tests.unit.documents.chunking.test_packer import Pieces
from tests.unit.documents.conftest import Desk
from tests.unit.documents.jobs.test_pipeline import World
from tests.waiting import until

pytestmark = pytest.mark.integration

SUICIDE = (sys.executable, "-c", "import os; os.kill(os.getpid(), 9)")


class Parsers:
    """Real parser children; the child that gets the poison document dies at once."""

    def __init__(self) -> None:
        self._poisoned = ParserPool(1, command=SUICIDE)
        self._sound = ParserPool(1)

    async def parse(self, data: bytes, name: str, timeout_s: float, content_type: str | None = None) -> ParsedDocument:
        pool = self._poisoned if name == "poison.html" else self._sound
        return await pool.parse(data, name, timeout_s, content_type)

    async def close(self) -> None:
        await self._poisoned.close()
        await self._sound.close()


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path)
    yield desk
    desk.database.close()


async def test_a_poison_file_is_dead_after_its_attempts_and_blocks_nobody(desk: Desk) -> None:
    world, parsers = World(), Parsers()
    jobs = JobLeases(desk.database, JobRules(max_attempts=3, backoff_s=0.0))
    pipeline = Pipeline(jobs, desk.blobs, parsers, Pieces(), world, world, PipelineSettings(ChunkLimits(40)))
    for name, kind in (("poison.html", "text/html"), ("a.txt", "text/plain"), ("b.txt", "text/plain")):
        page = f"<html><body><p>This is {name}, a page.</p></body></html>"
        content = (page if kind == "text/html" else f"This is {name}, a text.").encode()
        desk.blobs.put(content)
        desk.catalog.accept("default", [desk.upload(name, content, content_type=kind)])
    worker = Worker(jobs, pipeline, slots=2, poll_s=0.01)
    worker.start()
    try:
        ids = [document_id("default", name) for name in NAMES]
        await until(lambda: all(desk.catalog.document(found).status in END for found in ids), within_s=60)
    finally:
        await worker.stop(grace_s=0)
        await parsers.close()
    poison = desk.catalog.document(document_id("default", "poison.html"))
    assert poison.error is not None
    assert (poison.status, poison.attempts, poison.error.code) == (DocumentStatus.DEAD, 3, "parser_crashed")
    others = {desk.catalog.document(document_id("default", name)).status for name in NAMES[1:]}
    assert others == {DocumentStatus.INDEXED}
    [dead] = desk.interventions.jobs(state="dead").jobs
    assert dead.name == "poison.html"


END = (DocumentStatus.INDEXED, DocumentStatus.DEAD, DocumentStatus.FAILED)
NAMES = ("poison.html", "a.txt", "b.txt")
