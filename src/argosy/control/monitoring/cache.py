"""Analytics of the embedding cache: the figures of all replicas, summed."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from argosy.contracts.fleet import FleetView, ReplicaView

SERVICE = "embedding"
LEVELS = ("memory", "disk")


class LevelAnalytics(msgspec.Struct):
    """Counts of one cache level. Only texts that the memory missed are looked up on the disk."""

    hits: int = 0
    misses: int = 0
    entries: int = 0
    bytes: int = 0
    limit_bytes: int = 0
    evictions: int = 0


class CacheAnalytics(msgspec.Struct):
    """Counts since each replica's process began. `hit_rate` is None before the first text.

    `replicas` is the number of replicas that reported figures; `silent` did not report and are not counted.
    """

    replicas: int
    silent: int
    hits: int
    misses: int
    hit_rate: float | None
    seconds_saved: float
    tokens_saved: int
    dropped_writes: int
    damaged_values: int
    damaged_files: int
    levels: dict[str, LevelAnalytics]


def cache_analytics(fleet: FleetView) -> CacheAnalytics:
    """Return the analytics of all embedding replicas.

    Sizes of the memory level are summed. The disk level is one file that all replicas report, so its size counts once.
    """
    replicas = [replica for service in fleet.services if service.name == SERVICE for replica in service.replicas]
    telling = [replica for replica in replicas if "cache_misses" in replica.details]
    levels = {level: _level(telling, level, shared=level == "disk") for level in LEVELS}
    hits = sum(level.hits for level in levels.values())
    misses = round(_sum(telling, "misses"))
    return CacheAnalytics(
        replicas=len(telling),
        silent=len(replicas) - len(telling),
        hits=hits,
        misses=misses,
        hit_rate=hits / (hits + misses) if hits + misses else None,
        seconds_saved=_sum(telling, "seconds_saved"),
        tokens_saved=round(_sum(telling, "tokens_saved")),
        dropped_writes=round(_sum(telling, "dropped_writes")),
        damaged_values=round(_sum(telling, "damaged_values")),
        damaged_files=round(_sum(telling, "damaged_files")),
        levels=levels,
    )


def _level(replicas: Iterable[ReplicaView], level: str, *, shared: bool) -> LevelAnalytics:
    replicas = list(replicas)

    def size(name: str) -> int:
        told = [_number(replica, f"{level}_{name}") for replica in replicas]
        return round(max(told, default=0.0) if shared else sum(told))

    return LevelAnalytics(
        hits=round(_sum(replicas, f"{level}_hits")),
        misses=round(_sum(replicas, f"{level}_misses")),
        entries=size("entries"),
        bytes=size("bytes"),
        limit_bytes=size("limit_bytes"),
        evictions=round(_sum(replicas, f"{level}_evictions")),
    )


def _sum(replicas: Iterable[ReplicaView], name: str) -> float:
    return sum(_number(replica, name) for replica in replicas)


def _number(replica: ReplicaView, name: str) -> float:
    told = replica.details.get(f"cache_{name}")
    return float(told) if isinstance(told, int | float) else 0.0
