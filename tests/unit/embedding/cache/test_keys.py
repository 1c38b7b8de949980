from __future__ import annotations

from itertools import combinations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy.contracts.embedding import ModelInfo, TextKind
from argosy.services.embedding.cache.keys import KEY_BYTES, Keys
from tests.unit.embedding.cache.vectors import INFO

pytestmark = pytest.mark.unit

ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=20)


def key(text: str = "sea", kind: TextKind = TextKind.QUERY, info: ModelInfo = INFO, policy: str = "truncate") -> bytes:
    return Keys(info, policy=policy).key(text, kind)


def test_a_key_is_the_same_in_every_process() -> None:
    assert key().hex() == "c5f8a8d37e8cdb9d2f03d6e26c869c35"
    assert len(key()) == KEY_BYTES


def test_whatever_changes_the_vector_changes_the_key() -> None:
    change = msgspec.structs.replace
    keys = [
        key(),
        key("see"),
        key(kind=TextKind.PASSAGE),
        key(policy="split"),
        key(info=change(INFO, model="another")),
        key(info=change(INFO, revision="2")),
        key(info=change(INFO, dimensions=97)),
        key(info=change(INFO, max_tokens=65)),
    ]
    assert all(a != b for a, b in combinations(keys, 2))


def test_fields_do_not_run_into_each_other() -> None:
    def of(model: str, revision: str, policy: str) -> bytes:
        return key(info=ModelInfo(model=model, revision=revision, dimensions=96, max_tokens=64), policy=policy)

    keys = [of("a", "bc", "d"), of("ab", "c", "d"), of("a", "b", "cd"), of("", "abc", "d"), of("abcd", "", "")]
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("\u00e9", "e\u0301"),
        ("\ud800", "\udc00"),
        ("\ud83d\ude00", "\U0001f600"),
        ("\ud800", "?"),
        ("a", "a\0"),
        ("", " "),
    ],
)
def test_texts_are_told_apart_by_code_points(one: str, other: str) -> None:
    assert key(one) != key(other)


@given(ANY_TEXT, ANY_TEXT)
def test_every_text_has_a_key_and_only_equal_texts_share_one(one: str, other: str) -> None:
    assert (key(one) == key(other)) == (one == other)
