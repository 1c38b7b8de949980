"""Reranker that runs a cross-encoder on threads of this process.

A request is split into batches of texts of similar length. A request takes at most as many places at the threads as
there are threads, so that a long request does not hold up a short one. Each batch is small: a request that is given up
occupies the threads for one more batch only.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import ParamSpec, Protocol, TypeVar

from argosy.contracts.errors import DeadlineExceeded
from argosy.contracts.request import RequestContext
from argosy.models.pairs import PairTokens
from argosy.services.retrieval.reranking.reranker import Relevance

P = ParamSpec("P")
T = TypeVar("T")

TEXTS_READ_AT_ONCE = 64
"""Texts that are tokenised in one step, between which a request that is given up ends."""


class PairModel(Protocol):
    """Part of `CrossEncoder` that the reranker uses; both methods block."""

    @property
    def name(self) -> str: ...

    def read(self, query: str, passages: Sequence[str]) -> list[PairTokens]: ...

    def scores(self, pairs: Sequence[PairTokens]) -> list[float]: ...


class LocalReranker:
    trouble = ""

    def __init__(self, model: PairModel, *, threads: int, max_batch_tokens: int) -> None:
        self._model = model
        self._max_batch_tokens = max_batch_tokens
        self._threads = threads
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="rerank")
        self._free = asyncio.Semaphore(threads)

    @property
    def name(self) -> str:
        return self._model.name

    async def scores(self, query: str, texts: Sequence[str], context: RequestContext) -> Relevance:
        """Implement `Reranker.scores`. Batches that have not begun at the deadline are never computed.

        Raises: DeadlineExceeded; Internal when the model fails; InvalidRequest when a text is not valid Unicode.
        """
        left_s = context.deadline.require("the passages were reranked")
        try:
            async with asyncio.timeout(left_s):
                return await self._scores(query, texts)
        except TimeoutError as error:
            raise DeadlineExceeded("The cross-encoder did not finish within the time allowed.") from error

    async def close(self) -> None:
        await asyncio.to_thread(self._pool.shutdown, cancel_futures=True)

    async def _scores(self, query: str, texts: Sequence[str]) -> Relevance:
        pairs: list[PairTokens] = []
        for at in range(0, len(texts), TEXTS_READ_AT_ONCE):
            pairs += await self._on_thread(self._model.read, query, texts[at : at + TEXTS_READ_AT_ONCE])
        found = [0.0] * len(pairs)
        batches = batches_of([len(pair.ids) for pair in pairs], self._max_batch_tokens)

        async def work() -> None:
            for rows in batches:
                scores = await self._on_thread(self._model.scores, [pairs[row] for row in rows])
                for row, score in zip(rows, scores, strict=True):
                    found[row] = score

        workers = [asyncio.create_task(work()) for _ in range(self._threads)]
        try:
            await asyncio.gather(*workers)
        finally:
            for worker in workers:
                worker.cancel()
        return Relevance(found, sum(len(pair.ids) for pair in pairs))

    async def _on_thread(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return the result of a blocking call on a free thread. The thread is free again when the call has ended."""
        await self._free.acquire()
        loop = asyncio.get_running_loop()
        try:
            running = self._pool.submit(call, *args, **kwargs)
        except BaseException:
            self._free.release()
            raise

        def ended(_: Future[T]) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(self._free.release)

        running.add_done_callback(ended)
        return await asyncio.wrap_future(running)


def batches_of(lengths: Sequence[int], max_tokens: int) -> Iterator[list[int]]:
    """Yield the rows of each batch, longest texts first. A batch has at most `max_tokens` tokens with padding.

    A text that is longer than `max_tokens` is a batch of its own.
    """
    batch: list[int] = []
    for row in sorted(range(len(lengths)), key=lambda row: -lengths[row]):
        if batch and (len(batch) + 1) * lengths[batch[0]] > max_tokens:
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch
