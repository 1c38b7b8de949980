from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from argosy.contracts.embedding import TextKind
from argosy.contracts.errors import ModelMissing
from argosy.models.description import describe
from argosy.models.resolver import resolve
from argosy.services.embedding.backends.onnx import OnnxEngine
from tests.unit.models.numpy_bert import embedding
from tests.unit.models.tiny_model import HIDDEN, MAX_TOKENS, WORDS, tiny_weights, write_json, write_model

pytestmark = pytest.mark.unit


def engine_of(folder: Path) -> OnnxEngine:
    return OnnxEngine(resolve(str(folder), fetch=False, cache=folder.parent / "cache"))


def test_texts_become_the_vectors_that_the_model_defines(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "tiny")
    engine = engine_of(folder)
    vectors = engine.embed(["the tide rises", "", "a keeper lights a lamp"], TextKind.PASSAGE)
    expected = embedding(tiny_weights(), describe(folder), [2, 4, 5, 6, 3])
    np.testing.assert_allclose(vectors[0], expected, atol=1e-5)
    assert vectors.dtype == np.float32
    assert engine.embed([], TextKind.QUERY).shape == (0, HIDDEN)


def test_vectors_are_of_unit_length_even_if_the_model_does_not_normalise(tmp_path: Path) -> None:
    vectors = engine_of(write_model(tmp_path / "tiny", normalise=False)).embed(["noon", "the lamp"], TextKind.QUERY)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)


def test_lengths_tell_a_text_that_fits_from_one_that_is_cut(tmp_path: Path) -> None:
    engine = engine_of(write_model(tmp_path / "tiny"))
    fits, long = " ".join(WORDS[: MAX_TOKENS - 2]), " ".join(WORDS[: MAX_TOKENS - 1])
    assert engine.count_tokens([fits, long], TextKind.PASSAGE) == [MAX_TOKENS, MAX_TOKENS]
    assert engine.full_lengths([fits, long], TextKind.PASSAGE) == [MAX_TOKENS, MAX_TOKENS + 1]
    whole, cut = engine.embed([fits, long], TextKind.PASSAGE)
    assert np.allclose(whole, cut, atol=1e-6)


def test_prompts_differ_by_kind_and_are_counted(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "tiny")
    write_json(folder / "config_sentence_transformers.json", {"prompts": {"query": "the keeper "}})
    engine = engine_of(folder)
    query, passage = (engine.embed(["lights"], kind)[0] for kind in (TextKind.QUERY, TextKind.PASSAGE))
    assert np.allclose(query, engine.embed(["the keeper lights"], TextKind.PASSAGE)[0], atol=1e-6)
    assert not np.allclose(query, passage, atol=1e-2)
    assert engine.count_tokens(["lights"], TextKind.QUERY) == [5]


def test_a_graph_that_cannot_be_loaded_is_a_missing_model_with_a_remedy(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "tiny")
    engine_of(folder)
    (graph,) = (tmp_path / "cache" / "graphs").glob("*/graph.onnx")
    graph.write_bytes(b"damaged")
    with pytest.raises(ModelMissing, match="Delete it"):
        engine_of(folder)
