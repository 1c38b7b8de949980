"""Embeddings line by line: a list of any length in bounded memory.

Lines are read no faster than the caller takes their answers. At most GROUP_LINES lines wait to be grouped, about
GROUPS_AT_ONCE groups are at the embedding service, and all further lines stay with the caller. A group consists of the
lines that arrived while the previous group was handed over, so that a caller who waits for each answer before sending
the next line gets that answer.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable
from dataclasses import dataclass, replace
from typing import Literal

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from argosy.contracts.codec import NDJSON
from argosy.contracts.embedding import TextKind
from argosy.contracts.errors import (
    BY_CODE,
    ArgosyError,
    CallerGone,
    InvalidRequest,
    Overloaded,
    Unavailable,
    UpstreamFailed,
)
from argosy.contracts.lines import LineTooLong
from argosy.contracts.lines import lines as split
from argosy.contracts.request import Deadline, Priority, RequestContext
from argosy.services.gateway.answer.question import CHAT_MODEL
from argosy.services.gateway.bodies import Body, Count, Label
from argosy.services.gateway.embeddings.vectors import text_fault, vectors
from argosy.services.gateway.shapes import EmbeddingLine
from argosy.services.gateway.upstream import TextEmbedder
from argosy.serving.errors import as_argosy_error

GROUP_LINES = 64
GROUPS_AT_ONCE = 4
MAX_LINE_BYTES = 8 * 2**20
DEFAULT_PAUSE_S = 1.0
RESTART_S = 20.0
"""Longest wait for an embedding service that cannot be reached."""
STALLED_S = 60.0
"""Time after which the stream is given up when the caller takes none of the answers that are ready."""


class LineOptions(Body):
    """Query parameters of a streamed request; its lines carry only texts."""

    model: Label = CHAT_MODEL
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: Count | None = None


class _Line(msgspec.Struct, forbid_unknown_fields=True):
    input: str


@dataclass(frozen=True, slots=True)
class _Item:
    """Line of the request: its text, or the error that makes the line unusable."""

    index: int
    text: str
    error: ArgosyError | None = None


class EmbeddingStream(Response):
    """Response with one line of JSON for each line of the request that is not blank, in order."""

    media_type = NDJSON

    def __init__(
        self, embedder: TextEmbedder, context: RequestContext, options: LineOptions, group_timeout_s: float
    ) -> None:
        super().__init__()
        del self.headers["content-length"]
        self._embedder = embedder
        self._context = context
        self._options = options
        self._group_timeout_s = group_timeout_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Read the lines, embed them in groups and send the answers.

        Raises: CallerGone when the caller hangs up or stops reading the answers.
        """
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        lines: asyncio.Queue[_Item | None] = asyncio.Queue(GROUP_LINES)
        groups: asyncio.Queue[asyncio.Task[bytes] | None] = asyncio.Queue(GROUPS_AT_ONCE)
        asked: set[asyncio.Task[bytes]] = set()
        writing = asyncio.create_task(_write(groups, send))
        working: set[asyncio.Task[None]] = {
            writing,
            asyncio.create_task(_read(Request(scope, receive), lines)),
            asyncio.create_task(self._ask(lines, groups, asked)),
        }
        try:
            while not writing.done():
                done, _ = await asyncio.wait(working, return_when=asyncio.FIRST_COMPLETED)
                working -= done
                for task in done:
                    task.result()
        finally:
            left: list[asyncio.Future[None] | asyncio.Future[bytes]] = [*working, *asked]
            for unfinished in left:
                unfinished.cancel()
            await asyncio.gather(*left, return_exceptions=True)

    async def _ask(
        self,
        lines: asyncio.Queue[_Item | None],
        groups: asyncio.Queue[asyncio.Task[bytes] | None],
        asked: set[asyncio.Task[bytes]],
    ) -> None:
        ended = False
        while not ended:
            group: list[_Item] = []
            item = await lines.get()
            while item is not None:
                group.append(item)
                if len(group) == GROUP_LINES or lines.empty():
                    break
                item = lines.get_nowait()
            ended = item is None
            if group:
                task = asyncio.create_task(self._answer(group))
                asked.add(task)
                task.add_done_callback(asked.discard)
                await groups.put(task)
        await groups.put(None)

    async def _answer(self, group: list[_Item]) -> bytes:
        """Return the answer lines of a group. When the embedding service fails, each line has the service's error."""
        good = [item for item in group if item.error is None]
        answers = {item.index: _failed(item.index, item.error) for item in group if item.error is not None}
        if good:
            try:
                answers |= await self._embedded(good)
            except Exception as error:
                ours = as_argosy_error(error)
                answers |= {item.index: _failed(item.index, ours) for item in good}
        return b"".join(msgspec.json.encode(answers[item.index]) + b"\n" for item in group)

    async def _embedded(self, group: list[_Item]) -> dict[int, EmbeddingLine]:
        deadline = Deadline.after(self._group_timeout_s, self._context.deadline.clock)
        context = replace(self._context, deadline=deadline, priority=Priority.BULK)
        restarting = Deadline.after(min(RESTART_S, self._group_timeout_s), self._context.deadline.clock)
        texts = [item.text for item in group]
        while True:
            try:
                embedded = await self._embedder.embed(texts, TextKind.PASSAGE, context, partial=True)
                break
            except (Overloaded, Unavailable) as error:
                # Overload and a restart pass, so the group waits; a service that stays unavailable is reported.
                wait_s = error.retry_after_s or DEFAULT_PAUSE_S
                patience = deadline if isinstance(error, Overloaded) else restarting
                if wait_s >= patience.remaining_s():
                    raise
                await asyncio.sleep(wait_s)
        if self._options.dimensions not in (None, embedded.dimensions):
            raise InvalidRequest(
                f"The vectors have {embedded.dimensions} dimensions and are not shortened. Leave dimensions out.",
                param="dimensions",
            )
        failures = {failure.index: failure for failure in embedded.failures}
        rows = iter(vectors(embedded, self._options.encoding_format == "base64"))
        answers = {}
        for n, item in enumerate(group):
            failure = failures.get(n)
            if failure is None:
                answers[item.index] = EmbeddingLine(item.index, next(rows), embedded.truncated[n])
            else:
                kind = BY_CODE.get(failure.code, UpstreamFailed)
                answers[item.index] = _failed(item.index, kind(failure.message, param="input"))
        return answers


async def _read(request: Request, lines: asyncio.Queue[_Item | None]) -> None:
    """Put the lines of the request into the queue, then wait for the caller to hang up until cancelled.

    Raises: CallerGone when the caller hangs up, also after the last line.
    """
    index = 0
    try:
        async with contextlib.aclosing(split(request.stream(), MAX_LINE_BYTES)) as found:
            async for line in found:
                if line.strip():
                    await lines.put(_item(index, line))
                    index += 1
    except ClientDisconnect as error:
        raise CallerGone("The caller hung up.") from error
    except LineTooLong:
        too_long = InvalidRequest(f"A line is over the limit of {MAX_LINE_BYTES} bytes. Send the text in parts.")
        await lines.put(_Item(index, "", too_long))
    except ArgosyError as error:
        await lines.put(_Item(index, "", error))
    await lines.put(None)
    while (await request.receive())["type"] != "http.disconnect":
        pass
    raise CallerGone("The caller hung up.")


def _item(index: int, line: bytes) -> _Item:
    try:
        sent = msgspec.json.decode(line, type=str | _Line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        hint = 'The line is neither a JSON string nor {"input": "a text"}. Correct it.'
        return _Item(index, "", InvalidRequest(hint, param="input"))
    text = sent if isinstance(sent, str) else sent.input
    fault = text_fault(text)
    return _Item(index, text, InvalidRequest(f"The text {fault}.", param="input") if fault else None)


async def _write(groups: asyncio.Queue[asyncio.Task[bytes] | None], send: Send) -> None:
    """Send the answers of the groups in order.

    Raises: CallerGone when the caller stops reading.
    """
    while (task := await groups.get()) is not None:
        await _sent(send({"type": "http.response.body", "body": await task, "more_body": True}))
    await _sent(send({"type": "http.response.body", "body": b"", "more_body": False}))


async def _sent(sending: Awaitable[None]) -> None:
    try:
        async with asyncio.timeout(STALLED_S):
            await sending
    except TimeoutError as error:
        raise CallerGone("The caller stopped reading the answer.") from error


def _failed(index: int, error: ArgosyError) -> EmbeddingLine:
    return EmbeddingLine(index, error=error.body())
