"""Contract of balancing strategies, tested on each strategy that the configuration accepts."""

from __future__ import annotations

import dataclasses
import random
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from argosy.balancing.balancer import Balancer
from argosy.balancing.candidate import Candidate
from argosy.balancing.outcome import LoadReport, Outcome, OutcomeKind
from argosy.balancing.strategy import PickRequest
from argosy.balancing.table import STRATEGIES, create
from argosy.config.service import ServiceSettings
from argosy.contracts.errors import ConfigError
from argosy.contracts.fleet import Endpoint

pytestmark = pytest.mark.contract

NAMES = get_args(ServiceSettings.model_fields["balancing"].annotation)
ANY = PickRequest()
loads = st.lists(st.integers(0, 50), min_size=1, max_size=70)


def candidates(in_flight: list[int]) -> list[Candidate]:
    return [Candidate(Endpoint(f"r{n}", f"http://127.0.0.1:{n}"), busy) for n, busy in enumerate(in_flight)]


def fields(offered: list[Candidate]) -> list[dict[str, object]]:
    return [dataclasses.asdict(candidate) for candidate in offered]


def test_the_configuration_admits_every_strategy_there_is() -> None:
    assert sorted(NAMES) == sorted(STRATEGIES)
    with pytest.raises(ConfigError, match="peak_ewma"):
        create("fastest", random.Random(1))


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=25)
@given(loads, st.none() | st.text(max_size=5))
def test_it_picks_one_of_the_candidates_and_changes_none(name: str, in_flight: list[int], key: str | None) -> None:
    offered = candidates(in_flight)
    picked = create(name, random.Random(1)).pick(offered, PickRequest(key=key), 0.0)
    assert any(picked is candidate for candidate in offered)
    assert fields(offered) == fields(candidates(in_flight))


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=16)
@given(st.integers(1, 16))
def test_equal_replicas_all_get_work(name: str, count: int) -> None:
    offered, strategy = candidates([0] * count), create(name, random.Random(1))
    picked = set()
    for turn in range(count * 40):
        chosen = strategy.pick(offered, PickRequest(key=str(turn)), 0.0)
        chosen.in_flight += 1
        picked.add(chosen.endpoint.id)
    assert len(picked) == count


outcomes = st.builds(
    Outcome,
    st.sampled_from(OutcomeKind),
    st.floats(0, 60),
    st.none() | st.builds(LoadReport, *[st.none() | st.floats(0, 1e6)] * 7),
)
events = st.lists(st.tuples(st.integers(0, 3), outcomes, st.floats(0, 200)), max_size=20)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=25)
@given(events)
def test_whatever_it_learns_it_still_picks_and_explains(name: str, happened: list[tuple[int, Outcome, float]]) -> None:
    offered, strategy = candidates([0, 1, 2, 3]), create(name, random.Random(1))
    now_s = 0.0
    for index, outcome, after_s in happened:
        now_s += after_s
        candidate = offered[index]
        if outcome.report is not None:
            candidate.report, candidate.reported_s = outcome.report, now_s
            strategy.probed(candidate, now_s)
        strategy.ended(candidate, outcome, now_s)
        assert strategy.pick(offered, ANY, now_s) in offered
        assert set(strategy.wanted_probes(offered, now_s)) <= set(offered)
        assert all(isinstance(value, float) for value in strategy.explain(candidate, now_s).values())


@pytest.mark.parametrize("name", NAMES)
def test_one_that_is_gone_and_came_back_starts_anew(name: str) -> None:
    offered, strategy = candidates([0, 0]), create(name, random.Random(1))
    slow = Outcome(OutcomeKind.OK, 30.0, LoadReport(rif=9, latency_ms=30_000, cpu_utilization=1.0, rps=1))
    for candidate in offered:
        strategy.ended(candidate, slow, 1.0)
    strategy.forget("r0")
    assert strategy.explain(offered[0], 1.0) in ({}, strategy.explain(Candidate(Endpoint("r9", "http://r9")), 1.0))


@pytest.mark.parametrize("name", NAMES)
def test_nothing_goes_to_a_replica_that_drains(name: str) -> None:
    balancer = Balancer("store", name, clock=lambda: 0.0, rng=random.Random(1))
    staying, leaving = Endpoint("a", "http://a"), Endpoint("b", "http://b")
    balancer.update([staying, leaving])
    for _ in range(8):
        balancer.pick()
    balancer.update([staying])
    assert {balancer.pick(PickRequest(key=str(n))).endpoint.id for n in range(50)} == {"a"}
