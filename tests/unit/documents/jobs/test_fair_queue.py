from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import event

from argosy.contracts.errors import InvalidRequest
from argosy.services.documents.catalog.catalog import Catalog
from argosy.services.documents.catalog.intake import QueueLimits
from argosy.services.documents.jobs.leases import Indexed, Job

if TYPE_CHECKING:
    from tests.unit.documents.conftest import Desk

pytestmark = pytest.mark.unit


def send(desk: Desk, catalog: Catalog, count: int, prefix: str, group: str | None = None) -> None:
    for at in range(0, count, 50):
        uploads = [desk.upload(f"{prefix}{n}") for n in range(at, min(count, at + 50))]
        catalog.accept("default", uploads, group)


def finish(desk: Desk) -> Job:
    job = desk.claim()
    desk.jobs.done(job, Indexed(1, None, None, "0" * 64))
    return job


@pytest.fixture
def roomy(desk: Desk) -> Catalog:
    return Catalog(desk.database, QueueLimits(), "minilm/200")


def test_one_upload_does_not_wait_for_a_sender_of_many_requests(desk: Desk, roomy: Catalog) -> None:
    send(desk, roomy, 500, "bulk-", group="bulk")
    for _ in range(5):
        finish(desk)
    send(desk, roomy, 1, "single")
    assert "single0" in [finish(desk).name for _ in range(2)]


def test_a_stream_of_small_uploads_does_not_starve_a_large_one(desk: Desk, roomy: Catalog) -> None:
    send(desk, roomy, 20, "bulk-", group="bulk")
    done = []
    for number in range(40):
        send(desk, roomy, 1, f"small-{number}-")
        done.append(finish(desk).name)
    share = [name.startswith("bulk") for name in done]
    assert sum(share[:20]) >= 3
    assert sum(share[20:]) >= 2, "each new sender makes the round longer, but it comes round"


def test_lanes_of_equal_senders_are_served_alike(desk: Desk, roomy: Catalog) -> None:
    for sender in "abc":
        send(desk, roomy, 10, sender, group=sender)
    served = [finish(desk).name[0] for _ in range(9)]
    assert {sender: served.count(sender) for sender in "abc"} == {"a": 3, "b": 3, "c": 3}


def test_a_claim_looks_at_few_rows_however_many_wait(desk: Desk, roomy: Catalog) -> None:
    """Check that the plan of every statement uses an index and that the look-up of a lane does not read the queue."""
    send(desk, roomy, 300, "bulk-", group="bulk")
    seen: list[str] = []

    def note(connection: object, cursor: object, statement: str, *_: object) -> None:
        seen.append(statement)

    event.listen(desk.database._engine, "before_cursor_execute", note)
    try:
        desk.claim()
    finally:
        event.remove(desk.database._engine, "before_cursor_execute", note)
    looks = [statement for statement in seen if statement.lstrip().startswith("SELECT")]
    assert looks
    with desk.database.read() as connection:
        for statement in looks:
            marks = statement.count("?")
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", (0,) * marks).all()
            scans = [str(row[-1]) for row in plan if str(row[-1]).startswith("SCAN") and "INDEX" not in str(row[-1])]
            assert [scan for scan in scans if "jobs" in scan] == [], statement


def test_a_group_has_a_plain_name(desk: Desk) -> None:
    with pytest.raises(InvalidRequest, match="group"):
        desk.catalog.accept("default", [desk.upload("a")], "no spaces")


def test_lanes_that_are_done_are_given_up(desk: Desk, roomy: Catalog) -> None:
    for number in range(5):
        send(desk, roomy, 1, f"{number}-")
        finish(desk)
    send(desk, roomy, 1, "last")
    with desk.database.read() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM lanes").scalar() == 1
