from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy.services.documents.jobs.vectors import KeptVectors, VectorPool, text_hash

pytestmark = pytest.mark.unit


def row(text: str) -> bytes:
    return np.full(3, float(len(text)), dtype="<f4").tobytes()


def kept(*texts: str, model: str = "m") -> KeptVectors:
    return KeptVectors(model, 3, [text_hash(text) for text in texts], b"".join(map(row, texts)))


@given(st.lists(st.text(max_size=5), unique=True), st.lists(st.text(max_size=5)))
def test_every_text_gets_its_own_vector_whether_kept_or_computed(known: list[str], wanted: list[str]) -> None:
    pool = VectorPool([kept(*known)], "m")
    hashes = [text_hash(text) for text in wanted]
    missing = pool.missing(hashes)
    assert {wanted[place] for place in missing} == set(wanted) - set(known)
    assert pool.rows(hashes, [row(wanted[place]) for place in missing]) == b"".join(map(row, wanted))


def test_other_models_are_left_out() -> None:
    pool = VectorPool([kept("a", model="old")], "m")
    assert pool.missing([text_hash("a")]) == [0]
    assert pool.model is None


def test_what_is_kept_comes_back_and_what_is_damaged_does_not() -> None:
    whole = kept("a", "b").encode()
    assert KeptVectors.decode(whole) == kept("a", "b")
    assert KeptVectors.decode(whole[:-1]) is None
    assert KeptVectors.decode(b"") is None
    assert KeptVectors.decode(KeptVectors("m", 3, [b"x"], b"short").encode()) is None
