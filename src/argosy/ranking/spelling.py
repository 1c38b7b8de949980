"""Words that are spelled almost like another word: one edit apart, or equal but for accents."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from argosy.text.folding import folded

LEAST_LETTERS = 5
"""Shortest word in which a typo is forgiven. One edit turns most shorter words into another word."""


class Spellings:
    """Index of words by their first letter and length, and of accented words by their form without accents."""

    def __init__(self) -> None:
        self._buckets: dict[tuple[str, int], dict[str, None]] = defaultdict(dict)
        self._accented: dict[str, dict[str, None]] = {}

    def add(self, word: str) -> None:
        """Add a lower-case word. Adding it again changes nothing."""
        if not word.isalpha() and word.isascii():
            return
        if len(word) >= LEAST_LETTERS - 1:
            self._buckets[word[0], len(word)][word] = None
        plain = folded(word)
        if plain != word:
            self._accented.setdefault(plain, {})[word] = None

    def discard(self, word: str) -> None:
        """Remove a word; an unknown one is no error."""
        if word:
            self._buckets[word[0], len(word)].pop(word, None)
            self._accented.get(folded(word), {}).pop(word, None)

    def near(self, word: str) -> Iterator[str]:
        """Yield the words that begin like `word` and differ in one edit: a letter more, less, other, or two swapped."""
        if len(word) < LEAST_LETTERS or not word.isalpha():
            return
        for length in (len(word) - 1, len(word), len(word) + 1):
            for other in self._buckets.get((word[0], length), ()):
                if one_edit(word, other):
                    yield other

    def accents(self, word: str) -> Iterator[str]:
        """Yield the words with other accents than `word` and otherwise the same letters, perhaps unknown ones."""
        plain = folded(word)
        if plain != word:
            yield plain
        for other in self._accented.get(plain, ()):
            if other != word:
                yield other


def one_edit(a: str, b: str) -> bool:
    """Return whether exactly one insertion, deletion, replacement or swap of neighbours turns `a` into `b`."""
    if a == b or abs(len(a) - len(b)) > 1:
        return False
    at = 0
    shortest = min(len(a), len(b))
    while at < shortest and a[at] == b[at]:
        at += 1
    if len(a) == len(b):
        swapped = a[at : at + 2] == b[at : at + 2][::-1] and a[at + 2 :] == b[at + 2 :]
        return swapped or a[at + 1 :] == b[at + 1 :]
    longer, shorter = (a, b) if len(a) > len(b) else (b, a)
    return longer[at + 1 :] == shorter[at:]
