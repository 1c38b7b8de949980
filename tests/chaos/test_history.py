"""The history outlives kill -9 with every tick that was complete."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from argosy.control.history.series import CHUNK, Series

pytestmark = pytest.mark.chaos

WRITER = """
import sys
from pathlib import Path
from argosy.control.history.series import Series
series = Series(Path(sys.argv[1]))
for number in range(100_000):
    series.record(15, number, {f"s/{i}": number + i / 64 for i in range(24)})
    print(number, flush=True)
"""


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
