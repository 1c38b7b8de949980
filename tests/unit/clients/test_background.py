"""Tests of the background work of calling processes: an error is reported and the work continues."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from argosy.balancing.balancer import Balancer
from argosy.clients.directory import Directory
from argosy.clients.follower import Follower
from argosy.clients.load_prober import LoadProber
from argosy.clients.upstreams import Upstreams
from argosy.contracts.fleet import Endpoint, EndpointSet, Health
from argosy.serving.loops import LoopRule, Loops
from tests.kits import make_kit
from tests.waiting import until

pytestmark = pytest.mark.unit


async def test_a_follower_that_stumbles_follows_on_and_its_replica_is_degraded(monkeypatch: pytest.MonkeyPatch) -> None:
    sets = [EndpointSet(f"1.{n}", {"store": [Endpoint("store-1", f"http://127.0.0.1:{n}")]}) for n in (1, 2, 3)]
    apply = Directory.apply

    async def poll(self: Follower, session: Any) -> None:
        if not sets:
            await asyncio.Event().wait()
        self._directory.apply(sets.pop(0))
        self._on_version(str(self._directory.version))

    def stumbling(self: Directory, update: EndpointSet) -> None:
        if update.version == "1.2":
            raise KeyError("store")
        apply(self, update)

    monkeypatch.setattr(Follower, "_poll", poll)
    monkeypatch.setattr(Directory, "apply", stumbling)
    kit = make_kit("retrieval")
    kit.loops = Loops(rule=LoopRule(first_backoff_s=0.001))
    upstreams = Upstreams.of(kit)
    await upstreams.start()
    kit.readiness.engine_loaded = True
    await until(lambda: kit.readiness.endpoints_version == "1.3")
    assert kit.status().health is Health.DEGRADED
    assert kit.status().reason == "following of endpoints failed (KeyError)"
    await upstreams.stop()
    await kit.loops.close()


async def test_a_probe_that_fails_in_a_new_way_is_followed_by_the_next_one(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    class Session:
        def get(self, url: str, **options: object) -> Any:
            asked.append(url)
            raise UnicodeError("a header that is no header")

    monkeypatch.setattr(Balancer, "due_probes", lambda self: [Endpoint("store-1", "http://127.0.0.1:1")])
    prober = LoadProber(Directory(make_kit().fleet.services), Session(), look_every_s=0.001)  # type: ignore[arg-type]
    running = asyncio.create_task(prober.run())
    await until(lambda: len(asked) > 10)
    assert not running.done()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
