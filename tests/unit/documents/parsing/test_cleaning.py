from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy.services.documents.chunking.enrichment import enrich
from argosy.services.documents.parsing.cleaning import clean, without_furniture
from argosy.services.documents.parsing.formats import Format
from argosy.services.documents.parsing.parsed import ParsedDocument, Properties
from argosy.services.documents.parsing.pdf import join_pages

pytestmark = pytest.mark.unit


def document(*pages: str) -> ParsedDocument:
    text, spans = join_pages(pages)
    return ParsedDocument(text, Format.PDF, None, spans)


def pages_of(parsed: ParsedDocument) -> list[str]:
    return [parsed.text[span.start : span.end] for span in parsed.pages]


def test_a_header_stays_once_and_page_numbers_go() -> None:
    made = document(
        *(f"Harbour handbook\n\n# Part {'ABCDEF'[n]}\n\nWords of {'ABCDEF'[n]}.\n\n- {n + 4} -" for n in range(6))
    )
    pages = pages_of(clean(made))
    assert pages[0] == "Harbour handbook\n\n# Part A\n\nWords of A."
    assert pages[1] == "# Part B\n\nWords of B."
    assert all("Harbour" not in page and "-" not in page for page in pages[1:])


def test_page_three_of_eight_is_said_once_at_most() -> None:
    made = document(*(f"Text {'abcdefgh'[n]} goes on.\n\nPage {n + 1} of 8" for n in range(8)))
    assert clean(made).text.count("of 8") == 1


def test_numbers_that_do_not_count_pages_stay() -> None:
    made = document(*(f"Text.\n\nTotal {total}" for total in (45, 99, 12, 70)))
    assert [page.split()[-1] for page in pages_of(clean(made))] == ["45", "99", "12", "70"]


def test_a_tables_header_on_every_page_stays() -> None:
    made = document(*(f"| Name | Depth |\n|---|---|\n| quay {n} | {n} |" for n in range(5)))
    assert clean(made).text == made.text


LINE = st.sampled_from(["Header", "Page 1 of 9", "Total 7", "words", "# Head", "| a | b |", "- item", "Boat 12"])
PAGES = st.lists(st.lists(LINE, max_size=6).map("\n".join), min_size=1, max_size=9)


@given(PAGES)
def test_no_line_is_lost_but_page_numbers_and_repetitions(pages: list[str]) -> None:
    made = document(*pages)
    cleaned = without_furniture(made)
    before, after = ({line for line in parsed.text.splitlines() if line} for parsed in (made, cleaned))
    assert {line for line in before - after if line != "Page 1 of 9"} == set()
    assert after <= before
    assert [span.page for span in cleaned.pages] == [span.page for span in made.pages]
    assert all(line in page for new, page in zip(pages_of(cleaned), pages, strict=True) for line in new.splitlines())


def test_what_nobody_sees_goes_and_pages_move_along() -> None:
    made = document("one\u200b two", "thr\u00adee\x07")
    assert pages_of(clean(made)) == ["one two", "three"]


def test_what_the_sender_says_wins_over_what_the_document_says() -> None:
    parsed = document("words")
    parsed.properties = Properties(author="A", language="en")
    parsed.title = "Found"
    enriched = enrich(parsed, None, {"author": "B", "team": "deck"})
    assert enriched.metadata == {"author": "B", "language": "en", "page_count": 1, "team": "deck"}
    assert (enriched.title, enrich(parsed, "Given", {}).title) == ("Found", "Given")
