"""HTML, PDF and Word to Markdown. Blocking, and fed with bytes nobody vouches for: runs in the parser's child only."""

from __future__ import annotations

import asyncio

import pypdfium2
import xberg

from argosy.contracts.errors import EncryptedDocument, NoTextInDocument, UnreadableDocument
from argosy.services.documents.formats import Format
from argosy.services.documents.html_text import read_html
from argosy.services.documents.parsed import (
    PageSpan,
    ParsedDocument,
    decode_text,
    ink,
    markdown_title,
    normalise,
    with_pages,
)

PLAUSIBLE_SHARE = 0.6
"""The first parser once returned 20k of a PDF's 46k characters and said it was done; below this share of what the
plain reader sees, its result is not used. Headers and footers that it drops on purpose stay above it."""
PLAUSIBLE_SHARE_HTML = 0.2
"""Navigation and forms may be most of a page, so much less is plausible."""
_WRONG_PASSWORD = 4
"""FPDF_ERR_PASSWORD"""


def extract(data: bytes, name: str, content_type: Format) -> ParsedDocument:
    """The document's text.

    Raises: EncryptedDocument, NoTextInDocument, UnreadableDocument.
    """
    read = {Format.PDF: _pdf, Format.HTML: _html, Format.DOCX: _docx}[content_type]
    parsed = read(data, name)
    if not parsed.text.strip():
        raise NoTextInDocument(f"{name} holds no text. A scan needs text recognition (OCR) before it is added.")
    return parsed


def _pdf(data: bytes, name: str) -> ParsedDocument:
    plain = _pdf_plain(data, name)
    try:
        found = _run(data, name, Format.PDF)
    except RuntimeError as error:
        if plain is None:
            raise UnreadableDocument(f"{name} is damaged: no page of it can be read as PDF.") from error
        return plain
    if plain is not None and ink(found.content) < PLAUSIBLE_SHARE * ink(plain.text):
        return plain
    # Its own page boundaries are offsets into the text before headings got their marks, so they are not used.
    pages_found = [(page.page_number, normalise(page.content)) for page in found.pages or []]
    text, pages = with_pages(normalise(found.content), pages_found)
    title = found.metadata.title or (plain and plain.title) or markdown_title(text)
    return ParsedDocument(text, Format.PDF, title, pages)


def _pdf_plain(data: bytes, name: str) -> ParsedDocument | None:
    """The bare text of each page, or None when the file cannot be opened."""
    try:
        document = pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as error:
        if getattr(error, "err_code", None) == _WRONG_PASSWORD:
            raise EncryptedDocument(
                f"{name} is protected by a password. Save it without one and add it again."
            ) from error
        return None
    parts: list[str] = []
    spans: list[PageSpan] = []
    length = 0
    for number in range(1, len(document) + 1):
        try:
            page = document[number - 1]
            text = normalise(page.get_textpage().get_text_bounded()).strip()
            page.close()
        except pypdfium2.PdfiumError:
            text = ""
        spans.append(PageSpan(number, length, length + len(text)))
        parts.append(text)
        length += len(text) + 2
    title = document.get_metadata_value("Title").strip() or None
    document.close()
    return ParsedDocument("\n\n".join(parts), Format.PDF, title, spans, markdown=False)


def _html(data: bytes, name: str) -> ParsedDocument:
    page = decode_text(data, html=True)
    title, visible = read_html(page)
    try:
        text = normalise(_run(page.encode(errors="replace"), name, Format.HTML).content)
    except RuntimeError:
        text = ""
    if ink(text) < PLAUSIBLE_SHARE_HTML * ink(visible) or not text.strip():
        return ParsedDocument(visible, Format.HTML, title, markdown=False)
    return ParsedDocument(text, Format.HTML, title or markdown_title(text))


def _docx(data: bytes, name: str) -> ParsedDocument:
    try:
        found = _run(data, name, Format.DOCX)
    except RuntimeError as error:
        raise UnreadableDocument(f"{name} is damaged: it cannot be read as a Word document.") from error
    text = normalise(found.content)
    return ParsedDocument(text, Format.DOCX, found.metadata.title or markdown_title(text))


def _run(data: bytes, name: str, content_type: Format) -> xberg.ExtractedDocument:
    """Raises: RuntimeError, which is all that the library ever raises."""
    config = xberg.ExtractionConfig(
        use_cache=False,
        disable_ocr=True,
        enable_quality_processing=False,
        output_format="markdown",
        html_options=xberg.ConversionOptions(extract_metadata=False),
        pages=xberg.PageConfig(extract_pages=True) if content_type is Format.PDF else None,
        concurrency=xberg.ConcurrencyConfig(max_threads=1),
    )
    source = xberg.ExtractInput(kind="bytes", bytes=data, mime_type=content_type.value, filename=name)
    result = asyncio.run(_extract(source, config))
    if not result.results:
        raise RuntimeError("nothing was extracted")
    return result.results[0]


async def _extract(source: xberg.ExtractInput, config: xberg.ExtractionConfig) -> xberg.ExtractionResult:
    return await xberg.extract(source, config)
