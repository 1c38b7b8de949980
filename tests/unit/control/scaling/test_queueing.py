"""The queueing model against textbook values, and its monotonicity."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy.control.observation import Capacity
from argosy.control.scaling.queueing import effective, late_share, replicas_for_slo

pytestmark = pytest.mark.unit


def erlang_b(load: float, servers: int) -> float:
    return (load**servers / math.factorial(servers)) / sum(load**k / math.factorial(k) for k in range(servers + 1))


def test_the_share_that_waits_is_erlang_c() -> None:
    """Two servers, load 1: one third waits. Ten servers, load 8: 0.4092 (tables of Erlang C)."""
    assert late_share(1.0, 2, erlang_b(1.0, 2), 0.0, 1.0) == pytest.approx(1 / 3)
    assert late_share(8.0, 10, erlang_b(8.0, 10), 0.0, 1.0) == pytest.approx(0.4092, abs=1e-4)


def test_it_finds_the_fewest_that_keep_the_slo() -> None:
    capacity = Capacity(1.0, slots=1)
    enough = replicas_for_slo(8.0, capacity, 1.0, 0.01, 100)
    assert late_share(8.0, enough, erlang_b(8.0, enough), 1.0, 1.0) <= 0.01
    assert late_share(8.0, enough - 1, erlang_b(8.0, enough - 1), 1.0, 1.0) > 0.01


def test_contention_ends_the_search_at_the_best_there_is() -> None:
    capacity = Capacity(1.0, slots=1, sigma=0.2, kappa=0.05)
    best = max(range(1, 100), key=lambda n: effective(n, capacity))
    assert replicas_for_slo(50.0, capacity, 1.0, 0.01, 100) == best


@given(st.floats(0, 300), st.floats(0, 300), st.floats(0.001, 0.5), st.integers(1, 64), st.floats(0.5, 30))
def test_more_load_never_needs_fewer(one: float, other: float, late: float, most: int, slots: float) -> None:
    capacity = Capacity(0.5, slots=slots, sigma=0.01)
    few, many = (replicas_for_slo(load, capacity, 0.5, late, most) for load in sorted((one, other)))
    assert 1 <= few <= many <= most
