"""Engine of the store: collections, atomic publication of versions, and dense and lexical search.

All methods block and run on one engine thread, except the methods that wait for the disk: these may run on another
thread at the same time, so that searches continue. `published.db` determines whether a version is visible. Its points
may be written earlier and deleted later, so a search fetches more points than requested and drops invisible ones.
"""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from argosy.contracts.errors import ArgosyError, CollectionNotFound, Conflict, InvalidRequest, StorageFull, Unavailable
from argosy.contracts.request import Clock
from argosy.contracts.store import (
    CollectionStats,
    EnsureCollection,
    ForgetRequest,
    PublishRequest,
    Ranked,
    StoreSearchRequest,
    StoreSearchResponse,
    UpsertRequest,
)
from argosy.services.store.checks import check_ids, check_model, matrix, query_vector
from argosy.services.store.publication import Collection, Decision, Publication, Staged
from argosy.services.store.rewriting import Copy, Schedule
from argosy.services.store.shard import Hit, PointId, Shard
from argosy.serving.engine_call import EngineCalls

MAX_LIMIT = 200
SWEEP_DOCUMENTS = 64


Change = PublishRequest | ForgetRequest


@dataclass(slots=True)
class Decided:
    """One change of visibility between its decision, its recording on disk and its application."""

    shard: Shard | None = None
    staged: Staged | None = None
    error: Exception | None = None


@dataclass(slots=True)
class Swept:
    """Result of one sweep: number of deleted points, and documents without stale points, by collection."""

    points: int = 0
    cleared: dict[str, list[str]] = field(default_factory=dict)


class StoreEngine:
    """Engine that owns `published.db` and `shards/` in a folder.

    All acknowledged calls survive kill -9. Published versions also survive a loss of power: the update log is synced
    before a publication is recorded, and a version whose chunks were lost before this is refused.

    `publish` and `forget` call `decide`, `record` and `apply` for one change. These three may also be called for a
    group: `record` waits for the disk once for the whole group and may run on another thread while searches continue.
    Groups must not overlap, and none of `sweep`, `rewrite`, `ensure` and `delete_collection` may run between `decide`
    and `apply`.
    """

    def __init__(self, folder: Path, clock: Clock = time.monotonic, calls: EngineCalls | None = None) -> None:
        """Open or create the store in `folder`, whose mode is set to 0700.

        A shard that cannot be opened is listed in `broken` and does not affect the other shards.
        Raises: Unavailable when another process has the folder open; Internal when `published.db` is damaged.
        """
        self._calls = calls or EngineCalls(None)
        self._shards_folder = folder / "shards"
        self._shards_folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
        self._publication = Publication(folder / "published.db")
        self._shards: dict[str, Shard] = {}
        self._clock = clock
        self._schedule = Schedule(clock)
        self._copies: dict[str, Copy] = {}
        self.broken: dict[str, str] = {}
        """Reasons why shards could not be opened, by collection. Calls to these collections raise Unavailable."""
        self._remove_orphans()
        for collection in self._publication.collections.values():
            if collection.dimensions is not None:
                try:
                    self._shards[collection.name] = Shard.open(
                        self._path(collection), collection.dimensions, self._calls
                    )
                except ArgosyError as error:
                    self.broken[collection.name] = error.message

    def _path(self, collection: Collection) -> Path:
        return self._shards_folder / collection.folder

    def _remove_orphans(self) -> None:
        """Remove folders of dropped collections, of shards that a copy replaced, and of unfinished copies."""
        kept = {c.folder for c in self._publication.collections.values() if c.dimensions is not None}
        kept |= {copy.folder for copy in self._copies.values()}
        for path in self._shards_folder.iterdir():
            if path.name not in kept:
                shutil.rmtree(path, ignore_errors=True)

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

    def upsert(self, request: UpsertRequest) -> None:
        """Store chunks of versions that may still become visible; the first chunks determine the collection's model.

        Raises: CollectionNotFound when there is no such generation; InvalidRequest, naming the first wrong vector or
        chunk; Conflict when the collection has another model or dimension, the version is outdated, or a chunk id
        belongs to another version. In these cases nothing is written.
        """
        collection = self._known(request.collection)
        if collection.generation != request.generation:
            raise _not_found(collection.name)
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
        shard = self._shard(collection)
        if shard is None:
            shard = self._first_shard(collection, request.model, request.dimensions)
        owners = shard.owners([chunk.chunk_id for chunk in request.chunks])
        for index, chunk in enumerate(request.chunks):
            if owners.get(chunk.chunk_id, (chunk.document_id, chunk.version)) != (chunk.document_id, chunk.version):
                raise Conflict(
                    f"The id of chunks[{index}] belongs to another version; send ids that differ between versions.",
                    param="chunks",
                )
        shard.upsert(request.chunks, vectors, request.fields)

    def upsert_many(self, requests: Sequence[UpsertRequest]) -> list[ArgosyError | None]:
        """Call `upsert` for each request. Returns: for each request its error, or None."""
        errors: list[ArgosyError | None] = []
        with self._calls.marked("update"):
            for request in requests:
                try:
                    self.upsert(request)
                    errors.append(None)
                except ArgosyError as error:
                    errors.append(error)
        return errors

    def publish(self, request: PublishRequest) -> None:
        """Make the version visible, durably. Publishing a published version again changes nothing.

        Raises: CollectionNotFound when there is no such collection; Conflict when the store has fewer chunks than
        stated, or the version is outdated.
        """
        self._change(request)

    def forget(self, request: ForgetRequest) -> None:
        """Make the document invisible, durably. A newer published version stays visible.

        Later sweeps delete its points, and the next rewriting removes their bytes.
        """
        self._change(request)

    def decide(self, changes: Sequence[Change]) -> list[Decided]:
        """Check and stage each change. A refused change carries its error and does not affect the others."""
        decided: list[Decided] = []
        for change in changes:
            try:
                made = self._publishing(change) if isinstance(change, PublishRequest) else self._forgetting(change)
                decided.append(made)
            except Exception as error:  # no error of one change may fail the other changes of the group
                decided.append(Decided(error=error))
        return decided

    def record(self, decided: Sequence[Decided]) -> None:
        """Make decided changes durable: first the chunks, then all decisions in one commit. Waits for the disk.

        If the group cannot be recorded as a whole, its changes are recorded one by one, so that a bad change fails
        alone.
        """
        group = [one for one in decided if one.error is None]
        try:
            self._record(group)
        except Exception as error:
            if len(group) == 1 or isinstance(error, StorageFull):
                for one in group:
                    one.error = error
                return
            for one in group:
                self.record([one])

    def apply(self, decided: Sequence[Decided]) -> None:
        """Make recorded changes visible, and drop the others."""
        for one in decided:
            if one.staged is not None:
                (self._publication.apply if one.error is None else self._publication.abandon)([one.staged])

    def _change(self, change: Change) -> None:
        decided = self.decide([change])
        self.record(decided)
        self.apply(decided)
        if (error := decided[0].error) is not None:
            raise error

    def _publishing(self, request: PublishRequest) -> Decided:
        collection = self._known(request.collection)
        self._publication.admit(collection.name, request.document_id, request.version)
        shard = self._shard(collection)
        present = total = 0
        if shard is not None:
            present, total = self._counted(shard, request)
        if present < request.chunks:
            raise Conflict(
                f"The store has {present} of {request.chunks} chunks of version {request.version} of document "
                f"{request.document_id}; send all of them, then publish again.",
                param="chunks",
            )
        fields = "" if request.fields is None else msgspec.json.encode(request.fields).decode()
        staged = self._publication.stage_publish(
            collection.name, request.document_id, request.version, chunks=present, stale=total > present, fields=fields
        )
        return Decided(shard, staged)

    def _counted(self, shard: Shard, request: PublishRequest) -> tuple[int, int]:
        """Delete the version's points beyond the stated count, which an earlier attempt with more chunks may have left.

        Returns: the number of points of the version and of the whole document after this.
        """
        present = shard.count(request.document_id, request.version, below=request.chunks)
        total = shard.count(request.document_id)
        beyond: list[PointId] = []
        if total > present and shard.count(request.document_id, request.version) > present:
            if beyond := shard.beyond(request.document_id, request.version, request.chunks):
                self._publication.soil(request.collection)
                shard.delete(beyond)
            present = shard.count(request.document_id, request.version)
        return present, total - len(beyond)

    def _forgetting(self, request: ForgetRequest) -> Decided:
        collection = self._known(request.collection)
        shard = self._shard(collection)
        held = shard is not None and shard.count(request.document_id) > 0
        staged = self._publication.stage_forget(collection.name, request.document_id, request.version, stale=held)
        return Decided(None, staged)

    def _record(self, group: Sequence[Decided]) -> None:
        shards = {id(one.shard): one.shard for one in group if one.shard is not None}
        for shard in shards.values():
            shard.sync_log()
        staged = [one.staged for one in group if one.staged is not None]
        if staged:
            self._publication.record(staged)

    def search(self, request: StoreSearchRequest) -> StoreSearchResponse:
        """Return the best `limit` visible chunks by cosine and by BM25, each list best first.

        Raises: CollectionNotFound when there is no such collection; InvalidRequest when the limit is out of range, or
        vector and text are both missing, or the vector is malformed; Conflict when the vector has another number of
        dimensions than the collection.
        """
        collection = self._known(request.collection)
        if not 1 <= request.limit <= MAX_LIMIT:
            raise InvalidRequest(f"limit must be between 1 and {MAX_LIMIT}.", param="limit")
        if request.vector is None and request.text is None:
            raise InvalidRequest("Give a vector, a text, or both.", param="vector")
        vector: list[float] | None = None
        if request.vector is not None:
            vector = query_vector(request.vector, collection)
        shard = self._shard(collection)
        if shard is None:
            return StoreSearchResponse(chunks={})
        visible = self._publication.decisions(collection.name)
        shown = self._publication.shown(collection.name).points
        dense, lexical = _fetch_visible(shard, visible, shown, vector, request)
        chunks = {hit.chunk_id: _whole(hit, visible[hit.document_id].fields) for hit in (*dense, *lexical)}
        return StoreSearchResponse(chunks=chunks, dense=_ranked(dense), lexical=_ranked(lexical))

    def stats(self) -> list[CollectionStats]:
        """Return the counts of every collection; `points` includes unpublished and not yet deleted points."""
        return [
            CollectionStats(
                collection=collection.name,
                points=self._shards[collection.name].points() if collection.name in self._shards else 0,
                documents=self._publication.shown(collection.name).documents,
                model=collection.model,
                dimensions=collection.dimensions,
            )
            for collection in self._publication.collections.values()
        ]

    def sweep(self, limit: int) -> int:
        """Delete up to `limit` points of superseded and forgotten versions.

        Returns: the number of deleted points; 0 when none is left.
        """
        swept = self.delete_stale(limit)
        self.record_swept(swept)
        self.apply_swept(swept)
        return swept.points

    def delete_stale(self, limit: int) -> Swept:
        """Delete the points of a `sweep`."""
        swept = Swept()
        for name, document_id, decision in self._publication.stale(SWEEP_DOCUMENTS, without=self.broken):
            shard = self._shards.get(name)
            keep = decision.version if decision.visible else None
            while shard is not None and swept.points < limit:
                removed = shard.delete_up_to(document_id, decision.version, keep, limit - swept.points)
                swept.points += removed
                if removed == 0:
                    break
            if swept.points >= limit:
                break
            swept.cleared.setdefault(name, []).append(document_id)
        return swept

    def record_swept(self, swept: Swept) -> None:
        """Make the deletions of a `sweep` durable first, then the record that they are done. Waits for the disk.

        This order is required so that a deletion that a power loss undoes is still recorded as due.
        """
        for name, document_ids in swept.cleared.items():
            if name in self._shards:
                self._shards[name].sync_log()
            self._publication.record_swept(name, document_ids)
        if swept.cleared:
            self._publication.scrub()

    def apply_swept(self, swept: Swept) -> None:
        """Apply the recorded result of a `sweep` in memory."""
        for name, document_ids in swept.cleared.items():
            self._publication.apply_swept(name, document_ids)

    def rewrite(self, limit: int) -> bool:
        """Copy up to `limit` points of a collection whose files still contain bytes of deleted points.

        Returns: whether more copying may be due now.
        Raises: StorageFull when the disk is full; Internal when the copy fails. The copy is then retried later.
        """
        name = next(iter(self._copies), None) or self._schedule.due(self._publication.rewritable - self.broken.keys())
        if name is None:
            return False
        try:
            self._copy_some(name, limit)
        except ArgosyError:
            self._abandon(name)
            self._publication.rewritable.add(name)
            self._schedule.failed(name)
            raise
        return True

    def _copy_some(self, name: str, limit: int) -> None:
        collection = self._publication.collections[name]
        old = self._shards.get(name)
        if old is None or collection.dimensions is None:
            self._publication.rewritable.discard(name)
            return
        copy = self._copies.get(name)
        if copy is None:
            copy = self._copies[name] = Copy(old, self._path(collection), collection.dimensions, self._clock())
            self._publication.rewritable.discard(name)  # points deleted from here on may already be in the copy
        new = copy.step(limit)
        if new is None:
            return
        self._publication.move(name, copy.folder, rewrite=name in self._publication.rewritable)
        self._shards[name] = new
        del self._copies[name]
        self._schedule.finished(name, copy.began_s)
        old.close()
        self._remove_orphans()

    def _abandon(self, name: str) -> None:
        if (copy := self._copies.pop(name, None)) is not None:
            copy.abandon()
            self._remove_orphans()

    def delete_collection(self, name: str, generation: int = 0) -> None:
        """Delete the collection with all its content; a generation above 0 can never be created again.

        Raises: CollectionNotFound when the collection does not exist, or only a newer generation exists.
        """
        known = self._publication.collections.get(name)
        if known is None or known.generation > generation:
            self._publication.drop(name, generation)
            raise _not_found(name)
        self._drop(known, generation)

    def _drop(self, collection: Collection, generation: int) -> None:
        self._abandon(collection.name)
        self._publication.drop(collection.name, generation)
        self._schedule.forget(collection.name)
        self.broken.pop(collection.name, None)
        if (shard := self._shards.pop(collection.name, None)) is not None:
            shard.close()
        self._remove_orphans()
        self._publication.scrub()

    def flush(self) -> None:
        """Write the tables of every shard."""
        for shard in self._shards.values():
            shard.flush()

    def unflushed(self, at_least: int) -> list[Shard]:
        """Return the shards with at least `at_least` points since their last flush. Write each back, then flush it."""
        return [shard for shard in self._shards.values() if shard.unflushed >= at_least]

    def close(self) -> None:
        """Flush all shards and release the folder. The engine cannot be used afterwards."""
        for name in list(self._copies):
            self._abandon(name)
        for shard in self._shards.values():
            shard.flush()
            shard.close()
        self._shards.clear()
        self._publication.close()

    def _known(self, name: str) -> Collection:
        collection = self._publication.collections.get(name)
        if collection is None:
            raise _not_found(name)
        return collection

    def _first_shard(self, collection: Collection, model: str, dimensions: int) -> Shard:
        shard = Shard.create(self._path(collection), dimensions, self._calls)
        try:
            self._publication.pin(collection.name, model, dimensions)
        except ArgosyError:
            shard.close()
            raise
        self._shards[collection.name] = shard
        return shard

    def _shard(self, collection: Collection) -> Shard | None:
        """Return the collection's shard; None before its first upsert.

        Raises: Unavailable when the shard could not be opened.
        """
        if collection.name in self.broken:
            raise Unavailable(
                f"The index of collection {collection.name!r} cannot be opened. Restore it from a backup, or delete "
                "the collection and add its documents again."
            )
        return self._shards.get(collection.name)


def _not_found(name: str) -> CollectionNotFound:
    return CollectionNotFound(
        f"There is no collection {name!r}. Create it with `argosy collections create {name}`, or add a document to it.",
        param="collection",
    )


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
