"""Rarity of a term among texts."""

from __future__ import annotations

import math


def idf(frequency: int, texts: int) -> float:
    """Return BM25's inverse document frequency of a term that `frequency` of `texts` texts have."""
    frequency = min(frequency, texts)
    return math.log(1 + (texts - frequency + 0.5) / (frequency + 0.5))
