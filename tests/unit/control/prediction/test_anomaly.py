"""Anomalies against the day before, and the time at which a growing value reaches its limit; also through gaps."""

from __future__ import annotations

import numpy as np
import pytest

from argosy.control.history.arrays import Floats
from argosy.control.prediction.anomaly import DEVIATIONS, LEAST_POINTS, Band, newest
from argosy.control.prediction.minutes.seasonality import Season
from argosy.control.prediction.saturation import MOST_POINTS, seconds_until

pytestmark = pytest.mark.unit

STEP_MIN = 5
POINTS = 288
SEASON = Season(120, 1.0, [0.5] * 60 + [1.5] * 60)
FIRST_MINUTE = 2850
"""Minute within the second half of a period."""


def _day() -> Floats:
    """Return values around 100 with as many far below as above; the last three are normal."""
    points = 100 + np.random.default_rng(1).normal(0, 1, POINTS)
    points[-3:] = 100.0
    return points


def _seasonal() -> Floats:
    minutes = FIRST_MINUTE + STEP_MIN * np.arange(POINTS)
    points: Floats = _day() * np.array([SEASON.at(int(minute)) for minute in minutes])
    return points


def _band(points: Floats, season: Season | None = None) -> Band:
    band = newest(points, FIRST_MINUTE, STEP_MIN, season)
    assert band is not None
    return band


def test_the_band_is_two_deviations_around_the_median() -> None:
    points = _day()
    median = float(np.median(points))
    deviation = float(np.median(np.abs(points - median)))
    band = _band(points)
    assert (band.low, band.high) == pytest.approx((median - 2 * deviation, median + 2 * deviation))
    assert DEVIATIONS == 2.0


@pytest.mark.parametrize(("last", "unusual"), [(97.0, True), (99.5, False), (100.5, False), (103.0, True)])
def test_both_sides_are_watched(last: float, unusual: bool) -> None:
    points = _day()
    points[-3:] = last
    assert _band(points).anomalous is unusual


def test_points_on_both_sides_are_no_change() -> None:
    points = _day()
    points[-3:] = 103.0, 97.0, 103.0
    assert not _band(points).anomalous


def test_a_gap_neither_hides_nor_makes_an_anomaly() -> None:
    points = _day()
    points[-8:-5] = 103.0
    points[-5:] = np.nan
    assert _band(points).anomalous
    assert _band(points).value == 103.0
    points[-8:-5] = 100.0
    assert not _band(points).anomalous


def test_a_load_that_is_usual_at_another_time_of_the_season_is_unusual_now() -> None:
    points = _seasonal()
    assert not _band(points, SEASON).anomalous
    points[-3:] = 50.0
    assert SEASON.at(FIRST_MINUTE + STEP_MIN * (POINTS - 1)) == 1.5
    assert _band(points, SEASON).anomalous
    assert not _band(points).anomalous
    assert _band(points, SEASON).low == pytest.approx(150, rel=0.05)


def test_what_never_moved_and_what_is_hardly_known_say_nothing_and_no_band_is_below_zero() -> None:
    points = np.full(POINTS, 7.0)
    points[-3:] = 8.0
    assert not _band(points).anomalous
    points = np.where(np.arange(POINTS) % 2, 0.0, 9.0)
    assert _band(points).low == 0.0
    points[: POINTS - LEAST_POINTS + 1] = np.nan
    assert newest(points, FIRST_MINUTE, STEP_MIN, None) is None


def test_the_time_until_full_counts_from_now_also_through_gaps_and_is_cheap() -> None:
    points = 100 + np.arange(POINTS, dtype=np.float64)
    points[50:120] = np.nan
    points[-30:] = np.nan
    now = 100.0 + POINTS - 1
    assert seconds_until(now + 60, points, 300) == pytest.approx(60 * 300)
    assert seconds_until(now - 1, points, 300) == 0
    assert seconds_until(np.nan, points, 300) is None
    assert MOST_POINTS < POINTS
    long = 100 + np.arange(50_000, dtype=np.float64)  # all pairs of these values would take ten gigabytes
    assert seconds_until(60_099, long, 300) == pytest.approx(10_000 * 300)
