"""Index of words by their groups of four letters, which finds parts of compounds and other inflections of a word."""

from __future__ import annotations

import heapq
import math
from array import array
from collections import defaultdict

SIZE = 4
LEAST_OVERLAP = 0.3
MOST_CANDIDATES = 200
"""Words whose overlap is calculated exactly, chosen by a first estimate."""


def grams(word: str) -> set[str]:
    """Return the groups of SIZE letters of the word between two boundary marks."""
    marked = f"_{word}_"
    return {marked[at : at + SIZE] for at in range(max(1, len(marked) - SIZE + 1))}


class Fragments:
    """Index of words. Words can be added only; the owner builds it anew after many of them are gone."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._words: list[str] = []
        self._postings: dict[str, array[int]] = {}

    def add(self, word: str) -> None:
        """Add a lower-case word. Adding it again changes nothing."""
        if word in self._numbers or len(word) < SIZE - 1:
            return
        number = self._numbers[word] = len(self._words)
        self._words.append(word)
        for gram in grams(word):
            self._postings.setdefault(gram, array("I")).append(number)

    def similar(self, word: str) -> dict[str, float]:
        """Return the words whose overlap with `word` is at least LEAST_OVERLAP, with the overlap in (0, 1].

        The overlap is the cosine of the two words' groups, each weighted by its rarity among the words.
        """
        own = {gram: self._weight(gram) for gram in grams(word)}
        shared: dict[int, float] = defaultdict(float)
        for gram, weight in own.items():
            square = weight * weight
            for number in self._postings.get(gram, ()):
                shared[number] += square
        length = math.sqrt(sum(weight * weight for weight in own.values()))
        found: dict[str, float] = {}
        for number, square in heapq.nlargest(MOST_CANDIDATES, shared.items(), key=lambda pair: pair[1]):
            other = self._words[number]
            norm = math.sqrt(sum(self._weight(gram) ** 2 for gram in grams(other)))
            overlap = square / (length * norm)
            if overlap >= LEAST_OVERLAP:
                found[other] = min(1.0, overlap)
        return found

    def _weight(self, gram: str) -> float:
        return math.log(1 + (len(self._words) + 1) / (len(self._postings.get(gram, ())) + 0.5))
