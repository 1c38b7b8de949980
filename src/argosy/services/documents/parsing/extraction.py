"""The parse and clean stages: turn a document of any supported format into text.

The code blocks and handles untrusted bytes, so it runs in the parser child only.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from argosy.contracts.errors import (
    DocumentError,
    EmptyDocument,
    NoTextInDocument,
    OversizedDocument,
    UnreadableDocument,
)
from argosy.services.documents.parsing import ocr, xberg_reader
from argosy.services.documents.parsing.archives import members_of
from argosy.services.documents.parsing.cleaning import clean
from argosy.services.documents.parsing.code import sections_of
from argosy.services.documents.parsing.csv_table import read_csv
from argosy.services.documents.parsing.docx import prepared_docx
from argosy.services.documents.parsing.formats import IMAGES, Format, noun
from argosy.services.documents.parsing.html_cleaner import read_html
from argosy.services.documents.parsing.language import short_code, telling_part
from argosy.services.documents.parsing.links import without_addresses
from argosy.services.documents.parsing.mail import read_mail
from argosy.services.documents.parsing.office_xml import UnreadablePart
from argosy.services.documents.parsing.parsed import ParsedDocument, ink, markdown_title, with_pages
from argosy.services.documents.parsing.pdf import read_pdf
from argosy.services.documents.parsing.pptx import prepared_pptx
from argosy.services.documents.parsing.text_encoding import decode_any
from argosy.services.documents.parsing.xlsx import read_xlsx

PLAUSIBLE_SHARE_HTML = 0.2
"""Share of a page's visible text that xberg must return. It is low because navigation may be most of a page."""
MAX_TEXT_CHARS = 200_000_000


def extract(data: bytes, name: str, content_type: Format) -> ParsedDocument:
    """Parse and clean a document, detect its language and measure each stage in seconds.

    Raises: DocumentError when the document cannot be read or holds no text; the subclass says why.
    """
    [outcome] = extract_all([(data, name, content_type)])
    if isinstance(outcome, DocumentError):
        raise outcome
    return outcome


def extract_all(several: Sequence[tuple[bytes, str, Format]]) -> list[ParsedDocument | DocumentError]:
    """Extract several documents, each (data, name, content type), and find their languages in one go."""
    outcomes: list[ParsedDocument | DocumentError] = []
    for data, name, content_type in several:
        try:
            outcomes.append(_cleaned(data, name, content_type))
        except DocumentError as error:
            outcomes.append(error)
    _add_languages([outcome for outcome in outcomes if isinstance(outcome, ParsedDocument)])
    return outcomes


def _add_languages(several: Sequence[ParsedDocument]) -> None:
    silent = [parsed for parsed in several if parsed.properties.language is None]
    if not silent:
        return
    began_s = time.perf_counter()
    languages = xberg_reader.languages_of([telling_part(parsed.text) for parsed in silent])
    each_s = (time.perf_counter() - began_s) / len(silent)
    for parsed, language in zip(silent, languages, strict=True):
        parsed.properties.language = short_code(language)
        parsed.stage_s["clean"] += each_s


def _cleaned(data: bytes, name: str, content_type: Format) -> ParsedDocument:
    began_s = time.perf_counter()
    parsed = parse(data, name, content_type)
    parsed_s = time.perf_counter()
    cleaned = clean(parsed)
    if not cleaned.text.strip():
        raise NoTextInDocument(f"{name} holds no text.")
    cleaned.stage_s = {"parse": parsed_s - began_s, "clean": time.perf_counter() - parsed_s}
    return cleaned


def parse(data: bytes, name: str, content_type: Format) -> ParsedDocument:
    """Parse a document without cleaning its text.

    Raises: DocumentError when the document cannot be read, is too long or holds no text; the subclass says why.
    """
    parsed = READERS[content_type](data, name)
    if len(parsed.text) > MAX_TEXT_CHARS:
        raise OversizedDocument(f"{name} holds more than {MAX_TEXT_CHARS} characters, the limit. Split it.")
    if not parsed.text.strip():
        raise NoTextInDocument(f"{name} holds no text.")
    return parsed


@dataclass(frozen=True, slots=True)
class _Text:
    """Reader of plain text and Markdown, which keeps the text unchanged, except for the addresses of links."""

    kind: Format

    def __call__(self, data: bytes, name: str) -> ParsedDocument:
        text = decode_any(data)
        if not text.strip():
            raise EmptyDocument(f"{name} holds nothing but white space.")
        markdown = self.kind is Format.MARKDOWN
        text = without_addresses(text) if markdown else text
        return ParsedDocument(text, self.kind, markdown_title(text) if markdown else None, markdown=markdown)


_PREPARATIONS: Mapping[Format, Callable[[bytes], tuple[bytes, list[str]]]] = {
    Format.DOCX: prepared_docx,
    Format.PPTX: prepared_pptx,
}


@dataclass(frozen=True, slots=True)
class _Office:
    """Reader of formats that xberg reads as a whole."""

    kind: Format

    def __call__(self, data: bytes, name: str) -> ParsedDocument:
        if data.startswith(b"PK"):
            members_of(data, name)
        prepare = _PREPARATIONS.get(self.kind)
        prepared, left_out = prepare(data) if prepare is not None else (data, [])
        try:
            found = xberg_reader.read(prepared, name, self.kind)
        except RuntimeError as error:
            raise UnreadableDocument(f"{name} is damaged: it cannot be read as {noun(self.kind)}.") from error
        text = without_addresses(found.text)
        numbered = [(number, without_addresses(page)) for number, page in found.pages]
        text, pages = with_pages(text, numbered) if numbered else (text, [])
        title = found.title or markdown_title(text)
        return ParsedDocument(text, self.kind, title, pages, properties=found.properties, left_out=left_out)


@dataclass(frozen=True, slots=True)
class _Picture:
    kind: Format

    def __call__(self, data: bytes, name: str) -> ParsedDocument:
        config = ocr.recognition(name)
        try:
            found = xberg_reader.read(data, name, self.kind, config)
        except RuntimeError as error:
            raise UnreadableDocument(f"{name} is damaged: it cannot be read as {noun(self.kind)}.") from error
        if not found.text.strip():
            raise NoTextInDocument(f"{name} holds no text: text recognition (OCR) found none.")
        title = found.title or markdown_title(found.text)
        return ParsedDocument(found.text, self.kind, title, properties=found.properties)


def _code(data: bytes, name: str) -> ParsedDocument:
    text = decode_any(data)
    if not text.strip():
        raise EmptyDocument(f"{name} holds nothing but white space.")
    return ParsedDocument(text, Format.CODE, markdown=False, sections=sections_of(text, name))


def _html(data: bytes, name: str) -> ParsedDocument:
    page = read_html(decode_any(data, html=True))
    try:
        found = xberg_reader.read(page.markup.encode(errors="replace"), name, Format.HTML)
    except RuntimeError:
        found = xberg_reader.Found("")
    if ink(found.text) < PLAUSIBLE_SHARE_HTML * page.chars or not found.text.strip():
        return ParsedDocument(
            page.text,
            Format.HTML,
            page.title,
            markdown=False,
            properties=found.properties,
            left_out=list(page.left_out),
        )
    title = page.title or markdown_title(found.text)
    return ParsedDocument(found.text, Format.HTML, title, properties=found.properties, left_out=list(page.left_out))


def _csv(data: bytes, name: str) -> ParsedDocument:
    return read_csv(decode_any(data), name)


def _xlsx(data: bytes, name: str) -> ParsedDocument:
    members_of(data, name)
    try:
        return read_xlsx(data)
    except UnreadablePart:
        return _Office(Format.XLSX)(data, name)


def _json(data: bytes, name: str) -> ParsedDocument:
    text = _one_value(decode_any(data), name)
    try:
        found = xberg_reader.read(text.encode("utf-8", "replace"), name, Format.JSON)
    except RuntimeError as error:
        raise UnreadableDocument(f"{name} is damaged: it is not valid JSON.") from error
    if not found.text.strip():
        return ParsedDocument(text, Format.JSON, markdown=False)
    return ParsedDocument(found.text, Format.JSON, found.title or markdown_title(found.text))


def _one_value(text: str, name: str) -> str:
    """Return JSON text unchanged, and JSON Lines, which many `.json` files hold, as one list.

    The syntax is checked here because xberg would read a broken file as plain text. Numbers may have any length, so
    they are not converted.

    Raises: UnreadableDocument when the text is neither JSON nor JSON Lines; OversizedDocument when it is nested too
    deeply.
    """
    try:
        _check_json(text, name)
    except json.JSONDecodeError as error:
        lines = [(number, line) for number, line in enumerate(text.split("\n"), start=1) if line.strip()]
        broken, fault = _broken_line(lines, name)
        if fault is None:
            return f"[{','.join(line for _, line in lines)}]"
        place = (broken, fault.colno) if broken > lines[0][0] else (error.lineno, error.colno)
        raise UnreadableDocument(
            f"{name} is damaged: it is not valid JSON (line {place[0]}, column {place[1]})."
        ) from error
    return text


def _broken_line(lines: Sequence[tuple[int, str]], name: str) -> tuple[int, json.JSONDecodeError | None]:
    """Return the number of the first line that is not a JSON value by itself, and its error; (0, None) without one."""
    for number, line in lines:
        try:
            _check_json(line, name)
        except json.JSONDecodeError as error:
            return number, error
    return 0, None


def _check_json(text: str, name: str) -> None:
    """Check that the text is one JSON value.

    Raises: JSONDecodeError when it is not; OversizedDocument when it is nested too deeply.
    """
    try:
        json.loads(text, parse_int=len, parse_float=len)
    except RecursionError as error:
        raise OversizedDocument(f"{name} is nested too deeply to be read as JSON.") from error


def _mail(data: bytes, name: str) -> ParsedDocument:
    return read_mail(data, name, parse)


READERS: Mapping[Format, Callable[[bytes, str], ParsedDocument]] = {
    Format.MARKDOWN: _Text(Format.MARKDOWN),
    Format.TEXT: _Text(Format.TEXT),
    Format.CODE: _code,
    Format.HTML: _html,
    Format.CSV: _csv,
    Format.XLSX: _xlsx,
    Format.JSON: _json,
    Format.EML: _mail,
    Format.PDF: read_pdf,
    **{kind: _Office(kind) for kind in (Format.DOCX, Format.PPTX, Format.ODT, Format.EPUB, Format.RTF)},
    **{kind: _Picture(kind) for kind in sorted(IMAGES)},
}
