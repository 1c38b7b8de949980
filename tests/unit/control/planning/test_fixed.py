"""A fixed number is recommended where it would have kept the promise at less cost, and only there."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy.config.scaling import ScalingSettings, SloSettings
from argosy.control.planning.fixed import Fixed, fixed_enough
from argosy.control.prediction.arrays import Floats
from argosy.control.scaling.decision import Rule
from argosy.control.scaling.observation import Capacity
from argosy.control.scaling.queueing import replicas_for_slo

pytestmark = pytest.mark.unit

DAY = 5760
"""Ticks."""
RULE = Rule(max_instances=20, settings=ScalingSettings(slots=1), slo=SloSettings(share=0.99))
ONE_SECOND = Capacity(1.0, slots=1)
STEADY: Floats = np.full(DAY, 8.0)


def enough(rate: Floats, ran: float, rule: Rule = RULE, capacity: Capacity | None = ONE_SECOND) -> Fixed | None:
    """With a service time of 1 s as many are in flight as come in a second."""
    return fixed_enough(rate, rate, np.full(len(rate), ran), rule, capacity)


def test_steady_load_needs_what_the_queueing_model_says() -> None:
    found = enough(STEADY, 20)
    assert found is not None
    assert found.replicas == replicas_for_slo(8.0, ONE_SECOND, 1.0, 0.01, 20)
    assert (found.hours, found.used_hours) == (24 * found.replicas, 480)
    assert f"set replicas.min and replicas.max to {found.replicas}" in found.advice()
    assert f"{found.hours:.0f} replica-hours in place of 480" in found.advice()


def test_nothing_is_recommended_that_costs_as_much_as_what_ran() -> None:
    found = enough(STEADY, 20)
    assert found is not None
    assert enough(STEADY, found.replicas) is None
    assert enough(STEADY, found.replicas + 1) == Fixed(found.replicas, 86_400, 24.0 * (found.replicas + 1))


def test_peaks_are_part_of_the_promise_where_they_are_more_than_may_be_late() -> None:
    """Peaks of 16 are 1 % of the time and nearly 4 % of the requests; of 0.1 % of the time they may be late."""
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


def test_without_a_learnt_model_it_goes_by_what_is_in_flight() -> None:
    found = enough(STEADY, 20, capacity=None)
    assert found is not None
    assert found.replicas == np.ceil(8 / RULE.settings.predictive.utilisation)


def test_contention_past_which_more_only_lose_is_no_remedy() -> None:
    assert enough(STEADY, 100, capacity=Capacity(1.0, slots=4, sigma=0.2, kappa=0.05)) is None


def test_it_keeps_to_the_least_that_may_run() -> None:
    found = enough(np.full(DAY, 0.1), 12, Rule(min_instances=9, max_instances=20, settings=RULE.settings))
    assert found is not None
    assert found.replicas == 9


@given(st.lists(st.floats(0, 15), min_size=24, max_size=24), st.sampled_from((0.9, 0.95, 0.99)))
def test_it_always_costs_less_than_what_ran_and_less_load_never_needs_more(hours: list[float], share: float) -> None:
    rate = np.repeat(hours, DAY // 24)
    rule = Rule(max_instances=20, settings=RULE.settings, slo=SloSettings(share=share))
    found, less = enough(rate, 20, rule), enough(rate * 0.8, 20, rule)
    if found is not None:
        assert found.hours < found.used_hours
        assert less is not None
        assert less.replicas <= found.replicas
