"""Threads that call an embedding engine. Each call takes texts of one kind."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from argosy.contracts.embedding import Spans, TextKind
from argosy.contracts.errors import ArgosyError, Internal
from argosy.contracts.request import Deadline
from argosy.contracts.vectors import EmbeddingEngine, SpanEngine, Vectors
from argosy.serving.batching.queue import Work

T = TypeVar("T")

MEASURED_CHARS = 100_000
"""Most characters that are tokenised at once, unless a single text is longer. This takes less time than a batch."""


class EngineThreads:
    """Threads of one engine, which must support as many calls at once."""

    def __init__(self, engine: EmbeddingEngine, count: int) -> None:
        self._engine = engine
        self._threads = ThreadPoolExecutor(max_workers=count, thread_name_prefix="engine")

    async def full_lengths(self, works: list[Work]) -> list[int]:
        """Return the number of tokens of each text, even beyond the model's window."""
        return await self._call(self._engine.full_lengths, works)

    async def embed(self, works: list[Work], deadline: Deadline) -> tuple[Vectors, list[Vectors | None]]:
        """Return one vector for each text, and the vectors of the spans of each text that has some.

        Raises: Internal when the engine returns another shape.
        """
        spans = [work.spans for work in works]
        return await self._call(lambda texts, kind: self._checked(texts, spans, kind, deadline), works)

    def close(self) -> None:
        """End the threads after their present calls."""
        self._threads.shutdown()

    def _checked(
        self, texts: list[str], spans: list[Spans], kind: TextKind, deadline: Deadline
    ) -> tuple[Vectors, list[Vectors | None]]:
        of_spans: list[Vectors | None] = [None] * len(texts)
        if any(spans) and isinstance(self._engine, SpanEngine):
            vectors, found = self._engine.embed_spans(texts, spans, kind, deadline)
            of_spans = [rows if own else None for rows, own in zip(found, spans, strict=True)]
        else:
            vectors = self._engine.embed(texts, kind, deadline)
        if vectors.shape != (len(texts), self._engine.info.dimensions):
            raise Internal("The embedding model returned a wrong number of vectors or dimensions.")
        return vectors, of_spans

    async def _call(self, work: Callable[[list[str], TextKind], T], works: list[Work]) -> T:
        """Run `work` on an engine thread; all `works` must have the same kind."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, work, [w.text for w in works], works[0].kind)


def measurable(works: Sequence[Work]) -> list[Work]:
    """Return the first work and following works of its kind, up to MEASURED_CHARS characters in total."""
    taken, chars = [works[0]], len(works[0].text)
    for work in works[1:]:
        chars += len(work.text)
        if chars > MEASURED_CHARS:
            break
        if work.kind is works[0].kind:
            taken.append(work)
    return taken


def engine_error(error: Exception) -> ArgosyError:
    """Return an error of Argosy unchanged, and any other error of the engine as `Internal`."""
    if isinstance(error, ArgosyError):
        return error
    wrapped = Internal("The embedding engine failed on a text.")
    wrapped.__cause__ = error
    return wrapped
