"""Files that a mirror of a folder sends, and documents that it deletes."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy.cli.sending.collect import SUPPORTED, Outgoing, scan
from argosy.cli.sending.mirror import (
    Held,
    MirrorPlan,
    Settled,
    Stamp,
    plan,
    refuse_sudden_emptiness,
    roots,
    stamp,
    within,
)
from argosy.contracts.errors import InvalidRequest
from argosy.services.documents.parsing.formats import IMAGES, SUFFIXES, Format

pytestmark = pytest.mark.unit

ROOT = "file:///home/papers/"
OLD: Stamp = (1, 2, 3, 4)
NEW: Stamp = (1, 2, 5, 5)


def local(*names: str, **stamps: Stamp) -> dict[str, tuple[Outgoing, Stamp | None]]:
    """Return local files with the stamp OLD, except those given with another stamp."""
    return {ROOT + name: (Outgoing(name, ROOT + name), stamps.get(name, OLD)) for name in (*names, *stamps)}


def held(*sources: str) -> list[Held]:
    return [Held(f"id of {source}", source) for source in sources]


def taken(*names: str) -> dict[str, Settled]:
    return {ROOT + name: Settled(OLD, taken=True) for name in names}


def told(made: MirrorPlan) -> tuple[list[str], list[str]]:
    return [one.name for one in made.send], [one.id for one in made.forget]


def test_the_first_round_sends_all_and_forgets_what_is_gone() -> None:
    made = plan(local("a.md", "b.md"), held(ROOT + "a.md", ROOT + "old.md"), [ROOT], {})
    assert told(made) == (["a.md", "b.md"], [f"id of {ROOT}old.md"])


def test_later_rounds_send_what_changed_and_what_moved_here() -> None:
    before = taken("a.md", "b", "c.md")
    made = plan(local("a.md", "moved.md", b=NEW), held(*before), [ROOT], before)
    assert told(made) == (["moved.md", "b"], [f"id of {ROOT}c.md"])


def test_what_was_refused_is_sent_again_when_it_changed_and_not_before() -> None:
    before = {ROOT + "bad": Settled(OLD, taken=False)}
    assert told(plan(local("bad"), [], [ROOT], before)) == ([], [])
    assert told(plan(local(bad=NEW), [], [ROOT], before)) == (["bad"], [])


def test_what_the_fleet_lost_is_sent_again() -> None:
    assert told(plan(local("a.md", "b.md"), held(ROOT + "b.md"), [ROOT], taken("a.md", "b.md"))) == (["a.md"], [])


def test_a_stamp_tells_a_file_that_was_written_replaced_or_made_readable(tmp_path: Path) -> None:
    file, other = tmp_path / "a.md", tmp_path / "b.md"
    one = Outgoing("a.md", file.as_uri(), path=file)
    assert stamp(one) is None
    file.write_text("text")
    stamps = [stamp(one)]
    file.write_text("other")
    stamps.append(stamp(one))
    other.write_text("again")
    other.replace(file)
    stamps.append(stamp(one))
    file.chmod(0o600)
    stamps.append(stamp(one))
    assert len(set(stamps)) == 4


@given(st.lists(st.sampled_from(["file:///home/other/x", "file:///home/papers-2/x", "x.md", "text:1", "stdin:2"])))
def test_what_others_added_is_never_forgotten(sources: list[str]) -> None:
    assert plan({}, held(*sources), [ROOT], {}).forget == []


def test_a_mirror_answers_for_what_lies_below_its_folders_and_for_its_files(tmp_path: Path) -> None:
    file = tmp_path / "single.md"
    file.write_text("text")
    prefixes = list(roots([tmp_path, file]).values())
    assert within((tmp_path / "sub" / "a.md").as_uri(), prefixes)
    assert within(file.as_uri(), [prefixes[1]])
    assert not within(file.as_uri() + ".bak", [prefixes[1]])
    assert not within(tmp_path.as_uri() + "-other/a.md", prefixes)


def test_a_folder_that_is_empty_all_at_once_is_not_believed() -> None:
    other = "file:///mnt/other/"
    both = {Path("papers"): ROOT, Path("other"): other}
    with pytest.raises(InvalidRequest, match="other holds nothing now, but 1 document is indexed from there"):
        refuse_sudden_emptiness([ROOT + "a.md"], held(other + "b.md"), both)
    refuse_sudden_emptiness([], [], both)
    refuse_sudden_emptiness([ROOT + "a.md", other + "c.md"], held(ROOT + "d.md", other + "b.md"), both)


def test_an_empty_folder_is_nothing_to_send(tmp_path: Path) -> None:
    assert scan([tmp_path], recursive=True).outgoing == []


def test_folders_are_searched_for_what_the_service_reads() -> None:
    assert frozenset(suffix for suffix, kind in SUFFIXES.items() if kind not in IMAGES | {Format.CODE}) == SUPPORTED
