"""Candidates of a search in one shard: the best of both lists, with both scores exact for every candidate.

The best of them by the mix of both scores also get their adjacency and their nearness to the first three, which the
retrieval service needs to rank them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import qdrant_edge as edge

from argosy.ranking.query import Reading
from argosy.ranking.scoring import adjacency, mix, word_score
from argosy.ranking.vocabulary import Vocabulary
from argosy.ranking.weighing import tokens
from argosy.services.store.points import ANALYSED
from argosy.services.store.shard_search import Payload, PointId, Scores, ShardSearch

READ = ("document_id", "version", "chunk", ANALYSED)
RERANKED = 50
"""Candidates that get an adjacency and a feedback."""
LEADERS = 3
"""First candidates whose mean vector the others are compared with (Rocchio's relevance feedback)."""
TEMPERATURE = 0.1
PHRASE_DEPTH = 400
"""Points that are looked through for a quoted phrase, the best by the words of the phrase."""


@dataclass(slots=True)
class Wanted:
    """Search of a shard. `share` is that of the cosine in the mix; `old_words` are for points of older releases."""

    vector: list[float] | None
    reading: Reading | None
    share: float
    limit: int
    depth: int
    condition: edge.Filter | None = None
    old_words: dict[int, float] | None = None
    read: Sequence[str] = READ
    """Fields of the payload that are read."""


@dataclass(slots=True)
class Found:
    """Candidate with its scores and its payload."""

    point: PointId
    cosine: float
    words: float
    payload: Payload
    adjacency: float = 0.0
    feedback: float = 0.0


def candidates(
    index: ShardSearch, vocabulary: Vocabulary, wanted: Wanted, accepted: Callable[[Payload], bool], *, sure: bool
) -> list[Found]:
    """Return at most `wanted.limit` accepted candidates, best first by the mix of both scores.

    `accepted` tells from the payload whether a search may return the point. With `sure`, it accepts all points, so that
    only the payloads of the returned ones are read.
    """
    words = wanted.reading.weights() if wanted.reading is not None else {}
    if wanted.old_words:
        words |= wanted.old_words
    depth = wanted.depth
    while True:
        dense, lexical = index.nearest(wanted.vector, words, depth, wanted.condition)
        pool = [*dict.fromkeys([*dense, *lexical])]
        exhausted = max(len(dense), len(lexical)) < depth
        read: dict[PointId, Payload] = {}
        if not sure:
            read = index.payloads(pool, wanted.read)
            pool = [point for point in pool if point in read and accepted(read[point])]
        if exhausted or len(pool) >= min(wanted.limit, depth):
            break
        depth *= 4
    if not pool:
        return []
    cosines, said = _exact(index, vocabulary, wanted, words, pool, dense, lexical)
    mixed = mix(cosines, said, wanted.share)
    order = sorted(range(len(pool)), key=lambda at: (-mixed[at], -cosines[at], at))[: wanted.limit]
    if sure:
        read = index.payloads([pool[at] for at in order], wanted.read)
    found = [Found(pool[at], cosines[at], said[at], read[pool[at]]) for at in order if pool[at] in read]
    _support(index, vocabulary, wanted, found[:RERANKED], [mixed[at] for at in order])
    return found


def _exact(
    index: ShardSearch,
    vocabulary: Vocabulary,
    wanted: Wanted,
    words: dict[int, float],
    pool: Sequence[PointId],
    dense: Scores,
    lexical: Scores,
) -> tuple[list[float], list[float]]:
    """Return both scores of each point of the pool. A score that was not asked for is 0."""
    recounted = wanted.reading is not None and wanted.reading.expanded and not wanted.old_words
    no_cosine = [point for point in pool if point not in dense]
    no_words = [] if recounted else [point for point in pool if point not in lexical]
    more_dense, more_lexical = index.scores(wanted.vector, no_cosine, words, no_words)
    dense, lexical = dense | more_dense, lexical | more_lexical
    if recounted and wanted.reading is not None:
        own = index.word_weights(pool)
        lexical = {point: word_score(wanted.reading, own.get(point, {}), vocabulary) for point in pool}
    return [dense.get(point, 0.0) for point in pool], [lexical.get(point, 0.0) for point in pool]


def _support(
    index: ShardSearch, vocabulary: Vocabulary, wanted: Wanted, found: Sequence[Found], mixed: Sequence[float]
) -> None:
    """Set the adjacency and the feedback of the candidates."""
    if wanted.reading is not None and found:
        stored = [one.payload.get(ANALYSED) for one in found]
        sequences = [tokens(text) if text else np.zeros(0, "<u4") for text in stored]
        for one, score in zip(found, adjacency(wanted.reading, sequences, vocabulary), strict=True):
            one.adjacency = score
    if wanted.vector is None or wanted.reading is None or len(found) <= 1:
        return
    leaders = found[:LEADERS]
    strengths = [math.exp((score - mixed[0]) / TEMPERATURE) for score in mixed[: len(leaders)]]
    centre = np.average(index.dense([one.point for one in leaders]), axis=0, weights=strengths)
    near, _ = index.scores([*map(float, centre)], [one.point for one in found], None, [])
    for one in found:
        one.feedback = near.get(one.point, 0.0)
