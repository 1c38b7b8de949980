"""Texts of exactly known token counts, cut out of prose. No text occurs twice, so no cache knows a text by accident.

The words come from collections in BEIR layout if a folder holds any, else from a seeded generator.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import tokenizers

from benchmarks._corpus import Corpus

SPECIAL_TOKENS = 2
GENERATED_PASSAGES = 3_000
LENGTHS: dict[str, tuple[int, int]] = {
    "short": (6, 14),  # mean 10: a query
    "passage": (90, 146),  # mean 118: a chunk
    "long": (230, 256),  # mean 243: nearly the model's window
}
"""Range of the token counts, special tokens included. All counts in a range are equally likely."""


class Texts:
    """Source of texts. The same `seed` draws the same texts from the same words."""

    def __init__(self, tokenizer: Path, data: Path | None, seed: int) -> None:
        folders = sorted(path.parent for path in data.glob("*/corpus.jsonl")) if data else []
        self.source = ", ".join(folder.name for folder in folders) or "generated"
        prose = [text for folder in folders for text in _prose(folder)] or Corpus(seed).passages(GENERATED_PASSAGES)
        self._words = " ".join(prose).split()
        encoder = tokenizers.Tokenizer.from_file(str(tokenizer))
        encoder.no_padding()
        encoder.no_truncation()
        # BERT splits at white space before anything else, so the tokens of a text are the tokens of its words.
        vocabulary = list(dict.fromkeys(self._words))
        encodings = encoder.encode_batch(vocabulary, add_special_tokens=False)
        counts = dict(zip(vocabulary, (len(encoding.ids) for encoding in encodings), strict=True))
        self._until = np.cumsum([counts[word] for word in self._words])
        self._draw = np.random.default_rng(seed)
        self._seen: set[str] = set()

    def take(self, kind: str, count: int) -> list[str]:
        """Return `count` texts with a length in LENGTHS, or `mixed`: a third of each length, in turn."""
        if kind == "mixed":
            kinds = list(LENGTHS)
            return [self._one(kinds[number % len(kinds)]) for number in range(count)]
        return [self._one(kind) for _ in range(count)]

    def _one(self, kind: str) -> str:
        while True:
            tokens = int(self._draw.integers(*LENGTHS[kind], endpoint=True)) - SPECIAL_TOKENS
            first = int(self._draw.integers(1, len(self._words) - max(high for _, high in LENGTHS.values())))
            last = int(np.searchsorted(self._until, self._until[first - 1] + tokens, side="right"))
            text = " ".join(self._words[first:last])
            if text and text not in self._seen:
                self._seen.add(text)
                return text


def judged(data: Path | None, texts: Texts, documents: int, queries: int) -> tuple[list[str], list[str]]:
    """Return passages and queries; the queries are real questions when the folder has any."""
    asked: list[str] = []
    for path in sorted(data.glob("*/queries.jsonl")) if data else []:
        lines = path.read_text().splitlines()
        asked += [str(json.loads(line)["text"]) for line in lines[:: max(1, len(lines) * 2 // queries)]]
    return texts.take("mixed", documents), asked[:queries] or texts.take("short", queries)


def _prose(folder: Path) -> Iterator[str]:
    read: Callable[[str], dict[str, str]] = json.loads
    for line in (folder / "corpus.jsonl").read_text().splitlines():
        entry = read(line)
        yield f"{entry.get('title', '')} {entry['text']}"
