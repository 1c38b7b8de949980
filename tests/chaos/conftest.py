"""One fleet per module for failure tests. Each test finds the fleet healthy and must leave it healthy."""

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
    """Run the module's fleet with indexed documents. At the end, check that none is lost and no process is left."""
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
    """Provide the module's fleet; wait until it is healthy before and after the test."""
    broken_again.recovered()
    yield broken_again
    broken_again.recovered()
