from __future__ import annotations

import contextlib
import io
import zipfile
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy.contracts.errors import (
    DocumentError,
    EmptyDocument,
    EncryptedDocument,
    OversizedDocument,
    UnreadableDocument,
    UnsupportedType,
)
from argosy.services.documents.parsing.formats import SUFFIXES, Format, detect
from tests.samples import bad_samples, office_samples
from tests.samples.make_samples import docx, pdf, png

pytestmark = pytest.mark.unit

PAGES = (("Heading", ("A line.",)),)


def archive(*members: str) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as file:
        for member in members:
            file.writestr(member, "x")
    return target.getvalue()


@pytest.mark.parametrize(
    ("data", "name", "expected"),
    [
        (b"# Tides", "tides.md", Format.MARKDOWN),
        (b"plain", "notes.TXT", Format.TEXT),
        (b"plain", "README", Format.TEXT),
        ("Ölstand täglich prüfen".encode("cp1252"), "log.txt", Format.TEXT),
        ("Hafen".encode("utf-16"), "hafen.txt", Format.TEXT),
        (b"BM is how this sentence and every bitmap begins", "notes.txt", Format.TEXT),
        (b"<p>x</p>", "page.htm", Format.HTML),
        (b"\xef\xbb\xbf\n<!DOCTYPE HTML><p>x", "saved.txt", Format.HTML),
        (pdf(PAGES), "manual.pdf", Format.PDF),
        (pdf(PAGES), "download", Format.PDF),
        (docx(), "crew.docx", Format.DOCX),
        (docx(), "crew.bin", Format.DOCX),
    ],
)
def test_bytes_decide_before_the_name(data: bytes, name: str, expected: Format) -> None:
    assert detect(data, name) is expected


def test_a_declared_type_counts_where_bytes_and_name_say_nothing() -> None:
    assert detect(b"# Tides", "faq.v2", "text/markdown; charset=utf-8") is Format.MARKDOWN
    assert detect(b"# Tides", "tides.txt", "text/markdown") is Format.TEXT


def test_a_picture_named_pdf_is_called_what_it_is() -> None:
    with pytest.raises(UnreadableDocument, match=r"image\.pdf is a PNG image, not a PDF"):
        detect(png(), "image.pdf")


@pytest.mark.parametrize("name", ["empty.docx", "empty.pdf", "empty.txt"])
@pytest.mark.parametrize("data", [b"", b" \r\n\t"])
def test_a_file_without_content_is_empty_whatever_its_name(name: str, data: bytes) -> None:
    with pytest.raises(EmptyDocument, match=name):
        detect(data, name)


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"just text", "manual.pdf"),
        (b"just text", "crew.docx"),
        (docx()[:400], "crew.docx"),
        (archive("a.txt"), "crew.docx"),
        (b"\0\1\2\3", "notes.md"),
    ],
)
def test_content_that_contradicts_the_name_is_unreadable(data: bytes, name: str) -> None:
    with pytest.raises(UnreadableDocument, match=name):
        detect(data, name)


@pytest.mark.parametrize(
    ("data", "name"),
    [(b"PAR1\0\1", "table.parquet"), (archive("a.txt"), "files.zip"), (b"GIF89a\1\0", "photo.gif"), (b"\0\1", "x")],
)
def test_an_unknown_type_is_refused_with_what_is_supported(data: bytes, name: str) -> None:
    with pytest.raises(UnsupportedType, match=r"Markdown .* PDF .* Word"):
        detect(data, name)


def test_a_word_file_behind_a_password_is_named_encrypted() -> None:
    locked = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 512 + "EncryptedPackage".encode("utf-16-le")
    with pytest.raises(EncryptedDocument, match="password"):
        detect(locked, "crew.docx")


@pytest.mark.parametrize(
    ("data", "name", "expected"),
    [
        (office_samples.pptx(), "deck.pptx", Format.PPTX),
        (bad_samples.xlsx(), "berths.xlsx", Format.XLSX),
        (bad_samples.xlsx(), "berths", Format.XLSX),
        (office_samples.odt(), "moorings.odt", Format.ODT),
        (office_samples.epub(), "pilot.epub", Format.EPUB),
        (office_samples.eml(), "plan.eml", Format.EML),
        (office_samples.rtf(), "log.doc", Format.RTF),
        (b"a,b\n1,2", "berths.csv", Format.CSV),
        (b"[1]", "x.json", Format.JSON),
        (png(), "photo.png", Format.PNG),
    ],
)
def test_each_kind_is_known_by_what_it_holds(data: bytes, name: str, expected: Format) -> None:
    assert detect(data, name) is expected


@pytest.mark.parametrize("make", [bad_samples.docx_bomb, bad_samples.xlsx_bomb, bad_samples.many_members])
def test_an_archive_made_to_do_harm_is_refused_before_it_is_unpacked(make: Callable[[], bytes]) -> None:
    with pytest.raises(OversizedDocument, match=r"crew\.docx"):
        detect(make(), "crew.docx")


def test_an_archive_with_a_locked_member_is_encrypted() -> None:
    locked = bytearray(docx())
    at = 0
    while (at := locked.find(b"PK\x01\x02", at)) >= 0:
        locked[at + 8] |= 1
        at += 4
    with pytest.raises(EncryptedDocument, match="password"):
        detect(bytes(locked), "crew.docx")


@given(st.binary(max_size=300), st.sampled_from([*SUFFIXES, ".x", ""]), st.sampled_from([b"", b"PK\x03\x04", b"%PDF-"]))
def test_any_bytes_under_any_name_have_a_kind_or_a_reason(data: bytes, suffix: str, start: bytes) -> None:
    with contextlib.suppress(DocumentError, UnsupportedType):
        assert detect(start + data, f"name{suffix}") in Format
