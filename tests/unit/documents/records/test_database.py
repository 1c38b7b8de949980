from __future__ import annotations

import contextlib
import sqlite3
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from argosy.contracts.documents import DocumentFault, DocumentStatus
from argosy.contracts.errors import Unavailable
from argosy.services.documents.catalog.intake import document_id
from argosy.services.documents.jobs.leases import Indexed
from argosy.services.documents.jobs.statistics import report
from argosy.services.documents.records.database import Database
from tests.unit.documents.conftest import Desk

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.unit

BACK_TO_VERSION_1 = """
DROP TABLE lanes;
DROP INDEX jobs_by_lane;
DROP INDEX documents_by_vectors;
ALTER TABLE documents DROP COLUMN left_out;
ALTER TABLE jobs DROP COLUMN lane;
ALTER TABLE jobs DROP COLUMN outcome;
ALTER TABLE documents DROP COLUMN vectors_hash;
ALTER TABLE batches ADD COLUMN served BIGINT NOT NULL DEFAULT 0;
UPDATE catalog SET schema_version = 1;
"""


@contextlib.contextmanager
def raw(path: Path) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        yield connection
    finally:
        connection.close()


def test_an_older_catalog_goes_on_where_it_was(tmp_path: Path) -> None:
    old = Desk(tmp_path)
    old.add("indexed")
    old.index()
    batch = old.add("waiting")
    old.database.close()
    with raw(tmp_path / "catalog.db") as connection:
        connection.executescript(BACK_TO_VERSION_1)
    new = Desk(tmp_path)
    new.add("later")
    assert {new.index().name, new.index().name} == {"waiting", "later"}
    assert new.catalog.batch(batch).done
    assert len(new.catalog.documents().documents) == 3
    new.database.close()
    Desk(tmp_path).database.close()


def test_a_database_that_stays_locked_is_unavailable_and_then_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "catalog.db"
    database = Database.open(path, busy_ms=10)
    with raw(path) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Unavailable, match="busy"), database.write():
            pass
        with database.read() as reading:
            assert reading.exec_driver_sql("SELECT count(*) FROM documents").scalar() == 0
        other.execute("ROLLBACK")
    with database.write():
        pass
    database.close()


def test_a_change_is_whole_or_not_there(desk: Desk) -> None:
    def half() -> None:
        with desk.database.write() as connection:
            connection.exec_driver_sql("INSERT INTO collections (name, created_at) VALUES ('half', 0)")
            raise KeyError

    with pytest.raises(KeyError):
        half()
    assert not desk.catalog.collection_exists("half")


def test_writers_of_several_threads_wait_for_each_other(desk: Desk) -> None:
    def write(number: int) -> None:
        with desk.database.write() as connection:
            connection.exec_driver_sql("INSERT INTO collections (name, created_at) VALUES (?, 0)", (f"c{number}",))

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(desk.catalog.collections()) == 9


def test_the_report_counts_what_ended_within_its_window(desk: Desk) -> None:
    desk.add("long ago")
    desk.index()
    desk.clock.now += 10_000
    desk.add("a", "b", "c", "d")
    for seconds, chunks in ((1.0, 4), (3.0, 8)):
        job = desk.claim()
        desk.clock.now += seconds
        desk.jobs.done(job, Indexed(chunks, 2, None, "0" * 64, embedded=1, seconds={"parse": seconds}))
    desk.jobs.fail(desk.claim(), DocumentFault("no_text", "A scan."), retryable=False)
    told = report(desk.database, 3600)
    assert (told.processed, told.indexed, told.errors) == (3, 2, {"no_text": 1})
    assert (told.queue_documents, told.queue_bytes, told.workers_busy) == (1, 4, 0)
    assert (told.stages["parse"].count, told.stages["parse"].mean_s, told.stages["parse"].p95_s) == (2, 2.0, 3.0)
    assert told.busy_s == pytest.approx(4.0)
    assert told.chunks_per_s == pytest.approx(3.0)
    assert told.pages_per_s == pytest.approx(1.0)
    assert (told.chunks, told.chunks_embedded) == (12, 2)
    desk.claim()
    assert report(desk.database, 3600).workers_busy == 1
    assert desk.catalog.document(document_id("default", "d")).status is DocumentStatus.RUNNING
