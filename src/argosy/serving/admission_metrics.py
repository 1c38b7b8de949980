"""Metrics of admission control. They are collected when `/metrics` is scraped, so they cost requests nothing."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from argosy.serving.admission import Admission, Refusal
from argosy.serving.waiting import Waiters


class AdmissionMetrics(Collector):
    """Collector of the counts of refused requests, the limit, and the waiters."""

    def __init__(self, service: str, admission: Admission, waiters: Waiters) -> None:
        self._service = service
        self._admission = admission
        self._waiters = waiters

    def describe(self) -> Iterable[Metric]:
        return []

    def collect(self) -> Iterable[Metric]:
        refused = CounterMetricFamily(
            "argosy_admission_refused", "Requests that were refused, by reason.", labels=("service", "reason")
        )
        for reason in Refusal:
            refused.add_metric((self._service, reason.value), self._admission.refused[reason])
        limit = GaugeMetricFamily(
            "argosy_concurrency_limit", "Most requests that may be in flight now.", labels=("service",)
        )
        limit.add_metric((self._service,), self._admission.limit)
        waiting = GaugeMetricFamily(
            "argosy_requests_waiting",
            "Long polls and followed streams that wait for a change; they are not in flight.",
            labels=("service",),
        )
        waiting.add_metric((self._service,), self._waiters.count)
        yield from (refused, limit, waiting)
