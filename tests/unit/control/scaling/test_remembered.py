"""Frequency with which the load was above a level, on all time scales."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy.control.scaling.exceedance import LEAST_STEEP, MOST_STEEP, USUALLY_STEEP, Remembered

pytestmark = pytest.mark.unit

COLD_START_S = 10.0
LIMITS = np.array([0.0, 4.0, 8.0, 16.0, 64.0])


def after(loads: list[float], step_s: float = 2.0, cold_start_s: float = COLD_START_S) -> Remembered:
    seen = Remembered()
    for number, load in enumerate(loads):
        seen = seen.next(load, number * step_s, cold_start_s, 60.0)
    return seen


def test_nothing_observed_asks_for_nothing() -> None:
    assert Remembered().above(LIMITS).tolist() == [1, 0, 0, 0, 0]


def test_a_steady_load_is_above_what_is_below_it_and_hardly_above_twice_itself() -> None:
    chances = after([5.0] * 500).above(LIMITS)
    assert chances[:2] == pytest.approx([1.0, 1.0], abs=1e-6)
    assert (5 / 8) ** MOST_STEEP < chances[2] < (5 / 8) ** USUALLY_STEEP
    assert chances[3] < 1e-3
    assert chances[4] < 1e-8


def test_how_far_a_load_reaches_is_learnt_from_how_much_it_grows() -> None:
    steady, bursting = after([5.0] * 3000), after(([1.0] * 30 + [20.0] * 5) * 80)
    assert steady.steepness == MOST_STEEP
    assert bursting.steepness == LEAST_STEEP


def test_a_level_reached_every_few_minutes_stays_likely_and_one_reached_once_fades() -> None:
    calm, burst = [1.0] * 140, [10.0] * 10
    recurring = after((calm + burst) * 10 + calm)
    once = after(calm + burst + calm * 10)
    assert recurring.above(LIMITS)[2] > 0.015
    assert once.above(LIMITS)[2] < 0.01
    assert after(calm + burst).above(LIMITS)[2] > recurring.above(LIMITS)[2]


def test_the_longer_a_start_takes_the_less_a_moment_says() -> None:
    quick, slow = (after([1.0] * 300 + [10.0] * 3, cold_start_s=s).above(LIMITS)[2] for s in (2.0, 120.0))
    assert quick > 2 * slow


def test_what_was_not_observed_counts_for_nothing() -> None:
    seen = after([10.0] * 100)
    paused = seen.next(1.0, 100_000.0, COLD_START_S, gap_s=2.0)
    at_once = seen.next(1.0, 200.0, COLD_START_S, gap_s=2.0)
    assert paused.above(LIMITS) == pytest.approx(at_once.above(LIMITS))


def test_a_clock_that_moves_changes_nothing() -> None:
    seen = after([3.0, 9.0, 1.0])
    here, there = seen.next(2.0, 8.0, COLD_START_S, 60.0), seen.moved(500.0).next(2.0, 508.0, COLD_START_S, 60.0)
    assert there.shares == here.shares


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=30))
def test_chances_fall_from_one_limit_to_the_next(loads: list[float]) -> None:
    chances = after(loads).above(np.array([0.0, 0.01, 0.5, 3.0, 40.0, 5e3, 4e5, 1e7]))
    assert chances[0] == 1
    assert (chances >= 0).all()
    assert (np.diff(chances) <= 1e-9).all()
