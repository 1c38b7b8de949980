"""Vectors in memory and the engines that compute them.

They are separate from the messages because not every process needs numpy.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from argosy.contracts.embedding import EmbedResponse, ModelInfo, QueryVector, Spans, TextKind
from argosy.contracts.request import Deadline

Vector = npt.NDArray[np.float32]
"""Vector of shape (dimensions,), float32, of unit length."""

Vectors = npt.NDArray[np.float32]
"""Matrix of shape (texts, dimensions), float32, with rows of unit length."""


def matrix(response: EmbedResponse) -> Vectors:
    """Return the vectors of the response without a copy: one row for each text that has a vector."""
    return np.frombuffer(response.vectors, dtype="<f4").reshape(-1, response.dimensions)


def vector(query: QueryVector) -> Vector:
    """Return the query's vector without a copy."""
    return np.frombuffer(query.vector, dtype="<f4")


class EmbeddingEngine(Protocol):
    """Engine that runs one model. Its methods block and are called from several engine threads at once."""

    @property
    def info(self) -> ModelInfo:
        """Model that the engine runs."""
        ...

    def count_tokens(self, texts: Sequence[str], kind: TextKind) -> list[int]:
        """Return the tokens of each text as the model reads it: with special tokens, after truncation."""
        ...

    def full_lengths(self, texts: Sequence[str], kind: TextKind) -> list[int]:
        """Return the tokens of each text with special tokens, before truncation.

        The model truncates a text that has more than `info.max_tokens`.
        """
        ...

    def windows(self, text: str, kind: TextKind) -> list[str]:
        """Return consecutive pieces of a text that fit the model; at most blanks between them are left out."""
        ...

    def embed(self, texts: Sequence[str], kind: TextKind, deadline: Deadline | None = None) -> Vectors:
        """Return one vector for each text, in the order given. The caller keeps the batch within its token budget.

        After `deadline` no caller needs the vectors. An engine that waits for another service gives up then; an engine
        that computes them itself may ignore the deadline.

        Raises: ArgosyError when the batch cannot be embedded.
        """
        ...


@runtime_checkable
class SpanEngine(EmbeddingEngine, Protocol):
    """Engine that also gives vectors of parts of a text, as the model reads them within the whole text."""

    def embed_spans(
        self, texts: Sequence[str], spans: Sequence[Spans], kind: TextKind, deadline: Deadline | None = None
    ) -> tuple[Vectors, list[Vectors]]:
        """Return the vectors of `embed`, and for each text one row for each of its spans.

        A row is the mean of the token states in the span, of unit length; it is zero when the model read no token of
        the span, because the span lies beyond the model's window or holds only white space.

        Raises: ArgosyError when the batch cannot be embedded.
        """
        ...
