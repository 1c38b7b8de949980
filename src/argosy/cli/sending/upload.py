"""Upload of documents in bounded requests. It waits while the queue is full, and one bad file never stops the rest."""

from __future__ import annotations

import contextlib
import hashlib
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import aiohttp
import msgspec

from argosy.cli.client.gateway import Api, NoFleet
from argosy.cli.sending.collect import Outgoing
from argosy.contracts.documents import (
    UNREADABLE_FILE,
    Accepted,
    BatchView,
    DocumentFault,
    RefusedDocument,
    RefusedUpload,
)
from argosy.contracts.errors import ArgosyError, InvalidRequest, Overloaded

T = TypeVar("T")

FILES_PER_REQUEST = 32
BYTES_PER_REQUEST = 64 * 2**20
BLAMES_A_FILE = frozenset({400, 409, 413, 415, 422})
"""Statuses that one file of a request may cause. Others (a wrong collection, no permission) concern all files."""
FULL_QUEUE_PATIENCE_S = 900.0
OUTAGE_PATIENCE_S = 30.0
DEFAULT_WAIT_S = 1.0
LEAST_WAIT_S = 0.1
"""Shortest pause before a retry, so that `Retry-After: 0` does not cause a tight loop."""
MAX_WAIT_S = 30.0


class Rejected(msgspec.Struct):
    """A document that will not be indexed, and why."""

    name: str
    source: str
    code: str
    detail: str
    bytes: int = 0


@dataclass(slots=True)
class Sent:
    accepted: list[Accepted] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)


@dataclass(slots=True)
class Uploader:
    """Sender of documents to one collection. It calls `tell` with a sentence before each wait, and `pause` to wait."""

    api: Api
    collection: str | None = None
    tell: Callable[[str], None] = lambda sentence: None
    pause: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic
    group: str = field(default_factory=lambda: uuid.uuid4().hex)
    """Id of this sender. The fleet shares its capacity between senders, whatever their number of requests."""
    _met: bool = False

    def send(self, outgoing: Iterable[Outgoing], done: Callable[[int], None] = lambda files: None) -> Sent:
        """Send all documents and call `done` with the number of files of each finished request.

        The order is mixed, and always the same for the same files. Kinds and sizes are then spread evenly, so that the
        time of the first documents predicts the time of the rest.

        Raises: an ArgosyError that concerns more than one file. Documents accepted before it stay accepted.
        """
        sent = Sent()
        for request in _requests(sorted(outgoing, key=_drawn)):
            readable, before = [], len(sent.rejected)
            for one in request:
                try:
                    readable.append((one, one.read()))
                except OSError as error:
                    sent.rejected.append(_rejected(one, UNREADABLE_FILE, error.strerror or str(error)))
            if readable:
                self._send_request(readable, sent)
            self._record(sent.rejected[before:])
            done(len(request))
        return sent

    def batch(self, batch_id: str, wait_s: int) -> BatchView:
        """Return the state of a batch: immediately when it is done, else after at most `wait_s`."""
        return self.patiently(lambda: self.api.get(f"/v1/batches/{batch_id}", {"wait_s": wait_s}).into(BatchView))

    def _send_request(self, files: Sequence[tuple[Outgoing, bytes]], sent: Sent) -> None:
        try:
            sent.accepted.append(self.patiently(lambda: self._post(files)))
        except ArgosyError as error:
            if error.status not in BLAMES_A_FILE:
                raise
            if len(files) == 1:
                sent.rejected.append(_rejected(files[0][0], error.code, error.message))
                return
            half = len(files) // 2
            for part in (files[:half], files[half:]):
                self._send_request(part, sent)

    def _record(self, rejected: Sequence[Rejected]) -> None:
        """Report the rejected files to the fleet as failed documents, so that its list of them is complete."""
        if not rejected:
            return
        documents = [
            RefusedDocument(one.name, one.source, DocumentFault(one.code, one.detail), one.bytes) for one in rejected
        ]
        refused = RefusedUpload(documents, *(() if self.collection is None else (self.collection,)))
        # A file whose name the fleet refuses is reported only by this command.
        with contextlib.suppress(InvalidRequest):
            self.patiently(lambda: self.api.post("/v1/documents/refused", refused))

    def _post(self, files: Sequence[tuple[Outgoing, bytes]]) -> Accepted:
        def form() -> aiohttp.FormData:
            # With quote_fields, names would arrive percent-encoded.
            made = aiohttp.FormData(quote_fields=False)
            for one, data in files:
                name = "".join(c if c.isprintable() else " " for c in one.name)
                made.add_field("files", data, filename=name, content_type="application/octet-stream")
                made.add_field("sources", one.source)
            made.add_field("group", self.group)
            if self.collection is not None:
                made.add_field("collection", self.collection)
            return made

        return self.api.post_form("/v1/documents", form).into(Accepted)

    def patiently(self, call: Callable[[], T]) -> T:
        """Make the call, and repeat it while the error is retryable and patience lasts.

        Repeating is harmless: sending or deleting the same document again changes nothing. A fleet that never answered
        is not waited for.
        """
        started_s = self.clock()
        while True:
            try:
                result = call()
            except ArgosyError as error:
                full = isinstance(error, Overloaded)
                patience_s = FULL_QUEUE_PATIENCE_S if full else OUTAGE_PATIENCE_S
                asked_s = DEFAULT_WAIT_S if error.retry_after_s is None else error.retry_after_s
                wait_s = min(MAX_WAIT_S, max(LEAST_WAIT_S, asked_s))
                absent = isinstance(error, NoFleet) and not self._met
                if not error.retryable or absent or self.clock() - started_s + wait_s > patience_s:
                    raise
                why = "The queue is full" if full else error.message.rstrip(".")
                self.tell(f"{why}; next attempt in {wait_s:.0f} s.")
                self.pause(wait_s)
            else:
                self._met = True
                return result


def _rejected(one: Outgoing, code: str, detail: str) -> Rejected:
    return Rejected(one.name, one.source, code, detail, one.size_bytes())


def _drawn(one: Outgoing) -> bytes:
    return hashlib.blake2b(one.source.encode(errors="surrogateescape"), digest_size=8).digest()


def _requests(outgoing: Iterable[Outgoing]) -> Iterator[list[Outgoing]]:
    """Yield groups within FILES_PER_REQUEST and BYTES_PER_REQUEST. A larger file is a group of its own."""
    request: list[Outgoing] = []
    size_bytes = 0
    for one in outgoing:
        if request and (len(request) == FILES_PER_REQUEST or size_bytes + one.size_bytes() > BYTES_PER_REQUEST):
            yield request
            request, size_bytes = [], 0
        request.append(one)
        size_bytes += one.size_bytes()
    if request:
        yield request
