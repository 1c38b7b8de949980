"""The first ten minutes of a user: start a fleet, add a folder, ask, search, delete."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import READABLE
from tests.e2e.fleet import SERVICES, Ran, SharedFleet, names, until
from tests.samples.make_samples import PAGES

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

WAVES = {"store": 0, "embedding": 0, "documents": 1, "retrieval": 1, "generation": 1, "gateway": 2}
CREW = "Crew of the Halcyon Tern"
QUESTIONS: dict[str, tuple[str, str, str, str | None, int | None]] = {
    "markdown": ("When does the storm gate close?", "5.8 metres", "handbook.md", "Storm plan", None),
    "text": ("When does the fuel barge sell diesel?", "from 07:00 to 19:00", "notices.txt", None, None),
    "html": ("How fast does the ebb run?", "3.5 knots", "tides.html", "Currents", None),
    "pdf": ("How often is the lubricating oil changed?", "500 running hours", "manual.pdf", "Engine room", 2),
    "docx": (
        "Who keeps the watch from midnight to six?",
        "The second mate",
        "crew.docx",
        "Crew of the Halcyon Tern",
        None,
    ),
}


def citations(fleet: SharedFleet, question: str) -> list[dict[str, Any]]:
    return list(fleet.cli("ask", question, "--json").ok().json()["citations"])


def test_up_succeeds_whatever_the_environment_names(shared_fleet: SharedFleet) -> None:
    assert shared_fleet.started.exit_code == 0, shared_fleet.started.err
    assert "6 of 6 services started" in shared_fleet.started.out
    assert shared_fleet.url in shared_fleet.started.out
    assert shared_fleet.admin_url in shared_fleet.started.out
    assert not shared_fleet.trap.visited()
    assert (shared_fleet.data_dir / "catalog.db").is_file()
    assert shared_fleet.admin("/v1/config")["services"]["generation"]["backend"] == "extractive"


def test_services_start_after_what_they_depend_on(shared_fleet: SharedFleet) -> None:
    report = shared_fleet.admin("/v1/start")
    assert report["finished"]
    assert {entry["service"]: entry["wave"] for entry in report["services"]} == WAVES
    assert [entry["wave"] for entry in report["services"]] == [0, 0, 1, 1, 1, 2]
    assert {entry["outcome"] for entry in report["services"]} == {"started"}
    launched = {
        service["name"]: service["replicas"][0]["started_at"] for service in shared_fleet.admin("/v1/fleet")["services"]
    }
    took_s = {entry["service"]: entry["seconds"] for entry in report["services"]}
    for service, wave in WAVES.items():
        for dependency in (name for name in WAVES if WAVES[name] < wave):
            # Half of the time is margin, because the report and the replica's record use different clocks.
            assert launched[service] > launched[dependency] + took_s[dependency] / 2


def test_status_shows_six_healthy_services(shared_fleet: SharedFleet) -> None:
    until(lambda: shared_fleet.cli("status").exit_code == 0, "a healthy fleet")
    view = shared_fleet.cli("status", "--json").ok().json()
    assert view["status"] == "HEALTHY"
    assert {service["name"]: service["status"] for service in view["services"]} == dict.fromkeys(SERVICES, "HEALTHY")
    assert {r["id"]: r["pid"] for s in view["services"] for r in s["replicas"]} == shared_fleet.pids()
    assert "HEALTHY" in shared_fleet.cli("status").ok().out


def test_balancing_is_explained_by_who_calls(shared_fleet: SharedFleet, added: Ran) -> None:
    shared_fleet.cli("search", "storm gate").ok()
    view = shared_fleet.cli("balance", "explain", "store", "--json").ok().json()
    assert (view["service"], view["strategy"]) == ("store", "adaptive")
    callers = {caller["caller"].rpartition("-")[0]: caller["balance"]["replicas"] for caller in view["callers"]}
    assert callers["retrieval"][0]["id"] in shared_fleet.pids()
    assert callers["retrieval"][0]["ended"] >= 1
    assert callers["documents"][0]["ended"] >= 1
    printed = shared_fleet.cli("balance", "explain", "store").ok().out
    assert "store: adaptive" in printed
    assert all(caller["caller"] in printed for caller in view["callers"])
    assert " by adaptive: " in printed


def test_the_token_and_the_data_are_the_owners_only(shared_fleet: SharedFleet) -> None:
    assert shared_fleet.data_dir.stat().st_mode & 0o777 == 0o700
    exposed = [path for path in shared_fleet.data_dir.iterdir() if path.is_file() and path.stat().st_mode & 0o077]
    assert not exposed


def test_a_folder_of_every_format_is_indexed(added: Ran) -> None:
    assert added.ok().json()["counts"] == {"indexed": 5, "unchanged": 0, "failed": 0}
    assert names(added.json()["documents"]) == set(READABLE)


def test_documents_are_listed_with_what_became_of_them(shared_fleet: SharedFleet, added: Ran, folder: Path) -> None:
    listed = {document["name"]: document for document in shared_fleet.documents("default")}
    assert set(READABLE) <= set(listed)
    for name in READABLE:
        assert listed[name]["status"] == "indexed"
        assert listed[name]["source"] == (folder / name).as_uri()
        assert listed[name]["chunks"] >= 1
    assert listed["manual.pdf"]["pages"] == len(PAGES)
    shown = shared_fleet.cli("documents", "show", listed["crew.docx"]["id"]).ok().out
    assert "crew.docx" in shown
    assert "indexed" in shown


@pytest.mark.parametrize("kind", QUESTIONS)
def test_an_answer_is_right_and_cites_file_heading_and_page(
    kind: str, shared_fleet: SharedFleet, added: Ran, folder: Path
) -> None:
    question, answer, name, heading, page = QUESTIONS[kind]
    said = shared_fleet.cli("ask", question, "--json").ok().json()
    assert set(said) >= {"answer", "citations", "degraded", "model", "timings_ms"}
    assert said["degraded"] == []
    assert answer in said["answer"]
    assert "[1]" in said["answer"]
    cited = next(c for c in said["citations"] if answer in c["quote"])
    assert f"[{cited['index']}]" in said["answer"]
    assert cited["name"] == name
    assert cited["source"] == (folder / name).as_uri()
    assert cited["page"] == page
    assert (heading in cited["heading_path"]) if heading else cited["heading_path"] == []


def test_ask_prints_the_answer_and_under_it_where_it_stands(shared_fleet: SharedFleet, added: Ran) -> None:
    question, answer, name, heading, page = QUESTIONS["pdf"]
    for streamed in ("--stream", "--no-stream"):
        said, _, sources = shared_fleet.cli("ask", question, streamed).ok().out.partition("\n\n")
        assert answer in said
        assert f"[1] {name} › {heading} (p. {page})" in sources
        assert "Degraded" not in sources


@pytest.mark.parametrize("mode", ["hybrid", "dense", "lexical"])
def test_search_finds_the_passage_in_every_mode(mode: str, shared_fleet: SharedFleet, added: Ran) -> None:
    found = shared_fleet.cli("search", "lubricating oil of the main engine", "--mode", mode, "--json").ok().json()
    assert found["degraded"] == []
    best = found["results"][0]
    assert (best["name"], best["page"], best["heading_path"]) == ("manual.pdf", 2, ["Engine room"])
    assert "lubricating oil" in best["text"]
    scores = [hit["score"] for hit in found["results"]]
    assert scores == sorted(scores, reverse=True)
    assert all(0 <= score <= 1 for score in scores)


def test_dense_search_needs_no_word_in_common_and_lexical_search_does(shared_fleet: SharedFleet, added: Ran) -> None:
    asked = ("search", "physician aboard", "--json", "--mode")
    assert shared_fleet.cli(*asked, "dense").ok().json()["results"][0]["name"] == "crew.docx"
    assert shared_fleet.cli(*asked, "lexical").ok().json()["results"] == []


@pytest.mark.parametrize("kind", QUESTIONS)
def test_a_quote_is_the_slice_its_offsets_name(kind: str, shared_fleet: SharedFleet, added: Ran, folder: Path) -> None:
    question = QUESTIONS[kind][0]
    hits = shared_fleet.call("POST", "/v1/search", {"query": question, "top_k": 50}).json()["results"]
    chunks = {hit["chunk_id"]: hit for hit in hits}
    for cited in citations(shared_fleet, question):
        chunk = chunks[cited["chunk_id"]]
        assert cited["quote"]
        assert cited["quote"] == chunk["text"][cited["start"] - chunk["start"] : cited["end"] - chunk["start"]]
        if cited["name"] in ("handbook.md", "notices.txt"):  # their text is the file itself
            assert cited["quote"] == (folder / cited["name"]).read_text("utf-8")[cited["start"] : cited["end"]]


def test_adding_the_same_again_changes_nothing(shared_fleet: SharedFleet, added: Ran, folder: Path) -> None:
    before = shared_fleet.documents("default")
    again = shared_fleet.cli("add", str(folder), "--wait", "--json").ok().json()
    assert again["counts"] == {"indexed": 0, "unchanged": 5, "failed": 0}
    after = shared_fleet.documents("default")
    assert [(d["id"], d["version"], d["updated_at"]) for d in after] == [
        (d["id"], d["version"], d["updated_at"]) for d in before
    ]


def test_a_changed_file_replaces_its_former_text(shared_fleet: SharedFleet, tmp_path: Path) -> None:
    note = tmp_path / "note.md"
    for colour in ("crimson", "turquoise"):
        note.write_text(f"# Paint\n\nThe funnel is painted {colour}.\n")
        counts = shared_fleet.cli("add", str(note), "--collection", "paint", "--wait", "--json").ok().json()["counts"]
        assert counts["indexed"] == 1
    texts = [hit["text"] for hit in search(shared_fleet, "funnel crimson turquoise", "paint")]
    assert len(texts) == 1
    assert "turquoise" in texts[0]
    assert len(shared_fleet.documents("paint")) == 1


def test_a_deleted_document_is_found_no_more(shared_fleet: SharedFleet, tmp_path: Path) -> None:
    for name in ("kept", "dropped"):
        (tmp_path / f"{name}.md").write_text(f"# Anchor\n\nThe {name} anchor weighs two tonnes.\n")
    shared_fleet.cli("add", str(tmp_path), "--collection", "anchors", "--wait").ok()
    before = {document["name"]: document["id"] for document in shared_fleet.documents("anchors")}
    assert names(search(shared_fleet, "anchor", "anchors")) == {"kept.md", "dropped.md"}
    shared_fleet.cli("documents", "delete", before["dropped.md"]).ok()
    for mode in ("hybrid", "dense", "lexical"):
        assert names(search(shared_fleet, "dropped anchor", "anchors", mode)) == {"kept.md"}
    assert names(shared_fleet.documents("anchors")) == {"kept.md"}
    gone = shared_fleet.cli("documents", "show", before["dropped.md"])
    assert gone.exit_code == 1
    assert before["dropped.md"] in gone.error()


def test_a_batch_tells_how_far_it_is(shared_fleet: SharedFleet) -> None:
    texts = {f"{n}.md": f"# Buoy {n}\n\nBuoy number {n} shows {n} flashes.\n" for n in range(40)}
    batch = shared_fleet.upload(texts, "buoys")["batch_id"]
    seen: list[dict[str, Any]] = []

    def done() -> bool:
        seen.append(shared_fleet.call("GET", f"/v1/batches/{batch}?wait_s=2").json())
        return bool(seen[-1]["done"])

    until(done, "the batch to be done")
    assert {view["total"] for view in seen} == {40}
    assert all(sum(view["counts"].values()) == 40 for view in seen)
    progress = [view["progress"] for view in seen]
    assert progress == sorted(progress)
    assert progress[-1] == 1.0
    assert seen[-1]["counts"]["indexed"] == 40
    assert seen[-1]["eta_s"] == 0.0


def test_adding_what_cannot_be_read_names_each_file_and_adds_the_rest(
    shared_fleet: SharedFleet, samples: dict[str, Path]
) -> None:
    chosen = ("locked.pdf", "image.pdf", "empty.docx", "scan.pdf", "notices.txt")
    paths = [str(samples[name]) for name in chosen]
    ran = shared_fleet.cli("add", *paths, "--collection", "unreadable", "--wait", "--json")
    assert ran.exit_code == 1
    assert {failed["name"]: failed["code"] for failed in ran.json()["failed"]} == {
        "locked.pdf": "encrypted_document",
        "image.pdf": "unreadable_document",
        "empty.docx": "empty_document",
        "scan.pdf": "no_text",
    }
    assert ran.json()["counts"] == {"indexed": 1, "unchanged": 0, "failed": 4}
    assert names(search(shared_fleet, "fuel barge", "unreadable")) == {"notices.txt"}


def search(fleet: SharedFleet, query: str, collection: str, mode: str = "hybrid") -> list[dict[str, Any]]:
    message = {"query": query, "collection": collection, "mode": mode}
    answer = fleet.call("POST", "/v1/search", message)
    assert answer.status == 200, answer.body
    return list(answer.json()["results"])
