from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy.services.generation.citing import citations_in
from tests.unit.generation.fakes import LIGHTS, PASSAGES

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("text", "cited"),
    [
        ("Twice [1].", [1]),
        ("Both [2][1], again [2].", [2, 1]),
        ("Both [1, 2].", [1, 2]),
        ("None.", []),
        ("No such [3], [0], [99], [1000].", []),
        ("An array a[1x] or [one].", []),
    ],
)
def test_only_markers_that_name_a_passage_are_cited_in_order_of_first_mention(text: str, cited: list[int]) -> None:
    assert [c.index for c in citations_in(text, PASSAGES)] == cited


def test_the_quote_is_the_passages_text_at_its_place() -> None:
    (citation,) = citations_in("[2]", PASSAGES)

    assert (citation.quote, citation.start, citation.end) == (LIGHTS, 1000, 1000 + len(LIGHTS))


@given(st.text("[]12, x;"))
def test_whatever_a_model_writes_citations_exist_and_stand_in_the_text(text: str) -> None:
    for citation in citations_in(text, PASSAGES):
        assert citation.index in (1, 2)
        assert str(citation.index) in text
