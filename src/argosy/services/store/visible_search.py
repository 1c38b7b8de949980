"""Search of the store: the best candidates of a collection, without those of versions that are not visible.

The points of a version may be written before it is visible and deleted after it is not. As long as a collection has
such points, the payload of every candidate is read and invisible ones are dropped.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import msgspec

from argosy.contracts.errors import InvalidRequest
from argosy.contracts.store import Candidate, QueryAnalysis, QueryTerm, StoreSearchRequest, StoreSearchResponse
from argosy.ranking.query import Reading, comparable, read_query
from argosy.ranking.scoring import FOREIGN_SHARE, KNOWN_SHARE
from argosy.ranking.vocabulary import Vocabulary
from argosy.services.store.candidates import PHRASE_DEPTH, READ, Found, Wanted, candidates
from argosy.services.store.checks import query_vector
from argosy.services.store.conditions import filter_of
from argosy.services.store.decisions import Decision
from argosy.services.store.known_values import KnownValues, read_values
from argosy.services.store.points import OLD_WORDS, UNIT_VECTORS
from argosy.services.store.publication import Publication
from argosy.services.store.shard import Shard
from argosy.services.store.shard_search import Payload
from argosy.services.store.shards import Shards
from argosy.text.identifiers import MARK

MAX_LIMIT = 200
"""Most candidates of one search, and most candidates of each of its lists."""
READ_AT_ONCE = 1000


class _Texts(msgspec.Struct):
    text: str
    title: str | None = None
    heading_path: list[str] = []


_texts = msgspec.json.Decoder(_Texts)


class VisibleSearch:
    """Search of the visible chunks of one store."""

    def __init__(self, publication: Publication, shards: Shards) -> None:
        self._publication = publication
        self._shards = shards

    def search(self, request: StoreSearchRequest) -> StoreSearchResponse:
        """Return the best `limit` visible chunks by cosine and by words, with both scores exact for each of them.

        Raises: CollectionNotFound when there is no such collection; InvalidRequest when the limit is out of range, or
        vector and text are both missing, or the vector is malformed; Conflict when the vector has another number of
        dimensions than the collection.
        """
        collection = self._shards.known(request.collection)
        for field, value in (("limit", request.limit), ("depth", request.depth)):
            if not 1 <= value <= MAX_LIMIT:
                raise InvalidRequest(f"{field} must be between 1 and {MAX_LIMIT}.", param=field)
        if request.vector is None and request.text is None:
            raise InvalidRequest("Give a vector, a text, or both.", param="vector")
        vector: list[float] | None = None
        if request.vector is not None:
            vector = query_vector(request.vector, collection)
        shard = self._shards.get(collection)
        if shard is None:
            return StoreSearchResponse(chunks={})
        visible = self._publication.decisions(collection.name)
        vocabulary = shard.lexicon.vocabulary
        reading = None if request.text is None else read_query(request.text, vocabulary)
        share = KNOWN_SHARE
        if reading is not None and not _known(reading.language, request.languages):
            share = FOREIGN_SHARE
        condition = filter_of(request.filters, partial(self._values, collection.name, shard))
        wanted = Wanted(vector, reading, share, request.limit, max(request.depth, request.limit), condition)
        if request.text is not None and collection.analysis == 0:
            old = OLD_WORDS.embed_query(request.text)
            wanted.old_words = dict(zip(old.indices, old.values, strict=True))
        if request.unit_vectors:
            wanted.read = [*READ, UNIT_VECTORS]
        phrases = [] if reading is None else reading.phrases
        if phrases:
            wanted.depth = max(wanted.depth, PHRASE_DEPTH)

        def accepted(payload: Payload) -> bool:
            decision = visible.get(payload["document_id"])
            if decision is None or not decision.visible or decision.version != payload["version"]:
                return False
            return not phrases or _has(phrases, _whole(payload, decision))

        sure = not phrases and shard.points() <= self._publication.shown(collection.name).points
        found = candidates(shard.index, vocabulary, wanted, accepted, sure=sure)
        return _response(
            found,
            {one.point: _whole(one.payload, visible[one.payload["document_id"]]) for one in found},
            reading,
            vocabulary,
            wanted,
        )

    def _values(self, collection: str, shard: Shard) -> KnownValues:
        if collection not in self._publication.values:
            decisions = self._publication.decisions(collection).values()
            self._publication.values[collection] = read_values(decisions, partial(_chunks, shard))
        return self._publication.values[collection]


def _chunks(shard: Shard) -> Iterator[str]:
    following = None
    while True:
        points, following = shard.read_some(following, READ_AT_ONCE, ["chunk"])
        yield from (payload["chunk"] for _, payload in points)
        if following is None:
            return


def _known(language: str, known: list[str]) -> bool:
    """Return whether the model knows the language. An unclear language and a model for all languages fit."""
    return not known or not language or language in known


def _has(phrases: list[str], chunk: str) -> bool:
    read = _texts.decode(chunk)
    text = comparable("\n".join([read.title or "", *read.heading_path, read.text]))
    return all(phrase in text for phrase in phrases)


def _whole(payload: Payload, decision: Decision) -> str:
    """Return the chunk as JSON, merged with the fields stored once for its document. Both are JSON objects."""
    chunk: str = payload["chunk"]
    if vectors := payload.get(UNIT_VECTORS):  # base64 and a few signs, which JSON does not escape
        chunk = f'{chunk[:-1]},"{UNIT_VECTORS}":"{vectors}"}}'
    return f"{chunk[:-1]},{decision.fields[1:]}" if decision.fields else chunk


def _response(
    found: list[Found],
    chunks: dict[object, str],
    reading: Reading | None,
    vocabulary: Vocabulary,
    wanted: Wanted,
) -> StoreSearchResponse:
    return StoreSearchResponse(
        chunks={str(point): chunk for point, chunk in chunks.items()},
        candidates=[Candidate(str(one.point), one.cosine, one.words, one.adjacency, one.feedback) for one in found],
        share=wanted.share,
        analysis=None if reading is None else _analysis(reading, vocabulary),
    )


def _analysis(reading: Reading, vocabulary: Vocabulary) -> QueryAnalysis:
    terms = [
        QueryTerm(group.stem, max(map(vocabulary.frequency, group.alternatives), default=0))
        for group in reading.groups
        if not group.stem.startswith(MARK)
    ]
    return QueryAnalysis(reading.language, terms, reading.identifiers, vocabulary.chunks)
