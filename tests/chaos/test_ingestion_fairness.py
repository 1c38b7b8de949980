"""A queue that is almost full of one sender's documents, and somebody else's upload."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.chaos.fleet import ChaosFleet
from tests.chaos.harbours import SOAK
from tests.e2e.fleet import until

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(240)]

BULK = 9_900 if SOAK else 1_800
"""The queue takes 10,000; accepting as many takes longer than the rest of this."""
A_REQUEST = 900
OVERTAKEN = 20
"""Of the bulk that may end between the acceptance of an upload and its end: what is in work already, and its turns."""


@pytest.fixture
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChaosFleet]:
    home = tmp_path_factory.mktemp("fairness")
    fleet = ChaosFleet(home / "data", home, settings=f"[services.documents]\nmax_files_per_request = {A_REQUEST}\n")
    fleet.write()
    try:
        fleet.start().ok()
        yield fleet
    finally:
        fleet.end()


def test_one_upload_does_not_wait_for_thousands_of_documents(fleet: ChaosFleet) -> None:
    def send(names: list[str], group: str) -> str:
        documents = [{"id": name, "text": "The lighter carries coal."} for name in names]
        answer = fleet.call("POST", "/v1/documents", {"documents": documents, "group": group})
        assert answer.status == 202, answer.body
        return str(answer.json()["batch_id"])

    def ended(batch: str) -> int:
        return int(fleet.call("GET", f"/v1/batches/{batch}").json()["counts"].get("indexed", 0))

    names = [f"bulk {number}" for number in range(BULK)]
    bulk = [send(names[at : at + A_REQUEST], "bulk") for at in range(0, BULK, A_REQUEST)]
    before = overtook = sum(map(ended, bulk))
    single = send(["single"], "single")

    def is_through() -> bool:
        """Counts the bulk only while the single upload waits: counting takes time in which more of the bulk ends."""
        nonlocal overtook
        if ended(single) == 1:
            return True
        overtook = sum(map(ended, bulk))
        return False

    until(is_through, "the single upload to be indexed")
    assert sum(map(ended, bulk)) < BULK, "the bulk was through too early to tell"
    assert overtook - before <= OVERTAKEN
