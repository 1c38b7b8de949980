"""Analysis of the points of existing collections, in the background and without embedding them again.

Two kinds of collections are due: those indexed by another version of the analysis, and those whose vocabulary was lost
in a crash. The points are read in the order of their ids, some at a time between requests. Searches answer meanwhile:
points that are not analysed yet are still found by the words of the release that wrote them. After a restart the
collection is read from the start again; points that are already analysed are counted but not written.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from uuid import UUID

import msgspec

from argosy.contracts.store import DocumentFields
from argosy.ranking.weighing import Analysed, ChunkTerms, analyse_chunk, version_of
from argosy.services.store.points import ANALYSED
from argosy.services.store.publication import Publication
from argosy.services.store.shard import PointId, Shard
from argosy.services.store.shards import Shards
from argosy.text.analysis import VERSION

ASSUMED = "en"
"""Language of a chunk that does not tell it, in a collection without other chunks."""


class _StoredChunk(msgspec.Struct):
    document_id: str
    text: str
    title: str | None = None
    heading_path: list[str] = []


_fields = msgspec.json.Decoder(DocumentFields)
_stored_chunk = msgspec.json.Decoder(_StoredChunk)


class Analysing:
    """Analysis of the collections of one store. Its methods block and run on the engine's thread."""

    def __init__(self, publication: Publication, shards: Shards) -> None:
        self._publication = publication
        self._shards = shards
        self._next: dict[str, PointId | None] = {}
        """First point of the next step, by collection under analysis."""

    def step(self, limit: int) -> bool:
        """Analyse up to `limit` points of one collection that is due. Returns: whether more may be due now."""
        for name, shard in self._shards.open.items():
            if not shard.lexicon.complete or self._publication.collections[name].analysis != VERSION:
                self._some(name, shard, limit)
                return True
        return False

    @property
    def unfinished(self) -> list[str]:
        """Collections whose words are being analysed."""
        return [*self._next]

    def forget(self, name: str) -> None:
        """Stop the analysis of a collection that is about to be dropped."""
        self._next.pop(name, None)

    def _some(self, name: str, shard: Shard, limit: int) -> None:
        if name not in self._next:
            shard.lexicon.rebuild()
            if self._publication.collections[name].analysis not in (0, VERSION):
                self._publication.analysed(name, 0)
            self._next[name] = None
        titles: dict[str, str | None] = {}
        decisions = self._publication.decisions(name)

        def title(document_id: str) -> str | None:
            if document_id not in titles:
                decision = decisions.get(document_id)
                has_fields = decision is not None and decision.fields
                titles[document_id] = _fields.decode(decision.fields).title if decision and has_fields else None
            return titles[document_id]

        following = _analyse_some(shard, self._next[name], limit, title)
        if following is not None:
            self._next[name] = following
            return
        del self._next[name]
        shard.sync_log()
        if self._publication.collections[name].analysis != VERSION:
            self._publication.analysed(name, VERSION)


def _analyse_some(
    shard: Shard, after: PointId | None, limit: int, titles: Callable[[str], str | None]
) -> PointId | None:
    """Count up to `limit` points from the id `after`, and analyse those of another version.

    `titles` returns the title of a document whose chunks do not have it themselves.
    Returns: the id of the next point; None after the last one.
    """
    usual = next(iter(shard.lexicon.vocabulary.known_languages()), ASSUMED)
    points, following = shard.read_some(after, limit, ["chunk", ANALYSED])
    counted: list[ChunkTerms] = []
    changed: dict[PointId, Analysed] = {}
    for point, payload in points:
        stored = _stored_chunk.decode(payload["chunk"])
        title = stored.title if stored.title is not None else titles(stored.document_id)
        terms = analyse_chunk(title, stored.heading_path, stored.text)
        if not terms.analysed.language:
            terms = analyse_chunk(title, stored.heading_path, stored.text, usual)
        if version_of(payload.get(ANALYSED)) == VERSION:
            terms = replace(terms, analysed=Analysed.decode(payload[ANALYSED]))
        else:
            changed[point] = terms.analysed
        counted.append(terms)
    shard.set_words(changed)
    shard.lexicon.built(counted, None if following is None else UUID(str(following)))
    return following
