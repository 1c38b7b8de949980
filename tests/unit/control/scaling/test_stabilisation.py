"""Windows slide by elapsed time and pause while nothing is observed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy.control.scaling.stabilisation import Calm, Peak, Smoothed

pytestmark = pytest.mark.unit


@given(st.lists(st.tuples(st.integers(1, 20), st.integers(0, 50)), min_size=1, max_size=40), st.integers(1, 60))
def test_the_peak_is_the_highest_of_the_window(steps: list[tuple[int, int]], length_s: int) -> None:
    peak, now_s, seen = Peak(), 0.0, []
    for elapsed_s, value in steps:
        now_s += elapsed_s
        seen.append((now_s, value))
        peak = peak.next(value, now_s, length_s, gap_s=100)
        assert peak.highest == max(v for at_s, v in seen if now_s - at_s < length_s)
    assert [v for _, v in peak.points] == sorted({v for _, v in peak.points}, reverse=True)


def test_a_peak_pauses_over_a_gap() -> None:
    peak = Peak().next(9, 0, 60, gap_s=5).next(1, 1000, 60, gap_s=5)
    assert peak.highest == 9
    assert peak.covered_s(1000) == 5
    assert peak.next(1, 1004, 60, gap_s=5).highest == 9


@given(st.lists(st.tuples(st.floats(0.1, 4), st.booleans()), min_size=1, max_size=40))
def test_calm_lasts_since_the_last_break(steps: list[tuple[float, bool]]) -> None:
    calm, now_s, since_s = Calm(), 0.0, None
    for elapsed_s, holds in steps:
        now_s += elapsed_s
        calm = calm.next(holds, now_s, gap_s=5)
        since_s = (now_s if since_s is None else since_s) if holds else None
        assert calm.duration_s(now_s) == pytest.approx(0.0 if since_s is None else now_s - since_s)


def test_smoothing_depends_on_elapsed_time_and_not_on_samples() -> None:
    once = Smoothed(0.0, 0.0).next(10.0, 8.0, 5.0)
    often = Smoothed(0.0, 0.0)
    for step in range(1, 81):
        often = often.next(10.0, step / 10, 5.0)
    assert once.value == pytest.approx(often.value)
