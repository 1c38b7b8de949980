"""A full disk: new data is refused with a reason, existing data is found, and free space restores the service."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.disk import filled, small_disk
from tests.chaos.fleet import ChaosFleet
from tests.chaos.load import Load
from tests.e2e.fleet import until

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(300)]

SETTINGS = """
[fleet]
probe_interval_s = 1.0
"""


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with small_disk(tmp_path_factory.mktemp("disk")) as folder:
        yield folder


@pytest.fixture(scope="module")
def fleet(disk: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChaosFleet]:
    fleet = ChaosFleet(disk, tmp_path_factory.mktemp("home"), settings=SETTINGS)
    fleet.write()
    try:
        fleet.start().ok()
        fleet.index()
        yield fleet
        fleet.assert_nothing_lost()
        fleet.down()
    finally:
        fleet.end()


def test_uploads_are_refused_queries_are_not_and_space_mends_it(fleet: ChaosFleet) -> None:
    documents = [{"id": "big.md", "text": "The tug Eider is painted white. " * 2000}]
    with filled(fleet.data_dir), Load(fleet.url) as load:
        refused = fleet.call("POST", "/v1/documents", {"documents": documents, "collection": "more"})
        load.more(20)
        fleet.kill("retrieval-1")
        until(lambda: fleet.service("retrieval")["status"] == "UNHEALTHY", "the replica to be missed")
    assert refused.status in (503, 507)
    assert "disk is full" in refused.json()["error"]["message"]
    assert refused.json()["error"]["retryable"]
    fleet.recovered()
    before_the_kill = [outcome for outcome in load.outcomes if outcome.status != 503]
    assert [outcome for outcome in before_the_kill if outcome.wrong] == []
    assert {"retrieval" in outcome.wrong for outcome in load.outcomes if outcome.status == 503} <= {True}
    accepted = fleet.call("POST", "/v1/documents", {"documents": documents, "collection": "more"})
    assert accepted.status == 202
    until(lambda: [d["status"] for d in fleet.documents("more")] == ["indexed"], "the document to be indexed")
