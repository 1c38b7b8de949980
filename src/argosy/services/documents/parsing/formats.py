"""Detection of a document's format, by its content first and its name second."""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

import filetype  # type: ignore[import-untyped]

from argosy.contracts.errors import (
    DocumentError,
    EmptyDocument,
    EncryptedDocument,
    UnreadableDocument,
    UnsupportedType,
)
from argosy.services.documents.parsing.archives import LOCKED, members_of
from argosy.services.documents.parsing.code import SUFFIXES as CODE_SUFFIXES
from argosy.services.documents.parsing.wide_text import marked_encoding, unmarked_encoding


class Format(enum.StrEnum):
    """Supported document formats, by media type."""

    MARKDOWN = "text/markdown"
    TEXT = "text/plain"
    CODE = "text/x-source"
    HTML = "text/html"
    CSV = "text/csv"
    JSON = "application/json"
    EML = "message/rfc822"
    RTF = "application/rtf"
    PDF = "application/pdf"
    DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
    PPTX = "application/vnd.openxmlformats-officedocument.presentationml.presentation"
    XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
    ODT = "application/vnd.oasis.opendocument.text"
    EPUB = "application/epub+zip"
    PNG = "image/png"
    JPEG = "image/jpeg"
    TIFF = "image/tiff"


@dataclass(frozen=True, slots=True)
class _Kind:
    """Description of a format.

    `label` is for lists, `noun` for sentences. `marker` is the member that only this kind of ZIP container has.
    """

    label: str
    noun: str
    suffixes: tuple[str, ...]
    marker: str | None = None


_KINDS: Mapping[Format, _Kind] = {
    Format.MARKDOWN: _Kind("Markdown", "a Markdown text", (".md", ".markdown", ".mdown", ".mkd")),
    Format.TEXT: _Kind("plain text", "a plain text", (".txt", ".text", ".log", ".rst")),
    Format.CODE: _Kind("source code", "source code", CODE_SUFFIXES),
    Format.HTML: _Kind("HTML", "an HTML page", (".html", ".htm", ".xhtml")),
    Format.CSV: _Kind("CSV", "a CSV table", (".csv", ".tsv")),
    Format.JSON: _Kind("JSON", "a JSON file", (".json", ".jsonl", ".ndjson")),
    Format.EML: _Kind("e-mail", "an e-mail", (".eml",)),
    Format.RTF: _Kind("rich text", "a rich text (RTF) document", (".rtf",)),
    Format.PDF: _Kind("PDF", "a PDF", (".pdf",)),
    Format.DOCX: _Kind("Word", "a Word document", (".docx",), "word/document.xml"),
    Format.PPTX: _Kind("PowerPoint", "a PowerPoint presentation", (".pptx",), "ppt/presentation.xml"),
    Format.XLSX: _Kind("Excel", "an Excel workbook", (".xlsx",), "xl/workbook.xml"),
    Format.ODT: _Kind("OpenDocument", "an OpenDocument text", (".odt",), "content.xml"),
    Format.EPUB: _Kind("EPUB", "an EPUB book", (".epub",), "META-INF/container.xml"),
    Format.PNG: _Kind("PNG", "a PNG image", (".png",)),
    Format.JPEG: _Kind("JPEG", "a JPEG image", (".jpg", ".jpeg")),
    Format.TIFF: _Kind("TIFF", "a TIFF image", (".tif", ".tiff")),
}
SUFFIXES: Mapping[str, Format] = {suffix: kind for kind, about in _KINDS.items() for suffix in about.suffixes}
SUPPORTED = "any text, " + ", ".join(
    f"{about.label} ({about.suffixes[0]})" for kind, about in _KINDS.items() if kind is not Format.CODE
)
_BY_MEDIA_TYPE: Mapping[str, Format] = {kind.value: kind for kind in Format}
IMAGES = frozenset({Format.PNG, Format.JPEG, Format.TIFF})
_TEXTUAL = frozenset(
    {Format.MARKDOWN, Format.TEXT, Format.CODE, Format.HTML, Format.CSV, Format.JSON, Format.EML, Format.RTF}
)
_ODT_CONTENT = b"mimetypeapplication/vnd.oasis.opendocument.text"
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ENCRYPTED_PACKAGE = "EncryptedPackage".encode("utf-16-le")
_NOT_IN_TEXT = bytes(byte for byte in range(32) if byte not in (8, 9, 10, 11, 12, 13, 27))
_SAMPLE_BYTES = 65_536
_MAIL_HEADER = re.compile(rb"(?:received|return-path|from|to|subject|date|message-id|mime-version)[ \t]*:", re.I)


def detect(data: bytes, name: str, declared: str | None = None) -> Format:
    """Return the format of `data`. `declared`, the sender's media type, counts only if bytes and name do not decide.

    Text with an unknown ending is plain text.

    Raises: EmptyDocument when there is no content; UnsupportedType when the format is not supported, naming the
    supported ones; UnreadableDocument when the bytes do not match the name; EncryptedDocument when an office file is
    protected by a password or an e-book by DRM; OversizedDocument when the file is a ZIP bomb.
    """
    if not data.strip():
        raise EmptyDocument(f"{name} is empty.")
    named = SUFFIXES.get(PurePosixPath(name).suffix.lower())
    binary = _binary(data, name, named)
    if binary is not None:
        return binary
    if not _looks_like_text(data):
        raise _wrong(name, named, _describe(data))
    start = data[:_SAMPLE_BYTES].lstrip(b"\xef\xbb\xbf \t\r\n")[:64].lower()
    if start.startswith(b"{\\rtf"):
        return Format.RTF
    if start.startswith((b"<!doctype html", b"<html")):
        return Format.HTML
    if named is Format.RTF or (named is Format.EML and not _looks_like_mail(data)):
        raise _wrong(name, named, "plain text")
    if named is not None and named not in _TEXTUAL:
        raise _wrong(name, named, "plain text")
    if named is not None:
        return named
    if declared is not None:
        media_type = declared.partition(";")[0].strip().lower()
        if media_type in _TEXTUAL - {Format.RTF, Format.EML}:
            return Format(media_type)
    return Format.TEXT


def detected(content_type: str | None) -> Format | None:
    """Return the format that `detect` found when the document was accepted; None when it must be detected now.

    Texts sent as JSON are accepted as Markdown without a look at them, so that Markdown alone says nothing.
    """
    kind = _BY_MEDIA_TYPE.get(content_type or "")
    return None if kind is Format.MARKDOWN else kind


def noun(kind: Format) -> str:
    """Return the format's name for use in a sentence: "a Word document"."""
    return _KINDS[kind].noun


def _binary(data: bytes, name: str, named: Format | None) -> Format | None:
    """Return the format of binary data by its bytes alone, or None when the data may be text."""
    if b"%PDF-" in data[:1024]:
        return Format.PDF
    if data.startswith(b"PK\x03\x04"):
        return _inside_zip(data, name, named)
    if data.startswith(_OLE) and _ENCRYPTED_PACKAGE in data:
        raise EncryptedDocument(LOCKED.format(name=name))
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        kind = Format.PNG
    elif data.startswith(b"\xff\xd8\xff"):
        kind = Format.JPEG
    elif data.startswith((b"II*\0", b"MM\0*")):
        kind = Format.TIFF
    else:
        return None
    if named is not None and named not in IMAGES:
        raise _wrong(name, named, _KINDS[kind].noun)
    return kind


def _inside_zip(data: bytes, name: str, named: Format | None) -> Format:
    try:
        members = members_of(data, name)
    except UnreadableDocument:
        if named is not None and _KINDS[named].marker:
            raise
        raise _wrong(name, named, "a damaged ZIP archive") from None
    if "META-INF/encryption.xml" in members and "META-INF/rights.xml" in members:
        raise EncryptedDocument(f"{name} is locked to its buyer (DRM). Add a copy without the lock.")
    for kind, about in _KINDS.items():
        if about.marker in members and (kind is not Format.ODT or _ODT_CONTENT in data[:256]):
            return kind
    if named is not None and _KINDS[named].marker:
        raise _wrong(name, named, f"a ZIP archive without {_KINDS[named].noun} inside")
    raise _wrong(name, named, _describe(data))


def _wrong(name: str, named: Format | None, actual: str) -> DocumentError | UnsupportedType:
    if named is not None:
        return UnreadableDocument(f"{name} is {actual}, not {_KINDS[named].noun} as its name says.")
    return UnsupportedType(f"{name} is {actual}, which is not supported. Supported formats: {SUPPORTED}.")


def _looks_like_text(data: bytes) -> bool:
    return marked_encoding(data) is not None or not has_binary(data) or unmarked_encoding(data) is not None


def has_binary(data: bytes) -> bool:
    """Return whether the data holds bytes that occur in no UTF-8 text and in no text of a single-byte encoding."""
    sample = data[:_SAMPLE_BYTES]
    return any(byte in sample for byte in _NOT_IN_TEXT)


def _looks_like_mail(data: bytes) -> bool:
    return any(_MAIL_HEADER.match(line) for line in data[:_SAMPLE_BYTES].splitlines()[:50])


def _describe(data: bytes) -> str:
    """Return a description of binary data for people: "a GIF image"."""
    kind = filetype.guess(data[:8192])
    if kind is None:
        return "binary data of an unknown kind"
    family = kind.mime.partition("/")[0]
    noun = {"image": "image", "audio": "recording", "video": "video"}.get(family, "file")
    label = kind.extension.upper()
    return f"{'an' if label[0] in 'AEFHILMNORSX' else 'a'} {label} {noun}"
