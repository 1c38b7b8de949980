"""A step up is judged once its replicas are ready and the load still asks for them."""

from __future__ import annotations

import pytest

from argosy.control.observation import Observation
from argosy.control.scaling.scale_up_effect import PATIENCE_S, REMEMBERED_S, Payoff, judged, stepped_up

pytestmark = pytest.mark.unit

SLOTS = 4.0


def seen(replicas: int, throughput: float, in_flight: float = 100.0, ready: int | None = None) -> Observation:
    return Observation(replicas, replicas if ready is None else ready, in_flight=in_flight, throughput_rps=throughput)


def after_step(throughput: float, *, in_flight: float = 100.0, until_s: int = 100) -> tuple[Payoff, float]:
    payoff = judged(Payoff(), seen(2, 50.0), SLOTS, 0.0)
    payoff = stepped_up(payoff, seen(2, 50.0), 4, SLOTS, 0.0)
    for now_s in range(2, until_s, 2):
        payoff = judged(payoff, seen(4, throughput, in_flight), SLOTS, float(now_s))
    return payoff, float(until_s)


def test_a_step_that_raised_nothing_leaves_a_ceiling_for_a_while() -> None:
    payoff, now_s = after_step(51.0)
    assert payoff.limit(now_s) == 2
    assert payoff.limit(now_s + REMEMBERED_S) is None


def test_a_step_that_helped_leaves_none() -> None:
    assert after_step(80.0)[0].ceiling is None


def test_a_step_after_which_the_load_went_away_is_not_judged() -> None:
    assert after_step(50.0, in_flight=1.0)[0].ceiling is None


def test_replicas_that_are_still_starting_are_waited_for() -> None:
    payoff = stepped_up(judged(Payoff(), seen(2, 50.0), SLOTS, 0.0), seen(2, 50.0), 4, SLOTS, 0.0)
    for now_s in range(2, int(PATIENCE_S), 2):
        payoff = judged(payoff, seen(4, 50.0, ready=2), SLOTS, float(now_s))
        assert payoff.ceiling is None
    assert payoff.step is not None
    assert judged(payoff, seen(4, 50.0, ready=2), SLOTS, PATIENCE_S + 2).step is None


def test_a_step_without_saturation_is_not_watched() -> None:
    calm = judged(Payoff(), seen(2, 50.0, in_flight=1.0), SLOTS, 0.0)
    assert stepped_up(calm, seen(2, 50.0, in_flight=1.0), 4, SLOTS, 0.0).step is None
