"""Metrics of the store's rebuilds."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge

from argosy.services.store.index_plan import BuiltIndex


class RebuildMeters:
    """Counts and figures of the rebuilds of one store."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._running = Gauge("argosy_store_rebuild_running", "Rebuilds of an index in progress.", registry=registry)
        self._ended = Counter(
            "argosy_store_rebuilds", "Rebuilds of an index by their outcome.", ("outcome",), registry=registry
        )
        self._seconds = Gauge("argosy_store_rebuild_seconds", "Duration of the last build.", registry=registry)
        self._recall = Gauge(
            "argosy_store_index_recall", "Recall at 10 of the last graph against exact search.", registry=registry
        )

    def began(self) -> None:
        self._running.set(1)

    def finished(self, built: BuiltIndex) -> None:
        self._running.set(0)
        self._ended.labels("finished").inc()
        self._seconds.set(built.build_s)
        if built.recall is not None:
            self._recall.set(built.recall)

    def failed(self) -> None:
        self._running.set(0)
        self._ended.labels("failed").inc()
