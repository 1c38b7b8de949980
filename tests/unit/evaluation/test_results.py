"""Stored results: summary, bounds, names, versions, comparison and gates."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from argosy.contracts.errors import InvalidRequest, NotFound
from argosy.evaluation import results as module
from argosy.evaluation.gates import gate
from argosy.evaluation.results import CaseResult, Evaluated, Evaluation, Results, differences, mode_result

pytestmark = pytest.mark.unit


def evaluation(name: str, *cases: CaseResult) -> Evaluation:
    made = mode_result(cases or [CaseResult("1", "Why?", {"right": 1.0})])
    return Evaluation(name, 1.0, "0", Evaluated("own", "questions", "d", len(cases)), {"hybrid": made}, 2.0)


def test_a_result_is_summarised_over_the_cases_that_a_metric_applies_to() -> None:
    found = mode_result(
        [
            CaseResult("1", "a", {"right": 1.0, "answer_words": 10.0}, "tables"),
            CaseResult("2", "b", {"right": 0.0}, "tables", ["lacks 'x'"], degraded=["embedding"]),
            CaseResult("3", "c", {"right": 0.0}, "other", ["no answer: gone"]),
        ]
    )

    assert found.metrics == {"right": pytest.approx(1 / 3), "answer_words": 10.0}
    assert found.counts == {"right": 3, "answer_words": 1}
    assert found.intervals["answer_words"] == (10.0, 10.0)
    assert found.kinds["tables"] == {"right": 0.5, "answer_words": 10.0, "cases": 2.0}
    assert (found.degraded, found.failed) == (1, 1)


def test_a_result_is_stored_for_its_owner_and_read_again(tmp_path: Path) -> None:
    results = Results(tmp_path / "data")
    made = evaluation("first", CaseResult("1", "Why?", {"right": 1.0}, wrong=["x"]))

    path = results.save(made)

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert results.load("first") == results.load("latest") == results.load(str(path)) == made
    assert results.names() == ["first"]


def test_only_the_newest_results_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_KEPT", 3)
    results = Results(tmp_path)
    for number in range(5):
        path = results.save(evaluation(f"r{number}"))
        os.utime(path, (number, number))

    assert results.names()[0] == "r4"
    assert len(results.names()) == 3


@pytest.mark.parametrize("name", ["../x", "", "a/b", "latest", "x.json", "-x", "a" * 101, "a b"])
def test_a_name_that_could_leave_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidRequest, match="cannot be the name"):
        Results(tmp_path).save(evaluation(name))


def test_what_is_not_a_result_is_refused_with_a_remedy(tmp_path: Path) -> None:
    results = Results(tmp_path)
    path = results.save(evaluation("first"))
    later = json.loads(path.read_bytes()) | {"format": module.FORMAT + 1, "new_field": 1}
    (tmp_path / "later.json").write_text(json.dumps(later))
    (tmp_path / "other.json").write_text('{"a": 1}')

    with pytest.raises(InvalidRequest, match="later version of argosy"):
        results.load(str(tmp_path / "later.json"))
    with pytest.raises(InvalidRequest, match="not the result of an evaluation"):
        results.load(str(tmp_path / "other.json"))
    with pytest.raises(NotFound, match="Stored are: first"):
        results.load("second")
    with pytest.raises(NotFound, match="argosy eval DIR"):
        Results(tmp_path / "empty").load("latest")


def test_results_are_compared_over_the_cases_that_both_have() -> None:
    a = mode_result([CaseResult(str(n), "", {"right": 0.0}) for n in range(10)] + [CaseResult("only a", "", {"x": 1})])
    b = mode_result([CaseResult(str(n), "", {"right": 1.0}) for n in range(2, 12)])

    found = differences(a, b)

    assert set(found) == {"right"}
    assert (found["right"].questions, found["right"].difference, found["right"].better) == (8, 1.0, 8)
    assert found["right"].p == pytest.approx(2 / 2**8)


@pytest.mark.parametrize(
    ("text", "failure"),
    [
        ("ndcg@10>=0.55", None),
        ("ndcg@10 >= 0.56", "ndcg@10 is 0.5500"),
        ("dense:right < 0.2", None),
        ("lexical:right>0", "the mode lexical was not evaluated"),
        ("recall@10>0", "there is no recall@10; measured are ndcg@10"),
    ],
)
def test_a_gate_holds_or_says_why_not(text: str, failure: str | None) -> None:
    found = gate(text).failure({"hybrid": {"ndcg@10": 0.55}, "dense": {"right": 0.1}})

    assert (found is None) == (failure is None), found
    assert failure is None or failure in (found or "")


@pytest.mark.parametrize("text", ["ndcg@10", "ndcg@10=0.5", "fast:right>1", ">=0.5", "right>=x"])
def test_what_is_not_a_condition_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest, match="--gate"):
        gate(text)
