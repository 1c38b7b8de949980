"""An upload of one sender while the queue is almost full of another sender's documents."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.chaos.fleet import ChaosFleet
from tests.chaos.harbours import SOAK
from tests.e2e.fleet import until

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(240)]

BULK = 9_900 if SOAK else 1_800
"""Documents of the bulk sender. The queue takes 10,000; accepting so many takes longer than the rest of the test."""
A_REQUEST = 900
OVERTAKEN = 5
"""Bulk documents that may start between an upload's acceptance and its start, because they were being claimed."""
PAGE = 1_000


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

    def done() -> Iterator[dict[str, Any]]:
        """Yield the finished jobs, the latest accepted first."""
        page: dict[str, Any] = {"next": None}
        while True:
            after = "" if page["next"] is None else f"&after={page['next']}"
            page = fleet.call("GET", f"/v1/jobs?state=done&limit={PAGE}{after}").json()
            yield from page["jobs"]
            if page["next"] is None:
                return

    names = [f"bulk {number}" for number in range(BULK)]
    bulk = [send(names[at : at + A_REQUEST], "bulk") for at in range(0, BULK, A_REQUEST)]
    single = send(["single"], "single")
    until(lambda: ended(single) == 1, "the single upload to be indexed")
    found = list(done())
    assert len(found) < BULK, "the bulk was through too early to tell"
    upload = next(job for job in found if job["batch_id"] == single)
    overtook = [
        job["id"]
        for job in found
        if job["batch_id"] in bulk and upload["run_at"] < job["started_at"] < upload["started_at"]
    ]
    assert len(overtook) <= OVERTAKEN
