"""Visible version of each document: `published.db`, with a copy in memory for queries.

Each change is one transaction, so it is atomic; the copy is updated after the commit. After a document is forgotten its
row remains as a tombstone: `version` is the highest version ever decided on, and no version up to it can be published
again.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from uuid import uuid4

from argosy.contracts.errors import CollectionNotFound, Conflict
from argosy.services.store.decisions import Collection, Decision, Shown, Staged
from argosy.services.store.known_values import KnownValues
from argosy.services.store.published_file import LOCK_WAIT_S, PublishedFile
from argosy.services.store.versions import CollectionVersions
from argosy.text.analysis import VERSION


class Publication:
    """Owner of `published.db`. All methods block; a second process that opens the file gets Unavailable.

    All methods run on one thread, except `record`, `record_swept` and `scrub`, which wait for the disk and may run on
    another thread at the same time. A decision is staged (no older version is admitted after this), recorded (it
    survives a loss of power), and applied (it is visible), or abandoned when it could not be recorded.
    """

    def __init__(self, path: Path, lock_wait_s: float = LOCK_WAIT_S) -> None:
        """Open or create `path` (mode 0600).

        Raises: Unavailable when another process has the file open; Internal when the file is damaged or
        a newer release wrote it.
        """
        self.versions = CollectionVersions()
        self._file = PublishedFile(path, lock_wait_s)
        try:
            self._read()
        except BaseException:
            self._file.close()
            raise

    def _read(self) -> None:
        self._collections = {collection.name: collection for collection in self._file.collections()}
        self._dropped = self._file.dropped()
        self.rewritable = self._file.rewritable()
        """Collections whose shard files still contain bytes of deleted points."""
        self._decisions: dict[str, dict[str, Decision]] = {name: {} for name in self._collections}
        self._stale: dict[tuple[str, str], None] = {}
        self._staged: dict[tuple[str, str], Staged] = {}
        self._shown: dict[str, Shown] = {name: Shown() for name in self._collections}
        self.values: dict[str, KnownValues] = {}
        """Metadata values of the collections whose filters needed them. Publications add to them."""
        for collection, document_id, decision in self._file.decisions():
            self._decisions[collection][document_id] = decision
            self._shown[collection].replace(None, decision)
            if decision.stale:
                self._stale[collection, document_id] = None

    @property
    def collections(self) -> Mapping[str, Collection]:
        return MappingProxyType(self._collections)

    def decisions(self, collection: str) -> Mapping[str, Decision]:
        """Return the latest decision on each document of a known collection, by document id, as a live view."""
        return MappingProxyType(self._decisions[collection])

    def shown(self, collection: str) -> Shown:
        """Return the visible counts of a known collection. They are kept in memory and updated by each decision."""
        return self._shown[collection]

    def ensure(self, name: str, generation: int = 0) -> Collection:
        """Return the collection; create it without a model when it is new.

        Raises: CollectionNotFound when this generation was dropped or another generation exists.
        """
        known = self._collections.get(name)
        if known is not None and known.generation == generation:
            return known
        if known is not None or self._dropped.get(name, -1) >= generation:
            raise CollectionNotFound(f"Collection {name!r} was deleted. Create it again.", param="collection")
        made = Collection(name, uuid4().hex, generation=generation)
        self._file.execute(
            "INSERT INTO collections (name, folder, generation) VALUES (?, ?, ?)", (name, made.folder, generation)
        )
        self._collections[name] = made
        self._decisions[name] = {}
        self._shown[name] = Shown()
        self.versions.change(name)
        return made

    def pin(self, name: str, model: str, dimensions: int) -> Collection:
        """Set the model of a known collection that has none yet."""
        self._file.execute(
            "UPDATE collections SET model = ?, dimensions = ?, analysis = ? WHERE name = ?",
            (model, dimensions, VERSION, name),
        )
        self._collections[name] = replace(self._collections[name], model=model, dimensions=dimensions, analysis=VERSION)
        return self._collections[name]

    def analysed(self, name: str, version: int) -> None:
        """Record that this version of the analysis made the words of all points; 0 means that some are older."""
        self._file.execute("UPDATE collections SET analysis = ? WHERE name = ?", (version, name))
        self._collections[name] = replace(self._collections[name], analysis=version)

    def move(self, name: str, folder: str, *, rewrite: bool) -> Collection:
        """Replace the folder of the collection's shard atomically.

        `rewrite` means that the new folder already contains deleted points.
        """
        self._file.execute("UPDATE collections SET folder = ?, rewrite = ? WHERE name = ?", (folder, rewrite, name))
        self._collections[name] = replace(self._collections[name], folder=folder)
        return self._collections[name]

    def soil(self, name: str) -> None:
        """Record that the shard's files contain bytes of deleted points."""
        if name not in self.rewritable:
            self._file.execute("UPDATE collections SET rewrite = 1 WHERE name = ?", (name,))
            self.rewritable.add(name)

    def drop(self, name: str, generation: int = 0) -> None:
        """Remove the collection, its documents and their tombstones. An unknown collection is no error.

        A generation above 0 leaves a tombstone and can never be created again. A newer generation stays.
        """
        known = self._collections.get(name)
        gone = known is not None and known.generation <= generation
        with self._file.transaction() as db:
            if gone:
                db.execute("DELETE FROM collections WHERE name = ?", (name,))
            if generation > self._dropped.get(name, 0):
                db.execute("INSERT OR REPLACE INTO dropped (name, generation) VALUES (?, ?)", (name, generation))
                self._dropped[name] = generation
        if gone:
            self._collections.pop(name, None)
            self._decisions.pop(name, None)
            self._shown.pop(name, None)
            self.values.pop(name, None)
            self._staged = {key: staged for key, staged in self._staged.items() if key[0] != name}
            self._stale = {key: None for key in self._stale if key[0] != name}
            self.rewritable.discard(name)
            self.versions.change(name)

    def scrub(self) -> None:
        """Remove overwritten and deleted data from the write-ahead log too."""
        self._file.scrub()

    def admit(self, collection: str, document_id: str, version: int) -> None:
        """Check that `version` can still become visible. Raises: Conflict when it cannot, so its chunks are refused."""
        last = self._last(collection, document_id)
        if last is None or version > last.version or (version == last.version and last.visible):
            return
        if last.visible:
            raise Conflict(
                f"Document {document_id} is published as version {last.version}; version {version} is not newer. "
                "Send a newer version."
            )
        raise Conflict(
            f"Document {document_id} was forgotten at version {last.version}; add it again under a newer version."
        )

    def stage_publish(
        self, collection: str, document_id: str, version: int, *, chunks: int, stale: bool, fields: str = ""
    ) -> Staged | None:
        """Stage a publication without recording it. Returns: None when nothing has to be recorded.

        Publishing a version again with the same chunks and fields changes nothing.
        Raises: Conflict when a newer version is published or this version was forgotten.
        """
        self.admit(collection, document_id, version)
        last = self._last(collection, document_id)
        if last is not None and (last.version, last.chunks, last.fields) == (version, chunks, fields):
            return None
        return self._stage(collection, document_id, Decision(version, True, chunks, stale, fields))

    def stage_forget(self, collection: str, document_id: str, version: int, *, stale: bool) -> Staged | None:
        """Stage that the document becomes invisible and versions up to `version` are refused; a newer decision stays.

        Returns: None when nothing has to be recorded.
        """
        last = self._last(collection, document_id)
        if last is None or version > last.version or (version == last.version and last.visible):
            return self._stage(collection, document_id, Decision(version, False, 0, stale))
        return None

    def record(self, staged: Sequence[Staged]) -> None:
        """Make the decisions durable in one commit, all or none.

        Raises: CollectionNotFound when one of the collections was dropped; StorageFull when the disk is full; Internal
        when the file cannot be used.
        """
        self._file.decide(staged)

    def apply(self, staged: Sequence[Staged]) -> None:
        """Make recorded decisions visible, in the given order, which must be the order of staging."""
        for one in staged:
            known = self._decisions.get(one.collection)
            if known is not None:
                self._shown[one.collection].replace(known.get(one.document_id), one.decision)
                known[one.document_id] = one.decision
                values = self.values.get(one.collection)
                if values is not None and not values.add_decision(one.decision):
                    del self.values[one.collection]  # its chunks hold the values, so they are read again
                if one.decision.stale:
                    self._stale[one.collection, one.document_id] = None
                self.versions.change(one.collection)
        self.abandon(staged)

    def abandon(self, staged: Sequence[Staged]) -> None:
        """Discard decisions that could not be recorded."""
        for one in staged:
            if self._staged.get((one.collection, one.document_id)) is one:
                del self._staged[one.collection, one.document_id]

    def stale(self, limit: int, without: Container[str] = ()) -> list[tuple[str, str, Decision]]:
        """Return up to `limit` documents with points to delete, as (collection, document id, decision).

        Collections in `without` are skipped.
        """
        found = ((c, d, self._decisions[c][d]) for c, d in self._stale if c not in without)
        return list(islice(found, limit))

    def record_swept(self, collection: str, document_ids: Sequence[str]) -> None:
        """Make the result of a sweep durable. Waits for the disk."""
        with self._file.transaction() as db:
            db.executemany(
                "UPDATE documents SET stale = 0 WHERE collection = ? AND document_id = ?",
                [(collection, document_id) for document_id in document_ids],
            )
            db.execute("UPDATE collections SET rewrite = 1 WHERE name = ?", (collection,))

    def apply_swept(self, collection: str, document_ids: Sequence[str]) -> None:
        """Apply the recorded result of a sweep in memory."""
        self.rewritable.add(collection)
        known = self._decisions[collection]
        for document_id in document_ids:
            known[document_id] = replace(known[document_id], stale=False)
            self._stale.pop((collection, document_id), None)

    def _last(self, collection: str, document_id: str) -> Decision | None:
        staged = self._staged.get((collection, document_id))
        return self._decisions[collection].get(document_id) if staged is None else staged.decision

    def _stage(self, collection: str, document_id: str, new: Decision) -> Staged:
        last = self._last(collection, document_id)
        staged = Staged(collection, document_id, replace(new, stale=new.stale or (last is not None and last.stale)))
        self._staged[collection, document_id] = staged
        return staged

    def close(self) -> None:
        self._file.close()
