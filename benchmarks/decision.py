"""Cost of one decision: a tick of the scaler for a service with many replicas, by the thread's own time.

`python benchmarks/decision.py` prints a Markdown table and takes half a minute. The cost includes samples of every
replica, the observation, the forecast on a week of load, and the policy; it excludes only the probes and the start of
replicas. The capacity model is learnt, so that no rule is left out.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from argosy.config.scaling import ScalingSettings, SloSettings
from argosy.config.service import CustomSettings, Replicas
from argosy.contracts.fleet import Health, Load, ReplicaStatus
from argosy.control.events.feed import Feed
from argosy.control.health.replica import Probe
from argosy.control.history.history import History
from argosy.control.history.series import Series
from argosy.control.monitoring.observed import Observed
from argosy.control.observation import Capacity, Forecast
from argosy.control.platforms.fake import FakePlatform
from argosy.control.platforms.platform import Replica
from argosy.control.prediction.forecaster import Forecaster
from argosy.control.prediction.peak.analogue import BIN_S, RING
from argosy.control.prediction.peak.window_regression import fit_window
from argosy.control.scaling.policies.table import POLICIES
from argosy.control.scaling.reader import Reader
from argosy.control.scaling.scaler import Scaler

AIM_MS = 5.0
INTERVAL_S = 2.0
SPREAD = tuple((0.1, 5.0 + share) for share in range(10))


class Learnt(Forecaster):
    """Forecaster that does all its work on a week of load, and answers as for a service with so many replicas."""

    def take_up(self, service: str, wall_s: float) -> None:
        """Restore a week of load, a regression fitted to it, and days of the rate."""
        outlook, rng = self._outlooks[service], np.random.default_rng(0)
        last = int(wall_s // BIN_S) - 1
        clock = np.arange(last - RING + 1, last + 1) * BIN_S / 86_400
        loads = rng.poisson(20 + 15 * np.sin(2 * np.pi * clock)).astype(np.float64)
        outlook.peak.fill(last - RING + 1, loads)
        outlook.window = fit_window(loads, outlook.peak.window)
        minutes = rng.poisson(600, 14 * 1440) / 10
        outlook.minutes.fill(int(wall_s // 60) - len(minutes), minutes)

    def capacity(self, service: str) -> Capacity | None:
        super().capacity(service)
        return Capacity(0.05, slots=4)

    def forecast(self, service: str, now_s: float) -> Forecast | None:
        super().forecast(service, now_s)
        return Forecast(12.0, 60.0, True, SPREAD)


class Idle:
    """Crew that records the desired replicas and starts none."""

    def __init__(self, observed: Observed) -> None:
        self._observed = observed

    def keeps(self, service: str) -> bool:
        return True

    def scale(self, service: str, replicas: int, why: str) -> None:
        self._observed.desired[service] = replicas


class Time:
    def __init__(self) -> None:
        self.now_s = 1e9

    def __call__(self) -> float:
        return self.now_s


def costs(policy: str, replicas: int, ticks: int) -> list[float]:
    """Return the milliseconds of each tick."""
    clock = Time()
    settings = CustomSettings(
        module="acme:app",
        replicas=Replicas(min=1, max=256),
        scaling=ScalingSettings.model_validate({"policy": policy, policy: {"interval_s": INTERVAL_S}}),
        slo=SloSettings(latency_ms=200),
    )
    services = {"work": settings}
    running = tuple(Replica(f"work-{n}", "work", "r1", pid=n, url=f"http://127.0.0.1:{n}") for n in range(replicas))
    platform = FakePlatform(survivors=running, cores=1024)
    with tempfile.TemporaryDirectory() as folder:
        history = History(Path(folder))
        feed = Feed(history, clock)
        observed = Observed(services, [["work"]], 0.0, feed)
        observed.desired["work"] = replicas
        platform._replicas = {replica.id: replica for replica in running}
        forecaster = Learnt(services, history, Series(Path(folder)), clock=clock, wall=clock)
        asyncio.run(forecaster.restore())
        forecaster.take_up("work", clock())
        reader = Reader(services, platform, observed, INTERVAL_S)
        scaler = Scaler(
            services,
            reader,
            observed,
            Idle(observed),
            feed,
            history,
            interval_s=INTERVAL_S,
            predictor=forecaster,
            clock=clock,
            wall=clock,
        )
        rng, load, found = np.random.default_rng(1), Load(latency_ms=60), []
        for _ in range(ticks):
            clock.now_s += INTERVAL_S
            load = Load(int(rng.integers(0, 8)), 0, load.requests + int(rng.integers(50, 150)), latency_ms=60)
            for replica in running:
                status = ReplicaStatus(
                    "work", replica.id, "r1", replica.pid or 0, True, False, Health.HEALTHY, "", 1.0, "1.1", load
                )
                observed.saw(replica.id, Probe(clock(), 1.0, status))
            began_s = time.thread_time()
            scaler.tick()
            found.append(1000 * (time.thread_time() - began_s))
        decided = scaler.view("work").decisions
        assert not any(record.decision.reason == "policy_failed" for record in decided)
        asyncio.run(forecaster.close())
        history.close()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ticks", type=int, default=300)
    parser.add_argument("--replicas", type=int, nargs="+", default=(4, 20, 80))
    given = parser.parse_args()
    print("| policy | replicas | median, ms | 99 %, ms | aim |\n| --- | --- | --- | --- | --- |")
    for policy in POLICIES:
        for replicas in given.replicas:
            found = costs(policy, replicas, given.ticks)
            middle, most = statistics.median(found), float(np.quantile(found, 0.99))
            aim = "met" if most <= AIM_MS else "met by the median" if middle <= AIM_MS else "missed"
            print(f"| `{policy}` | {replicas} | {middle:.2f} | {most:.2f} | {aim} |", flush=True)


if __name__ == "__main__":
    main()
