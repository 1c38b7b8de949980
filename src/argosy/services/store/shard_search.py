"""Search of one shard. Searches return ids and scores only, because reading a payload costs more than a score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import numpy as np
import numpy.typing as npt
import qdrant_edge as edge

from argosy.services.store.edge_index import wrapped
from argosy.services.store.points import DENSE, LEXICAL, sparse

PointId = int | UUID | str
Scores = dict[PointId, float]
Payload = Mapping[str, Any]
"""Payload of a point as Edge returns it: the fields that were asked for, of the types that `point` wrote."""

PARAMS = edge.SearchParams(hnsw_ef=128, quantization=edge.QuantizationSearchParams(rescore=True, oversampling=2.0))
"""Search of a graph: 128 candidates, and twice the requested points are scored again by their exact vectors."""


class ShardSearch:
    """Search of one shard, including points that are not published. It raises what `edge_index.wrapped` raises."""

    def __init__(self, inner: edge.EdgeShard) -> None:
        self._inner = inner

    def nearest(
        self,
        vector: Sequence[float] | None,
        words: Mapping[int, float] | None,
        limit: int,
        condition: edge.Filter | None,
    ) -> tuple[Scores, Scores]:
        """Return the best `limit` points by cosine and by words, best first. A list that is not asked for is empty."""
        return self._both(vector, words, limit, (condition, condition))

    def scores(
        self,
        vector: Sequence[float] | None,
        vector_points: Sequence[PointId],
        words: Mapping[int, float] | None,
        words_points: Sequence[PointId],
    ) -> tuple[Scores, Scores]:
        """Return the cosines of some points and the scores by words of other points, both exact.

        A point without any of the words is absent.
        """
        return self._both(
            vector if vector_points else None,
            words if words_points else None,
            max(len(vector_points), len(words_points)),
            (_among(vector_points), _among(words_points)),
        )

    def _both(
        self,
        vector: Sequence[float] | None,
        words: Mapping[int, float] | None,
        limit: int,
        conditions: tuple[edge.Filter | None, edge.Filter | None],
    ) -> tuple[Scores, Scores]:
        asked: list[edge.QueryRequest] = []
        if vector is not None:
            query = edge.Query.Nearest([*vector], using=DENSE)
            asked.append(
                edge.QueryRequest(limit=limit, query=query, filter=conditions[0], params=PARAMS, with_payload=False)
            )
        if words:
            query = edge.Query.Nearest(sparse(words), using=LEXICAL)
            asked.append(edge.QueryRequest(limit=limit, query=query, filter=conditions[1], with_payload=False))
        if not asked:
            return {}, {}
        with wrapped():
            answers = [
                {point.id: point.score for point in found}
                for found in self._inner.query_batch(edge.QueryBatchRequest(asked))
            ]
        dense = answers.pop(0) if vector is not None else {}
        return dense, (answers.pop() if answers else {})

    def exact_nearest(self, vector: Sequence[float], limit: int) -> Scores:
        """Return the nearest points by comparing all vectors, also where there is a graph."""
        query = edge.Query.Nearest([*vector], using=DENSE)
        with wrapped():
            found = self._inner.query(
                edge.QueryRequest(limit=limit, query=query, params=edge.SearchParams(exact=True), with_payload=False)
            )
        return {point.id: point.score for point in found}

    def payloads(self, points: Sequence[PointId], fields: Sequence[str]) -> dict[PointId, Payload]:
        """Return the named payload fields of the points."""
        with wrapped():
            records = self._inner.retrieve([*points], [*fields], False)
            read = [(record.id, record.payload) for record in records]  # each access converts the payload again
        return {point: payload for point, payload in read if payload is not None}

    def dense(self, points: Sequence[PointId]) -> npt.NDArray[np.float64]:
        """Return the dense vectors of the points, row by row in their order."""
        with wrapped():
            records = self._inner.retrieve([*points], False, [DENSE])
            rows = {record.id: _vectors(record).get(DENSE) for record in records}
        return np.asarray([rows[point] for point in points])

    def word_weights(self, points: Sequence[PointId]) -> dict[PointId, dict[int, float]]:
        """Return the weights of the points' terms, without the inverse document frequency."""
        with wrapped():
            records = self._inner.retrieve([*points], False, [LEXICAL])
            read = [(record.id, _vectors(record).get(LEXICAL)) for record in records]
        return {
            point: dict(zip(own.indices, own.values, strict=True)) if own is not None else {} for point, own in read
        }


def _vectors(record: edge.Record) -> Mapping[str, Any]:
    vectors = record.vector
    return vectors if isinstance(vectors, dict) else {}


def _among(points: Sequence[PointId]) -> edge.Filter:
    return edge.Filter(must=[edge.HasIdCondition(set(points))])
