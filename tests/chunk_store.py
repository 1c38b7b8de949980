"""A chunk store in memory that refuses what the real store refuses; `tests/contract` runs one suite against both."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field

import msgspec
import numpy as np

from argosy.contracts.errors import CollectionNotFound, Conflict, InvalidRequest, Overloaded
from argosy.contracts.request import RequestContext
from argosy.contracts.store import (
    Chunk,
    DocumentFields,
    EnsureCollection,
    ForgetRequest,
    PublishRequest,
    UpsertRequest,
)


@dataclass(slots=True)
class Decision:
    version: int
    visible: bool
    fields: DocumentFields | None = None


@dataclass(slots=True)
class Held:
    """One collection."""

    generation: int
    model: str | None = None
    dimensions: int = 0
    points: dict[str, Chunk] = field(default_factory=dict)
    vectors: dict[str, bytes] = field(default_factory=dict)
    decisions: dict[str, Decision] = field(default_factory=dict)


class MemoryChunkStore:
    """`full`: it refuses every call as a store does whose queue has no room."""

    def __init__(self) -> None:
        self.collections: dict[str, Held] = {"default": Held(0)}
        self.dropped: dict[str, int] = {}
        self.full = False

    async def ensure(self, request: EnsureCollection, context: RequestContext) -> None:
        self._admit_call()
        name, generation = request.collection, request.generation
        if not name:
            raise InvalidRequest("A collection needs a name.", param="collection")
        known = self.collections.get(name)
        if known is not None and known.generation < generation:
            del self.collections[name]
            known = None
        if known is not None and known.generation == generation:
            return
        if known is not None or self.dropped.get(name, -1) >= generation:
            raise CollectionNotFound(f"{name} was deleted.", param="collection")
        self.collections[name] = Held(generation)

    async def drop(self, request: EnsureCollection, context: RequestContext) -> None:
        self._admit_call()
        if request.generation > 0:
            self.dropped[request.collection] = max(request.generation, self.dropped.get(request.collection, 0))
        known = self.collections.get(request.collection)
        if known is None or known.generation > request.generation:
            raise CollectionNotFound(f"There is no {request.collection}.", param="collection")
        del self.collections[request.collection]

    async def upsert(self, request: UpsertRequest, context: RequestContext) -> None:
        self._admit_call()
        held = self._known(request.collection)
        if held.generation != request.generation:
            raise CollectionNotFound(f"There is no {request.collection}.", param="collection")
        if not request.chunks:
            return
        self._check(held, request)
        held.model, held.dimensions = request.model, request.dimensions
        row = 4 * request.dimensions
        for index, chunk in enumerate(request.chunks):
            held.points[chunk.chunk_id] = chunk
            held.vectors[chunk.chunk_id] = request.vectors[index * row : (index + 1) * row]

    def _check(self, held: Held, request: UpsertRequest) -> None:
        rows = len(request.chunks)
        if request.dimensions < 1 or len(request.vectors) != rows * request.dimensions * 4:
            raise InvalidRequest("The vectors have another size.", param="vectors")
        lengths = np.linalg.norm(np.frombuffer(request.vectors, "<f4").reshape(rows, -1).astype("f8"), axis=1)
        if not (np.isfinite(lengths) & (lengths > 0)).all():
            raise InvalidRequest("A vector has no direction.", param="vectors")
        ids = [chunk.chunk_id for chunk in request.chunks]
        if len(set(ids)) < rows or not all(_is_uuid(key) for key in ids):
            raise InvalidRequest("A chunk id is no UUID or there twice.", param="chunks")
        if held.model is not None and (held.model, held.dimensions) != (request.model, request.dimensions):
            raise Conflict("The collection has another model.", param="model")
        for chunk in request.chunks:
            self._admit(held, chunk.document_id, chunk.version)
            other = held.points.get(chunk.chunk_id, chunk)
            if (other.document_id, other.version) != (chunk.document_id, chunk.version):
                raise Conflict("The id belongs to another version.", param="chunks")

    async def publish(self, request: PublishRequest, context: RequestContext) -> None:
        self._admit_call()
        held = self._known(request.collection)
        self._admit(held, request.document_id, request.version)
        own = {key: chunk for key, chunk in held.points.items() if _version(chunk) == _published(request)}
        beyond = {key for key, chunk in own.items() if chunk.ordinal >= request.chunks}
        if len(own) - len(beyond) < request.chunks:
            raise Conflict("Chunks are missing.", param="chunks")
        for key, chunk in list(held.points.items()):
            older = chunk.document_id == request.document_id and chunk.version < request.version
            if key in beyond or older:
                del held.points[key], held.vectors[key]
        held.decisions[request.document_id] = Decision(request.version, True, request.fields)

    async def forget(self, request: ForgetRequest, context: RequestContext) -> None:
        self._admit_call()
        held = self._known(request.collection)
        last = held.decisions.get(request.document_id)
        if last is None or request.version > last.version or (last.visible and request.version == last.version):
            held.decisions[request.document_id] = Decision(request.version, False)
            for key, chunk in list(held.points.items()):
                if chunk.document_id == request.document_id and chunk.version <= request.version:
                    del held.points[key], held.vectors[key]

    def visible(self, collection: str = "default") -> list[Chunk]:
        """Return the chunks that a search may find, with the fields of their document."""
        held = self._known(collection)
        found = []
        for chunk in held.points.values():
            decision = held.decisions.get(chunk.document_id)
            if decision is not None and decision.visible and decision.version == chunk.version:
                shared = {} if decision.fields is None else msgspec.structs.asdict(decision.fields)
                found.append(msgspec.structs.replace(chunk, **shared))
        return found

    def _admit_call(self) -> None:
        if self.full:
            raise Overloaded("The store's queue is full.", retry_after_s=1.0)

    def _known(self, name: str) -> Held:
        if name not in self.collections:
            raise CollectionNotFound(f"There is no {name}.", param="collection")
        return self.collections[name]

    @staticmethod
    def _admit(held: Held, document_id: str, version: int) -> None:
        last = held.decisions.get(document_id)
        if last is not None and (version < last.version or (version == last.version and not last.visible)):
            raise Conflict("The version is outdated.")


def _version(chunk: Chunk) -> tuple[str, int]:
    return chunk.document_id, chunk.version


def _published(request: PublishRequest) -> tuple[str, int]:
    return request.document_id, request.version


def _is_uuid(text: str) -> bool:
    try:
        return str(uuid.UUID(text)) == text
    except ValueError:
        return False
