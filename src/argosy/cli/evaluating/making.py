"""Drafts of questions from the documents of a collection, written to a file that the user reviews."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from argosy.cli.client.gateway import Api
from argosy.cli.client.replies import SearchReply
from argosy.cli.progress import Progress
from argosy.cli.sending.upload import Uploader
from argosy.contracts.documents import DocumentPage, DocumentView
from argosy.contracts.errors import Conflict, InvalidRequest
from argosy.evaluation.drafting import Draft, Passage, draft, rows_of

PAGE = 500
MAX_DOCUMENTS = 200
PASSAGES_PER_DOCUMENT = 50
COLUMNS = ("question", "expected", "document", "kind", "unanswerable", "note")
SUFFIXES = (".csv", ".json", ".jsonl")


def make(api: Api, collection: str, count: int, progress: Progress) -> list[Draft]:
    """Return drafts of questions about at most MAX_DOCUMENTS documents of a collection.

    Raises: InvalidRequest when the collection has no document or its documents give no question.
    """
    documents = _sample(list(_documents(api, collection)))
    if not documents:
        raise InvalidRequest(
            f"The collection {collection} has no indexed document. Add some with: argosy add PATH --wait "
            f"--collection {collection}"
        )
    passages: list[Passage] = []
    for number, document in enumerate(documents):
        progress.at("Reading", number, len(documents))
        passages += _passages(api, collection, document)
    drafts = draft(passages, count)
    if not drafts:
        raise InvalidRequest(
            f"No question could be drafted from {len(documents)} documents. Write some yourself: a CSV file with the "
            "heading question,expected,document"
        )
    return drafts


def write(drafts: Sequence[Draft], path: Path, replace: bool) -> None:
    """Write the drafts as CSV, or as JSON when the name of the file says so.

    Raises: Conflict when the file exists and is not to be replaced; InvalidRequest when it cannot be written.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise InvalidRequest(f"{path} must end with one of: {' '.join(SUFFIXES)}")
    flags = os.O_WRONLY | os.O_CREAT | (os.O_TRUNC if replace else os.O_EXCL)
    try:
        with os.fdopen(os.open(path, flags, 0o666), "wb") as file:
            file.write(_content(drafts, path.suffix.lower()))
    except FileExistsError as error:
        raise Conflict(
            f"{path} exists, and may hold your reviewed questions. Give another name with -o, or --force to replace it."
        ) from error
    except OSError as error:
        raise InvalidRequest(f"{path} cannot be written: {error.strerror}. Give another name with -o.") from error


def _content(drafts: Sequence[Draft], suffix: str) -> bytes:
    rows = list(rows_of(drafts))
    if suffix == ".json":
        return msgspec.json.format(msgspec.json.encode(rows), indent=2) + b"\n"
    if suffix == ".jsonl":
        return b"".join(msgspec.json.encode(row) + b"\n" for row in rows)
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, COLUMNS)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode(errors="replace")


def _documents(api: Api, collection: str) -> Iterator[DocumentView]:
    params: dict[str, str | int] = {"collection": collection, "status": "indexed", "limit": PAGE}
    while True:
        page = api.get("/v1/documents", params).into(DocumentPage)
        yield from page.documents
        if page.next is None:
            return
        params["after"] = page.next


def _sample(documents: Sequence[DocumentView]) -> list[DocumentView]:
    """Return at most MAX_DOCUMENTS documents: ids are hashes, so their order is a fair draw."""
    return sorted(documents, key=lambda document: document.id)[:MAX_DOCUMENTS]


def _passages(api: Api, collection: str, document: DocumentView) -> Iterator[Passage]:
    """Yield the passages of a document in order. A dense search ranks all passages, whatever the query."""
    request = {
        "query": document.title or document.name,
        "collection": collection,
        "mode": "dense",
        "top_k": PASSAGES_PER_DOCUMENT,
        "filters": {"document_id": document.id},
    }
    found = Uploader(api).patiently(lambda: api.post("/v1/search", request).into(SearchReply)).results
    for hit in sorted(found, key=lambda one: one.start or 0):
        yield Passage(document.name, hit.text, tuple(hit.heading_path))
