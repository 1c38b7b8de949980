"""Peak of the window: learnt from periodic load, and never from future values."""

from __future__ import annotations

import copy
import functools
import math

import numpy as np
import pytest

from argosy.control.prediction.peak.analogue import BIN_S, DAY, Analogue

pytestmark = pytest.mark.unit

HOUR = 3600 // BIN_S


def _load(bins: int) -> list[float]:
    load = 2 + np.random.default_rng(3).random(2 * DAY)[:bins] / 10
    for minute in range(3):
        load[minute::HOUR] += 5
    return list(load.tolist())


@functools.cache
def _a_day() -> Analogue:
    """Return a model that was fed with all bins of a day except the last."""
    analogue = Analogue(cold_start_s=10)
    for number, value in enumerate(_load(DAY)[:-1]):
        analogue.add(number, value)
    return analogue


def _fed(load: list[float]) -> Analogue:
    """Return a model that was fed with a day of `_load` and then with the rest of `load`, which begins alike."""
    analogue = copy.deepcopy(_a_day())
    for number, value in enumerate(load):
        analogue.add(number, value)  # bins that the model has already are ignored
    return analogue


def test_nothing_is_forecast_before_a_day_is_recorded() -> None:
    load = _load(DAY)
    analogue = copy.deepcopy(_a_day())
    assert analogue.forecast() is None
    analogue.add(DAY - 1, load[-1])
    assert analogue.forecast() is not None


def test_a_burst_that_keeps_a_clock_is_foreseen_and_a_restart_changes_nothing() -> None:
    load = _load(DAY + HOUR)[:-2]  # the next burst begins two bins later
    analogue = _fed(load)
    found = analogue.forecast()
    assert found is not None
    assert found.peak > 6
    assert found.trusted
    again = Analogue(cold_start_s=10, scores=analogue.scores())
    again.fill(0, np.array(load))
    assert again.forecast() == found


def test_the_future_changes_no_forecast_made_before() -> None:
    load = _load(DAY + 200)
    quiet, wild = _fed(load[:DAY]), _fed(load[:DAY])
    before = quiet.forecast()
    for number in range(DAY, DAY + 200):
        wild.add(number, 100.0)
    assert before == quiet.forecast()


def test_what_cannot_be_and_a_clock_set_back_hold() -> None:
    analogue = _fed(_load(DAY + 50))
    found = analogue.forecast()
    for number, value in ((DAY + 10, 9.0), (DAY, math.nan)):
        analogue.add(number, value)
    assert analogue.forecast() == found
    for number, value in enumerate((math.nan, -1.0, math.inf), DAY + 50):
        analogue.add(number, value)
    held = analogue.forecast()
    assert held is None or math.isfinite(held.peak)
