"""Distribution of the window's highest load: calibrated, and computed from past values only."""

from __future__ import annotations

import functools

import numpy as np
import pytest

from argosy.control.history.arrays import Floats
from argosy.control.prediction.peak.analogue import BIN_S, DAY, Analogue
from argosy.control.prediction.peak.skill import naive_spans
from argosy.control.prediction.peak.window_regression import (
    CHANCES,
    WindowFit,
    design,
    fit_window,
    newest,
    spread,
    targets,
)

pytestmark = pytest.mark.unit

WINDOW = 9


@functools.cache
def _loads() -> Floats:
    rng = np.random.default_rng(5)
    bins = np.arange(3 * DAY)
    level = 4 * (1 + 0.7 * np.sin(2 * np.pi * bins / DAY)) * np.repeat(rng.gamma(20, 1 / 20, 3 * DAY // 12), 12)
    return np.asarray(rng.poisson(level * 5) / 5.0)


@functools.cache
def _fit() -> WindowFit:
    found = fit_window(_loads()[: 2 * DAY], WINDOW)
    assert found is not None
    return found


def test_nothing_is_fitted_before_a_day_is_known() -> None:
    assert fit_window(_loads()[: DAY - 1], WINDOW) is None
    assert fit_window(np.full(2 * DAY, np.nan), WINDOW) is None


def test_quantiles_of_days_to_come_hold_what_they_promise() -> None:
    fit = _fit()
    assert fit.trusted
    assert fit.coverage == pytest.approx(0.98, abs=0.015)
    at = np.arange(2 * DAY, 3 * DAY - WINDOW - 2, 60)
    rows, came = design(_loads(), at, WINDOW), targets(_loads(), at, WINDOW) ** 2
    below = [sum(c for c, load in spread(fit, row) if load < x) for row, x in zip(rows, came, strict=True)]
    assert np.mean(below) == pytest.approx(0.5, abs=0.1)
    assert np.mean(np.array(below) > 0.98) < 0.1
    assert CHANCES.sum() == pytest.approx(1, abs=0.01)


def test_a_row_does_not_depend_on_what_comes_after_its_bin() -> None:
    at = np.array([DAY, DAY + 500])
    changed = _loads().copy()
    changed[DAY + 501 :] = np.nan
    assert design(changed, at, WINDOW) == pytest.approx(design(_loads(), at, WINDOW))
    assert design(_loads()[: DAY + 501], at, WINDOW) == pytest.approx(design(_loads(), at, WINDOW))
    one = design(_loads(), at[:1], WINDOW)
    assert one[0] == pytest.approx(design(_loads(), at, WINDOW)[0])


def test_windows_that_are_not_over_have_no_target() -> None:
    loads = _loads()[:1000]
    found = targets(loads, np.array([980, 1000 - WINDOW - 2, 1000 - WINDOW - 1]), WINDOW)
    assert np.isfinite(found).tolist() == [True, True, False]


def test_gaps_leave_rows_out_and_an_unknown_level_says_nothing() -> None:
    loads = _loads()[: 2 * DAY].copy()
    loads[9000:15000] = np.nan
    fit = fit_window(loads, WINDOW)
    assert fit is not None
    assert np.isfinite(fit.weights).all()
    row = design(loads, np.array([12000]), WINDOW)[0]
    assert spread(fit, row) == ()


def _spikes() -> Floats:
    """Return a load with a spike every 75 to 175 s. Only some windows have spikes, and their times are random."""
    rng = np.random.default_rng(9)
    loads = 2 + 0.1 * rng.random(2 * DAY)
    at = np.cumsum(rng.integers(15, 36, 2 * DAY // 20))
    loads[at[at < len(loads)]] += 9
    return np.asarray(loads)


def test_who_says_less_than_the_highest_of_late_is_not_trusted_though_the_last_value_says_nothing_at_all() -> None:
    loads = _spikes()
    fit, analogue = fit_window(loads, WINDOW), Analogue(cold_start_s=30)
    for number, load in enumerate(loads[: DAY + 2000].tolist()):
        analogue.add(number, load)
    peak = analogue.forecast()
    assert fit is not None
    assert peak is not None
    assert analogue.window == WINDOW
    at = np.arange(3 * DAY // 2, len(loads) - WINDOW - 2, 12)
    errors = targets(loads, at, WINDOW) ** 2 - design(loads, at, WINDOW)[:, 1] ** 2
    last = np.maximum(0.98 * errors, -0.02 * errors).mean()
    assert max(fit.loss, peak.loss) < last / 10
    assert not fit.trusted
    assert not peak.trusted


def test_naive_is_the_best_of_the_highest_of_some_windows_past_and_never_more_than_an_hour() -> None:
    assert naive_spans(9, BIN_S) == [11, 22, 44]
    assert naive_spans(300, BIN_S) == [302, 604, 720]
    assert naive_spans(1000, BIN_S) == [1002, 1002, 1002]


@pytest.mark.parametrize("length", [40, 1000, DAY + 100, 3 * DAY])
def test_the_newest_row_is_the_last_of_all(length: int) -> None:
    loads = _loads()[:length].copy()
    loads[length // 2 : length // 2 + 70] = np.nan
    every = design(loads, np.array([length - 2, length - 1]), WINDOW)[1]
    assert newest(loads, WINDOW) == pytest.approx(every, nan_ok=True)
    loads[-40:] = np.nan
    assert np.isnan(newest(loads, WINDOW)).all()
