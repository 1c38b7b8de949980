"""Documents that occupy the parsers do not block documents of other senders."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from argosy.contracts.codec import frame
from argosy.contracts.documents import DocumentStatus
from argosy.contracts.errors import ParserTimedOut
from argosy.services.documents.catalog.intake import document_id
from argosy.services.documents.chunking.packer import ChunkLimits
from argosy.services.documents.jobs.pipeline import Pipeline
from argosy.services.documents.jobs.pipeline_settings import PipelineSettings
from argosy.services.documents.jobs.worker import Worker
from argosy.services.documents.parsing.parsed import ParsedDocument
from argosy.services.documents.parsing.parser_child import ParseReply
from argosy.services.documents.parsing.pool import ParserLimits, ParserPool
from tests.unit.documents.chunking.test_packer import Pieces
from tests.unit.documents.conftest import Desk
from tests.unit.documents.jobs.test_pipeline import World
from tests.waiting import until

pytestmark = pytest.mark.security

FOREVER_S = 3600.0
HANGS = "import sys, time; sys.stdin.buffer.read(1); time.sleep(3600)"
PROGRESS = frame(ParseReply(working=True)).hex()
WORKS_FOREVER = (
    "import sys, time; sys.stdin.buffer.read(1)\n"
    f"while True: sys.stdout.buffer.write(bytes.fromhex('{PROGRESS}')); sys.stdout.buffer.flush(); time.sleep(0.01)"
)
"""Python programs that stand in for a parser."""


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path)
    yield desk
    desk.database.close()


class Hanging(World):
    """Test world with a parser that never returns for some documents."""

    async def parse(self, data: bytes, name: str, timeout_s: float, content_type: str | None = None) -> ParsedDocument:
        if name.startswith("slow"):
            await asyncio.sleep(FOREVER_S)
        return await super().parse(data, name, timeout_s, content_type)


@pytest.mark.parametrize("parsers", [1, 2])
async def test_a_sender_of_documents_that_hang_does_not_keep_another_one_waiting(desk: Desk, parsers: int) -> None:
    world, text = Hanging(), b"Tides are caused by the moon."
    key = desk.blobs.put(text)
    settings = PipelineSettings(ChunkLimits(tokens=20), readers=parsers, parse_turn_s=0.05)
    pipeline = Pipeline(desk.jobs, desk.blobs, world, Pieces(), world, world, settings)
    desk.catalog.accept("default", [desk.upload(f"slow {n}", text, content_hash=key) for n in range(4)], "one")
    worker = Worker(desk.jobs, pipeline, slots=2, poll_s=0.01)
    worker.start()
    try:
        await until(lambda: len(worker.running) == 2)
        desk.catalog.accept("default", [desk.upload("small", text, content_hash=key)], "other")
        small = document_id("default", "small")
        await until(lambda: desk.catalog.document(small).status is DocumentStatus.INDEXED, within_s=20)
    finally:
        await worker.stop(grace_s=0)
    assert {desk.catalog.document(document_id("default", f"slow {n}")).status for n in range(4)} <= {
        DocumentStatus.QUEUED,
        DocumentStatus.RUNNING,
    }


def pool_of(program: str, still_s: float) -> ParserPool:
    limits = ParserLimits(still_s=still_s, still_per_mib_s=0)
    return ParserPool(1, limits, command=(sys.executable, "-S", "-c", program))


async def test_a_document_that_gets_no_further_ends_long_before_its_time() -> None:
    pool = pool_of(HANGS, still_s=0.2)
    with pytest.raises(ParserTimedOut, match=r"got no further for 0\.2 seconds"):
        await asyncio.wait_for(pool.parse(b"Tides", "a.txt", FOREVER_S), 30)
    await pool.close()


async def test_a_document_that_gets_further_all_the_time_ends_when_its_time_is_over() -> None:
    pool = pool_of(WORKS_FOREVER, still_s=60)
    with pytest.raises(ParserTimedOut, match=r"was not parsed within 1 seconds"):
        await asyncio.wait_for(pool.parse(b"Tides", "a.txt", 1.0), 30)
    await pool.close()


async def test_progress_gives_a_document_more_time() -> None:
    told = ParserLimits(still_s=1.0, still_per_mib_s=2.0)
    assert told.longest_still_s(0) == 1.0
    assert told.longest_still_s(3 << 20) == 7.0
    pool = pool_of(WORKS_FOREVER, still_s=0.5)
    with pytest.raises(ParserTimedOut, match=r"was not parsed within 1\.5 seconds"):
        await asyncio.wait_for(pool.parse(b"Tides", "a.txt", 1.5), 30)
    await pool.close()
