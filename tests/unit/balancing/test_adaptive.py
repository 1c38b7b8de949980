"""The default strategy: requests in flight decide, slowness only where it is confirmed, and nothing is for ever."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from argosy.balancing.candidate import Candidate
from argosy.balancing.outcome import LoadReport, Outcome, OutcomeKind
from argosy.balancing.strategies.adaptive import (
    FAILURE_S,
    FULL_FOR_S,
    SAMPLES,
    TRIAL_AFTER_S,
    TRIAL_SHARE,
    TRIALS,
    Adaptive,
)
from argosy.balancing.strategy import PickRequest
from argosy.contracts.fleet import Endpoint

pytestmark = pytest.mark.unit

ANY = PickRequest()


class Driven:
    """Four replicas that answer at once, one of them with a latency of its own."""

    def __init__(self, odd_s: float = 0.01, count: int = 4, seed: int = 1) -> None:
        self.strategy = Adaptive(random.Random(seed))
        self.offered = [Candidate(Endpoint(f"r{n}", f"http://r{n}")) for n in range(count)]
        self.odd_s = odd_s
        self.now_s = 0.0

    def ask(self, times: int, every_s: float = 0.01) -> Counter[str]:
        picked: Counter[str] = Counter()
        for _ in range(times):
            self.now_s += every_s
            candidate = self.strategy.pick(self.offered, ANY, self.now_s)
            picked[candidate.id] += 1
            self.end(candidate, self.odd_s if candidate is self.offered[0] else 0.01)
        return picked

    def end(self, candidate: Candidate, latency_s: float, kind: OutcomeKind = OutcomeKind.OK) -> None:
        self.strategy.ended(candidate, Outcome(kind, latency_s), self.now_s)

    def busy(self, candidates: list[Candidate]) -> None:
        for candidate in candidates:
            candidate.busy_since_s = self.now_s

    def pick(self) -> str:
        return self.strategy.pick(self.offered, ANY, self.now_s).id


def test_latency_within_noise_only_breaks_ties() -> None:
    driven = Driven()
    driven.ask(200)
    driven.end(driven.offered[0], 0.05)
    for candidate in driven.offered[1:]:
        candidate.in_flight = 1
    assert driven.pick() == "r0"


def test_a_slow_one_gets_only_trials() -> None:
    driven = Driven(odd_s=0.16)
    driven.ask(50)
    assert driven.ask(20_000)["r0"] <= 20_000 * TRIAL_SHARE + 1


def test_it_takes_work_once_the_others_are_busier_than_it_is_slow() -> None:
    driven = Driven(odd_s=0.05)
    driven.ask(50)
    for candidate in driven.offered[1:]:
        candidate.in_flight = 6
    assert driven.pick() == "r0"


def test_idle_replicas_that_are_alike_all_get_work() -> None:
    driven, rng = Driven(), random.Random(2)
    picked: Counter[str] = Counter()
    for _ in range(4000):
        driven.now_s += 0.01
        candidate = driven.strategy.pick(driven.offered, ANY, driven.now_s)
        picked[candidate.id] += 1
        driven.end(candidate, rng.lognormvariate(-4.6, 0.5))
    assert min(picked.values()) > 200


def test_one_unlucky_first_answer_makes_nobody_slow() -> None:
    driven = Driven(odd_s=0.2)
    driven.ask(4)
    driven.odd_s = 0.01
    assert driven.ask(400)["r0"] >= 1


def test_one_that_turns_normal_is_found_and_used_again() -> None:
    driven = Driven(odd_s=0.16)
    driven.ask(500)
    driven.odd_s = 0.01
    driven.ask(int(1 / TRIAL_SHARE) + TRIALS)
    assert driven.ask(400)["r0"] > 60


def on_trial() -> Driven:
    """Return a strategy whose first replica was slow and has just received the first request of a trial."""
    driven = Driven(odd_s=0.16)
    driven.ask(200)
    driven.strategy._trial_tokens = 1.0
    driven.now_s += TRIAL_AFTER_S + 1
    assert driven.pick() == "r0"
    return driven


def test_one_answer_that_took_twice_the_usual_time_does_not_end_a_trial() -> None:
    driven = on_trial()
    for latency_s in (0.009, 0.025, 0.010):
        driven.end(driven.offered[0], latency_s)
    assert "slow_factor" not in driven.strategy.explain(driven.offered[0], driven.now_s)


def test_a_trial_that_is_no_better_on_average_leaves_it_slow() -> None:
    driven = on_trial()
    for _ in range(TRIALS):
        driven.end(driven.offered[0], 0.025)
    assert "slow_factor" in driven.strategy.explain(driven.offered[0], driven.now_s)
    assert driven.pick() != "r0"


def test_bad_luck_in_a_trial_makes_it_no_slower_than_the_good_ones() -> None:
    driven = on_trial()
    for _ in range(TRIALS):
        driven.end(driven.offered[0], 0.019)
    figures = driven.strategy.explain(driven.offered[0], driven.now_s)
    assert figures["latency_ms"] == pytest.approx(figures["reference_ms"])


def test_one_that_is_full_is_tried_no_further() -> None:
    driven = on_trial()
    driven.end(driven.offered[0], 0.001, OutcomeKind.OVERLOADED)
    assert driven.pick() != "r0"


def recovered(odd_s: float) -> Driven:
    """Two replicas were slow, one of them by `odd_s`; that one just turned out to be well again."""
    driven = Driven(odd_s=odd_s)
    driven.ask(200)
    for _ in range(SAMPLES):
        driven.end(driven.offered[1], 0.16)
    driven.strategy._trial_tokens = 0.0
    driven.now_s += TRIAL_AFTER_S + 1
    driven.pick()
    driven.offered[0].report = LoadReport(latency_ms=10)
    driven.strategy.probed(driven.offered[0], driven.now_s)
    for _ in range(TRIALS):
        driven.end(driven.offered[0], 0.01)
    return driven


def test_when_one_is_well_again_the_others_are_tried_at_once() -> None:
    assert recovered(odd_s=0.16).pick() == "r1"


def test_one_that_was_hardly_slow_says_nothing_of_the_others() -> None:
    assert recovered(odd_s=0.03).pick() != "r1"


def test_callers_that_start_together_do_not_make_their_trials_together() -> None:
    tried_s = []
    for seed in range(8):
        driven = Driven(odd_s=0.16, seed=seed)
        driven.ask(50)
        while not driven.ask(1)["r0"]:
            pass
        tried_s.append(driven.now_s)
    assert max(tried_s) - min(tried_s) > 0.4 * 0.01 / TRIAL_SHARE


def test_a_report_of_another_callers_luck_is_a_reason_to_try() -> None:
    driven = Driven(odd_s=0.16)
    driven.ask(50)
    driven.now_s += 5
    driven.pick()
    [slow] = driven.strategy.wanted_probes(driven.offered, driven.now_s)
    assert slow.id == "r0"
    assert driven.strategy.wanted_probes(driven.offered, driven.now_s) == []
    slow.report = LoadReport(latency_ms=150)
    driven.strategy.probed(slow, driven.now_s)
    assert driven.pick() != "r0"
    slow.report = LoadReport(latency_ms=11)
    driven.strategy.probed(slow, driven.now_s)
    assert driven.pick() == "r0"


def test_whoever_fails_at_once_does_not_look_fast() -> None:
    driven = Driven()
    driven.ask(100)
    driven.end(driven.offered[0], 0.001, OutcomeKind.ERROR)
    assert "r0" not in driven.ask(50)
    assert driven.strategy.explain(driven.offered[0], driven.now_s)["latency_ms"] > 0.03 * FAILURE_S * 1000


def test_one_that_is_silent_is_slow_before_it_answers() -> None:
    driven = Driven()
    driven.ask(100)
    driven.offered[0].in_flight = 1
    for candidate in driven.offered[1:]:
        candidate.in_flight = 3
    driven.busy(driven.offered)
    assert driven.pick() == "r0"
    driven.now_s += 0.5
    driven.busy(driven.offered[1:])
    assert driven.pick() != "r0"


def test_one_without_history_but_with_requests_waits() -> None:
    driven = Driven()
    driven.ask(100)
    new = Candidate(Endpoint("new", "http://new"))
    driven.offered.append(new)
    for candidate in driven.offered[:4]:
        candidate.in_flight = 1
    driven.busy(driven.offered)
    assert driven.pick() == "new"
    new.in_flight = 1
    assert driven.pick() != "new"


def test_one_that_is_full_is_the_last_resort_for_a_moment() -> None:
    driven = Driven()
    driven.ask(100)
    driven.end(driven.offered[0], 0.001, OutcomeKind.OVERLOADED)
    for candidate in driven.offered[1:]:
        candidate.in_flight = 50
    assert driven.pick() != "r0"
    driven.now_s += FULL_FOR_S
    assert driven.pick() == "r0"


def test_a_cancelled_request_counts_only_as_at_least_that_long() -> None:
    driven = Driven()
    driven.ask(100)
    before = driven.strategy.explain(driven.offered[0], driven.now_s)
    driven.end(driven.offered[0], 0.001, OutcomeKind.CANCELLED)
    assert driven.strategy.explain(driven.offered[0], driven.now_s) == before
    driven.end(driven.offered[0], 1.0, OutcomeKind.CANCELLED)
    assert driven.strategy.explain(driven.offered[0], driven.now_s) != before


def test_the_reference_holds_when_half_of_them_are_slow() -> None:
    driven = Driven(odd_s=0.01)
    for _ in range(40):
        driven.now_s += 0.01
        for candidate, latency_s in zip(driven.offered, (0.03, 0.03, 0.01, 0.01), strict=True):
            driven.end(candidate, latency_s)
    driven.pick()
    assert driven.strategy.explain(driven.offered[0], driven.now_s)["slow_factor"] == pytest.approx(3)
