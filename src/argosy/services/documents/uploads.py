"""An upload's two forms, multipart and JSON, to contents that can be accepted. Nothing is stored here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException
from starlette.requests import Request

from argosy.config.models import DocumentsSettings
from argosy.contracts.codec import JSON
from argosy.contracts.documents import MAX_TEXTS_BYTES, TextUpload
from argosy.contracts.errors import EmptyDocument, InvalidRequest, TooLarge
from argosy.contracts.store import Metadata
from argosy.services.documents.blobs import content_hash
from argosy.services.documents.formats import Format, detect
from argosy.services.documents.metadata import check_title, checked_metadata, read_metadata
from argosy.serving.bodies import json_message, media_type

MAX_NAME_CHARS = 255
MAX_SUFFIX_CHARS = 16
MAX_SOURCE_CHARS = 2048
FORM_FIELDS = frozenset({"files", "sources", "collection", "metadata", "group"})


@dataclass(frozen=True, slots=True)
class Content:
    """One document of a request, its type known to be one we read."""

    name: str
    source: str
    data: bytes
    content_type: str
    title: str | None = None
    metadata: Metadata = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Incoming:
    """A whole request."""

    collection: str
    contents: list[Content]
    group: str | None = None


async def read_upload(request: Request, settings: DocumentsSettings) -> Incoming:
    """Raises: InvalidRequest, TooLarge, UnsupportedType, DocumentError."""
    if media_type(request) == JSON:
        upload = await json_message(request, TextUpload, MAX_TEXTS_BYTES)
        contents = [_text(n, upload, settings) for n in range(_count(upload.documents, settings))]
        return Incoming(upload.collection, contents, upload.group)
    try:
        async with request.form(max_files=settings.max_files_per_request, max_fields=1000) as form:
            return await _form(form, settings)
    except (MultiPartException, HTTPException) as error:
        said = error.message if isinstance(error, MultiPartException) else str(error.detail)
        if said.startswith("Too many files"):
            raise _too_many(settings) from error
        raise InvalidRequest(f"The multipart body cannot be read: {said.rstrip('.')}. Correct it.") from error


async def _form(form: FormData, settings: DocumentsSettings) -> Incoming:
    unknown = sorted(set(form) - FORM_FIELDS)
    if unknown:
        raise InvalidRequest(
            f'Unknown form field "{unknown[0][:40]}"; known are {", ".join(sorted(FORM_FIELDS))}.',
            param=unknown[0][:40],
        )
    files = [item for item in form.getlist("files") if isinstance(item, UploadFile)]
    sources = [item for item in form.getlist("sources") if isinstance(item, str)]
    _count(files, settings)
    if sources and len(sources) != len(files):
        raise InvalidRequest(f"There are {len(files)} files but {len(sources)} sources.", param="sources")
    metadata = _metadata(form.get("metadata"))
    contents = []
    for index, file in enumerate(files):
        name = clean_name(file.filename or "", f"files[{index}]")
        source = sources[index] if sources else name
        check_source(source, f"sources[{index}]")
        if (file.size or 0) > settings.max_file_bytes:
            raise _too_large(name, file.size or 0, settings)
        data = await file.read()
        kind = detect(data, name, file.content_type)
        contents.append(Content(name, source, data, kind.value, metadata=metadata))
    collection, group = form.get("collection"), form.get("group")
    return Incoming(
        collection if isinstance(collection, str) else "default", contents, group if isinstance(group, str) else None
    )


def _text(index: int, upload: TextUpload, settings: DocumentsSettings) -> Content:
    document = upload.documents[index]
    data = document.text.encode("utf-8", "surrogatepass")
    name = clean_name(document.id or document.title or f"text-{index + 1}", f"documents[{index}].id")
    if not document.text.strip():
        raise EmptyDocument(f"documents[{index}].text is empty.", param=f"documents[{index}].text")
    if len(data) > settings.max_file_bytes:
        raise _too_large(name, len(data), settings)
    source = document.id or f"text:{content_hash(data)}"
    check_source(source, f"documents[{index}].id")
    check_title(document.title, f"documents[{index}].title")
    metadata = checked_metadata(document.metadata, f"documents[{index}].metadata")
    return Content(name, source, data, Format.MARKDOWN.value, document.title, metadata)


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
