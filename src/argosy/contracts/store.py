"""Messages of the store: chunks and their vectors are stored, published by document version, and searched."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from argosy.contracts.errors import BY_CODE, ArgosyError, Internal
from argosy.contracts.filters import Filters

Metadata = dict[str, str | int | float | bool | None]


class Chunk(msgspec.Struct, omit_defaults=True):
    """Passage of one version of one document.

    `start` and `end` are character offsets into the document's stored parsed text; `text` equals that slice. The
    passage begins on `page` and ends on `last_page`; both count from 1 and are None when the format has no pages.
    `last_page` is also None in chunks indexed before the field existed.
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
    units: str = ""
    """Answer units of the passage, see `contracts.units`; empty in chunks indexed before the field existed."""
    unit_vectors: str = ""
    """Vectors of the units, see `contracts.unit_vectors`; empty where the model gave none, in chunks indexed before the
    field existed, and in results of searches that did not ask for them."""


class DocumentFields(msgspec.Struct):
    """Fields that all chunks of a document version share. The store keeps them once for each published version."""

    name: str
    source: str
    title: str | None = None
    metadata: Metadata = {}


class EnsureCollection(msgspec.Struct):
    """Generation of a collection, to be created or dropped.

    A collection that is deleted and created again gets a higher generation, so that a late call about the old one
    cannot touch the new one. Generation 0 is a collection that was never created again.
    """

    collection: str
    generation: int = 0


class UpsertRequest(msgspec.Struct):
    """Chunks of one document version, invisible until published. Sending the same chunks again is harmless."""

    collection: str
    model: str
    dimensions: int
    chunks: list[Chunk]
    vectors: bytes
    """Little-endian float32, shape (len(chunks), dimensions)."""
    generation: int = 0
    """Generation of the collection. Chunks for any but the present one are refused, as for an unknown collection."""
    fields: DocumentFields | None = None
    """Fields shared by all chunks, which then leave them empty. `PublishRequest.fields` must carry them too."""


class PublishRequest(msgspec.Struct):
    """Request to make `version` visible and all other versions of the document invisible, in one step.

    `chunks` is the number of chunks of the version, with ordinals from 0. A store that holds fewer refuses (409). It
    deletes chunks with higher ordinals, which an earlier attempt may have left.
    """

    collection: str
    document_id: str
    version: int
    chunks: int
    fields: DocumentFields | None = None


class UpsertManyRequest(msgspec.Struct):
    """Chunks of several document versions in one call. Each request is taken or refused by itself."""

    upserts: list[UpsertRequest]


class PublishManyRequest(msgspec.Struct):
    """Publications that share one wait for the disk. Each one succeeds or fails by itself."""

    publications: list[PublishRequest]


class StoreOutcome(msgspec.Struct, omit_defaults=True):
    """Outcome of one of several requests: done when `code` is empty, else the error it would have got alone."""

    code: str = ""
    message: str = ""
    param: str | None = None

    @classmethod
    def of(cls, error: ArgosyError | None) -> StoreOutcome:
        return cls() if error is None else cls(error.code, error.message, error.param)

    def error(self) -> ArgosyError | None:
        return BY_CODE.get(self.code, Internal)(self.message, param=self.param) if self.code else None


class ForgetRequest(msgspec.Struct):
    """Request to make the document invisible now and delete its points later.

    This version and older ones can never be published again.
    """

    collection: str
    document_id: str
    version: int


class StoreSearchRequest(msgspec.Struct):
    """Search of a collection. `vector` (little-endian float32) requests the dense list, `text` the lexical list.

    At least one of them is required.
    """

    collection: str
    limit: int = 50
    vector: bytes | None = None
    text: str | None = None
    filters: Filters = {}
    """Conditions on `document_id`, `source`, `name`, `title` or metadata keys."""
    depth: int = 100
    """Chunks taken from each of the two lists."""
    languages: list[str] = []
    """Languages that the model of the vectors knows (ISO 639-1); empty means all. For another language words count more
    than vectors."""
    unit_vectors: bool = False
    """Whether the chunks carry the vectors of their units."""


class QueryTerm(msgspec.Struct):
    """Term of the query as it is indexed. `frequency` is the number of the collection's chunks that have the term."""

    stem: str
    frequency: int = 0


class QueryAnalysis(msgspec.Struct):
    """Reading of the query by the lexical index.

    `language` is an ISO 639-1 code, empty when unclear. `terms` are the query's distinct stems, without identifiers;
    `identifiers` are its whole identifiers in lower case. `chunks` is the number of chunks in the collection.
    """

    language: str = ""
    terms: list[QueryTerm] = []
    identifiers: list[str] = []
    chunks: int = 0


class Ranked(msgspec.Struct, array_like=True):
    chunk_id: str
    score: float


class Candidate(msgspec.Struct, array_like=True):
    """Chunk found by a search.

    `cosine` and `words` (BM25F) are exact, and 0 when they were not asked for. `adjacency` is the weighted share in
    [0, 1] of the query's neighbouring terms that the chunk has side by side. `feedback` is the cosine with the mean
    vector of the first three candidates. The last two are 0 beyond the first 50 candidates.
    """

    chunk_id: str
    cosine: float = 0.0
    words: float = 0.0
    adjacency: float = 0.0
    feedback: float = 0.0


class StoreSearchResponse(msgspec.Struct):
    """Candidates, best first by the mix of both scores.

    `chunks` holds each chunk once, as JSON, because few are decoded. `share` is the share of the cosine in the mix.
    """

    chunks: dict[str, str]
    candidates: list[Candidate] = []
    share: float = 0.5
    analysis: QueryAnalysis | None = None

    @property
    def dense(self) -> list[Ranked]:
        """Candidates with a cosine other than 0, best first by it."""
        return _by_score((one.chunk_id, one.cosine) for one in self.candidates)

    @property
    def lexical(self) -> list[Ranked]:
        """Candidates that share words with the query, best first by these."""
        return _by_score((one.chunk_id, one.words) for one in self.candidates)

    def chunk(self, chunk_id: str) -> Chunk:
        return _chunk.decode(self.chunks[chunk_id])


def _by_score(scores: Iterable[tuple[str, float]]) -> list[Ranked]:
    found = [Ranked(chunk_id, score) for chunk_id, score in scores if score != 0.0]
    return sorted(found, key=lambda one: -one.score)


_chunk = msgspec.json.Decoder(Chunk)


class VersionRequest(msgspec.Struct):
    collection: str


class CollectionVersion(msgspec.Struct):
    """Version of a collection's visible content. It differs after every acknowledged change."""

    version: str


class CollectionStats(msgspec.Struct):
    """Counts of one collection. `languages` are those of its chunks (ISO 639-1), most frequent first."""

    collection: str
    points: int
    documents: int
    model: str | None = None
    dimensions: int | None = None
    languages: list[str] = []
