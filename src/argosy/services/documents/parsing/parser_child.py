"""The process that parses untrusted documents. It reads jobs from standard input and writes results to standard output.

It is started as `python -m argosy.services.documents.parsing.parser_child MEMORY_BYTES`. It may be killed at any time
and dies with its parent. Its exit status means nothing, because a parser may crash while the interpreter shuts down.
"""

from __future__ import annotations

import os
import queue
import resource
import sys
import threading
import traceback
from typing import BinaryIO

import msgspec

from argosy.contracts.codec import LENGTH_BYTES, frame
from argosy.contracts.errors import DocumentError, Internal
from argosy.services.documents.parsing.formats import Format
from argosy.services.documents.parsing.parsed import ParsedDocument
from argosy.services.documents.parsing.progress import progress
from argosy.serving.child_process import die_with_parent


class ParseRequest(msgspec.Struct):
    """A job for the child: a document and its detected format."""

    data: bytes
    name: str
    content_type: Format
    more: list[ParseRequest] = []
    """Further documents to read in the same go, all of them short texts. They have no `more` of their own."""


class ParseReply(msgspec.Struct):
    """Reply of the child: `parsed`, or the code and message of the error to raise, or `working` to report progress."""

    parsed: ParsedDocument | None = None
    code: str = ""
    message: str = ""
    working: bool = False
    more: list[ParseReply] = []
    """Replies for the request's further documents, in their order."""


def main() -> None:
    """Run the child until standard input ends."""
    die_with_parent()
    limit_resources(int(sys.argv[1]))
    source = os.fdopen(os.dup(0), "rb")
    target = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # output that a library prints must not mix with the replies
    jobs: queue.SimpleQueue[ParseRequest] = queue.SimpleQueue()
    threading.Thread(target=_receive, args=(source, jobs), daemon=True).start()

    def tell() -> None:
        target.write(frame(ParseReply(working=True)))
        target.flush()

    progress.listen(tell)
    while True:
        target.write(_answer(jobs.get()))
        target.flush()


def limit_resources(memory_bytes: int) -> None:
    """Cap the address space, forbid core dumps, and yield CPU to processes that serve users."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    limit = memory_bytes if hard == resource.RLIM_INFINITY else min(memory_bytes, hard)
    resource.setrlimit(resource.RLIMIT_AS, (limit, hard))
    os.nice(5)


def _receive(source: BinaryIO, jobs: queue.SimpleQueue[ParseRequest]) -> None:
    """Read jobs ahead, so that the end of the input (or a failure here) ends the process even during a job."""
    try:
        while head := source.read(LENGTH_BYTES):
            body = source.read(int.from_bytes(head, "big"))
            jobs.put(msgspec.msgpack.decode(body, type=ParseRequest))
    finally:
        os._exit(0)


def _answer(request: ParseRequest) -> bytes:
    from argosy.services.documents.parsing.extraction import extract_all  # the limits must hold before libraries load

    try:
        outcomes = extract_all([(one.data, one.name, one.content_type) for one in (request, *request.more)])
        reply, *more = map(_reply, outcomes)
        reply.more = more
        return frame(reply)
    except MemoryError:
        os._exit(1)
    except Exception:
        traceback.print_exc()  # to the service's log: this is an Argosy bug, not a fault of the document
        return frame(ParseReply(code=Internal.code))


def _reply(outcome: ParsedDocument | DocumentError) -> ParseReply:
    if isinstance(outcome, DocumentError):
        return ParseReply(code=outcome.code, message=outcome.message)
    return ParseReply(outcome)


if __name__ == "__main__":
    main()
