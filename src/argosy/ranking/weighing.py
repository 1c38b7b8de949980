"""Weights of a chunk's terms: BM25F over two fields, the title with the headings and the passage itself.

Each chunk becomes one sparse vector of these weights. The store multiplies them by the inverse document frequency when
it searches, so a chunk need not be weighed again when other chunks come and go.
"""

from __future__ import annotations

import base64
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
import numpy.typing as npt

from argosy.text.analysis import VERSION, Term, terms
from argosy.text.languages import language_of

K1 = 1.2
TITLE_SHARE = 2.0
TITLE_B = 0.5
BODY_B = 0.75

USUAL_TITLE = 6.0
USUAL_BODY = 80.0
PRIOR_CHUNKS = 50
"""Number of chunks of usual length that are counted before a collection's own ones, so that the first have a mean."""

_BOUNDARY = 0
"""Token between the fields, which is no term's id."""

Tokens = npt.NDArray[np.uint32]


@dataclass(slots=True)
class Lengths:
    """Sums of field lengths in tokens over the chunks of a collection."""

    chunks: int = 0
    titled: int = 0
    title: int = 0
    body: int = 0

    def add(self, analysed: Analysed, sign: int = 1) -> None:
        """Count the chunk (`sign` 1) or stop counting it (-1)."""
        self.chunks += sign
        self.titled += sign * bool(analysed.title)
        self.title += sign * len(analysed.title)
        self.body += sign * len(analysed.body)

    @property
    def mean_title(self) -> float:
        """Mean length of the title with its headings, over the chunks that have one."""
        return (self.title + PRIOR_CHUNKS * USUAL_TITLE) / (self.titled + PRIOR_CHUNKS)

    @property
    def mean_body(self) -> float:
        return (self.body + PRIOR_CHUNKS * USUAL_BODY) / (self.chunks + PRIOR_CHUNKS)


@dataclass(frozen=True, slots=True)
class Analysed:
    """Terms of one chunk as ids, in order, and the language by which they were found. An empty language is unclear."""

    language: str
    title: Sequence[int]
    body: Sequence[int]

    def encode(self) -> str:
        """Return the form that is stored with the chunk, about 5 bytes for each token."""
        ids = np.asarray([*self.title, _BOUNDARY, *self.body], "<u4")
        return f"{VERSION}|{self.language}|{base64.b64encode(ids.tobytes()).decode()}"

    @classmethod
    def decode(cls, stored: str) -> Analysed:
        """Return the terms of the stored form."""
        _, language, _ = stored.split("|", 2)
        ids: list[int] = tokens(stored).tolist()
        at = ids.index(_BOUNDARY)
        return cls(language, ids[:at], ids[at + 1 :])


def version_of(stored: str | None) -> int:
    """Return the version of the analysis that made the stored form; 0 for a chunk without one."""
    head = (stored or "").partition("|")[0]
    return int(head) if head.isdigit() else 0


def tokens(stored: str) -> Tokens:
    """Return the ids of all terms of the stored form in order, with 0 between the fields."""
    return np.frombuffer(base64.b64decode(stored.rpartition("|")[2]), "<u4")


def term_id(term: str) -> int:
    """Return the id of a term in the index: 32 bits, never 0. A collision of two given terms is very unlikely."""
    return zlib.crc32(term.encode()) or 1


@dataclass(frozen=True, slots=True)
class ChunkTerms:
    """Terms of one chunk: their ids, and the words of which they were made."""

    analysed: Analysed
    surfaces: dict[str, int]
    """Id of the stem by word."""


def analyse_chunk(title: str | None, headings: Sequence[str], text: str, fallback: str = "") -> ChunkTerms:
    """Return the terms of a chunk. `fallback` is the language to assume when the chunk does not tell it."""
    head = "\n".join([title or "", *headings])
    language = language_of(text) or language_of(head) or fallback
    titled, body = terms(head, language), terms(text, language)
    surfaces = {term.surface: term_id(term.stem) for term in chain(titled, body) if term.surface is not None}
    return ChunkTerms(Analysed(language, _ids(titled), _ids(body)), surfaces)


def _ids(found: Sequence[Term]) -> list[int]:
    return [term_id(term.stem) for term in found]


def weights(analysed: Analysed, lengths: Lengths) -> dict[int, float]:
    """Return the weight of each term of the chunk, without the inverse document frequency."""
    title_norm = TITLE_SHARE / (1 - TITLE_B + TITLE_B * len(analysed.title) / lengths.mean_title)
    body_norm = 1.0 / (1 - BODY_B + BODY_B * len(analysed.body) / lengths.mean_body)
    counts = {term: body_norm * count for term, count in Counter(analysed.body).items()}
    for term, count in Counter(analysed.title).items():
        counts[term] = counts.get(term, 0.0) + title_norm * count
    return {term: (K1 + 1) * count / (count + K1) for term, count in counts.items()}
