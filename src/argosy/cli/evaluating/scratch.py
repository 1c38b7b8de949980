"""Scratch collections: made for an evaluation, filled with its documents, and deleted afterwards."""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from argosy.cli import output
from argosy.cli.add import failures, follow
from argosy.cli.client.gateway import Api
from argosy.cli.evaluating.temporary import undisturbed
from argosy.cli.progress import Progress
from argosy.cli.sending.collect import collect
from argosy.cli.sending.upload import FILES_PER_REQUEST, Rejected, Sent, Uploader
from argosy.contracts.documents import MAX_TEXTS_BYTES, Accepted, CollectionCreate, TextDocument, TextUpload
from argosy.contracts.errors import ArgosyError, NotFound
from argosy.evaluation import beir
from argosy.evaluation.cases import Dataset

PREFIX = "eval-"
SETTLE_S = 3.0
LOOK_AGAIN_S = 0.5
TEXT_BYTES_PER_REQUEST = MAX_TEXTS_BYTES // 8


@dataclass(slots=True)
class Filled:
    """Collections of a dataset, by group, and the documents that could not be indexed."""

    collections: list[str] = field(default_factory=list)
    documents: int = 0
    failed: list[Rejected] = field(default_factory=list)


@contextlib.contextmanager
def scratch(api: Api, keep: bool) -> Iterator[list[str]]:
    """Yield a list for the names of scratch collections, and delete these at the end, after Ctrl-C too."""
    names: list[str] = []
    ended = False
    try:
        yield names
        ended = True
    finally:
        if keep and names:
            output.note(f"Kept {_listed(names)}. Delete them with: argosy collections delete NAME")
        elif names:
            with undisturbed():
                _delete(api, names, settle_s=0.0 if ended else SETTLE_S)


def fill(api: Api, dataset: Dataset, documents: Sequence[Path], names: list[str], progress: Progress) -> Filled:
    """Create the collections that the dataset needs, send its documents and wait until they are indexed.

    `documents` are files and folders for questions, which bring none. Each name is added to `names` before the
    collection exists. Raises: ArgosyError when the fleet refuses the documents as a whole.
    """
    run = uuid.uuid4().hex[:8]
    filled, sent = Filled(), Sent()
    uploader = Uploader(api, tell=progress.tell)
    groups: Sequence[Sequence[Path]] = dataset.groups or ([documents] if documents else [])
    if dataset.corpus is not None:
        name = _create(uploader, f"{PREFIX}{run}", names, filled)
        total = sum(1 for _ in beir.documents(dataset.corpus))  # checks every line before anything is sent
        _send_texts(uploader, name, beir.documents(dataset.corpus), total, sent, progress)
    for number, paths in enumerate(groups):
        progress.at("Sending", number, len(groups))
        uploader.collection = _create(uploader, f"{PREFIX}{run}-{number + 1}", names, filled)
        some = uploader.send(collect(list(paths), recursive=True).outgoing)
        sent.accepted += some.accepted
        sent.rejected += some.rejected
    batches = follow(uploader, sent, progress)
    filled.documents = sum(batch.total for batch in batches)
    filled.failed = [*sent.rejected, *failures(batches)]
    return filled


def _create(uploader: Uploader, name: str, names: list[str], filled: Filled) -> str:
    names.append(name)
    filled.collections.append(name)
    uploader.patiently(lambda: uploader.api.post("/v1/collections", CollectionCreate(name)))
    return name


def _send_texts(
    uploader: Uploader, collection: str, texts: Iterable[TextDocument], total: int, sent: Sent, progress: Progress
) -> None:
    done = 0
    for request in _requests(texts):
        upload = TextUpload(request, collection, uploader.group)

        def post(upload: TextUpload = upload) -> Accepted:
            return uploader.api.post("/v1/documents", upload).into(Accepted)

        try:
            sent.accepted.append(uploader.patiently(post))
        except ArgosyError as error:
            first, last = request[0].id, request[-1].id
            raise type(error)(f"The documents {first!r} to {last!r} were refused: {error.message}") from error
        done += len(request)
        progress.at("Sending", done, total)


def _requests(texts: Iterable[TextDocument]) -> Iterator[list[TextDocument]]:
    request: list[TextDocument] = []
    size_bytes = 0
    for text in texts:
        own_bytes = 4 * len(text.text) + 1024
        if request and (len(request) == FILES_PER_REQUEST or size_bytes + own_bytes > TEXT_BYTES_PER_REQUEST):
            yield request
            request, size_bytes = [], 0
        request.append(text)
        size_bytes += own_bytes
    if request:
        yield request


def _delete(api: Api, names: Sequence[str], settle_s: float) -> None:
    """Delete the collections, and again whichever comes back within `settle_s`.

    After an interruption, an upload may still be on its way through the fleet, and it creates its collection again.
    """
    deadline_s = time.monotonic() + settle_s
    left = list(names)
    while True:
        left = [name for name in left if not _deleted(api, name)]
        if time.monotonic() >= deadline_s:
            break
        time.sleep(LOOK_AGAIN_S)
        left = list(names)
    if left:
        output.note(f"{_listed(left)} could not be deleted. Delete with: argosy collections delete NAME")


def _deleted(api: Api, name: str) -> bool:
    """Delete a collection and return whether it is gone."""
    try:
        Uploader(api).patiently(lambda: api.delete(f"/v1/collections/{quote(name, safe='')}"))
    except NotFound:
        return True
    except ArgosyError:
        return False
    return True


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:5])
    return f"the scratch collections {shown}{' …' if len(names) > 5 else ''}"
