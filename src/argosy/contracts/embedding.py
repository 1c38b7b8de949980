"""Messages of the embedding service: texts in, vectors out."""

from __future__ import annotations

import enum
from collections.abc import Sequence

import msgspec

MAX_TEXTS = 2048
"""Largest number of texts in one request."""
MAX_SPANS = 50_000
"""Largest number of spans of all texts of one request."""
MAX_TEXT_CHARS = 200_000
"""Longest text. Tokenising it takes as long as a batch, and no query may wait longer than a batch."""

Spans = Sequence[tuple[int, int]]
"""Slices [start, end) of one text, in characters."""


class TextKind(enum.StrEnum):
    """Use of a text in search. Some models need different prefixes for queries and for passages."""

    QUERY = "query"
    PASSAGE = "passage"


class EmbedRequest(msgspec.Struct):
    """Texts to embed.

    With `partial`, a text that cannot be embedded is listed in the `failures` of the response; without, it fails the
    whole request.

    `spans` asks for vectors of parts of the texts as well: for each text the slices [start, end) in characters. It is
    empty, or as long as `texts`. An engine that cannot give such vectors ignores it.
    """

    texts: list[str]
    kind: TextKind = TextKind.PASSAGE
    partial: bool = False
    spans: list[list[tuple[int, int]]] = []


class TextFailure(msgspec.Struct):
    """Reason why the text at `index` of the request has no vector. `code` is that of a class in `contracts.errors`."""

    index: int
    code: str
    message: str


class EmbedResponse(msgspec.Struct):
    """Vectors of the request's texts.

    `vectors` is little-endian float32, row after row, in the order of the texts, without the texts that failed.
    `tokens` and `truncated` are in the order of all texts; a text that failed has 0 and false. `hits` counts the texts
    whose vectors came from the cache. `revision` is that of the model; replicas of earlier versions leave it empty.

    `spans` holds the vectors of the request's spans, text by text: int8 of shape (spans, dimensions), whose rows only
    have a direction. A row of zeros is a span of which the model read nothing, and a text that failed has no rows.
    `spans` is empty when none were requested, from engines without vectors of spans, and from earlier versions.
    """

    model: str
    dimensions: int
    vectors: bytes
    tokens: list[int]
    truncated: list[bool]
    hits: int = 0
    failures: list[TextFailure] = []
    revision: str = ""
    spans: list[bytes] = []


class QueryVector(msgspec.Struct):
    """Vector of one query, which a service hands on so that the query is not embedded again.

    `vector` is little-endian float32. It may be compared only with vectors of the same model and revision.
    """

    model: str
    revision: str
    dimensions: int
    vector: bytes

    @classmethod
    def of(cls, response: EmbedResponse) -> QueryVector:
        """Return the vector of a response to one text."""
        return cls(response.model, response.revision, response.dimensions, response.vectors)

    def comparable(self, response: EmbedResponse) -> bool:
        """Return whether the vectors of `response` come from the same model and have the same form."""
        return (self.model, self.revision, self.dimensions, len(self.vector)) == (
            response.model,
            response.revision,
            response.dimensions,
            4 * response.dimensions,
        )


class ModelInfo(msgspec.Struct):
    """Model that a running embedding replica serves."""

    model: str
    revision: str
    dimensions: int
    max_tokens: int
