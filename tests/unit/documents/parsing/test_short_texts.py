"""Short texts are parsed together, and only they are."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from argosy.contracts.errors import EmptyDocument, ParserCrashed
from argosy.services.documents.parsing.formats import Format
from argosy.services.documents.parsing.parsed import ParsedDocument
from argosy.services.documents.parsing.short_texts import MOST, SHORT_BYTES, ShortTexts

pytestmark = pytest.mark.unit


class Parsing:
    """A parser whose child crashes at one of the texts, as soon as it is told to."""

    def __init__(self) -> None:
        self.calls: list[int] = []
        self.gate = asyncio.Event()

    async def parse_texts(self, texts: Sequence[tuple[bytes, str, Format]]) -> list[ParsedDocument | Exception]:
        self.calls.append(len(texts))
        await self.gate.wait()
        if any(data == b"crash" for data, _, _ in texts):
            raise ParserCrashed("It crashed.")
        return [
            EmptyDocument(name) if data == b"nothing" else ParsedDocument(data.decode(), kind)
            for data, name, kind in texts
        ]


async def test_texts_that_wait_are_parsed_in_one_go_and_a_bad_one_fails_alone() -> None:
    parsing = Parsing()
    short = ShortTexts(parsing, linger_s=0.0)
    texts = [b"one", b"two", b"nothing", b"crash", b"three"]
    parses = [asyncio.ensure_future(short.parse(text, f"{n}.txt", "text/plain")) for n, text in enumerate(texts)]
    await asyncio.sleep(0)
    parsing.gate.set()
    outcomes = await asyncio.gather(*parses, return_exceptions=True)
    told = [outcome.text if isinstance(outcome, ParsedDocument) else type(outcome) for outcome in outcomes]
    assert told == ["one", "two", EmptyDocument, ParserCrashed, "three"]
    assert parsing.calls[0] == len(texts)  # then one by one, as nothing tells which of them crashed the parser


async def test_a_round_trip_has_a_limit() -> None:
    parsing = Parsing()
    short = ShortTexts(parsing, linger_s=0.0)
    parses = [asyncio.ensure_future(short.parse(b"text", "a.md", "text/markdown")) for _ in range(MOST + 1)]
    await asyncio.sleep(0)
    parsing.gate.set()
    await asyncio.gather(*parses)
    assert parsing.calls == [MOST, 1]


@pytest.mark.parametrize(
    ("data", "name", "declared"),
    [
        (b"x" * (SHORT_BYTES + 1), "a.txt", "text/plain"),
        (b"<html><p>Tides</p>", "a.txt", "text/plain"),
        (b"%PDF-1.7", "a.pdf", "application/pdf"),
        (b"a,b\n1,2", "a.csv", "text/csv"),
        (b"a,b\n1,2", "a.csv", "text/markdown"),
    ],
)
async def test_anything_else_is_left_to_the_others(data: bytes, name: str, declared: str) -> None:
    assert await ShortTexts(Parsing(), linger_s=0.0).parse(data, name, declared) is None
