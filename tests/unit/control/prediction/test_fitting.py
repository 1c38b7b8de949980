"""Fitting process: when it is late, dead or answers garbage, it is replaced, and the earlier fit stays in use."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import numpy as np
import pytest

from argosy.control.prediction.fitting import Fitter
from argosy.control.prediction.worker import FitRequest

pytestmark = pytest.mark.unit

MINUTES = np.random.default_rng(1).poisson(50, 300).astype(np.float64)
REQUEST = FitRequest(MINUTES.tobytes(), 0, [1], np.zeros((5, 3)).tobytes())
FOREVER = 60.0


def _module(folder: Path, monkeypatch: pytest.MonkeyPatch, code: str) -> str:
    (folder / "argosy_test_worker.py").write_text(code)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")]))
    return "argosy_test_worker"


async def test_a_worker_that_is_killed_between_fits_is_replaced() -> None:
    async with Fitter(FOREVER) as fitter:
        first = await fitter.fit(REQUEST)
        assert first is not None
        assert first.capacity.why_not.startswith("not learnt")
        process = fitter._process
        assert process is not None
        os.kill(process.pid, signal.SIGKILL)
        await process.wait()
        assert await fitter.fit(REQUEST) is None
        again = await fitter.fit(REQUEST)
        assert again is not None
        assert repr(again) == repr(first)
        last = fitter._process
    assert last is not None
    assert last.returncode is not None


@pytest.mark.parametrize(
    "code",
    [
        "import time; time.sleep(600)",
        "import sys; sys.exit(3)",
        "import sys; sys.stdout.buffer.write(bytes([0, 0, 0, 2, 255, 255])); sys.stdout.flush(); sys.stdin.read()",
    ],
    ids=["hangs", "dies at once", "talks nonsense"],
)
async def test_what_is_late_or_wrong_is_none_and_the_process_ends(
    code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit_s = 0.2 if "sleep" in code else FOREVER
    async with Fitter(limit_s, _module(tmp_path, monkeypatch, code)) as fitter:
        assert await fitter.fit(REQUEST) is None
        assert fitter._process is None


def test_a_fit_may_take_five_seconds() -> None:
    assert Fitter()._limit_s == 5.0
