"""Vocabulary of one collection: how many chunks have each term, the words behind the terms, and the languages.

It is kept in memory and written to a snapshot now and then. It is derived from the chunks and may be built anew.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Sequence

import msgspec

from argosy.ranking.fragments import Fragments
from argosy.ranking.spelling import Spellings
from argosy.ranking.weighing import Analysed, ChunkTerms, Lengths
from argosy.text.analysis import VERSION
from argosy.text.rarity import idf

ENGLISH = "en"
LEAST_SHARE = 0.01
"""Least share of a collection's chunks by which a language counts as one of its languages."""


class _Snapshot(msgspec.Struct):
    version: int
    lengths: Lengths
    languages: dict[str, int]
    frequencies: dict[int, int]
    words: dict[str, list[int]]
    foreign: list[str]


class Vocabulary:
    """Counts over all chunks of a collection. It is used on one thread."""

    def __init__(self) -> None:
        self.lengths = Lengths()
        self.languages: Counter[str] = Counter()
        """Number of chunks by language; the key of chunks whose language is unclear is empty."""
        self._frequencies: Counter[int] = Counter()
        self._words: dict[str, list[int]] = {}
        """Ids of the stems of each word: one for each language in which the word occurs, if these differ."""
        self._foreign: dict[str, None] = {}
        self.spellings = Spellings()
        self._fragments = Fragments()

    @property
    def chunks(self) -> int:
        return self.lengths.chunks

    def add(self, chunks: Iterable[ChunkTerms]) -> None:
        """Count chunks."""
        for chunk in chunks:
            self._count(chunk.analysed, 1)
            for word, stem in chunk.surfaces.items():
                self._learn(word, stem, foreign=chunk.analysed.language not in ("", ENGLISH))

    def remove(self, chunks: Iterable[Analysed]) -> None:
        """Stop counting chunks. Words without a chunk stay until `prune`."""
        for analysed in chunks:
            self._count(analysed, -1)

    def prune(self) -> None:
        """Forget the words that no chunk has any more."""
        gone = [word for word, stems in self._words.items() if not any(map(self.frequency, stems))]
        for word in gone:
            del self._words[word]
            self.spellings.discard(word)
            self._foreign.pop(word, None)
        if gone:
            self._frequencies = +self._frequencies
            self._fragments = Fragments()
            for word in self._foreign:
                self._fragments.add(word)

    def frequency(self, term: int) -> int:
        """Return the number of chunks with the term."""
        return self._frequencies.get(term, 0)

    def idf(self, term: int) -> float:
        return idf(self.frequency(term), self.chunks)

    def stems(self, word: str) -> Sequence[int]:
        """Return the ids of the stems of a known word."""
        return self._words.get(word, ())

    def similar(self, word: str) -> dict[str, float]:
        """Return words of other languages than English that share groups of letters with `word`, with the overlap."""
        return self._fragments.similar(word)

    def known_languages(self) -> list[str]:
        """Return the languages of the collection, most frequent first, without those of single chunks."""
        least = LEAST_SHARE * max(1, self.chunks)
        return [language for language, count in self.languages.most_common() if language and count >= least]

    def encode(self) -> bytes:
        """Return a snapshot."""
        snapshot = _Snapshot(
            VERSION, self.lengths, dict(self.languages), dict(self._frequencies), self._words, list(self._foreign)
        )
        return msgspec.msgpack.encode(snapshot)

    @classmethod
    def decode(cls, raw: bytes) -> Vocabulary | None:
        """Return the vocabulary of a snapshot; None when it is damaged or another version of the analysis made it."""
        try:
            read = msgspec.msgpack.decode(raw, type=_Snapshot)
        except msgspec.DecodeError:
            return None
        if read.version != VERSION:
            return None
        made = cls()
        made.lengths = dataclasses.replace(read.lengths)
        made.languages = Counter(read.languages)
        made._frequencies = Counter(read.frequencies)
        foreign = set(read.foreign)
        for word, stems in read.words.items():
            for stem in stems:
                made._learn(word, stem, foreign=word in foreign)
        return made

    def _count(self, analysed: Analysed, sign: int) -> None:
        self.lengths.add(analysed, sign)
        self.languages[analysed.language] += sign
        counts = self._frequencies
        for term in {*analysed.title, *analysed.body}:
            counts[term] += sign

    def _learn(self, word: str, stem: int, *, foreign: bool) -> None:
        stems = self._words.get(word)
        if stems is None:
            self._words[word] = [stem]
            self.spellings.add(word)
        elif stem not in stems:
            stems.append(stem)
        if foreign and word not in self._foreign and word.isalpha():
            self._foreign[word] = None
            self._fragments.add(word)
