from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

import pytest

from argosy.contracts.documents import DocumentStatus
from argosy.contracts.errors import NoTextInDocument, Unavailable
from argosy.services.documents.catalog.intake import document_id
from argosy.services.documents.jobs.leases import Indexed, Job, JobLeases
from argosy.services.documents.jobs.rules import JobRules
from argosy.services.documents.jobs.worker import Worker

if TYPE_CHECKING:
    from tests.unit.documents.conftest import Desk

pytestmark = pytest.mark.unit


class Script:
    """Fake pipeline that runs each job as the test says; by default a job is done at once."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.fault: Exception | None = None
        self.gate: asyncio.Event | None = None
        self.begun: asyncio.Queue[Job] = asyncio.Queue()
        self.ended: asyncio.Queue[Job] = asyncio.Queue()
        self.together = self.most = 0

    async def run(self, job: Job) -> None:
        self.together += 1
        self.most = max(self.most, self.together)
        self.begun.put_nowait(job)
        try:
            if self.gate is not None:
                await self.gate.wait()
            if self.fault is not None:
                raise self.fault
            await asyncio.to_thread(self.desk.jobs.done, job, Indexed(1, None, None, "0" * 64))
        finally:
            self.together -= 1
            self.ended.put_nowait(job)


@pytest.fixture
def script(desk: Desk) -> Script:
    return Script(desk)


def status(desk: Desk, source: str) -> DocumentStatus:
    return desk.catalog.document(document_id("default", source)).status


async def test_a_wake_up_is_enough_to_find_work(desk: Desk, script: Script) -> None:
    worker = Worker(desk.jobs, script, slots=2, poll_s=3600)
    worker.start()
    desk.add("a", "b", "c")
    worker.wake()
    for _ in range(3):
        await script.ended.get()
    await worker.stop()
    assert {status(desk, source) for source in "abc"} == {DocumentStatus.INDEXED}
    assert script.most <= 2


async def test_each_slot_takes_a_job_of_its_own(desk: Desk, script: Script) -> None:
    script.gate = asyncio.Event()
    desk.add("a", "b", "c")
    worker = Worker(desk.jobs, script, slots=2, poll_s=3600)
    worker.start()
    await script.begun.get()
    await script.begun.get()
    assert len(worker.running) == 2
    script.gate.set()
    await script.ended.get()
    await worker.stop()
    assert script.most == 2


async def test_a_failure_is_settled_and_the_loop_goes_on(desk: Desk, script: Script) -> None:
    worker = Worker(desk.jobs, script, slots=1, poll_s=3600)
    worker.start()
    for source, fault, expected in (
        ("a", NoTextInDocument("A scan."), DocumentStatus.FAILED),
        ("b", Unavailable("down"), DocumentStatus.QUEUED),
        ("c", KeyError("bug"), DocumentStatus.QUEUED),
        ("d", None, DocumentStatus.INDEXED),
    ):
        script.fault = fault
        desk.add(source)
        worker.wake()
        assert (await script.ended.get()).name == source
        while worker.running:
            await asyncio.sleep(0)
        assert status(desk, source) is expected
    await worker.stop()


async def test_stopping_lets_a_job_finish(desk: Desk, script: Script) -> None:
    script.gate = asyncio.Event()
    desk.add("a")
    worker = Worker(desk.jobs, script, slots=1, poll_s=3600)
    worker.start()
    await script.begun.get()
    stopping = asyncio.create_task(worker.stop(grace_s=3600))
    await asyncio.sleep(0)
    script.gate.set()
    await stopping
    assert status(desk, "a") is DocumentStatus.INDEXED


async def test_stopping_hands_back_what_does_not_finish_in_time(desk: Desk, script: Script) -> None:
    script.gate = asyncio.Event()
    desk.add("a", "b")
    worker = Worker(desk.jobs, script, slots=1, poll_s=3600)
    worker.start()
    await script.begun.get()
    await worker.stop(grace_s=0)
    assert (script.together, worker.running) == (0, set())
    assert {desk.claim().attempts, desk.claim().attempts} == {1}


async def test_a_job_whose_lease_is_lost_is_dropped_at_the_next_heartbeat(desk: Desk, script: Script) -> None:
    jobs = JobLeases(desk.database, JobRules(lease_s=0.03))
    script.gate = asyncio.Event()
    desk.add("a", content=b"one")
    worker = Worker(jobs, script, slots=1, poll_s=3600)
    worker.start()
    old = await script.begun.get()
    desk.add("a", content=b"two")
    assert (await script.ended.get()).id == old.id
    await worker.stop(grace_s=0)
    assert status(desk, "a") is DocumentStatus.QUEUED


async def test_a_heartbeat_outlives_a_database_that_is_away_for_a_moment(desk: Desk, script: Script) -> None:
    beats: list[int] = []
    enough = threading.Event()

    class Shaky(JobLeases):
        def heartbeat_several(self, several: Sequence[Job]) -> list[bool]:
            beats.extend(job.id for job in several)
            if len(beats) == 1:
                raise Unavailable("The document catalog is busy.")
            held = super().heartbeat_several(several)
            enough.set()
            return held

    script.gate = asyncio.Event()
    desk.add("a")
    worker = Worker(Shaky(desk.database, JobRules(lease_s=0.03)), script, slots=1, poll_s=3600)
    worker.start()
    await script.begun.get()
    assert await asyncio.to_thread(enough.wait, 30)
    script.gate.set()
    await worker.stop(grace_s=3600)
    assert status(desk, "a") is DocumentStatus.INDEXED


async def test_a_database_that_fails_does_not_end_the_loop(desk: Desk, script: Script) -> None:
    class Failing(JobLeases):
        tries = 0

        def claim_several(self, worker: str, most: int, most_bytes: int = 0) -> list[Job]:
            self.tries += 1
            if self.tries == 1:
                raise Unavailable("busy")
            if self.tries == 2:
                raise KeyError("bug")
            return super().claim_several(worker, most, most_bytes)

    desk.add("a")
    jobs = Failing(desk.database)
    worker = Worker(jobs, script, slots=1, poll_s=0.001)
    worker.start()
    assert (await script.ended.get()).name == "a"
    assert jobs.tries >= 3
    await worker.stop(grace_s=3600)


async def test_a_slot_works_on_several_small_documents_at_once_and_each_is_settled_by_itself(
    desk: Desk, script: Script
) -> None:
    script.gate = asyncio.Event()
    desk.add("a", "b", "c")
    worker = Worker(desk.jobs, script, slots=1, claim_jobs=2, claim_bytes=10_000, poll_s=3600)
    worker.start()
    first = [await script.begun.get() for _ in range(2)]
    assert (worker.busy, worker.running) == (1, {job.lease for job in first})
    assert script.begun.empty()
    script.fault = NoTextInDocument("A scan.")
    script.gate.set()
    for _ in range(2):
        await script.ended.get()
    script.fault = None
    await script.ended.get()
    await worker.stop(grace_s=3600)
    ends = [status(desk, source) for source in "abc"]
    assert ends == [DocumentStatus.FAILED, DocumentStatus.FAILED, DocumentStatus.INDEXED]


async def test_stopping_hands_back_every_job_of_a_claim(desk: Desk, script: Script) -> None:
    script.gate = asyncio.Event()
    desk.add("a", "b", "c")
    worker = Worker(desk.jobs, script, slots=1, claim_jobs=3, claim_bytes=10_000, poll_s=3600)
    worker.start()
    for _ in range(3):
        await script.begun.get()
    await worker.stop(grace_s=0)
    assert (worker.running, worker.busy) == (set(), 0)
    assert [job.attempts for job in desk.jobs.claim_several("other", 3, 10_000)] == [1, 1, 1]
