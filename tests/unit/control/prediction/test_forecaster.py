"""The predictor end to end, without sockets: observations go in, forecasts and views come out, over a restart."""

from __future__ import annotations

import asyncio
import math
from pathlib import Path

import pytest

from argosy.config.models import Fleet
from argosy.contracts.errors import NotFound, Unavailable
from argosy.control.history.history import History
from argosy.control.history.measures import TICK_S
from argosy.control.history.series import Series
from argosy.control.observation import Observation
from argosy.control.prediction.forecaster import RESTORING, Forecaster

pytestmark = pytest.mark.unit

START_S = 1_700_000_000.0


def _forecaster(folder: Path, now: list[float]) -> Forecaster:
    return Forecaster(
        Fleet().services.by_name(),
        History(folder),
        Series(folder),
        clock=lambda: now[0],
        wall=lambda: START_S + now[0],
    )


async def test_what_was_recorded_is_there_after_a_restart(tmp_path: Path) -> None:
    now = [0.0]
    first = _forecaster(tmp_path, now)
    await first.restore()
    for _ in range(900):
        now[0] += 4
        first.observe("embedding", Observation(1, 1, in_flight=2.0, arrivals=8.0, response_time_s=0.5), now[0])
        await first.write()
    view = (await first.view("embedding")).services[0]
    assert view.horizons[0].expected == pytest.approx(4.0)
    assert "of 24 h" in view.state
    assert view.capacity.state.startswith("not learnt")
    assert first.forecast("embedding", now[0]) is None
    await first.close()
    again = _forecaster(tmp_path, now)
    await again.restore()
    assert (await again.view("embedding")).services[0].recorded_s == pytest.approx(view.recorded_s, abs=10)


async def test_what_cannot_be_and_counters_that_jump_leave_a_gap(tmp_path: Path) -> None:
    now = [0.0]
    forecaster = _forecaster(tmp_path, now)
    await forecaster.restore()
    for value in (math.nan, -5.0, math.inf, None) * 30:
        now[0] += 5
        forecaster.observe("embedding", Observation(1, 1, in_flight=value, arrivals=value), now[0])
    await forecaster.write()
    view = (await forecaster.view("embedding")).services[0]
    assert view.recorded_s == 0
    assert view.horizons == []
    await forecaster.close()


async def test_an_unknown_service_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="nothing"):
        await _forecaster(tmp_path, [0.0]).view("nothing")


async def test_looks_wait_while_the_past_is_read_and_a_stop_meanwhile_forgets_nothing(tmp_path: Path) -> None:
    now = [0.0]
    first = _forecaster(tmp_path, now)
    await first.restore()
    for _ in range(200):
        now[0] += 4
        first.observe("embedding", Observation(1, 1, in_flight=2.0, cold_start_s=33.0), now[0])
    await first.close()
    hasty = _forecaster(tmp_path, now)
    now[0] += 4
    hasty.observe("embedding", Observation(1, 1, in_flight=2.0, cold_start_s=44.0), now[0])
    assert hasty.forecast("embedding", now[0]) is None
    assert (await hasty.view("embedding")).services[0].state == RESTORING
    await hasty.close()
    again = _forecaster(tmp_path, now)
    again.observe("embedding", Observation(1, 1, in_flight=2.0, cold_start_s=55.0), now[0])
    await again.restore()
    view = (await again.view("embedding")).services[0]
    assert view.recorded_s > 700
    assert view.cold_starts_seen == 2
    await again.close()


async def test_what_was_handed_over_is_written_although_the_writer_is_cancelled(tmp_path: Path) -> None:
    now = [0.0]
    forecaster = _forecaster(tmp_path, now)
    await forecaster.restore()
    for _ in range(10):
        now[0] += 4
        forecaster.observe("embedding", Observation(1, 1, in_flight=2.0), now[0])
    writing = asyncio.create_task(forecaster.write())
    await asyncio.sleep(0)
    writing.cancel()
    await asyncio.gather(writing, return_exceptions=True)
    await forecaster.close()
    await forecaster.close()
    ticks = Series(tmp_path).read("embedding/in_flight", TICK_S, int(START_S // TICK_S), int(START_S // TICK_S) + 1)
    assert ticks.tolist() == [2.0, 2.0]
    with pytest.raises(Unavailable):
        await forecaster.view()


async def test_cold_starts_are_known_after_a_restart_and_none_is_made_up(tmp_path: Path) -> None:
    now = [0.0]
    first = _forecaster(tmp_path, now)
    await first.restore()
    assert first.cold_start_s("embedding") is None
    for took_s in (90.0, math.nan, 90.0, 92.0):
        now[0] += 4
        first.observe("embedding", Observation(1, 1, in_flight=2.0, cold_start_s=took_s), now[0])
    assert first.cold_start_s("embedding") == pytest.approx(91.6)
    await first.close()
    again = _forecaster(tmp_path, now)
    await again.restore()
    again.observe("embedding", Observation(1, 1, in_flight=2.0, cold_start_s=math.nan), now[0])
    assert again.cold_start_s("embedding") == pytest.approx(91.6)
    await again.close()


async def test_a_cold_start_that_is_nearly_the_same_changes_no_window(tmp_path: Path) -> None:
    now = [0.0]
    forecaster = _forecaster(tmp_path, now)
    await forecaster.restore()
    peak, windows = forecaster._outlooks["embedding"].peak, []
    for took_s in (30.0, 31.0, 36.0, 120.0, 121.0, 122.0):
        now[0] += 4
        forecaster.observe("embedding", Observation(1, 1, in_flight=2.0, cold_start_s=took_s), now[0])
        windows.append(peak.window)
    assert windows[0] == windows[1] == windows[2] < windows[3]
    await forecaster.close()
