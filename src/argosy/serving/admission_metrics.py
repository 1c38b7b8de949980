"""What a replica did not take on, on its `/metrics`. Read when scraped, so no request pays for it."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from argosy.serving.admission import Admission, Refusal
from argosy.serving.waiting import Waiters


class AdmissionMetrics(Collector):
    def __init__(self, service: str, admission: Admission, waiters: Waiters) -> None:
        self._service = service
        self._admission = admission
        self._waiters = waiters

    def describe(self) -> Iterable[Metric]:
        return []

    def collect(self) -> Iterable[Metric]:
        refused = CounterMetricFamily(
            "argosy_admission_refused", "Requests not taken on, by reason.", labels=("service", "reason")
        )
        for reason in Refusal:
            refused.add_metric((self._service, reason.value), self._admission.refused[reason])
        limit = GaugeMetricFamily(
            "argosy_concurrency_limit", "Requests that may be in work at once now.", labels=("service",)
        )
        limit.add_metric((self._service,), self._admission.limit)
        waiting = GaugeMetricFamily(
            "argosy_requests_waiting",
            "Long polls and followed streams that wait for a change; they are not in flight.",
            labels=("service",),
        )
        waiting.add_metric((self._service,), self._waiters.count)
        yield from (refused, limit, waiting)
