"""`argosy add` against a real HTTP server."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import Result

from argosy.contracts.errors import ArgosyError, Overloaded, UnsupportedType
from tests.integration.cli.conftest import FakeFleet, Invoke

pytestmark = pytest.mark.integration


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "papers"
    made.mkdir()
    for name in ("a b.md", "ünï.txt"):
        (made / name).write_text(name)
    (made / "image.png").write_bytes(b"png")
    return made


def outcome(result: Result) -> dict[str, int]:
    counts: dict[str, int] = json.loads(result.stdout)["counts"]
    return counts


def test_files_arrive_with_name_source_content_and_collection(fleet: FakeFleet, argosy: Invoke, folder: Path) -> None:
    result = argosy("add", str(folder), "--collection", "papers")

    assert result.exit_code == 0, result.output
    [upload] = fleet.uploads
    assert upload["collection"] == ["papers"]
    assert sorted(zip(upload["names"], upload["sources"], upload["data"], strict=True)) == [
        ("a b.md", (folder / "a b.md").as_uri(), b"a b.md"),
        ("ünï.txt", (folder / "ünï.txt").as_uri(), "ünï.txt".encode()),
    ]
    assert "Skipping 1 file" in result.stderr
    assert result.stdout.split() == ["ACCEPTED", "UNCHANGED", "FAILED", "SKIPPED", "2", "0", "0", "1"]


def test_without_wait_nothing_is_polled(fleet: FakeFleet, argosy: Invoke, folder: Path) -> None:
    argosy("add", str(folder))

    assert fleet.polls == {}


def test_a_missing_path_stops_everything_before_anything_is_sent(
    fleet: FakeFleet, argosy: Invoke, folder: Path
) -> None:
    result = argosy("add", str(folder), str(folder / "nowhere.md"))

    assert result.exit_code == 1
    assert result.stderr == f"error: {folder / 'nowhere.md'} does not exist; nothing was sent.\n"
    assert fleet.uploads == []


def test_waiting_ends_with_a_summary(fleet: FakeFleet, argosy: Invoke, folder: Path) -> None:
    result = argosy("add", str(folder), "--wait")

    assert result.exit_code == 0, result.output
    assert result.stdout.split() == ["INDEXED", "UNCHANGED", "FAILED", "SKIPPED", "2", "0", "0", "1"]
    assert "Indexing: 2 of 2" in result.stderr
    polled = ["/v1/batches/0?wait_s=0", "/v1/batches/0?wait_s=2"]
    assert [path for _, path, _ in fleet.seen[1:]] == [*polled, "/v1/collections"]


def test_waiting_ends_with_the_warning_about_the_language(fleet: FakeFleet, argosy: Invoke, folder: Path) -> None:
    views = [
        {"name": name, "documents": 2, "created_at": 0.0, "languages": ["de"], "warning": f"No German in {name}."}
        for name in ("other", "papers")
    ]
    fleet.answer("GET", "/v1/collections", {"collections": views})

    result = argosy("add", str(folder), "--collection", "papers", "--wait")

    assert result.exit_code == 0, result.output
    assert result.stderr.endswith("No German in papers.\n")


def test_a_document_that_fails_is_named_and_the_status_is_1(fleet: FakeFleet, argosy: Invoke, folder: Path) -> None:
    fleet.failing = frozenset({"a b.md"})

    result = argosy("add", str(folder), "--wait")

    assert result.exit_code == 1
    assert f"{folder / 'a b.md'}  no_text  a b.md holds no text." in result.stdout.splitlines()


def test_a_rejected_file_is_reported_and_the_others_are_indexed(fleet: FakeFleet, argosy: Invoke, folder: Path) -> None:
    def refuse(names: list[str]) -> ArgosyError | None:
        return UnsupportedType("image.png is a PNG image.") if "image.png" in names else None

    fleet.refuse_upload = refuse
    fleet.answer("POST", "/v1/documents/refused", {})

    result = argosy("add", str(folder), str(folder / "image.png"), "--wait", "--json")

    assert result.exit_code == 1
    assert outcome(result) == {"indexed": 2, "unchanged": 0, "failed": 1}
    assert [(f["name"], f["code"]) for f in json.loads(result.stdout)["failed"]] == [("image.png", "unsupported_type")]
    [kept] = fleet.bodies[-1]["documents"]
    assert (kept["name"], kept["error"]["code"], kept["bytes"]) == ("image.png", "unsupported_type", 3)
    assert result.stderr == ""


def test_a_full_queue_is_waited_out(fleet: FakeFleet, argosy: Invoke, folder: Path) -> None:
    refusals: list[ArgosyError] = [Overloaded("The queue is full.", retry_after_s=0.01)]
    fleet.refuse_upload = lambda names: refusals.pop() if refusals else None

    result = argosy("add", str(folder), "--json")

    assert (result.exit_code, outcome(result)["accepted"]) == (0, 2)
    assert refusals == []


def test_standard_input_is_a_document(fleet: FakeFleet, argosy: Invoke) -> None:
    result = argosy("add", "-", stdin=b"piped text")

    assert result.exit_code == 0, result.output
    assert fleet.uploads[0]["data"] == [b"piped text"]
    assert fleet.uploads[0]["sources"][0].startswith("stdin:")


def test_many_files_go_in_several_requests(fleet: FakeFleet, argosy: Invoke, tmp_path: Path) -> None:
    for number in range(40):
        (tmp_path / f"{number}.md").write_text("text")

    result = argosy("add", str(tmp_path), "--wait", "--json")

    assert [len(upload["names"]) for upload in fleet.uploads] == [32, 8]
    assert outcome(result)["indexed"] == 40


def test_without_a_fleet_the_sentence_says_how_to_start_one(argosy: Invoke, folder: Path, nobody: str) -> None:
    result = argosy("add", str(folder), env={"ARGOSY_URL": nobody})

    assert result.exit_code == 1
    assert result.stderr.endswith(f"error: No fleet answers at {nobody}. Start one with: argosy up\n")
