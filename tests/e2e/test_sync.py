"""`argosy sync` and the statistics with real processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.fleet import SharedFleet, until
from tests.e2e.wire import send

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]


def counts(fleet: SharedFleet, folder: Path, *options: str) -> dict[str, int]:
    told: dict[str, int] = (
        fleet.cli("sync", str(folder), "--collection", "mirror", "--json", *options).ok().json()["counts"]
    )
    return told


def ingestion(fleet: SharedFleet) -> dict[str, Any]:
    return dict(fleet.admin("/v1/analytics/ingestion?window=1h"))


def sources(fleet: SharedFleet) -> set[str]:
    return {document["source"] for document in fleet.documents("mirror")}


def test_a_mirror_follows_its_folder_and_embeds_only_what_is_new(shared_fleet: SharedFleet, tmp_path: Path) -> None:
    folder = tmp_path / "papers"
    (folder / "deep").mkdir(parents=True)
    for name in ("a.md", "b.md", "deep/c.md"):
        (folder / name).write_text(f"# Paper {name}\n\nThe quay of {name} is long and made of oak.")
    others = {"documents": [{"id": "other", "text": "Not of the folder."}], "collection": "mirror"}
    assert shared_fleet.call("POST", "/v1/documents", others).status == 202

    assert counts(shared_fleet, folder) == {"indexed": 3, "unchanged": 0, "deleted": 0, "failed": 0}
    assert counts(shared_fleet, folder) == {"indexed": 0, "unchanged": 3, "deleted": 0, "failed": 0}

    before = ingestion(shared_fleet)
    (folder / "a.md").rename(folder / "deep" / "moved.md")
    (folder / "b.md").unlink()
    assert counts(shared_fleet, folder) == {"indexed": 1, "unchanged": 1, "deleted": 2, "failed": 0}
    after = ingestion(shared_fleet)
    assert after["chunks"] == before["chunks"] + 1
    assert after["chunks_embedded"] == before["chunks_embedded"], "a file that moved is not embedded again"
    assert sources(shared_fleet) == {"other", *((folder / "deep" / name).as_uri() for name in ("c.md", "moved.md"))}

    for name in ("c.md", "moved.md"):
        os.unlink(folder / "deep" / name)
    refused = shared_fleet.cli("sync", str(folder), "--collection", "mirror")
    assert refused.exit_code == 1
    assert "--empty" in refused.error()
    assert counts(shared_fleet, folder, "--empty")["deleted"] == 2
    assert sources(shared_fleet) == {"other"}


def heeding_ctrl_c() -> None:
    """Restore SIGINT as in a terminal: background processes of a script and their children ignore it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_a_watched_folder_is_followed_until_it_is_gone_and_when_it_is_back(
    shared_fleet: SharedFleet, tmp_path: Path
) -> None:
    folder, away = tmp_path / "watched", tmp_path / "away"
    folder.mkdir()
    (folder / "first.md").write_text("The first lamp is green.")
    (folder / "broken.md").write_bytes(b"")
    command = [sys.executable, "-m", "argosy.cli", "sync", str(folder), "--watch", "--collection", "watched"]
    with (tmp_path / "said").open("w") as said:
        environ = {**os.environ, "ARGOSY_DATA_DIR": str(shared_fleet.data_dir)}
        watching = subprocess.Popen(
            command, env=environ, stdout=said, stderr=said, stdin=subprocess.DEVNULL, preexec_fn=heeding_ctrl_c
        )

    def mirrored(*files: str) -> bool:
        listed = shared_fleet.call("GET", "/v1/documents?collection=watched")
        views = listed.json()["documents"] if listed.status == 200 else []
        return sorted(view["name"] for view in views if view["status"] == "indexed") == sorted(files)

    try:
        until(lambda: mirrored("first.md"), "the first round")
        (folder / "second.md").write_text("The second lamp is white.")
        until(lambda: mirrored("first.md", "second.md"), "the new file to be indexed")
        (folder / "first.md").unlink()
        until(lambda: mirrored("second.md"), "the deleted file to be forgotten")
        folder.rename(away)
        until(lambda: "does not exist" in (tmp_path / "said").read_text(), "the folder to be missed")
        assert mirrored("second.md"), "a folder that went away takes nothing with it"
        (away / "third.md").write_text("The third lamp is dark.")
        away.rename(folder)
        until(lambda: mirrored("second.md", "third.md"), "the folder to be followed again")
        watching.send_signal(signal.SIGINT)
        assert watching.wait(30) == 0
    finally:
        watching.kill()
        watching.wait()
    assert "Traceback" not in (tmp_path / "said").read_text()


def test_a_batch_can_be_followed_as_events(shared_fleet: SharedFleet) -> None:
    documents = [{"id": f"followed {n}", "text": f"The buoy {n} is green."} for n in range(5)]
    accepted = shared_fleet.call("POST", "/v1/documents", {"documents": documents, "collection": "followed"}).json()
    answer = send(shared_fleet.url, "GET", f"/v1/batches/{accepted['batch_id']}?follow=1")
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/event-stream")
    told = [json.loads(line[6:]) for line in answer.body.decode().splitlines() if line.startswith("data: ")]
    assert [view["progress"] for view in told] == sorted(view["progress"] for view in told)
    assert {view["total"] for view in told} == {5}
    assert (told[-1]["done"], told[-1]["counts"]["indexed"]) == (True, 5)


def test_statistics_say_what_ingestion_did(shared_fleet: SharedFleet) -> None:
    told = ingestion(shared_fleet)
    assert {"parse", "chunk", "embed", "index"} <= set(told["stages"])
    assert told["indexed"] <= told["processed"]
    headers = {"authorization": f"Bearer {shared_fleet.token}"}
    wrong = send(shared_fleet.admin_url, "GET", "/v1/analytics/ingestion?window=often", headers=headers)
    assert (wrong.status, wrong.json()["error"]["param"]) == (400, "window")
