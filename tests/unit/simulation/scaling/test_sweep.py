"""Whole runs: policies through a load, the bound, and that the same seed gives the same."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from argosy.contracts.errors import ConfigError
from argosy.simulation.loads.durations import Lognormal
from argosy.simulation.scaling.contenders import CONTENDERS, contenders
from argosy.simulation.scaling.demand import Demand
from argosy.simulation.scaling.envelope import Envelope
from argosy.simulation.scaling.fixed import FixedReplicas
from argosy.simulation.scaling.pareto import draw
from argosy.simulation.scaling.report import compare, rows_of
from argosy.simulation.scaling.run import RunResult, simulate
from argosy.simulation.scaling.service import SERVICES, SimulatedService
from argosy.simulation.scaling.sweep import Cell, busy, sweep, world

pytestmark = pytest.mark.unit

SERVICE = SimulatedService("made up", Lognormal(mean_s=0.5, sigma=0.8), slots=4)


def cell(service: SimulatedService = SERVICE, cold_start_s: float = 10.0) -> Cell:
    """Twenty minutes: calm, a step, a burst, calm."""
    rates = np.concatenate((np.full(20, 1.0), np.full(20, 3.0), np.full(4, 8.0), np.full(36, 1.0)))
    return Cell(busy(Demand("made up", 15, rates, np.empty(0)), service, 5.0), service, cold_start_s, 1, 15)


@pytest.fixture(scope="module")
def runs() -> Mapping[str, list[list[RunResult]]]:
    return sweep(cell(), list(CONTENDERS), seeds=1)


def test_the_busiest_minute_fills_so_many_replicas() -> None:
    scaled = cell().demand
    assert scaled.busiest_rps * SERVICE.mean_s == pytest.approx(5.0 * SERVICE.slots)


def test_every_policy_buys_fewer_violations_with_more_hours(runs: Mapping[str, list[list[RunResult]]]) -> None:
    for name, ((*outcomes,),) in runs.items():
        if name != "threshold":
            envelope = Envelope(outcomes)
            assert len(envelope.outcomes) >= 3, name
        assert all(0 <= o.violations <= 1 and 0 < o.replica_hours < 15 * 20 / 60 for o in outcomes), name


def test_rows_are_the_means_of_the_seeds_that_have_the_target() -> None:
    def one(target: float, hours: float) -> RunResult:
        return RunResult(target, 0.1, hours, 100, 1, 0)

    found = rows_of("kpa", [[one(3, 10.0), one(4, 12.0)], [one(3, 20.0), one(4, 14.0), one(5, 15.0)]])
    assert [(row.target, row.replica_hours) for row in found] == [(3, 15.0), (4, 13.0), (5, 15.0)]
    assert found[0].ci95["replica_hours"] == (10.0, 20.0)
    assert found[0].p99_ms is None, "runs that do not tell it"


def test_the_bound_is_not_beaten(runs: Mapping[str, list[list[RunResult]]]) -> None:
    """No policy has fewer late requests, at any cost, than the one that knows the future."""
    bound = Envelope(runs["oracle"][0])
    for name, (outcomes,) in runs.items():
        for one in outcomes:
            if name != "oracle" and one.replica_hours >= bound.cheapest:
                least = bound.violations(np.array([one.replica_hours]))[0]
                assert max(one.violations, 1e-4) >= least * 0.999, (name, one)


@pytest.mark.parametrize("service", [SERVICE, SERVICES["embedding"]], ids=lambda s: s.name)
def test_the_same_seed_gives_the_same_and_another_one_another(service: SimulatedService) -> None:
    once, again, other = (
        simulate(given, CONTENDERS["predictive"].make(given, 0.6), 0.6)
        for given in (world(cell(service), 3), world(cell(service), 3), world(cell(service), 4))
    )
    assert once == again
    assert once.requests != other.requests


def test_a_fixed_number_costs_its_hours_and_never_changes() -> None:
    given = world(cell(), 0)
    outcome = simulate(given, FixedReplicas(6), 6.0, first=6)
    assert outcome.replica_hours == pytest.approx(6 * 1200 / 3600)
    assert outcome.events == 0


def test_a_longer_cold_start_makes_more_requests_late() -> None:
    late = []
    for cold_start_s in (2.0, 120.0):
        given = world(cell(cold_start_s=cold_start_s), 0)
        late.append(simulate(given, CONTENDERS["predictive"].make(given, 0.6), 0.6).violations)
    assert late[0] < late[1]


def test_a_report_compares_with_ours_and_its_picture_shows_all(runs: Mapping[str, list[list[RunResult]]]) -> None:
    report = compare(runs, load="made up", service="made up", cold_start_s=10, max_replicas=15)
    assert "predictive" not in report.versus
    static = report.versus["static"]
    assert static is not None
    assert report.static_wins == (static < 1)
    assert report.static_enough is not None
    late = {row.target: row.slo_violations for row in report.points("static")}
    assert late[report.static_enough] <= 0.01
    assert all(share > 0.01 for number, share in late.items() if number < report.static_enough)
    assert all(summary.regret is None or summary.regret > 0 for summary in report.policies)
    picture = draw(report)
    assert all(f">{name}</text>" in picture for name in CONTENDERS)
    assert picture.count("<polyline") == len(CONTENDERS)


def test_a_policy_that_does_not_exist_is_told_with_those_that_do() -> None:
    assert [c.name for c in contenders("kpa, predictive,kpa")] == ["kpa", "predictive"]
    with pytest.raises(ConfigError, match="hpa_cpu"):
        contenders("kpa,unheard_of")
