"""Documents of the end-to-end tests."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.e2e.fleet import Ran, SharedFleet
from tests.samples.make_samples import make_samples

READABLE = ("handbook.md", "notices.txt", "tides.html", "manual.pdf", "crew.docx")


@pytest.fixture(scope="session")
def samples(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return every sample by name, including those that cannot be indexed."""
    return make_samples(tmp_path_factory.mktemp("samples"))


@pytest.fixture(scope="session")
def folder(samples: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Create a folder with one document of each format."""
    folder = tmp_path_factory.mktemp("library")
    for name in READABLE:
        shutil.copyfile(samples[name], folder / name)
    return folder


@pytest.fixture(scope="session")
def added(shared_fleet: SharedFleet, folder: Path) -> Ran:
    """Run `argosy add` of the folder into the default collection and return how it ended."""
    return shared_fleet.cli("add", str(folder), "--wait", "--json")
