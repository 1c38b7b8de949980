"""Cleaning of file names from senders."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from argosy.contracts.errors import InvalidRequest
from argosy.services.documents.catalog.uploads import MAX_NAME_CHARS, clean_name

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("given_name", "kept"),
    [
        ("../../../../etc/cron.d/evil.txt", "evil.txt"),
        ("..\\..\\windows\\evil.txt", "evil.txt"),
        ("/etc/passwd.txt", "passwd.txt"),
        ("folder/", "folder"),
        ("one\r\ntwo\n.txt", "onetwo.txt"),
        ("red\x1b[31m.txt", "red[31m.txt"),
        ("from\N{RIGHT-TO-LEFT OVERRIDE}txt.exe", "fromtxt.exe"),
        ("x" * 300 + ".txt", "x" * 251 + ".txt"),
        ("x" * 300, "x" * 255),
        ("a." + "x" * 300, "a." + "x" * 237 + "." + "x" * 15),
    ],
)
def test_of_a_path_only_its_last_part_is_kept_in_one_line(given_name: str, kept: str) -> None:
    assert clean_name(given_name, "files[0]") == kept


@pytest.mark.parametrize("given_name", ["", " ", ".", "..", "/", "a/..", "\n", "\0", "..\\"])
def test_a_name_of_which_nothing_is_left_is_refused(given_name: str) -> None:
    with pytest.raises(InvalidRequest, match=r"files\[0\]"):
        clean_name(given_name, "files[0]")


@given(st.text())
@example("a/\x85..")
@example(" .. ")
def test_any_name_is_refused_or_harmless(given_name: str) -> None:
    try:
        name = clean_name(given_name, "files[0]")
    except InvalidRequest:
        return
    assert 1 <= len(name) <= MAX_NAME_CHARS
    assert name.isprintable()
    assert not {"/", "\\"} & set(name)
    assert name not in (".", "..")
