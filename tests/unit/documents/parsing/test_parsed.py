from __future__ import annotations

import itertools

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from argosy.services.documents.parsing.html_cleaner import read_html
from argosy.services.documents.parsing.parsed import decode_text, markdown_title, with_pages

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
@example(b"\0\r\n\r\x81")
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


PAGES = st.lists(st.text(alphabet="aé–𝄞 \n", max_size=12), min_size=1, max_size=6)


@given(PAGES)
def test_pages_are_found_in_the_document(texts: list[str]) -> None:
    pages = list(enumerate(texts, 1))
    content = "\n\n".join(text.strip() for text in texts) + "\n"
    found, spans = with_pages(content, pages)
    assert found == content
    assert [(span.page, found[span.start : span.end]) for span in spans] == [(n, text.strip()) for n, text in pages]
    assert all(one.end <= two.start for one, two in itertools.pairwise(spans))


@given(PAGES)
def test_pages_that_are_not_in_the_document_as_they_are_become_its_text(texts: list[str]) -> None:
    pages = list(enumerate(["kept", *texts], 1))
    found, spans = with_pages("k", pages)
    assert [(span.page, found[span.start : span.end]) for span in spans] == [(n, text.strip()) for n, text in pages]


def test_pages_that_miss_much_of_the_document_do_not_replace_it() -> None:
    assert with_pages("all of the words", [(1, "all the words")]) == ("all of the words", [])


def test_visible_text_leaves_out_scripts_and_the_head() -> None:
    page = read_html(
        "<head><title>The &amp; title</title><style>no</style></head><body><p>one <b>two</b></p>"
        "<script>no()</script><div>three<br>four</div>"
    )
    assert page.title == "The & title"
    assert page.text == "one two\n\nthree\n\nfour"
    assert "no()" not in page.markup


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("a<!-- b -->c", "ac"),
        ("a<!-->b", "ab"),
        ("a<!--->b", "ab"),
        ("a<!-- <p> b", "a"),
        ("a<!doctype html>b", "ab"),
        ("a<?xml b?>c", "ac"),
        ("a</ >b", "ab"),
        ("1 < 2 and 3 > 2", "1 < 2 and 3 > 2"),
        ("a<é", "a<é"),
        ('<a title="x > y">link</a>', "link"),
        ("<a title=it's>link</a>", "link"),
        ("a<b", "a"),
        ("a<script>if (1 < 2) '</p>'</SCRIPT >b", "ab"),
        ("a<script>b", "a"),
        ("<svg>a<template>b</template>c</svg>d", "d"),
        ("<noscript>a</svg></noscript>b", "b"),
        ("a&#" + "9" * 5000 + ";", "a&#" + "9" * 5000 + ";"),
    ],
)
def test_broken_markup_is_read_as_a_browser_reads_it(markup: str, text: str) -> None:
    assert read_html(markup).text == text


@given(st.text(alphabet="<>!-/?\"'= abps", max_size=60))
def test_any_page_is_read_and_its_markup_reads_the_same(page: str) -> None:
    once = read_html(page)
    assert read_html(once.markup).text == once.text
