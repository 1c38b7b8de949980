"""Changes of visibility: publications and forgettings are decided, recorded on disk and applied, alone or in groups."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from argosy.contracts.errors import Conflict, StorageFull
from argosy.contracts.store import ForgetRequest, PublishRequest
from argosy.services.store.decisions import Staged
from argosy.services.store.publication import Publication
from argosy.services.store.shard import PointId, Shard
from argosy.services.store.shards import Shards

Change = PublishRequest | ForgetRequest


@dataclass(slots=True)
class Decided:
    """One change of visibility between its decision, its recording on disk and its application."""

    shard: Shard | None = None
    staged: Staged | None = None
    error: Exception | None = None


class Changes:
    """Changes of visibility in one store. See `StoreEngine` for the order of the calls and their threads."""

    def __init__(self, publication: Publication, shards: Shards) -> None:
        self._publication = publication
        self._shards = shards

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

    def make(self, change: Change) -> None:
        """Decide, record and apply one change. Raises: the error of the change."""
        decided = self.decide([change])
        self.record(decided)
        self.apply(decided)
        if (error := decided[0].error) is not None:
            raise error

    def _publishing(self, request: PublishRequest) -> Decided:
        collection = self._shards.known(request.collection)
        self._publication.admit(collection.name, request.document_id, request.version)
        shard = self._shards.get(collection)
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
        collection = self._shards.known(request.collection)
        shard = self._shards.get(collection)
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
