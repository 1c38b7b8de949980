"""What every embedding engine promises, checked on each."""

from __future__ import annotations

import numpy as np
import pytest

from argosy.config.models import EmbeddingSettings
from argosy.contracts.embedding import TextKind
from argosy.contracts.vectors import EmbeddingEngine
from argosy.services.embedding.app import load_engine

pytestmark = pytest.mark.contract

TEXTS = ["The harbour opens at six.", "Ships pay their dues at the gate.", "a", "word " * 600, "naïve café — 東京 🚢"]


@pytest.fixture(scope="module", params=["fake", "onnx"])
def engine(request: pytest.FixtureRequest) -> EmbeddingEngine:
    return load_engine(EmbeddingSettings(backend=request.param))


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
    assert full[3] > engine.info.max_tokens == seen[3]
    assert full[0] == seen[0]


def test_texts_about_the_same_lie_closer(engine: EmbeddingEngine) -> None:
    question, near, far = engine.embed(
        ["When does the harbour open?", "The harbour will open at six.", "Bake bread with flour."], TextKind.PASSAGE
    )
    assert question @ near > question @ far


def test_no_texts_give_no_vectors(engine: EmbeddingEngine) -> None:
    assert engine.embed([], TextKind.PASSAGE).shape == (0, engine.info.dimensions)
