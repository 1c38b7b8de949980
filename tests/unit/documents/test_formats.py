from __future__ import annotations

import io
import zipfile

import pytest

from argosy.contracts.errors import EmptyDocument, EncryptedDocument, UnreadableDocument, UnsupportedType
from argosy.services.documents.formats import Format, admit, detect
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
    [(b"a,b\n1,2", "table.csv"), (archive("a.txt"), "files.zip"), (png(), "photo.png"), (b"{\\rtf1 x}", "letter")],
)
def test_an_unknown_type_is_refused_with_what_is_supported(data: bytes, name: str) -> None:
    with pytest.raises(UnsupportedType, match=r"Markdown .* PDF .* Word"):
        detect(data, name)


def test_a_word_file_behind_a_password_is_named_encrypted() -> None:
    locked = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 512 + "EncryptedPackage".encode("utf-16-le")
    with pytest.raises(EncryptedDocument, match="password"):
        detect(locked, "crew.docx")


def test_a_damaged_document_is_admitted_so_that_its_batch_can_report_it() -> None:
    assert admit(b"", "empty.docx") == Format.DOCX
    assert admit(png(), "image.pdf") == Format.PDF
    with pytest.raises(UnsupportedType):
        admit(b"a,b", "table.csv")
