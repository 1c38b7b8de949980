"""A replica that does not answer is ended as hung, unless it drains: a draining replica does not answer."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from argosy.config.service import ServiceSettings
from argosy.contracts.fleet import Health
from argosy.control.events.feed import Feed
from argosy.control.health.replica import Probe
from argosy.control.history.history import History
from argosy.control.monitoring.observed import Observed
from argosy.control.monitoring.prober import Prober
from argosy.control.platforms.blocked import Blocked
from argosy.control.platforms.fake import FakePlatform
from argosy.control.platforms.platform import Launch, Replica
from argosy.control.supervision.hang import HangRule
from argosy.control.supervision.watchdog import Rules, Watchdog
from tests.unit.control.answers import Answers

pytestmark = pytest.mark.unit


class Silent(Prober):
    probes = 0

    async def probe(self, replica: Replica) -> Probe:
        self.probes += 1
        return Probe(0.0, error="connection refused")


async def test_a_silent_replica_is_hung_and_a_draining_one_is_left_alone(
    tmp_path: Path,
) -> None:
    history = History(tmp_path)
    services = {"gateway": ServiceSettings()}
    observed = Observed(services, [["gateway"]], 0.0, Feed(history))
    platform, prober = FakePlatform(), Silent("token", 1.0)
    rules = Rules(hang=HangRule(probes=2), probe_interval_s=0.0, reprobe_s=0.0)
    guard = Watchdog(services, platform, prober, observed, lambda: None, rules)
    replica = await platform.start(Launch("gateway", "gateway-1", "r1", 1.0))
    assert "hung" in (await guard.watch(replica) or "")
    prober.probes = 0
    observed.draining.add(replica.id)
    assert await guard.watch(replica) is None
    assert prober.probes == 0
    history.close()


async def test_a_silent_replica_in_an_engine_call_is_degraded_with_the_calls_name_and_not_ended(
    tmp_path: Path,
) -> None:
    history, feed_time = History(tmp_path), Steps()
    services = {"gateway": ServiceSettings(hang_limit_s=30)}
    observed = Observed(services, [["gateway"]], 0.0, Feed(history))
    platform, prober = FakePlatform(), Silent("token", 1.0)
    rules = Rules(hang=HangRule(probes=3), probe_interval_s=0.0, reprobe_s=0.0)
    guard = Watchdog(services, platform, prober, observed, lambda: None, rules, feed_time, lambda: 112.0)
    replica = await platform.start(Launch("gateway", "gateway-1", "r1", 1.0))
    observed.saw(replica.id, await Answers().probe(replace(replica, url="http://127.0.0.1:1")))
    platform.blocked_in["gateway-1"] = Blocked("FLUSH", since=100.0)
    seen: list[tuple[Health, str]] = []

    def look(replica_id: str, probe: Probe) -> bool:
        saw(replica_id, probe)
        seen.append((observed.health(replica_id).status, observed.health(replica_id).reason))
        return True

    saw, observed.saw = observed.saw, look  # type: ignore[method-assign]
    why = await guard.watch(replica)
    calm, (last, _) = seen[:-1], seen[-1]
    assert calm[0] == (Health.DEGRADED, "gateway-1 is in FLUSH for 12 s; the disk is slow")
    assert calm[-1][1].startswith("gateway-1 is in FLUSH for 2")
    assert {status for status, _ in calm} == {Health.DEGRADED}
    assert why is not None
    assert why.startswith("hung: connection refused, ")
    assert why.endswith("probes in a row, in FLUSH for 30 s")
    assert last is Health.UNHEALTHY
    history.close()


class Steps:
    """Clock that advances by half a second at each reading."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        self.now_s += 0.5
        return self.now_s
