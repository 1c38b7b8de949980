"""Uncertainty of a mean over questions: a bootstrap interval, and a paired randomisation test of a difference.

Both draw random numbers from a fixed seed, so that the same values always give the same result.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SEED = 20_24
RESAMPLES = 2_000
FLIPS = 10_000
EXACT_UP_TO = 12
"""Largest number of differing questions for which every assignment of signs is tried."""
MOST_DRAWS = 200_000_000
LEAST_FLIPS = 1_000
BLOCK = 2_000_000
"""Most random numbers held at once."""

Interval = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Difference:
    """Mean of B minus mean of A over the same questions, its 95 % interval, and the test's two-sided p."""

    questions: int
    a: float
    b: float
    difference: float
    interval: Interval
    p: float
    better: int
    """Number of questions on which B is higher."""
    worse: int


def mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if len(values) else 0.0


def bootstrap_interval(values: Sequence[float], share: float = 0.95) -> Interval:
    """Return the interval that holds the mean in `share` of the samples drawn with replacement from `values`.

    Raises: ValueError when there are no values.
    """
    if not len(values):
        raise ValueError("an interval needs at least one value")
    known = np.asarray(values, dtype=np.float64)
    if np.all(known == known[0]):
        return float(known[0]), float(known[0])
    means = _resampled_means(known)
    tail = (1 - share) / 2
    low, high = np.quantile(means, [tail, 1 - tail])
    return float(low), float(high)


def compare(a: Sequence[float], b: Sequence[float]) -> Difference:
    """Compare paired values: `a[i]` and `b[i]` are of the same question.

    The test asks how often a difference at least as large arises when A and B are exchanged at random within each
    question. Raises: ValueError when the lengths differ or there are no values.
    """
    if len(a) != len(b) or not len(a):
        raise ValueError("a comparison needs the same questions, at least one, on both sides")
    first, second = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    differences = second - first
    return Difference(
        questions=len(differences),
        a=float(first.mean()),
        b=float(second.mean()),
        difference=float(differences.mean()),
        interval=bootstrap_interval(list(differences)),
        p=_randomisation_p(differences),
        better=int((differences > 0).sum()),
        worse=int((differences < 0).sum()),
    )


def _resampled_means(values: NDArray[np.float64]) -> NDArray[np.float64]:
    random = np.random.default_rng(SEED)
    means = [
        values[random.integers(len(values), size=(rows, len(values)))].mean(axis=1)
        for rows in _blocks(min(RESAMPLES, max(200, MOST_DRAWS // len(values))), len(values))
    ]
    return np.concatenate(means)


def _randomisation_p(differences: NDArray[np.float64]) -> float:
    # Exchanging equal values changes nothing, so only questions that differ take part.
    moved = np.abs(differences[differences != 0])
    if not len(moved):
        return 1.0
    # A sum that equals the observed one except for rounding counts as equally large.
    observed = abs(float(differences.sum())) - 1e-9
    if len(moved) <= EXACT_UP_TO:
        signs = np.asarray(np.meshgrid(*[[-1.0, 1.0]] * len(moved))).reshape(len(moved), -1)
        return float((np.abs(moved @ signs) >= observed).mean())
    random = np.random.default_rng(SEED)
    flips = min(FLIPS, max(LEAST_FLIPS, MOST_DRAWS // len(moved)))
    reached = 0
    for rows in _blocks(flips, len(moved)):
        drawn = random.integers(0, 2, size=(rows, len(moved)), dtype=np.int8) * 2 - 1
        reached += int((np.abs(drawn @ moved) >= observed).sum())
    return (reached + 1) / (flips + 1)


def _blocks(rows: int, columns: int) -> list[int]:
    """Return numbers of rows that add up to `rows`, each with at most BLOCK cells."""
    each = max(1, BLOCK // columns)
    return [min(each, rows - start) for start in range(0, rows, each)]
