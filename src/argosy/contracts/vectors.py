"""Vectors in memory, and what computes them. Apart from the messages: not every process needs numpy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from argosy.contracts.embedding import EmbedResponse, ModelInfo, TextKind

Vectors = npt.NDArray[np.float32]
"""Shape (texts, dimensions), float32, each row of unit length."""


def matrix(response: EmbedResponse) -> Vectors:
    """The response's vectors, one row for each text, without a copy."""
    return np.frombuffer(response.vectors, dtype="<f4").reshape(-1, response.dimensions)


class EmbeddingEngine(Protocol):
    """Runs one model. Blocking; called from one engine thread."""

    @property
    def info(self) -> ModelInfo: ...

    def count_tokens(self, texts: Sequence[str], kind: TextKind) -> list[int]:
        """Tokens of each text as the model will see it (with special tokens, after truncation)."""
        ...

    def full_lengths(self, texts: Sequence[str], kind: TextKind) -> list[int]:
        """Tokens of each text with special tokens, before truncation: more than `info.max_tokens` means cut."""
        ...

    def embed(self, texts: Sequence[str], kind: TextKind) -> Vectors:
        """One vector for each text, in the order given. The caller keeps the batch within its token budget."""
        ...
