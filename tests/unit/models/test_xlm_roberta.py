"""Models of XLM-RoBERTa's shape, such as multilingual-e5-base: positions from 2, one token type, sentence pieces."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from safetensors.numpy import save_file
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from argosy.contracts.embedding import TextKind
from argosy.models.batch import packed
from argosy.models.description import UnsupportedModel, describe
from argosy.models.graph import graph_for
from argosy.models.resolver import resolve
from argosy.models.tokenizer import TextTokenizer
from argosy.services.embedding.backends.onnx import OnnxEngine
from tests.unit.models.numpy_bert import Weights, embedding
from tests.unit.models.tiny_model import POSITIONS, tiny_weights, write_config, write_json, write_model

pytestmark = pytest.mark.unit

PIECES = ["▁the", "▁tide", "▁ri", "ses", "▁Flut", "▁", "t", "i", "d", "e", ":", "▁潮"]
VOCABULARY = ["<s>", "<pad>", "</s>", "<unk>", *PIECES]
TEXTS = [[0, 4, 5, 6, 7, 2], [0, 2], [0, 8, 9, 15, 2]]


def weights() -> Weights:
    bert = tiny_weights()
    return bert | {
        "embeddings.word_embeddings.weight": bert["embeddings.word_embeddings.weight"][: len(VOCABULARY)],
        "embeddings.token_type_embeddings.weight": bert["embeddings.token_type_embeddings.weight"][:1],
    }


def sentence_pieces() -> Tokenizer:
    scores = [
        (piece, 0.0 if piece.startswith("<") else -float(len(VOCABULARY) - row)) for row, piece in enumerate(VOCABULARY)
    ]
    tokenizer = Tokenizer(models.Unigram(scores, unk_id=3, byte_fallback=False))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair=None, special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    return tokenizer


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = write_model(tmp_path / "multilingual-e5-base")
    write_config(folder, model_type="xlm-roberta", vocab_size=len(VOCABULARY), pad_token_id=1, type_vocab_size=1)
    write_json(folder / "sentence_bert_config.json", {"max_seq_length": None})
    sentence_pieces().save(str(folder / "tokenizer.json"))
    save_file({f"roberta.{name}": tensor for name, tensor in weights().items()}, folder / "model.safetensors")
    return folder


def test_the_graph_agrees_with_plain_numpy(folder: Path, tmp_path: Path) -> None:
    about = describe(folder)
    graph = graph_for(resolve(str(folder), fetch=False, cache=tmp_path / "cache"), about)
    session = onnxruntime.InferenceSession(str(graph), providers=["CPUExecutionProvider"])
    (found,) = session.run(["embedding"], dict(packed(TEXTS, about.pooling)))
    expected = np.stack([embedding(weights(), about, ids) for ids in TEXTS])
    np.testing.assert_allclose(np.asarray(found, dtype=np.float64), expected, atol=2e-5)


def test_the_longest_text_fits_into_the_positions_behind_the_padding(folder: Path, tmp_path: Path) -> None:
    assert describe(folder).max_tokens == POSITIONS - 2
    engine = OnnxEngine(resolve(str(folder), fetch=False, cache=tmp_path / "cache"))
    vectors = engine.embed(["tide " * 200], TextKind.PASSAGE)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx([1.0], abs=1e-5)


def test_prompts_come_from_the_name_and_yield_to_settings(folder: Path) -> None:
    named = describe(folder, "intfloat/multilingual-e5-base")
    assert (named.prompt(TextKind.QUERY), named.prompt(TextKind.PASSAGE)) == ("query: ", "passage: ")
    own = describe(folder, "intfloat/multilingual-e5-base", {TextKind.QUERY: "", TextKind.PASSAGE: None})
    assert (own.prompt(TextKind.QUERY), own.prompt(TextKind.PASSAGE)) == ("", "passage: ")
    assert named.fingerprint("w", "t", 1) != own.fingerprint("w", "t", 1)


def test_the_engine_puts_the_prompt_of_the_settings_before_a_text(folder: Path, tmp_path: Path) -> None:
    model = resolve(str(folder), fetch=False, cache=tmp_path / "cache")
    plain = OnnxEngine(model, prompts={TextKind.QUERY: "", TextKind.PASSAGE: ""})
    prompted = OnnxEngine(model, prompts={TextKind.QUERY: "the ", TextKind.PASSAGE: ""})
    assert plain.info.revision != prompted.info.revision
    whole = plain.embed(["the tide"], TextKind.QUERY)
    np.testing.assert_allclose(prompted.embed(["tide"], TextKind.QUERY), whole, atol=1e-6)
    np.testing.assert_allclose(
        prompted.embed(["tide"], TextKind.PASSAGE), plain.embed(["tide"], TextKind.PASSAGE), atol=1e-6
    )


def test_sentence_pieces_keep_the_offsets_of_the_text(folder: Path) -> None:
    tokenizer = TextTokenizer.load(folder, 12)
    text = "the tide rises"
    assert [text[start:end].strip() for start, end in tokenizer.encode_offsets(text)] == ["the", "tide", "ri", "ses"]
    assert "".join(tokenizer.windows(text, 2)) == text


def test_another_padding_is_refused(folder: Path) -> None:
    write_config(folder, model_type="xlm-roberta", vocab_size=len(VOCABULARY), pad_token_id=0)
    with pytest.raises(UnsupportedModel, match="token 0"):
        describe(folder)
