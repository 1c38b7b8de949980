"""Contract of embedding engines, tested on each engine."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from argosy.config.services import EmbeddingSettings
from argosy.contracts.embedding import TextKind
from argosy.contracts.request import Deadline
from argosy.contracts.vectors import EmbeddingEngine, SpanEngine
from argosy.services.embedding.loading import load
from tests.contract.embedding_endpoint import running

pytestmark = pytest.mark.contract

TEXTS = ["The harbour opens at six.", "Ships pay their dues at the gate.", "a", "word " * 600, "naïve café — 東京 🚢"]


@pytest.fixture(scope="module", params=["fake", "onnx", "openai"])
def engine(request: pytest.FixtureRequest) -> Iterator[EmbeddingEngine]:
    with running() as endpoint:
        loaded = load(EmbeddingSettings(backend=request.param, base_url=endpoint.url), 1.0, {})
        yield loaded.engine
        loaded.close()


def test_one_unit_vector_for_each_text_in_order(engine: EmbeddingEngine) -> None:
    vectors = engine.embed(TEXTS, TextKind.PASSAGE)
    assert vectors.shape == (len(TEXTS), engine.info.dimensions)
    assert vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    turned = engine.embed(TEXTS[::-1], TextKind.PASSAGE)[::-1]
    assert np.allclose(vectors, turned, atol=1e-5)


def test_a_text_has_the_same_vector_alone_and_in_company(engine: EmbeddingEngine) -> None:
    together = engine.embed(TEXTS, TextKind.QUERY)
    alone = np.vstack([engine.embed([text], TextKind.QUERY) for text in TEXTS])
    assert np.allclose(together, alone, atol=1e-5)


def test_tokens_are_counted_as_the_model_sees_them(engine: EmbeddingEngine) -> None:
    seen = engine.count_tokens(TEXTS, TextKind.PASSAGE)
    full = engine.full_lengths(TEXTS, TextKind.PASSAGE)
    assert len(seen) == len(full) == len(TEXTS)
    assert all(1 <= count <= engine.info.max_tokens for count in seen)
    assert seen == [min(count, engine.info.max_tokens) for count in full]
    assert full[3] > engine.info.max_tokens == seen[3]
    assert full[0] == seen[0]


def test_texts_about_the_same_lie_closer(engine: EmbeddingEngine) -> None:
    question, near, far = engine.embed(
        ["When does the harbour open?", "The harbour will open at six.", "Bake bread with flour."], TextKind.PASSAGE
    )
    assert question @ near > question @ far


def test_no_texts_give_no_vectors(engine: EmbeddingEngine) -> None:
    assert engine.embed([], TextKind.PASSAGE).shape == (0, engine.info.dimensions)


def test_a_deadline_that_is_far_changes_nothing(engine: EmbeddingEngine) -> None:
    hurried = engine.embed(TEXTS[:2], TextKind.PASSAGE, Deadline.after(60))
    assert np.allclose(hurried, engine.embed(TEXTS[:2], TextKind.PASSAGE), atol=1e-6)


@pytest.mark.parametrize("text", ["word " * 2000, "naïve café — 東京 🚢 " * 300, "x" * 9000, "short"])
def test_the_windows_of_a_long_text_fit_and_leave_nothing_out(engine: EmbeddingEngine, text: str) -> None:
    windows = engine.windows(text, TextKind.PASSAGE)
    assert "".join("".join(windows).split()) == "".join(text.split())
    assert max(engine.full_lengths(windows, TextKind.PASSAGE)) <= engine.info.max_tokens
    assert (len(windows) == 1) == (engine.full_lengths([text], TextKind.PASSAGE)[0] <= engine.info.max_tokens)


SPANS = [[(0, 11), (12, 26), (0, 26)], [], [(0, 1), (1, 1)], [(0, 4), (2900, 3000)], [(6, 10), (13, 15)]]


def test_parts_of_a_text_get_vectors_beside_its_own_where_the_engine_gives_them(engine: EmbeddingEngine) -> None:
    if not isinstance(engine, SpanEngine):
        return  # an endpoint's answer has no token states
    vectors, parts = engine.embed_spans(TEXTS, SPANS, TextKind.PASSAGE)
    assert np.allclose(vectors, engine.embed(TEXTS, TextKind.PASSAGE), atol=1e-5)
    assert [rows.shape for rows in parts] == [(len(own), engine.info.dimensions) for own in SPANS]
    lengths = [[round(float(np.linalg.norm(row)), 3) for row in rows] for rows in parts]
    assert lengths == [[1, 1, 1], [], [1, 0], [1, 0], [1, 1]]  # no token: an empty slice, and one beyond the window
    assert parts[0][2] @ parts[0][0] < 0.999
    alone = engine.embed_spans(TEXTS[:1], SPANS[:1], TextKind.PASSAGE)[1][0]
    assert np.allclose(alone, parts[0], atol=1e-4)
    if engine.info.model == "fake":
        assert np.allclose(parts[0][1], engine.embed(["opens at six"], TextKind.PASSAGE), atol=1e-5)


def test_a_part_lies_closer_to_the_question_that_it_answers(engine: EmbeddingEngine) -> None:
    if not isinstance(engine, SpanEngine):
        return
    first, second = "The harbour opens at six.", "A lost key costs thirty euros."
    ends = len(first), len(first) + 1 + len(second)
    _, (parts,) = engine.embed_spans([f"{first} {second}"], [[(0, ends[0]), (ends[0] + 1, ends[1])]], TextKind.PASSAGE)
    (question,) = engine.embed(["What does a lost key cost?"], TextKind.QUERY)
    assert parts[1] @ question > parts[0] @ question
