"""Tests of catalog and jobs on PostgreSQL: all tests that they pass on SQLite, and tests that need a server."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from argosy.contracts.documents import DocumentStatus
from argosy.contracts.errors import ConfigError, Unavailable
from argosy.services.documents.catalog.intake import document_id
from argosy.services.documents.jobs.leases import Indexed, Job
from argosy.services.documents.records.database import Database, open_database
from tests.postgres import Cluster
from tests.unit.documents.catalog import test_catalog, test_job_control, test_refusals
from tests.unit.documents.conftest import Desk, MakeDesk
from tests.unit.documents.jobs import test_leases
from tests.waiting import until_in_thread

pytestmark = pytest.mark.contract

ON_SQLITE_ONLY = {"test_the_file_is_private_durable_and_refused_when_newer"}

for _module in (test_catalog, test_leases, test_job_control, test_refusals):
    for _name, _test in vars(_module).items():
        if _name.startswith("test_") and callable(_test) and _name not in ON_SQLITE_ONLY:
            globals()[_name] = _test


@pytest.fixture
def make_desk(postgres: Cluster, tmp_path: Path) -> Iterator[MakeDesk]:
    made: list[Desk] = []

    def make() -> Desk:
        made.append(Desk(tmp_path / f"desk-{len(made)}", postgres.database()))
        return made[-1]

    yield make
    for desk in made:
        desk.database.close()


@pytest.fixture
def desk(make_desk: MakeDesk) -> Desk:
    return make_desk()


def test_the_clock_is_the_servers(postgres: Cluster) -> None:
    database = Database.connect(postgres.database())
    before_s = time.time()
    with database.read() as connection:
        told_s = database.now(connection)
    database.close()
    assert abs(told_s - before_s) < 60, "server and test share a machine here"


def test_a_claim_does_not_wait_for_another_workers_claim(desk: Desk) -> None:
    desk.add("a", "b")
    with desk.database.write() as holding:
        first = holding.exec_driver_sql("SELECT id FROM jobs ORDER BY id LIMIT 1 FOR UPDATE").scalar_one()
        second = _within(10, lambda: desk.jobs.claim("other"))
    assert second is not None
    assert second.id != first


def test_a_server_that_restarts_is_found_again_and_nothing_is_lost(desk: Desk, postgres: Cluster) -> None:
    desk.add("a", "b")
    job = desk.claim()
    postgres.stop("immediate")
    try:
        for act in (lambda: desk.jobs.heartbeat(job), lambda: desk.add("c"), lambda: desk.jobs.claim("w")):
            with pytest.raises(Unavailable):
                act()
    finally:
        postgres.start()
    desk.jobs.done(job, Indexed(1, None, None, "0" * 64))
    assert desk.catalog.document(document_id("default", "a")).status is DocumentStatus.INDEXED
    assert desk.claim().name == "b"


def test_many_workers_and_senders_at_once_neither_lose_nor_double(postgres: Cluster, make_desk: MakeDesk) -> None:
    desk = make_desk()
    done: list[str] = []
    failed: list[BaseException] = []
    ended = threading.Event()

    def work() -> None:
        while not ended.is_set():
            job: Job | None = desk.jobs.claim(threading.current_thread().name)
            if job is not None:
                desk.jobs.done(job, Indexed(1, None, None, "0" * 64))
                done.append(f"{job.name} {job.version}")

    def guarded() -> None:
        try:
            work()
        except BaseException as error:
            failed.append(error)

    workers = [threading.Thread(target=guarded) for _ in range(4)]
    for worker in workers:
        worker.start()
    try:
        expected = []
        for number in range(20):
            batch = desk.add(f"{number} a", f"{number} b")
            expected += [f"{number} a 1", f"{number} b 1"]
            until_in_thread(lambda batch=batch: desk.catalog.batch(batch).done or bool(failed))  # type: ignore[misc]
    finally:
        ended.set()
        for worker in workers:
            worker.join()
    assert failed == []
    assert sorted(done) == sorted(expected)


def test_the_fleet_file_selects_it_and_the_variable_only_names_it(tmp_path: Path, postgres: Cluster) -> None:
    url = postgres.database()
    open_database("sqlite", tmp_path, {"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/nothing"}).close()
    assert (tmp_path / "catalog.db").exists()
    open_database(
        "postgresql", tmp_path / "elsewhere", {"DATABASE_URL": url.replace("postgresql", "postgres", 1)}
    ).close()
    assert not (tmp_path / "elsewhere").exists()
    for environ, told in (
        ({}, "needs the variable DATABASE_URL"),
        ({"DATABASE_URL": "mysql://x/y"}, "names mysql"),
        ({"DATABASE_URL": "not an address"}, "is not an address"),
    ):
        with pytest.raises(ConfigError, match=told):
            open_database("postgresql", tmp_path, environ)


def _within(seconds: float, call: Callable[[], Job | None]) -> Job | None:
    """Return the result of the call; fail when it does not return within `seconds`."""
    found: list[Job | None] = []
    caller = threading.Thread(target=lambda: found.append(call()), daemon=True)
    caller.start()
    caller.join(seconds)
    assert found, "the claim waited for a lock"
    return found[0]
