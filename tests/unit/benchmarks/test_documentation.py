"""Choice of documentation pages: a fixed rule, and corpora that share no page."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from argosy.evaluation import questions
from benchmarks import _documentation
from benchmarks._documentation import GROUPS, PARTS, Group

QUESTIONS = Path(__file__).resolve().parents[3] / "benchmarks" / "questions"


def page(folder: Path, name: str, size: int = 10_000) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text("x" * size)
    return path


def test_parts_share_no_page_and_step_through_the_sorted_names(tmp_path: Path) -> None:
    for name in "abcdefg":
        page(tmp_path / "docs", f"{name}.html")
    group = Group("g", "p", "docs", every=3)
    assert [path.name for path in group.chosen(tmp_path, "dev")] == ["a.html", "d.html", "g.html"]
    assert [path.name for path in group.chosen(tmp_path, "test")] == ["b.html", "e.html"]


def test_short_pages_indexes_links_and_names_outside_the_rule_are_left_out(tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    kept = page(docs, "sql-a.html")
    page(docs, "other.html")
    page(docs, "sql-b.html", size=10)
    page(docs, "index.html")
    page(docs, "genindex-all.html")
    (docs / "sql-c.html").symlink_to(kept)
    assert Group("g", "p", "docs", every=2, kept="sql-|.*index").chosen(tmp_path, "dev") == [kept]


def test_a_group_of_one_part_gives_the_other_nothing(tmp_path: Path) -> None:
    page(tmp_path / "docs", "a.html")
    assert Group("g", "p", "docs", every=2, parts=("dev",)).chosen(tmp_path, "test") == []


def test_a_copy_is_named_by_its_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page(tmp_path / "root" / "docs", "a.html")
    monkeypatch.setattr(_documentation, "GROUPS", (Group("tool", "p", "docs", every=2),))
    assert [path.name for path in _documentation.build(tmp_path / "root", "dev", tmp_path / "out")] == ["tool-a.html"]


def test_every_group_keeps_the_parts_apart() -> None:
    assert all(group.every >= len(PARTS) for group in GROUPS)


@pytest.mark.parametrize("part", PARTS)
def test_questions_can_be_read_and_name_a_page_of_a_known_group(part: str) -> None:
    path = QUESTIONS / f"documentation-{part}.json"
    cases = questions.read(path).cases
    names = tuple(f"{group.name}-" for group in GROUPS if part in group.parts)
    assert len(cases) == len(json.loads(path.read_text())) >= 34
    for case in cases:
        assert case.nothing or (case.relevance and all(name.startswith(names) for name in case.relevance)), case
    assert len({case.question for case in cases}) == len(cases)
