"""Chunks and their vectors: kept, published by document version, searched."""

from __future__ import annotations

import msgspec

Metadata = dict[str, str | int | float | bool | None]


class Chunk(msgspec.Struct, omit_defaults=True):
    """One passage of one version of one document.

    `start` and `end` are character offsets into the document's stored parsed text; `text` equals that
    slice. `page`, where it begins, and `last_page`, where it ends, count from 1 and are None where the format has
    no pages; `last_page` is also None in what was indexed before it was kept.
    """

    chunk_id: str
    document_id: str
    version: int
    ordinal: int
    name: str
    source: str
    text: str
    start: int
    end: int
    title: str | None = None
    page: int | None = None
    last_page: int | None = None
    heading_path: list[str] = []
    metadata: Metadata = {}


class DocumentFields(msgspec.Struct):
    """Fields that all chunks of a document version share. The store keeps them once for each published version."""

    name: str
    source: str
    title: str | None = None
    metadata: Metadata = {}


class EnsureCollection(msgspec.Struct):
    """Names one generation of a collection.

    A collection that is deleted and created again gets a higher generation, so that a late call about the old one
    cannot touch the new one. Generation 0 is a collection that was never created again.
    """

    collection: str
    generation: int = 0


class UpsertRequest(msgspec.Struct):
    """Chunks of one document version, not visible until published. Sending the same chunks again is harmless."""

    collection: str
    model: str
    dimensions: int
    chunks: list[Chunk]
    vectors: bytes
    """Little-endian float32, shape (len(chunks), dimensions)."""
    generation: int = 0
    """Of the collection. Chunks for another generation than the present one are refused as for an unknown one."""
    fields: DocumentFields | None = None
    """When given, the chunks leave these fields empty, and `PublishRequest.fields` must carry them too."""


class PublishRequest(msgspec.Struct):
    """Makes `version` the visible one and all others of the document invisible, in one step.

    `chunks` is how many the version has, with ordinals from 0: a store that holds fewer refuses (409), and deletes
    those beyond, which an earlier try may have left.
    """

    collection: str
    document_id: str
    version: int
    chunks: int
    fields: DocumentFields | None = None


class ForgetRequest(msgspec.Struct):
    """Makes the document invisible now and deletes its points later.

    `version` and older can never be published again.
    """

    collection: str
    document_id: str
    version: int


class StoreSearchRequest(msgspec.Struct):
    """`vector` (float32 little-endian) asks for the dense list, `text` for the lexical one; at least one is needed."""

    collection: str
    limit: int = 50
    vector: bytes | None = None
    text: str | None = None
    filters: Metadata = {}
    """Equality on `document_id`, `source`, `name`, `title` or a metadata key."""


class Ranked(msgspec.Struct, array_like=True):
    chunk_id: str
    score: float


class StoreSearchResponse(msgspec.Struct):
    """Both lists best first; `chunks` holds each chunk of either list once, as JSON: few of them will be looked at."""

    chunks: dict[str, str]
    dense: list[Ranked] = []
    lexical: list[Ranked] = []

    def chunk(self, chunk_id: str) -> Chunk:
        return _chunk.decode(self.chunks[chunk_id])


_chunk = msgspec.json.Decoder(Chunk)


class CollectionStats(msgspec.Struct):
    collection: str
    points: int
    documents: int
    model: str | None = None
    dimensions: int | None = None
