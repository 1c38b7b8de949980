from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy.services.embedding.cache.entry import CachedVector
from argosy.services.embedding.cache.rows import Row, decode, encode
from tests.unit.embedding.cache.vectors import cached, is_nearly_of, is_of

pytestmark = pytest.mark.unit

KEY = b"k" * 16


def decoded(key: bytes, row: bytes) -> Row | None:
    [found] = decode([key], [row])
    return found


def test_float32_comes_back_bit_for_bit() -> None:
    found = decoded(KEY, encode(KEY, cached("sea"), stored_s=123.5, precision="float32"))
    assert found is not None
    assert is_of(found.value, "sea")
    assert (found.stored_s, found.value.seconds) == (123.5, 0.25)


@given(st.text(min_size=1, max_size=8), st.sampled_from([3, 64, 384, 1024]))
def test_float16_comes_back_of_unit_length_and_hardly_turned(text: str, dimensions: int) -> None:
    row = encode(KEY, cached(text, dimensions=dimensions), stored_s=0.0, precision="float16")
    found = decoded(KEY, row)
    assert found is not None
    assert is_nearly_of(found.value, text)
    assert float(np.linalg.norm(found.value.vector)) == pytest.approx(1.0, abs=1e-6)


def test_what_float16_cannot_hold_is_kept_in_float32() -> None:
    huge = CachedVector(np.array([1e6, 1.0], dtype=np.float32), tokens=1, truncated=False)
    found = decoded(KEY, encode(KEY, huge, stored_s=0.0, precision="float16"))
    assert found is not None
    assert found.value.vector.tolist() == [1e6, 1.0]


def test_a_row_under_another_key_is_not_taken() -> None:
    row = encode(KEY, cached("sea"), stored_s=0.0, precision="float16")
    assert decoded(b"j" * 16, row) is None


@given(st.data())
def test_a_row_with_any_bit_changed_is_not_taken(data: st.DataObject) -> None:
    row = bytearray(encode(KEY, cached("sea"), stored_s=0.0, precision="float16"))
    row[data.draw(st.integers(0, len(row) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    assert decoded(KEY, bytes(row)) is None


@given(st.binary(max_size=200))
def test_anything_else_is_not_taken(row: bytes) -> None:
    assert decoded(KEY, row) is None


def test_nobody_can_write_to_a_vector_that_others_get_too() -> None:
    found = decoded(KEY, encode(KEY, cached("sea"), stored_s=0.0, precision="float32"))
    assert found is not None
    with pytest.raises(ValueError, match="read-only"):
        found.value.vector[0] = 0
