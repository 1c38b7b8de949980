"""Engine without a model: a bag of hashed words, for tests, demonstrations and measurements of the other parts."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from argosy.contracts.embedding import ModelInfo, Spans, TextKind
from argosy.contracts.request import Deadline
from argosy.contracts.vectors import Vectors

DIMENSIONS = 64
SPECIAL_TOKENS = 2
_WORD = re.compile(r"\w+")


class FakeEngine:
    """Deterministic engine: a text has the same vector in every process, and texts that share words are closer.

    A word is a token. Each word has a direction of 64 signs taken from its hash; the vector of a text is the normalised
    sum of the directions of its words.
    """

    def __init__(self, *, model: str = "fake", max_tokens: int = 256) -> None:
        self._info = ModelInfo(model=model, revision="1", dimensions=DIMENSIONS, max_tokens=max_tokens)

        self._room = max_tokens - SPECIAL_TOKENS

    @property
    def info(self) -> ModelInfo:
        return self._info

    def full_lengths(self, texts: Sequence[str], kind: TextKind) -> list[int]:
        """Return the tokens of each text with special tokens, before truncation."""
        return [len(_words(text)) + SPECIAL_TOKENS for text in texts]

    def count_tokens(self, texts: Sequence[str], kind: TextKind) -> list[int]:
        return [min(length, self._info.max_tokens) for length in self.full_lengths(texts, kind)]

    def windows(self, text: str, kind: TextKind) -> list[str]:
        """Cut the text between words into pieces that fit the model."""
        starts = [match.start() for match in _WORD.finditer(text)]
        cuts = [0, *starts[self._room :: self._room], len(text)]
        return [text[start:end] for start, end in pairwise(cuts)]

    def embed(self, texts: Sequence[str], kind: TextKind, deadline: Deadline | None = None) -> Vectors:
        vectors = np.zeros((len(texts), DIMENSIONS), dtype=np.float32)
        for row, text in enumerate(texts):
            for word in _words(text)[: self._room]:
                vectors[row] += _direction(word)
            if not vectors[row].any():
                vectors[row, 0] = 1.0
            vectors[row] /= np.linalg.norm(vectors[row])
        return vectors

    def embed_spans(
        self, texts: Sequence[str], spans: Sequence[Spans], kind: TextKind, deadline: Deadline | None = None
    ) -> tuple[Vectors, list[Vectors]]:
        """Implement `SpanEngine.embed_spans`. Words in a span and within the window count."""
        found = []
        for text, of_text in zip(texts, spans, strict=True):
            words = list(_WORD.finditer(text))[: self._room]
            rows = np.zeros((len(of_text), DIMENSIONS), dtype=np.float32)
            for row, (start, end) in zip(rows, of_text, strict=True):
                for word in words:
                    if word.end() > start and word.start() < end:
                        row += _direction(word[0].lower())
                row /= np.linalg.norm(row) or 1.0
            found.append(rows)
        return self.embed(texts, kind, deadline), found


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())


def _direction(word: str) -> Vectors:
    digest = hashlib.blake2b(word.encode("utf-8", "replace"), digest_size=DIMENSIONS // 8).digest()
    bits = np.unpackbits(np.frombuffer(digest, dtype=np.uint8))
    return bits.astype(np.float32) * 2 - 1
