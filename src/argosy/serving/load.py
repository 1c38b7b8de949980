"""Load of a replica: counted per request, reported on every answer (ORCA's text form) and in its status."""

from __future__ import annotations

import contextlib
import math
import re
import resource
from collections.abc import Callable

import psutil

from argosy.contracts.fleet import Load
from argosy.contracts.request import Clock
from argosy.serving.latency_by_load import NearLatency

SMOOTHING = 0.1
UTILIZATION_WINDOW_S = 1.0
NAMED = "named_metrics."
NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
OWN_NAMES = ("rif", "queued", "latency_ms")
MOST_NAMED, NAMED_S = 32, 60.0
MOST_VALUE = 1e12
"""Largest accepted figure; larger ones are ignored so that sums stay finite."""


class LoadTracker:
    """Tracker of a replica's load.

    Counts are exact, latency is an exponential average, and utilisation refers to this replica's share of the host.
    """

    def __init__(
        self, clock: Clock, *, capacity: int, cpu_share: float = 1.0, queued: Callable[[], int] = lambda: 0
    ) -> None:
        self._clock = clock
        self._capacity = capacity
        self._cpu_share = cpu_share
        self._memory_total_bytes = psutil.virtual_memory().total
        self._process = psutil.Process()
        self.queued = queued
        self.in_flight = 0
        self.requests = 0
        self.errors = 0
        self.rejected = 0
        self.overloaded = 0
        self.latency_ms = 0.0
        self._near = NearLatency()
        self._window_started_s = clock()
        self._window_cpu_s = _cpu_seconds()
        self._window_requests = 0
        self._cpu = 0.0
        self._rps = 0.0
        self._eps = 0.0
        self._failed_s = 0.0
        self._memory = 0.0
        self._memory_share()
        self._named: dict[str, tuple[float, float]] = {}
        """Value and report time of each named metric."""

    @property
    def named(self) -> dict[str, float]:
        """Metrics that the service reported itself in the last NAMED_S; policy `target` can use them."""
        since_s = self._clock() - NAMED_S
        return {name: value for name, (value, at_s) in self._named.items() if at_s >= since_s}

    def take_named(self, report: str) -> None:
        """Record `named_metrics.NAME` from the app's own report in ORCA's text form; ignore invalid entries."""
        since_s = self._clock() - NAMED_S
        self._named = {name: said for name, said in self._named.items() if said[1] >= since_s}
        for pair in report.removeprefix("TEXT ").split(","):
            key, _, value = pair.partition("=")
            name = key.strip().removeprefix(NAMED)
            if not key.strip().startswith(NAMED) or not NAME.fullmatch(name) or name in OWN_NAMES:
                continue
            with contextlib.suppress(ValueError):
                number = float(value)
                if 0 <= number <= MOST_VALUE and (name in self._named or len(self._named) < MOST_NAMED):
                    self._named[name] = number, self._clock()

    def begin(self) -> float:
        """Count a request as in flight. Returns: its start time, for `end`."""
        self.in_flight += 1
        return self._clock()

    def end(self, started_s: float, status: int) -> float:
        """Count the end of a request. Returns: the seconds that it took."""
        elapsed_s = self._clock() - started_s
        self._near.add(self.in_flight - 1, elapsed_s, started_s + elapsed_s)
        self.in_flight -= 1
        self.count(status, started_s + elapsed_s)
        ms = elapsed_s * 1000
        self.latency_ms = ms if self.requests == 1 else self.latency_ms + SMOOTHING * (ms - self.latency_ms)
        return elapsed_s

    def count(self, status: int, now_s: float) -> None:
        """Count an answer without its latency."""
        self.requests += 1
        if status >= 500:
            self.errors += 1
            self._eps, self._failed_s = self._failing_eps(now_s) + 1 / UTILIZATION_WINDOW_S, now_s

    def _failing_eps(self, now_s: float) -> float:
        """Return the failures per second, weighted towards recent ones; it decays to about 0 within seconds."""
        return self._eps * math.exp((self._failed_s - now_s) / UTILIZATION_WINDOW_S)

    def _refresh(self) -> None:
        now = self._clock()
        elapsed_s = now - self._window_started_s
        if elapsed_s < UTILIZATION_WINDOW_S:
            return
        cpu_s = _cpu_seconds()
        self._cpu = (cpu_s - self._window_cpu_s) / elapsed_s / self._cpu_share
        self._rps = (self.requests - self._window_requests) / elapsed_s
        self._memory_share()
        self._window_started_s, self._window_cpu_s, self._window_requests = now, cpu_s, self.requests

    def header(self, *, besides: int = 0) -> str:
        """Return the value of `endpoint-load-metrics`; `besides` is 1 when the answered request itself is counted."""
        self._refresh()
        rif = self.in_flight - besides
        now_s = self._clock()
        near_s = self._near.at(rif, now_s)
        return (
            f"TEXT cpu_utilization={self._cpu:.3f}, mem_utilization={self._memory:.3f}, "
            f"application_utilization={self.in_flight / self._capacity:.3f}, "
            f"rps_fractional={self._rps:.2f}, eps={self._failing_eps(now_s):.2f}, named_metrics.rif={rif}, "
            f"named_metrics.queued={self.queued()}, named_metrics.latency_ms={(near_s or 0.0) * 1000:.2f}"
            + "".join(f", {NAMED}{name}={value:.6g}" for name, value in self.named.items())
        )

    def snapshot(self) -> Load:
        """Return the present load for the status of the replica."""
        self._refresh()
        return Load(
            in_flight=self.in_flight,
            queued=self.queued(),
            requests=self.requests,
            errors=self.errors,
            rejected=self.rejected,
            latency_ms=self.latency_ms,
            cpu_utilization=self._cpu,
            mem_utilization=self._memory_share(),
            overloaded=self.overloaded,
            named=self.named,
        )

    def _memory_share(self) -> float:
        """Return the share of the host's memory; the last known share when no file descriptor is free to read it."""
        with contextlib.suppress(OSError):
            self._memory = float(self._process.memory_info().rss / self._memory_total_bytes)
        return self._memory


def _cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime
