"""Metrics of calls to other services. They are collected when `/metrics` is scraped, so they cost calls nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from argosy.clients.call_guard import CallGuard
from argosy.clients.directory import Directory
from argosy.clients.transport import Transport

COUNTS: Sequence[tuple[str, str, Callable[[CallGuard], int]]] = (
    ("retries_refused", "Retries and hedges not sent because the retry budget was spent.", lambda g: g.retries_refused),
    ("hedges_sent", "Late reads that were sent to a second replica too.", lambda g: g.hedges_sent),
    ("hedges_won", "Hedges that the second replica answered first.", lambda g: g.hedges_won),
    ("calls_throttled", "Calls not sent because the service refuses most calls now.", lambda g: g.throttled),
    ("bulkhead_refused", "Calls not sent because too many calls are in flight.", lambda g: g.bulkhead_refused),
)
"""Name, description, and function that reads the count."""


class CallMetrics(Collector):
    """Collector of the counts of calls to each service."""

    def __init__(self, calling: Callable[[], tuple[Directory, Transport] | None]) -> None:
        """Create the collector; `calling` returns None before the first endpoint set arrives."""
        self._calling = calling

    def describe(self) -> Iterable[Metric]:
        return []

    def collect(self) -> Iterable[Metric]:
        calling = self._calling()
        if calling is None:
            return
        directory, transport = calling
        lacking = CounterMetricFamily(
            "argosy_balancing_lacking_picks",
            "Picks for which the strategy lacked the data that it is designed for.",
            labels=("to",),
        )
        out = GaugeMetricFamily(
            "argosy_balancing_replicas_out",
            "Replicas that this process does not use because they fail.",
            labels=("to",),
        )
        for service in directory.services:
            balancer = directory.balancer(service)
            lacking.add_metric((service,), balancer.lacking_picks)
            out.add_metric((service,), balancer.out)
        counts = [
            CounterMetricFamily(f"argosy_{name}", documentation, labels=("to",)) for name, documentation, _ in COUNTS
        ]
        for service, guard in transport.guards.items():
            for family, (_, _, read) in zip(counts, COUNTS, strict=True):
                family.add_metric((service,), read(guard))
        in_work = GaugeMetricFamily(
            "argosy_calls_in_work", "Calls in flight, from their first attempt.", labels=("to",)
        )
        for service, guard in transport.guards.items():
            in_work.add_metric((service,), guard.in_work)
        yield from (lacking, out, *counts, in_work)
