"""Output: safe text, plain tables without a terminal, one-sentence errors."""

from __future__ import annotations

import sys

import pytest

from argosy.cli import output

pytestmark = pytest.mark.unit


def test_text_cannot_drive_the_terminal() -> None:
    assert output.printable("a\x1b[31mb\x07\x9b\n\tc") == "a\N{REPLACEMENT CHARACTER}[31mb" + (
        "\N{REPLACEMENT CHARACTER}" * 2 + "\n\tc"
    )


def test_a_table_without_a_terminal_is_plain_aligned_and_uncut(capsys: pytest.CaptureFixture[str]) -> None:
    output.table(("name", "detail"), [("a", "x" * 300), ("longer", "two\nlines")])

    lines = capsys.readouterr().out.splitlines()
    assert lines == ["NAME    DETAIL", "a       " + "x" * 300, "longer  two lines"]


@pytest.mark.parametrize("columns", [60, 80, 110])
def test_on_a_narrow_terminal_a_sentence_goes_below_its_row_and_an_id_stays_whole(
    columns: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setattr(output, "is_terminal", lambda: True)
    identity = "128fb068fd6b7b32977cadb9"
    row = (identity, "default", "a name " * 6, "failed", "2026-11-23 01:52:52", "no_text: " + "word " * 20)
    output.table(("id", "collection", "name", "status", "updated", "remarks"), [row, row])

    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines].count(identity) == 2
    assert sum(line.startswith("    no_text: word word") for line in lines) == 2
    assert max(map(len, lines)) <= columns


@pytest.mark.parametrize(
    ("first", "last", "shown"),
    [(None, None, ""), (3, None, " (p. 3)"), (3, 3, " (p. 3)"), (3, 4, " (pp. 3–4)")],
)
def test_pages_are_named_as_in_print(first: int | None, last: int | None, shown: str) -> None:
    assert output.pages(first, last) == shown


@pytest.mark.parametrize(
    ("terminal", "expected"), [(True, "plain\n\x1b[33mwarned\x1b[0m\n"), (False, "plain\nwarned\n")]
)
def test_only_what_is_coloured_carries_codes_and_only_on_a_terminal(
    terminal: bool, expected: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal)

    output.line("plain")
    output.line("warned", color="yellow")

    assert capsys.readouterr().out == expected


def test_an_error_is_one_line_on_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    output.error("First part,\nsecond part.")

    captured = capsys.readouterr()
    assert captured.err == "error: First part, second part.\n"
    assert captured.out == ""


def test_json_shows_structs_and_json_bytes_alike(capsys: pytest.CaptureFixture[str]) -> None:
    output.json({"a": 1})
    output.json(b'{"a":1}')

    assert capsys.readouterr().out == '{\n  "a": 1\n}\n' * 2


@pytest.mark.parametrize(
    ("then", "shown"), [(None, "–"), (99.0, "1 s"), (0.0, "100 s"), (-100.0, "3 min"), (-1e6, "11 d")]
)
def test_elapsed_time_is_told_in_one_unit(then: float | None, shown: str) -> None:
    assert output.ago(then, 100.0) == shown


@pytest.mark.parametrize(("count", "shown"), [(512, "512 B"), (2048, "2 KiB"), (3 * 2**30, "3.0 GiB")])
def test_sizes_are_told_in_the_unit_that_reads_best(count: int, shown: str) -> None:
    assert output.size(count) == shown
