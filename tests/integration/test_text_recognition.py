"""Text recognition in pictures by the real Tesseract."""

from __future__ import annotations

import io
import os

import pypdfium2
import pytest

from argosy.contracts.errors import NoTextInDocument, OcrMissing
from argosy.services.documents.parsing import ocr
from argosy.services.documents.parsing.extraction import extract
from argosy.services.documents.parsing.formats import Format
from argosy.services.documents.parsing.parsed import ParsedDocument
from tests.samples.make_samples import PAGES, Picture, pdf, png, scanned_pdf
from tests.samples.scans import picture_of

pytestmark = pytest.mark.integration

HEADING, LINES = PAGES[2]


@pytest.fixture(scope="module")
def recognition() -> None:
    """Skip the tests where Tesseract is missing; fail in CI."""
    if ocr.trained_data() is None:
        missing = "Tesseract's language data is missing; on Debian: apt-get install tesseract-ocr tesseract-ocr-eng"
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)


@pytest.fixture(scope="module")
def picture() -> Picture:
    return picture_of(HEADING, *LINES)


def partly_scanned(scan: bytes) -> bytes:
    """Return a PDF of three pages: two with text and the scan as the second."""
    document, part = pypdfium2.PdfDocument(pdf(PAGES)), pypdfium2.PdfDocument(scan)
    document.import_pages(part, index=1)
    target = io.BytesIO()
    document.save(target)
    part.close()
    document.close()
    return target.getvalue()


def page(parsed: ParsedDocument, number: int) -> str:
    span = parsed.pages[number - 1]
    return " ".join(parsed.text[span.start : span.end].split())


@pytest.mark.usefixtures("recognition")
def test_the_words_of_a_picture_are_read(picture: Picture) -> None:
    parsed = extract(png(picture), "lifeboats.png", Format.PNG)
    assert all(line in parsed.text for line in LINES)
    assert (parsed.title, parsed.properties.language) == (HEADING, "en")


@pytest.mark.usefixtures("recognition")
def test_the_words_of_a_scanned_pdf_are_read(picture: Picture) -> None:
    parsed = extract(scanned_pdf(picture), "lifeboats.pdf", Format.PDF)
    assert [span.page for span in parsed.pages] == [1]
    assert page(parsed, 1) == " ".join([HEADING, *LINES])


@pytest.mark.usefixtures("recognition")
def test_a_scanned_page_among_others_is_read_in_its_place(picture: Picture) -> None:
    parsed = extract(partly_scanned(scanned_pdf(picture)), "mixed.pdf", Format.PDF)
    assert "Her crew of nine" in page(parsed, 1)
    assert page(parsed, 2) == " ".join([HEADING, *LINES])
    assert "1450 kilowatts" in page(parsed, 3)
    assert parsed.left_out == []


@pytest.mark.usefixtures("recognition")
def test_a_scan_without_words_says_so() -> None:
    with pytest.raises(NoTextInDocument, match="recognition"):
        extract(scanned_pdf(), "scan.pdf", Format.PDF)


def test_without_tesseract_pictures_fail_and_say_what_to_install(
    picture: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TESSDATA_PREFIX", "/nowhere")
    for data, kind in ((scanned_pdf(picture), Format.PDF), (png(picture), Format.PNG)):
        with pytest.raises(OcrMissing, match="apt-get install tesseract-ocr"):
            extract(data, "scan", kind)


def test_without_tesseract_scanned_pages_are_left_out_and_named(
    picture: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TESSDATA_PREFIX", "/nowhere")
    parsed = extract(partly_scanned(scanned_pdf(picture)), "mixed.pdf", Format.PDF)
    assert "1450 kilowatts" in page(parsed, 3)
    [told] = parsed.left_out
    assert told.startswith("Page 2 is only pictures; text recognition (OCR)")
