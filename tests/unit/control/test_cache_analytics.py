from __future__ import annotations

import pytest

from argosy.contracts.fleet import ControllerView, FleetView, Health, ReplicaView, ServiceView
from argosy.control.monitoring.cache import cache_analytics

pytestmark = pytest.mark.unit

Details = dict[str, str | int | float | bool | None]


def told(**figures: int | float) -> Details:
    details: Details = {"model": "m", "cache_misses": 0, "cache_disk_state": "ready"}
    return details | {f"cache_{name}": number for name, number in figures.items()}


def fleet(*replicas: Details) -> FleetView:
    views = [
        ReplicaView(f"embedding-{n}", 1, None, "r", Health.HEALTHY, "", None, 0, None, details, None, 0)
        for n, details in enumerate(replicas)
    ]
    other = ServiceView("store", Health.HEALTHY, "", 1, None, 0, None, {}, [])
    embedding = ServiceView("embedding", Health.HEALTHY, "", len(views), None, 0, None, {}, views)
    return FleetView(ControllerView(1, 0.0, "0"), Health.HEALTHY, [other, embedding])


def test_the_replicas_figures_are_added_up() -> None:
    seen = cache_analytics(
        fleet(
            told(misses=10, memory_hits=25, disk_hits=5, seconds_saved=1.5, tokens_saved=300, memory_evictions=1),
            told(misses=20, memory_hits=35, disk_hits=5, seconds_saved=0.5, tokens_saved=100, memory_evictions=2),
        )
    )
    assert (seen.replicas, seen.silent) == (2, 0)
    assert (seen.hits, seen.misses) == (70, 30)
    assert seen.hit_rate == pytest.approx(0.7)
    assert (seen.seconds_saved, seen.tokens_saved) == (2.0, 400)
    assert (seen.levels["memory"].hits, seen.levels["memory"].evictions) == (60, 3)


def test_the_file_that_all_share_is_counted_once() -> None:
    seen = cache_analytics(fleet(told(memory_bytes=10, disk_bytes=100), told(memory_bytes=20, disk_bytes=120)))
    assert (seen.levels["memory"].bytes, seen.levels["disk"].bytes) == (30, 120)


def test_a_replica_that_tells_nothing_is_not_taken_for_one_without_hits() -> None:
    seen = cache_analytics(fleet({"model": "m"}, told(misses=1, memory_hits=1)))
    assert (seen.replicas, seen.silent, seen.hit_rate) == (1, 1, 0.5)
    assert cache_analytics(fleet()).hit_rate is None
