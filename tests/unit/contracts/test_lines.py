from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy.contracts.lines import LineTooLong, event_data, lines

pytestmark = pytest.mark.unit


async def stream(pieces: Iterable[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


async def lines_of(pieces: Iterable[bytes], max_bytes: int = 100) -> list[bytes]:
    return [line async for line in lines(stream(pieces), max_bytes)]


@given(st.lists(st.lists(st.sampled_from([b"a", b"b", b"\n"]), max_size=6).map(b"".join), max_size=8))
async def test_lines_do_not_depend_on_how_the_stream_is_cut(pieces: list[bytes]) -> None:
    *whole, rest = b"".join(pieces).split(b"\n")

    assert await lines_of(pieces) == [*whole, *([rest] if rest else [])]


@pytest.mark.parametrize("pieces", [[b"a\n1234\n"], [b"a\n12", b"34\nb"], [b"a\n1234"], [b"a", b"\n", b"1", b"234"]])
async def test_a_line_over_the_limit_is_refused_after_the_lines_before_it(pieces: list[bytes]) -> None:
    found = lines(stream(pieces), 3)

    assert await anext(found) == b"a"
    with pytest.raises(LineTooLong, match="limit of 3 bytes"):
        await anext(found)


async def test_a_line_of_exactly_the_limit_is_whole() -> None:
    assert await lines_of([b"123\n12", b"3"], 3) == [b"123", b"123"]


async def test_an_endless_line_is_refused_before_it_ends() -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 10

    with pytest.raises(LineTooLong):
        await anext(lines(endless(), 1000))


async def test_a_long_line_in_small_pieces_takes_linear_time() -> None:
    async def cpu_s(pieces: int) -> float:
        began = time.process_time()
        assert len(await lines_of([b"x" * 8] * pieces, 2**26)) == 1
        return time.process_time() - began

    await cpu_s(10_000)

    assert await cpu_s(200_000) < 100 * max(await cpu_s(10_000), 0.005)


async def test_event_data_leaves_out_comments_other_fields_and_blank_lines() -> None:
    pieces = [
        b": hello\r\n\r\nid: 7\nevent: x\r\ndata: {",
        b'"a": 1}\r\n\r\ndata:\n\ndata:[DO',
        b"NE]\n\nretry: 3\ndata: x",
    ]

    found = [data async for data in event_data(stream(pieces), 100)]

    assert found == [b'{"a": 1}', b"[DONE]", b"x"]
