from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import normalizers

from argosy.contracts.embedding import TextKind
from argosy.contracts.errors import InvalidRequest, ModelMissing
from argosy.models import session
from argosy.models.description import Pooling, describe
from argosy.models.resolver import resolve
from argosy.services.embedding.backends.onnx import OnnxEngine
from tests.unit.models.numpy_bert import embedding
from tests.unit.models.tiny_model import (
    HIDDEN,
    MAX_TOKENS,
    VOCABULARY,
    WORDS,
    tiny_tokenizer,
    tiny_weights,
    write_config,
    write_json,
    write_model,
)

pytestmark = pytest.mark.unit


@pytest.fixture(scope="module")
def prompted(tmp_path_factory: pytest.TempPathFactory) -> OnnxEngine:
    """Return an engine with a window of twelve tokens: two are special, and a query's prompt takes two more."""
    folder = write_model(tmp_path_factory.mktemp("prompted") / "tiny")
    write_json(folder / "config_sentence_transformers.json", {"prompts": {"query": "the keeper "}})
    return engine_of(folder)


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


def test_a_graph_damaged_without_a_trace_is_built_again_once(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "tiny")
    good = engine_of(folder).embed(["noon"], TextKind.QUERY)
    (graph,) = (tmp_path / "cache" / "graphs").glob("*/graph.onnx")
    before = graph.stat()
    graph.write_bytes(bytes(before.st_size))
    os.utime(graph, ns=(before.st_atime_ns, before.st_mtime_ns))
    np.testing.assert_array_equal(engine_of(folder).embed(["noon"], TextKind.QUERY), good)


def test_a_model_whose_graph_cannot_run_is_named_with_its_hash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_model(tmp_path / "tiny")

    def refuse(*_: object) -> None:
        raise RuntimeError("no")

    monkeypatch.setattr(session, "open_session", refuse)
    digest = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    with pytest.raises(ModelMissing, match=rf"model\.safetensors .*{digest}"):
        engine_of(folder)


@pytest.mark.parametrize("pooling", list(Pooling))
def test_a_batch_of_unequal_texts_gives_what_each_gives_alone(tmp_path: Path, pooling: Pooling) -> None:
    engine = engine_of(write_model(tmp_path / "tiny", pooling=pooling))
    texts = ["the", " ".join(WORDS * 2), "", "a keeper lights", "noon noon noon"]
    alone = np.concatenate([engine.embed([text], TextKind.PASSAGE) for text in texts])
    np.testing.assert_allclose(engine.embed(texts, TextKind.PASSAGE), alone, atol=1e-6)


@given(text=st.text(st.characters(exclude_categories=["Cs"]), max_size=300))
def test_windows_join_to_the_text_and_fit_with_the_prompt(prompted: OnnxEngine, text: str) -> None:
    pieces = prompted.windows(text, TextKind.QUERY)
    assert "".join(pieces) == text
    assert all(length <= MAX_TOKENS for length in prompted.full_lengths(pieces, TextKind.QUERY))


def test_windows_are_full_and_cut_between_words(prompted: OnnxEngine) -> None:
    words = [*WORDS, *WORDS]
    pieces = prompted.windows(" ".join(words), TextKind.PASSAGE)
    assert [word for piece in pieces for word in piece.split()] == words
    assert prompted.full_lengths(pieces, TextKind.PASSAGE) == [12, 12, 8]
    assert prompted.full_lengths(prompted.windows(" ".join(words), TextKind.QUERY), TextKind.QUERY) == [12, 12, 12, 6]


def test_strange_characters_do_no_harm(prompted: OnnxEngine) -> None:
    assert np.isfinite(prompted.embed(["\0", "noon\0tide", "\u200b", "\ufffe"], TextKind.PASSAGE)).all()
    for use in (prompted.embed, prompted.full_lengths, prompted.count_tokens):
        with pytest.raises(InvalidRequest, match="Unicode"):
            use(["\ud800"], TextKind.PASSAGE)
    with pytest.raises(InvalidRequest, match="Unicode"):
        prompted.windows("noon \udfff", TextKind.PASSAGE)


def test_texts_are_made_lower_case_where_the_model_asks_for_it(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "tiny")
    engine = engine_of(folder)
    cased = tiny_tokenizer()
    cased.normalizer = normalizers.NFC()
    cased.save(str(folder / "tokenizer.json"))
    assert not np.allclose(engine_of(folder).embed(["NOON"], TextKind.QUERY), engine.embed(["noon"], TextKind.QUERY))
    write_json(folder / "sentence_bert_config.json", {"max_seq_length": MAX_TOKENS, "do_lower_case": True})
    assert np.allclose(engine_of(folder).embed(["NOON"], TextKind.QUERY), engine.embed(["noon"], TextKind.QUERY))


def test_a_tokenizer_of_another_model_is_refused(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "tiny")
    write_config(folder, vocab_size=len(VOCABULARY) - 1)
    with pytest.raises(ModelMissing, match=r"tokenizer\.json"):
        engine_of(folder)


def test_a_prompt_that_fills_the_window_is_refused(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "tiny")
    write_json(folder / "config_sentence_transformers.json", {"prompts": {"query": " ".join(WORDS)}})
    with pytest.raises(ModelMissing, match="prompt"):
        engine_of(folder)
