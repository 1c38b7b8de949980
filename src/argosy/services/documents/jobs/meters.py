"""Prometheus metrics of one replica's ingestion. Labels are bounded: stages and error codes."""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from argosy.contracts.errors import BY_CODE

STAGE_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)


class IngestionMeters:
    def __init__(self, registry: CollectorRegistry) -> None:
        self._stages = Histogram(
            "argosy_ingestion_stage_duration_seconds",
            "Time that an indexed document spent in a stage.",
            ("stage",),
            registry=registry,
            buckets=STAGE_BUCKETS_S,
        )
        self._tries = Counter(
            "argosy_ingestion_tries_total",
            "Attempts to index a document, by outcome: ok, or the code of the error.",
            ("code",),
            registry=registry,
        )
        self._chunks = Counter("argosy_ingestion_chunks_total", "Chunks indexed.", registry=registry)
        self._pages = Counter("argosy_ingestion_pages_total", "Pages indexed.", registry=registry)
        self._embedded = Counter(
            "argosy_ingestion_chunks_embedded_total", "Chunks whose vector had to be computed.", registry=registry
        )
        self._queue = Gauge("argosy_ingestion_queue_documents", "Documents queued or running.", registry=registry)
        self._queue_bytes = Gauge(
            "argosy_ingestion_queue_bytes", "Bytes of documents queued or running.", registry=registry
        )
        self._busy = Gauge(
            "argosy_ingestion_workers_busy", "Documents being indexed by this replica.", registry=registry
        )

    def indexed(self, seconds: Mapping[str, float], chunks: int, pages: int, embedded: int) -> None:
        for stage, spent_s in seconds.items():
            self._stages.labels(stage).observe(spent_s)
        self._tries.labels("ok").inc()
        self._chunks.inc(chunks)
        self._pages.inc(pages)
        self._embedded.inc(embedded)

    def failed(self, code: str) -> None:
        self._tries.labels(code if code in BY_CODE else "unknown").inc()

    def saw_queue(self, documents: int, size_bytes: int, busy: int) -> None:
        self._queue.set(documents)
        self._queue_bytes.set(size_bytes)
        self._busy.set(busy)
