"""A fixed number of replicas is recommended only when it would have kept the SLO at less cost."""

from __future__ import annotations

import heapq

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy.config.scaling import SloSettings
from argosy.control.history.arrays import Floats
from argosy.control.history.measures import TICK_S
from argosy.control.observation import Capacity
from argosy.control.planning.fixed import Fixed, Ticks, fixed_enough, surest
from argosy.control.prediction.capacity import CapacityFit, fit_capacity
from argosy.control.scaling.decision import Rule
from argosy.control.scaling.queueing import replicas_for_slo

pytestmark = pytest.mark.unit

DAY = 5760
"""Ticks of a day."""
RULE = Rule(max_instances=20, slo=SloSettings(share=0.99))
ONE_SECOND = Capacity(1.0, slots=1)
STEADY: Floats = np.full(DAY, 8.0)


def enough(
    rate: Floats, ran: float, rule: Rule = RULE, capacity: Capacity = ONE_SECOND, cpu: float = np.nan
) -> Fixed | None:
    """Return the recommendation when `ran` replicas ran and each used `cpu` of its cores."""
    replicas = np.full(len(rate), ran)
    return fixed_enough(Ticks(rate, np.full(len(rate), cpu), replicas, replicas), rule, capacity)


def test_steady_load_needs_what_the_queueing_model_says() -> None:
    found = enough(STEADY, 20)
    assert found is not None
    assert found.replicas == replicas_for_slo(8.0, ONE_SECOND, 1.0, 0.01, 20)
    assert (found.hours, found.used_hours) == (24 * found.replicas, 480)
    assert f"set replicas.min and replicas.max to {found.replicas}" in found.advice()
    assert f"{found.hours:.1f} replica-hours instead of 480.0" in found.advice()


def test_nothing_is_recommended_that_costs_as_much_as_what_ran() -> None:
    found = enough(STEADY, 20)
    assert found is not None
    assert enough(STEADY, found.replicas) is None
    assert enough(STEADY, found.replicas + 1) == Fixed(found.replicas, 86_400, 24.0 * (found.replicas + 1))


def test_peaks_are_part_of_the_promise_where_they_are_more_than_may_be_late() -> None:
    """Peaks of 16 in 1 % of the time are nearly 4 % of the requests. Peaks in 0.1 % of the time may be late."""
    often, seldom = (np.where(np.arange(DAY) % every == 0, 16.0, 4.0) for every in (100, 1000))
    many, few = enough(often, 40), enough(seldom, 40)
    assert many is not None
    assert few is not None
    assert many.replicas > 16 > few.replicas


def test_less_than_a_day_recommends_nothing() -> None:
    assert enough(STEADY[:-1], 20) is None
    gap = STEADY.copy()
    gap[100] = np.nan
    assert enough(gap, 20) is None
    assert enough(np.concatenate([gap, STEADY[:1]]), 20) is not None


def test_no_load_and_more_load_than_all_may_serve_recommend_nothing() -> None:
    assert enough(np.zeros(DAY), 20) is None
    assert enough(np.full(DAY, 25.0), 60) is None


def test_cpu_that_so_few_would_not_have_had_counts_as_late() -> None:
    """Ten replicas that each use 0.67 of their cores need more than 6 replicas' cores."""
    found = enough(np.full(DAY, 0.5), 10, cpu=0.67)
    assert found is not None
    assert found.replicas == 7
    assert enough(np.full(DAY, 0.5), 10, cpu=0.94) is None


def test_slots_that_nothing_has_shown_are_the_fewest_that_may_be() -> None:
    fit = CapacityFit(400, service_time_s=0.1, slots=8, slots_low=2, slots_high=None, r2=0.9)
    known = surest(fit, None)
    by_hand = surest(fit, 6)
    assert known is not None
    assert by_hand is not None
    assert (known.slots, by_hand.slots) == (2, 6)
    assert surest(CapacityFit(400, r2=0.5, slots_low=2, service_time_s=0.1), 6) is None


@pytest.mark.parametrize(("peak", "ran", "variation"), [(3.5, 12, 0.5), (7.0, 20, 0.3), (12.0, 30, 0.1)])
def test_what_was_never_full_is_not_taken_to_do_more_than_it_was_seen_to_do(
    peak: float, ran: int, variation: float
) -> None:
    """Each replica has one slot, which is not configured, and no request of the service ever waited."""
    day = peak / 2 * (1.1 + np.sin(2 * np.pi * np.arange(DAY) / DAY)) / 1.05
    rate, response_s, _ = served(day, ran, variation)
    ticks = Ticks(rate, np.full(DAY, np.nan), np.full(DAY, float(ran)), np.full(DAY, float(ran)))
    fit = fit_capacity(rate[-1000:], (rate * response_s)[-1000:], np.full(1000, float(ran)))
    capacity = surest(fit, None)
    found = None if capacity is None else fixed_enough(ticks, RULE, capacity)
    if found is not None:
        _, _, wait_s = served(day, found.replicas, variation)
        assert np.mean(wait_s > 1.0) <= 0.01


def served(day: Floats, replicas: int, variation: float) -> tuple[Floats, Floats, Floats]:
    """Simulate one queue before replicas of one slot, with 1 s of work per request on average.

    Returns: rate and mean response time by tick, and the wait by request.
    """
    rng = np.random.default_rng(0)
    ticks = np.sort(rng.choice(DAY, rng.poisson(day.sum() * TICK_S), p=day / day.sum()))
    arrivals = np.sort(ticks * TICK_S + rng.uniform(0, TICK_S, len(ticks)))
    work = rng.gamma(1 / variation**2, variation**2, len(arrivals))
    free, wait_s = [0.0] * replicas, np.empty(len(arrivals))
    for n, (at, takes) in enumerate(zip(arrivals.tolist(), work.tolist(), strict=True)):
        begins = max(heapq.heappop(free), at)
        wait_s[n] = begins - at
        heapq.heappush(free, begins + takes)
    count = np.bincount(ticks, minlength=DAY)
    return count / TICK_S, np.bincount(ticks, wait_s + work, minlength=DAY) / np.maximum(1, count), wait_s


def test_contention_past_which_more_only_lose_is_no_remedy() -> None:
    assert enough(STEADY, 100, capacity=Capacity(1.0, slots=4, sigma=0.2, kappa=0.05)) is None


def test_it_keeps_to_the_least_that_may_run() -> None:
    found = enough(np.full(DAY, 0.1), 12.0, Rule(min_instances=9, max_instances=20))
    assert found is not None
    assert found.replicas == 9


@given(st.lists(st.floats(0, 15), min_size=24, max_size=24), st.sampled_from((0.9, 0.95, 0.99)))
def test_it_always_costs_less_than_what_ran_and_less_load_never_needs_more(hours: list[float], share: float) -> None:
    rate = np.repeat(hours, DAY // 24)
    rule = Rule(max_instances=20, slo=SloSettings(share=share))
    found, less = enough(rate, 20, rule), enough(rate * 0.8, 20, rule)
    if found is not None:
        assert found.hours < found.used_hours
        assert less is not None
        assert less.replicas <= found.replicas
