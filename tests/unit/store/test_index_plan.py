"""Tests of when a vector index is built, and in which form."""

from __future__ import annotations

from pathlib import Path

import pytest

from argosy.services.store.index_plan import BuiltIndex, IndexPlan, due, plan_for, read_built, write_built

pytestmark = pytest.mark.unit

GRAPH = IndexPlan(True)


@pytest.mark.parametrize(
    ("built", "points", "quantisation", "expected"),
    [
        (BuiltIndex(), 1000, "none", False),
        (BuiltIndex(), 1001, "none", True),
        (BuiltIndex(), 1000, "int8", False),
        (BuiltIndex(GRAPH, 1500), 2500, "none", False),
        (BuiltIndex(GRAPH, 1500), 2501, "none", True),
        (BuiltIndex(GRAPH, 8000), 10_000, "none", False),
        (BuiltIndex(GRAPH, 8000), 10_001, "none", True),
        (BuiltIndex(GRAPH, 1500), 1500, "int8", True),
        (BuiltIndex(IndexPlan(True, "int8"), 1500), 1500, "int8", False),
        (BuiltIndex(GRAPH, 5000), 900, "none", False),
    ],
)
def test_an_index_is_rebuilt_when_it_no_longer_fits(
    built: BuiltIndex, points: int, quantisation: str, expected: bool
) -> None:
    assert due(built, points, 1000, quantisation) is expected  # type: ignore[arg-type]


def test_a_growing_collection_is_rebuilt_a_few_times_only() -> None:
    built, builds = BuiltIndex(), 0
    for points in range(0, 1_000_000, 500):
        if due(built, points, 50_000, "none"):
            built, builds = BuiltIndex(GRAPH, points), builds + 1
    assert 3 < builds < 15


def test_small_collections_have_no_graph_and_large_ones_leave_cores_free() -> None:
    assert plan_for(1000, 1000, "int8", 16) == IndexPlan()
    assert plan_for(1001, 1000, "int8", 16) == IndexPlan(True, "int8", 4)
    assert plan_for(1001, 1000, "none", 2).threads == 1


def test_the_record_of_an_index_is_read_again_and_a_damaged_one_counts_as_none(tmp_path: Path) -> None:
    built = BuiltIndex(IndexPlan(True, "int8", 2), 7, 0.98, 3.5)
    write_built(tmp_path, built)
    assert read_built(tmp_path) == built
    (tmp_path / "built.json").write_text("{")
    assert read_built(tmp_path) == BuiltIndex()
    assert read_built(tmp_path / "nothing") == BuiltIndex()
