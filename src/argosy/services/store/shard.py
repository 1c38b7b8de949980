"""One collection's points in one Qdrant Edge shard: a dense and a BM25 vector per chunk, searched flat and exactly.

Edge holds the GIL for as long as each call takes, so updates stay small, one thread does everything, and
`optimize()` is never called. Without it the points stay in one plain, appendable segment: dense search is a
complete scan, and no graph is ever built. Updates go to a memory-mapped log: they survive the death of the process at
once, and a loss of power after `sync_log`. `flush` writes the tables themselves, so that less of the log is replayed
when the shard is opened; it takes longer the more points there are.
"""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import msgspec
import qdrant_edge as edge

from argosy.contracts.errors import ArgosyError, Internal, StorageFull, Unavailable
from argosy.contracts.store import Chunk, DocumentFields, Metadata
from argosy.contracts.vectors import Vectors
from argosy.services.store.update_log import UpdateLog
from argosy.serving.engine_call import EngineCalls

PointId = int | UUID | str
DENSE = "dense"
LEXICAL = "bm25"
SHOWN = ["document_id", "version", "chunk"]
"""What a search reads of a point."""
MAX_UPDATE = 200
"""Points in one update: Edge stops every other thread meanwhile (200 points take about 8 ms)."""

AVERAGE_KEPT_WORDS = 80.0
"""BM25's mean length, counted after stop words are gone: what a passage of 120 to 150 words keeps."""

MAX_TERM_BYTES = 64
"""A longer term is indexed by its hash: it stands in every chunk of the document."""

_FIELDS = ("document_id", "source", "name", "title")
_LEFT_EMPTY = '"name":"","source":"",'
_BM25 = edge.Bm25(edge.Bm25Config(language="english", avg_len=AVERAGE_KEPT_WORDS))


@dataclass(frozen=True, slots=True)
class Hit:
    """A point found, published or not. `payload` is the chunk as JSON."""

    chunk_id: str
    document_id: str
    version: int
    score: float
    payload: str
    """Without the fields that its document's decision holds."""


class _Ordinal(msgspec.Struct):
    ordinal: int


_ordinal = msgspec.json.Decoder(_Ordinal)


def _config(dimensions: int) -> edge.EdgeConfig:
    return edge.EdgeConfig(
        vectors={
            DENSE: edge.EdgeVectorParams(
                size=dimensions, distance=edge.Distance.Cosine, datatype=edge.VectorStorageDatatype.Float32
            )
        },
        sparse_vectors={LEXICAL: edge.EdgeSparseVectorParams(modifier=edge.Modifier.Idf)},
        # No index may be demanded: points past a threshold would be deferred until somebody optimises.
        optimizers=edge.EdgeOptimizersConfig(indexing_threshold=0, prevent_unoptimized=False),
        max_search_threads=1,
    )


@contextmanager
def _wrapped() -> Iterator[None]:
    try:
        yield
    except Exception as error:
        text = str(error)
        if "No space left" in text:
            raise StorageFull("The disk is full: the store could not write the chunks.") from error
        if "WouldBlock" in text:
            raise Unavailable("Another process has this collection's index open; stop it first.") from error
        raise Internal("The collection's index cannot be used.") from error


def _term(key: str, value: str | int | float | bool | None) -> str:
    """One equality as one word, so that any key and any type of value is matched the same way."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return msgspec.json.encode([key, value]).decode()


def _short(term: str) -> str:
    encoded = term.encode()
    return term if len(encoded) <= MAX_TERM_BYTES else f"#{hashlib.blake2b(encoded, digest_size=16).hexdigest()}"


def _terms(fields: DocumentFields) -> list[str]:
    own: Metadata = {"source": fields.source, "name": fields.name, "title": fields.title}
    rest = {key: value for key, value in fields.metadata.items() if key not in _FIELDS}
    return [_short(_term(key, value)) for key, value in (own | rest).items()]


def _own_fields(chunk: Chunk) -> DocumentFields:
    return DocumentFields(chunk.name, chunk.source, chunk.title, chunk.metadata)


def _filter(filters: Metadata) -> edge.Filter | None:
    if not filters:
        return None
    terms = dict(filters)
    must: list[edge.FieldCondition] = []
    if isinstance(document_id := terms.get("document_id"), str):
        del terms["document_id"]
        must.append(_equals("document_id", document_id))
    must.extend(_has_term(_term(key, value)) for key, value in terms.items())
    return edge.Filter(must=[*must])


def _has_term(term: str) -> edge.FieldCondition:
    """Older releases indexed long terms whole."""
    short = _short(term)
    if short == term:
        return _equals("terms", term)
    return edge.FieldCondition("terms", match=edge.MatchAny([short, term]))


def _equals(field: str, value: str | int) -> edge.FieldCondition:
    return edge.FieldCondition(field, match=edge.MatchValue(value))


def _of_document(
    document_id: str, *, version: int | None = None, up_to: int | None = None, below: int | None = None
) -> edge.Filter:
    conditions = [_equals("document_id", document_id)]
    if version is not None:
        conditions.append(_equals("version", version))
    if below is not None:
        conditions.append(edge.FieldCondition("ordinal", range=edge.RangeFloat(lt=below)))
    if up_to is not None:
        conditions.append(edge.FieldCondition("version", range=edge.RangeFloat(lte=up_to)))
    return edge.Filter(must=[*conditions])


def _lexical_text(chunk: Chunk, title: str | None) -> str:
    """Title and headings count as words of the passage: nDCG@10 0.53 against 0.48 without (Cranfield)."""
    return "\n".join([title or "", *chunk.heading_path, chunk.text])


def _point(chunk: Chunk, row: list[float], fields: DocumentFields | None) -> edge.Point:
    known = fields or _own_fields(chunk)
    payload = msgspec.json.encode(chunk).decode()
    return edge.Point(
        chunk.chunk_id,
        {DENSE: row, LEXICAL: _BM25.embed_document(_lexical_text(chunk, known.title))},
        {
            "document_id": chunk.document_id,
            "version": chunk.version,
            "ordinal": chunk.ordinal,
            "terms": _terms(known),
            "chunk": payload if fields is None else payload.replace(_LEFT_EMPTY, "", 1),
        },
    )


class Shard:
    """Blocking. Every call belongs to one thread, except `sync_log` and `write_back`, which belong to another one.

    Raises: StorageFull, Unavailable (locked by another process), Internal.
    """

    def __init__(self, inner: edge.EdgeShard, path: Path, calls: EngineCalls) -> None:
        self._inner = inner
        self._log = UpdateLog(path)
        self.calls = calls
        self.unflushed = 0
        """Points updated since the last flush: what opening the shard would have to replay."""
        self.mirror: Shard | None = None
        """Gets every update too while the points are copied to it."""

    @classmethod
    def create(cls, path: Path, dimensions: int, calls: EngineCalls | None = None) -> Shard:
        """An empty shard at `path`; what an interrupted creation left there is removed."""
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir(mode=0o700, parents=True)
        with _wrapped():
            inner = edge.EdgeShard.create(str(path), _config(dimensions))
            for field in ("document_id", "terms"):
                inner.update(edge.UpdateOperation.create_field_index(field, edge.PayloadSchemaType.Keyword))
            inner.flush()
        return cls(inner, path, calls or EngineCalls(None, time.time))

    @classmethod
    def open(cls, path: Path, dimensions: int, calls: EngineCalls | None = None) -> Shard:
        """The shard at `path`, with every update that was acknowledged replayed from its log."""
        with _wrapped():
            opened = cls(
                edge.EdgeShard.load(str(path), _config(dimensions)), path, calls or EngineCalls(None, time.time)
            )
        opened.unflushed = (
            1  # how much of the log was replayed is not known; the next flush makes sure that it is short
        )
        return opened

    def points(self) -> int:
        """Points held, of whatever version."""
        with _wrapped():
            return self._inner.info().points_count

    def owners(self, chunk_ids: Sequence[str]) -> dict[str, tuple[str, int]]:
        """Document id and version of those chunks that are already here."""
        with _wrapped():
            records = self._inner.retrieve([*chunk_ids], ["document_id", "version"], False)
        return {
            str(record.id): (record.payload["document_id"], record.payload["version"])
            for record in records
            if record.payload is not None
        }

    def upsert(self, chunks: Sequence[Chunk], vectors: Vectors, fields: DocumentFields | None = None) -> None:
        """Writes chunk i with row i of `vectors`, shape (len(chunks), dimensions). The process may die after it.

        `fields` are indexed for all chunks, in place of their own, and not stored with each.
        """
        for first in range(0, len(chunks), MAX_UPDATE):
            rows = vectors[first : first + MAX_UPDATE].tolist()
            part = zip(chunks[first : first + MAX_UPDATE], rows, strict=True)
            points = [_point(chunk, row, fields) for chunk, row in part]
            self._update(edge.UpdateOperation.upsert_points(points), len(points))

    def _update(self, operation: edge.UpdateOperation, points: int) -> None:
        """Apply to this shard and its copy. A copy that fails is given up; this shard stays whole."""
        with _wrapped(), self.calls.marked("update"):
            self._inner.update(operation)
        self.unflushed += points
        if self.mirror is not None:
            try:
                self.mirror._update(operation, points)
            except ArgosyError:
                self.mirror.close()
                self.mirror = None

    def copy_some(self, after: PointId | None, limit: int) -> PointId | None:
        """Copy up to `limit` points to the mirror, in the order of their ids.

        Returns: where the next ones begin, None after the last.
        """
        assert self.mirror is not None
        with _wrapped():
            records, following = self._inner.scroll(
                edge.ScrollRequest(limit=limit, offset=after, with_payload=True, with_vector=True)
            )
            points = [edge.Point(record.id, record.vector or {}, record.payload) for record in records]
        if points:
            self.mirror._update(edge.UpdateOperation.upsert_points(points), len(points))
        return following

    def count(self, document_id: str, version: int | None = None, below: int | None = None) -> int:
        """Points of the document, or of one version of it, or with an ordinal below that one. Points that older
        releases wrote have no ordinal here, and `below` leaves them out.
        """
        wanted = _of_document(document_id, version=version, below=below)
        with _wrapped():
            return self._inner.count(edge.CountRequest(filter=wanted))

    def search(
        self, vector: Sequence[float] | None, text: str | None, limit: int, filters: Metadata
    ) -> tuple[list[Hit], list[Hit]]:
        """The best `limit` points by cosine and by BM25, unpublished ones among them; a list not asked for is empty."""
        queries: list[edge.Query] = []
        if vector is not None:
            queries.append(edge.Query.Nearest([*vector], using=DENSE))
        if text is not None:
            queries.append(edge.Query.Nearest(_BM25.embed_query(text), using=LEXICAL))
        condition = _filter(filters)
        requests = [
            edge.QueryRequest(limit=limit, query=query, filter=condition, with_payload=SHOWN) for query in queries
        ]
        with _wrapped():
            answers = [_hits(found) for found in self._inner.query_batch(edge.QueryBatchRequest(requests))]
        dense = answers.pop(0) if vector is not None else []
        return dense, (answers.pop() if answers else [])

    def delete_up_to(self, document_id: str, version: int, keep: int | None, limit: int) -> int:
        """Deletes up to `limit` points of `version` and older, except version `keep`; returns how many."""
        condition = _of_document(document_id, up_to=version)
        if keep is not None:
            condition = edge.Filter(must=condition.must, must_not=[_equals("version", keep)])
        with _wrapped():
            records, _ = self._inner.scroll(
                edge.ScrollRequest(limit=min(limit, MAX_UPDATE), filter=condition, with_payload=False)
            )
        self.delete([record.id for record in records])
        return len(records)

    def beyond(self, document_id: str, version: int, chunks: int) -> list[PointId]:
        """The points of a version whose ordinal is `chunks` or more."""
        found: list[PointId] = []
        after: PointId | None = None
        condition = _of_document(document_id, version=version)
        while True:
            with _wrapped():
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
        for first in range(0, len(points), MAX_UPDATE):
            part = points[first : first + MAX_UPDATE]
            self._update(edge.UpdateOperation.delete_points([*part]), len(part))

    def sync_log(self) -> None:
        """Make everything written so far survive a loss of power. Other threads go on meanwhile."""
        self._log.sync()

    def write_back(self) -> None:
        """Write most of what a flush would write, without stopping other threads."""
        self._log.sync_all()

    def flush(self) -> None:
        """Write the tables, and forget the log up to here. Stops every thread until the disk is done."""
        with _wrapped(), self.calls.marked("flush"):
            self._inner.flush()
        self.unflushed = 0

    def close(self) -> None:
        if self.mirror is not None:
            self.mirror.close()
            self.mirror = None
        with _wrapped(), self.calls.marked("close"):
            self._inner.close()


def _hits(found: Sequence[edge.ScoredPoint]) -> list[Hit]:
    hits = []
    for point in found:
        payload = point.payload  # each look at it converts it anew
        if payload is not None:
            hits.append(Hit(str(point.id), payload["document_id"], payload["version"], point.score, payload["chunk"]))
    return hits
