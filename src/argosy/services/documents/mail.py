"""An e-mail to one Markdown text: its head, its body, and each attachment that is a document, one inside another.

Runs in the parser's child. The standard library reads the message; attachments go back to the readers of their kind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email import errors, policy
from email.message import EmailMessage, MIMEPart
from email.parser import BytesParser
from email.utils import parsedate_to_datetime

from argosy.contracts.errors import ArgosyError, OversizedDocument, UnreadableDocument
from argosy.services.documents.blocks import BlockKind, split_blocks
from argosy.services.documents.formats import Format, detect
from argosy.services.documents.parsed import ParsedDocument, Properties, normalise

MAX_DEPTH = 4
"""Messages inside messages."""
MAX_ATTACHMENTS = 100
MAX_PARTS = 1_000
_SHOWN = ("From", "To", "Cc", "Date")

Parse = Callable[[bytes, str, Format], ParsedDocument]


@dataclass(slots=True)
class _Reading:
    """One message and all that is inside it."""

    parse: Parse
    parts: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    attachments: int = 0


def read_mail(data: bytes, name: str, parse: Parse) -> ParsedDocument:
    """`parse` reads an attachment. One that cannot be read is left out and named; more than there may be are refused.

    Raises: UnreadableDocument, OversizedDocument.
    """
    message = _message(data, name)
    reading = _Reading(parse)
    _read(message, name, reading, depth=0)
    subject = _header(message, "Subject") or None
    properties = Properties(author=_header(message, "From") or None, created=_sent(message))
    text = "\n\n".join(reading.parts)
    return ParsedDocument(text, Format.EML, subject, properties=properties, left_out=reading.left_out)


def _message(data: bytes, name: str) -> EmailMessage:
    try:
        message = BytesParser(policy=policy.default).parsebytes(data)
        parts = sum(1 for _ in message.walk())
    except (
        ValueError,
        TypeError,
        LookupError,
        AttributeError,
        IndexError,
        RecursionError,
        errors.MessageError,
    ) as error:
        raise UnreadableDocument(f"{name} is damaged: it cannot be read as an e-mail.") from error
    if parts > MAX_PARTS:
        raise OversizedDocument(f"{name} has {parts} parts, the limit is {MAX_PARTS}.")
    return message


def _read(message: EmailMessage | MIMEPart, name: str, reading: _Reading, depth: int) -> None:
    mark = "#" * (2 * depth + 1)
    subject = _header(message, "Subject")
    if subject:
        reading.parts.append(f"{mark[:6]} {subject}")
    head = [f"{key}: {value}" for key in _SHOWN if (value := _header(message, key))]
    if head:
        reading.parts.append("\n".join(head))
    if message.get_content_type() == Format.EML:  # it has no body: it is nothing but an envelope for another
        return _attachment(message, name, reading, depth)
    body = message.get_body(("plain", "html"))
    if body is not None:
        kind = Format.HTML if body.get_content_type() == Format.HTML else Format.TEXT
        _add(_payload(body), "the body", kind, reading, levels=2 * depth + 1)
    for part in _attachments(message):
        _attachment(part, name, reading, depth)


def _attachments(message: EmailMessage | MIMEPart) -> Iterator[MIMEPart]:
    try:
        yield from message.iter_attachments()
    except (AttributeError, KeyError, TypeError):
        return  # a message that says it has parts and has none


def _attachment(part: MIMEPart, name: str, reading: _Reading, depth: int) -> None:
    reading.attachments += 1
    if reading.attachments > MAX_ATTACHMENTS:
        raise OversizedDocument(f"{name} has more than {MAX_ATTACHMENTS} attachments, the limit.")
    called = " ".join((part.get_filename() or "").split())[:255] or f"attachment {reading.attachments}"
    mark = ("#" * (2 * depth + 2))[:6]
    if part.get_content_type() == Format.EML:
        inner = part.get_payload()
        if depth + 1 >= MAX_DEPTH or not isinstance(inner, list) or not isinstance(inner[0], EmailMessage):
            reading.left_out.append(f"{called} is a message too deep inside others and was left out.")
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
        reading.left_out.append(f"{called} is a message too deep inside others and was left out.")
        return
    if kind is Format.EML:
        reading.parts.append(f"{mark} Attached message: {called}")
        _read(_message(data, called), name, reading, depth + 1)
        return
    reading.parts.append(f"{mark} Attachment: {called}")
    if not _add(data, called, kind, reading, levels=2 * depth + 2):
        reading.parts.pop()


def _add(data: bytes, called: str, kind: Format, reading: _Reading, levels: int) -> bool:
    """Whether there was something to add."""
    if not data.strip():
        return False
    try:
        parsed = reading.parse(data, called, kind)
    except ArgosyError as error:
        reading.left_out.append(error.message)
        return False
    reading.parts.append(lower_headings(parsed.text.strip(), levels) if parsed.markdown else parsed.text.strip())
    reading.left_out += parsed.left_out
    return True


def lower_headings(text: str, levels: int) -> str:
    """The same Markdown with its headings (those marked with #) that many levels further down, six at most."""
    out, at = [], 0
    for block in split_blocks(text):
        if block.kind is BlockKind.HEADING and text[block.start : block.end].lstrip().startswith("#"):
            out += [text[at : block.start], "#" * min(levels, 6 - block.level)]
            at = block.start + len(text[block.start : block.end]) - len(text[block.start : block.end].lstrip())
    return "".join([*out, text[at:]])


def _payload(part: MIMEPart) -> bytes:
    """The bytes of a part; a text's in UTF-8, whatever it was sent in."""
    try:
        data = part.get_payload(decode=True)
        if part.get_content_maintype() == "text" and isinstance(data, bytes):
            charset = part.get_content_charset("utf-8")
            return normalise(data.decode(charset)).encode()
    except (UnicodeError, LookupError, ValueError, TypeError, AttributeError):
        pass
    return data if isinstance(data, bytes) else b""


def _header(message: EmailMessage | MIMEPart, key: str) -> str:
    """In one line; a header too broken to be read counts as missing."""
    try:
        return " ".join(str(message.get(key, "")).split())[:500]
    except (ValueError, TypeError, LookupError, AttributeError, IndexError, errors.MessageError):
        return ""


def _sent(message: EmailMessage) -> str | None:
    try:
        return parsedate_to_datetime(_header(message, "Date")).isoformat()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
