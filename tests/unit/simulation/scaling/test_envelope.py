"""Curves at equal cost, on made-up points."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy.simulation.scaling.envelope import FLOOR, POINTS, Envelope, events_ratio, fewer, geometric_mean, overlap
from argosy.simulation.scaling.run import RunResult

pytestmark = pytest.mark.unit


def outcome(hours: float, violations: float, events: int = 0) -> RunResult:
    return RunResult(0.0, violations, hours, 1000, events, 0)


def curve(*points: tuple[float, float]) -> Envelope:
    return Envelope([outcome(hours, violations) for hours, violations in points])


def test_points_that_others_beat_are_left_out() -> None:
    envelope = curve((10, 0.1), (12, 0.2), (20, 0.01), (20, 0.05), (30, 0.01))
    assert [(o.replica_hours, o.violations) for o in envelope.outcomes] == [(10, 0.1), (20, 0.01)]


def test_between_points_the_logarithm_is_straight() -> None:
    assert curve((10, 0.1), (20, 0.001)).violations(np.array([15.0])) == pytest.approx([0.01])


def test_half_the_violations_everywhere_is_twice_as_good() -> None:
    ours, theirs = curve((10, 0.05), (20, 0.005)), curve((10, 0.1), (20, 0.01))
    assert fewer(ours, theirs) == pytest.approx(2.0)
    assert fewer(theirs, ours) == pytest.approx(0.5)


def test_only_costs_that_both_have_are_compared() -> None:
    ours, theirs = curve((5, 0.2), (15, 0.02)), curve((10, 0.1), (40, 0.0001))
    hours = overlap(ours, theirs)
    assert hours is not None
    assert (len(hours), hours[0], hours[-1]) == (POINTS, 10, 15)
    assert overlap(curve((1, 0.1), (2, 0.01)), theirs) is None
    assert math.isnan(fewer(curve((1, 0.1), (2, 0.01)), theirs))


def test_nothing_is_fewer_than_the_floor_and_where_both_are_near_it_nothing_is_counted() -> None:
    """None against 0.1 %: ten times the floor, not without end."""
    none, some = curve((10, 0.0), (10.0001, 0.0)), curve((5, 0.2), (10, 0.001), (20, 0.001))
    assert math.isnan(fewer(none, some)), "a single point overlaps with nothing"
    none = curve((5, 0.1), (10, FLOOR / 10), (20, 0.0))
    steady = curve((10, 0.00101), (20, 0.001))
    assert fewer(none, steady) == pytest.approx(10.0, rel=0.01)
    near = curve((10, 0.00015), (20, 0.00012))
    assert math.isnan(fewer(none, near))


def test_a_cost_for_a_promise_lies_between_the_points_or_nowhere() -> None:
    envelope = curve((10, 0.1), (20, 0.001))
    assert envelope.hours_for(0.01) == pytest.approx(15.0)
    assert envelope.hours_for(0.5) == 10
    assert math.isnan(envelope.hours_for(0.0005))


def test_events_are_compared_at_equal_cost_too() -> None:
    ours = Envelope([outcome(10, 0.1, 10), outcome(20, 0.01, 30)])
    theirs = Envelope([outcome(10, 0.1, 10), outcome(20, 0.01, 10)])
    assert events_ratio(ours, theirs) == pytest.approx(2.0)


def test_a_mean_leaves_out_what_is_no_number() -> None:
    assert geometric_mean([2.0, math.nan, 8.0]) == pytest.approx(4.0)
    assert math.isnan(geometric_mean([math.nan]))


points = st.tuples(st.floats(1, 100), st.floats(0, 1))


@given(st.lists(points, min_size=2, max_size=9), st.lists(points, min_size=2, max_size=9))
def test_a_comparison_turned_round_is_its_inverse(
    one: list[tuple[float, float]], other: list[tuple[float, float]]
) -> None:
    forth, back = fewer(curve(*one), curve(*other)), fewer(curve(*other), curve(*one))
    assert (math.isnan(forth) and math.isnan(back)) or forth * back == pytest.approx(1.0)
