"""Vectors in memory, and what computes them. Apart from the messages: not every process needs numpy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from argosy.contracts.embedding import EmbedResponse, ModelInfo, TextKind
from argosy.contracts.request import Deadline

Vector = npt.NDArray[np.float32]
"""Shape (dimensions,), float32, of unit length."""

Vectors = npt.NDArray[np.float32]
"""Shape (texts, dimensions), float32, each row of unit length."""


def matrix(response: EmbedResponse) -> Vectors:
    """The response's vectors, one row for each text, without a copy."""
    return np.frombuffer(response.vectors, dtype="<f4").reshape(-1, response.dimensions)


class EmbeddingEngine(Protocol):
    """Runs one model. Blocking; called from several engine threads at once."""

    @property
    def info(self) -> ModelInfo: ...

    def count_tokens(self, texts: Sequence[str], kind: TextKind) -> list[int]:
        """Tokens of each text as the model will see it (with special tokens, after truncation)."""
        ...

    def full_lengths(self, texts: Sequence[str], kind: TextKind) -> list[int]:
        """Tokens of each text with special tokens, before truncation: more than `info.max_tokens` means cut."""
        ...

    def windows(self, text: str, kind: TextKind) -> list[str]:
        """A text in consecutive pieces that the model takes whole, nothing left out but blanks between them."""
        ...

    def embed(self, texts: Sequence[str], kind: TextKind, deadline: Deadline | None = None) -> Vectors:
        """One vector for each text, in the order given. The caller keeps the batch within its token budget.

        After `deadline` nobody wants them: an engine that waits for others gives up then, one that computes need not.
        """
        ...
