"""Recorded measures of the service and of each replica are read back, in a bounded number of points."""

from __future__ import annotations

from pathlib import Path

import pytest

from argosy.config.models import Fleet
from argosy.contracts.errors import InvalidRequest, NotFound
from argosy.control.history.history import History
from argosy.control.history.measures import COARSE_S, MOST_POINTS, TICK_S, history_of
from argosy.control.history.series import CHUNK, DAY_S, Series
from argosy.control.observation import Observation
from argosy.control.prediction.forecaster import Forecaster

pytestmark = pytest.mark.unit

NOW_S = 1_700_000_100.0 // COARSE_S * COARSE_S
HOUR_S = 3600


async def test_a_replica_is_recorded_beside_its_service_and_outlives_a_controller_that_was_killed(
    tmp_path: Path,
) -> None:
    now = [0.0]

    def made() -> Forecaster:
        return Forecaster(
            Fleet().services.by_name(), History(tmp_path), Series(tmp_path),
            clock=lambda: now[0], wall=lambda: NOW_S + now[0],
        )  # fmt: skip

    killed = made()
    await killed.restore()
    for _ in range(60):
        now[0] += 1
        killed.observe("embedding", Observation(2, 2, in_flight=5.0, arrivals=6.0), now[0])
        killed.observe_replica("embedding", "embedding-1", {"in_flight": 3.0, "cpu": 0.25}, now[0])
        killed.observe_replica("embedding", "embedding-2", {"in_flight": 2.0, "cpu": -1.0}, now[0])
        await killed.write()
    page = await made().past("embedding", 60, None)
    assert (page.service, page.step_s, page.begin) == ("embedding", TICK_S, NOW_S)
    assert page.series["rate"] == [3.0] * 4
    assert page.replicas["embedding-1"] == {"in_flight": [3.0] * 4, "cpu": [0.25] * 4}
    assert page.replicas["embedding-2"] == {"in_flight": [2.0] * 4}, "what cannot be is not recorded"
    only = await made().past("embedding", 60, "cpu")
    assert (only.series, set(only.replicas)) == ({}, {"embedding-1"})
    assert (await made().past("retrieval", 60, None)).replicas == {}
    with pytest.raises(NotFound, match="nothing"):
        await made().past("nothing", 60, None)


def test_a_long_window_is_told_in_means_and_the_last_hour_is_in_it(tmp_path: Path) -> None:
    series = Series(tmp_path)
    ticks = range(int(NOW_S) // TICK_S - CHUNK - 40, int(NOW_S) // TICK_S)
    for number in ticks:
        series.record(TICK_S, number, {"a/rate": 2.0, "a/a-1/rate": 4.0})
    day = history_of(series, "a", DAY_S, None, NOW_S)
    assert (day.step_s, len(day.series["rate"])) == (COARSE_S, DAY_S // COARSE_S)
    assert day.series["rate"][-14:] == [2.0] * 14
    assert day.series["rate"][0] is None
    month = history_of(series, "a", 30 * DAY_S, None, NOW_S)
    assert len(month.series["rate"]) <= MOST_POINTS
    assert month.step_s == 6 * COARSE_S
    assert month.begin % month.step_s == 0
    assert month.replicas["a-1"]["rate"][-1] == 4.0
    series.close()


def test_what_cannot_be_asked_for_is_named(tmp_path: Path) -> None:
    series = Series(tmp_path)
    with pytest.raises(InvalidRequest, match="90 days"):
        history_of(series, "a", 91 * DAY_S, None, NOW_S)
    with pytest.raises(InvalidRequest, match=r"measure is none of rate, .*cpu"):
        history_of(series, "a", HOUR_S, "colour", NOW_S)
    series.close()
