"""Properties of every run, whatever the strategy and the regime."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from argosy.balancing.table import STRATEGIES
from argosy.simulation.balancing.caller import Caller
from argosy.simulation.balancing.record import Record
from argosy.simulation.balancing.regime import Failure, Prefixes, Regime, ReplicaModel, Retries
from argosy.simulation.balancing.regimes import CROWDED_RPS, REGIMES, equal, flash_crowd, unequal
from argosy.simulation.balancing.replica import SimulatedReplica
from argosy.simulation.balancing.run import run
from argosy.simulation.balancing.subject import WITHOUT_REPORTS, Subject
from argosy.simulation.loads.arrivals import Phases, Poisson
from argosy.simulation.loads.durations import Lognormal
from argosy.simulation.loads.prefixing import Zipf
from argosy.simulation.servers.sharing import Sharing
from argosy.simulation.servers.slots import Slots
from argosy.simulation.servers.speed import Antagonist, Speed

pytestmark = pytest.mark.unit


TROUBLE = Regime(
    "trouble",
    "too much of everything within three seconds",
    replicas=(
        ReplicaModel(Slots(1, queue_limit=2, drops_abandoned=True), failure=Failure(0.3, 0.5, 2.0)),
        ReplicaModel(Slots(2, queue_limit=None), Speed((0.0, 1.0), (1.0, 0.1)), drains_s=1.5),
        ReplicaModel(Sharing(1), antagonist=Antagonist(every_s=0.3, lasts_s=0.2, factor=0.1), joins_s=0.7),
    ),
    arrivals=Poisson(500),
    work=Lognormal(0.01, 1.0),
    requests=1500,
    prefixes=Prefixes(Zipf(20, 1.0), kept=4, hit_share=0.5),
    retries=Retries(timeout_s=0.05, attempts=3, deadline_s=0.12),
)


@pytest.fixture
def replicas(monkeypatch: pytest.MonkeyPatch) -> list[SimulatedReplica]:
    """Every replica of the runs of the test."""
    built: list[SimulatedReplica] = []
    create = SimulatedReplica.__init__

    def noted(self: SimulatedReplica, *args: object, **kwargs: object) -> None:
        create(self, *args, **kwargs)  # type: ignore[arg-type]
        built.append(self)

    monkeypatch.setattr(SimulatedReplica, "__init__", noted)
    return built


@pytest.mark.parametrize("regime", [*(create() for create in REGIMES.values()), TROUBLE], ids=lambda r: r.name)
@pytest.mark.parametrize("subject", ["adaptive", "adaptive:alone"])
def test_every_request_ends_once_and_nothing_stays_in_flight(
    regime: Regime, subject: str, replicas: list[SimulatedReplica]
) -> None:
    record = run(replace(regime, requests=1500), Subject.parse(subject), seed=1, callers=2)
    assert not np.isnan(record.ended_s).any()
    assert (record.ended_s >= record.arrivals_s).all()
    assert [replica.in_flight for replica in replicas] == [0] * len(replicas)


@pytest.mark.parametrize("name", [*STRATEGIES, "adaptive:alone"])
def test_the_balancers_count_nothing_in_flight_at_the_end(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    callers: list[Caller] = []
    create = Caller.__init__

    def noted(self: Caller, *args: object, **kwargs: object) -> None:
        create(self, *args, **kwargs)  # type: ignore[arg-type]
        callers.append(self)

    monkeypatch.setattr(Caller, "__init__", noted)
    run(TROUBLE, Subject.parse(name), seed=0, callers=3)
    assert {candidate.in_flight for caller in callers for candidate in caller.balancer.candidates} == {0}


def test_the_same_seed_gives_the_same_run_and_another_seed_another() -> None:
    regime = replace(unequal(), requests=1000)
    subject = Subject.parse("adaptive")
    first, again, other = (run(regime, subject, seed, callers=2) for seed in (7, 7, 8))
    assert (first.ended_s == again.ended_s).all()
    assert (first.pick_replica == again.pick_replica).all()
    assert not (first.arrivals_s == other.arrivals_s).any()


@pytest.mark.parametrize("name", sorted(WITHOUT_REPORTS))
def test_a_strategy_that_is_spared_load_reports_picks_the_same_with_them(name: str) -> None:
    regime = replace(unequal(), requests=800)
    subject = Subject(name, guarded=False)
    spared = run(regime, subject, seed=2)
    assert (run(regime, subject, seed=2, without_reports=()).pick_replica == spared.pick_replica).all()


@pytest.mark.parametrize("name", STRATEGIES)
def test_every_strategy_meets_the_same_requests(name: str) -> None:
    def arrivals(subject: Subject) -> Record:
        return run(replace(equal(), requests=500), subject, seed=5)

    assert (arrivals(Subject(name, guarded=False)).arrivals_s == arrivals(Subject.parse("adaptive")).arrivals_s).all()


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10_000), callers=st.integers(1, 5), guarded=st.booleans())
def test_retries_stay_within_what_callers_may_try(seed: int, callers: int, guarded: bool) -> None:
    record = run(TROUBLE, Subject("least_connections", guarded), seed, callers)
    assert TROUBLE.retries is not None
    assert len(record.pick_s) <= TROUBLE.retries.attempts * TROUBLE.requests
    assert (record.ended_s - record.arrivals_s).max() <= TROUBLE.retries.deadline_s + 1e-9
    assert 0 < record.served.sum() < TROUBLE.requests


def test_protection_keeps_the_goodput_of_a_flash_crowd_and_without_it_the_fleet_collapses() -> None:
    crowd = replace(flash_crowd(), requests=13_000, arrivals=Phases(((4, 125), (8, 1250), (60, 125))))
    guarded, alone = (run(crowd, Subject("least_connections", guarded), seed=0) for guarded in (True, False))
    assert guarded.goodput_rps(6, 12, 3).min() > 0.9 * CROWDED_RPS
    assert alone.goodput_rps(6, 12, 3).max() < 0.5 * CROWDED_RPS
