"""Services start in dependency order; a failed service delays only the services that need it."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy.config.models import Fleet
from argosy.config.service import ServiceSettings
from argosy.contracts.errors import StartError
from argosy.contracts.fleet import StartOutcome
from argosy.control.startup import Startup
from argosy.control.topology.waves import start_waves

pytestmark = pytest.mark.unit


def test_the_default_fleet_starts_in_three_waves() -> None:
    assert start_waves(Fleet().services.by_name()) == [
        ["embedding", "store"],
        ["documents", "generation", "retrieval"],
        ["gateway"],
    ]


@given(
    st.integers(1, 8).flatmap(lambda n: st.tuples(st.just(n), st.sets(st.tuples(st.integers(0, n), st.integers(0, n)))))
)
def test_every_service_comes_after_all_it_depends_on(drawn: tuple[int, set[tuple[int, int]]]) -> None:
    count, edges = drawn
    services = {
        f"s{i}": ServiceSettings(
            requires=tuple(f"s{j}" for k, j in edges if k == i and j < i),
            wants=tuple(f"s{j}" for j, k in edges if k == i and j < i),
        )
        for i in range(count)
    }
    waves = start_waves(services)
    place = {name: number for number, wave in enumerate(waves) for name in wave}
    assert set(place) == set(services)
    assert all(place[d] < place[name] for name, s in services.items() for d in (*s.requires, *s.wants))


async def outcomes(services: dict[str, ServiceSettings], failing: set[str]) -> tuple[dict[str, str], list[str]]:
    order: list[str] = []

    async def launch(name: str) -> None:
        await asyncio.sleep(0)
        order.append(name)
        if name in failing:
            raise StartError(f"{name} has no model")

    report = await Startup(services, start_waves(services), launch, clock=lambda: 0.0).run()
    return {entry.service: entry.outcome.value for entry in report.services}, order


async def test_what_requires_a_failed_service_waits_and_what_wants_it_starts() -> None:
    services = Fleet().services.by_name()
    found, order = await outcomes(services, {"store"})
    assert found == {
        "store": "failed",
        "embedding": "started",
        "documents": "started",
        "retrieval": "waiting",
        "generation": "started",
        "gateway": "started",
    }
    assert "retrieval" not in order
    assert order.index("embedding") < order.index("documents")
    assert order[-1] == "gateway"


async def test_the_report_says_why_and_is_complete_only_when_all_started() -> None:
    services = {"a": ServiceSettings(), "b": ServiceSettings(requires=("a",))}

    async def fails(name: str) -> None:
        raise StartError("no model")

    async def starts(name: str) -> None:
        return None

    bad = await Startup(services, start_waves(services), fails).run()
    assert [(e.outcome, e.error) for e in bad.services] == [
        (StartOutcome.FAILED, "no model"),
        (StartOutcome.WAITING, "waits for a"),
    ]
    assert bad.finished
    assert not bad.complete
    assert (await Startup(services, start_waves(services), starts).run()).complete


async def test_a_slow_service_does_not_hold_up_one_that_does_not_need_it() -> None:
    services = {
        "slow": ServiceSettings(),
        "quick": ServiceSettings(),
        "after_quick": ServiceSettings(requires=("quick",)),
    }
    release, reached = asyncio.Event(), asyncio.Event()

    async def launch(name: str) -> None:
        if name == "slow":
            await release.wait()
        if name == "after_quick":
            reached.set()

    starting = asyncio.create_task(Startup(services, start_waves(services), launch).run())
    await asyncio.wait_for(reached.wait(), 5)
    assert not starting.done()
    release.set()
    assert (await starting).complete
