"""Statistics of the cache for Prometheus and for the controller, which adds up the figures of all replicas."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from argosy.services.embedding.cache.entry import Level
from argosy.services.embedding.cache.statistics import CacheStats, DiskState
from argosy.serving.kit import Details

PREFIX = "argosy_embedding_cache_"


class CacheCollector(Collector):
    """Collector that reads the statistics at each scrape. The only label is the level: memory or disk."""

    def __init__(self, stats: Callable[[], CacheStats]) -> None:
        self._stats = stats

    def collect(self) -> Iterator[Metric]:
        stats = self._stats()
        levels = {Level.MEMORY: stats.memory, Level.DISK: stats.disk}
        for name, help_text, values in (
            ("hits", "Vectors found in the level.", {level: s.hits for level, s in levels.items()}),
            ("misses", "Vectors not found in the level.", {at: s.misses for at, s in levels.items()}),
            ("evictions", "Vectors evicted to make room.", {at: s.evictions for at, s in levels.items()}),
        ):
            counter = CounterMetricFamily(f"{PREFIX}{name}", help_text, labels=["level"])
            for level, value in values.items():
                counter.add_metric([level], value)
            yield counter
        size = GaugeMetricFamily(f"{PREFIX}bytes", "Bytes in use; on disk those of all replicas.", labels=["level"])
        limit = GaugeMetricFamily(f"{PREFIX}limit_bytes", "Bytes that the level may use.", labels=["level"])
        entries = GaugeMetricFamily(f"{PREFIX}entries", "Vectors held; on disk by all replicas.", labels=["level"])
        for level, of_level in levels.items():
            size.add_metric([level], of_level.bytes_used)
            limit.add_metric([level], of_level.bytes_limit)
            entries.add_metric([level], of_level.entries)
        yield from (size, limit, entries)
        for name, help_text, number in (
            ("saved_seconds", "Compute that hits made unnecessary.", stats.seconds_saved),
            ("saved_tokens", "Tokens that hits made unnecessary to compute.", stats.tokens_saved),
            ("dropped_writes", "Vectors that did not reach the file.", stats.dropped_writes),
            ("damaged_values", "Rows of the file whose checksum was wrong.", stats.damaged_values),
            ("damaged_files", "Files that were set aside as damaged.", stats.damaged_files),
        ):
            yield CounterMetricFamily(f"{PREFIX}{name}", help_text, value=number)
        ready = stats.disk_state is not DiskState.PAUSED
        yield GaugeMetricFamily(f"{PREFIX}disk_ready", "0 while the file cannot be used.", value=float(ready))


def cache_details(stats: CacheStats) -> Details:
    """Return the cache's part of a replica's status, from which `GET /v1/analytics/cache` is made."""
    details: Details = {
        "cache_misses": stats.misses,
        "cache_seconds_saved": round(stats.seconds_saved, 3),
        "cache_tokens_saved": stats.tokens_saved,
        "cache_dropped_writes": stats.dropped_writes,
        "cache_damaged_values": stats.damaged_values,
        "cache_damaged_files": stats.damaged_files,
        "cache_disk_state": stats.disk_state.value,
    }
    for level, of_level in ((Level.MEMORY, stats.memory), (Level.DISK, stats.disk)):
        details |= {
            f"cache_{level}_hits": of_level.hits,
            f"cache_{level}_misses": of_level.misses,
            f"cache_{level}_entries": of_level.entries,
            f"cache_{level}_bytes": of_level.bytes_used,
            f"cache_{level}_limit_bytes": of_level.bytes_limit,
            f"cache_{level}_evictions": of_level.evictions,
        }
    return details
