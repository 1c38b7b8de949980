"""Hostile or damaged documents: each is read or fails with its code, and the next document is read."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import pytest

from argosy.contracts.errors import DocumentError
from argosy.services.documents.parsing.extraction import extract
from argosy.services.documents.parsing.formats import Format, detect
from argosy.services.documents.parsing.parsed import ParsedDocument
from argosy.services.documents.parsing.pool import ParserPool
from tests.samples import bad_samples
from tests.samples.make_samples import PAGES, SECRET, docx, pdf, png

pytestmark = pytest.mark.integration

TIMEOUT_S = 60.0

FAILING: dict[str, tuple[Callable[[], bytes], str]] = {
    "bomb.docx": (bad_samples.docx_bomb, "oversized_document"),
    "bomb.xlsx": (bad_samples.xlsx_bomb, "oversized_document"),
    "lying.docx": (bad_samples.lying_bomb, "unreadable_document"),
    "giant.docx": (bad_samples.giant_member, "oversized_document"),
    "crowded.docx": (bad_samples.many_members, "oversized_document"),
    "endless.pdf": (bad_samples.endless_pdf, "oversized_document"),
    "half.pdf": (bad_samples.half_pdf, "unreadable_document"),
    "garbage.pdf": (lambda: b"%PDF-1.4\n" + b"garbage " * 50, "unreadable_document"),
    "locked.pdf": (lambda: pdf(PAGES, password=SECRET), "encrypted_document"),
    "picture.pdf": (png, "unreadable_document"),
    "letter.docx": (lambda: b"Dear harbour master,", "unreadable_document"),
    "half.docx": (lambda: docx()[:400], "unreadable_document"),
    "empty.md": (bytes, "empty_document"),
    "blank.docx": (lambda: b" \r\n", "empty_document"),
    "wide.csv": (bad_samples.wide_csv, "oversized_document"),
    "broken.json": (lambda: b'{"berth": "Heron quay",', "unreadable_document"),
    "lines.json": (lambda: b'{"berth": 1}\n{"berth":\n', "unreadable_document"),
    "deep-lines.json": (lambda: b'{"berth": 1}\n' + b"[" * 200_000, "oversized_document"),
    "deep.json": (lambda: b"[" * 200_000, "oversized_document"),
    "crowded.eml": (bad_samples.crowded_mail, "oversized_document"),
}


@pytest.fixture
async def pool() -> AsyncIterator[ParserPool]:
    pool = ParserPool(size=1)
    yield pool
    await pool.close()


async def outcome(pool: ParserPool, name: str, data: bytes) -> ParsedDocument | str:
    try:
        return await pool.parse(data, name, TIMEOUT_S)
    except DocumentError as error:
        return error.code if name in error.message else f"{name} is not named: {error.message}"


async def test_each_bad_document_fails_with_its_code_and_the_next_is_read(pool: ParserPool) -> None:
    for name, (make, code) in FAILING.items():
        assert (name, await outcome(pool, name, make())) == (name, code)
        assert (await pool.parse(b"# Still here", "next.md", TIMEOUT_S)).title == "Still here"


async def test_divisions_inside_divisions_are_read_plainly(pool: ParserPool) -> None:
    """Read nested divisions plainly, because xberg returns no text for them."""
    parsed = await pool.parse(bad_samples.nested_divs(), "deep.html", TIMEOUT_S)
    assert parsed.text == "Mind the swell."


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"Mind the swell \xff\xfe\xfd at night.", "Mind the swell"),
        (b"\xc3\x28 \xa0\xa1 \xe2\x28\xa1 \xf0\x28\x8c\xbc flares", "flares"),
        (b"\xef\xbb\xbfMind the swell \xff.", "Mind the swell \N{REPLACEMENT CHARACTER}."),
        (b"Mind the swell \xed\xa0\x80.", "Mind the swell"),
    ],
    ids=["bytes of no encoding", "broken sequences", "marked as UTF-8", "half a surrogate"],
)
def test_a_text_that_is_not_utf_8_is_read_as_far_as_it_goes(data: bytes, text: str) -> None:
    assert text in extract(data, "notes.txt", detect(data, "notes.txt")).text


def test_a_page_that_cannot_be_read_is_named_and_the_others_are_read() -> None:
    parsed = extract(bad_samples.damaged_page(), "manual.pdf", Format.PDF)
    assert "Flares are kept" in parsed.text
    assert parsed.left_out == ["Page 4 is damaged and cannot be read."]


def test_messages_inside_messages_end_somewhere() -> None:
    parsed = extract(bad_samples.nested_mail(), "deep.eml", Format.EML)
    assert "too deep" in parsed.left_out[0]
