"""Load forecast: no look-ahead, bands that keep their coverage, a mixture nearly as good as the best expert."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from argosy.control.observation import COLD_START_S
from argosy.control.prediction.binning import Bins
from argosy.control.prediction.cold_start import ColdStarts
from argosy.control.prediction.minutes.autoregression import PAST_MIN
from argosy.control.prediction.minutes.conformal import Bands
from argosy.control.prediction.minutes.experts import NAMES, Fit, Smooth, say
from argosy.control.prediction.minutes.fit import fit_load
from argosy.control.prediction.minutes.load_forecast import LoadForecast
from argosy.control.prediction.minutes.mixture import Record
from argosy.control.prediction.peak.analogue import Analogue

pytestmark = pytest.mark.unit

LOADS = st.lists(st.one_of(st.floats(0, 1e6), st.just(math.nan), st.just(-1.0)), min_size=10, max_size=30)


@settings(max_examples=10, deadline=None)
@given(past=LOADS, future=LOADS, other=LOADS)
def test_whatever_comes_what_was_forecast_before_is_the_same(
    past: list[float], future: list[float], other: list[float]
) -> None:
    def said(values: list[float]) -> list[object]:
        forecast, bands = LoadForecast((1, 5)), Bands()
        found: list[object] = []
        for number, value in enumerate(values):
            forecast.add(number, value)
            points = [None if s is None else (s.point, s.band, s.experts.tobytes()) for s in forecast.latest]
            found.append((points, bands.around(1.0)))
            bands.take(1.0, None, value if math.isfinite(value) else 0.0)
        return found

    assert said(past + future)[: len(past)] == said(past + other)[: len(past)]


def test_a_fit_and_the_window_peak_know_only_what_was_over() -> None:
    values = np.random.default_rng(2).poisson(60, 3 * 1440).astype(np.float64)
    changed = values.copy()
    changed[2000:] = 1e6
    assert repr(fit_load(values[:2000], 0, [5])) == repr(fit_load(changed[:2000], 0, [5]))
    one, other = Analogue(), Analogue()
    for number, value in enumerate(values[:300].tolist()):
        one.add(number, value)
        other.add(number, value)
    before = one.scores()
    for number in range(300, 350):
        other.add(number, 1e6)
    assert one.scores() == before


@pytest.mark.parametrize("shift", ["level", "spread", "walk"])
def test_bands_keep_their_coverage_when_the_series_shifts(shift: str) -> None:
    rng, count = np.random.default_rng(8), 12_000
    noise = rng.normal(0, 1, count)
    scale = np.where(np.arange(count) // 3000 % 2, 4.0, 1.0) if shift == "spread" else np.ones(count)
    level = np.where(np.arange(count) // 3000 % 2, 300.0, 100.0) if shift == "level" else np.full(count, 100.0)
    values = level + scale * (np.cumsum(noise) * 0.02 + noise if shift == "walk" else noise)
    bands, last = Bands(), 100.0
    for value in values.tolist():
        bands.take(last, bands.around(last), value)
        last = value
    assert bands.scored > 10_000
    assert 0.93 <= bands.covered / bands.scored <= 0.97


@pytest.mark.parametrize("best", [1, len(NAMES) - 1])
def test_the_mixture_finds_the_best_expert_and_a_day_later_another_that_became_best(best: int) -> None:
    rng, record, lost, least = np.random.default_rng(best), Record(), 0.0, 0.0
    for number in range(4000):
        now = best if number < 2000 else (best + 1) % len(NAMES)
        points = 100 + rng.normal(0, np.where(np.arange(len(NAMES)) == now, 1.0, 3.0))
        said = record.say(number, points)
        assert said is not None
        record.take(said, 100.0)
        if number % 2000 >= 1500:
            lost, least = lost + abs(said.point - 100), least + abs(float(points[now]) - 100)
    assert lost <= 1.05 * least


def test_an_expert_that_is_silent_has_no_weight_and_a_loser_is_not_trusted() -> None:
    points, record = np.full(len(NAMES), 1.0), Record()
    points[-1] = np.nan
    for number in range(100):
        said = record.say(number, points)
        assert said is not None
        record.take(dataclasses.replace(said, point=5.0), 1.0)
    said = record.say(100, points)
    assert said is not None
    assert said.weights[-1] == 0
    assert said.weights.sum() == pytest.approx(1)
    assert not record.trusted


def test_experts_hold_a_steady_load_and_never_go_below_zero() -> None:
    smooth = Smooth()
    for _ in range(50):
        smooth.take(7.0)
    steady = say(np.full(PAST_MIN, 7.0), 100, smooth, Fit(), (1, 10))
    np.testing.assert_allclose(steady[:, :4], 7.0)
    assert np.isnan(steady[:, 4:]).all()
    for value in (7.0, 3.0, 0.0, 0.0):
        smooth.take(value)
    assert np.nanmin(say(np.zeros(PAST_MIN), 100, smooth, Fit(), (1, 10))) >= 0


@given(st.lists(st.one_of(st.floats(), st.integers(0, 100).map(float)), max_size=60))
def test_cold_starts_are_planned_within_what_was_seen(seen: list[float]) -> None:
    known = ColdStarts()
    for value in seen:
        known = known.next(value)
    assert len(known.seen_s) <= 20
    if known.seen_s:
        assert min(known.seen_s) <= known.planned_s <= max(known.seen_s)
    else:
        assert known.planned_s == COLD_START_S


def test_a_wall_clock_set_back_holds_and_set_forward_leaves_a_gap() -> None:
    bins = Bins(15)
    assert bins.add(100.0, {"a": 1.0}) is None
    assert bins.add(40.0, {"a": 99.0}) is None
    assert bins.add(106.0, {"a": 3.0}) == (6, {"a": 1.0})
    assert bins.add(1000.0, {"a": math.nan, "b": -1.0}) == (7, {"a": 3.0})
    assert bins.add(1100.0, {}) == (66, {})
