"""Contract of a reranker, and the bound on the requests that it serves at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from argosy.contracts.errors import Overloaded
from argosy.contracts.request import RequestContext

RETRY_AFTER_S = 1.0


@dataclass(frozen=True, slots=True)
class Relevance:
    """Relevance of each text in [0, 1], in the order of the texts. `tokens` is 0 when they are not known."""

    scores: list[float]
    tokens: int = 0


class Reranker(Protocol):
    @property
    def name(self) -> str:
        """Name of the model for callers."""
        ...

    @property
    def trouble(self) -> str:
        """Reason why most requests fail now; empty when they do not."""
        ...

    async def scores(self, query: str, texts: Sequence[str], context: RequestContext) -> Relevance:
        """Return the relevance of every text to the query, before the deadline of `context`.

        Raises: one of SERVICE_FAILURES when there is no score for each text in time.
        """
        ...

    async def close(self) -> None:
        """Release threads and connections."""
        ...


class BoundedReranker:
    """Reranker that refuses further requests while `most` are in progress."""

    def __init__(self, inner: Reranker, most: int) -> None:
        self._inner = inner
        self._most = most
        self._now = 0

    @property
    def name(self) -> str:
        return self._inner.name

    @property
    def trouble(self) -> str:
        return self._inner.trouble

    async def scores(self, query: str, texts: Sequence[str], context: RequestContext) -> Relevance:
        """Implement `Reranker.scores`.

        Raises: Overloaded when too many requests are in progress; the errors of the inner reranker.
        """
        if self._now >= self._most:
            raise Overloaded(
                f"The reranker already has {self._most} requests (services.retrieval.rerank.max_queued). Try again "
                "after the time in Retry-After.",
                retry_after_s=RETRY_AFTER_S,
            )
        self._now += 1
        try:
            return await self._inner.scores(query, texts, context)
        finally:
            self._now -= 1

    async def close(self) -> None:
        await self._inner.close()
