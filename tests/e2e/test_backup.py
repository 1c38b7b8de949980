"""Backup of a fleet that ingests, loss of its folder, and restoration, with real processes."""

from __future__ import annotations

import functools
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.fleet import FAKE, MakeFleet, RealFleet, until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

QUESTIONS = ("Which ships are in harbour 3?", "What does mooring cost at quay 7?", "Who keeps the lamp?")


def send(fleet: RealFleet, first: int, count: int) -> str:
    documents = [
        {
            "id": f"quay-{number}",
            "title": f"Quay {number}",
            "text": f"# Quay {number}\n\nThe ships in harbour {number} are old. Mooring at quay {number} costs "
            f"{number + 20} euros. The keeper of lamp {number} is called Mara {number}.",
        }
        for number in range(first, first + count)
    ]
    answer = fleet.call("POST", "/v1/documents", {"documents": documents})
    assert answer.status == 202
    return str(answer.json()["batch_id"])


def done(fleet: RealFleet, batch_id: str) -> bool:
    return bool(fleet.call("GET", f"/v1/batches/{batch_id}").json()["done"])


def listed(fleet: RealFleet) -> list[tuple[str, str]]:
    found = fleet.call("GET", "/v1/documents?limit=200").json()["documents"]
    return sorted((document["id"], document["status"]) for document in found)


def all_indexed(fleet: RealFleet) -> bool:
    return all(status in ("indexed", "unchanged") for _, status in listed(fleet))


def answers(fleet: RealFleet) -> list[Any]:
    """Return what searches and questions give, without times and ids of the requests."""
    found: list[Any] = []
    for question in QUESTIONS:
        searched = fleet.call("POST", "/v1/search", {"query": question, "top_k": 5}).json()
        asked = fleet.call(
            "POST", "/v1/chat/completions", {"model": "argosy", "messages": [{"role": "user", "content": question}]}
        ).json()
        found.append((searched["results"], asked["choices"], asked.get("citations")))
    return found


def test_a_destroyed_fleet_answers_as_before_after_its_backup_is_restored(
    make_fleet: MakeFleet, tmp_path: Path
) -> None:
    fleet = make_fleet()
    fleet.up(*FAKE).ok()
    until(functools.partial(done, fleet, send(fleet, 0, 12)), "the first documents to be indexed")
    late = send(fleet, 100, 40)
    meanwhile = tmp_path / "meanwhile"
    fleet.cli("state", "backup", str(meanwhile)).ok()
    until(functools.partial(done, fleet, late), "the late documents to be indexed")
    settled = tmp_path / "settled"
    made = json.loads(fleet.cli("state", "backup", str(settled), "--json").ok().out)
    assert made["documents"] == 52
    before, documents = answers(fleet), listed(fleet)
    assert fleet.cli("state", "verify").exit_code == 0
    refused = fleet.cli("state", "restore", str(settled))
    assert refused.exit_code == 1
    assert "A fleet is running" in refused.err
    for backup in (meanwhile, settled):
        assert fleet.cli("state", "verify", str(backup)).exit_code == 0

    fleet.down().ok()
    shutil.rmtree(fleet.data_dir)
    fleet.cli("state", "restore", str(settled)).ok()
    fleet.up(*FAKE).ok()
    assert listed(fleet) == documents
    assert answers(fleet) == before
    assert fleet.cli("state", "verify").exit_code == 0

    fleet.down().ok()
    shutil.rmtree(fleet.data_dir)
    fleet.cli("state", "restore", str(meanwhile)).ok()
    fleet.up(*FAKE).ok()
    until(functools.partial(all_indexed, fleet), "work that was in progress to continue", within_s=180.0)
    assert fleet.cli("state", "verify").exit_code == 0
    fleet.down().ok()
