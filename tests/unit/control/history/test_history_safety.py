"""The history stays within its bound on the disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from argosy.control.history.series import CHUNK, LEVELS, Series

pytestmark = pytest.mark.unit

SERIES = 20 * 12
MOST_BYTES = 100_000_000


def test_twenty_replicas_of_twelve_series_stay_within_the_bound(tmp_path: Path) -> None:
    """Ticks that are not yet compacted are at most one chunk per step. The size of a chunk on the disk is measured."""
    series = Series(tmp_path)
    size = []
    for chunks in (1, 4):
        for number in range((chunks - 1) * CHUNK if chunks == 1 else CHUNK, chunks * CHUNK + 1):
            series.record(300, number, {f"replica/{i}": number * 1.1 + i for i in range(SERIES)})
        series._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        size.append((tmp_path / "control.db").stat().st_size)
    series.close()
    chunk_bytes = (size[1] - size[0]) / 3 / SERIES
    kept = sum(level.kept_s // level.step_s // CHUNK + 2 for level in LEVELS if level.step_s > 5)
    expected = size[0] + kept * SERIES * chunk_bytes
    assert expected < MOST_BYTES
