"""Two replicas of `documents` share the work: when one is killed, the other takes over its jobs."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from tests.chaos.fleet import TWO
from tests.chaos.harbours import LIMIT_S, ROUNDS, SOAK, Harbours, started
from tests.postgres import running

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(LIMIT_S)]


@pytest.fixture(scope="module", params=["sqlite", "postgresql"] if SOAK else ["sqlite"])
def harbours(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Harbours]:
    home = tmp_path_factory.mktemp(f"harbours-two-{request.param}")
    if request.param == "sqlite":
        yield from started(home, {}, more=TWO)
    else:
        with running() as cluster:
            yield from started(home, {"DATABASE_URL": cluster.database()}, "postgresql", more=TWO)


@pytest.mark.parametrize("seed", range(ROUNDS))
def test_what_a_killed_replica_had_in_work_is_done_by_the_other(harbours: Harbours, seed: int) -> None:
    draw = random.Random(seed)

    def interrupt() -> None:
        for victim in draw.sample(["documents-1", "documents-2"], 2):
            harbours.pause(draw)
            harbours.strike(victim)
            if draw.random() < 0.5:  # otherwise kill the other one too, before the first is back
                return

    harbours.fill(f"round-{seed}", interrupt)
    harbours.recovered()
    assert harbours.chunks(f"round-{seed}") == harbours.expected
