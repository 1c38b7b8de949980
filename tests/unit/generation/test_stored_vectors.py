"""Extractive answers from stored vectors of units: what is embedded at the time of the question."""

from __future__ import annotations

import numpy as np
import pytest

from argosy.answering.units.builder import build_units
from argosy.answering.units.stored import packed_units
from argosy.contracts.embedding import QueryVector, TextKind
from argosy.contracts.errors import Unavailable
from argosy.contracts.generation import AnswerDone, GenerateRequest
from argosy.contracts.request import Deadline, RequestContext
from argosy.contracts.retrieval import Passage
from argosy.contracts.store import Chunk
from argosy.contracts.unit_vectors import PackedVectors, model_mark, pack
from argosy.contracts.units import unpack
from argosy.services.generation.backends.extractive import ExtractiveBackend
from tests.unit.generation.fakes import AXES, Embedding

pytestmark = pytest.mark.unit

TEXT = "The tide turns twice a day. A lighthouse guides each ship. Its lamp is electric.\n"
KNOWN = QueryVector("m", "", len(AXES), np.array([1, 0, 0, 0], "<f4").tobytes())


def passage(*rows: list[int], mark: str = model_mark("m", "", len(AXES))) -> Passage:
    (units,) = packed_units(TEXT, build_units(TEXT, markdown=True), [(0, len(TEXT))])
    found = unpack(units)
    assert found is not None
    vectors = pack(PackedVectors(mark, np.array(rows, np.int8).tobytes())) if rows else ""
    chunk = Chunk("c", "d", 1, 0, "a.md", "file:a.md", TEXT, 0, len(TEXT), units=units, unit_vectors=vectors)
    assert not rows or len(rows) == len(found.units)
    return Passage(chunk, 1.0)


TIDE, LIGHT, LAMP, NONE = [90, 0, 0, 0], [0, 127, 9, 0], [0, 90, 0, 0], [0, 0, 0, 0]


async def answer(
    embedding: Embedding, one: Passage, question: str = "When does the tide turn?", known: QueryVector | None = KNOWN
) -> tuple[str, AnswerDone]:
    request = GenerateRequest(question, [one], question_vector=known)
    events = [event async for event in ExtractiveBackend(embedding, 4).answer(request, context())]
    done = events[-1]
    assert isinstance(done, AnswerDone)
    return "".join(event.text for event in events[:-1] if hasattr(event, "text")), done


def context() -> RequestContext:
    return RequestContext("r", Deadline.after(20))


async def test_nothing_is_embedded_when_all_vectors_are_stored() -> None:
    embedding = Embedding()
    text, done = await answer(embedding, passage(TIDE, LIGHT, LAMP))
    assert (embedding.asked, done.degraded) == ([], [])
    assert text.startswith("The tide turns twice a day.")


async def test_stored_vectors_answer_while_embedding_is_away() -> None:
    _, done = await answer(Embedding(Unavailable("away")), passage(TIDE, LIGHT, LAMP))
    assert done.degraded == []


async def test_only_units_without_a_vector_are_embedded() -> None:
    embedding = Embedding()
    await answer(embedding, passage(TIDE, LIGHT, NONE))
    ((texts, kind, _),) = embedding.asked
    assert (len(texts), kind) == (1, TextKind.PASSAGE)
    assert "lamp" in texts[0]


@pytest.mark.parametrize("mark", [model_mark("other", "", len(AXES)), model_mark("m", "2", len(AXES))])
async def test_vectors_by_another_model_are_ignored(mark: str) -> None:
    embedding = Embedding()
    await answer(embedding, passage(TIDE, LIGHT, LAMP, mark=mark))
    assert [len(texts) for texts, _, _ in embedding.asked] == [3]


async def test_a_question_without_a_vector_is_compared_with_computed_vectors() -> None:
    embedding = Embedding()
    await answer(embedding, passage(TIDE, LIGHT, LAMP), known=None)
    assert [(len(texts), kind) for texts, kind, _ in embedding.asked] == [(3, TextKind.PASSAGE), (1, TextKind.QUERY)]


async def test_a_question_that_the_model_has_outgrown_is_answered_by_words() -> None:
    """The parts of a question come from a replica with another model than the question's vector."""
    known = QueryVector("old", "", len(AXES), KNOWN.vector)
    embedding = Embedding()
    one = passage(TIDE, LIGHT, LAMP, mark=model_mark("old", "", len(AXES)))
    text, done = await answer(embedding, one, "When does the tide turn and what guides each ship?", known)
    assert done.degraded == ["embedding"]
    assert "The tide turns twice a day." in text
