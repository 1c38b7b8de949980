"""Rows of the search benchmark: percentiles over all rounds, and aims that are met or missed."""

from __future__ import annotations

from typing import Any

from benchmarks.search import row


def rounds(*ms: float, cpu_ms: float = 10.0) -> list[dict[str, Any]]:
    return [
        {"ms": [value], "cpu_ms": {"gateway-1": cpu_ms / 2, "store-1": cpu_ms / 2}, "others_cores": 0.5} for value in ms
    ]


def test_the_median_and_the_processor_time_are_over_all_rounds() -> None:
    assert row(10_000, "hybrid", rounds(10.0, 12.0, 30.0)).startswith("| 10000 | hybrid | 12.0 | ")
    assert "| 10.0 | 0.5 |" in row(10_000, "hybrid", rounds(10.0, 12.0, 30.0))


def test_a_missed_aim_is_marked() -> None:
    assert row(10_000, "hybrid", rounds(16.0)).endswith("| p50 ≤ 15 **missed**, cpu ≤ 15 |")
    assert row(100_000, "hybrid", rounds(16.0, 60.0)).endswith("| p50 ≤ 20 **missed**, p99 ≤ 50 **missed** |")


def test_other_modes_and_sizes_have_no_aim() -> None:
    assert row(10_000, "dense", rounds(99.0)).endswith("|  |")
    assert row(500, "hybrid", rounds(99.0)).endswith("|  |")
