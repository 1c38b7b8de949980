"""Bands: as wide as the possible values, whichever expert knows them; through a standstill and a restart."""

from __future__ import annotations

import collections
import itertools

import msgspec
import numpy as np
import pytest

from argosy.control.history.arrays import Floats
from argosy.control.prediction.minutes.conformal import SIDE, Band, Bands, Stretch
from argosy.control.prediction.minutes.experts import NAMES
from argosy.control.prediction.minutes.load_forecast import HORIZONS_MIN
from argosy.control.prediction.minutes.mixture import Record
from argosy.control.prediction.minutes.weighting import pinball

pytestmark = pytest.mark.unit

DAY = 1440


def _widest(bands: Bands, values: Floats) -> float:
    """Return the width of the widest band around the previous value in the last day of `values`."""
    widths = []
    for before, value in itertools.pairwise(values.tolist()):
        band = bands.around(before)
        bands.take(before, band, value)
        widths.append(0.0 if band is None else band[1] - band[0])
    return max(widths[-DAY:])


@pytest.mark.parametrize("still_days", [2, 7])
def test_a_series_that_stood_still_and_came_back_slowly_has_about_the_same_band_afterwards(still_days: int) -> None:
    rng, bands = np.random.default_rng(4), Bands()
    before = _widest(bands, rng.normal(100, 10, 2 * DAY))
    _widest(bands, np.concatenate((np.zeros(still_days * DAY), np.geomspace(0.01, 100, 300))))
    assert _widest(bands, rng.normal(100, 10, DAY)) < 3 * before


def test_bursts_that_are_known_ten_minutes_late_widen_no_band_for_hours() -> None:
    rng, bands, count = np.random.default_rng(5), Bands(), 6 * DAY
    values = rng.normal(100, 1, count)
    for start in range(2 * DAY, count - 360, DAY // 2):
        values[start : start + 12] += 50
    waiting: collections.deque[Band | None] = collections.deque()
    highs = []
    for value in values.tolist():
        if len(waiting) == 10:
            bands.take(100.0, waiting.popleft(), value)
        waiting.append(bands.around(100.0))
        highs.append((waiting[-1] or (0.0, 100.0))[1] - 100)
    assert np.percentile(highs[3 * DAY :], 75) < 3 * np.mean(highs[DAY : 2 * DAY])


def test_the_ends_of_the_band_follow_those_who_know_how_far_it_may_go() -> None:
    """The first expert is nearly always right but never predicts a rise; the second predicts it and is inexact."""
    rng, record = np.random.default_rng(6), Record()
    mixed, alone, count = 0.0, np.zeros(2), 6 * DAY
    points = np.full(len(NAMES), np.nan)
    for number in range(count):
        rise = 16.0 * (rng.random() < 0.03)
        points[:2] = 100.0, 100.0 + rise + rng.normal(0, 1.5)
        value = 100.0 + rise + rng.normal(0, 1)
        said = record.say(number, points)
        assert said is not None
        if number >= 2 * DAY:
            assert said.band is not None
            assert said.weights[0] > 0.9
            mixed += _loss(said.point, said.band, value)
            for expert in range(2):
                low, point, high = said.experts[:, expert].tolist()
                alone[expert] += _loss(point, (low, high), value)
        record.take(said, value)
    assert alone[1] < 0.95 * alone[0]
    assert mixed <= 1.05 * alone.min()


def _loss(point: float, band: Band, value: float) -> float:
    return float(pinball(value - np.array([[band[0]], [point], [band[1]]])).sum())


@pytest.mark.parametrize("wrong", [0.5, 2.0])
def test_a_band_that_is_too_narrow_or_too_wide_is_stretched_until_it_covers_what_it_should(wrong: float) -> None:
    rng, stretch, covered = np.random.default_rng(7), Stretch(), []
    for error in rng.normal(0, 1, 12_000).tolist():
        band = stretch.around(100.0, (100 - 2 * wrong, 100 + 2 * wrong))
        stretch.take(band, 100 + error)
        covered.append(band[0] <= 100 + error <= band[1])
    assert np.mean(covered) == pytest.approx(1 - 2 * SIDE, abs=0.02)
    assert np.mean(covered[6000:]) == pytest.approx(1 - 2 * SIDE, abs=0.01)
    assert stretch.covered == sum(covered)


def test_what_was_learnt_is_the_same_after_a_restart_and_stays_small() -> None:
    rng, record = np.random.default_rng(8), Record()
    values = rng.normal(100, 10, 2 * DAY).tolist()
    for number, (before, value) in enumerate(itertools.pairwise(values)):
        said = record.say(number, np.full(len(NAMES), before))
        assert said is not None
        record.take(said, value)
    written = msgspec.msgpack.encode(record)
    again = msgspec.msgpack.decode(written, type=Record)
    for number in range(3000, 3100):
        one, other = (r.say(number, np.full(len(NAMES), 95.0)) for r in (record, again))
        assert one is not None
        assert other is not None
        assert one.band == other.band
        record.take(one, 120.0)
        again.take(other, 120.0)
    assert len(HORIZONS_MIN) * len(written) < 200_000
