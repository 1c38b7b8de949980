"""What a mirror of a folder sends and forgets."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy.cli.collect import SUPPORTED, Outgoing, scan
from argosy.cli.mirror import Held, Plan, plan, refuse_sudden_emptiness, roots, within
from argosy.contracts.errors import InvalidRequest
from argosy.services.documents.formats import IMAGES, SUFFIXES

pytestmark = pytest.mark.unit

ROOT = "file:///home/papers/"


def local(*names: str) -> dict[str, Outgoing]:
    return {ROOT + name: Outgoing(name, ROOT + name) for name in names}


def held(*sources: str) -> list[Held]:
    return [Held(f"id of {source}", source) for source in sources]


def told(made: Plan) -> tuple[list[str], list[str]]:
    return [one.name for one in made.send], made.forget


def test_the_first_round_sends_all_and_forgets_what_is_gone() -> None:
    made = plan(local("a.md", "b.md"), held(ROOT + "a.md", ROOT + "old.md"), [ROOT], None)
    assert told(made) == (["a.md", "b.md"], [f"id of {ROOT}old.md"])


def test_later_rounds_send_what_changed_and_what_moved_here() -> None:
    made = plan(
        local("a.md", "b.md", "moved.md"), held(ROOT + "a.md", ROOT + "b.md", ROOT + "c.md"), [ROOT], {ROOT + "b.md"}
    )
    assert told(made) == (["b.md", "moved.md"], [f"id of {ROOT}c.md"])


@given(st.lists(st.sampled_from(["file:///home/other/x", "file:///home/papers-2/x", "x.md", "text:1", "stdin:2"])))
def test_what_others_added_is_never_forgotten(sources: list[str]) -> None:
    assert plan({}, held(*sources), [ROOT], None).forget == []


def test_a_mirror_answers_for_what_lies_below_its_folders_and_for_its_files(tmp_path: Path) -> None:
    file = tmp_path / "single.md"
    file.write_text("text")
    prefixes = roots([tmp_path, file])
    assert within((tmp_path / "sub" / "a.md").as_uri(), prefixes)
    assert within(file.as_uri(), [prefixes[1]])
    assert not within(file.as_uri() + ".bak", [prefixes[1]])
    assert not within(tmp_path.as_uri() + "-other/a.md", prefixes)


def test_a_folder_that_is_empty_all_at_once_is_not_believed() -> None:
    with pytest.raises(InvalidRequest, match="--empty"):
        refuse_sudden_emptiness([], ["a document"], [Path("papers")])
    refuse_sudden_emptiness([], [], [Path("papers")])
    refuse_sudden_emptiness(["a source"], ["a document"], [Path("papers")])


def test_an_empty_folder_is_nothing_to_send(tmp_path: Path) -> None:
    assert scan([tmp_path], recursive=True).outgoing == []


def test_folders_are_searched_for_what_the_service_reads() -> None:
    assert frozenset(suffix for suffix, kind in SUFFIXES.items() if kind not in IMAGES) == SUPPORTED
