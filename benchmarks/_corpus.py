"""Passages and queries from a seeded generator: no data set is needed, and every machine measures the same text.

Words are drawn by Zipf's law. The most frequent ones are English function words; the rest are made of two syllables.
This makes about 1.6 tokens per word, while English prose has 1.3.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

FUNCTION_WORDS = """
the of and to a in is that it was for on are as with his they at be this from have or by one had not but what all
were when we there can an your which their said if do will each about how up out them then she many some so these
would other into has more her two like him see time could no make than first been its who now people my made over
did down only way find use may water long little very after words called just where most know
""".split()  # noqa: SIM905 - a hundred quoted words would fill a hundred lines
VOCABULARY = 8_000
EXPONENT = 1.0
PASSAGE_WORDS = (50, 70)
SENTENCE_WORDS = (8, 16)
QUERY_WORDS = (6, 12)
SYLLABLES = [consonant + vowel for consonant in (*"bcdfghklmnprstvw", "st", "tr", "ch", "pl") for vowel in "aeiou"]


class Corpus:
    """Corpus with a vocabulary that depends on `seed`. Passages are drawn from it; queries have a seed of their own."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        draw = np.random.default_rng(seed)
        words = dict.fromkeys(FUNCTION_WORDS)
        while len(words) < VOCABULARY:
            words["".join(SYLLABLES[i] for i in draw.integers(0, len(SYLLABLES), 2))] = None
        self._words = np.array(list(words))
        shares = 1.0 / np.arange(1, VOCABULARY + 1) ** EXPONENT
        self._cumulated = np.cumsum(shares / shares.sum())

    def passages(self, count: int) -> list[str]:
        """Return `count` passages of about 60 words, in sentences. The first n are the same whatever `count` is."""
        draw = np.random.default_rng([self._seed, 1])
        return [self._passage(draw) for _ in range(count)]

    def queries(self, seed: int) -> Iterator[str]:
        """Yield queries of 6 to 12 words without end, all different."""
        draw = np.random.default_rng([self._seed, 2, seed])
        seen: set[str] = set()
        while True:
            query = " ".join(self._sample(draw, int(draw.integers(*QUERY_WORDS, endpoint=True))))
            if query not in seen:
                seen.add(query)
                yield query

    def _passage(self, draw: np.random.Generator) -> str:
        words = self._sample(draw, int(draw.integers(*PASSAGE_WORDS, endpoint=True)))
        sentences = []
        while words:
            length = int(draw.integers(*SENTENCE_WORDS, endpoint=True))
            sentences.append(" ".join(words[:length]).capitalize() + ".")
            words = words[length:]
        return " ".join(sentences)

    def _sample(self, draw: np.random.Generator, count: int) -> list[str]:
        picked = np.minimum(np.searchsorted(self._cumulated, draw.random(count)), VOCABULARY - 1)
        return [str(word) for word in self._words[picked]]
