"""Text to vectors."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import Protocol

import msgspec
import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float32]
"""Shape (texts, dimensions), float32, each row of unit length."""


class TextKind(enum.StrEnum):
    """Some models want a prefix that differs for what is searched and what is searched for."""

    QUERY = "query"
    PASSAGE = "passage"


class EmbedRequest(msgspec.Struct):
    texts: list[str]
    kind: TextKind = TextKind.PASSAGE


class EmbedResponse(msgspec.Struct):
    """`vectors` is little-endian float32, row after row, in the order of the request's texts."""

    model: str
    dimensions: int
    vectors: bytes
    tokens: list[int]
    truncated: list[bool]

    def matrix(self) -> Vectors:
        return np.frombuffer(self.vectors, dtype="<f4").reshape(-1, self.dimensions)


class ModelInfo(msgspec.Struct):
    """What a running embedding replica serves."""

    model: str
    revision: str
    dimensions: int
    max_tokens: int


class EmbeddingEngine(Protocol):
    """Runs one model. Blocking; called from one engine thread."""

    @property
    def info(self) -> ModelInfo: ...

    def count_tokens(self, texts: Sequence[str], kind: TextKind) -> list[int]:
        """Tokens of each text as the model will see it (with special tokens, after truncation)."""
        ...

    def embed(self, texts: Sequence[str], kind: TextKind) -> Vectors:
        """One vector for each text, in the order given. The caller keeps the batch within its token budget."""
        ...
