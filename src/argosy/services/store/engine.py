"""Engine of the store: collections, atomic publication of versions, and dense and lexical search.

All methods block and run on one engine thread, except the methods that wait for the disk: these may run on another
thread at the same time, so that searches continue. `published.db` determines whether a version is visible. Its points
may be written earlier and deleted later, so a search fetches more points than requested and drops invisible ones.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from pathlib import Path

from argosy.contracts.errors import ArgosyError, Conflict, InvalidRequest
from argosy.contracts.request import Clock
from argosy.contracts.store import (
    CollectionStats,
    EnsureCollection,
    ForgetRequest,
    PublishRequest,
    StoreSearchRequest,
    StoreSearchResponse,
    UpsertRequest,
)
from argosy.ranking.weighing import ChunkTerms
from argosy.services.store.analysing import Analysing
from argosy.services.store.changes import Changes
from argosy.services.store.checks import check_ids, check_model, matrix
from argosy.services.store.decisions import Collection
from argosy.services.store.index_plan import FLAT_POINTS, Quantisation
from argosy.services.store.publication import Publication
from argosy.services.store.published_file import LOCK_WAIT_S
from argosy.services.store.rewriting import Rewriting
from argosy.services.store.shards import Shards, not_found
from argosy.services.store.sweep import Sweep
from argosy.services.store.visible_search import VisibleSearch
from argosy.serving.engine_call import EngineCalls
from argosy.serving.hold import Hold, Work


class StoreEngine:
    """Engine that owns `published.db` and `shards/` in a folder.

    All acknowledged calls survive kill -9. Published versions also survive a loss of power: the update log is synced
    before a publication is recorded, and a version whose chunks were lost before this is refused.

    `publish` and `forget` call the methods `decide`, `record` and `apply` of `changes` for one change. These three may
    also be called for a group: `record` waits for the disk once for the whole group and may run on another thread while
    searches continue. Groups must not overlap, and no step of `sweep` or `rewriting`, no `ensure` and no
    `delete_collection` may run between `decide` and `apply`.
    """

    def __init__(
        self,
        folder: Path,
        clock: Clock = time.monotonic,
        calls: EngineCalls | None = None,
        lock_wait_s: float = LOCK_WAIT_S,
        flat_points: int = FLAT_POINTS,
        quantisation: Quantisation = "none",
    ) -> None:
        """Open or create the store in `folder`, whose mode is set to 0700.

        A shard that cannot be opened is listed in `shards.broken` and does not affect the other shards.
        Raises: Unavailable when another process has the folder open; Internal when `published.db` is damaged.
        """
        self._calls = calls or EngineCalls(None)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
        self._publication = Publication(folder / "published.db", lock_wait_s)
        self.shards = Shards(folder / "shards", self._publication, self._calls, Hold(folder, Work.REMOVALS))
        self.changes = Changes(self._publication, self.shards)
        self.sweep = Sweep(self._publication, self.shards)
        self.analysing = Analysing(self._publication, self.shards)
        self.rewriting = Rewriting(self._publication, self.shards, clock, flat_points, quantisation)
        self._visible = VisibleSearch(self._publication, self.shards)

    def ensure(self, request: EnsureCollection) -> None:
        """Create the collection if it does not exist; an older generation is deleted with all its content.

        Raises: CollectionNotFound when this generation was deleted; InvalidRequest when the name is empty.
        """
        if not request.collection:
            raise InvalidRequest("The collection needs a name.", param="collection")
        known = self._publication.collections.get(request.collection)
        if known is not None and known.generation < request.generation:
            self._drop(known, known.generation)
        self._publication.ensure(request.collection, request.generation)

    def upsert(self, request: UpsertRequest, terms: Mapping[str, ChunkTerms] | None = None) -> None:
        """Store chunks of versions that may still become visible; the first chunks determine the collection's model.

        Raises: CollectionNotFound when there is no such generation; InvalidRequest, naming the first wrong vector or
        chunk; Conflict when the collection has another model or dimension, the version is outdated, or a chunk id
        belongs to another version. In these cases nothing is written. `terms` are the chunks' terms by chunk id, if
        they are already known.
        """
        collection = self.shards.known(request.collection)
        if collection.generation != request.generation:
            raise not_found(collection.name)
        if not request.chunks:
            return
        if request.dimensions < 1:
            raise InvalidRequest("Vectors need at least one dimension.", param="dimensions")
        vectors = matrix(request.vectors, request.dimensions, len(request.chunks))
        check_ids(request.chunks)
        if collection.dimensions is not None:
            check_model(collection, request.model, request.dimensions)
        for document_id, version in {(chunk.document_id, chunk.version) for chunk in request.chunks}:
            self._publication.admit(collection.name, document_id, version)
        shard = self.shards.get(collection)
        if shard is None:
            shard = self.shards.create(collection, request.model, request.dimensions)
        owners = shard.owners([chunk.chunk_id for chunk in request.chunks])
        for index, chunk in enumerate(request.chunks):
            if owners.get(chunk.chunk_id, (chunk.document_id, chunk.version)) != (chunk.document_id, chunk.version):
                raise Conflict(
                    f"The id of chunks[{index}] belongs to another version; send ids that differ between versions.",
                    param="chunks",
                )
        shard.upsert(request.chunks, vectors, request.fields, terms, replaced=[*owners])

    def upsert_many(
        self, requests: Sequence[UpsertRequest], terms: Sequence[Mapping[str, ChunkTerms] | None] = ()
    ) -> list[ArgosyError | None]:
        """Call `upsert` for each request. Returns: for each request its error, or None."""
        errors: list[ArgosyError | None] = []
        with self._calls.marked("update"):
            for request, known in zip_longest(requests, terms):
                try:
                    self.upsert(request, known)
                    errors.append(None)
                except ArgosyError as error:
                    errors.append(error)
        return errors

    def publish(self, request: PublishRequest) -> None:
        """Make the version visible, durably. Publishing a published version again changes nothing.

        Raises: CollectionNotFound when there is no such collection; Conflict when the store has fewer chunks than
        stated, or the version is outdated.
        """
        self.changes.make(request)

    def forget(self, request: ForgetRequest) -> None:
        """Make the document invisible, durably. A newer published version stays visible.

        Later sweeps delete its points, and the next rewriting removes their bytes.
        """
        self.changes.make(request)

    def search(self, request: StoreSearchRequest) -> StoreSearchResponse:
        """Return the best `limit` visible chunks by cosine and by BM25, each list best first.

        Raises: as `VisibleSearch.search` does.
        """
        return self._visible.search(request)

    def version(self, collection: str) -> str:
        """Return the version of the collection's visible content. It may be called on any thread.

        Raises: CollectionNotFound when there is no such collection.
        """
        return self._publication.versions.of(self.shards.known(collection).name)

    def stats(self) -> list[CollectionStats]:
        """Return the counts of every collection; `points` includes unpublished and not yet deleted points."""
        return [
            CollectionStats(
                collection=collection.name,
                points=self.shards.points(collection.name),
                documents=self._publication.shown(collection.name).documents,
                model=collection.model,
                dimensions=collection.dimensions,
                languages=self.shards.languages(collection.name),
            )
            for collection in self._publication.collections.values()
        ]

    def delete_collection(self, name: str, generation: int = 0) -> None:
        """Delete the collection with all its content; a generation above 0 can never be created again.

        Raises: CollectionNotFound when the collection does not exist, or only a newer generation exists.
        """
        known = self._publication.collections.get(name)
        if known is None or known.generation > generation:
            self._publication.drop(name, generation)
            raise not_found(name)
        self._drop(known, generation)

    def _drop(self, collection: Collection, generation: int) -> None:
        self.rewriting.forget(collection.name)
        self.analysing.forget(collection.name)
        self._publication.drop(collection.name, generation)
        self.shards.drop(collection.name)
        self._publication.scrub()

    def close(self) -> None:
        """Flush all shards and release the folder. The engine cannot be used afterwards."""
        self.rewriting.abandon()
        self.shards.close()
        self._publication.close()
