"""Tests of kill -9 of the controller and of replicas that hold data: service continues and data survives."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import psutil
import pytest

from tests.e2e.fleet import FAKE, MakeFleet, RealFleet, lives, names, until
from tests.e2e.wire import Answer

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(300)]

REQUESTS = 200
CALLERS = 8
DOCUMENTS = 30
INDEXED_BEFORE = 10
SECTIONS = 20
SMALL_CHUNKS_SHORT_LEASES = ("--set", "services.documents.chunk_tokens=24", "--set", "services.documents.lease_s=2")


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    until(lambda: not lives(pid), f"the end of process {pid}")


def handbook(number: int) -> str:
    """Return a text of many chunks, each of which holds the word `harbour`."""
    sections = (
        f"## Section {n}\n\nIn harbour {number} the berth {n} is {10 * n + number} metres long, the fee {n} coins."
        for n in range(1, SECTIONS + number % 7)
    )
    return f"# Handbook {number}\n\n" + "\n\n".join(sections)


TUG = {"tug.md": "# Tugs\n\nThe tug Widgeon is painted red."}
HANDBOOKS = {f"handbook-{number}.md": handbook(number) for number in range(DOCUMENTS)}


def batch(fleet: RealFleet, batch_id: str, wait_s: float = 0) -> dict[str, Any]:
    answer = fleet.call("GET", f"/v1/batches/{batch_id}?wait_s={wait_s}")
    assert answer.status == 200, answer.body
    return dict(answer.json())


def index(fleet: RealFleet, texts: Mapping[str, str], collection: str) -> None:
    """Upload the texts and wait until all are indexed."""
    batch_id = fleet.upload(texts, collection)["batch_id"]
    done = until(lambda: (view := batch(fleet, batch_id, 5))["done"] and view, f"{collection} to be indexed")
    assert done["counts"]["indexed"] == len(texts), done["counts"]


def chunk_counts(fleet: RealFleet, collection: str) -> dict[str, int]:
    """Return the number of chunks of each document in the catalog; each document must be indexed."""
    documents = fleet.documents(collection)
    assert {document["status"] for document in documents} == {"indexed"}
    assert len(names(documents)) == len(documents)
    return {document["name"]: document["chunks"] for document in documents}


def found_counts(fleet: RealFleet, collection: str) -> dict[str, int]:
    """Return the number of chunks of each document found by a search: all hold the word, none is found twice."""
    found: dict[str, int] = {}
    for name in HANDBOOKS:
        message = {"query": "harbour", "mode": "lexical", "top_k": 50, "filters": {"name": name}}
        hits = fleet.call("POST", "/v1/search", {**message, "collection": collection}).json()["results"]
        assert names(hits) <= {name}
        assert len({(hit["start"], hit["end"]) for hit in hits}) == len(hits)
        found[name] = len(hits)
    return found


@pytest.fixture(scope="module")
def captained(make_fleet: MakeFleet) -> RealFleet:
    """Start the fleet whose controller is killed."""
    return make_fleet()


@pytest.fixture
def fleet(captained: RealFleet) -> RealFleet:
    """Provide that fleet with a running controller, even if an earlier test killed it."""
    run_dir = captained.data_dir / "run"
    if not run_dir.is_dir() or not lives(captained.record()["pid"]):
        captained.up(*FAKE).ok()
    captained.upload(TUG, "default")  # unchanged from the second upload on
    until(lambda: names(captained.documents("default")) == {"tug.md"} and ask(captained, 0).json()["results"], "a tug")
    return captained


def ask(fleet: RealFleet, number: int) -> Answer:
    return fleet.call("POST", "/v1/search", {"query": f"tug Widgeon {number}"})


def test_no_search_fails_while_the_controller_is_killed(fleet: RealFleet) -> None:
    with ThreadPoolExecutor(CALLERS) as callers:
        asked: list[Future[Answer]] = [callers.submit(ask, fleet, number) for number in range(REQUESTS)]
        until(lambda: sum(future.done() for future in asked) > REQUESTS // 8, "the first answers")
        kill(fleet.record()["pid"])
        after = [callers.submit(ask, fleet, number) for number in range(REQUESTS)]
        answers = [future.result() for future in (*asked, *after)]
    assert {answer.status for answer in answers} == {200}
    assert all(answer.json()["degraded"] == [] for answer in answers)
    assert all(names(answer.json()["results"]) == {"tug.md"} for answer in answers)


def test_without_a_controller_status_says_so_and_everything_else_works(fleet: RealFleet) -> None:
    kill(fleet.record()["pid"])
    ran = fleet.cli("status")
    assert ran.exit_code == 3
    assert "data plane serving" in ran.out
    assert "argosy up" in ran.out
    assert all(replica in ran.out for replica in fleet.pids())
    assert fleet.cli("status", "--json").exit_code == 3
    assert "painted red" in fleet.cli("ask", "What colour is the tug?").ok().out
    health = fleet.call("GET", "/v1/health").json()
    assert health["status"] == "HEALTHY"
    assert "argosy up" in health["note"]
    index(fleet, {"late.md": "Added while nobody steered."}, "late")


def test_a_new_controller_adopts_what_runs_and_restarts_nothing(fleet: RealFleet) -> None:
    before = {replica: psutil.Process(pid).create_time() for replica, pid in fleet.pids().items()}
    record, pids, version = fleet.record(), fleet.pids(), fleet.admin("/v1/endpoints")["version"]
    kill(record["pid"])
    assert "6 of 6 services started" in fleet.up(*FAKE).ok().out
    assert fleet.pids() == pids
    assert {replica: psutil.Process(pid).create_time() for replica, pid in pids.items()} == before
    assert len(fleet.replica_records()) == 6
    now = fleet.record()
    assert now["pid"] != record["pid"]
    assert (now["gateway_url"], now["admin_url"]) == (record["gateway_url"], record["admin_url"])
    until(lambda: fleet.cli("status").exit_code == 0, "a healthy fleet")
    replicas = [replica for service in fleet.admin("/v1/fleet")["services"] for replica in service["replicas"]]
    assert {replica["id"]: replica["pid"] for replica in replicas} == pids
    assert all(replica["details"]["adopted"] and replica["restarts"] == 0 for replica in replicas)
    epochs = [int(v.partition(".")[0]) for v in (version, fleet.admin("/v1/endpoints")["version"])]
    assert epochs[1] > epochs[0]
    assert ask(fleet, 1).json()["degraded"] == []


def test_down_stops_everything_also_without_a_controller(fleet: RealFleet) -> None:
    assert len(fleet.pids()) == 6
    kill(fleet.record()["pid"])
    assert "6 replicas stopped" in fleet.down().out
    assert fleet.cli("status").exit_code == 1
    assert "No fleet" in fleet.cli("down").ok().out


@pytest.fixture(scope="module")
def working(make_fleet: MakeFleet) -> RealFleet:
    """Start the fleet whose replicas are killed."""
    fleet = make_fleet()
    fleet.up(*FAKE, *SMALL_CHUNKS_SHORT_LEASES).ok()
    return fleet


def restart(fleet: RealFleet) -> None:
    fleet.down()
    fleet.up(*FAKE, *SMALL_CHUNKS_SHORT_LEASES).ok()


def test_documents_killed_at_work_are_each_indexed_exactly_once(working: RealFleet) -> None:
    index(working, HANDBOOKS, "calm")
    expected = chunk_counts(working, "calm")
    assert found_counts(working, "calm") == expected
    assert min(expected.values()) > 5
    index(working, dict(list(HANDBOOKS.items())[:INDEXED_BEFORE]), "rough")
    embedding = working.pids()["embedding-1"]
    os.kill(embedding, signal.SIGSTOP)  # no document can finish now, so one is in progress at the kill
    try:
        accepted = working.upload(HANDBOOKS, "rough")
        until(lambda: batch(working, accepted["batch_id"])["counts"]["running"], "a document to be at work")
        kill(working.pids()["documents-1"])
    finally:
        os.kill(embedding, signal.SIGCONT)
    assert found_counts(working, "calm") == expected
    restart(working)
    done = until(lambda: (v := batch(working, accepted["batch_id"], 5))["done"] and v, "the rest to be indexed")
    assert done["counts"]["indexed"] + done["counts"]["unchanged"] == DOCUMENTS
    assert max(document["attempts"] for document in done["documents"]) > 1
    assert chunk_counts(working, "rough") == expected
    assert found_counts(working, "rough") == expected


def test_what_was_indexed_outlives_the_store(working: RealFleet) -> None:
    index(working, HANDBOOKS, "stored")
    kill(working.pids()["store-1"])  # as soon as the last document was reported as indexed
    restart(working)
    assert found_counts(working, "stored") == chunk_counts(working, "stored")
    for mode in ("hybrid", "dense", "lexical"):
        message = {"query": "berth 3 of harbour 7", "collection": "stored", "mode": mode}
        found = working.call("POST", "/v1/search", message).json()
        assert found["results"]
        assert found["degraded"] == []
