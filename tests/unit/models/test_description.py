from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from argosy.contracts.embedding import TextKind
from argosy.contracts.errors import ModelMissing
from argosy.models.description import Pooling, UnsupportedModel, describe
from tests.unit.models.tiny_model import (
    HEADS,
    HIDDEN,
    LAYERS,
    MAX_TOKENS,
    POSITIONS,
    write_config,
    write_json,
    write_model,
)

pytestmark = pytest.mark.unit


def test_everything_is_read_from_the_folders_own_files(tmp_path: Path) -> None:
    about = describe(write_model(tmp_path))
    assert (about.hidden_size, about.layers, about.heads) == (HIDDEN, LAYERS, HEADS)
    assert about.pooling is Pooling.MEAN
    assert about.normalise
    assert about.max_tokens == MAX_TOKENS
    assert about.prompt(TextKind.QUERY) == ""


def test_pooling_and_normalisation_follow_the_modules(tmp_path: Path) -> None:
    about = describe(write_model(tmp_path, pooling=Pooling.CLS, normalise=False))
    assert about.pooling is Pooling.CLS
    assert not about.normalise


def test_prompts_of_either_spelling_are_found(tmp_path: Path) -> None:
    folder = write_model(tmp_path)
    write_json(folder / "config_sentence_transformers.json", {"prompts": {"query": "query: ", "document": "passage: "}})
    about = describe(folder)
    assert about.prompt(TextKind.QUERY) == "query: "
    assert about.prompt(TextKind.PASSAGE) == "passage: "


@pytest.mark.parametrize(
    ("promised", "tokenizer", "expected"),
    [(None, None, POSITIONS), (4096, None, POSITIONS), (30, 20, 20), (30, 1e30, 30)],
)
def test_the_token_limit_is_the_least_that_the_files_promise(
    tmp_path: Path, promised: int | None, tokenizer: float | None, expected: int
) -> None:
    folder = write_model(tmp_path)
    write_json(folder / "sentence_bert_config.json", {"max_seq_length": promised})
    write_json(folder / "tokenizer_config.json", {"model_max_length": tokenizer})
    assert describe(folder).max_tokens == expected


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"model_type": "mpnet"}, "mpnet"),
        ({"hidden_act": "relu"}, "relu"),
        ({"position_embedding_type": "relative_key"}, "relative_key"),
    ],
)
def test_what_cannot_be_run_is_named(tmp_path: Path, change: dict[str, str], named: str) -> None:
    folder = write_model(tmp_path)
    write_config(folder, **change)
    with pytest.raises(UnsupportedModel, match=named):
        describe(folder)


def test_a_module_or_pooling_that_cannot_be_run_is_named(tmp_path: Path) -> None:
    folder = write_model(tmp_path)
    write_json(folder / "1_Pooling/config.json", {"pooling_mode_lasttoken": True})
    with pytest.raises(UnsupportedModel, match=r"lasttoken .*only mean, CLS or max"):
        describe(folder)
    write_json(folder / "1_Pooling/config.json", {"pooling_mode_mean_tokens": True, "include_prompt": False})
    with pytest.raises(UnsupportedModel, match="include_prompt"):
        describe(folder)
    write_json(folder / "modules.json", [{"type": "sentence_transformers.models.Dense", "path": "2_Dense"}])
    with pytest.raises(UnsupportedModel, match="Dense"):
        describe(folder)


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"model_type": "\xff"}'])
def test_a_broken_file_is_named_with_its_hash(tmp_path: Path, content: bytes) -> None:
    folder = write_model(tmp_path)
    (folder / "config.json").write_bytes(content)
    with pytest.raises(ModelMissing, match=rf"config\.json .*{hashlib.sha256(content).hexdigest()}"):
        describe(folder)


def test_what_a_models_makers_tell_in_prose_only_is_known_by_its_name(tmp_path: Path) -> None:
    folder = write_model(tmp_path)
    assert describe(folder, "intfloat/e5-small-v2").prompts == {
        TextKind.QUERY: "query: ",
        TextKind.PASSAGE: "passage: ",
    }
    assert describe(folder, "BAAI/bge-base-en-v1.5").prompt(TextKind.QUERY).startswith("Represent this sentence")
    assert describe(folder, "someone/my-e5-small").prompts == {}
    write_json(folder / "config_sentence_transformers.json", {"prompts": {"query": "q: "}})
    assert describe(folder, "intfloat/e5-small-v2").prompts == {TextKind.QUERY: "q: "}


def test_the_fingerprint_follows_content_and_reading_not_the_place(tmp_path: Path) -> None:
    one, other = describe(write_model(tmp_path / "a")), describe(write_model(tmp_path / "b"))
    assert one.fingerprint("w", "t", 1) == other.fingerprint("w", "t", 1)
    cls = describe(write_model(tmp_path / "c", pooling=Pooling.CLS))
    others = ((one, "w", "t", 1), (one, "v", "t", 1), (one, "w", "u", 1), (one, "w", "t", 2), (cls, "w", "t", 1))
    assert len({about.fingerprint(*of) for about, *of in others}) == 5  # type: ignore[arg-type]
