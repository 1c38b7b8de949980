"""Ranked passages for a query: embed the query, search the store once, fuse the two lists, optionally rerank.

Without an embedding only the lexical search runs, and without a reranker that answers the fused order stays; the
response is then marked as degraded.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from time import perf_counter
from typing import Protocol

from argosy.contracts.embedding import EmbedResponse, QueryVector, TextKind
from argosy.contracts.errors import SERVICE_FAILURES, InvalidRequest
from argosy.contracts.request import Clock, RequestContext
from argosy.contracts.rerank import RERANK
from argosy.contracts.retrieval import Passage, RetrievalRequest, RetrievalResponse, SearchMode
from argosy.contracts.store import StoreSearchRequest, StoreSearchResponse
from argosy.services.retrieval.folding import choose, fold
from argosy.services.retrieval.fusion import RERANKED, fuse
from argosy.services.retrieval.reranking.stage import RerankStage
from argosy.telemetry.logs import logger

MAX_TOP_K = 200
SPARE = 3
"""Multiple of the requested passages from which the response is chosen, so that duplicates leave no gap."""
EMBEDDING = "embedding"

log = logger("retrieval")


class QueryEmbedder(Protocol):
    async def embed(self, texts: Sequence[str], kind: TextKind, context: RequestContext) -> EmbedResponse:
        """Return a vector for each text, in order.

        Raises: one of SERVICE_FAILURES when the texts cannot be embedded in time.
        """
        ...


class ChunkSearcher(Protocol):
    async def search(self, request: StoreSearchRequest, context: RequestContext) -> StoreSearchResponse:
        """Return the candidates for `vector` and `text` with their scores and chunks.

        Raises: CollectionNotFound when there is no such collection; Unavailable; DeadlineExceeded.
        """
        ...


class RetrievalEngine:
    def __init__(
        self,
        embedding: QueryEmbedder,
        store: ChunkSearcher,
        candidates: int,
        clock: Clock = perf_counter,
        languages: Sequence[str] = (),
        rerank: RerankStage | None = None,
    ) -> None:
        """Create an engine that fuses `candidates` chunks of each list.

        `languages` are those that the embedding model knows; none means all. `rerank` is None without a reranker.
        """
        self._rerank = rerank
        self._languages = [*languages]
        self._embedding = embedding
        self._store = store
        self._candidates = candidates
        self._clock = clock

    async def search(self, request: RetrievalRequest, context: RequestContext) -> RetrievalResponse:
        """Return at most `top_k` passages, best first.

        Hybrid and dense searches fall back to a lexical one when the query cannot be embedded in time; `degraded` then
        names `embedding`. When the reranker fails, the order without it stays and `degraded` names `rerank`.

        Raises: InvalidRequest when the query is empty, `top_k` is out of bounds, or reranking is asked for without a
        reranker; the errors of the store (CollectionNotFound, Unavailable, DeadlineExceeded, …).
        """
        _check(request)
        stage = self._stage(request)
        started_s = self._clock()
        embedded = None if request.mode is SearchMode.LEXICAL else await self._embedded(request.query, context)
        embedded_s = self._clock()
        fell_back = embedded is None and request.mode is not SearchMode.LEXICAL
        found = await self._store.search(
            StoreSearchRequest(
                collection=request.collection,
                limit=max(RERANKED, request.top_k),
                vector=embedded.vector if embedded is not None else None,
                text=None if request.mode is SearchMode.DENSE and not fell_back else request.query,
                filters=request.filters,
                depth=max(self._candidates, request.top_k),
                languages=self._languages,
                unit_vectors=request.unit_vectors,
            ),
            context,
        )
        found_s = self._clock()
        cosines = {} if embedded is None else {one.chunk_id: one.cosine for one in found.candidates}
        ranked = (
            Passage(found.chunk(one.chunk_id), one.score, cosines.get(one.chunk_id))
            for one in fuse(found.candidates, found.share)
        )
        depth = max(SPARE * request.top_k, stage.candidates if stage is not None else 0)
        folded = fold(islice(ranked, depth))
        fused_s = self._clock()
        timings_ms = {
            "embed": _ms(embedded_s - started_s),
            "store": _ms(found_s - embedded_s),
            "fuse": _ms(fused_s - found_s),
        }
        degraded = [EMBEDDING] if fell_back else []
        if stage is not None:
            ordered = await stage.ordered(request.query, folded, context)
            timings_ms[RERANK] = _ms(self._clock() - fused_s)
            if ordered is None:
                degraded.append(RERANK)
            else:
                folded = ordered
        return RetrievalResponse(
            passages=choose(folded, request.top_k),
            degraded=degraded,
            timings_ms=timings_ms,
            query_vector=embedded,
            analysis=found.analysis,
        )

    def _stage(self, request: RetrievalRequest) -> RerankStage | None:
        """Return the stage that the request runs through: the fleet's, unless the request does without.

        Raises: InvalidRequest when the request wants to be reranked and the fleet has no reranker.
        """
        if request.rerank and self._rerank is None:
            raise InvalidRequest(
                "rerank is true, but the fleet has no reranker. Set services.retrieval.rerank.backend in the fleet "
                "file, or leave rerank out.",
                param="rerank",
            )
        return None if request.rerank is False else self._rerank

    async def _embedded(self, query: str, context: RequestContext) -> QueryVector | None:
        """Return the query's vector, or None when the query cannot be embedded now."""
        try:
            answer = await self._embedding.embed([query], TextKind.QUERY, context.for_hop_with_fallback())
        except SERVICE_FAILURES as error:
            log.warning("lexical search only, query not embedded", reason=error.code, request_id=context.request_id)
            return None
        return QueryVector.of(answer)


def _check(request: RetrievalRequest) -> None:
    if not request.query.strip():
        raise InvalidRequest("query is empty; send the text to search for.", param="query")
    if not 1 <= request.top_k <= MAX_TOP_K:
        raise InvalidRequest(f"top_k is {request.top_k}; send a number from 1 to {MAX_TOP_K}.", param="top_k")


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 3)
