"""What a process's calls to other services count, on its `/metrics`. Read when scraped, so no call pays for it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from argosy.clients.directory import Directory
from argosy.clients.guard import Guard
from argosy.clients.transport import Transport

COUNTS: Sequence[tuple[str, str, Callable[[Guard], int]]] = (
    ("retries_refused", "Retries and hedges not made because the retry budget was spent.", lambda g: g.retries_refused),
    ("hedges_sent", "Reads that were late and were sent to a second replica.", lambda g: g.hedges_sent),
    ("hedges_won", "Of those, the ones that the second replica answered.", lambda g: g.hedges_won),
    ("calls_throttled", "Calls not sent because the service refuses most of them now.", lambda g: g.throttled),
    ("bulkhead_refused", "Calls not sent because too many are in work already.", lambda g: g.bulkhead_refused),
)
"""Name, meaning, and where it is counted."""


class CallMetrics(Collector):
    def __init__(self, calling: Callable[[], tuple[Directory, Transport] | None]) -> None:
        """`calling` gives None before the first endpoint set is here."""
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
            "Picks for which the strategy lacked the data that it is made for.",
            labels=("to",),
        )
        out = GaugeMetricFamily(
            "argosy_balancing_replicas_out", "Replicas that this process does not use, for failing.", labels=("to",)
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
        in_work = GaugeMetricFamily("argosy_calls_in_work", "Calls from their first attempt on.", labels=("to",))
        for service, guard in transport.guards.items():
            in_work.add_metric((service,), guard.in_work)
        yield from (lacking, out, *counts, in_work)
