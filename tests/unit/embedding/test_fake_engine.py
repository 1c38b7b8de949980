from __future__ import annotations

import numpy as np
import pytest

from argosy.contracts.embedding import TextKind
from argosy.services.embedding.backends.fake import DIMENSIONS, FakeEngine

pytestmark = pytest.mark.unit


def test_vectors_are_of_unit_length_also_for_texts_without_words() -> None:
    vectors = FakeEngine().embed(["high tide at noon", "", "?!"], TextKind.PASSAGE)
    assert vectors.shape == (3, DIMENSIONS)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)


def test_texts_that_share_words_are_closer() -> None:
    query, near, far = FakeEngine().embed(
        ["when is high tide", "high tide is at noon", "the baker sells bread"], TextKind.QUERY
    )
    assert query @ near > 0.4 > query @ far


def test_a_vector_is_the_same_in_every_process_and_company() -> None:
    alone = FakeEngine().embed(["Low water"], TextKind.PASSAGE)[0]
    together = FakeEngine().embed(["something else", "low water!"], TextKind.PASSAGE)[1]
    assert np.array_equal(alone, together)
    assert np.flatnonzero(alone > 0)[:4].tolist() == [0, 6, 14, 17]


def test_long_texts_are_cut_and_said_to_be() -> None:
    engine = FakeEngine(max_tokens=5)
    cut, whole = engine.embed(["one two three four", "one two three"], TextKind.PASSAGE)
    assert np.array_equal(cut, whole)
    assert engine.count_tokens(["one two three four", "one"], TextKind.PASSAGE) == [5, 3]
    assert engine.full_lengths(["one two three four", "one"], TextKind.PASSAGE) == [6, 3]
