"""A service is published as emptied when its replicas left on purpose, but not when they died."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from argosy.clients.directory import Directory
from argosy.config.models import Fleet
from argosy.contracts.errors import Unavailable
from argosy.contracts.fleet import Health, Load, ReplicaStatus
from argosy.control.controller import Controller
from argosy.control.discovery.publisher import Publisher
from argosy.control.events.feed import Feed
from argosy.control.health.replica import Probe
from argosy.control.history.history import History
from argosy.control.monitoring.prober import Prober
from argosy.control.platforms.fake import FakePlatform
from argosy.control.platforms.platform import Launch, Replica

pytestmark = pytest.mark.unit


class Stage:
    """Controller with a store, and a follower of its endpoint sets."""

    def __init__(self, history: History) -> None:
        self.fleet, self.platform, self.publisher = Fleet(), FakePlatform(), Publisher(1)
        self.controller = Controller(
            self.fleet, self.platform, Prober("token", 1.0), self.publisher, Feed(history), history, public_port=0
        )
        self.directory = Directory(self.fleet.services)

    async def start(self) -> None:
        replica = await self.platform.start(Launch("store", "store-1", "r1", 1.0))
        await self.platform.listening(replica, 1.0)
        said = ReplicaStatus("store", "store-1", "r1", 1, True, False, Health.HEALTHY, "", 1.0, "1.1", Load())
        self.controller._observed.saw("store-1", Probe(time.time(), 1.0, said))
        self.publish()

    def publish(self) -> None:
        self.controller._announcer.publish()
        assert self.publisher.current is not None
        self.directory.apply(self.publisher.current)

    @property
    def emptied(self) -> list[str]:
        assert self.publisher.current is not None
        return self.publisher.current.emptied


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    history = History(tmp_path)
    made = Stage(history)
    await made.start()
    yield made
    history.close()


async def test_a_service_whose_last_replica_drains_is_emptied_until_it_is_served_again(stage: Stage) -> None:
    assert stage.emptied == []
    stage.controller._observed.draining.add("store-1")
    stage.publish()
    assert stage.emptied == ["store"]
    with pytest.raises(Unavailable):
        stage.directory.balancer("store").pick()
    await stage.platform.stop("store-1", 0.0)
    stage.controller._observed.draining.discard("store-1")
    stage.publish()
    assert stage.emptied == ["store"]  # a follower that missed the previous set is told all the same
    await stage.start()
    assert stage.emptied == []
    assert stage.directory.balancer("store").pick().endpoint.id == "store-1"


async def test_a_service_whose_last_replica_died_keeps_what_was_known(stage: Stage) -> None:
    stage.platform.kill("store-1")
    stage.publish()
    assert stage.emptied == []
    assert stage.publisher.current is not None
    assert stage.publisher.current.services["store"] == []
    assert [candidate.id for candidate in stage.directory.balancer("store").candidates] == ["store-1"]


async def test_a_service_that_the_fleet_file_no_longer_has_is_emptied(stage: Stage) -> None:
    stranger = Replica("translate-1", "translate", "r1", pid=1, url="http://127.0.0.1:1")
    assert await stage.controller._end_strangers([stranger]) == []
    stage.publish()
    assert stage.emptied == ["translate"]
