"""Reader of uploads in both forms, multipart and JSON. It checks their contents and stores nothing permanently."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import ParamSpec, Protocol, TypeVar

from starlette.requests import Request

from argosy.config.services import DocumentsSettings
from argosy.contracts.codec import JSON, decode
from argosy.contracts.documents import MAX_METADATA_KEYS, MAX_TEXTS_BYTES, TextUpload
from argosy.contracts.errors import EmptyDocument, InvalidRequest, TooLarge
from argosy.contracts.store import Metadata
from argosy.contracts.strict_json import check_depth
from argosy.services.documents.catalog.json_count import holds_more_values
from argosy.services.documents.catalog.metadata import check_title, checked_metadata, read_metadata
from argosy.services.documents.catalog.upload_form import Form, read_form
from argosy.services.documents.catalog.upload_space import MEMORY_BYTES, SpooledUpload
from argosy.services.documents.parsing.formats import Format, detect
from argosy.services.documents.records.blobs import content_hash
from argosy.serving.bodies import bounded, media_type

MAX_NAME_CHARS = 255
MAX_SUFFIX_CHARS = 16
MAX_SOURCE_CHARS = 2048
VALUES_PER_DOCUMENT = 4 * MAX_METADATA_KEYS + 32
"""Strings, commas, colons and brackets in the JSON form of one document, with a margin."""
LARGE_AT_ONCE = 2
"""Number of large requests (above MEMORY_BYTES) whose documents may be held in memory at the same time."""

P = ParamSpec("P")
R = TypeVar("R")


class InThread(Protocol):
    """Function that runs blocking work in a thread, such as `asyncio.to_thread`."""

    async def __call__(self, work: Callable[P, R], /, *arguments: P.args, **named: P.kwargs) -> R:
        """Run `work(*arguments, **named)` outside the event loop. Returns and raises what the work does."""
        ...


@dataclass(frozen=True, slots=True)
class Content:
    """A document of a request, of a supported type: the slice [start, end) of the spooled bytes."""

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
    """A whole upload request."""

    collection: str
    contents: list[Content]
    group: str | None = None


class Uploads:
    """Reader of uploads.

    Slow work runs in `in_thread`, so that the event loop stays free, and for few large requests at a time, so that
    memory is bounded.
    """

    def __init__(self, settings: DocumentsSettings, in_thread: InThread) -> None:
        self._settings = settings
        self._in_thread = in_thread
        self._large = asyncio.Semaphore(LARGE_AT_ONCE)

    @contextlib.asynccontextmanager
    async def turn(self, spooled: SpooledUpload) -> AsyncIterator[None]:
        """Wait for the right to hold documents of the request in memory, one document at a time."""
        if spooled.size <= MEMORY_BYTES:
            yield
            return
        async with self._large:
            yield

    async def read(self, request: Request, spooled: SpooledUpload) -> Incoming:
        """Read and check an upload.

        Raises: InvalidRequest when it is malformed; TooLarge when a limit on size or number is exceeded;
        UnsupportedType when a format is not supported; DocumentError when a document is empty, damaged or encrypted;
        Overloaded when all uploads together exceed the limit; StorageFull when the disk is full.
        """
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


def _files(form: Form, spooled: SpooledUpload, settings: DocumentsSettings) -> Incoming:
    """Check the multipart form. This blocks: each file is read to detect its format."""
    sources = form.fields.get("sources", [])
    _count(form.files, settings)
    if sources and len(sources) != len(form.files):
        raise InvalidRequest(
            f"There are {len(form.files)} files but {len(sources)} sources. Send one source for each file, or none.",
            param="sources",
        )
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


def _texts(spooled: SpooledUpload, settings: DocumentsSettings) -> Incoming:
    """Check the JSON form. This blocks.

    Values are counted before any is decoded, because decoding millions of them would block every thread.
    """
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


def _text(index: int, upload: TextUpload, spooled: SpooledUpload, settings: DocumentsSettings) -> Content:
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
    document.text = ""  # the spool has the bytes: free this copy
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
    """Return the last part of a path without control characters. A long name keeps its beginning and its suffix.

    Raises: InvalidRequest when nothing is left of the name.
    """
    last = given.replace("\\", "/").rstrip("/").rpartition("/")[2]
    name = "".join(character for character in last if character.isprintable()).strip()
    if name in ("", ".", ".."):
        raise InvalidRequest(
            f"{param} has no usable name. Give it one with at least one printable character.", param=param
        )
    suffix = PurePosixPath(name).suffix[:MAX_SUFFIX_CHARS]  # the suffix tells the format
    return name if len(name) <= MAX_NAME_CHARS else name[: MAX_NAME_CHARS - len(suffix)] + suffix


def check_source(source: str, param: str) -> None:
    """Check a source. Raises: InvalidRequest when it is empty, too long or holds NUL."""
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
