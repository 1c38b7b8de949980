"""Visible form of a text and its map of offsets."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy.text.visible import visible, visible_text

pytestmark = pytest.mark.unit

TEXTS = st.text(
    alphabet=st.one_of(
        st.characters(exclude_categories=["Cs"]),
        st.sampled_from("e\u0301\u00ad\u200b\ufeffﬁ㎏ｶﾞ\u1100\u1161\u11a8가\u0327\u0323각²ᄀ\u09c7\u09be"),
    )
)


@given(TEXTS)
def test_the_mapped_form_is_the_form_of_the_whole_text(text: str) -> None:
    assert visible(text).text == visible_text(text)


@given(TEXTS, st.data())
def test_offsets_never_go_backwards_and_every_span_yields_the_part_of_the_form(text: str, data: st.DataObject) -> None:
    seen = visible(text)
    starts = [seen.stored(at, at)[0] for at in range(len(seen.text) + 1)]
    assert starts == sorted(starts)
    assert starts[-1] == len(text)
    first = data.draw(st.integers(0, len(seen.text)))
    last = data.draw(st.integers(first, len(seen.text)))
    start, end = seen.stored(first, last)
    assert 0 <= start <= end <= len(text)
    assert seen.text[first:last] in visible_text(text[start:end])


@given(st.text(alphabet="abc é\n"))
def test_a_text_without_anything_to_change_keeps_its_offsets(text: str) -> None:
    seen = visible(text)
    assert seen.text == text
    assert seen.stored(0, len(text)) == (0, len(text))


@pytest.mark.parametrize(
    ("stored", "shown"),
    [("co\u00adop", "coop"), ("a\u200bb\ufeff", "ab"), ("ﬁle", "file"), ("10\u202f%", "10 %"), ("e\u0301", "é")],
)
def test_invisible_characters_go_and_compatible_ones_become_plain(stored: str, shown: str) -> None:
    assert visible(stored).text == shown
    assert unicodedata.is_normalized("NFKC", shown)


def test_a_citation_ends_before_invisible_characters_that_follow_it() -> None:
    seen = visible("co\u00adop\u200b then")
    assert seen.stored(0, 4) == (0, 5)
