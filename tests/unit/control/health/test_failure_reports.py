"""Failures that replicas and callers report affect health, and do not outlive the process that they are about."""

from __future__ import annotations

from pathlib import Path

import pytest

from argosy.config.models import Fleet
from argosy.contracts.fleet import Calls, Health, Load, ReplicaStatus
from argosy.control.events.feed import Feed
from argosy.control.health.failure_reports import WINDOW, Evidence, news, next_round, since
from argosy.control.health.replica import Probe
from argosy.control.history.history import History
from argosy.control.monitoring.observed import Observed
from argosy.control.platforms.platform import Replica
from argosy.control.topology.waves import start_waves

pytestmark = pytest.mark.unit

STORE = Replica("store-1", "store", "r1")


@pytest.fixture
def observed(tmp_path: Path) -> Observed:
    services = Fleet().services.by_name()
    return Observed(services, start_waves(services), 0.0, Feed(History(tmp_path)))


def saw(
    observed: Observed,
    replica: str,
    load: tuple[int, int] = (0, 0),
    calls: dict[str, Calls] | None = None,
    *,
    ready: bool = True,
) -> tuple[Health, str]:
    """Record an answered probe: `load` is (requests, errors) so far, `calls` the replica's report about others."""
    service = replica.partition("-")[0]
    health = Health.HEALTHY if ready else Health.UNHEALTHY
    status = ReplicaStatus(
        service, replica, "r1", 1, ready, False, health, "", 1.0, "1.1", Load(requests=load[0], errors=load[1])
    )
    status.calls = calls or {}
    observed.saw(replica, Probe(1.0, 1.0, status))
    return observed.health(replica).status, observed.health(replica).reason


def missed(observed: Observed, replica: str) -> None:
    observed.saw(replica, Probe(1.0, error="no answer within 1 s"))


def test_failures_of_the_last_rounds_are_complained_of_and_forgotten() -> None:
    evidence = next_round(Evidence(), 10, 3)
    assert evidence.complaint("it answers:") == "it answers: 3 of 10 requests fail"
    assert next_round(Evidence(), 100, 3).complaint("x") == ""
    for _ in range(WINDOW):
        evidence = next_round(evidence, 10, 0)
    assert evidence.complaint("it answers:") == ""


def test_a_count_that_fell_was_started_anew() -> None:
    assert since(Calls(50, 5), Calls(52, 6)) == (2, 1)
    assert since(Calls(50, 5), Calls(3, 1)) == (3, 1)
    assert news({"a": Calls(5, 0)}, {"a": Calls(7, 1), "b": Calls(1, 1)}) == {"a": (2, 1), "b": (1, 1)}


def test_a_replica_that_answers_500_is_degraded(observed: Observed) -> None:
    saw(observed, "store-1")
    assert saw(observed, "store-1", (10, 5)) == (Health.DEGRADED, "it answers: 5 of 10 requests fail")


def test_a_missed_probe_does_not_count_the_past_again(observed: Observed) -> None:
    saw(observed, "store-1", (10, 9))
    saw(observed, "store-1", (20, 9))
    missed(observed, "store-1")
    assert saw(observed, "store-1", (20, 9)) == (Health.HEALTHY, "")


def test_the_past_of_an_adopted_replica_is_not_news(observed: Observed) -> None:
    saw(observed, "retrieval-1", calls={"store-1": Calls(9, 9)})
    saw(observed, "store-1", (10, 9))
    assert saw(observed, "store-1", (10, 9)) == (Health.HEALTHY, "")


def test_what_callers_see_degrades_a_replica(observed: Observed) -> None:
    saw(observed, "store-1")
    saw(observed, "retrieval-1", calls={"store-1": Calls(1, 0)})
    saw(observed, "retrieval-1", calls={"store-1": Calls(9, 4)})
    assert saw(observed, "store-1") == (Health.DEGRADED, "callers see 4 of 8 requests fail")


def test_a_replica_that_a_caller_put_out_is_degraded_until_it_is_taken_back(observed: Observed) -> None:
    saw(observed, "store-1")
    saw(observed, "retrieval-1", calls={"store-1": Calls(1, 1, "fails (timeout), lately 15% of its requests")})
    said = "a caller sends it nothing: it fails (timeout), lately 15% of its requests"
    assert saw(observed, "store-1") == (Health.DEGRADED, said)
    saw(observed, "retrieval-1", calls={"store-1": Calls(1, 1)})
    assert saw(observed, "store-1") == (Health.HEALTHY, "")


def test_a_new_process_does_not_inherit_complaints(observed: Observed) -> None:
    """Callers report failures of the earlier process while the new process starts, and shortly after."""
    saw(observed, "store-1")
    saw(observed, "retrieval-1", calls={"store-1": Calls(10, 0)})
    observed.lost(STORE, "killed by signal 9")
    saw(observed, "retrieval-1", calls={"store-1": Calls(20, 10)})
    saw(observed, "store-1", ready=False)
    saw(observed, "retrieval-1", calls={"store-1": Calls(30, 20)})
    saw(observed, "store-1")
    saw(observed, "retrieval-1", calls={"store-1": Calls(2, 0)})
    assert saw(observed, "store-1") == (Health.HEALTHY, "")


def test_the_reason_of_a_failure_goes_when_its_slot_is_filled(observed: Observed) -> None:
    observed.failed("embedding", "embedding-1", "no model")
    observed.failed("embedding", "embedding-2", "killed by signal 9")
    assert observed.failure("embedding") == "killed by signal 9"
    observed.recovered("embedding", "embedding-2")
    assert observed.failure("embedding") == "no model"
    observed.recovered("embedding", "embedding-1")
    assert observed.failure("embedding") == ""
