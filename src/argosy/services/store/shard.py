"""Points of one collection in one Qdrant Edge shard: a dense and a BM25 vector per chunk, with exact flat search.

Edge holds the GIL during each call, so updates stay small, one thread makes all calls, and `optimize()` is never
called. Without `optimize()` the points stay in one plain, appendable segment: dense search is a full scan, and no graph
is built. Updates go to a memory-mapped log: they survive the death of the process at once, and a loss of power after
`sync_log`. `flush` writes the tables themselves, so that less of the log is replayed when the shard is opened; its
duration grows with the number of points.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import cast
from uuid import UUID

import msgspec
import qdrant_edge as edge

from argosy.contracts.store import Chunk, DocumentFields
from argosy.contracts.vectors import Vectors
from argosy.ranking.weighing import Analysed, ChunkTerms, weights
from argosy.services.store.conditions import equals, of_document
from argosy.services.store.edge_index import config, wrapped
from argosy.services.store.index_plan import IndexPlan, read_built
from argosy.services.store.lexicon import Lexicon, analyse
from argosy.services.store.points import ANALYSED, DENSE, LEXICAL, point, sparse
from argosy.services.store.shard_search import Payload, ShardSearch
from argosy.services.store.update_log import UpdateLog
from argosy.serving.engine_call import EngineCalls

PointId = int | UUID | str
MAX_UPDATE = 200
"""Most points in one update, during which Edge blocks all other threads (200 points take about 8 ms)."""


class _Ordinal(msgspec.Struct):
    ordinal: int


_ordinal = msgspec.json.Decoder(_Ordinal)


def vocabulary_file(shard: Path) -> Path:
    """Return the file of the vocabulary that belongs to the shard in a folder."""
    return shard.parent.parent / "vocabularies" / shard.name


class Shard:
    """Shard of one collection. All methods block and run on one thread, except `sync_log` and `write_back`.

    These two run on one other thread.
    Raises: StorageFull when the disk is full; Unavailable when another process has the shard open; Internal otherwise.
    """

    def __init__(self, inner: edge.EdgeShard, path: Path, calls: EngineCalls, lexicon: Lexicon | None = None) -> None:
        self._inner = inner
        self._log = UpdateLog(path)
        self.calls = calls
        self.unflushed = 0
        """Points updated since the last flush, which opening the shard would have to replay."""
        self.lexicon = lexicon or Lexicon(vocabulary_file(path), complete=True)
        """Vocabulary of the points."""
        self.built = read_built(path)
        self._changed: dict[PointId, None] | None = None

    @classmethod
    def create(
        cls, path: Path, dimensions: int, calls: EngineCalls | None = None, plan: IndexPlan | None = None
    ) -> Shard:
        """Create an empty shard at `path`; remains of an interrupted creation are removed."""
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir(mode=0o700, parents=True)
        with wrapped():
            inner = edge.EdgeShard.create(str(path), config(dimensions, plan))
            for field in ("document_id", "terms"):
                inner.update(edge.UpdateOperation.create_field_index(field, edge.PayloadSchemaType.Keyword))
            inner.flush()
        return cls(inner, path, calls or EngineCalls(None))

    @classmethod
    def open(cls, path: Path, dimensions: int, calls: EngineCalls | None = None) -> Shard:
        """Open the shard at `path`; all acknowledged updates are replayed from its log."""
        with wrapped():
            inner = edge.EdgeShard.load(str(path), config(dimensions))
            lexicon = Lexicon.load(vocabulary_file(path), inner.info().points_count)
            opened = cls(inner, path, calls or EngineCalls(None), lexicon)
        opened.unflushed = 1  # the number of replayed updates is unknown, so the next sweep flushes the shard
        return opened

    def points(self) -> int:
        """Return the number of points of all versions."""
        with wrapped():
            return self._inner.info().points_count

    def owners(self, chunk_ids: Sequence[str]) -> dict[str, tuple[str, int]]:
        """Return the document id and version of the chunks that the shard already has, by chunk id."""
        with wrapped():
            records = self._inner.retrieve([*chunk_ids], ["document_id", "version"], False)
        return {
            str(record.id): (record.payload["document_id"], record.payload["version"])
            for record in records
            if record.payload is not None
        }

    def upsert(
        self,
        chunks: Sequence[Chunk],
        vectors: Vectors,
        fields: DocumentFields | None = None,
        terms: Mapping[str, ChunkTerms] | None = None,
        replaced: Sequence[str] = (),
    ) -> None:
        """Write chunk i with row i of `vectors`, which has the shape (len(chunks), dimensions).

        The update then survives the death of the process. `fields`, if given, are indexed for all chunks instead of
        their own fields and are not stored with each chunk. `terms` are the terms of the chunks by chunk id, if they
        are already known. `replaced` are the ids of the chunks that the shard already has.
        """
        vocabulary = self.lexicon.vocabulary
        if terms is None:
            usual = next(iter(vocabulary.known_languages()), "")
            terms = analyse(chunks, None if fields is None else fields.title or "", usual)
        self._uncount([UUID(chunk_id) for chunk_id in replaced])
        for first in range(0, len(chunks), MAX_UPDATE):
            rows = vectors[first : first + MAX_UPDATE].tolist()
            part = zip(chunks[first : first + MAX_UPDATE], rows, strict=True)
            points = [
                point(chunk, row, fields, terms[chunk.chunk_id].analysed, vocabulary.lengths) for chunk, row in part
            ]
            self._update(edge.UpdateOperation.upsert_points(points), [point.id for point in points])
        self.lexicon.added(terms)

    def _uncount(self, points: Sequence[PointId]) -> None:
        """Stop counting the terms of points that are about to be replaced or deleted."""
        if not points:
            return
        with wrapped():
            records = self._inner.retrieve([*points], [ANALYSED], False)
            self.lexicon.removed((UUID(str(record.id)), (record.payload or {}).get(ANALYSED)) for record in records)

    def _update(self, operation: edge.UpdateOperation, points: Sequence[PointId]) -> None:
        with wrapped(), self.calls.marked("update"):
            self._inner.update(operation)
        self.unflushed += len(points)
        if self._changed is not None:
            self._changed.update(dict.fromkeys(points))

    def note_changes(self) -> None:
        """Remember the ids of all points that change from now on, for `carry_over`."""
        self._changed = {}

    def forget_changes(self) -> None:
        self._changed = None

    @property
    def changes(self) -> int:
        """Number of remembered points that `carry_over` has not yet copied."""
        return len(self._changed or ())

    def carry_over(self, target: Shard, limit: int) -> None:
        """Bring up to `limit` of the remembered points in `target` to their state in this shard."""
        ids = list(islice(self._changed or (), min(limit, MAX_UPDATE)))
        if not ids:
            return
        with wrapped():
            points = [
                edge.Point(record.id, record.vector or {}, record.payload)
                for record in self._inner.retrieve(ids, True, True)
            ]
        present = {str(point.id) for point in points}
        if points:
            target._update(edge.UpdateOperation.upsert_points(points), [point.id for point in points])
        target.delete([key for key in ids if str(key) not in present])
        for key in ids:
            del (self._changed or {})[key]

    def copy_into(self, target: Shard, told: Callable[[int], None]) -> None:
        """Copy all points to `target`. This takes long, so only a child process calls it. `told` gets the number."""
        after: PointId | None = None
        copied = 0
        while True:
            with wrapped():
                records, after = self._inner.scroll(
                    edge.ScrollRequest(limit=MAX_UPDATE, offset=after, with_payload=True, with_vector=True)
                )
            points = [edge.Point(record.id, record.vector or {}, record.payload) for record in records]
            if points:
                target._update(edge.UpdateOperation.upsert_points(points), [point.id for point in points])
            copied += len(points)
            told(copied)
            if after is None:
                return

    def versions(self) -> Iterator[tuple[PointId, str, int]]:
        """Yield id, document id and version of each point. This takes long; it is used on copies of shards only."""
        after: PointId | None = None
        while True:
            with wrapped():
                records, after = self._inner.scroll(
                    edge.ScrollRequest(limit=MAX_UPDATE, offset=after, with_payload=["document_id", "version"])
                )
            for record in records:
                if (payload := record.payload) is not None:
                    yield record.id, payload["document_id"], payload["version"]
            if after is None:
                return

    def optimize(self) -> None:
        """Build the planned index. This stops all other threads for minutes, so only a child process calls it."""
        with wrapped():
            while self._inner.optimize():
                pass

    def recall(self, samples: int, limit: int = 10) -> float:
        """Return the share of the nearest points of `samples` stored vectors that a search of the graph finds."""
        with wrapped():
            ids = [record.id for record in self._inner.scroll(edge.ScrollRequest(limit=samples, with_payload=False))[0]]
            found = total = 0
            for record in self._inner.retrieve(ids, False, [DENSE]):
                vector = record.vector
                row = vector.get(DENSE) if isinstance(vector, dict) else None
                if not isinstance(row, list) or (row and isinstance(row[0], list)):
                    continue
                flat = cast("list[float]", row)
                exact = self.index.exact_nearest(flat, limit).keys()
                found += len(exact & self.index.nearest(flat, None, limit, None)[0].keys())
                total += len(exact)
        return found / total if total else 1.0

    def count(self, document_id: str, version: int | None = None, below: int | None = None) -> int:
        """Return the number of points of the document, optionally of one version and with an ordinal under `below`.

        Points written by older releases have no ordinal, so `below` excludes them.
        """
        wanted = of_document(document_id, version=version, below=below)
        with wrapped():
            return self._inner.count(edge.CountRequest(filter=wanted))

    @property
    def index(self) -> ShardSearch:
        """Search of this shard."""
        return ShardSearch(self._inner)

    def read_some(
        self, after: PointId | None, limit: int, fields: Sequence[str]
    ) -> tuple[list[tuple[PointId, Payload]], PointId | None]:
        """Return payload fields of up to `limit` points in the order of their ids, from the id `after`.

        Returns: the points, and the id of the next one; None after the last point.
        """
        with wrapped():
            records, following = self._inner.scroll(
                edge.ScrollRequest(limit=limit, offset=after, with_payload=[*fields], with_vector=False)
            )
            read = [(record.id, record.payload) for record in records]
        return [(point_id, payload) for point_id, payload in read if payload is not None], following

    def set_words(self, words: Mapping[PointId, Analysed]) -> None:
        """Replace the terms of points. Their other vectors and payload fields stay."""
        if not words:
            return
        lengths = self.lexicon.vocabulary.lengths
        vectors = [
            edge.PointVectors(point_id, {LEXICAL: sparse(weights(analysed, lengths))})
            for point_id, analysed in words.items()
        ]
        self._update(edge.UpdateOperation.update_vectors(vectors), [*words])
        for point_id, analysed in words.items():
            self._update(edge.UpdateOperation.set_payload([point_id], {ANALYSED: analysed.encode()}), [point_id])

    def delete_up_to(self, document_id: str, version: int, keep: int | None, limit: int) -> int:
        """Delete up to `limit` points of `version` and older versions, except `keep`. Returns: the number deleted."""
        condition = of_document(document_id, up_to=version)
        if keep is not None:
            condition = edge.Filter(must=condition.must, must_not=[equals("version", keep)])
        with wrapped():
            records, _ = self._inner.scroll(
                edge.ScrollRequest(limit=min(limit, MAX_UPDATE), filter=condition, with_payload=False)
            )
        self.delete([record.id for record in records])
        return len(records)

    def beyond(self, document_id: str, version: int, chunks: int) -> list[PointId]:
        """Return the points of a version whose ordinal is `chunks` or more."""
        found: list[PointId] = []
        after: PointId | None = None
        condition = of_document(document_id, version=version)
        while True:
            with wrapped():
                records, after = self._inner.scroll(
                    edge.ScrollRequest(limit=MAX_UPDATE, offset=after, filter=condition, with_payload=["chunk"])
                )
            for record in records:
                payload = record.payload
                if payload is not None and _ordinal.decode(payload["chunk"]).ordinal >= chunks:
                    found.append(record.id)
            if after is None:
                return found

    def delete(self, points: Sequence[PointId]) -> None:
        """Delete the points with these ids."""
        for first in range(0, len(points), MAX_UPDATE):
            part = points[first : first + MAX_UPDATE]
            self._uncount(part)
            self._update(edge.UpdateOperation.delete_points([*part]), part)

    def sync_log(self) -> None:
        """Make all earlier updates survive a loss of power. Other threads are not blocked."""
        self._log.sync()

    def write_back(self) -> None:
        """Write most of the data that a flush would write, without blocking other threads."""
        self._log.sync_all()

    def flush(self) -> None:
        """Write the tables and truncate the log. All threads are blocked until the disk has finished."""
        with wrapped(), self.calls.marked("flush"):
            self._inner.flush()
        self.unflushed = 0
        self.lexicon.save()

    def close(self) -> None:
        """Close the shard. It cannot be used afterwards."""
        with wrapped(), self.calls.marked("close"):
            self._inner.close()
