"""`argosy eval` with real processes: on a running fleet, on a temporary one, and after Ctrl-C."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.fleet import NOT_INHERITED, MakeFleet, RealFleet, argosy, until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

FAKE = {"ARGOSY_SERVICES__EMBEDDING__BACKEND": "fake"}


@pytest.fixture(scope="module")
def fleet(make_fleet: MakeFleet) -> RealFleet:
    made = make_fleet()
    made.environ |= FAKE
    made.up().ok()
    return made


@pytest.fixture
def beir(tmp_path: Path) -> Path:
    folder = tmp_path / "harbour"
    (folder / "qrels").mkdir(parents=True)
    words = ["anchor", "bollard", "capstan", "davit", "fender", "gangway"]
    corpus = [{"_id": w, "title": w.title(), "text": f"The {w} of this harbour is made of {w} oak."} for w in words]
    queries = [{"_id": f"q-{w}", "text": f"What is the {w} made of?", "metadata": {"answers": ["oak"]}} for w in words]
    (folder / "corpus.jsonl").write_text("\n".join(map(json.dumps, corpus)))
    (folder / "queries.jsonl").write_text("\n".join(map(json.dumps, queries)))
    (folder / "qrels" / "test.tsv").write_text(
        "query-id\tcorpus-id\tscore\n" + "".join(f"q-{w}\t{w}\t1\n" for w in words)
    )
    return folder


def collections(fleet: RealFleet) -> set[str]:
    return {one["name"] for one in fleet.cli("collections", "list", "--json").ok().json()["collections"]}


def test_a_beir_folder_is_measured_in_each_mode_and_nothing_is_left(fleet: RealFleet, beir: Path) -> None:
    before = collections(fleet)

    told = fleet.cli("eval", str(beir), "--mode", "hybrid,lexical", "--json", "--runs", "runs", "--name", "first").ok()

    modes: dict[str, Any] = told.json()["modes"]
    assert set(modes) == {"hybrid", "lexical"}
    assert modes["lexical"]["ndcg@10"] == modes["lexical"]["recall@10"] == modes["lexical"]["mrr@10"] == 1.0
    assert modes["lexical"]["answer_containment"] == 1.0
    assert modes["lexical"]["citations_hold"] == 1.0
    assert modes["lexical"]["answer_words"] > 0
    assert told.json()["intervals"]["lexical"]["ndcg@10"] == [1.0, 1.0]
    assert collections(fleet) == before
    lines = (fleet.cwd / "runs" / "lexical.trec").read_text().splitlines()
    assert {line.split()[2] for line in lines if line.split()[3] == "1"} == {
        p.split('"')[3] for p in (beir / "corpus.jsonl").read_text().splitlines()
    }


def test_results_are_listed_shown_compared_and_gated(fleet: RealFleet, beir: Path) -> None:
    fleet.cli("eval", str(beir), "--no-answers", "--name", "one").ok()
    passed = fleet.cli(
        "eval", str(beir), "--compare", "hybrid", "lexical", "--gate", "lexical:ndcg@10>=0.5", "--name", "two", "--json"
    ).ok()
    failed = fleet.cli("eval", str(beir), "--no-answers", "--gate", "ndcg@10>2")

    assert passed.json()["compare"]["metrics"]["ndcg@10"]["questions"] == 6
    assert failed.exit_code == 1
    assert "The gate failed. ndcg@10>2: ndcg@10 is" in failed.err
    assert {"one", "two"} <= {e["name"] for e in fleet.cli("eval", "list", "--json").ok().json()["evaluations"]}
    assert len(fleet.cli("eval", "show", "two", "--json").ok().json()["modes"]["lexical"]["cases"]) == 6
    compared = fleet.cli("eval", "--compare", "one", "two", "--json").ok().json()
    assert compared["metrics"]["ndcg@10"]["p"] == 1.0


def test_questions_are_drafted_reviewed_and_measured_on_a_collection(fleet: RealFleet, tmp_path: Path) -> None:
    (tmp_path / "fees.md").write_text(
        "# Fees\n\nThe berth fee is 40 euros per night.\n\n## Can I pay by card?\n\nOnly in cash."
    )
    fleet.cli("add", str(tmp_path / "fees.md"), "--collection", "fees", "--wait").ok()

    fleet.cli("eval", "make", "--collection", "fees", "-o", str(tmp_path / "own.csv")).ok()

    drafted = (tmp_path / "own.csv").read_text()
    assert "What is the berth fee?,40 euros,fees.md,numbers" in drafted
    assert "Can I pay by card?,Only in cash,fees.md,headings" in drafted
    again = fleet.cli("eval", "make", "--collection", "fees", "-o", str(tmp_path / "own.csv"))
    assert again.exit_code == 1
    assert "--force" in again.error()
    told = fleet.cli("eval", str(tmp_path / "own.csv"), "--collection", "fees", "--mode", "lexical", "--json").ok()
    assert told.json()["modes"]["lexical"]["recall@10"] == 1.0
    assert set(told.json()["kinds"]["lexical"]) == {"numbers", "headings"}
    unknown = fleet.cli("eval", str(tmp_path / "own.csv"), "--collection", "none")
    assert "There is no collection 'none'" in unknown.error()


def heeding_ctrl_c() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_ctrl_c_removes_the_scratch_collections(fleet: RealFleet, beir: Path) -> None:
    before = collections(fleet)
    corpus = beir / "corpus.jsonl"
    more = [json.dumps({"_id": f"x{n}", "text": f"Crate {n} is full of salt."}) for n in range(2_000)]
    corpus.write_text(corpus.read_text() + "\n" + "\n".join(more))
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(NOT_INHERITED)}
    process = subprocess.Popen(
        [sys.executable, "-m", "argosy.cli", "eval", str(beir), "--data-dir", str(fleet.data_dir)],
        cwd=fleet.cwd,
        env=inherited,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=heeding_ctrl_c,
    )
    try:
        until(lambda: collections(fleet) - before, "a scratch collection")
        process.send_signal(signal.SIGINT)
        assert process.wait(60) != 0
    finally:
        process.kill()

    assert collections(fleet) == before


def test_a_temporary_fleet_serves_where_none_runs_and_leaves_nothing(tmp_path: Path, beir: Path) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    environ = {**FAKE, "TMPDIR": str(temporary), "ARGOSY_DATA_DIR": str(tmp_path / "data")}
    own = tmp_path / "own.csv"
    own.write_text("question,expected\nWhat is it?,oak\n")

    without_documents = argosy("eval", str(own), cwd=tmp_path, environ={**environ, "ARGOSY_URL": ""})
    told = argosy(
        "eval", str(beir), "--set", "services.documents.chunk_tokens=64", "--json", cwd=tmp_path, environ=environ
    ).ok()

    assert without_documents.exit_code == 1
    assert told.json()["modes"]["hybrid"]["recall@100"] == 1.0
    assert told.json()["settings"]["services.documents.chunk_tokens"] == "64"
    assert "temporary fleet" in told.err
    assert list(temporary.glob("argosy-eval-*")) == []
    assert len(list((tmp_path / "data" / "evaluations").iterdir())) == 1
