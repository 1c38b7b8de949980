"""The predictor end to end, without sockets: looks in, forecast and views out, over a restart."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from argosy.config.models import Fleet
from argosy.contracts.errors import NotFound
from argosy.control.history import History
from argosy.control.prediction.forecaster import Forecaster
from argosy.control.prediction.series import Series
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


def test_what_was_recorded_is_there_after_a_restart(tmp_path: Path) -> None:
    now = [0.0]
    first = _forecaster(tmp_path, now)
    for _ in range(900):
        now[0] += 4
        first.observe("embedding", Observation(1, 1, in_flight=2.0, arrivals=8.0, response_time_s=0.5), now[0])
        first.write()
    view = first.view("embedding").services[0]
    assert view.horizons[0].expected == pytest.approx(4.0)
    assert "of 24 h" in view.state
    assert view.capacity.state.startswith("not learnt")
    assert first.forecast("embedding", now[0]) is None
    first.close()
    again = _forecaster(tmp_path, now)
    again.restore()
    assert again.view("embedding").services[0].recorded_s == pytest.approx(view.recorded_s, abs=10)


def test_what_cannot_be_and_counters_that_jump_leave_a_gap(tmp_path: Path) -> None:
    now = [0.0]
    forecaster = _forecaster(tmp_path, now)
    for value in (math.nan, -5.0, math.inf, None) * 30:
        now[0] += 5
        forecaster.observe("embedding", Observation(1, 1, in_flight=value, arrivals=value), now[0])
    forecaster.write()
    view = forecaster.view("embedding").services[0]
    assert view.recorded_s == 0
    assert view.horizons == []
    forecaster.close()


def test_an_unknown_service_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="nothing"):
        _forecaster(tmp_path, [0.0]).view("nothing")
