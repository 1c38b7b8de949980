"""Search of the store: the shard's hits, without those of versions that are not visible.

The points of a version may be written before it is visible and deleted after it is not. A search therefore fetches more
points than requested and drops invisible ones.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from argosy.contracts.errors import InvalidRequest
from argosy.contracts.store import Ranked, StoreSearchRequest, StoreSearchResponse
from argosy.services.store.checks import query_vector
from argosy.services.store.decisions import Decision
from argosy.services.store.publication import Publication
from argosy.services.store.shard import Shard
from argosy.services.store.shard_search import Hit
from argosy.services.store.shards import Shards

MAX_LIMIT = 200


class VisibleSearch:
    """Search of the visible chunks of one store."""

    def __init__(self, publication: Publication, shards: Shards) -> None:
        self._publication = publication
        self._shards = shards

    def search(self, request: StoreSearchRequest) -> StoreSearchResponse:
        """Return the best `limit` visible chunks by cosine and by BM25, each list best first.

        Raises: CollectionNotFound when there is no such collection; InvalidRequest when the limit is out of range, or
        vector and text are both missing, or the vector is malformed; Conflict when the vector has another number of
        dimensions than the collection.
        """
        collection = self._shards.known(request.collection)
        if not 1 <= request.limit <= MAX_LIMIT:
            raise InvalidRequest(f"limit must be between 1 and {MAX_LIMIT}.", param="limit")
        if request.vector is None and request.text is None:
            raise InvalidRequest("Give a vector, a text, or both.", param="vector")
        vector: list[float] | None = None
        if request.vector is not None:
            vector = query_vector(request.vector, collection)
        shard = self._shards.get(collection)
        if shard is None:
            return StoreSearchResponse(chunks={})
        visible = self._publication.decisions(collection.name)
        shown = self._publication.shown(collection.name).points
        dense, lexical = _fetch_visible(shard, visible, shown, vector, request)
        chunks = {hit.chunk_id: _whole(hit, visible[hit.document_id].fields) for hit in (*dense, *lexical)}
        return StoreSearchResponse(chunks=chunks, dense=_ranked(dense), lexical=_ranked(lexical))


def _whole(hit: Hit, fields: str) -> str:
    """Return the chunk as JSON, merged with the fields stored once for its document. Both are JSON objects."""
    return f"{hit.payload[:-1]},{fields[1:]}" if fields else hit.payload


def _fetch_visible(
    shard: Shard,
    visible: Mapping[str, Decision],
    shown: int,
    vector: list[float] | None,
    request: StoreSearchRequest,
) -> tuple[list[Hit], list[Hit]]:
    """Fetch more points than requested, according to the share of invisible ones; widen while too few are visible.

    `shown` is the number of visible points. Returns: the dense and the lexical hits, at most `request.limit` each.
    """
    points = shard.points()
    fetch = request.limit
    if points > shown:
        fetch += math.ceil(request.limit * min(4.0, 2.0 * (points - shown) / max(1, shown))) + 8
    while True:
        lists = shard.search(vector, request.text, fetch, request.filters)
        kept = tuple([hit for hit in found if _is_visible(hit, visible)][: request.limit] for found in lists)
        if all(len(k) == request.limit or len(f) < fetch for k, f in zip(kept, lists, strict=True)):
            return kept[0], kept[1]
        fetch *= 4


def _is_visible(hit: Hit, visible: Mapping[str, Decision]) -> bool:
    decision = visible.get(hit.document_id)
    return decision is not None and decision.visible and decision.version == hit.version


def _ranked(hits: Sequence[Hit]) -> list[Ranked]:
    return [Ranked(hit.chunk_id, hit.score) for hit in hits]
