"""Documents to text in killable children, so that a hostile or broken one cannot harm the service."""

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
from argosy.services.documents.parsing.formats import Format, detect, noun
from argosy.services.documents.parsing.parsed import ParsedDocument
from argosy.services.documents.parsing.parser_child import ParseReply, ParseRequest
from argosy.telemetry.logs import logger

log = logger("documents")

PLAIN_JOB = 0.02
PLAIN = frozenset({Format.TEXT, Format.MARKDOWN})
_MODULE = "argosy.services.documents.parsing.parser_child"
_CALM = {"TOKIO_WORKER_THREADS": "1", "RAYON_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2"}
"""Threads reserve address space, which is limited, and a parser must leave the cores to requests."""


@dataclass(frozen=True, slots=True)
class ParserLimits:
    """What one child may use before it is replaced."""

    memory_bytes: int = 2 << 30
    """Address space; about 0.6 GB of it is taken by the libraries themselves."""
    jobs: int = 100
    """Documents, after which a fresh child takes over, so that leaks stay small. Starting one takes half a second of
    processor time, so plain text, which no foreign library reads, counts for `PLAIN_JOB` of one."""
    reply_bytes: int = 512 << 20
    still_s: float = 120.0
    """Longest time in which a document of any size gets no further: a few pages of a PDF, one attachment of an e-mail.
    Other formats are read in one go."""
    still_per_mib_s: float = 4.0

    def longest_still_s(self, size_bytes: int) -> float:
        return self.still_s + self.still_per_mib_s * size_bytes / (1 << 20)


class _ChildDied(Exception):
    """The child went away or answered with something unreadable."""


class _Child:
    def __init__(self, process: asyncio.subprocess.Process, limits: ParserLimits) -> None:
        self.process = process
        self.jobs_done = 0.0
        self._limits = limits

    @property
    def usable(self) -> bool:
        return self.process.returncode is None and self.jobs_done < self._limits.jobs

    async def ask(self, request: ParseRequest, on_progress: Callable[[], None]) -> ParseReply:
        """Raises: _ChildDied."""
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
            self.jobs_done += PLAIN_JOB if one.content_type in PLAIN else 1.0
        return reply

    async def _reply(self, source: asyncio.StreamReader) -> ParseReply:
        length = int.from_bytes(await source.readexactly(LENGTH_BYTES), "big")
        if length > self._limits.reply_bytes:
            raise _ChildDied
        return msgspec.msgpack.decode(await source.readexactly(length), type=ParseReply)

    async def kill(self) -> None:
        """Ends it at once; a child in any state, also stopped, obeys."""
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        await self.process.wait()
        if self.process.stdin is not None:
            self.process.stdin.close()
            with contextlib.suppress(OSError):
                await self.process.stdin.wait_closed()


class ParserPool:
    """At most `size` children, started when first needed and kept for the next document; one more reads short texts."""

    def __init__(self, size: int = 2, limits: ParserLimits | None = None, command: Sequence[str] | None = None) -> None:
        """`command` starts a child; it is given the memory limit as its last argument."""
        self._limits = limits or ParserLimits()
        self._command = tuple(command or (sys.executable, "-m", _MODULE))
        self._slots = asyncio.Semaphore(size)
        self._text_slot = asyncio.Semaphore(1)
        self._idle: list[_Child] = []
        self._busy: set[_Child] = set()
        self._closed = False

    async def parse(self, data: bytes, name: str, timeout_s: float, content_type: str | None = None) -> ParsedDocument:
        """The text of a document. `content_type` is what its sender declared; see `formats.detect`.

        Raises: DocumentError (its subclasses say what is wrong), UnsupportedType. `timeout_s` runs from when
        a child is free; a document that gets no further ends before, see `ParserLimits`.
        """
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
        """The reply of a child. Raises: ParserTimedOut, ParserCrashed."""
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
                raise ParserCrashed(f"{name} made the parser crash or use too much memory.") from error

    def _parsed(self, reply: ParseReply, name: str, kind: Format) -> ParsedDocument:
        """Raises: DocumentError."""
        if reply.parsed is not None:
            return reply.parsed
        error_class = BY_CODE.get(reply.code)
        if error_class is not None and issubclass(error_class, DocumentError):
            raise error_class(reply.message)
        log.error("parser failed unexpectedly", content_type=kind.value)  # what happened it told the log itself
        raise UnreadableDocument(f"{name} cannot be read as {noun(kind)}.")

    async def close(self) -> None:
        """Ends every child; a parse that is under way fails as crashed."""
        self._closed = True
        children = [*self._idle, *self._busy]
        self._idle.clear()
        await asyncio.gather(*(child.kill() for child in children))

    async def _ask(self, request: ParseRequest, on_progress: Callable[[], None]) -> ParseReply:
        """One answer; a child that dies after earlier jobs is given the benefit of the doubt, once, as a fresh one."""
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
        """A child of one's own. Whatever goes wrong inside, also cancellation, kills it."""
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
