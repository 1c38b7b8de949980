"""The command as a process: what it loads, and readers that go away."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from argosy.cli import main

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("arguments", [["--help"], ["version"]])
def test_help_and_version_load_nothing_heavy(arguments: list[str]) -> None:
    program = (
        "import sys; sys.argv = ['argosy', *sys.argv[1:]]; from argosy.cli.main import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'aiohttp', 'asyncio', 'msgspec', 'numpy', 'pydantic', 'rich', 'psutil', 'onnxruntime'}\n"
        "sys.exit(','.join(sorted(heavy & sys.modules.keys())) or 0)"
    )

    ended = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=False)

    assert (ended.returncode, ended.stderr) == (0, "")


def test_a_reader_that_goes_away_is_no_error(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "store-1.log"
    log.parent.mkdir()
    log.write_text('{"timestamp": "2026-01-01T00:00:00Z", "event": "a line that fills the pipe"}\n' * 5000)
    command = [sys.executable, "-m", "argosy.cli", "logs", "store", "--data-dir", str(tmp_path)]

    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == main.BROKEN_PIPE
