"""What every balancing strategy promises, checked on each that the configuration admits."""

from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy.balancing.strategy import Candidate, create
from argosy.config.models import ServiceSettings
from argosy.contracts.fleet import Endpoint

pytestmark = pytest.mark.contract

NAMES = get_args(ServiceSettings.model_fields["balancing"].annotation)
loads = st.lists(st.integers(0, 50), min_size=1, max_size=70)


def candidates(in_flight: list[int]) -> list[Candidate]:
    return [Candidate(Endpoint(f"r{n}", f"http://127.0.0.1:{n}"), busy) for n, busy in enumerate(in_flight)]


@pytest.mark.parametrize("name", NAMES)
@given(loads)
def test_it_picks_one_of_the_candidates_and_changes_none(name: str, in_flight: list[int]) -> None:
    offered = candidates(in_flight)
    picked = create(name).pick(offered)
    assert any(picked is candidate for candidate in offered)
    assert offered == candidates(in_flight)


@pytest.mark.parametrize("name", NAMES)
@given(st.integers(1, 16))
def test_equal_replicas_all_get_work(name: str, count: int) -> None:
    offered, strategy = candidates([0] * count), create(name)
    picked = set()
    for _ in range(count * 40):
        chosen = strategy.pick(offered)
        chosen.in_flight += 1
        picked.add(chosen.endpoint.id)
    assert len(picked) == count
