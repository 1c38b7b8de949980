"""UTF-16 and UTF-32 text with and without a byte order mark."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy.contracts.errors import UnreadableDocument
from argosy.services.documents.parsing.formats import Format, detect
from argosy.services.documents.parsing.parsed import decode_text
from argosy.services.documents.parsing.text_encoding import decode_any
from argosy.services.documents.parsing.wide_text import unmarked_encoding

pytestmark = pytest.mark.unit

TEXTS = {
    "German": "Das Hafenamt ist täglich geöffnet.\nMind the swell – 3½ knots.\n",
    "Russian": "Порт открыт ежедневно с шести утра.\nСледите за приливом.\n",
    "Greek": "Το λιμάνι ανοίγει στις έξι.\n",
    "Arabic": "الميناء مفتوح يوميا من السادسة.\n",
    "Hebrew": "הנמל פתוח מדי יום משש.\n",
    "Hindi": "बंदरगाह सुबह छह बजे खुलता है।\n",
    "Chinese": "港口每天早上六点开放。\n注意潮汐。\n",
    "Japanese": "港は毎朝六時に開きます。カタカナも。\n",
    "Korean": "항구는 매일 아침 여섯 시에 열립니다.\n",
    "JSON": '{"berth": {"name": "Heron quay", "depth_m": 9.2}}\n',
    "CSV": "Name;Tiefe\nHeron quay;9,2\n",
}
UNMARKED = ("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be")


@pytest.mark.parametrize("encoding", UNMARKED)
@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_a_text_without_a_mark_is_read_in_the_encoding_it_is_in(text: str, encoding: str) -> None:
    data = text.encode(encoding)
    assert detect(data, "notes.txt") is Format.TEXT
    assert decode_any(data) == text


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32"])
def test_a_byte_order_mark_decides(encoding: str) -> None:
    data = TEXTS["Russian"].encode(encoding)
    assert detect(data, "notes.txt") is Format.TEXT
    assert decode_any(data) == decode_text(data) == TEXTS["Russian"]


def test_where_the_sample_ends_does_not_matter() -> None:
    text = "x" + "𝄞 Die Sirene heult. " * 2000
    for encoding in UNMARKED:
        assert decode_any(text.encode(encoding)) == text


@given(st.integers(), st.integers(64, 3000))
def test_data_that_is_no_text_is_not_taken_for_some(seed: int, size: int) -> None:
    data = random.Random(seed).randbytes(size)
    assert unmarked_encoding(b"\0" + data) is None


@pytest.mark.parametrize(
    "data",
    [
        b"\0\1\2\3",
        bytes(range(256)),
        b"".join(n.to_bytes(2, "little") for n in range(300)),
        b"".join(n.to_bytes(4, "big") for n in range(300)),
        b"\0" * 500,
        b"MZ\x90\0\3\0\0\0\4\0\0\0\xff\xff\0\0\xb8\0\0\0\0\0\0\0@\0\0\0",
    ],
)
def test_a_program_or_a_table_of_numbers_is_no_text(data: bytes) -> None:
    with pytest.raises(UnreadableDocument, match=r"notes\.txt is"):
        detect(data, "notes.txt")


@given(st.binary(max_size=300))
def test_any_bytes_are_decoded(data: bytes) -> None:
    assert isinstance(decode_any(data), str)
