"""Vectors that are functions of their text, so that a test notices a wrong vector whoever stored it."""

from __future__ import annotations

import hashlib

import numpy as np

from argosy.contracts.embedding import ModelInfo
from argosy.services.embedding.cache.entry import CachedVector, Vector

DIMENSIONS = 96
INFO = ModelInfo(model="made-up", revision="1", dimensions=DIMENSIONS, max_tokens=64)


def vector_of(text: str, dimensions: int = DIMENSIONS) -> Vector:
    """Return a vector of unit length that depends only on the text."""
    seed = int.from_bytes(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:8], "little")
    drawn = np.random.default_rng(seed).standard_normal(dimensions).astype(np.float32)
    vector: Vector = drawn / np.float32(np.linalg.norm(drawn))
    return vector


def cached(text: str, *, seconds: float = 0.25, dimensions: int = DIMENSIONS) -> CachedVector:
    return CachedVector(vector_of(text, dimensions), tokens=len(text), truncated=len(text) > 9, seconds=seconds)


def is_of(value: CachedVector, text: str) -> bool:
    """Return whether the value is the text's vector bit for bit, as float32 is stored."""
    right = cached(text, dimensions=len(value.vector))
    return (value.tokens, value.truncated) == (right.tokens, right.truncated) and bool(
        np.array_equal(value.vector, right.vector)
    )


def is_nearly_of(value: CachedVector, text: str) -> bool:
    """Return whether the value is the text's vector up to the rounding of float16."""
    return value.tokens == len(text) and float(value.vector @ vector_of(text, len(value.vector))) >= 0.99999
