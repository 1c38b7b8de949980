"""An upload's two forms, multipart and JSON, to contents that can be accepted. Nothing is kept here."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import ParamSpec, Protocol, TypeVar

from starlette.requests import Request

from argosy.config.models import DocumentsSettings
from argosy.contracts.codec import JSON, decode
from argosy.contracts.documents import MAX_METADATA_KEYS, MAX_TEXTS_BYTES, TextUpload
from argosy.contracts.errors import EmptyDocument, InvalidRequest, TooLarge
from argosy.contracts.store import Metadata
from argosy.contracts.strict_json import check_depth
from argosy.services.documents.catalog.json_count import holds_more_values
from argosy.services.documents.catalog.metadata import check_title, checked_metadata, read_metadata
from argosy.services.documents.catalog.spool import MEMORY_BYTES, Spooled
from argosy.services.documents.catalog.upload_form import Form, read_form
from argosy.services.documents.parsing.formats import Format, detect
from argosy.services.documents.records.blobs import content_hash
from argosy.serving.bodies import bounded, media_type

MAX_NAME_CHARS = 255
MAX_SUFFIX_CHARS = 16
MAX_SOURCE_CHARS = 2048
VALUES_PER_DOCUMENT = 4 * MAX_METADATA_KEYS + 32
"""Strings and marks between values in the JSON form of a document, and some to spare."""
LARGE_AT_ONCE = 2
"""Requests that do not fit into memory, of which documents are held there at once."""

P = ParamSpec("P")
R = TypeVar("R")


class InThread(Protocol):
    async def __call__(self, work: Callable[P, R], /, *arguments: P.args, **named: P.kwargs) -> R:
        """Run blocking work beside the event loop."""
        ...


@dataclass(frozen=True, slots=True)
class Content:
    """One document of a request, its type known to be one we read: the slice [start, end) of what is spooled."""

    name: str
    source: str
    start: int
    end: int
    hash: str
    content_type: str
    title: str | None = None
    metadata: Metadata = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Incoming:
    """A whole request."""

    collection: str
    contents: list[Content]
    group: str | None = None


class Uploads:
    """Reads uploads. What takes long is done in `in_thread`, and by few large requests at a time, so that memory is
    bounded and the event loop stays free."""

    def __init__(self, settings: DocumentsSettings, in_thread: InThread) -> None:
        self._settings = settings
        self._in_thread = in_thread
        self._large = asyncio.Semaphore(LARGE_AT_ONCE)

    @contextlib.asynccontextmanager
    async def turn(self, spooled: Spooled) -> AsyncIterator[None]:
        """The right to hold documents of a request in memory, one at a time."""
        if spooled.size <= MEMORY_BYTES:
            yield
            return
        async with self._large:
            yield

    async def read(self, request: Request, spooled: Spooled) -> Incoming:
        """Raises: InvalidRequest, TooLarge, UnsupportedType, DocumentError, Overloaded, StorageFull."""
        content_type = request.headers.get("content-type", "")
        if media_type(request) == JSON:
            async for piece in bounded(request, MAX_TEXTS_BYTES):
                await spooled.add(piece)
            async with self.turn(spooled):
                return await self._in_thread(_texts, spooled, self._settings)
        most = self._settings.max_files_per_request
        form = await read_form(content_type, request.stream(), spooled, most)
        async with self.turn(spooled):
            return await self._in_thread(_files, form, spooled, self._settings)


def _files(form: Form, spooled: Spooled, settings: DocumentsSettings) -> Incoming:
    """Blocking: each file is read to see what it is."""
    sources = form.fields.get("sources", [])
    _count(form.files, settings)
    if sources and len(sources) != len(form.files):
        raise InvalidRequest(f"There are {len(form.files)} files but {len(sources)} sources.", param="sources")
    metadata = _metadata(form.one("metadata"))
    contents = []
    for index, file in enumerate(form.files):
        name = clean_name(file.name, f"files[{index}]")
        source = sources[index] if sources else name
        check_source(source, f"sources[{index}]")
        if file.end - file.start > settings.max_file_bytes:
            raise _too_large(name, file.end - file.start, settings)
        data = spooled.read(file.start, file.end)
        kind = detect(data, name, file.content_type)
        contents.append(Content(name, source, file.start, file.end, content_hash(data), kind.value, metadata=metadata))
    return Incoming(form.one("collection") or "default", contents, form.one("group"))


def _texts(spooled: Spooled, settings: DocumentsSettings) -> Incoming:
    """Blocking: the JSON form. Its values are counted before any is made: millions would hold up every thread."""
    body = spooled.read(0, spooled.size)
    check_depth(body)
    most = settings.max_files_per_request * VALUES_PER_DOCUMENT + VALUES_PER_DOCUMENT
    if holds_more_values(body, most):
        raise TooLarge(
            f"The body holds more values than {settings.max_files_per_request} documents "
            f"(services.documents.max_files_per_request) with {MAX_METADATA_KEYS} metadata keys each. Send it in parts."
        )
    upload = decode(body, TextUpload, JSON)
    del body
    contents = [_text(n, upload, spooled, settings) for n in range(_count(upload.documents, settings))]
    return Incoming(upload.collection, contents, upload.group)


def _text(index: int, upload: TextUpload, spooled: Spooled, settings: DocumentsSettings) -> Content:
    document = upload.documents[index]
    data = document.text.encode("utf-8", "surrogatepass")
    name = clean_name(document.id or document.title or f"text-{index + 1}", f"documents[{index}].id")
    if not document.text.strip():
        raise EmptyDocument(f"documents[{index}].text is empty.", param=f"documents[{index}].text")
    if len(data) > settings.max_file_bytes:
        raise _too_large(name, len(data), settings)
    key = content_hash(data)
    source = document.id or f"text:{key}"
    check_source(source, f"documents[{index}].id")
    check_title(document.title, f"documents[{index}].title")
    metadata = checked_metadata(document.metadata, f"documents[{index}].metadata")
    document.text = ""  # its bytes are spooled: one of them is enough
    start, end = spooled.append(data)
    return Content(name, source, start, end, key, Format.MARKDOWN.value, document.title, metadata)


def _count(items: Sequence[object], settings: DocumentsSettings) -> int:
    if not items:
        raise InvalidRequest(
            "The request holds no document. Send at least one as `files` or `documents`.", param="files"
        )
    if len(items) > settings.max_files_per_request:
        raise _too_many(settings)
    return len(items)


def _too_many(settings: DocumentsSettings) -> TooLarge:
    return TooLarge(
        f"The request holds more than {settings.max_files_per_request} documents, the limit "
        "(services.documents.max_files_per_request). Send them in several requests."
    )


def clean_name(given: str, param: str) -> str:
    """The last part of a path, without control characters; of a long one the beginning and the suffix.

    Raises: InvalidRequest when nothing is left of it.
    """
    last = given.replace("\\", "/").rstrip("/").rpartition("/")[2]
    name = "".join(character for character in last if character.isprintable()).strip()
    if name in ("", ".", ".."):
        raise InvalidRequest(f"{param} has no usable name.", param=param)
    suffix = PurePosixPath(name).suffix[:MAX_SUFFIX_CHARS]  # it says what kind of document it is
    return name if len(name) <= MAX_NAME_CHARS else name[: MAX_NAME_CHARS - len(suffix)] + suffix


def check_source(source: str, param: str) -> None:
    """Raises: InvalidRequest."""
    if not source or len(source) > MAX_SOURCE_CHARS or "\0" in source:
        raise InvalidRequest(f"{param} must have 1 to {MAX_SOURCE_CHARS} characters, none of them NUL.", param=param)


def _metadata(given: object) -> Metadata:
    if given is None:
        return {}
    if not isinstance(given, str):
        raise InvalidRequest("metadata is sent as a file; send it as a form field.", param="metadata")
    return read_metadata(given)


def _too_large(name: str, size: int, settings: DocumentsSettings) -> TooLarge:
    return TooLarge(
        f"{name} has {size} bytes, the limit is {settings.max_file_bytes} (services.documents.max_file_bytes)."
    )
