"""Reader of e-mails: head, body and attached documents become one Markdown text, attached messages included.

This module runs in the parser child. The standard library reads the message; each attachment is read by the reader of
its format.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email import errors, policy
from email.message import EmailMessage, MIMEPart
from email.parser import BytesParser
from email.utils import parsedate_to_datetime
from typing import Any, cast

from argosy.contracts.errors import ArgosyError, OversizedDocument, UnreadableDocument
from argosy.services.documents.parsing.charsets import known_charset
from argosy.services.documents.parsing.formats import Format, detect
from argosy.services.documents.parsing.mail_quotes import mark_quotes
from argosy.services.documents.parsing.parsed import ParsedDocument, Properties, normalise
from argosy.services.documents.parsing.progress import progress
from argosy.text.blocks import BlockKind, markdown_blocks

MAX_DEPTH = 4
"""Deepest nesting of messages inside messages."""
MAX_ATTACHMENTS = 100
MAX_PARTS = 1_000
MAX_HEADER_CHARS = 4_096
"""Characters that are read of one header: the time to parse and decode a header grows faster than its length."""
_SHOWN = ("From", "To", "Cc", "Date")
_UNREADABLE = (ValueError, TypeError, LookupError, AttributeError, RecursionError, errors.MessageError)
"""Errors that the standard library raises when a header or message is broken."""

Parse = Callable[[bytes, str, Format], ParsedDocument]


@dataclass(slots=True)
class _Reading:
    """State of reading one message with everything inside it."""

    parse: Parse
    parts: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    attachments: int = 0


def read_mail(data: bytes, name: str, parse: Parse) -> ParsedDocument:
    """Read an e-mail. `parse` reads an attachment; an unreadable attachment is left out and named in `left_out`.

    Raises: UnreadableDocument when the message is damaged; OversizedDocument when it has more than MAX_PARTS parts or
    MAX_ATTACHMENTS attachments.
    """
    message = _message(data, name)
    reading = _Reading(parse)
    _read(message, name, reading, depth=0)
    subject = _header(message, "Subject") or None
    properties = Properties(author=_header(message, "From") or None, created=_sent(message))
    text = "\n\n".join(reading.parts)
    return ParsedDocument(text, Format.EML, subject, properties=properties, left_out=reading.left_out)


class _BoundedHeaders(policy.EmailPolicy):
    """E-mail policy that cuts headers before it decodes them and reads a broken header as empty."""

    def header_fetch_parse(self, name: str, value: str) -> Any:
        return _parsed_header(name, value[:MAX_HEADER_CHARS] if type(value) is str else value)


@functools.lru_cache(maxsize=256)
def _parsed_header(name: str, value: str) -> Any:
    """Parse a header. Results are cached because the standard library parses a header again on every access."""
    try:
        return policy.default.header_fetch_parse(name, value)
    except _UNREADABLE:
        return policy.default.header_fetch_parse(name, "")


class _Parts:
    """Factory for the parts of one message, which stops reading as soon as there are too many."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._made = 0

    def __call__(self, policy: Any = None) -> EmailMessage:
        self._made += 1
        if self._made > MAX_PARTS:
            raise OversizedDocument(
                f"{self._name} has more than {MAX_PARTS} parts, the limit. Add its attachments separately."
            )
        return EmailMessage(policy)


def _message(data: bytes, name: str) -> EmailMessage:
    try:
        reader = BytesParser(policy=_BoundedHeaders(message_factory=_Parts(name)))
        return cast("EmailMessage", reader.parsebytes(data))
    except _UNREADABLE as error:
        raise UnreadableDocument(f"{name} is damaged: it cannot be read as an e-mail.") from error


def _read(message: EmailMessage | MIMEPart, name: str, reading: _Reading, depth: int) -> None:
    mark = "#" * (2 * depth + 1)
    subject = _header(message, "Subject")
    if subject:
        reading.parts.append(f"{mark[:6]} {subject}")
    head = [f"{key}: {value}" for key in _SHOWN if (value := _header(message, key))]
    if head:
        reading.parts.append("\n".join(head))
    if message.get_content_type() == Format.EML:  # an envelope around another message has no body
        return _attachment(message, name, reading, depth)
    body = message.get_body(("plain", "html"))
    if body is not None:
        kind = Format.HTML if body.get_content_type() == Format.HTML else Format.TEXT
        _add(_payload(body), "the body", kind, reading, levels=2 * depth + 1, body=True)
    for part in _attachments(message):
        _attachment(part, name, reading, depth)


def _attachments(message: EmailMessage | MIMEPart) -> Iterator[MIMEPart]:
    try:
        yield from message.iter_attachments()
    except (AttributeError, KeyError, TypeError):
        return  # the message declares parts and has none


def _attachment(part: MIMEPart, name: str, reading: _Reading, depth: int) -> None:
    reading.attachments += 1
    if reading.attachments > MAX_ATTACHMENTS:
        raise OversizedDocument(f"{name} has more than {MAX_ATTACHMENTS} attachments, the limit. Add some separately.")
    called = _filename(part) or f"attachment {reading.attachments}"
    mark = ("#" * (2 * depth + 2))[:6]
    if part.get_content_type() == Format.EML:
        inner = part.get_payload()
        if depth + 1 >= MAX_DEPTH or not isinstance(inner, list) or not isinstance(inner[0], EmailMessage):
            reading.left_out.append(f"{called} is nested too deeply inside other messages and was left out.")
            return
        reading.parts.append(f"{mark} Attached message: {called}")
        _read(inner[0], name, reading, depth + 1)
        return
    data = _payload(part)
    try:
        kind = detect(data, called, part.get_content_type())
    except ArgosyError as error:
        reading.left_out.append(error.message)
        return
    if kind is Format.EML and depth + 1 >= MAX_DEPTH:
        reading.left_out.append(f"{called} is nested too deeply inside other messages and was left out.")
        return
    if kind is Format.EML:
        reading.parts.append(f"{mark} Attached message: {called}")
        _read(_message(data, called), name, reading, depth + 1)
        return
    reading.parts.append(f"{mark} Attachment: {called}")
    if not _add(data, called, kind, reading, levels=2 * depth + 2):
        reading.parts.pop()


def _add(data: bytes, called: str, kind: Format, reading: _Reading, levels: int, *, body: bool = False) -> bool:
    """Add the text of a body or attachment. Returns: whether there was any text."""
    if not data.strip():
        return False
    try:
        parsed = reading.parse(data, called, kind)
    except ArgosyError as error:
        reading.left_out.append(error.message)
        return False
    finally:
        progress.step()
    text = parsed.text.strip()
    text = lower_headings(text, levels) if parsed.markdown else text
    reading.parts.append(mark_quotes(text) if body else text)
    reading.left_out += parsed.left_out
    return True


def lower_headings(text: str, levels: int) -> str:
    """Lower the # headings of a Markdown text by `levels`, to level 6 at most."""
    out, at = [], 0
    for block in markdown_blocks(text):
        if block.kind is BlockKind.HEADING and text[block.start : block.end].lstrip().startswith("#"):
            out += [text[at : block.start], "#" * min(levels, 6 - block.level)]
            at = block.start + len(text[block.start : block.end]) - len(text[block.start : block.end].lstrip())
    return "".join([*out, text[at:]])


def _payload(part: MIMEPart) -> bytes:
    """Return the bytes of a part. Text is re-encoded as UTF-8 if it is valid in the known encoding that it declares."""
    try:
        data = part.get_payload(decode=True)
        if part.get_content_maintype() == "text" and isinstance(data, bytes):
            charset = known_charset(part.get_content_charset("utf-8"))
            return data if charset is None else normalise(data.decode(charset)).encode()
    except (UnicodeError, LookupError, ValueError, TypeError, AttributeError):
        pass
    return data if isinstance(data, bytes) else b""


def _filename(part: MIMEPart) -> str:
    """Return the file name of an attachment; empty when it has none or the name is unreadable."""
    try:
        return " ".join((part.get_filename() or "").split())[:255]
    except _UNREADABLE:
        return ""


def _header(message: EmailMessage | MIMEPart, key: str) -> str:
    """Return a header in one line; empty when it is missing or unreadable."""
    try:
        return " ".join(str(message.get(key, "")).split())[:500]
    except _UNREADABLE:
        return ""


def _sent(message: EmailMessage) -> str | None:
    try:
        return parsedate_to_datetime(_header(message, "Date")).isoformat()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
