"""Quoted sentences with markers, and citations that point into the document."""

from __future__ import annotations

import pytest

from argosy.answering.compose import NOTHING_SAID, compose
from argosy.answering.ranker import Selected
from argosy.contracts.retrieval import Passage
from argosy.contracts.store import Chunk

pytestmark = pytest.mark.unit

BEFORE = "What stands before the chunk. "
HARBOUR = "The harbour opens at six. Gulls cry. It shuts at nine."
TOLLS = "Ships pay at the gate."


def passage(name: str, text: str) -> Passage:
    start = len(BEFORE)
    return Passage(
        Chunk(
            f"chunk-{name}", f"doc-{name}", 1, 0, f"{name}.md", f"file:///{name}.md", text, start, start + len(text),
            title=f"The {name}", page=4, last_page=5, heading_path=["Top", name],
        ),
        0.9,
    )  # fmt: skip


PASSAGES = [passage("tolls", TOLLS), passage("harbour", HARBOUR)]


def quoted(index: int, text: str, score: float = 0.5) -> Selected:
    start = PASSAGES[index].chunk.text.index(text)
    return Selected(index, start, start + len(text), text, score)


def test_passages_are_numbered_by_first_appearance() -> None:
    answer = compose([quoted(1, "The harbour opens at six."), quoted(0, TOLLS)], PASSAGES)
    assert answer.text == "The harbour opens at six. [1] Ships pay at the gate. [2]"
    assert answer.pieces == ["The harbour opens at six. [1]", " Ships pay at the gate. [2]"]
    assert [(c.index, c.document_id) for c in answer.citations] == [(1, "doc-harbour"), (2, "doc-tolls")]


def test_a_citation_says_where_in_the_document_its_quote_stands() -> None:
    citation = compose([quoted(1, "Gulls cry.", 0.7)], PASSAGES).citations[0]
    assert citation.quote == "Gulls cry."
    assert (BEFORE + HARBOUR)[citation.start : citation.end] == citation.quote
    assert (citation.chunk_id, citation.name, citation.source) == ("chunk-harbour", "harbour.md", "file:///harbour.md")
    assert (citation.title, citation.heading_path) == ("The harbour", ["Top", "harbour"])
    assert (citation.page, citation.last_page) == (4, 5)
    assert citation.score == 0.7


def test_two_sentences_of_one_passage_share_a_number_and_one_quote_that_holds_both() -> None:
    answer = compose([quoted(1, "It shuts at nine.", 0.6), quoted(1, "The harbour opens at six.", 0.4)], PASSAGES)
    assert answer.text == "It shuts at nine. [1] The harbour opens at six. [1]"
    (citation,) = answer.citations
    assert citation.quote == HARBOUR
    assert (BEFORE + HARBOUR)[citation.start : citation.end] == HARBOUR
    assert citation.score == 0.6


@pytest.mark.parametrize("block", ["```\ntoll = 5\n```", "| Argo | 5 |"])
def test_code_and_table_rows_stand_on_lines_of_their_own(block: str) -> None:
    passages = [passage("code", f"Pay. {block}")]
    sentences = [Selected(0, 0, 4, "Pay.", 0.5), Selected(0, 5, 5 + len(block), block, 0.4)]
    assert compose(sentences, passages).text == f"Pay. [1]\n{block}\n[1]"


def test_without_a_sentence_the_answer_says_so_and_cites_nothing() -> None:
    answer = compose([], [])
    assert answer.text == NOTHING_SAID == "The indexed documents do not say."
    assert answer.citations == []
