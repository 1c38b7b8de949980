"""Documents that were never accepted are listed as failed until they are added again or deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from argosy.contracts.documents import DocumentFault, DocumentStatus, RefusedDocument, RefusedUpload
from argosy.contracts.errors import Conflict, InvalidRequest
from argosy.services.documents.catalog.intake import document_id
from argosy.services.documents.catalog.refusals import MAX_DETAIL_CHARS, checked
from argosy.services.documents.jobs.leases import LeaseLost
from argosy.services.documents.jobs.statistics import report

if TYPE_CHECKING:
    from tests.unit.documents.conftest import Desk

pytestmark = pytest.mark.unit

KEY = document_id("default", "a")


def refused(*sources: str, code: str = "empty_document") -> RefusedUpload:
    return RefusedUpload(
        [RefusedDocument(source, source, DocumentFault(code, f"{source} is empty.")) for source in sources]
    )


def failed(desk: Desk) -> list[tuple[str, str]]:
    page = desk.catalog.documents(status="failed")
    return sorted((view.name, view.error.code) for view in page.documents if view.error is not None)


def test_what_was_refused_is_listed_with_its_reason_and_is_a_batch_that_is_done(desk: Desk) -> None:
    accepted = desk.catalog.refuse(refused("a", "b"))
    assert failed(desk) == [("a", "empty_document"), ("b", "empty_document")]
    batch = desk.catalog.batch(accepted.batch_id)
    assert (batch.done, batch.progress, batch.counts["failed"]) == (True, 1.0, 2)
    assert [view.error for view in batch.documents] == [document.error for document in refused("a", "b").documents]
    assert desk.jobs.claim("w") is None
    assert report(desk.database, 60.0).errors == {"empty_document": 2}


def test_a_good_upload_of_the_same_source_takes_its_place(desk: Desk) -> None:
    desk.catalog.refuse(refused("a"))
    desk.add("a")
    desk.index()
    assert failed(desk) == []
    assert desk.catalog.document(KEY).status is DocumentStatus.INDEXED


def test_the_content_that_was_indexed_before_is_taken_again_after_a_refusal(desk: Desk) -> None:
    desk.add("a")
    desk.index()
    desk.catalog.refuse(refused("a"))
    assert failed(desk) == [("a", "empty_document")]
    desk.add("a")
    assert desk.index().version == 3
    assert failed(desk) == []


def test_an_older_version_under_way_is_stopped_and_its_batch_told(desk: Desk) -> None:
    batch = desk.add("a")
    job = desk.claim()
    desk.catalog.refuse(refused("a"))
    with pytest.raises(LeaseLost):
        desk.jobs.check(job)
    assert desk.catalog.batch(batch).counts["failed"] == 1


def test_there_is_nothing_to_try_again(desk: Desk) -> None:
    desk.catalog.refuse(refused("a"))
    with pytest.raises(Conflict, match="add it again"):
        desk.interventions.retry(KEY)
    assert failed(desk) == [("a", "empty_document")]


def test_it_can_be_deleted(desk: Desk) -> None:
    desk.catalog.refuse(refused("a"))
    desk.catalog.delete(KEY)
    assert failed(desk) == []


def test_refused_again_it_stands_there_once(desk: Desk) -> None:
    desk.catalog.refuse(refused("a"))
    desk.catalog.refuse(refused("a", code="unsupported_type"))
    assert failed(desk) == [("a", "unsupported_type")]


def test_a_full_queue_keeps_no_reason_from_being_kept(desk: Desk) -> None:
    desk.add("1", "2", "3", "4", "5")
    desk.catalog.refuse(refused("a"))
    assert failed(desk) == [("a", "empty_document")]


def test_names_are_cleaned_and_details_shortened() -> None:
    message = RefusedUpload([RefusedDocument("x/\ny.pdf", "s", DocumentFault("too_large", "d" * 5000))])
    [document] = checked(message, 1).documents
    assert (document.name, len(document.error.detail)) == ("y.pdf", MAX_DETAIL_CHARS)


@pytest.mark.parametrize(
    ("message", "param"),
    [
        (RefusedUpload([]), "documents"),
        (refused("a", "b", "c"), "documents"),
        (refused("a", code="made_up"), "documents[0].error.code"),
        (RefusedUpload([RefusedDocument("..", "s", DocumentFault("no_text", ""))]), "documents[0].name"),
        (RefusedUpload([RefusedDocument("a", "", DocumentFault("no_text", ""))]), "documents[0].source"),
    ],
)
def test_what_is_not_usable_is_refused_by_its_place(message: RefusedUpload, param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        checked(message, 2)
    assert caught.value.param == param
