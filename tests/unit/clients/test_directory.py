"""Endpoint sets: newer ones are taken over, an empty one only when it is meant."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy.balancing.balancer import Balancer
from argosy.balancing.strategies.least_connections import LeastConnections
from argosy.balancing.strategies.round_robin import RoundRobin
from argosy.balancing.strategy import create
from argosy.clients.directory import Directory
from argosy.config.models import Services
from argosy.contracts.errors import Unavailable
from argosy.contracts.fleet import Endpoint, EndpointSet
from argosy.control.discovery.publisher import Publisher

pytestmark = pytest.mark.unit

ONE, TWO = Endpoint("store-1", "http://127.0.0.1:1"), Endpoint("store-2", "http://127.0.0.1:2")


def known(directory: Directory) -> list[Endpoint]:
    return [candidate.endpoint for candidate in directory.balancer("store").candidates]


def test_a_newer_set_replaces_and_an_older_one_is_ignored() -> None:
    directory = Directory(Services())
    directory.apply(EndpointSet("2.5", {"store": [ONE]}))
    directory.apply(EndpointSet("2.4", {"store": [TWO]}))
    assert known(directory) == [ONE]
    directory.apply(EndpointSet("2.10", {"store": [TWO]}))
    assert known(directory) == [TWO]
    directory.apply(EndpointSet("3.1", {"store": [ONE]}))
    assert (known(directory), directory.version) == ([ONE], "3.1")


def test_a_service_is_emptied_only_on_purpose() -> None:
    directory = Directory(Services())
    directory.apply(EndpointSet("1.1", {"store": [ONE]}))
    directory.apply(EndpointSet("1.2", {"store": []}))
    assert known(directory) == [ONE]
    directory.apply(EndpointSet("1.3", {"store": []}, emptied=["store"]))
    assert known(directory) == []


def test_least_connections_takes_the_idlest_replica_and_avoids_what_failed() -> None:
    balancer = Balancer("store", LeastConnections(random.Random(1)))
    balancer.update([ONE, TWO])
    with balancer.lease() as first, balancer.lease() as second:
        assert {first.id, second.id} == {"store-1", "store-2"}
    with balancer.lease(avoid=["store-1"]) as picked:
        assert picked == TWO
    balancer.update([ONE])
    with balancer.lease(avoid=["store-1"]) as picked:
        assert picked == ONE


def test_no_replica_is_said_with_the_service_named() -> None:
    with (
        pytest.raises(Unavailable, match="store service has no running replica"),
        Balancer("store", RoundRobin()).lease(),
    ):
        pass


@given(
    st.lists(st.sampled_from(["pick", "fail", "update", "shrink"]), max_size=40),
    st.sampled_from(["least_connections", "round_robin"]),
)
def test_in_flight_never_leaks(steps: list[str], strategy: str) -> None:
    balancer = Balancer("store", create(strategy))
    balancer.update([ONE, TWO])
    for step in steps:
        if step == "update":
            balancer.update([ONE, TWO])
        elif step == "shrink":
            balancer.update([TWO])
        elif step == "fail":
            with pytest.raises(RuntimeError), balancer.lease():
                raise RuntimeError
        else:
            with balancer.lease():
                assert sum(c.in_flight for c in balancer.candidates) == 1
    assert all(c.in_flight == 0 for c in balancer.candidates)


def test_round_robin_takes_turns() -> None:
    balancer = Balancer("store", RoundRobin())
    balancer.update([ONE, TWO])
    picked = []
    for _ in range(4):
        with balancer.lease() as endpoint:
            picked.append(endpoint.id)
    assert picked == ["store-1", "store-2", "store-1", "store-2"]


async def test_a_watcher_gets_the_next_set_and_nothing_when_nothing_changes() -> None:
    publisher = Publisher(epoch=7)
    assert await publisher.newer_than(None, 0.01) is None
    publisher.publish({"store": [TWO, ONE]})
    first = await publisher.newer_than(None, 1)
    assert first is not None
    assert (first.version, first.services["store"]) == ("7.1", [ONE, TWO])
    publisher.publish({"store": [ONE, TWO]})
    assert await publisher.newer_than("7.1", 0.01) is None
    publisher.publish({"store": []}, emptied=["store"])
    second = await publisher.newer_than("7.1", 1)
    assert second is not None
    assert (second.version, second.emptied) == ("7.2", ["store"])
