"""The predictor end to end, without sockets: looks in, forecast and views out, over a restart."""

from __future__ import annotations

import asyncio
import math
from pathlib import Path

import pytest

from argosy.config.models import EmbeddingSettings, Fleet, Replicas
from argosy.config.scaling import PredictiveSettings, ScalingSettings
from argosy.contracts.errors import NotFound, Unavailable
from argosy.control.history import History
from argosy.control.prediction import replay_tuner
from argosy.control.prediction.analogue import BIN_S
from argosy.control.prediction.capacity import CapacityFit
from argosy.control.prediction.experts import Fit
from argosy.control.prediction.fitting import Fitter
from argosy.control.prediction.forecaster import RESTORING, Forecaster
from argosy.control.prediction.outlook import TICK_S
from argosy.control.prediction.replay_tuner import replayed
from argosy.control.prediction.series import Series
from argosy.control.prediction.worker import FitReply, FitRequest
from argosy.control.scaling.decision import Tuning
from argosy.control.scaling.observation import Observation

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


CAPACITY = CapacityFit(1000, 0.5, 0.4, 0.6, 4.0, 3.0, 6.0, r2=0.99)


class _Replays(Fitter):
    """Replays in this process, and has learnt the capacity."""

    async def fit(self, request: FitRequest) -> FitReply:
        return FitReply(Fit(), CAPACITY, None, None if request.replay is None else replayed(request.replay))


async def test_once_enough_is_recorded_replay_chooses_and_says_why_and_a_restart_keeps_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replay_tuner, "LEAST_KNOWN", 1200)
    series, now = Series(tmp_path), [0.0]
    last = int(START_S // BIN_S) - 1
    for bin_number in range(last - 1200, last + 1):
        series.record(BIN_S, bin_number, {"embedding/load": 16.0 if bin_number % 120 < 12 else 1.0})
    tuned = ScalingSettings(predictive=PredictiveSettings(violation_cost_s=60))
    services = {"embedding": EmbeddingSettings(replicas=Replicas(min=1, max=10), scaling=tuned)}

    def made() -> Forecaster:
        history, clock = History(tmp_path), lambda: now[0]
        return Forecaster(services, history, series, clock=clock, wall=lambda: START_S + now[0], fitter=_Replays)

    first = made()
    await first.restore()
    for _ in range(70):
        now[0] += 2
        seen = Observation(1, 1, in_flight=1.0, arrivals=4.0, response_time_s=0.5, cold_start_s=30.0)
        first.observe("embedding", seen, now[0])
    assert first.tuning("embedding") == Tuning()
    await first.fit()  # learns the capacity
    assert first.tuning("embedding") == Tuning()
    await first.fit()
    tuning, view = first.tuning("embedding"), (await first.view("embedding")).services[0].tuning
    assert tuning.hold_s is not None
    assert (view.hold_s, view.utilisation, view.since_s) == (tuning.hold_s, tuning.utilisation, START_S + now[0])
    assert "late" in view.state
    await first.close()
    series = Series(tmp_path)
    again = made()
    await again.restore()
    assert again.tuning("embedding") == tuning
    await again.close()


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
