"""Retry budget, hedge delay and client throttle: what each allows, and that none lets go."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from argosy.balancing.hedge_delay import SHORTEST_S, HedgeDelay
from argosy.balancing.retry_budget import RetryBudget
from argosy.balancing.throttle import WINDOW_S, ClientThrottle

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(("requests", "retries"), [(0, 10), (20, 10), (100, 25)])
def test_retries_are_a_share_of_the_requests_or_the_reserve(requests: int, retries: int) -> None:
    budget = RetryBudget(share=0.25, reserve_per_s=1.0, window_s=10.0)
    for _ in range(requests):
        budget.request(0.0)
    assert sum(budget.take(1.0) for _ in range(100)) == retries


def test_two_thousand_requests_that_fail_within_the_window_make_a_fifth_more_attempts() -> None:
    budget, retries = RetryBudget(), 0
    for n in range(2000):
        budget.request(n / 500)
        retries += budget.take(n / 500)
    assert retries == 400


def test_what_was_earned_and_spent_is_forgotten_after_the_window() -> None:
    budget = RetryBudget(share=0.2, reserve_per_s=1.0, window_s=10.0)
    for _ in range(100):
        budget.request(0.0)
    assert budget.left(10.0) == pytest.approx(10)
    while budget.take(10.0):
        pass
    assert budget.left(15.0) < 1
    assert budget.left(21.0) == pytest.approx(10)


@settings(max_examples=50)
@given(st.lists(st.tuples(st.booleans(), st.floats(0, 3)), max_size=200))
def test_no_window_has_more_retries_than_its_share_or_the_reserve(steps: list[tuple[bool, float]]) -> None:
    budget, now_s = RetryBudget(share=0.2, reserve_per_s=1.0, window_s=10.0), 0.0
    requests: list[float] = []
    taken: list[float] = []
    for is_request, after_s in steps:
        now_s += after_s
        if is_request:
            budget.request(now_s)
            requests.append(now_s)
        elif budget.take(now_s):
            taken.append(now_s)
            # Slots of half a second: what is paid for may be that much older than what it pays.
            recent = [s for s in taken if now_s - s < 9.5]
            earned = [s for s in requests if now_s - s <= 10]
            assert len(recent) <= max(10, 0.2 * len(earned)) + 1e-9


def test_nothing_is_hedged_before_enough_is_known() -> None:
    delay = HedgeDelay()
    for _ in range(19):
        delay.note(0.01)
    assert delay.after_s() is None
    delay.note(0.01)
    assert delay.after_s() == 0.01


def test_the_delay_is_the_rolling_p95_and_never_too_short() -> None:
    delay = HedgeDelay(window=100)
    for ms in range(100):
        delay.note(ms / 1000)
    assert delay.after_s() == pytest.approx(0.095)
    for _ in range(100):
        delay.note(0.0001)
    assert delay.after_s() == SHORTEST_S


def test_a_service_that_accepts_two_thirds_is_sent_nearly_everything() -> None:
    throttle, rng = ClientThrottle(), random.Random(1)
    for n in range(1000):
        if not throttle.rejects(rng.random(), 0.0) and n % 3:
            throttle.accepted(0.0)
    assert throttle.probability(0.0) == 0


def test_a_service_that_accepts_nothing_is_soon_left_alone_and_tried_again_after_the_window() -> None:
    throttle, rng = ClientThrottle(), random.Random(1)
    sent = sum(not throttle.rejects(rng.random(), 0.0) for _ in range(10_000))
    assert sent < 20
    assert throttle.probability(WINDOW_S) == 0


def test_a_few_refusals_are_no_overload() -> None:
    throttle = ClientThrottle(least=20)
    assert not any(throttle.rejects(0.0, 0.0) for _ in range(20))
    assert throttle.rejects(0.0, 0.0)
