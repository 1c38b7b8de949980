"""Text from documents, replicas and files can neither control the terminal nor display as something else."""

from __future__ import annotations

import json
import os
import sys
import unicodedata
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy.cli import events, logs, output, progress
from argosy.cli.ask import describe
from argosy.cli.log_files import LogFiles
from argosy.cli.sending.collect import collect
from argosy.cli.sending.upload import Rejected
from argosy.contracts.events import Event
from argosy.contracts.generation import Citation

pytestmark = pytest.mark.security

VISIBLE_FORMATS = "\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd"
"""Visible characters of scripts that Unicode classes as format characters."""
UNSAFE = [
    chr(code)
    for code in range(sys.maxunicode + 1)
    if unicodedata.category(chr(code)) in ("Cc", "Cf", "Cs", "Zl", "Zp") and chr(code) not in "\n\t" + VISIBLE_FORMATS
]
NASTY = "a\x1b[31m\x9b31m\x9d0;title\x07\x9c\u202egnp.exe\u2066\u200b\u200d\ufeff\u2028\x00\r\x08\x7f\xad\U000e0041z"


def is_safe(text: str) -> bool:
    return not set(UNSAFE) & set(text)


def test_the_alphabet_of_the_tests_holds_what_is_dangerous() -> None:
    assert set(NASTY) & set(UNSAFE) > set("\x1b\x9b\x9d\u202e\u2066\u200b\u2028")


def test_nothing_that_is_invisible_or_turns_the_text_is_printed() -> None:
    assert is_safe(output.printable("".join(UNSAFE)))
    assert is_safe(output.json_text("".join(UNSAFE)))


def test_text_of_all_scripts_is_printed_as_it_is() -> None:
    text = "Größe, 日本語, עברית, العربية, हिन्दी, 👍🏽 ✈️, Ω≈ç√ “„«»” – \n\t €"
    assert output.printable(text) == output.json_text(text) == text


@given(
    st.text(
        alphabet=st.one_of(
            st.sampled_from([c for c in UNSAFE if not "\ud800" <= c <= "\udfff"]),
            st.characters(exclude_categories=["Cs"]),
        )
    )
)
def test_json_stays_equal_after_parsing(text: str) -> None:
    document = msgspec.json.format(msgspec.json.encode({text: [text, 1]}), indent=2).decode()
    shown = output.json_text(document)
    assert is_safe(shown)
    assert json.loads(shown) == {text: [text, 1]} == msgspec.json.decode(shown)


EVENT = Event(1, 1.0, "replica", NASTY, NASTY, "ready", NASTY)
WAYS: dict[str, Callable[[], object]] = {
    "json": lambda: output.json({NASTY: NASTY}),
    "json bytes": lambda: output.json(json.dumps({"answer": NASTY}, ensure_ascii=False).encode()),
    "json line": lambda: output.json_line(EVENT),
    "line": lambda: output.line(NASTY),
    "coloured line": lambda: output.line(NASTY, color="yellow", bold=True),
    "part of a streamed answer": lambda: output.part(NASTY),
    "note": lambda: output.note(NASTY),
    "error": lambda: output.error(NASTY),
    "table": lambda: output.table(("name", "detail"), [(NASTY, NASTY)]),
    "event": lambda: events._print(EVENT, as_json=False),
    "event as json": lambda: events._print(EVENT, as_json=True),
    "citation": lambda: output.line(describe(Citation(1, "d", NASTY, NASTY, NASTY, [NASTY], "c", 1, 0, 1, NASTY, 1.0))),
    "progress": lambda: progress.Lines().at(NASTY, 1, 2),
    "progress told": lambda: progress.Lines().tell(NASTY),
}


@pytest.mark.parametrize("way", WAYS)
def test_every_way_to_the_terminal_is_safe(way: str, capsys: pytest.CaptureFixture[str]) -> None:
    WAYS[way]()
    shown = "".join(capsys.readouterr())
    assert "gnp.exe" in shown
    assert is_safe(shown.replace("\x1b[31m\x1b[1merror:\x1b[0m", "").replace("\n", ""))
    if "json" in way:
        assert NASTY in str(json.loads(shown)) or NASTY in json.loads(shown).values() or NASTY in json.loads(shown)


def test_a_table_on_a_terminal_is_safe_too(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output, "is_terminal", lambda: True)
    monkeypatch.setenv("NO_COLOR", "1")
    output.table(("name", "detail"), [(NASTY, NASTY * 9)])
    shown = capsys.readouterr().out
    assert "gnp.exe" in shown
    assert is_safe(shown)


@pytest.mark.parametrize("as_json", [True, False])
@pytest.mark.parametrize(
    "written",
    [json.dumps({"event": NASTY, "timestamp": "t"}, ensure_ascii=False), "no json: " + NASTY.replace("\r", "")],
)
def test_logs_are_safe_whatever_was_written(
    tmp_path: Path, written: str, as_json: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "store-1.log").write_bytes(written.encode() + b"\n")
    for line in LogFiles(tmp_path, "store").merged():
        logs._print(line, as_json)
    shown = capsys.readouterr().out
    assert "gnp.exe" in shown
    assert is_safe(shown)
    if as_json and written.startswith("{"):
        assert json.loads(shown) == json.loads(written)


def test_a_file_name_that_is_no_text_can_be_sent_and_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / os.fsdecode(b"gnp.exe\xff.md")).write_text("text")
    [one] = collect([tmp_path], recursive=True).outgoing
    output.json({"failed": [Rejected(one.name, one.source, "code", "detail")]})
    output.note(str(one.path))
    shown = "".join(capsys.readouterr())
    assert is_safe(shown)
    assert "gnp.exe" in shown
