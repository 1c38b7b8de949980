"""Parser pool: documents are parsed in child processes, so that a hostile or broken one cannot harm the service."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass

import msgspec

from argosy.contracts.codec import LENGTH_BYTES, frame
from argosy.contracts.errors import (
    BY_CODE,
    DocumentError,
    ParserCrashed,
    ParserTimedOut,
    UnreadableDocument,
)
from argosy.services.documents.parsing.formats import Format, detect, detected, noun
from argosy.services.documents.parsing.parsed import ParsedDocument
from argosy.services.documents.parsing.parser_child import ParseReply, ParseRequest
from argosy.telemetry.logs import logger

log = logger("documents")

PLAIN_JOB = 0.02
_PLAIN = frozenset({Format.TEXT, Format.MARKDOWN})
_MODULE = "argosy.services.documents.parsing.parser_child"
_CALM = {"TOKIO_WORKER_THREADS": "1", "RAYON_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2"}
"""Environment that limits threads: they reserve address space, which is capped, and requests need the CPU."""


@dataclass(frozen=True, slots=True)
class ParserLimits:
    """Limits of one parser child."""

    memory_bytes: int = 2 << 30
    """Address space; the libraries alone take about 0.6 GB of it."""
    jobs: int = 100
    """Documents after which a new child replaces this one, so that memory leaks stay small. Starting a child takes half
    a second of CPU time, so plain text, which no third-party library reads, counts as `PLAIN_JOB` of a document."""
    reply_bytes: int = 512 << 20
    still_s: float = 120.0
    """Longest time without progress for a document of any size; `still_per_mib_s` is added per MiB. Progress is a few
    pages of a PDF or one attachment of an e-mail; other formats are read in one step."""
    still_per_mib_s: float = 4.0

    def longest_still_s(self, size_bytes: int) -> float:
        """Return the longest time without progress for a document of that size, in seconds."""
        return self.still_s + self.still_per_mib_s * size_bytes / (1 << 20)


class _ChildDied(Exception):
    """The child ended or sent an unreadable reply."""


class _Child:
    def __init__(self, process: asyncio.subprocess.Process, limits: ParserLimits) -> None:
        self.process = process
        self.jobs_done = 0.0
        self._limits = limits

    @property
    def usable(self) -> bool:
        return self.process.returncode is None and self.jobs_done < self._limits.jobs

    async def ask(self, request: ParseRequest, on_progress: Callable[[], None]) -> ParseReply:
        """Send a job and wait for its reply; call `on_progress` whenever the child reports progress.

        Raises: _ChildDied when the child ends or its reply is unreadable or too long.
        """
        sink, source = self.process.stdin, self.process.stdout
        if sink is None or source is None:
            raise _ChildDied
        try:
            sink.write(frame(request))
            await sink.drain()
            while (reply := await self._reply(source)).working:
                on_progress()
        except (OSError, asyncio.IncompleteReadError, msgspec.MsgspecError) as error:
            raise _ChildDied from error
        for one in (request, *request.more):
            self.jobs_done += PLAIN_JOB if one.content_type in _PLAIN else 1.0
        return reply

    async def _reply(self, source: asyncio.StreamReader) -> ParseReply:
        length = int.from_bytes(await source.readexactly(LENGTH_BYTES), "big")
        if length > self._limits.reply_bytes:
            raise _ChildDied
        return msgspec.msgpack.decode(await source.readexactly(length), type=ParseReply)

    async def kill(self) -> None:
        """Kill the child at once. SIGKILL also ends a stopped child."""
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        await self.process.wait()
        if self.process.stdin is not None:
            self.process.stdin.close()
            with contextlib.suppress(OSError):
                await self.process.stdin.wait_closed()


class ParserPool:
    """Pool of at most `size` children and one more for short texts. A child is started when first needed and kept."""

    def __init__(self, size: int = 2, limits: ParserLimits | None = None, command: Sequence[str] | None = None) -> None:
        """Create a pool. `command` starts a child and receives the memory limit in bytes as its last argument."""
        self._limits = limits or ParserLimits()
        self._command = tuple(command or (sys.executable, "-m", _MODULE))
        self._slots = asyncio.Semaphore(size)
        self._text_slot = asyncio.Semaphore(1)
        self._idle: list[_Child] = []
        self._busy: set[_Child] = set()
        self._closed = False

    async def parse(self, data: bytes, name: str, timeout_s: float, content_type: str | None = None) -> ParsedDocument:
        """Parse a document. `content_type` is the one with which it was accepted; see `formats.detected`.

        `timeout_s` starts when a child is free. A document without progress is stopped earlier; see `ParserLimits`.

        Raises: DocumentError when the document cannot be parsed (the subclass says why); UnsupportedType when its
        format is not supported.
        """
        kind = detected(content_type)
        if kind is None:
            kind = await asyncio.to_thread(detect, data, name, content_type)
        return self._parsed(await self._within(self._slots, ParseRequest(data, name, kind), timeout_s), name, kind)

    async def parse_texts(self, texts: Sequence[tuple[bytes, str, Format]]) -> list[ParsedDocument | Exception]:
        """Parse several short texts, each (data, name, detected format), in one round trip of a child of their own.

        Returns: for each text the document or the DocumentError. Raises: DocumentError, the child failed at one of
        them; nothing tells at which.
        """
        requests = [ParseRequest(*text) for text in texts]
        first = msgspec.structs.replace(requests[0], more=requests[1:])
        reply = await self._within(self._text_slot, first, self._limits.still_s)
        replies = [reply, *reply.more]
        if len(replies) != len(texts):  # the child failed as a whole
            raise UnreadableDocument(f"{requests[0].name} or a text beside it cannot be read.")
        outcomes: list[ParsedDocument | Exception] = []
        for one, (_, name, kind) in zip(replies, texts, strict=True):
            try:
                outcomes.append(self._parsed(one, name, kind))
            except DocumentError as error:
                outcomes.append(error)
        return outcomes

    async def _within(self, slots: asyncio.Semaphore, request: ParseRequest, timeout_s: float) -> ParseReply:
        """Return the reply of a child. Raises: ParserTimedOut, ParserCrashed."""
        name, kind = request.name, request.content_type
        async with slots:
            still_s = self._limits.longest_still_s(len(request.data))
            still = asyncio.timeout(still_s)
            try:
                async with asyncio.timeout(timeout_s), still:
                    return await self._ask(request, lambda: still.reschedule(_now_s() + still_s))
            except TimeoutError as error:
                log.warning("parser timed out", timeout_s=timeout_s, still=still.expired(), content_type=kind.value)
                what = (
                    f"got no further for {_s(still_s)}" if still.expired() else f"was not parsed within {_s(timeout_s)}"
                )
                raise ParserTimedOut(
                    f"{name} {what}. Split it, or raise services.documents.parse_timeout_s."
                ) from error
            except _ChildDied as error:
                log.warning("parser crashed", content_type=kind.value)
                raise ParserCrashed(
                    f"{name} made the parser crash or use too much memory. "
                    "Split it, or raise services.documents.parser_memory_bytes."
                ) from error

    def _parsed(self, reply: ParseReply, name: str, kind: Format) -> ParsedDocument:
        """Return the document of a reply. Raises: DocumentError."""
        if reply.parsed is not None:
            return reply.parsed
        error_class = BY_CODE.get(reply.code)
        if error_class is not None and issubclass(error_class, DocumentError):
            raise error_class(reply.message)
        log.error("parser failed unexpectedly", content_type=kind.value)  # the child has logged the traceback
        raise UnreadableDocument(f"{name} cannot be read as {noun(kind)}.")

    async def close(self) -> None:
        """Kill every child. A parse in progress fails with ParserCrashed."""
        self._closed = True
        children = [*self._idle, *self._busy]
        self._idle.clear()
        await asyncio.gather(*(child.kill() for child in children))

    async def _ask(self, request: ParseRequest, on_progress: Callable[[], None]) -> ParseReply:
        """Return a child's reply. If a used child dies, retry once with a new one: an earlier job may be the cause."""
        async with self._child() as child:
            worn = child.jobs_done > 0
            try:
                return await child.ask(request, on_progress)
            except _ChildDied:
                if not worn or self._closed:
                    raise
        async with self._child(fresh=True) as child:
            return await child.ask(request, on_progress)

    @contextlib.asynccontextmanager
    async def _child(self, *, fresh: bool = False) -> AsyncIterator[_Child]:
        """Reserve a child for the block. Any failure inside the block, cancellation included, kills the child."""
        child = None if fresh else self._take_idle()
        if child is None:
            child = _Child(await self._spawn(), self._limits)
        done_before = child.jobs_done
        self._busy.add(child)
        try:
            yield child
        finally:
            self._busy.discard(child)
            if child.usable and child.jobs_done > done_before and not self._closed:
                self._idle.append(child)
            else:
                await asyncio.shield(child.kill())

    def _take_idle(self) -> _Child | None:
        while self._idle:
            child = self._idle.pop()
            if child.usable:
                return child
        return None

    async def _spawn(self) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *self._command,
            str(self._limits.memory_bytes),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, **_CALM},
        )


def _now_s() -> float:
    return asyncio.get_running_loop().time()


def _s(duration_s: float) -> str:
    return f"{round(duration_s, 1):g} seconds"
