"""A replica that is silent is ended as hung, unless it drains: then silence is what is expected of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from argosy.config.models import ServiceSettings
from argosy.control.events.feed import Feed
from argosy.control.health.replica import Probe
from argosy.control.history import History
from argosy.control.monitoring.observed import Observed
from argosy.control.monitoring.prober import Prober
from argosy.control.platforms.fake import FakePlatform
from argosy.control.platforms.platform import Launch, Replica
from argosy.control.supervision import watchdog
from argosy.control.supervision.hang import HangRule
from argosy.control.supervision.watchdog import Rules, Watchdog

pytestmark = pytest.mark.unit


class Silent(Prober):
    probes = 0

    async def probe(self, replica: Replica) -> Probe:
        self.probes += 1
        return Probe(0.0, error="connection refused")


async def test_a_silent_replica_is_hung_and_a_draining_one_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watchdog, "REPROBE_S", 0.0)
    history = History(tmp_path)
    services = {"gateway": ServiceSettings()}
    observed = Observed(services, [["gateway"]], 0.0, Feed(history))
    platform, prober = FakePlatform(), Silent("token", 1.0)
    rules = Rules(hang=HangRule(probes=2), probe_interval_s=0.0)
    guard = Watchdog(services, platform, prober, observed, lambda: None, rules)
    replica = await platform.start(Launch("gateway", "gateway-1", "r1", 1.0))
    assert "hung" in (await guard.watch(replica) or "")
    prober.probes = 0
    observed.draining.add(replica.id)
    assert await guard.watch(replica) is None
    assert prober.probes == 0
    history.close()
