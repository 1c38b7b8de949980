"""Plans from synthetic load tests whose true capacity is known."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from argosy.config.models import Fleet
from argosy.contracts.errors import InvalidRequest, NotFound
from argosy.contracts.plan import QUANTILES, Calibration, LoadStep, PlanRequest
from argosy.control.controller import Controller
from argosy.control.discovery.publisher import Publisher
from argosy.control.events.feed import Feed
from argosy.control.history.history import History
from argosy.control.monitoring.prober import Prober
from argosy.control.planning.planner import Known, planned
from argosy.control.planning.throughput import Cores
from argosy.control.platforms.fake import FakePlatform
from argosy.control.prediction.capacity import CapacityFit

pytestmark = pytest.mark.unit

ALONE_MS = 50.0
SATURATION = 80.0
CORES = Cores(2, 1, {"embedding": 2.0}, {"embedding": 1, "gateway": 1})


def step(
    rate: float, p95_ms: float, replicas: int = 1, cpu_s: dict[str, float] | None = None, idle: float | None = None
) -> LoadStep:
    """Return a load step of ten seconds. Each replica answers at most SATURATION requests per second."""
    answered = round(10 * min(rate, replicas * SATURATION))
    latency = [ALONE_MS + (p95_ms - ALONE_MS) * q for q in QUANTILES]
    full = rate > replicas * SATURATION
    used = {name: seconds * answered for name, seconds in (cpu_s or {}).items()}
    return LoadStep(
        replicas, rate, 10, answered, 0, 0, 60, latency, (p95_ms * 0.9, p95_ms, p95_ms * 1.1), full, used, idle
    )


def calibration(replicas: int = 1, cpu_s: dict[str, float] | None = None, idle: float | None = None) -> Calibration:
    steps = [(20, 52), (40, 56), (56, 70), (68, 110), (104, 900)]
    made = [step(rate * replicas, p95, replicas, cpu_s, idle) for rate, p95 in steps]
    return Calibration("GET /work", made, "it was done", at=100.0)


def replace_steps(calibration: Calibration, steps: list[LoadStep]) -> Calibration:
    return msgspec.structs.replace(calibration, steps=steps)


def known(*calibrations: Calibration, fit: CapacityFit | None = None) -> Known:
    return Known("embedding", 1, 1, 4, 4.0, fit or CapacityFit(3), calibrations, CORES)


def test_what_was_measured_is_said_again() -> None:
    view = planned(known(calibration()), 40, 60, 100.0)
    assert (view.state, view.replicas) == ("", 1)
    one = view.points[0]
    assert one.saturation_rps == pytest.approx(SATURATION)
    assert one.saturation_interval_rps[0] < SATURATION < (one.saturation_interval_rps[1] or 0)
    assert one.p95_ms == pytest.approx(56, rel=0.02)
    assert one.headroom == pytest.approx(0.5)
    assert "5 steps" in view.learnt_from


def test_a_percentile_of_few_answers_is_drawn_towards_the_model() -> None:
    """The percentile measured at half the saturation is three times too high; its weight depends on its certainty."""

    def said_ms(width: float) -> float:
        steps = calibration().steps
        odd = msgspec.structs.replace(steps[1], p95_ms=(168 / width, 168, 168 * width))
        view = planned(known(msgspec.structs.replace(calibration(), steps=[steps[0], odd, *steps[2:]])), 40, 60, 100.0)
        assert view.points[0].p95_ms is not None
        return view.points[0].p95_ms

    assert said_ms(1.01) == pytest.approx(168, rel=0.05)
    assert said_ms(3.0) < 70


def test_more_load_takes_more_replicas_and_a_bound_below_one_request_takes_none() -> None:
    needed = [planned(known(calibration()), rps, 100, 100.0).replicas or 99 for rps in (10, 70, 140, 400)]
    assert needed == sorted(needed)
    assert needed[0] == 1
    assert needed[-1] >= 5
    impossible = planned(known(calibration()), 10, 20, 100.0)
    assert impossible.replicas is None
    assert any("a single request takes" in note for note in impossible.notes)


def test_replicas_that_share_all_cores_do_not_double_and_it_says_why() -> None:
    busy = calibration(cpu_s={"embedding": 0.022, "gateway": 0.002}, idle=0.08)
    view = planned(known(busy), 40, 60, 100.0)
    one, two = view.points[:2]
    assert two.saturation_rps < 1.1 * one.saturation_rps
    told = next(note for note in view.notes if "not 2 times" in note)
    assert "2 hardware threads of the machine's 1 physical cores" in told
    assert "embedding 22.0" in told
    assert "computes on 2 of 2 cores by itself" in told
    assert "cores" in view.bottleneck


def test_what_every_request_passes_is_named_when_it_is_full() -> None:
    view = planned(known(calibration(cpu_s={"gateway": 0.0120, "embedding": 0.001}, idle=0.9)), 40, 60, 100.0)
    assert view.bottleneck.startswith("gateway")
    assert view.points[1].saturation_rps < 90


def test_replicas_that_wait_double() -> None:
    view = planned(known(calibration(cpu_s={"embedding": 0.001}, idle=1.9)), 100, 100, 100.0)
    assert view.points[1].saturation_rps == pytest.approx(2 * SATURATION)
    assert not any("not 2 times" in note for note in view.notes)


def test_contention_is_learnt_from_two_numbers_of_replicas() -> None:
    second = calibration(2)
    slower = [msgspec.structs.replace(s, answered=round(0.75 * s.answered)) for s in second.steps]
    view = planned(known(calibration(), msgspec.structs.replace(second, steps=slower)), 130, 100, 100.0)
    by = {point.replicas: point.saturation_rps for point in view.points}
    assert by[2] == pytest.approx(120)
    assert by[3] < 180
    assert "1 and 2 running" in view.learnt_from


def test_a_number_that_was_never_saturated_bounds_what_all_can_and_says_nothing_of_contention() -> None:
    """The test of one replica beside busy cores predicts a ceiling; six replicas answered more without saturation."""
    one = calibration(1, {"embedding": 0.02}, idle=0.05)
    six = replace_steps(calibration(6), [step(rate, 60, 6) for rate in (60, 117)])
    alone, both = planned(known(one), 40, 900, 100.0), planned(known(one, six), 40, 900, 100.0)
    rates = [point.saturation_rps for point in both.points]
    assert rates == sorted(rates)
    assert alone.points[-1].saturation_rps < 117 <= rates[-1]
    unsaturated = planned(known(six), 5000, 900, 100.0)
    assert not any("any number answers at most" in note for note in unsaturated.notes)


def test_without_saturation_there_is_no_upper_end() -> None:
    light = msgspec.structs.replace(calibration(), steps=calibration().steps[:3], stopped="the fleet's health fell")
    view = planned(known(light), 20, None, 100.0)
    assert view.points[0].saturation_interval_rps[1] is None
    assert any("before saturation" in note for note in view.notes)


def test_it_is_learnt_from_daily_work_or_says_what_to_run() -> None:
    fit = CapacityFit(500, 0.05, 0.045, 0.055, 4.0, 3.0, 6.0, 1.0, r2=0.95, replicas_seen=1)
    view = planned(known(fit=fit), 60, 200, 100.0)
    assert view.points[0].saturation_rps == pytest.approx(80)
    assert "500 samples" in view.learnt_from
    silent = planned(known(), 60, 200, 100.0)
    assert "argosy plan --calibrate --service embedding" in silent.state
    assert "cannot be loaded by itself" in planned(replace(known(), askable=False), 60, 200, 100.0).state


def test_bounds_and_fixed_services_are_told() -> None:
    assert any("replicas.max = 4" in note for note in planned(known(calibration()), 500, 100, 100.0).notes)
    fixed = planned(replace(known(calibration()), fixed="one writer"), 500, 100, 100.0)
    assert fixed.replicas is None
    assert any("one writer" in note for note in fixed.notes)


@settings(max_examples=12, deadline=None)
@given(st.floats(0.1, 300), st.floats(0.1, 300), st.floats(30, 2000))
def test_more_load_is_never_answered_sooner_nor_by_fewer(light: float, heavy: float, p95_ms: float) -> None:
    light, heavy = min(light, heavy), max(light, heavy)
    few, many = (planned(known(calibration()), rps, p95_ms, 100.0) for rps in (light, heavy))
    assert (few.replicas or math.inf) <= (many.replicas or math.inf)
    for view in (few, many):
        for point in view.points:
            low, high = point.saturation_interval_rps
            assert low <= point.saturation_rps <= (high or math.inf)
            if point.p95_ms is not None and point.p95_interval_ms is not None:
                assert point.p95_interval_ms[0] <= point.p95_ms <= (point.p95_interval_ms[1] or math.inf) + 1e-6


@pytest.fixture
def controller(tmp_path: Path) -> Controller:
    fleet = Fleet.model_validate({"services": {"work": {"module": "acme:app"}}})
    history = History(tmp_path)
    return Controller(fleet, FakePlatform(), Prober("token", 1.0), Publisher(1), Feed(history), history, public_port=0)


async def test_a_calibration_is_kept_and_answers(controller: Controller) -> None:
    controller.plans.calibrated("work", calibration())
    views = controller.plans.plan(PlanRequest(40, 60)).services
    assert [view.service for view in views] == ["work"]
    controller.plans.calibrated("work", calibration(2))
    assert "1 and 2" in controller.plans.plan(PlanRequest(40, 60, "work")).services[0].learnt_from


async def test_impossible_calibrations_and_requests_are_refused(controller: Controller) -> None:
    good = calibration()
    for steps in (
        [],
        [msgspec.structs.replace(good.steps[0], seconds=0)],
        [msgspec.structs.replace(good.steps[0], mean_ms=math.nan)],
        [msgspec.structs.replace(good.steps[0], latency_ms=[1.0])],
        [*good.steps, *calibration(2).steps],
    ):
        with pytest.raises(InvalidRequest):
            controller.plans.calibrated("work", msgspec.structs.replace(good, steps=steps))
    for request in (PlanRequest(0), PlanRequest(math.nan), PlanRequest(1, -1), PlanRequest(1, math.inf)):
        with pytest.raises(InvalidRequest):
            controller.plans.plan(request)
    with pytest.raises(NotFound):
        controller.plans.plan(PlanRequest(1, None, "nobody"))
