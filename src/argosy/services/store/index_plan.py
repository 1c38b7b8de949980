"""Plan of a shard's vector index, and the record of what was built, kept beside the shard."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

import msgspec

Quantisation = Literal["none", "int8"]
FLAT_POINTS = 50_000
"""Default number of chunks up to which all vectors are compared."""
FILE = "built.json"


class IndexPlan(msgspec.Struct, frozen=True):
    """Form of the vector index of a rewritten shard."""

    graph: bool = False
    """Whether a graph (HNSW) is built; without it, a search compares all vectors."""
    quantisation: Quantisation = "none"
    """Form of the vectors that a search of the graph reads first. The exact vectors decide the order afterwards."""
    threads: int = 1


class BuiltIndex(msgspec.Struct, frozen=True):
    """Record of a built index."""

    plan: IndexPlan = IndexPlan()
    points: int = 0
    """Number of points when the index was built."""
    recall: float | None = None
    """Share of the ten nearest of 100 stored vectors that a search finds; None without a graph."""
    build_s: float = 0.0


def read_built(shard: Path) -> BuiltIndex:
    """Return the record of the shard; a shard without a readable record has no graph."""
    try:
        return msgspec.json.decode((shard / FILE).read_bytes(), type=BuiltIndex)
    except (OSError, msgspec.MsgspecError):
        return BuiltIndex()


def write_built(shard: Path, built: BuiltIndex) -> None:
    """Write the record of the shard and sync it."""
    with open(os.open(shard / FILE, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(msgspec.json.encode(built))
        file.flush()
        os.fsync(file.fileno())


def plan_for(points: int, flat_points: int, quantisation: Quantisation, cores: int) -> IndexPlan:
    """Return the plan for a collection of this size. A graph is built with at most a quarter of the cores."""
    if points <= flat_points:
        return IndexPlan()
    return IndexPlan(True, quantisation, max(1, cores // 4))


def due(built: BuiltIndex, points: int, flat_points: int, quantisation: Quantisation) -> bool:
    """Return whether the index should be rebuilt because the collection grew or the setting changed.

    After the first graph, a rebuild waits until the points outside of the graph are more than `flat_points` and more
    than a quarter of those inside, so that a growing collection is not rebuilt all the time.
    """
    if points <= flat_points:
        return False
    if not built.plan.graph:
        return True
    return built.plan.quantisation != quantisation or points - built.points > max(flat_points, built.points // 4)
