from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy.services.documents.html_text import read_html
from argosy.services.documents.parsed import decode_text, markdown_title, pages_from_bytes

pytestmark = pytest.mark.unit

TEXT = "Ebbe – 3½ Knoten"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_a_text_is_read_in_the_encoding_it_is_in(encoding: str) -> None:
    assert decode_text(TEXT.encode(encoding)) == TEXT


def test_a_page_is_read_as_it_declares_unless_it_is_utf_8_after_all() -> None:
    page = '<meta charset="iso-8859-2"><p>Łódź</p>'
    assert decode_text(page.encode("iso-8859-2"), html=True) == page
    assert decode_text(page.encode(), html=True) == page
    assert "caf\xe9" in decode_text(b'<meta charset="no-such-thing">caf\xe9', html=True)


@given(st.binary(max_size=200))
def test_decoding_never_fails_and_leaves_no_nul_or_carriage_return(data: bytes) -> None:
    text = decode_text(data, html=True)
    assert "\0" not in text
    assert "\r" not in text


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("# Tides #\n\nx", "Tides"),
        ("---\nlang: en\ntitle: 'High water'\n---\n# Other", "High water"),
        ("intro\n\n# Later", "Later"),
        ("## Only a second level", None),
        ("nothing", None),
    ],
)
def test_the_title_is_what_the_text_calls_itself(text: str, title: str | None) -> None:
    assert markdown_title(text) == title


@given(st.lists(st.text(alphabet="aé–𝄞\r\n\0", max_size=12), min_size=1, max_size=6))
def test_page_offsets_in_bytes_become_offsets_in_characters(pages: list[str]) -> None:
    content = "\n\n".join(pages)
    boundaries, at = [], 0
    for number, page in enumerate(pages, 1):
        size = len(page.encode())
        boundaries.append((number, at, at + size))
        at += size + 2
    text, spans = pages_from_bytes(content, boundaries)
    assert [span.page for span in spans] == list(range(1, len(pages) + 1))
    for span, page in zip(spans, pages, strict=True):
        assert text[span.start : span.end] == page.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "")


def test_boundaries_that_overlap_or_overrun_are_cut_short() -> None:
    text, spans = pages_from_bytes("abcdef", [(1, 0, 4), (2, 2, 99)])
    assert text == "abcdef"
    assert [(span.page, span.start, span.end) for span in spans] == [(1, 0, 4), (2, 4, 6)]


def test_visible_text_leaves_out_scripts_and_the_head() -> None:
    title, text = read_html(
        "<head><title>The &amp; title</title><style>no</style></head><body><p>one <b>two</b></p>"
        "<script>no()</script><div>three<br>four</div>"
    )
    assert title == "The & title"
    assert text == "one two\n\nthree\n\nfour"
