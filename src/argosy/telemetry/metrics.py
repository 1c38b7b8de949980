"""Metrics of one process, rendered as Prometheus text. Labels are bounded: never a query, a user or a document."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from argosy.contracts.fleet import FleetView, Health
from argosy.contracts.scaling import ScalingView
from argosy.version import VERSION

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
LATENCY_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


def process_registry() -> CollectorRegistry:
    """Return a registry with the metrics of this process (`process_*`) and of its build."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    build = Gauge("argosy_build_info", "1 for the version that runs.", ("version", "python"), registry=registry)
    build.labels(VERSION, platform.python_version()).set(1)
    return registry


@dataclass(frozen=True, slots=True)
class ReplicaUsage:
    """CPU time used so far and resident memory used now, by a replica with its helper processes."""

    cpu_s: float
    memory_bytes: int


class ServiceMetrics:
    """Metrics that every service process keeps."""

    def __init__(self, service: str) -> None:
        self.registry = process_registry()
        self.request_duration = Histogram(
            "argosy_request_duration_seconds",
            "Time from a request's arrival to the end of its answer.",
            ("service", "route", "status"),
            registry=self.registry,
            buckets=LATENCY_BUCKETS_S,
        )
        self.in_flight = Gauge(
            "argosy_requests_in_flight", "Requests in flight.", ("service",), registry=self.registry
        ).labels(service)
        self.rejected = Counter(
            "argosy_requests_rejected_total",
            "Requests rejected before any work.",
            ("service", "code"),
            registry=self.registry,
        )
        self.degraded = Counter(
            "argosy_degraded_answers_total",
            "Answers served by a fallback.",
            ("service", "missing"),
            registry=self.registry,
        )
        self.broken_streams = Counter(
            "argosy_broken_streams_total",
            "Answers that failed after they began and ended with an error event.",
            ("service",),
            registry=self.registry,
        ).labels(service)
        self._service = service
        self._durations: dict[tuple[str, int], Histogram] = {}
        """Histograms by route and status. Every request needs one, and `labels` takes a lock."""

    def count_broken_stream(self) -> None:
        self.broken_streams.inc()

    def observe(self, route: str, status: int, seconds: float) -> None:
        series = self._durations.get((route, status))
        if series is None:
            series = self._durations[route, status] = self.request_duration.labels(self._service, route, str(status))
        series.observe(seconds)

    def count_rejected(self, code: str) -> None:
        self.rejected.labels(self._service, code).inc()

    def count_degraded(self, missing: str) -> None:
        self.degraded.labels(self._service, missing).inc()

    def render(self) -> bytes:
        return generate_latest(self.registry)


class FleetMetrics:
    """Metrics of the fleet as the controller sees it, built anew for each scrape."""

    def __init__(self) -> None:
        self._process = process_registry()

    def render(
        self,
        fleet: FleetView,
        scaling: Iterable[ScalingView] = (),
        usage: Mapping[tuple[str, str], ReplicaUsage] | None = None,
    ) -> bytes:
        """Return the text. `usage` holds what each replica uses, by (service, id)."""
        registry = CollectorRegistry()
        registry.register(_Usage(usage or {}))
        health = Gauge("argosy_service_health", "2 healthy, 1 degraded, 0 unhealthy.", ("service",), registry=registry)
        desired = Gauge("argosy_service_replicas_desired", "Desired replicas.", ("service",), registry=registry)
        serving = Gauge(
            "argosy_service_replicas_serving", "Replicas that are not unhealthy.", ("service",), registry=registry
        )
        own = Gauge(
            "argosy_controller_health", "2 healthy, 1 degraded because one of its loops fails.", registry=registry
        )
        own.set(LEVELS[fleet.controller.status])
        for service in fleet.services:
            health.labels(service.name).set(LEVELS[service.status])
            desired.labels(service.name).set(service.desired)
            serving.labels(service.name).set(sum(r.status is not Health.UNHEALTHY for r in service.replicas))
        most = Gauge("argosy_service_replicas_max", "Upper bound of the replicas.", ("service",), registry=registry)
        by_hand = Gauge(
            "argosy_scaling_override",
            "1 while an operator's number overrides the policy.",
            ("service",),
            registry=registry,
        )
        shadow = Gauge(
            "argosy_scaling_shadow", "1 while decisions are not carried out.", ("service",), registry=registry
        )
        decided = Gauge(
            "argosy_scaling_decision",
            "1 for the reason of the latest decision.",
            ("service", "reason"),
            registry=registry,
        )
        for view in scaling:
            most.labels(view.service).set(view.max_instances)
            by_hand.labels(view.service).set(view.override is not None)
            shadow.labels(view.service).set(view.shadow)
            if view.decisions:
                decided.labels(view.service, view.decisions[0].decision.reason.value).set(1)
        return generate_latest(self._process) + generate_latest(registry)


@dataclass(frozen=True, slots=True, eq=False)
class _Usage:
    """Collector of what each replica uses."""

    usage: Mapping[tuple[str, str], ReplicaUsage]

    def collect(self) -> Iterator[Metric]:
        cpu = CounterMetricFamily(
            "argosy_replica_cpu_seconds", "CPU time of a replica's processes.", labels=("service", "replica")
        )
        memory = GaugeMetricFamily(
            "argosy_replica_memory_bytes", "Resident memory of a replica's processes.", labels=("service", "replica")
        )
        for of, used in self.usage.items():
            cpu.add_metric(of, used.cpu_s)
            memory.add_metric(of, used.memory_bytes)
        yield cpu
        yield memory


LEVELS = {Health.UNHEALTHY: 0, Health.DEGRADED: 1, Health.HEALTHY: 2}
