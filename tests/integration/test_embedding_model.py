"""The real default model, fetched if it is not cached, compared with plain numpy over the same weights."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import tokenizers
from safetensors.numpy import load_file

from argosy.contracts.embedding import TextKind
from argosy.contracts.errors import ModelMissing
from argosy.models.catalog import CATALOG, DEFAULT_MODEL
from argosy.models.description import describe
from argosy.models.resolver import ModelFolder, resolve
from argosy.services.embedding.backends.onnx import OnnxEngine
from tests.unit.models.numpy_bert import embedding

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

PASSAGE = TextKind.PASSAGE
TEXTS = [
    "When is high tide at the old harbour?",
    "Naïve café: 東京 – 12.5 % of Ünïcode, isn't it?",
    "The keeper lights the lamp at dusk and puts it out at dawn. " * 30,
    "tide",
]


@pytest.fixture(scope="module")
def model() -> ModelFolder:
    try:
        return resolve(DEFAULT_MODEL, fetch=True)
    except ModelMissing as missing:
        if os.environ.get("CI"):
            raise
        pytest.skip(missing.message)


@pytest.fixture(scope="module")
def engine(model: ModelFolder) -> OnnxEngine:
    return OnnxEngine(model)


def test_the_files_are_the_pinned_ones_and_what_they_say_is_understood(model: ModelFolder, engine: OnnxEngine) -> None:
    assert model.weights_sha256 == CATALOG[DEFAULT_MODEL].weights_sha256
    assert (engine.info.dimensions, engine.info.max_tokens) == (384, 256)


def test_a_cached_model_is_found_without_fetching(model: ModelFolder) -> None:
    assert resolve(DEFAULT_MODEL, fetch=False) == model


def test_vectors_agree_with_plain_numpy_over_the_same_weights(model: ModelFolder, engine: OnnxEngine) -> None:
    weights, about = load_file(model.weights), describe(model.path)
    tokenizer = tokenizers.Tokenizer.from_file(str(Path(model.path, "tokenizer.json")))
    tokenizer.no_padding()
    tokenizer.enable_truncation(256)
    for text, found in zip(TEXTS[:3], engine.embed(TEXTS[:3], PASSAGE), strict=True):
        expected = embedding(weights, about, tokenizer.encode(text).ids)
        assert float(expected @ found) >= 0.9999


def test_similar_sentences_rank_above_dissimilar_ones(engine: OnnxEngine) -> None:
    query = engine.embed(["How do I reset my password?"], TextKind.QUERY)[0]
    similar, related, other = engine.embed(
        [
            "Steps to recover access when you forgot your password",
            "The account page lists all your devices",
            "Penguins breed on sea ice in winter",
        ],
        PASSAGE,
    )
    assert query @ similar > 0.6
    assert query @ similar > query @ related > query @ other
    assert query @ other < 0.15


def test_vectors_are_of_unit_length(engine: OnnxEngine) -> None:
    np.testing.assert_allclose(np.linalg.norm(engine.embed(TEXTS, PASSAGE), axis=1), 1, atol=1e-5)


def test_order_and_company_in_a_batch_do_not_matter(engine: OnnxEngine) -> None:
    together = engine.embed(TEXTS, PASSAGE)
    backwards = engine.embed(TEXTS[::-1], PASSAGE)[::-1]
    alone = np.concatenate([engine.embed([text], PASSAGE) for text in TEXTS])
    np.testing.assert_allclose(together, backwards, atol=1e-5)
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_texts_are_read_to_256_tokens_and_no_further(engine: OnnxEngine) -> None:
    words = ["harbour"] * 254
    fits, cut, shorter = " ".join(words), " ".join([*words, "penguin"]), " ".join([*words[:200], "penguin"])
    assert engine.full_lengths([fits, cut], PASSAGE) == [256, 257]
    vectors = engine.embed([fits, cut, shorter], PASSAGE)
    assert vectors[0] @ vectors[1] > 0.99999
    assert vectors[0] @ vectors[2] < 0.999
