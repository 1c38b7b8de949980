"""One fleet a module to break; each test finds it healthy and must leave it so."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.chaos.fleet import FULL, ChaosFleet, Elsewhere, answering


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[Elsewhere]:
    with answering() as elsewhere:
        yield elsewhere


@pytest.fixture(scope="module")
def broken_again(elsewhere: Elsewhere, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChaosFleet]:
    """The module's fleet, indexed. At its end every document is there, and no process of it is left."""
    home = tmp_path_factory.mktemp("chaos")
    outside = f'[services.outside]\nexternal = "{elsewhere.url}"\n'
    fleet = ChaosFleet(home / "data", home, settings=FULL + outside)
    fleet.write()
    try:
        fleet.start().ok()
        fleet.index()
        yield fleet
        fleet.assert_nothing_lost()
        fleet.down()
    finally:
        fleet.end()


@pytest.fixture
def fleet(broken_again: ChaosFleet) -> Iterator[ChaosFleet]:
    """The module's fleet, healthy before the test and after it."""
    broken_again.recovered()
    yield broken_again
    broken_again.recovered()
