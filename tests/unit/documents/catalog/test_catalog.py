from __future__ import annotations

import sqlite3
import threading
from typing import TYPE_CHECKING

import pytest

from argosy.contracts.documents import DocumentFault, DocumentStatus
from argosy.contracts.errors import (
    CollectionNotFound,
    Conflict,
    DocumentNotFound,
    Internal,
    InvalidRequest,
    NotFound,
    Overloaded,
    TooLarge,
)
from argosy.services.documents.catalog.catalog import Catalog
from argosy.services.documents.catalog.housekeeping import sweep
from argosy.services.documents.catalog.intake import document_id
from argosy.services.documents.records.blobs import content_hash
from argosy.services.documents.records.database import Database
from argosy.services.documents.records.schema import JobKind

if TYPE_CHECKING:
    from tests.unit.documents.conftest import Desk

pytestmark = pytest.mark.unit


def status_of(desk: Desk, source: str) -> DocumentStatus:
    return desk.catalog.document(document_id("default", source)).status


def test_an_upload_is_queued_under_the_id_of_its_collection_and_source(desk: Desk) -> None:
    accepted = desk.catalog.accept("default", [desk.upload("a.txt", title="Alpha", metadata={"year": 1890})])
    [entry] = accepted.documents
    assert (entry.id, entry.status) == (document_id("default", "a.txt"), DocumentStatus.QUEUED)
    assert document_id("other", "a.txt") != entry.id
    assert len(entry.id) == 24
    view = desk.catalog.document(entry.id)
    assert (view.title, view.metadata, view.version, view.bytes) == ("Alpha", {"year": 1890}, 1, 4)
    assert (accepted.queue_position, accepted.estimated_seconds) == (0, None)


def test_the_same_content_again_is_unchanged_and_makes_no_job(desk: Desk) -> None:
    desk.add("a.txt")
    desk.index()
    again = desk.catalog.accept("default", [desk.upload("a.txt")])
    assert again.documents[0].status is DocumentStatus.UNCHANGED
    assert desk.jobs.claim("w") is None
    view = desk.catalog.batch(again.batch_id)
    assert (view.done, view.progress, view.counts["unchanged"], view.counts["queued"]) == (True, 1.0, 1, 0)
    assert status_of(desk, "a.txt") is DocumentStatus.INDEXED


@pytest.mark.parametrize("change", [{"title": "New"}, {"metadata": {"a": 1}}, {"name": "b.txt"}])
def test_what_stands_in_the_index_counts_as_content(desk: Desk, change: dict[str, object]) -> None:
    desk.add("a.txt")
    desk.index()
    again = desk.catalog.accept("default", [desk.upload("a.txt", b"text", **change)])
    assert again.documents[0].status is DocumentStatus.QUEUED
    assert desk.claim().version == 2


def test_other_settings_make_indexed_documents_changed(desk: Desk) -> None:
    desk.add("a.txt")
    desk.index()
    other = Catalog(desk.database, settings="minilm/100")
    assert other.accept("default", [desk.upload("a.txt")]).documents[0].status is DocumentStatus.QUEUED


def test_the_same_upload_while_queued_or_running_joins_the_job(desk: Desk) -> None:
    first = desk.add("a.txt")
    second = desk.add("a.txt")
    job = desk.claim()
    third = desk.catalog.accept("default", [desk.upload("a.txt")])
    assert third.documents[0].status is DocumentStatus.RUNNING
    assert desk.jobs.claim("other") is None
    desk.jobs.done(job)
    assert job.version == 1
    assert all(desk.catalog.batch(batch).done for batch in (first, second, third.batch_id))


def test_a_changed_document_supersedes_the_queued_one_and_its_batch_waits_for_the_new_one(desk: Desk) -> None:
    first = desk.add("a.txt", content=b"one")
    desk.add("a.txt", content=b"two")
    job = desk.claim()
    assert (job.version, job.content_hash) == (2, content_hash(b"two"))
    assert desk.jobs.claim("w") is None
    assert not desk.catalog.batch(first).done
    desk.jobs.done(job)
    view = desk.catalog.batch(first)
    assert (view.done, view.counts["indexed"]) == (True, 1)


def test_a_failed_document_sent_again_is_tried_again_as_the_same_version(desk: Desk) -> None:
    desk.add("a.txt")
    desk.jobs.fail(desk.claim(), DocumentFault("no_text", "Nothing in it."), retryable=False)
    assert desk.catalog.accept("default", [desk.upload("a.txt")]).documents[0].status is DocumentStatus.QUEUED
    assert desk.claim().version == 1


def test_two_different_documents_with_one_source_are_refused_together(desk: Desk) -> None:
    with pytest.raises(InvalidRequest, match=r"'README\.md'.*sources"):
        desk.catalog.accept("default", [desk.upload("README.md", b"one"), desk.upload("README.md", b"two")])
    assert desk.catalog.documents().documents == []
    desk.catalog.accept("default", [desk.upload("README.md"), desk.upload("README.md")])
    assert len(desk.catalog.documents().documents) == 1


def test_a_request_is_accepted_whole_or_refused_whole(desk: Desk) -> None:
    desk.add("a", "b", "c")
    with pytest.raises(Overloaded, match="3 documents") as refused:
        desk.add("d", "e", "f")
    assert refused.value.retry_after_s is not None
    with pytest.raises(Overloaded):
        desk.catalog.check_room("default", [desk.upload(name) for name in "def"])
    desk.catalog.check_room("default", [desk.upload(name) for name in "de"])
    assert len(desk.catalog.documents().documents) == 3
    desk.add("d", "e")
    desk.index()
    desk.add("f")


def test_uploads_at_the_same_time_take_turns_and_never_overfill_the_queue(desk: Desk) -> None:
    refused: list[Exception] = []

    def add(source: str) -> None:
        try:
            desk.add(source)
        except Exception as error:
            refused.append(error)

    threads = [threading.Thread(target=add, args=(f"file {number}",)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [type(error) for error in refused] == [Overloaded] * 7
    assert len(desk.catalog.documents().documents) == 5


def test_the_queue_is_bounded_in_bytes_too(desk: Desk) -> None:
    desk.add("a", content=b"x" * 6000)
    with pytest.raises(Overloaded):
        desk.add("b", content=b"x" * 6000)
    desk.add("a", content=b"y" * 9000)
    with pytest.raises(TooLarge, match="in parts"):
        desk.add("b", content=b"x" * 10_001)


def test_a_full_queue_still_takes_what_is_unchanged(desk: Desk) -> None:
    desk.add("known")
    desk.index()
    desk.add("a", "b", "c", "d", "e")
    desk.catalog.check_room("default", [desk.upload("known")])
    assert desk.catalog.accept("default", [desk.upload("known")]).documents[0].status is DocumentStatus.UNCHANGED


def test_a_deleted_document_is_gone_at_once_and_the_store_is_told_by_a_job(desk: Desk) -> None:
    desk.add("secret.txt", content=b"secret")
    desk.index(b"parsed secret")
    for content in (b"secret", b"parsed secret"):
        desk.blobs.put(content)
    key = document_id("default", "secret.txt")
    asked = desk.catalog.delete(key)
    assert (asked.document_id, asked.version, asked.collection) == (key, 1, "default")
    for call in (desk.catalog.document, desk.catalog.delete, desk.interventions.retry, desk.catalog.text_hash):
        with pytest.raises(DocumentNotFound):
            call(key)
    assert desk.catalog.documents().documents == []
    job = desk.claim()
    assert (job.kind, job.version, job.name) == (JobKind.FORGET, 1, "")
    while desk.clearing.delete_some():
        pass
    assert list(desk.blobs.keys()) == []


def test_content_that_another_document_needs_is_kept_until_that_one_goes_too(desk: Desk) -> None:
    for source in ("a", "b"):
        desk.add(source)
        desk.blobs.put(b"text")
        desk.index(b"text")
    desk.catalog.delete(document_id("default", "a"))
    assert desk.clearing.delete_some()
    assert list(desk.blobs.keys()) == [content_hash(b"text")]
    desk.catalog.delete(document_id("default", "b"))
    assert desk.clearing.delete_some()
    assert list(desk.blobs.keys()) == []


def test_deleting_while_queued_ends_the_batch_and_says_why(desk: Desk) -> None:
    batch = desk.add("a.txt")
    desk.catalog.delete(document_id("default", "a.txt"))
    view = desk.catalog.batch(batch)
    assert (view.done, view.documents[0].status, view.documents[0].name) == (True, DocumentStatus.FAILED, "")
    assert view.documents[0].error is not None
    assert view.documents[0].error.code == "deleted"


def test_a_document_added_again_after_deletion_gets_a_version_the_store_has_not_forgotten(desk: Desk) -> None:
    desk.add("a.txt")
    desk.index()
    desk.catalog.delete(document_id("default", "a.txt"))
    desk.add("a.txt")
    first = desk.claim()
    assert first.kind is JobKind.FORGET
    assert desk.jobs.claim("other") is None, "the new version must wait until the old one is forgotten"
    desk.jobs.done(first)
    assert desk.claim().version == 2


def test_retry_is_for_what_gave_up(desk: Desk) -> None:
    batch = desk.add("a.txt")
    key = document_id("default", "a.txt")
    with pytest.raises(Conflict, match="queued"):
        desk.interventions.retry(key)
    desk.jobs.fail(desk.claim(), DocumentFault("no_text", "Nothing in it."), retryable=False)
    view = desk.interventions.retry(key)
    assert (view.status, view.error, view.attempts) == (DocumentStatus.QUEUED, None, 0)
    assert desk.catalog.batch(batch).done, "what a batch has reported does not change"
    desk.index()
    assert status_of(desk, "a.txt") is DocumentStatus.INDEXED


def test_documents_come_in_pages_newest_first(desk: Desk) -> None:
    for source in ("a", "b", "c"):
        desk.clock.now += 1
        desk.add(source)
    first = desk.catalog.documents(limit=2)
    assert [view.name for view in first.documents] == ["c", "b"]
    second = desk.catalog.documents(limit=2, after=first.next)
    assert ([view.name for view in second.documents], second.next) == (["a"], None)


def test_documents_are_filtered_by_status_and_collection(desk: Desk) -> None:
    desk.add("a")
    desk.index()
    desk.add("b", collection="maps")
    assert [view.name for view in desk.catalog.documents(status="queued").documents] == ["b"]
    assert [view.name for view in desk.catalog.documents(collection="default").documents] == ["a"]
    with pytest.raises(InvalidRequest, match="indexed"):
        desk.catalog.documents(status="fine")
    with pytest.raises(CollectionNotFound):
        desk.catalog.documents(collection="charts")
    with pytest.raises(InvalidRequest):
        desk.catalog.documents(limit=0)
    with pytest.raises(InvalidRequest):
        desk.catalog.documents(after="nothing")


def test_collections_count_their_documents(desk: Desk) -> None:
    assert [view.name for view in desk.catalog.collections()] == ["default"]
    desk.catalog.create_collection("charts")
    desk.add("a", "b", collection="maps")
    desk.catalog.delete(document_id("maps", "a"))
    counts = {view.name: view.documents for view in desk.catalog.collections()}
    assert counts == {"charts": 0, "default": 0, "maps": 1}
    assert desk.catalog.collection_exists("maps")
    with pytest.raises(Conflict, match="charts"):
        desk.catalog.create_collection("charts")


@pytest.mark.parametrize("name", ["", "Maps", "a b", "x" * 65, "../up", "é", "a\n"])
def test_a_collection_has_a_plain_name(desk: Desk, name: str) -> None:
    with pytest.raises(InvalidRequest, match="1 to 64"):
        desk.catalog.create_collection(name)
    with pytest.raises(InvalidRequest, match="1 to 64"):
        desk.catalog.accept(name, [desk.upload("a")])


def test_deleting_a_collection_forgets_all_of_its_documents(desk: Desk) -> None:
    desk.add("a", "b", collection="maps")
    count, dropped = desk.catalog.delete_collection("maps")
    assert (count, dropped.collection) == (2, "maps")
    assert not desk.catalog.collection_exists("maps")
    assert desk.jobs.claim("w") is None, "neither is its content indexed any more, nor is there a job for each document"
    with pytest.raises(CollectionNotFound):
        desk.catalog.delete_collection("maps")
    with pytest.raises(Conflict):
        desk.catalog.delete_collection("default")


def test_progress_follows_the_bytes_and_never_falls(desk: Desk) -> None:
    accepted = desk.catalog.accept("default", [desk.upload("small"), desk.upload("big", b"x" * 8000)])
    batch, seen = accepted.batch_id, [0.0]

    def look() -> float:
        view = desk.catalog.batch(batch)
        assert view.total == 2
        assert view.progress >= seen[-1]
        seen.append(view.progress)
        return view.progress

    small = desk.claim()
    desk.jobs.stage(small, "embed", 0.5)
    assert 0 < look() < 0.3
    desk.jobs.fail(small, DocumentFault("upstream_failed", "x"), retryable=True)
    look()
    desk.clock.now += 100
    for _ in range(2):
        job = desk.claim()
        desk.jobs.stage(job, "parse", 0.0)
        look()
        desk.jobs.done(job)
        look()
    assert seen[-1] == 1.0


def test_the_estimate_comes_from_measured_pace(desk: Desk) -> None:
    desk.add("a", content=b"x" * 4096)
    desk.index()
    accepted = desk.catalog.accept("default", [desk.upload("b", b"y" * 4096), desk.upload("c", b"y" * 4096)])
    assert accepted.estimated_seconds == pytest.approx(2.0)
    assert desk.catalog.batch(accepted.batch_id).eta_s == pytest.approx(2.0)
    desk.index()
    assert desk.catalog.batch(accepted.batch_id).eta_s == pytest.approx(1.0)
    desk.index()
    assert desk.catalog.batch(accepted.batch_id).eta_s == 0.0


def test_an_unknown_batch_is_not_found(desk: Desk) -> None:
    with pytest.raises(NotFound, match="batch"):
        desk.catalog.batch("nope")


def test_sweeping_removes_only_content_that_is_old_and_unneeded(desk: Desk) -> None:
    kept = desk.blobs.put(b"text")
    orphan = desk.blobs.put(b"left behind by a crash")
    desk.add("a.txt")
    assert sweep(desk.catalog, desk.blobs) == 0
    desk.clock.now += 4000
    assert sweep(desk.catalog, desk.blobs) == 1
    assert list(desk.blobs.keys()) == [kept] != [orphan]


def test_finished_batches_are_forgotten_after_a_while_and_unfinished_ones_are_not(desk: Desk) -> None:
    old = desk.add("a")
    desk.index()
    waiting = desk.add("b")
    desk.clock.now += 100
    assert desk.catalog.prune(older_than_s=50) == 1
    with pytest.raises(NotFound):
        desk.catalog.batch(old)
    assert desk.catalog.batch(waiting).total == 1
    assert status_of(desk, "a") is DocumentStatus.INDEXED


def test_the_file_is_private_durable_and_refused_when_newer(desk: Desk) -> None:
    path = desk.folder / "catalog.db"
    assert path.stat().st_mode & 0o777 == 0o600
    with desk.database.read() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
    desk.database.close()
    raw = sqlite3.connect(path)
    raw.execute("UPDATE catalog SET schema_version = 99")
    raw.commit()
    raw.close()
    with pytest.raises(Internal, match="newer"):
        Database.open(path)
