"""kill -9 of what takes part in ingestion, at random moments: nothing accepted is lost, doubled, or left half done.

Three rounds in the normal run; ARGOSY_SOAK=1 makes it fifty on each database.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import random
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import psutil
import pytest

from tests.chaos.fleet import ChaosFleet
from tests.e2e.fleet import lives, until
from tests.e2e.wire import Part, multipart
from tests.postgres import Cluster, running

SOAK = bool(os.environ.get("ARGOSY_SOAK"))
ROUNDS = 50 if SOAK else 3
pytestmark = [pytest.mark.chaos, pytest.mark.timeout(7200 if SOAK else 300)]

DOCUMENTS = 16
SECTIONS = 12
KILLS = 2
MOMENTS_S = (0.0, 1.0)
SETTINGS = """
[fleet]
probe_interval_s = 0.5
[services.documents]
database = "{database}"
lease_s = 2
chunk_tokens = 24
"""
PARSER = "argosy.services.documents.parser_child"


def text(number: int, version: int) -> str:
    """Of many chunks, each of which holds the word `harbour` and tells its version."""
    parts = (
        f"<h2>Berth {n}</h2><p>In harbour {number} of plan {version} berth {n} is {10 * n + version} metres long.</p>"
        for n in range(SECTIONS + number % 5 + version)
    )
    return f"<!doctype html><html><body><h1>Harbour {number}</h1>{''.join(parts)}</body></html>"


def name(number: int) -> str:
    return f"harbour-{number}.{'html' if number % 2 else 'txt'}"


@dataclass
class Harbours(ChaosFleet):
    """A fleet, and the harbours in it. `expected` is what an uninterrupted run made of them."""

    expected: dict[str, list[tuple[int, int, str]]] = field(default_factory=dict)

    def send_plan(self, collection: str, version: int, which: range) -> str:
        """Accepted for certain when this returns, whatever is dead meanwhile. Returns: the batch."""
        files = [Part(name(number), text(number, version).encode()) for number in which]
        headers, body = multipart(files, collection=collection)

        def accepted() -> str | None:
            with contextlib.suppress(OSError, http.client.HTTPException):
                answer = self.call("POST", "/v1/documents", body=body, headers=headers)
                assert answer.status == 202 or answer.status >= 500, answer.body
                if answer.status == 202:
                    return str(answer.json()["batch_id"])
            return None

        return until(accepted, "the upload to be accepted")

    def wait(self, batch: str) -> dict[str, Any]:
        """The batch when it is done; what it reported before must not have been more."""
        best = 0.0

        def done() -> dict[str, Any] | None:
            nonlocal best
            with contextlib.suppress(OSError, http.client.HTTPException):
                answer = self.call("GET", f"/v1/batches/{batch}?wait_s=2")
                if answer.status == 200:
                    view = dict(answer.json())
                    assert view["progress"] >= best
                    assert sum(view["counts"].values()) == view["total"]
                    best = view["progress"]
                    return view if view["done"] else None
            return None

        return until(done, f"batch {batch} to be done", within_s=120.0)

    def chunks(self, collection: str) -> dict[str, list[tuple[int, int, str]]]:
        """Document → its chunks in order, as a search finds them."""
        found = {}
        for number in range(DOCUMENTS):
            message = {"query": "harbour", "mode": "lexical", "top_k": 50, "filters": {"name": name(number)}}
            answer = self.call("POST", "/v1/search", {**message, "collection": collection})
            assert answer.status == 200, answer.body
            found[name(number)] = sorted((hit["start"], hit["end"], hit["text"]) for hit in answer.json()["results"])
        return found

    def fill(self, collection: str, interrupt: Callable[[], None] = lambda: None) -> None:
        """Plan 1 of all harbours, plan 2 of every third, with something that happens meanwhile."""
        first = self.send_plan(collection, 1, range(DOCUMENTS))
        if not self.expected:
            self.wait(first)
        second = self.send_plan(collection, 2, range(0, DOCUMENTS, 3))
        interrupt()
        for batch in (first, second):
            view = self.wait(batch)
            assert view["counts"]["indexed"] == view["total"], view

    def kill_pid(self, pid: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)

    def strike(self, victim: str) -> None:
        """Kills now, without waiting for what comes of it; whatever is dead already stays so."""
        pids = self.pids()
        if victim == "everything":
            self.kill_controller(*(replica for replica, pid in pids.items() if lives(pid)))
            self.start()
        elif victim == "parser":
            for child in self.parsers():
                self.kill_pid(child)
        elif victim in pids:
            self.kill_pid(pids[victim])

    def parsers(self) -> list[int]:
        found = []
        for process in self.processes():
            with contextlib.suppress(psutil.Error):
                if PARSER in process.cmdline():
                    found.append(process.pid)
        return found


@pytest.fixture(scope="module")
def postgres() -> Iterator[Cluster]:
    with running() as cluster:
        yield cluster


@pytest.fixture(scope="module", params=["sqlite", "postgresql"] if SOAK else ["sqlite"])
def harbours(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Harbours]:
    environ = {}
    if request.param == "postgresql":
        environ["DATABASE_URL"] = request.getfixturevalue("postgres").database()
    yield from _started(tmp_path_factory, request.param, environ)


def _started(factory: pytest.TempPathFactory, database: str, environ: dict[str, str]) -> Iterator[Harbours]:
    home = factory.mktemp(f"harbours-{database}")
    fleet = Harbours(home / "data", home, environ, settings=SETTINGS.format(database=database))
    fleet.write()
    try:
        fleet.start().ok()
        fleet.fill("calm")
        fleet.expected = fleet.chunks("calm")
        assert all(len(chunks) > SECTIONS for chunks in fleet.expected.values())
        yield fleet
        fleet.down()
    finally:
        fleet.end()


@pytest.mark.parametrize("seed", range(ROUNDS))
def test_whatever_is_killed_whenever_the_index_is_that_of_a_calm_run(harbours: Harbours, seed: int) -> None:
    draw = random.Random(seed)
    victims = ["documents-1", "parser", "store-1", "embedding-1", "everything"]
    draw.shuffle(victims)

    def interrupt() -> None:
        for victim in victims[:KILLS]:
            time.sleep(draw.uniform(*MOMENTS_S))  # the random moment that this is about
            harbours.strike(victim)

    harbours.fill(f"round-{seed}", interrupt)
    harbours.recovered()
    assert harbours.chunks(f"round-{seed}") == harbours.expected


def test_a_locked_database_delays_and_loses_nothing(harbours: Harbours) -> None:
    path = harbours.data_dir / "catalog.db"
    if not path.exists():
        pytest.skip("only SQLite has one lock for all")
    lock = sqlite3.connect(path, isolation_level=None, timeout=30)

    def interrupt() -> None:
        lock.execute("BEGIN IMMEDIATE")
        time.sleep(3.0)  # longer than a lease
        lock.execute("ROLLBACK")

    try:
        harbours.fill("locked", interrupt)
    finally:
        lock.close()
    assert harbours.chunks("locked") == harbours.expected


def test_postgresql_restarted_mid_batch_is_found_again(
    postgres: Cluster, tmp_path_factory: pytest.TempPathFactory
) -> None:
    for fleet in _started(tmp_path_factory, "postgresql", {"DATABASE_URL": postgres.database()}):

        def interrupt() -> None:
            postgres.stop("immediate")
            postgres.start()

        fleet.fill("restarted", interrupt)
        assert fleet.chunks("restarted") == fleet.expected
        assert not (fleet.data_dir / "catalog.db").exists()
