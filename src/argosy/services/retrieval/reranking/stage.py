"""Stage of a search that orders the best passages again by a reranker, or keeps their order when it fails."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import msgspec

from argosy.config.rerank import RerankSettings
from argosy.contracts.errors import SERVICE_FAILURES, Unavailable
from argosy.contracts.request import RequestContext
from argosy.contracts.retrieval import Passage
from argosy.contracts.store import Chunk
from argosy.services.retrieval.reranking.reranker import Reranker
from argosy.telemetry.logs import logger

log = logger("rerank")


class RerankStage:
    def __init__(self, settings: RerankSettings, reranker: Callable[[], Reranker | None]) -> None:
        """Create the stage. `reranker` returns None while the model is not loaded."""
        self.candidates = settings.candidates
        self._timeout_s = settings.timeout_ms / 1000
        self._reranker = reranker

    async def ordered(self, query: str, passages: Sequence[Passage], context: RequestContext) -> list[Passage] | None:
        """Return the passages with the first `candidates` of them ordered by relevance; None when that fails.

        The relevance becomes the score. The scores of the other passages are scaled below it, in their old order.
        """
        if not passages:
            return []
        hop = context.for_hop_with_fallback()
        hop = replace(hop, deadline=hop.deadline.within(self._timeout_s))
        head, tail = passages[: self.candidates], passages[self.candidates :]
        try:
            reranker = self._reranker()
            if reranker is None:
                raise Unavailable("The reranker is not loaded.")
            found = await reranker.scores(query, [told(passage.chunk) for passage in head], hop)
        except SERVICE_FAILURES as error:
            log.warning("order kept without reranking", reason=error.code, request_id=context.request_id)
            return None
        order = sorted(range(len(head)), key=lambda at: (-found.scores[at], at))
        least = min(found.scores)
        return [
            *(msgspec.structs.replace(head[at], score=found.scores[at]) for at in order),
            *(msgspec.structs.replace(passage, score=least * passage.score) for passage in tail),
        ]


def told(chunk: Chunk) -> str:
    """Return the text by which a passage is judged: its title and headings, each once, and its words."""
    above = dict.fromkeys(part.strip() for part in (chunk.title or "", *chunk.heading_path))
    heading = " > ".join(part for part in above if part)
    return f"{heading}\n{chunk.text}" if heading else chunk.text
