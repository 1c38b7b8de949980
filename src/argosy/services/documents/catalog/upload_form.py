"""Reader of multipart bodies: fields are kept in memory, files go to the spool.

Nothing is decoded before its length is checked, and then only as UTF-8: a body may name any codec, and some codecs take
a minute for a megabyte.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from argosy.contracts.errors import InvalidRequest, TooLarge
from argosy.services.documents.catalog.upload_space import SpooledUpload

MAX_HEADER_BYTES = 4_096
MAX_HEADERS = 16
"""Highest number of headers of one part."""
MAX_TYPE_CHARS = 1_024
FIELD_BYTES: Mapping[str, int] = {"sources": 8_192, "collection": 1_024, "group": 1_024, "metadata": 262_144}
"""Fields besides `files`, with the highest size in bytes of one value."""
KNOWN = sorted({"files", *FIELD_BYTES})
_SLICE_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class FormFile:
    """A file of the form: the slice [start, end) of the spooled bytes."""

    name: str
    content_type: str | None
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Form:
    """A multipart form: its files in order, and the values of each field in order."""

    files: list[FormFile] = field(default_factory=list)
    fields: dict[str, list[str]] = field(default_factory=dict)

    def one(self, name: str) -> str | None:
        """Return the value of a field, the last one if there are several; None when it is missing."""
        return self.fields[name][-1] if name in self.fields else None


async def read_form(content_type: str, pieces: AsyncIterator[bytes], spooled: SpooledUpload, max_files: int) -> Form:
    """Read a multipart body into fields and spooled files.

    Raises: InvalidRequest when the body is malformed; TooLarge when it has more than `max_files` files; Overloaded when
    all uploads together exceed the limit; StorageFull when the disk is full.
    """
    reading = _Reading(spooled, max_files)
    parser = MultipartParser(
        _boundary(content_type),
        {
            "on_part_begin": reading.part_begin,
            "on_header_field": reading.header_field,
            "on_header_value": reading.header_value,
            "on_header_end": reading.header_end,
            "on_headers_finished": reading.headers_finished,
            "on_part_data": reading.part_data,
            "on_part_end": reading.part_end,
            "on_end": reading.end,
        },
        max_header_count=MAX_HEADERS,
        max_header_size=MAX_HEADER_BYTES,
    )
    try:
        async for piece in pieces:
            for at in range(0, len(piece), _SLICE_BYTES):
                parser.write(piece[at : at + _SLICE_BYTES])
                await reading.store()
        parser.finalize()
    except FormParserError as error:
        raise InvalidRequest(
            f"The multipart body cannot be read: {str(error)[:200].rstrip('.')}. Correct it."
        ) from error
    if not reading.ended:
        raise InvalidRequest("The multipart body cannot be read: it ends before its last boundary. Correct it.")
    return reading.form


def _boundary(content_type: str) -> bytes:
    if len(content_type) > MAX_TYPE_CHARS:
        raise InvalidRequest(
            f"Content-Type has more than {MAX_TYPE_CHARS} characters, the limit. Shorten the boundary."
        )
    _, options = parse_options_header(content_type)
    charset = options.get(b"charset", b"utf-8").lower()
    if charset not in (b"utf-8", b"utf8", b"us-ascii"):
        raise InvalidRequest("Content-Type names a charset other than utf-8, the only one supported. Leave it out.")
    if not options.get(b"boundary"):
        raise InvalidRequest("The multipart body cannot be read: Content-Type names no boundary. Correct it.")
    return options[b"boundary"]


class _Reading:
    """Callbacks of the parser. The number of parts and the length of each header and field are limited."""

    def __init__(self, spooled: SpooledUpload, max_files: int) -> None:
        self.form = Form()
        self.ended = False
        self._spooled = spooled
        self._max_files = max_files
        self._max_fields = max_files + len(FIELD_BYTES)
        self._fields = 0
        self._pending = bytearray()
        """Bytes of files that are not yet spooled."""
        self.part_begin()

    async def store(self) -> None:
        if self._pending:
            piece, self._pending = self._pending, bytearray()
            await self._spooled.add(piece)

    def part_begin(self) -> None:
        self._name, self._file_name, self._start = "", "", 0
        self._value = bytearray()
        self._headers: dict[bytes, bytes] = {}
        self._header, self._header_value = b"", b""

    def header_field(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def header_value(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def header_end(self) -> None:
        self._headers[self._header.lower()] = self._header_value
        self._header, self._header_value = b"", b""

    def headers_finished(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition"))
        if b"name" not in options:
            raise InvalidRequest("A part of the multipart body has no name in its Content-Disposition. Give it one.")
        self._name = name = _utf8(options[b"name"], "The name of a form field")
        if name not in KNOWN:
            raise InvalidRequest(f'Unknown form field "{name[:40]}"; use one of: {", ".join(KNOWN)}.', param=name[:40])
        if name != "files":
            self._fields += 1
            if self._fields > self._max_fields:
                raise InvalidRequest(
                    f"The request holds more than {self._max_fields} fields besides its files, the limit. Send fewer."
                )
            return
        at = len(self.form.files)
        if at == self._max_files:
            raise TooLarge(
                f"The request holds more than {self._max_files} documents, the limit "
                "(services.documents.max_files_per_request). Send them in several requests."
            )
        self._file_name = _utf8(options.get(b"filename", b""), f"The name of files[{at}]")
        self._start = self._spooled.size + len(self._pending)

    def part_data(self, data: bytes, start: int, end: int) -> None:
        if self._name == "files":
            self._pending += data[start:end]
            return
        most = FIELD_BYTES[self._name]
        if len(self._value) + end - start > most:
            raise InvalidRequest(f"{self._name} has more than {most} bytes, the limit. Shorten it.", param=self._name)
        self._value += data[start:end]

    def part_end(self) -> None:
        if self._name == "files":
            kind = self._headers.get(b"content-type")
            end = self._spooled.size + len(self._pending)
            declared = None if kind is None else kind.decode("latin-1")
            self.form.files.append(FormFile(self._file_name, declared, self._start, end))
        else:
            self.form.fields.setdefault(self._name, []).append(_utf8(bytes(self._value), self._name, self._name))

    def end(self) -> None:
        self.ended = True


def _utf8(value: bytes, what: str, param: str | None = None) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidRequest(f"{what} is not UTF-8. Send it as UTF-8.", param=param) from error
