"""Which kind of document some bytes are: decided by what they hold first, by their name second."""

from __future__ import annotations

import enum
import io
import zipfile
from pathlib import PurePosixPath

import filetype  # type: ignore[import-untyped]

from argosy.contracts.errors import (
    DocumentError,
    EmptyDocument,
    EncryptedDocument,
    UnreadableDocument,
    UnsupportedType,
)


class Format(enum.StrEnum):
    """Each supported kind, as its media type."""

    MARKDOWN = "text/markdown"
    TEXT = "text/plain"
    HTML = "text/html"
    PDF = "application/pdf"
    DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"


SUPPORTED = "Markdown (.md), plain text (.txt), HTML (.html), PDF (.pdf) and Word (.docx)"
_TITLES = {
    Format.MARKDOWN: "a Markdown text",
    Format.TEXT: "a plain text",
    Format.HTML: "an HTML page",
    Format.PDF: "a PDF",
    Format.DOCX: "a Word document",
}
_BY_SUFFIX = {
    **dict.fromkeys((".md", ".markdown", ".mdown", ".mkd"), Format.MARKDOWN),
    **dict.fromkeys((".txt", ".text", ".log", ".rst"), Format.TEXT),
    **dict.fromkeys((".html", ".htm", ".xhtml"), Format.HTML),
    ".pdf": Format.PDF,
    ".docx": Format.DOCX,
}
_BINARY = frozenset({Format.PDF, Format.DOCX})
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ENCRYPTED_PACKAGE = "EncryptedPackage".encode("utf-16-le")
_BOM_16 = (b"\xff\xfe", b"\xfe\xff")
_NOT_IN_TEXT = bytes(byte for byte in range(32) if byte not in (8, 9, 10, 11, 12, 13, 27))
_SAMPLE_BYTES = 65_536


def detect(data: bytes, name: str, declared: str | None = None) -> Format:
    """The format of `data`. `declared`, the media type its sender gave, counts only where bytes and name are silent.

    Raises: EmptyDocument; UnsupportedType, naming what is supported; UnreadableDocument, the bytes are not what
    the name says; EncryptedDocument, a Word document behind a password.
    """
    if not data.strip():
        raise EmptyDocument(f"{name} is empty.")
    named = _BY_SUFFIX.get(PurePosixPath(name).suffix.lower())
    if b"%PDF-" in data[:1024]:
        return Format.PDF
    if data.startswith(b"PK\x03\x04"):
        return _inside_zip(data, name, named)
    if data.startswith(_OLE) and _ENCRYPTED_PACKAGE in data:
        raise EncryptedDocument(f"{name} is protected by a password. Save it without one and add it again.")
    if not _looks_like_text(data):
        raise _wrong(name, named, _describe(data))
    start = data[:_SAMPLE_BYTES].lstrip(b"\xef\xbb\xbf \t\r\n")[:64].lower()
    if start.startswith(b"{\\rtf"):
        raise _wrong(name, named, "a rich text (RTF) document")
    if start.startswith((b"<!doctype html", b"<html")):
        return Format.HTML
    if named in _BINARY:
        raise _wrong(name, named, "plain text")
    if named is not None:
        return named
    if declared is not None:
        media_type = declared.partition(";")[0].strip().lower()
        if media_type in set(Format) - _BINARY:
            return Format(media_type)
    if not PurePosixPath(name).suffix:
        return Format.TEXT
    raise _wrong(name, None, f"a {PurePosixPath(name).suffix} file")


def admit(data: bytes, name: str, declared: str | None = None) -> str:
    """The media type to record for an upload, even of a document that will turn out to be empty or damaged.

    Raises: UnsupportedType only; what is wrong with the document itself is found when it is parsed.
    """
    try:
        return detect(data, name, declared)
    except DocumentError:
        return _BY_SUFFIX.get(PurePosixPath(name).suffix.lower(), Format.TEXT)


def _inside_zip(data: bytes, name: str, named: Format | None) -> Format:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = set(archive.namelist())
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError):
        if named is Format.DOCX:
            raise UnreadableDocument(f"{name} is damaged: its ZIP container is broken or cut off.") from None
        raise _wrong(name, named, "a damaged ZIP archive") from None
    if "word/document.xml" in members:
        return Format.DOCX
    kind = _describe(data)
    raise _wrong(name, named, kind if named is not Format.DOCX else "a ZIP archive without a Word document inside")


def _wrong(name: str, named: Format | None, actual: str) -> DocumentError | UnsupportedType:
    if named is not None:
        return UnreadableDocument(f"{name} is {actual}, not {_TITLES[named]} as its name says.")
    return UnsupportedType(f"{name} is {actual}, which is not supported. Supported are {SUPPORTED}.")


def _looks_like_text(data: bytes) -> bool:
    sample = data[:_SAMPLE_BYTES]
    return sample.startswith(_BOM_16) or not any(byte in sample for byte in _NOT_IN_TEXT)


def _describe(data: bytes) -> str:
    """What binary data is, for people: "a PNG image"."""
    kind = filetype.guess(data[:8192])
    if kind is None:
        return "binary data of an unknown kind"
    family = kind.mime.partition("/")[0]
    noun = {"image": "image", "audio": "recording", "video": "video"}.get(family, "file")
    label = kind.extension.upper()
    return f"{'an' if label[0] in 'AEFHILMNORSX' else 'a'} {label} {noun}"
