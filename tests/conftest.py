"""Fleets of real processes for the tests that need one. Nothing here costs a test that does not ask for it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from argosy.contracts.errors import ModelMissing
from argosy.models.resolver import resolve
from tests.e2e.fleet import MakeFleet, RealFleet, SharedFleet, Trap


@pytest.fixture(scope="session")
def shared_fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedFleet]:
    """One fleet for all tests that break nothing, started without a fleet file among variables that must not matter."""
    try:
        resolve("sentence-transformers/all-MiniLM-L6-v2", fetch=True)
    except ModelMissing as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"the model cannot be had here: {error.message}")
    home = tmp_path_factory.mktemp("shared")
    with contextlib.closing(Trap()) as trap:
        environ = {
            "DATABASE_URL": f"postgresql://user:password@{trap.address}/db",
            "REDIS_URL": f"redis://{trap.address}/0",
            "OPENAI_API_KEY": "sk-nobody",
            "OPENAI_BASE_URL": f"http://{trap.address}/v1",
        }
        fleet = SharedFleet(home / "data", home, environ, trap=trap)
        try:
            fleet.start()
            yield fleet
            fleet.down()
            assert not trap.visited()
        finally:
            fleet.end()


@pytest.fixture(scope="module")
def make_fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MakeFleet]:
    """Make fleets that tests may break, each in a folder of its own and not started yet. They end with the module."""
    made: list[RealFleet] = []

    def make() -> RealFleet:
        home: Path = tmp_path_factory.mktemp("private")
        made.append(RealFleet(home / "data", home))
        return made[-1]

    yield make
    for fleet in made:
        fleet.end()
