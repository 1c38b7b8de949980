"""Dynamic batching for an embedding engine: length-sorted batches of bounded duration, interactive before bulk.

There is no timer. The texts that wait when the engine becomes free form the next batch, so batches grow with load and a
single query is never delayed. Texts are sorted by length because padding costs as much as text on a CPU. Batches are
small because large ones bring no gain on a CPU and a query may have to wait for a whole batch of bulk work. The number
of texts in a batch is derived from the measured cost of earlier batches.

A text that is requested twice while it waits or runs is computed once, for all callers.
"""

# This is one class of more than 300 lines: the dispatcher's steps share the queue, the callers and the free threads.

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence

from argosy.contracts.embedding import Spans, TextKind
from argosy.contracts.errors import (
    ArgosyError,
    DeadlineExceeded,
    Internal,
    Overloaded,
    Unavailable,
)
from argosy.contracts.request import Clock, Deadline, Priority, RequestContext
from argosy.contracts.vectors import EmbeddingEngine, Vectors
from argosy.serving.batching.admission import QueueAdmission
from argosy.serving.batching.cost import BatchLimits, CostModel
from argosy.serving.batching.engine_threads import EngineThreads, engine_error, measurable
from argosy.serving.batching.flights import Flights
from argosy.serving.batching.outcome import too_long, usable
from argosy.serving.batching.plan import plan_batches
from argosy.serving.batching.queue import Caller, Computed, EmbedResult, Key, Work, WorkQueue
from argosy.telemetry.logs import logger

log = logger("batching")

WINDOW_TEXTS = 64
"""Number of oldest texts that are sorted together."""
BROKEN_PAUSE_S = 0.05
"""Pause after a bug in the dispatcher, so that a bug in every step does not block the event loop."""

ENGINE_FAILURES = (Unavailable, Overloaded, DeadlineExceeded)
"""Errors that no single text causes, so retrying texts one by one would not help."""


class Batcher:
    """Owner of the threads that call the engine. All other code runs on the event loop and needs no locks."""

    def __init__(
        self,
        engine: EmbeddingEngine,
        *,
        limits: BatchLimits | None = None,
        max_queue_texts: int,
        workers: int = 1,
        refuse_long: bool = False,
        computed: Callable[[list[Computed]], None] = lambda results: None,
        clock: Clock = time.monotonic,
    ) -> None:
        """Create a batcher.

        `max_queue_texts` bounds each priority separately, so that bulk work that fills its queue excludes no query.
        `workers` batches run at once, each on its own thread; the engine must support this. With `refuse_long`, a text
        longer than the model's window fails with TextTooLong instead of being truncated. `computed` receives the
        results of texts that have a key, even when no caller waits for them any longer.
        """
        limits = limits or BatchLimits()
        self._engine = engine
        self._cost = CostModel(limits)
        self._refuse_long = refuse_long
        self._computed = computed
        self._clock = clock
        self._queue = WorkQueue(min(limits.seconds, 1.0))
        self._admission = QueueAdmission(self._queue, max_texts=max_queue_texts, workers=workers)
        self._flights = Flights()
        self._callers: set[Caller] = set()
        self._threads = EngineThreads(engine, workers)
        self._free = asyncio.Semaphore(workers)
        self._running: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()
        self._dispatcher: asyncio.Task[None] | None = None
        self._closed = False

    @property
    def queued(self) -> int:
        """Number of waiting texts. Texts in a running batch do not count."""
        return len(self._queue)

    async def embed(
        self,
        texts: Sequence[str],
        kind: TextKind,
        context: RequestContext,
        *,
        keys: Sequence[Key] | None = None,
        partial: bool = False,
        spans: Sequence[Spans] | None = None,
    ) -> EmbedResult:
        """Return one vector for each text, in the given order. Cancellation drops texts that no other caller needs.

        `keys` identify the texts: a text whose key is waiting or running is not computed again. With `partial`, a text
        that fails is listed in the result's `errors` instead of failing the call. `spans` are parts of each text whose
        vectors are wanted as well; an engine without vectors of spans ignores them.

        Raises: Overloaded when the queue is full and no text was accepted; TooLarge when the queue can never hold so
        many texts; DeadlineExceeded when the deadline passes before a batch of these texts begins; Unavailable when the
        batcher is closed; any ArgosyError that the engine raises for a text; Internal for any other engine failure.
        """
        if self._closed:
            raise _closing()
        context.deadline.require("the texts were embedded")
        caller = Caller(len(texts), self._engine.info.dimensions, context, partial=partial)
        if not texts:
            return caller.result
        try:
            self._enqueue(caller, texts, kind, keys, spans)
            await caller.done
        finally:
            self._leave(caller)
        return caller.result

    async def close(self) -> None:
        """Fail waiting texts, wait for running batches, and end the threads. Drain first to serve waiting texts."""
        self._closed = True
        self._fail_all(_closing)
        self._wake.set()
        if self._dispatcher is not None:
            await self._dispatcher
        await asyncio.gather(*self._running, return_exceptions=True)
        self._threads.close()

    def _enqueue(
        self,
        caller: Caller,
        texts: Sequence[str],
        kind: TextKind,
        keys: Sequence[Key] | None,
        spans: Sequence[Spans] | None,
    ) -> None:
        priority = caller.context.priority
        new = self._flights.claim(caller, texts, kind, keys, spans)
        self._admission.admit(len(new), caller.context)
        for work in new:
            self._queue.add(work, priority)
            self._flights.add(work)
        if priority is Priority.INTERACTIVE:
            for work in caller.works:
                self._queue.promote(work)
        self._callers.add(caller)
        if self._dispatcher is None or self._dispatcher.done():
            self._dispatcher = asyncio.create_task(self._dispatch())
        self._wake.set()

    def _leave(self, caller: Caller) -> None:
        """Remove the caller, and drop texts that no other caller needs."""
        self._callers.discard(caller)
        for work in caller.works:
            work.claims = [claim for claim in work.claims if claim.caller is not caller]
            if not work.claims and self._queue.remove(work):
                self._flights.remove(work)
        caller.works.clear()

    async def _dispatch(self) -> None:
        while not self._closed:
            self._wake.clear()
            try:
                await self._step()
            except Exception:
                self._break([])
                await asyncio.sleep(BROKEN_PAUSE_S)

    async def _step(self) -> None:
        """Measure texts, or start one batch when a thread is free.

        Each call does one of these, so that the next step considers queries that have arrived since.
        """
        await self._free.acquire()
        try:
            priority = self._queue.turn()
            window = self._wanted(self._queue.oldest(priority, WINDOW_TEXTS))
            unmeasured = [work for work in window if work.length is None]
            if unmeasured:
                await self._measure(measurable(unmeasured))
            elif window:
                self._start(self._batch(window), priority)
                return
        except BaseException:
            self._free.release()
            raise
        self._free.release()
        if not len(self._queue):
            await self._wake.wait()

    def _wanted(self, works: list[Work]) -> list[Work]:
        """Return the works that some caller still waits for and that can end before its deadline; drop the others."""
        for work in works:
            needed_s = 0.0 if work.length is None else self._cost.seconds(1, self._seen(work))
            for claim in work.claims:
                if claim.caller.context.deadline.remaining_s() <= needed_s:
                    claim.caller.fail(DeadlineExceeded("The deadline passed while the texts waited for the model."))
        for caller in {claim.caller for work in works for claim in work.claims if claim.caller.done.done()}:
            self._leave(caller)
        return [work for work in works if work.claims]

    def _batch(self, window: list[Work]) -> list[Work]:
        """Return the batch that contains the oldest text, so that no text waits for ever."""
        oldest = window[0]
        if oldest.alone:
            return [oldest]
        fellows = [work for work in window if work.kind is oldest.kind and not work.alone]
        plan = plan_batches([self._seen(work) for work in fellows], self._cost.capacity)
        chosen = next(batch for batch in plan if 0 in batch)
        return [fellows[index] for index in chosen]

    def _seen(self, work: Work) -> int:
        """Return the number of tokens that the model reads of the text."""
        return min(work.length or 0, self._engine.info.max_tokens)

    async def _measure(self, works: list[Work]) -> None:
        try:
            lengths = await self._threads.full_lengths(works)
        except Exception as error:
            if len(works) == 1:
                self._refuse(works[0], engine_error(error))
                return
            for work in works:
                await self._measure([work])
            return
        limit = self._engine.info.max_tokens
        for work, length in zip(works, lengths, strict=True):
            work.length = length
            if length > limit and self._refuse_long:
                self._refuse(work, too_long(length, limit))

    def _start(self, batch: list[Work], priority: Priority) -> None:
        """Run the batch on a free thread."""
        for work in batch:
            self._queue.remove(work)
        self._queue.started(priority)
        task = asyncio.create_task(self._run(batch, priority))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _run(self, batch: list[Work], priority: Priority) -> None:
        try:
            await self._run_here(batch, priority)
        except Exception:
            self._break(batch)
        finally:
            self._free.release()
            self._wake.set()

    async def _run_here(self, batch: list[Work], priority: Priority) -> None:
        claims = [claim for work in batch for claim in work.claims]
        if not claims:
            for work in batch:
                self._flights.remove(work)
            return
        deadline = max((claim.caller.context.deadline for claim in claims), key=Deadline.remaining_s)
        started_s = self._clock()
        try:
            vectors, spans = await self._threads.embed(batch, deadline)
        except Exception as error:
            self._failed(batch, error, priority)
            return
        seconds = self._clock() - started_s
        self._learn(batch, priority, seconds)
        self._give(batch, vectors, spans, seconds / len(batch))

    def _give(self, batch: list[Work], vectors: Vectors, spans: list[Vectors | None], text_s: float) -> None:
        """Deliver each text's vector to its callers and to `computed`."""
        results = []
        for work, vector, of_spans, good in zip(batch, vectors, spans, usable(vectors), strict=True):
            if not good:
                self._refuse(work, Internal("The embedding model returned no usable vector for the text."))
                continue
            truncated = (work.length or 0) > self._engine.info.max_tokens
            result = Computed(work.key, vector, self._seen(work), truncated, text_s, of_spans)
            for claim in work.claims:
                claim.caller.deliver(claim.row, result)
            work.claims.clear()
            self._flights.remove(work)
            if work.key is not None:
                results.append(result)
        if results:
            self._computed(results)

    def _failed(self, batch: list[Work], error: Exception, priority: Priority) -> None:
        """Handle a failed batch: retry each text alone, because a single text may have caused the failure.

        Errors that no text causes fail all callers at once. After DeadlineExceeded, callers whose own deadline has not
        passed are kept.
        """
        if isinstance(error, ENGINE_FAILURES):
            late = isinstance(error, DeadlineExceeded)
            for claim in [claim for work in batch for claim in work.claims]:
                if not (late and claim.caller.context.deadline.remaining_s() > 0):
                    claim.caller.fail(error)
        elif len(batch) == 1:
            self._refuse(batch[0], engine_error(error))
        else:
            for work in batch:
                work.alone = True
        again = self._wanted(batch)
        for work in batch:
            if work not in again:
                self._flights.remove(work)
        self._queue.add_first(again, priority)

    def _refuse(self, work: Work, error: ArgosyError) -> None:
        """Fail the text for all its callers."""
        self._queue.remove(work)
        self._flights.remove(work)
        for claim in work.claims:
            claim.caller.refuse(claim.row, error)
        work.claims.clear()

    def _learn(self, batch: list[Work], priority: Priority, seconds: float) -> None:
        self._cost.learn(len(batch), max(map(self._seen, batch)), seconds)
        self._queue.ran(priority, seconds)
        self._admission.learn(priority, seconds / len(batch))

    def _break(self, batch: list[Work]) -> None:
        """Fail all callers after a bug in the batcher or the engine, so that none waits for ever."""
        log.exception("batcher failed", refused=len(batch))
        self._fail_all(lambda: Internal("The embedding queue failed."))

    def _fail_all(self, error: Callable[[], ArgosyError]) -> None:
        for caller in list(self._callers):
            caller.fail(error())
            self._leave(caller)


def _closing() -> Unavailable:
    return Unavailable("The embedding engine is shutting down.")
