"""Tests of the adaptive concurrency limit of a replica: learning from answers, and its bounds."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from argosy.serving.concurrency import LEAST, MOST, ConcurrencyLimit

pytestmark = pytest.mark.unit


def test_the_limit_grows_while_answers_stay_fast_and_sinks_when_they_slow_down() -> None:
    limit = ConcurrencyLimit()
    for _ in range(200):
        limit.answered(0.01, limit.limit)
    grown = limit.limit
    assert grown > 100
    for _ in range(10):
        limit.answered(0.1, limit.limit)
    assert limit.limit < grown / 2


def test_a_limit_that_is_not_used_does_not_grow() -> None:
    limit = ConcurrencyLimit()
    for _ in range(200):
        limit.answered(0.01, 1)
    assert limit.limit == LEAST


@settings(max_examples=50)
@given(st.lists(st.tuples(st.booleans(), st.floats(0, 100), st.integers(0, 500)), max_size=100))
def test_the_limit_stays_between_its_bounds(ends: list[tuple[bool, float, int]]) -> None:
    limit = ConcurrencyLimit()
    for late, latency_s, in_flight in ends:
        if late:
            limit.late()
        else:
            limit.answered(latency_s, in_flight)
        assert LEAST <= limit.limit <= MOST
