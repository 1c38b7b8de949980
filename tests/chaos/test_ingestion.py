"""Ingestion under kill -9 of its processes at random moments: accepted work is never lost, doubled or left half done.

The normal run has three rounds; with ARGOSY_SOAK=1 it has fifty on each database.
"""

from __future__ import annotations

import random
import sqlite3
import time
from collections.abc import Iterator

import pytest

from tests.chaos.harbours import LIMIT_S, ROUNDS, SOAK, Harbours, started
from tests.postgres import Cluster, running

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(LIMIT_S)]

KILLS = 2
LOCKED_S = 11.0
"""Duration longer than a lease and than any wait for SQLite's lock."""


@pytest.fixture(scope="module")
def postgres() -> Iterator[Cluster]:
    with running() as cluster:
        yield cluster


@pytest.fixture(scope="module", params=["sqlite", "postgresql"] if SOAK else ["sqlite"])
def harbours(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Harbours]:
    environ = {}
    if request.param == "postgresql":
        environ["DATABASE_URL"] = request.getfixturevalue("postgres").database()
    yield from started(tmp_path_factory.mktemp(f"harbours-{request.param}"), environ, request.param)


@pytest.mark.parametrize("seed", range(ROUNDS))
def test_whatever_is_killed_whenever_the_index_is_that_of_a_calm_run(harbours: Harbours, seed: int) -> None:
    draw = random.Random(seed)
    victims = ["documents-1", "parser", "store-1", "embedding-1", "everything"]
    draw.shuffle(victims)

    def interrupt() -> None:
        for victim in victims[:KILLS]:
            harbours.pause(draw)
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
        harbours.pause(random.Random(0))
        lock.execute("BEGIN IMMEDIATE")
        time.sleep(LOCKED_S)
        lock.execute("ROLLBACK")

    try:
        harbours.fill("locked", interrupt)
    finally:
        lock.close()
    assert harbours.chunks("locked") == harbours.expected


def test_postgresql_restarted_mid_batch_is_found_again(
    postgres: Cluster, tmp_path_factory: pytest.TempPathFactory
) -> None:
    home = tmp_path_factory.mktemp("harbours-restarted")
    for fleet in started(home, {"DATABASE_URL": postgres.database()}, "postgresql"):

        def interrupt(fleet: Harbours = fleet) -> None:
            fleet.pause(random.Random(0))
            postgres.stop("immediate")
            postgres.start()

        fleet.fill("restarted", interrupt)
        assert fleet.chunks("restarted") == fleet.expected
        assert not (fleet.data_dir / "catalog.db").exists()
