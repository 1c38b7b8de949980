"""`argosy eval` against a fake fleet: errors are one sentence with a remedy, and failures count against their case."""

from __future__ import annotations

from pathlib import Path

import pytest

from argosy.contracts.errors import InvalidRequest
from tests.integration.cli.conftest import FakeFleet, Invoke

pytestmark = pytest.mark.integration

CHAT = "/v1/chat/completions"
ANSWER = {
    "model": "argosy",
    "choices": [{"message": {"role": "assistant", "content": "The indexed documents do not say."}}],
    "citations": [],
    "degraded": [],
}
COLLECTION = {"name": "papers", "documents": 1, "created_at": 0.0}


def questions(tmp_path: Path) -> str:
    path = tmp_path / "own.csv"
    path.write_text("question,expected,unanswerable\nHow much?,14 euros,\nWho is mayor?,,yes\n")
    return str(path)


def test_a_case_that_gets_an_error_is_counted_and_the_others_are_measured(
    fleet: FakeFleet, argosy: Invoke, tmp_path: Path
) -> None:
    fleet.answer("GET", "/livez", {})
    fleet.answer("GET", "/v1/collections", {"collections": [COLLECTION]})
    fleet.answer("POST", CHAT, InvalidRequest("The question is too odd."), ANSWER)

    result = argosy("eval", questions(tmp_path), "--collection", "papers", "--all")

    assert result.exit_code == 0, result.output
    assert "no answer: The question is too odd." in result.stdout
    assert "right  " in result.stdout


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--mode", "fast"), "--mode 'fast' is not known"),
        (("--set", "fleet.name=x"), "--documents FOLDER"),
        (("--gate", "right"), "--gate 'right' is not a condition"),
        (("--name", "../x"), "cannot be the name of a result"),
        (("--documents", "gone", "--collection", "papers"), "--documents or --collection, not both"),
        (("--collection", "none"), "There are: papers."),
    ],
)
def test_a_wrong_option_is_told_before_anything_is_sent(
    fleet: FakeFleet, argosy: Invoke, tmp_path: Path, options: tuple[str, ...], said: str
) -> None:
    fleet.answer("GET", "/livez", {})
    fleet.answer("GET", "/v1/collections", {"collections": [COLLECTION]})

    result = argosy("eval", questions(tmp_path), *options)

    assert result.exit_code == 1
    assert said in " ".join(result.stderr.split())
    assert not [path for method, path, _ in fleet.seen if method == "POST"]


def test_without_a_fleet_at_the_given_address_no_temporary_one_is_started(
    argosy: Invoke, tmp_path: Path, nobody: str
) -> None:
    result = argosy("eval", questions(tmp_path), "--url", nobody)

    assert result.exit_code == 1
    assert "No fleet answers at" in result.stderr


def test_nothing_to_evaluate_and_nothing_to_compare_is_refused(argosy: Invoke) -> None:
    assert "--compare A B" in argosy("eval", "--json").stderr
    assert "There is no evaluation 'a'" in argosy("eval", "--compare", "a", "b").stderr
