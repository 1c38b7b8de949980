"""Selection of files and their sources."""

from __future__ import annotations

from pathlib import Path

import pytest

from argosy.cli.sending.collect import STDIN, collect
from argosy.contracts.errors import InvalidRequest, NotFound

pytestmark = pytest.mark.unit


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("b.md", "a.TXT", "image.png", ".hidden.md", "sub/c.pdf", ".git/d.md"):
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_text("text")
    return tmp_path


def test_a_folder_gives_its_supported_files_and_counts_the_others(folder: Path) -> None:
    collected = collect([folder], recursive=True)

    assert [one.name for one in collected.outgoing] == ["a.TXT", "b.md", "c.pdf"]
    assert len(collected.skipped) == 1


def test_without_recursion_folders_inside_are_left_out(folder: Path) -> None:
    assert [one.name for one in collect([folder], recursive=False).outgoing] == ["a.TXT", "b.md"]


def test_a_named_file_is_sent_whatever_it_is_called(folder: Path) -> None:
    named = [folder / "image.png", folder / ".hidden.md"]

    assert [one.name for one in collect(named, recursive=True).outgoing] == ["image.png", ".hidden.md"]


def test_the_source_is_an_absolute_file_uri(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spaced = folder / "sub" / "ü x.md"
    spaced.write_text("text")
    monkeypatch.chdir(folder)

    [one] = collect([Path("sub/../sub/ü x.md")], recursive=True).outgoing

    assert one.source == spaced.as_uri()
    assert one.source.endswith("/sub/%C3%BC%20x.md")


def test_a_file_reached_twice_is_sent_once(folder: Path) -> None:
    assert len(collect([folder, folder / "b.md", folder / "sub" / ".." / "b.md"], recursive=True).outgoing) == 3


def test_a_missing_path_is_refused_before_anything_is_read(folder: Path) -> None:
    with pytest.raises(NotFound, match=r"nowhere does not exist; nothing was sent\."):
        collect([folder, folder / "nowhere"], recursive=True)


def test_a_folder_with_nothing_to_send_is_refused(tmp_path: Path) -> None:
    (tmp_path / "image.png").write_bytes(b"")

    with pytest.raises(InvalidRequest, match=r"nothing to send"):
        collect([tmp_path], recursive=True)


def test_standard_input_is_named_by_its_content() -> None:
    [first] = collect([STDIN], True, b"one").outgoing
    [again] = collect([STDIN], True, b"one").outgoing
    [other] = collect([STDIN], True, b"two").outgoing

    assert first.source == again.source != other.source
    assert (first.name, first.read()) == ("stdin", b"one")


def test_a_folder_gives_every_file_that_holds_text(tmp_path: Path) -> None:
    texts = {"app.py": b"x = 1\n", "compose.yaml": b"a: 1\n", "Makefile": b"all:\n\ttrue\n", "latin": b"caf\xe9\n"}
    others = {"app.pyc": b"\xcb\r\r\n\0\0\0\0", "empty.cfg": b"", "tool": b"\x7fELF\2\1\1\0"}
    for name, data in (texts | others).items():
        (tmp_path / name).write_bytes(data)
    collected = collect([tmp_path], recursive=True)
    assert {one.name for one in collected.outgoing} == set(texts)
    assert {path.name for path in collected.skipped} == set(others)
