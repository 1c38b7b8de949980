"""Many callers, one embedding engine: batches sorted by length under a token budget, interactive before bulk.

There is no timer. Whatever waits when the engine is free forms the next batch, so batches grow with load
and a lone query never waits for company. On a processor padding costs as much as text, hence the sorting,
and large batches gain nothing, hence the small budget, which is also the longest that a query waits
behind bulk work.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import TypeVar

import numpy as np

from argosy.contracts.embedding import TextKind
from argosy.contracts.errors import ArgosyError, DeadlineExceeded, Internal, Overloaded, TooLarge, Unavailable
from argosy.contracts.request import Clock, Priority, RequestContext
from argosy.contracts.vectors import EmbeddingEngine, Vectors
from argosy.telemetry.logs import logger

log = logger("batching")
T = TypeVar("T")

WINDOW_TEXTS = 64
"""How many of the oldest texts are sorted together. Tokenising them takes less time than one batch."""

RATE_MEMORY = 0.8
FIRST_RETRY_AFTER_S = 1.0
MAX_RETRY_AFTER_S = 60.0


@dataclass(frozen=True, slots=True)
class EmbedResult:
    """All three in the order of the texts; `tokens` counts after truncation."""

    vectors: Vectors
    tokens: list[int]
    truncated: list[bool]


def plan_batches(lengths: Sequence[int], budget: int) -> list[list[int]]:
    """Indices of `lengths` in batches, longest first; each index exactly once.

    A batch costs its longest text × its number of texts (padding included) and stays within `budget`
    tokens; a text longer than the budget goes alone.
    """
    order = sorted(range(len(lengths)), key=lambda index: -lengths[index])
    batches = []
    while order:
        fitting = max(1, budget // max(1, lengths[order[0]]))
        batches.append(order[:fitting])
        order = order[fitting:]
    return batches


@dataclass(eq=False, slots=True)
class _Text:
    request: _Request
    row: int
    text: str
    length: int | None = None
    """Tokens before truncation; None until measured."""
    alone: bool = False
    """Was in a batch that failed: runs by itself, so that one bad text fails alone."""


@dataclass(eq=False, slots=True, repr=False)
class _Request:
    kind: TextKind
    context: RequestContext
    done: asyncio.Future[None]
    result: EmbedResult
    missing: int
    waiting: deque[_Text] = field(default_factory=deque)

    def fail(self, error: ArgosyError) -> None:
        if not self.done.done():
            self.done.set_exception(error)


class Batcher:
    """Owns the threads that call `engine`. Everything else happens on the event loop, so nothing is locked."""

    def __init__(
        self,
        engine: EmbeddingEngine,
        *,
        max_batch_tokens: int = 512,
        max_queue_texts: int,
        workers: int = 1,
        clock: Clock = time.monotonic,
    ) -> None:
        """`max_queue_texts` bounds each priority by itself: bulk work that fills its queue shuts no query out.

        `workers` batches run at once, each on a thread of its own; the engine must allow that.
        """
        self._engine = engine
        self._max_batch_tokens = max_batch_tokens
        self._max_queue_texts = max_queue_texts
        self._clock = clock
        self._queues: dict[Priority, deque[_Request]] = {
            Priority.INTERACTIVE: deque(),
            Priority.BULK: deque(),
        }
        self._threads = ThreadPoolExecutor(max_workers=workers, thread_name_prefix="engine")
        self._free = asyncio.Semaphore(workers)
        self._running: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()
        self._dispatcher: asyncio.Task[None] | None = None
        self._closed = False
        self._text_s: float | None = None

    @property
    def queued(self) -> int:
        """Texts that wait; those in the running batch do not."""
        return sum(map(_waiting, self._queues.values()))

    async def embed(self, texts: Sequence[str], kind: TextKind, context: RequestContext) -> EmbedResult:
        """One vector for each text, in the order given. Cancelling it drops what has not run yet.

        Raises: Overloaded, the queue is full and nothing was accepted; TooLarge, the queue can never hold
        so many texts; DeadlineExceeded, before a batch of these texts began; Unavailable, closed; whatever
        ArgosyError the engine raised for one of the texts; Internal for any other failure of it.
        """
        if self._closed:
            raise _closing()
        context.deadline.require("the texts were embedded")
        count = len(texts)
        self._admit(count, context.priority)
        vectors = np.empty((count, self._engine.info.dimensions), dtype=np.float32)
        result = EmbedResult(vectors, [0] * count, [False] * count)
        if not count:
            return result
        request = _Request(kind, context, asyncio.get_running_loop().create_future(), result, missing=count)
        request.waiting.extend(_Text(request, row, text) for row, text in enumerate(texts))
        self._queues[context.priority].append(request)
        if self._dispatcher is None:
            self._dispatcher = asyncio.create_task(self._dispatch())
        self._wake.set()
        await request.done
        return result

    async def close(self) -> None:
        """Fail what waits, let the running batch end, end the thread. Drain before, if what waits should be served."""
        self._closed = True
        self._fail_all(_closing)
        self._wake.set()
        if self._dispatcher is not None:
            await self._dispatcher
        await asyncio.gather(*self._running, return_exceptions=True)
        self._threads.shutdown()

    def _admit(self, count: int, priority: Priority) -> None:
        limit = self._max_queue_texts
        if count > limit:
            raise TooLarge(f"{count} texts in one request; the limit is {limit}. Send fewer at a time.")
        excess = _waiting(self._queues[priority]) + count - limit
        if excess > 0:
            ahead = _waiting(self._queues[Priority.INTERACTIVE]) if priority is Priority.BULK else 0
            estimate = FIRST_RETRY_AFTER_S if self._text_s is None else (ahead + excess) * self._text_s
            raise Overloaded(
                f"The queue of the embedding engine is full ({limit} texts). Try again after the time in Retry-After.",
                retry_after_s=min(estimate, MAX_RETRY_AFTER_S),
            )

    async def _dispatch(self) -> None:
        while not self._closed:
            self._wake.clear()
            try:
                await self._step()
            except Exception:
                self._break([])

    async def _step(self) -> None:
        """Measure, or start one batch when a thread is free, then let the caller look again: a query may have come."""
        await self._free.acquire()
        try:
            window = self._window()
            unmeasured = [text for text in window if text.length is None]
            if unmeasured:
                await self._measure([text for text in unmeasured if text.request.kind is unmeasured[0].request.kind])
            elif window:
                self._start(self._batch(window))
                return
        except BaseException:
            self._free.release()
            raise
        self._free.release()
        if not window:
            await self._wake.wait()

    def _window(self) -> list[_Text]:
        """The oldest texts of the first priority that has any, after dropping what nobody waits for."""
        for queue in self._queues.values():
            for request in list(queue):
                if not request.done.done() and request.context.deadline.remaining_s() <= 0:
                    request.fail(DeadlineExceeded("The deadline passed while the texts waited for the model."))
                if request.done.done():
                    queue.remove(request)
            if window := list(islice(chain.from_iterable(request.waiting for request in queue), WINDOW_TEXTS)):
                return window
        return []

    def _batch(self, window: list[_Text]) -> list[_Text]:
        """The batch that holds the oldest text, so that none waits for ever."""
        oldest = window[0]
        if oldest.alone:
            return [oldest]
        fellows = [text for text in window if text.request.kind is oldest.request.kind and not text.alone]
        limit = self._engine.info.max_tokens
        plan = plan_batches([min(text.length or 0, limit) for text in fellows], self._max_batch_tokens)
        chosen = next(batch for batch in plan if 0 in batch)
        return [fellows[index] for index in chosen]

    async def _measure(self, texts: list[_Text]) -> None:
        try:
            lengths = await self._call(self._engine.full_lengths, texts)
        except Exception as error:
            if len(texts) == 1:
                texts[0].request.fail(_as_ours(error))
                return
            for text in texts:
                await self._measure([text])
            return
        limit = self._engine.info.max_tokens
        for text, length in zip(texts, lengths, strict=True):
            text.length = length
            text.request.result.tokens[text.row] = min(length, limit)
            text.request.result.truncated[text.row] = length > limit

    def _start(self, batch: list[_Text]) -> None:
        """Runs the batch on a thread that is free."""
        for text in batch:
            text.request.waiting.remove(text)
        task = asyncio.create_task(self._run(batch))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _run(self, batch: list[_Text]) -> None:
        try:
            await self._run_here(batch)
        except Exception:
            self._break(batch)
        finally:
            self._free.release()
            self._wake.set()

    async def _run_here(self, batch: list[_Text]) -> None:
        started_s = self._clock()
        try:
            vectors = await self._call(self._engine.embed, batch)
        except Exception as error:
            if len(batch) == 1:
                batch[0].request.fail(_as_ours(error))
                return
            for text in reversed(batch):
                text.alone = True
                text.request.waiting.appendleft(text)
            return
        self._learn((self._clock() - started_s) / len(batch))
        for text, vector in zip(batch, vectors, strict=True):
            request = text.request
            request.result.vectors[text.row] = vector
            request.missing -= 1
            if not request.missing and not request.done.done():
                request.done.set_result(None)

    async def _call(self, work: Callable[[list[str], TextKind], T], texts: list[_Text]) -> T:
        """On the engine's thread; `texts` are of one kind."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, work, [text.text for text in texts], texts[0].request.kind)

    def _learn(self, text_s: float) -> None:
        old = text_s if self._text_s is None else self._text_s
        self._text_s = RATE_MEMORY * old + (1 - RATE_MEMORY) * text_s

    def _break(self, batch: list[_Text]) -> None:
        """A bug, here or in the engine: nobody is left waiting for what will not come."""
        log.exception("batcher failed", refused=len(batch))
        for text in batch:
            text.request.fail(Internal("The embedding queue failed."))
        self._fail_all(lambda: Internal("The embedding queue failed."))

    def _fail_all(self, error: Callable[[], ArgosyError]) -> None:
        for request in chain.from_iterable(self._queues.values()):
            request.fail(error())


def _waiting(queue: Iterable[_Request]) -> int:
    return sum(len(request.waiting) for request in queue if not request.done.done())


def _closing() -> Unavailable:
    return Unavailable("The embedding engine is shutting down.")


def _as_ours(error: Exception) -> ArgosyError:
    if isinstance(error, ArgosyError):
        return error
    wrapped = Internal("The embedding engine failed on a text.")
    wrapped.__cause__ = error
    return wrapped
