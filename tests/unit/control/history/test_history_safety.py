"""The history keeps every complete tick through kill -9, and stays within its bound on the disk."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from argosy.control.history.series import CHUNK, LEVELS, Series

pytestmark = pytest.mark.unit

WRITER = """
import sys
from pathlib import Path
from argosy.control.history.series import Series
series = Series(Path(sys.argv[1]))
for number in range(100_000):
    series.record(15, number, {f"s/{i}": number + i / 64 for i in range(24)})
    print(number, flush=True)
"""
SERIES = 20 * 12
MOST_BYTES = 100_000_000


@pytest.mark.parametrize("seed", range(3))
def test_a_kill_in_the_midst_of_writing_loses_no_complete_tick(seed: int, tmp_path: Path) -> None:
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE)
    assert writer.stdout is not None
    try:
        for _ in range(random.Random(seed).randrange(CHUNK - 20, 2 * CHUNK + 20)):
            told = writer.stdout.readline()
        writer.send_signal(signal.SIGKILL)
        told = (writer.stdout.read().splitlines() or [told])[-1]
    finally:
        writer.kill()
        writer.wait()
        writer.stdout.close()
    series = Series(tmp_path)
    last = int(told)
    for i in range(24):
        assert series.read(f"s/{i}", 15, 0, last).tolist() == [number + i / 64 for number in range(last + 1)]
    series.record(15, last + 2, {"s/0": 1.0})
    assert series.read("s/0", 15, last + 2, last + 2).tolist() == [1.0]
    series.close()


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
