"""The process that touches untrusted documents: one job after another from standard input, results to standard output.

Started as `python -m argosy.services.documents.parsing.parser_child MEMORY_BYTES`. It may be killed at any time, it
dies with its parent, and its exit status means nothing: the parser may crash while the interpreter shuts down.
"""

from __future__ import annotations

import ctypes
import os
import queue
import resource
import signal
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

_PR_SET_PDEATHSIG = 1


class ParseRequest(msgspec.Struct):
    data: bytes
    name: str
    content_type: Format
    more: list[ParseRequest] = []
    """Further documents to read in the same go, all of them short texts. They have no `more` of their own."""


class ParseReply(msgspec.Struct):
    """Either `parsed`, or the code and message of the error to raise; or, before that, that there was progress."""

    parsed: ParsedDocument | None = None
    code: str = ""
    message: str = ""
    working: bool = False
    more: list[ParseReply] = []
    """Replies for the request's further documents, in their order."""


def main() -> None:
    die_with_parent()
    limit_resources(int(sys.argv[1]))
    source = os.fdopen(os.dup(0), "rb")
    target = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints must not end up between the messages
    jobs: queue.SimpleQueue[ParseRequest] = queue.SimpleQueue()
    threading.Thread(target=_receive, args=(source, jobs), daemon=True).start()

    def tell() -> None:
        target.write(frame(ParseReply(working=True)))
        target.flush()

    progress.listen(tell)
    while True:
        target.write(_answer(jobs.get()))
        target.flush()


def die_with_parent() -> None:
    """SIGKILL when the parent's spawning thread ends (Linux); elsewhere the end of standard input does it."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() == 1 and os.getpid() != 1:
            os._exit(0)


def limit_resources(memory_bytes: int) -> None:
    """Caps the address space, forbids core dumps, and lets whoever answers a user go first."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    limit = memory_bytes if hard == resource.RLIM_INFINITY else min(memory_bytes, hard)
    resource.setrlimit(resource.RLIMIT_AS, (limit, hard))
    os.nice(5)


def _receive(source: BinaryIO, jobs: queue.SimpleQueue[ParseRequest]) -> None:
    """Reads ahead so that the end of the input ends the process even in the middle of a job, as any failure does."""
    try:
        while head := source.read(LENGTH_BYTES):
            body = source.read(int.from_bytes(head, "big"))
            jobs.put(msgspec.msgpack.decode(body, type=ParseRequest))
    finally:
        os._exit(0)


def _answer(request: ParseRequest) -> bytes:
    from argosy.services.documents.parsing.extraction import extract_all  # the limits hold before the libraries load

    try:
        outcomes = extract_all([(one.data, one.name, one.content_type) for one in (request, *request.more)])
        reply, *more = map(_reply, outcomes)
        reply.more = more
        return frame(reply)
    except MemoryError:
        os._exit(1)
    except Exception:
        traceback.print_exc()  # into the service's log: a bug of ours, for which the document will be blamed
        return frame(ParseReply(code=Internal.code))


def _reply(outcome: ParsedDocument | DocumentError) -> ParseReply:
    if isinstance(outcome, DocumentError):
        return ParseReply(code=outcome.code, message=outcome.message)
    return ParseReply(outcome)


if __name__ == "__main__":
    main()
