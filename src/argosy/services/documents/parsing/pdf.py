"""PDF reader: converts ranges of pages to Markdown and checks each page against a plain reader.

This module runs in the parser child.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from datetime import datetime

import pypdfium2
import pypdfium2.raw

from argosy.contracts.errors import (
    EncryptedDocument,
    NoTextInDocument,
    OcrMissing,
    OversizedDocument,
    UnreadableDocument,
)
from argosy.services.documents.parsing import ocr, xberg_reader
from argosy.services.documents.parsing.archives import LOCKED
from argosy.services.documents.parsing.formats import Format
from argosy.services.documents.parsing.links import without_addresses
from argosy.services.documents.parsing.parsed import (
    PageSpan,
    ParsedDocument,
    Properties,
    ink,
    markdown_title,
    normalise,
)
from argosy.services.documents.parsing.pdf_forms import fields_of, has_form, with_fields
from argosy.services.documents.parsing.pdf_scripts import Scripts, scripts_of, with_scripts
from argosy.services.documents.parsing.progress import progress

MAX_PAGES = 10_000
RANGE_PAGES = 50
"""Pages converted at once. Memory grows with them: 2,000 at once took 2.7 times the memory of ranges of 50, and no
less time."""
OCR_PAGES = 4
"""Pages recognised at once: a page takes seconds, and the parser must report progress regularly."""
PLAUSIBLE_SHARE = 0.6
"""Share of a page's plain text that xberg must return for its result to be used. xberg has returned 20k of a PDF's 46k
characters and reported success."""
BLANK_INK = 10
"""Characters below which a page with a picture counts as a scan; such a page may still show a page number as text."""
MAX_RUNS = 20
"""Highest number of page ranges named in one sentence."""
_WRONG_PASSWORD = 4
"""The error code FPDF_ERR_PASSWORD of PDFium."""
_TAIL_BYTES = 65_536
_PAGE_BREAK = "\n\n"
_HYPHENATION = re.compile(r"(?<=(.))\x02(?=(.))")
_DATE = re.compile(r"D:(\d{4})(\d\d)?(\d\d)?(\d\d)?(\d\d)?(\d\d)?(?:([+\-Z])(\d\d)?'?(\d\d)?'?)?")


def read_pdf(data: bytes, name: str) -> ParsedDocument:
    """Read a PDF. Damaged pages and unrecognised scans are named in `left_out`.

    Raises: EncryptedDocument when a password is needed; OversizedDocument when it has more than MAX_PAGES pages;
    UnreadableDocument when no page can be read or the file is cut off; NoTextInDocument when recognition found no text;
    OcrMissing when all pages are pictures and text recognition is not installed.
    """
    document = _open(data, name)
    try:
        form = has_form(document)
        seen: list[str | None] = []
        scripts: list[Scripts] = []
        fields: list[list[tuple[str, str]]] = []
        for number in range(len(document)):
            text, raised, filled = _plain_page(document, number, form=form)
            seen.append(text)
            scripts.append(raised)
            fields.append(filled)
            progress.step()
        damaged = [number for number, text in enumerate(seen) if text is None]
        if len(damaged) == len(seen):
            raise UnreadableDocument(f"{name} is damaged: no page of it can be read as PDF.")
        plain = [text or "" for text in seen]
        pages = _read_ranges(document, name, plain)
        texts = [
            rich if rich is not None and ink(rich) >= PLAUSIBLE_SHARE * ink(bare) else bare
            for rich, bare in zip(pages, plain, strict=True)
        ]
        left_out = [f"{_pages(damaged)} damaged and cannot be read."] if damaged else []
        left_out += _recognise(document, name, texts)
        written = [
            with_fields(with_scripts(text, raised), filled)
            for text, raised, filled in zip(texts, scripts, fields, strict=True)
        ]
        title, properties = _about(document)
    finally:
        document.close()
    markdown = any(rich is text for rich, text in zip(pages, texts, strict=True)) or not any(texts)
    text, spans = join_pages(written)
    return ParsedDocument(text, Format.PDF, title or markdown_title(text), spans, markdown, properties, left_out)


def join_pages(texts: Sequence[str]) -> tuple[str, list[PageSpan]]:
    """Join pages with a blank line. Returns: the text and the span of each page, numbered from 1."""
    spans: list[PageSpan] = []
    at = 0
    for number, text in enumerate(texts, 1):
        spans.append(PageSpan(number, at, at + len(text)))
        at += len(text) + len(_PAGE_BREAK)
    return _PAGE_BREAK.join(texts), spans


def _open(data: bytes, name: str) -> pypdfium2.PdfDocument:
    try:
        document = pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as error:
        if getattr(error, "err_code", None) == _WRONG_PASSWORD:
            raise EncryptedDocument(LOCKED.format(name=name)) from error
        raise UnreadableDocument(f"{name} is damaged: no page of it can be read as PDF.") from error
    pages = len(document)
    if pages > MAX_PAGES:
        raise OversizedDocument(f"{name} declares {pages} pages, the limit is {MAX_PAGES}. Split it.")
    if b"%%EOF" not in data[-_TAIL_BYTES:]:
        raise UnreadableDocument(f"{name} is cut off: the end of the PDF is missing. Get the whole file.")
    if not pages:
        raise UnreadableDocument(f"{name} is damaged: no page of it can be read as PDF.")
    return document


def _plain_page(
    document: pypdfium2.PdfDocument, number: int, *, form: bool
) -> tuple[str | None, Scripts, list[tuple[str, str]]]:
    """Return the plain text of a page, its raised and lowered digits, and its form fields.

    The text is None when the page cannot be read.
    """
    try:
        page = document[number]
        words = page.get_textpage()
        text = words.get_text_bounded()
        scripts = scripts_of(words)
        fields = fields_of(document, page) if form else []
        page.close()
    except pypdfium2.PdfiumError:
        return None, [], []
    return _joined(normalise(text)).strip(), scripts, fields


def _joined(text: str) -> str:
    """Join words that were hyphenated at the end of a line. PDFium marks the place with the character U+0002."""
    if "\x02" not in text:
        return text
    return _HYPHENATION.sub(lambda found: "" if found[1].islower() and found[2].islower() else "-", text)


def _about(document: pypdfium2.PdfDocument) -> tuple[str | None, Properties]:
    """Return the title and the properties that are filled in."""
    said = {key: xberg_reader.given(document.get_metadata_value(key)) for key in ("Title", "Author")}
    created, modified = (_date(document.get_metadata_value(key)) for key in ("CreationDate", "ModDate"))
    return said["Title"], Properties(author=said["Author"], created=created, modified=modified)


def _date(written: str) -> str | None:
    """Convert a PDF date (D:YYYYMMDDHHmmSS with or without zone, ISO 32000-1, 7.9.4) to ISO 8601; None if invalid."""
    found = _DATE.match(written)
    if found is None:
        return None
    year, month, day, hour, minute, second, sign, zone_hour, zone_minute = found.groups(default="")
    zone = f"{sign}{zone_hour}:{zone_minute or '00'}" if sign in ("+", "-") else "Z"
    text = f"{year}-{month or '01'}-{day or '01'}T{hour or '00'}:{minute or '00'}:{second or '00'}{zone}"
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return None
    return text


def _read_ranges(document: pypdfium2.PdfDocument, name: str, plain: Sequence[str]) -> list[str | None]:
    """Return each page as Markdown, None for pages that xberg failed on."""
    pages: list[str | None] = [None] * len(plain)
    for numbers in _batches([n for n, text in enumerate(plain) if text], RANGE_PAGES):
        try:
            found = xberg_reader.read(_excerpt(document, numbers), name, Format.PDF)
        except (RuntimeError, pypdfium2.PdfiumError):
            continue
        progress.step()
        for at, text in found.pages:
            if 1 <= at <= len(numbers):
                pages[numbers[at - 1]] = without_addresses(text.strip())
    return pages


def _recognise(document: pypdfium2.PdfDocument, name: str, texts: list[str]) -> list[str]:
    """Replace, in place, the text of pages that are only pictures by recognised text.

    Returns: one sentence that names the scans when text recognition is not installed, else nothing.
    Raises: NoTextInDocument when no page has text afterwards; OcrMissing when none has and OCR is not installed.
    """
    scans = [n for n, text in enumerate(texts) if ink(text) < BLANK_INK and _has_picture(document, n)]
    if not scans:
        return []
    try:
        config = ocr.recognition(name)
    except OcrMissing:
        if not any(texts):
            raise
        return [f"{_pages(scans)} only pictures; text recognition (OCR) would read them, but it is not installed."]
    for numbers in _batches(scans, OCR_PAGES):
        try:
            found = xberg_reader.read(_excerpt(document, numbers), name, Format.PDF, config)
        except (RuntimeError, pypdfium2.PdfiumError):
            continue
        progress.step()
        for at, text in found.pages:
            if 1 <= at <= len(numbers) and ink(text) > ink(texts[numbers[at - 1]]):
                texts[numbers[at - 1]] = text.strip()
    if not any(texts):
        pages = f"{len(scans)} page{'' if len(scans) == 1 else 's'}"
        raise NoTextInDocument(f"{name} holds no text: text recognition (OCR) found none on {pages}.")
    return []


def _pages(numbers: Sequence[int]) -> str:
    """Return the subject of a sentence for pages counted from 0 in rising order: "Pages 2–4, 7 are"."""
    if len(numbers) == 1:
        return f"Page {numbers[0] + 1} is"
    runs: list[list[int]] = []
    for number in numbers:
        if runs and runs[-1][-1] == number - 1:
            runs[-1][1:] = [number]
        else:
            runs.append([number])
    shown = ", ".join("–".join(str(end + 1) for end in run) for run in runs[:MAX_RUNS])
    return f"Pages {shown}{' and more' if len(runs) > MAX_RUNS else ''} are"


def _has_picture(document: pypdfium2.PdfDocument, number: int) -> bool:
    try:
        page = document[number]
        found = any(True for _ in page.get_objects(filter=[pypdfium2.raw.FPDF_PAGEOBJ_IMAGE], max_depth=4))
        page.close()
    except pypdfium2.PdfiumError:
        return False
    return found


def _excerpt(document: pypdfium2.PdfDocument, numbers: Sequence[int]) -> bytes:
    """Return a new PDF with the given pages only."""
    part = pypdfium2.PdfDocument.new()
    try:
        part.import_pages(document, list(numbers))
        target = io.BytesIO()
        part.save(target)
    finally:
        part.close()
    return target.getvalue()


def _batches(numbers: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    for at in range(0, len(numbers), size):
        yield numbers[at : at + size]
