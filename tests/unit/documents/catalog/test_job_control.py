from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from argosy.contracts.documents import DocumentFault, DocumentStatus
from argosy.contracts.errors import Conflict, InvalidRequest, NotFound
from argosy.services.documents.catalog.intake import document_id
from argosy.services.documents.jobs.leases import LeaseLost

if TYPE_CHECKING:
    from tests.unit.documents.conftest import Desk

pytestmark = pytest.mark.unit


def test_a_batch_that_is_called_off_ends_and_its_worker_must_stop(desk: Desk) -> None:
    batch = desk.add("a", "b", "c")
    desk.index()
    held = desk.claim()
    assert desk.interventions.cancel_batch(batch) == 2
    with pytest.raises(LeaseLost):
        desk.jobs.heartbeat(held)
    view = desk.catalog.batch(batch)
    assert view.done
    assert view.counts["indexed"] == 1
    assert view.counts["failed"] == 2
    assert {d.error.code for d in view.documents if d.error is not None} == {"cancelled"}
    assert desk.jobs.claim("w") is None
    assert desk.interventions.cancel_batch(batch) == 0
    with pytest.raises(NotFound):
        desk.interventions.cancel_batch("nope")


def test_what_another_batch_waits_for_goes_on(desk: Desk) -> None:
    first = desk.add("a", "b")
    second = desk.add("a")
    assert desk.interventions.cancel_batch(first) == 1
    desk.index()
    assert desk.catalog.batch(second).counts["indexed"] == 1
    assert desk.catalog.batch(first).done


def test_a_document_that_is_called_off_can_be_tried_again(desk: Desk) -> None:
    desk.add("a")
    key = document_id("default", "a")
    view = desk.interventions.cancel_document(key)
    assert view.error is not None
    assert (view.status, view.error.code) == (DocumentStatus.FAILED, "cancelled")
    with pytest.raises(Conflict, match="there is no job to cancel"):
        desk.interventions.cancel_document(key)
    desk.interventions.retry(key)
    desk.index()
    assert desk.catalog.document(key).status is DocumentStatus.INDEXED


def test_jobs_are_listed_newest_first_and_by_state(desk: Desk) -> None:
    desk.add("a", "b", "c")
    desk.jobs.fail(desk.claim(), DocumentFault("no_text", "A scan."), retryable=False)
    page = desk.interventions.jobs(limit=2)
    assert [job.name for job in page.jobs] == ["c", "b"]
    rest = desk.interventions.jobs(limit=2, after=page.next)
    assert ([job.name for job in rest.jobs], rest.next) == (["a"], None)
    [failed] = desk.interventions.jobs(state="failed").jobs
    assert failed.error is not None
    assert (failed.name, failed.kind, failed.attempts, failed.error.code) == ("a", "index", 1, "no_text")
    assert desk.interventions.jobs(state="dead").jobs == []
    with pytest.raises(InvalidRequest, match="dead"):
        desk.interventions.jobs(state="odd")
