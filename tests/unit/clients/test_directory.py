"""Tests of endpoint sets: newer sets are applied, an empty one only if it is marked as emptied."""

from __future__ import annotations

import pytest

from argosy.clients.directory import Directory
from argosy.config.models import Services
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
