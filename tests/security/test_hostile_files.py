"""Hostile files that occupy a parser for as long as possible."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable

import pytest
import pytest_asyncio

from argosy.answering.units.builder import build_units
from argosy.contracts.errors import ArgosyError, OversizedDocument, ParserTimedOut
from argosy.services.documents.parsing.charsets import known_charset
from argosy.services.documents.parsing.formats import Format
from argosy.services.documents.parsing.html_cleaner import read_html
from argosy.services.documents.parsing.mail import MAX_PARTS, read_mail
from argosy.services.documents.parsing.parsed import ParsedDocument, decode_text, markdown_title
from argosy.services.documents.parsing.pool import ParserPool
from argosy.text.blocks import markdown_blocks
from tests.security.growth import grows_linearly

pytestmark = pytest.mark.security

MILLION = 10**6
LONGEST_S = 10.0
HEAD = b"From: a@b.example\r\nSubject: Tides\r\n"
PUNYCODE = b"abcdefgh" * 100_000


def _units(text: str) -> int:
    return len(build_units(text, markdown=True))


def _plain(data: bytes, name: str, kind: Format) -> ParsedDocument:
    return ParsedDocument(decode_text(data, html=kind is Format.HTML), kind, markdown=False)


@pytest.mark.parametrize(
    "unit",
    [
        *("<!--", "<a", "<a ", "<a b='", '<a b="', "</a", "<!", "<?", "<![CDATA[", "<script>", "<style>", "<title>"),
        *("<", "<a <", "<meta ", '="', "<svg>", "<template></template>", "<div>", "&", "&#", "<script></script"),
    ],
)
def test_time_to_read_a_page_grows_with_its_length(unit: str) -> None:
    assert grows_linearly(lambda n: read_html("<html>" + unit * n), 5_000)


def test_elements_that_close_inside_many_open_ones_cost_no_more() -> None:
    assert grows_linearly(lambda n: read_html("<svg>" * n + "<template></template>" * n), 5_000)


BEGINNINGS = ["", "# ", "a|b\n", "| a |\n|", "---\n", "---\ntitle:", "> "]
UNITS = [
    *("[", "[a](", "*a **a ", "`", "`a``b```c ", ">", "#", " #", ".", "…", ". ", ".'", " ", "\t", "-", "- ", "|", "|-"),
    *(":-", "=", "\n", "\n\t", "dr. ", "Dr. A", "a: b\n", "---\n", "。」", "1.", "(a", "a"),
]


@pytest.mark.parametrize("begin", BEGINNINGS)
@pytest.mark.parametrize("split", [markdown_blocks, _units, markdown_title])
def test_time_to_cut_a_text_grows_with_its_length(split: Callable[[str], object], begin: str) -> None:
    def text(unit: str, chars: int) -> str:
        return begin + unit * (chars // len(unit)) + "x|"

    slow = [unit for unit in UNITS if not grows_linearly(lambda n, unit=unit: split(text(unit, n)), 4_000)]  # type: ignore[misc]
    assert not slow


@pytest.mark.parametrize("name", ["punycode", "idna", "utf_7", "unicode_escape", "raw-unicode-escape", "rot13", "zip"])
def test_a_charset_that_is_no_encoding_of_documents_is_unknown(name: str) -> None:
    assert known_charset(name) is None
    assert known_charset("x" * 1000) is None


@pytest.mark.parametrize("name", ["UTF-8", "latin1", "Windows-1252", "Shift_JIS", "gb2312", "koi8-r", "us-ascii"])
def test_the_charsets_of_honest_documents_are_known(name: str) -> None:
    assert known_charset(name) is not None


MAILS = {
    "body": HEAD + b"Content-Type: text/plain; charset=punycode\r\n\r\n" + PUNYCODE,
    "body named by RFC 2231": HEAD + b"Content-Type: text/plain; charset*=us-ascii'en'punycode\r\n\r\n" + PUNYCODE,
    "subject": b"From: a@b.example\r\nSubject: =?punycode?q?" + PUNYCODE + b"?=\r\n\r\nHello",
    "many words": HEAD + b"To: " + b"=?punycode?q?abcdefghijklmnop?=\r\n " * 20_000 + b"\r\n\r\nHello",
    "comments": b"From: " + b"(" * 100_000 + b"\r\nSubject: Tides\r\n\r\nHello",
    "parameters": HEAD + b"Content-Type: text/plain; " + b"a=b; " * 100_000 + b"\r\n\r\nHello",
    "file name": HEAD
    + b"Content-Type: multipart/mixed; boundary=q\r\n\r\n--q\r\n\r\nHello\r\n--q\r\nContent-Type: text/plain\r\n"
    + b"Content-Disposition: attachment; filename*=punycode''"
    + PUNYCODE
    + b"\r\n\r\nmore\r\n--q--\r\n",
}


@pytest.mark.parametrize("mail", MAILS.values(), ids=MAILS)
def test_a_mail_with_a_costly_charset_or_header_is_read_at_once(mail: bytes) -> None:
    began_s = time.process_time()
    assert read_mail(mail, "a.eml", _plain).text
    assert time.process_time() - began_s < LONGEST_S / 5


def test_a_mail_with_a_million_parts_is_not_read_to_its_end() -> None:
    mail = HEAD + b"Content-Type: multipart/mixed; boundary=q\r\n\r\n" + b"--q\r\n\r\nhi\r\n" * 200_000
    began_s = time.process_time()
    with pytest.raises(OversizedDocument, match=f"more than {MAX_PARTS} parts"):
        read_mail(mail, "a.eml", _plain)
    assert time.process_time() - began_s < LONGEST_S / 5


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pool() -> AsyncIterator[ParserPool]:
    pool = ParserPool(1)
    yield pool
    await pool.close()


FILES = {
    "comments.html": b"<html><p>Tides</p>" + b"<!--" * MILLION,
    "tags.html": b"<html><p>Tides</p>" + b"<a" * MILLION,
    "scripts.html": b"<html><p>Tides</p>" + b"<script>" * (MILLION // 4),
    "nested.html": b"<html><p>Tides</p>" + b"<div>" * 100_000,
    "nested.rtf": b"{\\rtf1 Tides " + b"{\\b " * 100_000,
    "nested.json": b"[" * MILLION,
    "quote.csv": b'a,b\n"' + b"c,d\n" * 100_000,
    "line.txt": b"a" * 10 * MILLION,
    "punycode.eml": MAILS["body"],
    "words.eml": MAILS["many words"],
}


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("name", FILES)
async def test_a_hostile_file_fails_or_is_read_within_seconds(pool: ParserPool, name: str) -> None:
    try:
        parsed = await pool.parse(FILES[name], name, LONGEST_S)
    except ParserTimedOut:
        pytest.fail("the file held its parser")
    except ArgosyError:
        return
    assert parsed.text.strip()
