"""Line breaks on a terminal, tables with wide characters, and the help of every command."""

from __future__ import annotations

import itertools
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.core import TyperGroup
from typer.main import get_command
from typer.testing import CliRunner

from argosy.cli import output
from argosy.cli.main import app
from argosy.cli.wrapping import WordWrap, cells_of

pytestmark = pytest.mark.unit

TEXT = "The harbour office opens at seven. 港の事務所は七時に開きます。Boats moor at berth seven."


@pytest.mark.parametrize("columns", [20, 37, 60])
@pytest.mark.parametrize("size", [1, 3, 1000])
def test_a_streamed_answer_breaks_between_words_and_wide_characters(columns: int, size: int) -> None:
    writer = WordWrap(columns)
    shown = "".join(writer.feed(TEXT[at : at + size]) for at in range(0, len(TEXT), size)) + writer.end()
    lines = shown.split("\n")
    assert len(lines) > 1
    assert all(cells_of(line) <= columns + 2 for line in lines)
    assert shown.replace("\n", "").replace(" ", "") == TEXT.replace(" ", "")
    words = set(TEXT.replace("港の事務所は七時に開きます。", " ").split())
    assert words <= {word for line in lines for word in line.replace("。", "。 ").split()}
    assert not any(line.startswith("。") for line in lines)


@given(st.text(alphabet="ab 漢。\n\t", max_size=60), st.lists(st.integers(0, 60), max_size=4))
def test_wrapping_loses_nothing_wherever_the_pieces_end(text: str, cuts: list[int]) -> None:
    writer, bounds = WordWrap(20), [0, *sorted(cuts), len(text)]
    shown = "".join(writer.feed(text[a:b]) for a, b in itertools.pairwise(bounds) if a < b) + writer.end()
    assert "".join(shown.split()) == "".join(text.split())


def test_a_word_longer_than_a_line_stays_whole() -> None:
    writer = WordWrap(20)
    address = "http://127.0.0.1:8080/" + "x" * 40
    assert address in (writer.feed(f"See {address} now.") + writer.end()).split()


def test_a_table_counts_wide_characters_as_two_columns(capsys: pytest.CaptureFixture[str]) -> None:
    output.table(("name", "status"), [("港.md", "indexed"), ("a.md", "failed")])
    lines = capsys.readouterr().out.splitlines()
    assert [
        cells_of(line[: line.index(word)]) for line, word in zip(lines[1:], ("indexed", "failed"), strict=True)
    ] == [
        7,
        7,
    ]


def test_many_columns_become_paragraphs_on_60_columns(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setattr(output, "is_terminal", lambda: True)
    columns = ("replica", "status", "pid", "endpoint", "response", "errors", "restarts", "up", "reason")
    row = ("embedding-1", "DEGRADED", "28252", "http://127.0.0.1:33079", "1.2 ms", "0", "0", "50 s", "a caller waits")
    output.table(columns, [row])
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 60
    for cell in row:
        assert cell in " ".join(out.split())


def test_an_error_breaks_between_words_on_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "30")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    output.error("The gateway does not answer within ten seconds; look at its log.")
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) > 1
    assert max(map(len, lines)) <= 40
    assert " ".join(" ".join(lines).split()).endswith("within ten seconds; look at its log.")


def _commands(group: TyperGroup, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    found = [path]
    for name, command in group.commands.items():
        found += _commands(command, (*path, name)) if isinstance(command, TyperGroup) else [(*path, name)]
    return found


def test_every_command_has_a_short_help_option_and_names_types_in_words() -> None:
    root = get_command(app)
    assert isinstance(root, TyperGroup)
    for words in _commands(root):
        shown = CliRunner().invoke(app, [*words, "-h"])
        assert shown.exit_code == 0, words
        assert "Usage:" in shown.stdout
        assert not [bad for bad in ("<str>", "<int", "<float", "list[") if bad in shown.stdout], words
