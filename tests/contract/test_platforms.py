"""Contract of platforms, tested on each platform."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from argosy.config.models import Fleet
from argosy.contracts.errors import StartError
from argosy.control.platforms.fake import FakePlatform
from argosy.control.platforms.local import LocalPlatform
from argosy.control.platforms.platform import Launch, Platform, ReplicaExit
from tests.kits import TOKEN

pytestmark = pytest.mark.contract

TINY = Path(__file__).parents[1] / "samples" / "tiny_service.py"
LAUNCH = Launch("store", "store-1", "r1", cpu_share=1.0, argv=(sys.executable, str(TINY)))


@pytest.fixture(params=["fake", "local"])
async def platform(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Platform]:
    made: Platform = FakePlatform()
    if request.param == "local":
        made = LocalPlatform(tmp_path, Fleet().model_dump_json(), TOKEN, "http://127.0.0.1:1")
    yield made
    await asyncio.gather(*(made.stop(replica.id, 0) for replica in made.replicas()))
    await made.close()


async def test_it_says_what_it_can_give(platform: Platform) -> None:
    capacity = platform.capacity()
    assert capacity.cores >= 1
    assert capacity.memory_bytes > 2**28


async def test_a_started_replica_is_listed_listens_and_has_a_pid(platform: Platform) -> None:
    replica = await platform.start(LAUNCH)
    await platform.listening(replica, 30)
    assert platform.replicas() == [replica]
    assert (replica.service, replica.revision) == ("store", "r1")
    assert replica.url is not None
    assert replica.pid is not None


async def test_a_name_is_given_to_one_living_replica_only(platform: Platform) -> None:
    replica = await platform.start(LAUNCH)
    with pytest.raises(StartError, match="store-1 is alive already"):
        await platform.start(LAUNCH)
    assert (await platform.start(replace(LAUNCH, replica_id="store-2"))).id == "store-2"
    await platform.stop(replica.id, 10)
    assert (await platform.start(LAUNCH)).id == "store-1"


async def test_it_says_what_a_replica_uses(platform: Platform) -> None:
    replica = await platform.start(LAUNCH)
    await platform.listening(replica, 30)
    usage = platform.usage(replica.id)
    assert usage is not None
    assert usage.memory_bytes > 0
    assert usage.cpu_s >= 0
    assert platform.usage("nobody-1") is None
    assert platform.blocked("nobody-1") is None


async def test_stopping_ends_it_tells_the_listeners_and_may_be_repeated(platform: Platform) -> None:
    ends: list[ReplicaExit] = []
    platform.exits.callbacks.append(ends.append)
    replica = await platform.start(LAUNCH)
    await platform.listening(replica, 30)
    await platform.stop(replica.id, 10)
    assert platform.replicas() == []
    assert [(end.replica.id, end.asked) for end in ends] == [(replica.id, True)]
    await platform.stop(replica.id, 10)
    await platform.stop("nobody-1", 10)
    assert len(ends) == 1
