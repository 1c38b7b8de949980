"""Search of one shard: the nearest vectors and the best texts, in one call of Edge."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import qdrant_edge as edge

from argosy.contracts.store import Metadata
from argosy.services.store.conditions import filter_of
from argosy.services.store.edge_index import wrapped
from argosy.services.store.points import BM25, DENSE, LEXICAL

SHOWN = ["document_id", "version", "chunk"]
"""Payload fields that a search reads."""

PARAMS = edge.SearchParams(hnsw_ef=128, quantization=edge.QuantizationSearchParams(rescore=True, oversampling=2.0))
"""How a graph is searched: 128 candidates, and twice the requested points are scored again by their exact vectors."""


@dataclass(frozen=True, slots=True)
class Hit:
    """Point that a search found, published or not."""

    chunk_id: str
    document_id: str
    version: int
    score: float
    payload: str
    """Chunk as JSON, without the fields that are stored in the decision on its document."""


def search(
    inner: edge.EdgeShard, vector: Sequence[float] | None, text: str | None, limit: int, filters: Metadata
) -> tuple[list[Hit], list[Hit]]:
    """Return the best `limit` points by cosine and by BM25, including unpublished ones.

    Without a vector the first list is empty, without a text the second one.
    """
    queries: list[edge.Query] = []
    if vector is not None:
        queries.append(edge.Query.Nearest([*vector], using=DENSE))
    if text is not None:
        queries.append(edge.Query.Nearest(BM25.embed_query(text), using=LEXICAL))
    condition = filter_of(filters)
    requests = [
        edge.QueryRequest(limit=limit, query=query, filter=condition, params=PARAMS, with_payload=SHOWN)
        for query in queries
    ]
    with wrapped():
        answers = [_hits(found) for found in inner.query_batch(edge.QueryBatchRequest(requests))]
    dense = answers.pop(0) if vector is not None else []
    return dense, (answers.pop() if answers else [])


def nearest(inner: edge.EdgeShard, vector: list[float], limit: int, *, exact: bool = False) -> list[edge.ScoredPoint]:
    """Return the nearest points without their payloads; with `exact`, all vectors are compared."""
    query = edge.Query.Nearest(vector, using=DENSE)
    params = edge.SearchParams(exact=True) if exact else PARAMS
    return inner.query(edge.QueryRequest(limit=limit, query=query, params=params))


def _hits(found: Sequence[edge.ScoredPoint]) -> list[Hit]:
    hits = []
    for point in found:
        payload = point.payload  # each access of `point.payload` converts it again
        if payload is not None:
            hits.append(Hit(str(point.id), payload["document_id"], payload["version"], point.score, payload["chunk"]))
    return hits
