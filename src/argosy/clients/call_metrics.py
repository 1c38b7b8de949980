"""What a process's calls to other services count, on its `/metrics`. Read when scraped, so no call pays for it."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from argosy.clients.directory import Directory
from argosy.clients.transport import Transport


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
        refused = CounterMetricFamily(
            "argosy_retries_refused", "Second attempts not made because the retry budget was spent.", labels=("to",)
        )
        for service, count in transport.retries_refused.items():
            refused.add_metric((service,), count)
        yield from (lacking, out, refused)
