"""Seasons are detected, never assumed; anomalies and exhaustion are derived from the days before."""

from __future__ import annotations

import numpy as np
import pytest

from argosy.control.prediction import anomaly
from argosy.control.prediction.minutes.seasonality import find_season
from argosy.control.prediction.saturation import seconds_until

pytestmark = pytest.mark.unit

PERIOD_MIN = 360


def _waves(minutes: int, noise: float = 0.1) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    rng = np.random.default_rng(5)
    wave = 10 + 6 * np.sin(2 * np.pi * np.arange(minutes) / PERIOD_MIN)
    return wave * np.exp(rng.normal(0, noise, minutes))


def test_a_period_is_found_with_its_profile_also_through_gaps() -> None:
    values = _waves(8 * PERIOD_MIN)
    values[1000:1100] = np.nan
    season = find_season(values, first_bin=17)
    assert season is not None
    assert season.period_min == PERIOD_MIN
    top, bottom = 17 + PERIOD_MIN // 4, 17 + 3 * PERIOD_MIN // 4
    assert season.at(top) == pytest.approx(1.6, abs=0.1)
    assert season.at(bottom) == pytest.approx(0.4, abs=0.1)


def test_what_was_seen_often_keeps_its_edges() -> None:
    minutes = np.arange(6 * 1440)
    values = np.random.default_rng(6).poisson(np.where(minutes % 60 < 4, 400, 100)).astype(np.float64)
    season = find_season(values, 0)
    assert season is not None
    assert season.period_min == 60
    assert season.at(3) > 3.5 * season.at(4)
    few = find_season(values[: 6 * 60], 0)  # six values per minute of the season are few, so they are smoothed
    assert few is not None
    assert season.at(4) < 0.6 * few.at(4)


def test_a_season_is_refused_until_two_cycles_were_seen() -> None:
    assert find_season(_waves(2 * PERIOD_MIN - 30), 0) is None
    assert find_season(_waves(3 * PERIOD_MIN), 0) is not None


@pytest.mark.parametrize("seed", range(5))
def test_noise_and_a_wandering_level_have_no_season(seed: int) -> None:
    rng = np.random.default_rng(seed)
    assert find_season(rng.poisson(50, 5000).astype(np.float64), 0) is None
    assert find_season(np.full(5000, np.nan), 0) is None
    assert find_season(np.zeros(5000), 0) is None


def test_what_stays_outside_the_usual_is_an_anomaly_and_one_point_is_none() -> None:
    points = 100 + np.random.default_rng(1).normal(0, 1, 288)
    points[-4:] = 100.0
    calm = anomaly.newest(points, 0, 5, None)
    points[-1] = 150
    single = anomaly.newest(points, 0, 5, None)
    points[-3:] = 150
    lasting = anomaly.newest(points, 0, 5, None)
    assert [band is not None and band.anomalous for band in (calm, single, lasting)] == [False, False, True]
    assert anomaly.newest(points[-70:], 0, 5, None) is None


def test_a_season_is_not_an_anomaly() -> None:
    values = _waves(8 * PERIOD_MIN, 0.02)
    season = find_season(values, 0)
    points = values[: 4 * PERIOD_MIN + PERIOD_MIN // 4].reshape(-1, 5).mean(1)  # the values end at the top of a wave
    plain, known = anomaly.newest(points, 0, 5, None), anomaly.newest(points, 0, 5, season)
    assert plain is not None
    assert known is not None
    assert known.high > points[-1] > known.low


def test_what_grows_is_full_when_its_slope_says_and_one_jump_changes_nothing() -> None:
    points = 100 + np.arange(288, dtype=np.float64)  # one value per 300 s
    points[100] = 5000
    assert seconds_until(100 + 287 + 50, points, 300) == pytest.approx(50 * 300, rel=0.05)
    assert seconds_until(300, points, 300) == 0
    assert seconds_until(1e9, points, 300) is None
    assert seconds_until(1000, points[::-1].copy(), 300) is None
    assert seconds_until(1000, points[:30], 300) is None
