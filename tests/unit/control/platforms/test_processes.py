"""Resource use of a process and its descendants."""

from __future__ import annotations

import subprocess
import sys

import psutil
import pytest

from argosy.control.platforms.processes import descendants, used_by

pytestmark = pytest.mark.unit

WORKING = "import sys; sum(range(10**7)); print('done', flush=True); sys.stdin.readline()"


def test_children_are_found_and_what_ended_ones_used_is_kept() -> None:
    """The process is a shell that starts one child after the other, as a script does."""
    script = f'"{sys.executable}" -c "{WORKING}"; echo second; read line'
    with subprocess.Popen(["sh", "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as shell:
        assert shell.stdin is not None
        assert shell.stdout is not None
        assert shell.stdout.readline() == "done\n"
        (child,) = descendants(shell.pid)
        cpu_s, memory_bytes = used_by(psutil.Process(child))
        assert cpu_s > 0
        assert memory_bytes > 2**20
        shell.stdin.write("\n")
        shell.stdin.flush()
        assert shell.stdout.readline() == "second\n"
        assert list(descendants(shell.pid)) == []
        assert used_by(psutil.Process(shell.pid))[0] >= cpu_s
        shell.stdin.write("\n")
