from __future__ import annotations

from pathlib import Path

import pytest

from argosy.contracts.errors import InvalidRequest, ModelMissing
from argosy.models.tokenizer import TextTokenizer
from tests.unit.models.tiny_model import WORDS, tiny_tokenizer

pytestmark = pytest.mark.unit

LONG = " ".join(WORDS * 3)


@pytest.fixture
def tokenizer() -> TextTokenizer:
    return TextTokenizer(tiny_tokenizer(), max_tokens=8)


def test_leftover_padding_and_truncation_of_the_file_are_ignored(tokenizer: TextTokenizer) -> None:
    assert tokenizer.lengths(["the tide", LONG, ""]) == [4, len(WORDS) * 3 + 2, 2]
    assert [len(ids) for ids in tokenizer.ids(["the tide", LONG, ""])] == [4, 8, 2]


def test_a_cut_text_still_ends_in_the_special_token(tokenizer: TextTokenizer) -> None:
    reference = tiny_tokenizer()
    reference.no_padding()
    reference.enable_truncation(8)
    assert tokenizer.ids([LONG]) == [reference.encode(LONG).ids]


def test_offsets_slice_the_text_into_its_tokens(tokenizer: TextTokenizer) -> None:
    text = "The tide,  then näht"
    assert [text[start:end] for start, end in tokenizer.encode_offsets(text)] == ["The", "tide", ",", "then", "näht"]


def test_offsets_are_neither_cut_nor_framed_by_special_tokens(tokenizer: TextTokenizer) -> None:
    assert len(tokenizer.encode_offsets(LONG)) == len(WORDS) * 3
    assert tokenizer.special_tokens == 2
    assert tokenizer.encode_offsets_batch(["the", ""]) == [[(0, 3)], []]


def test_half_a_surrogate_pair_is_the_callers_error(tokenizer: TextTokenizer) -> None:
    for use in (tokenizer.ids, tokenizer.lengths, tokenizer.encode_offsets_batch):
        with pytest.raises(InvalidRequest, match="Unicode"):
            use(["fine", "\ud800"])


def test_a_file_that_cannot_be_read_is_a_missing_model(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match=r"tokenizer\.json"):
        TextTokenizer.load(tmp_path, 8)


def test_its_fingerprint_is_that_of_what_decides_ids(tmp_path: Path) -> None:
    tokenizer, found = tiny_tokenizer(), []
    for change in (
        lambda: None,
        tokenizer.no_padding,
        tokenizer.no_truncation,
        lambda: tokenizer.add_tokens(["tides"]),
    ):
        change()
        tokenizer.save(str(tmp_path / "tokenizer.json"))
        found.append(TextTokenizer.load(tmp_path, 8).fingerprint())
    assert len(set(found[:3])) == 1
    assert found[3] != found[0]
