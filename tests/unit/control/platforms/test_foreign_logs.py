"""Logs of programs that hold their file open."""

from __future__ import annotations

from pathlib import Path

import pytest

from argosy.control.platforms.foreign_logs import ForeignLogs
from argosy.telemetry.log_output import Rotation, rotated

pytestmark = pytest.mark.unit


def test_the_file_of_a_running_program_is_rotated_and_the_program_goes_on_writing(tmp_path: Path) -> None:
    logs = ForeignLogs(tmp_path, Rotation(1000, 5000), list)
    path = tmp_path / "mine-1.log"
    with path.open("a") as program:
        for number in range(200):
            program.write(f"line {number} {'x' * 100}\n")
            program.flush()
            logs.rotate(["mine-1"])
            assert sum(file.stat().st_size for file in tmp_path.iterdir()) <= 6000
    assert path.stat().st_size < 1200
    kept = "".join(file.read_text() for file in [*rotated(path), path]).splitlines()
    assert kept[-1].startswith("line 199 ")
    numbers = [int(line.split()[1]) for line in kept]
    assert numbers == list(range(numbers[0], 200))
