from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from sqlalchemy import event

from argosy.contracts.documents import DocumentFault, DocumentStatus
from argosy.services.documents.catalog.catalog import Catalog
from argosy.services.documents.catalog.intake import QueueLimits, document_id
from argosy.services.documents.jobs.leases import Indexed, Job, LeaseLost
from argosy.services.documents.records.schema import JobKind

if TYPE_CHECKING:
    from tests.unit.documents.conftest import Desk, MakeDesk

pytestmark = pytest.mark.unit

AWAY = DocumentFault("unavailable", "The store cannot be reached.")
BROKEN = DocumentFault("upstream_failed", "It broke.")


def shown(desk: Desk, source: str = "a") -> tuple[DocumentStatus, int, str | None]:
    view = desk.catalog.document(document_id("default", source))
    return view.status, view.attempts, None if view.error is None else view.error.code


def test_a_job_is_claimed_once_and_carries_its_document(desk: Desk) -> None:
    desk.catalog.accept("default", [desk.upload("a", title="T", metadata={"k": True})])
    job = desk.claim()
    assert (job.name, job.title, job.metadata, job.version, job.attempts) == ("a", "T", {"k": True}, 1, 1)
    assert desk.jobs.claim("other") is None
    assert shown(desk) == (DocumentStatus.RUNNING, 1, None)


def test_done_publishes_what_was_found(desk: Desk) -> None:
    desk.add("a")
    job = desk.claim()
    desk.jobs.stage(job, "embed", 0.5)
    assert desk.catalog.document(job.document_id).stage == "embed"
    desk.jobs.done(job, Indexed(7, 3, "Title", "0" * 64))
    view = desk.catalog.document(job.document_id)
    assert (view.status, view.stage, view.chunks, view.pages, view.title) == ("indexed", None, 7, 3, "Title")
    assert desk.catalog.text_hash(job.document_id) == "0" * 64


def test_a_dead_workers_job_is_taken_over_when_its_lease_expires_and_the_dead_one_may_not_write(desk: Desk) -> None:
    desk.add("a")
    first = desk.claim()
    desk.clock.now += 31
    second = desk.claim("other")
    assert second.id == first.id
    writes: tuple[Callable[[], None], ...] = (
        lambda: desk.jobs.heartbeat(first),
        lambda: desk.jobs.stage(first, "embed"),
        lambda: desk.jobs.done(first),
        lambda: desk.jobs.fail(first, BROKEN, retryable=True),
        lambda: desk.jobs.wait(first, AWAY),
        lambda: desk.jobs.release(first),
    )
    for write in writes:
        with pytest.raises(LeaseLost):
            write()
    desk.jobs.done(second)


def test_a_heartbeat_keeps_the_lease(desk: Desk) -> None:
    desk.add("a")
    job = desk.claim()
    for _ in range(5):
        desk.clock.now += 25
        desk.jobs.heartbeat(job)
        assert desk.jobs.claim("other") is None
    desk.jobs.done(job)


def test_a_document_that_kills_its_worker_each_time_is_dead_in_the_end(desk: Desk) -> None:
    batch = desk.add("a")
    for _ in range(3):
        desk.claim()
        desk.clock.now += 31
    assert desk.jobs.claim("w") is None
    assert shown(desk) == (DocumentStatus.DEAD, 3, "worker_died")
    assert desk.catalog.batch(batch).counts["dead"] == 1


def test_a_retryable_failure_comes_back_later_each_time_and_then_dies(desk: Desk) -> None:
    desk.add("a")
    for pause in (1.0, 2.0):
        desk.jobs.fail(desk.claim(), BROKEN, retryable=True)
        assert shown(desk)[0] is DocumentStatus.QUEUED
        desk.clock.now += pause - 0.1
        assert desk.jobs.claim("w") is None
        desk.clock.now += 0.2
    desk.jobs.fail(desk.claim(), BROKEN, retryable=True)
    assert shown(desk) == (DocumentStatus.DEAD, 3, "upstream_failed")
    desk.clock.now += 10_000
    assert desk.jobs.claim("w") is None


def test_a_fault_of_the_document_is_final(desk: Desk) -> None:
    desk.add("a")
    desk.jobs.fail(desk.claim(), DocumentFault("no_text", "A scan."), retryable=False)
    assert shown(desk) == (DocumentStatus.FAILED, 1, "no_text")


def test_waiting_for_a_service_uses_up_no_attempt(desk: Desk) -> None:
    desk.add("a")
    for _ in range(20):
        desk.jobs.wait(desk.claim(), AWAY)
        assert shown(desk)[::2] == (DocumentStatus.QUEUED, "unavailable")
        desk.clock.now += 60
    desk.index()
    assert shown(desk) == (DocumentStatus.INDEXED, 1, None)


def test_who_waits_for_a_service_looks_again_soon_however_long_it_was_away(desk: Desk) -> None:
    desk.add("a")
    for _ in range(20):
        job = desk.jobs.claim("w")
        assert job is not None
        desk.jobs.wait(job, AWAY)
        desk.clock.now += desk.jobs.rules.max_wait_s + 0.1


def test_once_one_document_gets_through_nobody_waits_on(desk: Desk) -> None:
    desk.add("a")
    for _ in range(5):
        desk.jobs.wait(desk.claim(), AWAY)
        desk.clock.now += desk.jobs.rules.max_wait_s + 0.1
    desk.jobs.wait(desk.claim(), AWAY)
    desk.add("b")
    desk.index()
    assert desk.jobs.claim("w") is None
    desk.clock.now += desk.jobs.rules.backoff_s + 0.1
    assert desk.claim().name == "a"


def test_the_pause_after_an_error_is_kept_whoever_gets_through(desk: Desk) -> None:
    desk.add("a")
    desk.jobs.wait(desk.claim(), AWAY)
    for _ in range(2):
        desk.clock.now += desk.jobs.rules.backoff_s + 0.1
        desk.jobs.fail(desk.claim(), BROKEN, retryable=True)
    desk.add("b")
    desk.jobs.done(desk.claim(), Indexed(1, None, None, "0" * 64))
    desk.clock.now += desk.jobs.rules.backoff_after_s(2) - 0.1
    assert desk.jobs.claim("w") is None


def test_a_released_job_is_due_at_once(desk: Desk) -> None:
    desk.add("a")
    desk.jobs.release(desk.claim())
    assert desk.claim("next").attempts == 1


def test_a_worker_that_gave_a_job_back_may_not_finish_it(desk: Desk) -> None:
    desk.add("a")
    job = desk.claim()
    desk.jobs.fail(job, BROKEN, retryable=True)
    with pytest.raises(LeaseLost):
        desk.jobs.done(job)
    assert shown(desk)[0] is DocumentStatus.QUEUED


def test_forgetting_is_never_given_up(desk: Desk) -> None:
    desk.add("a")
    desk.index()
    desk.catalog.delete(document_id("default", "a"))
    for _ in range(10):
        desk.jobs.fail(desk.claim(), BROKEN, retryable=True)
        desk.clock.now += 100
    for _ in range(10):
        desk.claim()
        desk.clock.now += 31
    job = desk.claim()
    assert job.kind is JobKind.FORGET
    desk.jobs.done(job)
    assert desk.jobs.claim("w") is None


def test_batches_take_turns(desk: Desk) -> None:
    desk.add("a1", "a2", "a3")
    desk.add("b1")
    order = [desk.claim().name for _ in range(4)]
    assert order.index("b1") < order.index("a2")


def test_a_superseded_worker_may_not_finish(desk: Desk) -> None:
    desk.add("a", content=b"one")
    old = desk.claim()
    desk.add("a", content=b"two")
    with pytest.raises(LeaseLost):
        desk.jobs.done(old)
    new = desk.claim()
    assert new.version == 2
    desk.jobs.done(new)


def test_two_workers_never_get_the_same_job(desk: Desk) -> None:
    desk.add("a", "b", "c", "d", "e")
    got: list[Job] = []

    def work() -> None:
        while (job := desk.jobs.claim(threading.current_thread().name)) is not None:
            got.append(job)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(job.name for job in got) == ["a", "b", "c", "d", "e"]


def test_nothing_accepted_is_lost_whatever_workers_do(make_desk: MakeDesk) -> None:
    class Workers(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            self.desk = make_desk()
            self.batch = self.desk.add("a", "b", "c")
            self.held: list[Job] = []
            self.progress = 0.0

        @rule()
        def claim(self) -> None:
            if (job := self.desk.jobs.claim("w")) is not None:
                self.held.append(job)

        @rule(seconds=st.sampled_from([1, 10, 31]))
        def time_passes(self, seconds: int) -> None:
            self.desk.clock.now += seconds

        @rule(act=st.sampled_from(["done", "fail", "wait", "release", "stage", "vanish"]), which=st.integers(0, 5))
        def a_worker_acts(self, act: str, which: int) -> None:
            if not self.held:
                return
            job = self.held.pop(which % len(self.held))
            try:
                if act == "done":
                    self.desk.jobs.done(job, Indexed(1, None, None, "0" * 64))
                elif act == "fail":
                    self.desk.jobs.fail(job, BROKEN, retryable=True)
                elif act == "wait":
                    self.desk.jobs.wait(job, AWAY)
                elif act == "release":
                    self.desk.jobs.release(job)
                elif act == "stage":
                    self.desk.jobs.stage(job, "embed", 0.5)
                    self.held.append(job)
            except LeaseLost:
                pass

        @invariant()
        def progress_never_falls(self) -> None:
            view = self.desk.catalog.batch(self.batch)
            assert view.progress >= self.progress
            assert sum(view.counts.values()) == view.total == 3
            self.progress = view.progress

        def teardown(self) -> None:
            for _ in range(60):
                self.desk.clock.now += 100
                if (job := self.desk.jobs.claim("last")) is not None:
                    self.desk.jobs.done(job, Indexed(1, None, None, "0" * 64))
            assert self.desk.catalog.batch(self.batch).done
            self.desk.database.close()

    run_state_machine_as_test(
        Workers,
        settings=settings(
            max_examples=10, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )


def test_a_claim_takes_several_small_documents_but_nothing_beside_a_large_one(desk: Desk) -> None:
    for name, size in (("a", 10), ("b", 10), ("large", 5_000), ("c", 10), ("d", 10)):
        desk.add(name, content=b"x" * size)
    claimed = [[job.name for job in desk.jobs.claim_several("w", 3, 1_000)] for _ in range(3)]
    assert sorted(len(names) for names in claimed) == [0, 2, 3]
    assert next(names for names in claimed if "large" in names)[-1] == "large"
    assert {name for names in claimed for name in names} == {"a", "b", "large", "c", "d"}


def test_a_claim_of_several_takes_one_of_each_sender_in_turn(desk: Desk) -> None:
    for sender in "ab":
        desk.add(*(f"{sender}{number}" for number in range(2)))
    assert [job.name for job in desk.jobs.claim_several("w", 3, 10_000)] == ["a0", "b0", "a1"]
    assert [job.name for job in desk.jobs.claim_several("w", 3, 10_000)] == ["b1"]


def test_a_claim_of_several_holds_one_job_of_each_document(desk: Desk) -> None:
    desk.add("a")
    desk.index()
    desk.catalog.delete(document_id("default", "a"))
    desk.add("a", content=b"again")
    assert [job.kind for job in desk.jobs.claim_several("w", 5, 10_000)] == [JobKind.FORGET]


def test_each_job_of_a_claim_has_a_lease_of_its_own(desk: Desk) -> None:
    desk.add("a", "b")
    first = desk.jobs.claim_several("w", 2, 10_000)
    desk.clock.now += 31
    again = desk.jobs.claim_several("w", 2, 10_000)
    assert [(job.id, job.fence, job.attempts) for job in again] == [(job.id, 2, 2) for job in first]
    for job in first:
        with pytest.raises(LeaseLost):
            desk.jobs.check(job)


def test_of_several_that_are_done_together_those_that_were_lost_change_nothing(desk: Desk) -> None:
    for name in "abc":
        desk.add(name, content=name.encode())
    kept, lost, other = desk.jobs.claim_several("w", 3, 10_000)
    desk.add(lost.name, content=b"newer")
    made = Indexed(1, None, None, "0" * 64, "1" * 64)
    assert desk.jobs.check_several([kept, lost, other]) == [True, False, True]
    assert desk.jobs.stage_several([(kept, "embed", 0.5), (lost, "embed", 0.5)]) == [True, False]
    assert desk.jobs.done_several([(kept, made), (lost, made), (other, made)]) == [True, False, True]
    shown = [desk.catalog.document(document_id("default", job.name)) for job in (kept, lost, other)]
    assert [(view.status.value, view.chunks) for view in shown] == [("indexed", 1), ("queued", None), ("indexed", 1)]


def test_an_outdated_lease_in_a_group_with_the_new_lease_of_the_same_job_is_lost(desk: Desk) -> None:
    """The same process may claim a job again after a sleep of the machine, and then holds both leases for a moment."""
    desk.add("a")
    first = desk.claim()
    desk.clock.now += 31
    second = desk.claim()
    assert first.id == second.id
    for several in ([first, second], [second, first]):
        mine = [job is second for job in several]
        assert desk.jobs.check_several(several) == mine
        assert desk.jobs.heartbeat_several(several) == mine
        assert desk.jobs.stage_several([(job, "embed", 0.5) for job in several]) == mine
    assert desk.jobs.done_several([(first, None), (second, None)]) == [False, True]


def test_a_claim_of_many_jobs_takes_few_statements(desk: Desk) -> None:
    desk.catalog = Catalog(desk.database, QueueLimits(), "minilm/200")
    for batch in range(4):
        desk.add(*(f"{batch}-{n}" for n in range(16)))
    statements: list[str] = []
    event.listen(
        desk.database._engine, "before_cursor_execute", lambda *arguments: statements.append(str(arguments[2]))
    )
    few = len(desk.jobs.claim_several("w", 4, 10**6))
    for_few = len(statements)
    many = len(desk.jobs.claim_several("w", 32, 10**6))
    assert (few, many) == (4, 32)
    assert len(statements) - for_few == for_few
    lanes = [job.lane for job in desk.jobs.claim_several("w", 8, 10**6)]
    assert lanes[:4] == lanes[4:]  # senders still take turns
    assert len(set(lanes)) == 4
    assert len(desk.jobs.claim_several("w", 64, 10**6)) == 20  # each job once, and none is left out
