"""Fake passages, and a fake embedding whose vectors count a few words."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from argosy.contracts.embedding import EmbedResponse, TextKind
from argosy.contracts.errors import ArgosyError
from argosy.contracts.request import RequestContext
from argosy.contracts.retrieval import Passage
from argosy.contracts.store import Chunk

TIDES = "# Water\n\nThe tide turns twice a day. Ships wait for high water."
LIGHTS = "A lighthouse guides ships. Its lamp is electric."


def passage(n: int, text: str, score: float) -> Passage:
    return Passage(Chunk(f"c{n}", f"d{n}", 1, 0, f"{n}.md", f"file:{n}.md", text, 1000, 1000 + len(text)), score)


AXES = ("tide", "light", "ship", "quantum")
PASSAGES = [passage(1, TIDES, 1.0), passage(2, LIGHTS, 0.9)]


class Embedding:
    def __init__(self, error: ArgosyError | None = None) -> None:
        self.error = error
        self.asked: list[tuple[list[str], TextKind, RequestContext]] = []

    async def embed(self, texts: Sequence[str], kind: TextKind, context: RequestContext) -> EmbedResponse:
        self.asked.append((list(texts), kind, context))
        if self.error is not None:
            raise self.error
        rows = np.array([[text.lower().count(word) for word in AXES] for text in texts], "<f4")
        rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-6)
        return EmbedResponse("m", len(AXES), rows.tobytes(), [1] * len(texts), [False] * len(texts))
