"""Measurements of a load test, and the requests that it sends to services."""

from __future__ import annotations

import pytest
import typer

from argosy.cli.client.gateway import Api
from argosy.cli.loadtest.calibration import Calibrator, ask_of, measured_step, p95_interval
from argosy.cli.loadtest.open_loop import Ask, Outcome
from argosy.cli.plan import milliseconds
from argosy.contracts.errors import InvalidRequest
from argosy.contracts.plan import GENERATOR, LoadStep, UsageView

pytestmark = pytest.mark.unit

BEFORE = UsageView(2, 100.0, {"work": 5.0}, [1, 2])
AFTER = UsageView(2, 112.0, {"work": 9.0}, [1, 2])


def step(outcome: Outcome, after: UsageView = AFTER) -> LoadStep:
    return measured_step(outcome, 1, 10.0, BEFORE, after, 0.5)


def test_a_step_holds_what_was_answered_and_what_it_cost() -> None:
    seen = step(Outcome(10.0, [float(n) for n in range(1, 101)], in_time=98, sent=100))
    assert (seen.throughput_rps, seen.saturated) == (9.8, False)
    assert seen.cpu_s == {"work": 4.0, GENERATOR: 0.5}
    assert seen.idle_cores == pytest.approx(0.8)
    assert seen.p95_ms is not None
    assert seen.p95_ms[0] < seen.p95_ms[1] == 96 <= seen.p95_ms[2]


def test_cpu_of_other_replicas_is_not_compared() -> None:
    seen = step(Outcome(10.0, [1.0], in_time=1, sent=1), UsageView(2, 112.0, {"work": 1.0}, [1, 3]))
    assert (seen.cpu_s, seen.idle_cores) == ({}, None)


@pytest.mark.parametrize(
    "outcome",
    [
        Outcome(10.0, [1.0] * 90, in_time=90, sent=90, withheld=1),
        Outcome(10.0, [1.0] * 90, in_time=90, sent=100, refused=10),
        Outcome(10.0, [1.0] * 60, in_time=60, sent=100, open_at_end=40),
    ],
)
def test_a_service_that_falls_behind_is_saturated(outcome: Outcome) -> None:
    assert step(outcome).saturated


def test_nothing_answered_is_no_latency() -> None:
    seen = step(Outcome(10.0, failed=5, sent=5))
    assert (seen.p95_ms, seen.latency_ms, seen.failed) == (None, [], 5)


class Slow(Calibrator):
    """Calibrator of a simulated service: `alone_s` per request, and `answered` is the answered share of the rate."""

    alone_s, answered = 3.0, 1.0

    def _alone(self) -> float:
        return self.alone_s

    def _ready(self) -> int:
        return 1

    def _worst(self) -> int:
        return 0

    def _step(self, rate: float, seconds: float) -> LoadStep:
        count = round(rate * seconds * self.answered)
        made = LoadStep(1, rate, seconds, count, 0, 0, 0.0, [], None, len(self.steps) > 2)
        self.steps.append(made)
        return made


def _slow(answered: float) -> Slow:
    made = Slow(Api("http://127.0.0.1:1"), "", "work", Ask("GET", "/"), 60.0, 0.02)
    made.answered = answered
    return made


def test_a_slow_service_is_given_steps_in_which_it_can_answer() -> None:
    found = _slow(1.0).run()
    assert found.stopped == "it was complete"
    assert min(made.seconds for made in found.steps) >= 12


def test_a_service_that_answers_nothing_ends_the_calibration_with_the_remedy() -> None:
    found = _slow(0.0).run()
    assert "one request takes 3.0 s: give more --seconds" in found.stopped
    assert len(found.steps) == 4


def test_the_interval_of_few_answers_is_wide() -> None:
    few, many = p95_interval([float(n) for n in range(20)]), p95_interval([n / 100 for n in range(2000)])
    assert few[2] - few[0] > many[2] - many[0]


def test_services_are_asked_with_what_no_cache_knows_or_not_at_all() -> None:
    ask = ask_of("embedding", None, custom=False)
    assert ask.body(1) != ask.body(2)
    assert ask.body(1) == ask.body(1)
    assert ask_of("acme", "/do/it", custom=True).path == "/services/acme/do/it"
    for service, path in (("store", None), ("embedding", "x")):
        with pytest.raises(InvalidRequest):
            ask_of(service, path, custom=False)


def test_response_times_have_units() -> None:
    assert [milliseconds(text) for text in ("200ms", "0.2s", "200", None)] == [200, 200, 200, None]
    with pytest.raises(typer.BadParameter):
        milliseconds("soon")
