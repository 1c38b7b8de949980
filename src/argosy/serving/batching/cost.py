"""Cost model of a batch, learnt from earlier batches. Pure: measurements in, predictions out.

The time of a batch of a transformer grows with its tokens and, for attention, with the square of its length. Both
factors are fitted by least squares over the past batches; older batches count less, so that the model adapts to a
host that becomes slower. Factors are never negative.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

MEMORY = 0.95
"""Weight of earlier batches at each new batch: about the last 20 count."""
SQUARE_SCALE = 256.0
"""Divisor that scales the square of a length to the magnitude of a length."""
TRUSTED_AFTER = 8
"""Batches after which a single far slower batch is attributed to the host and capped."""
OUTLIER = 4.0
RIDGE = 1e-3


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """Upper bounds of one batch. `tokens` includes padding; `seconds` is infinite if another host does the work."""

    tokens: int = 1024
    texts: int = 256
    seconds: float = 0.1


class CostModel:
    """Model that predicts the time of a batch from its number of texts and its longest text."""

    def __init__(self, limits: BatchLimits) -> None:
        self._limits = limits
        self._per_token_s = 0.0
        self._per_square_s = 0.0
        self._learnt = 0
        self._longest = 0
        self._xx = self._xz = self._zz = self._xy = self._zy = 0.0

    def learn(self, texts: int, longest: int, seconds: float) -> None:
        """Record the `seconds` that a batch of `texts` texts took, padded to `longest` tokens."""
        # A batch longer than all before is no outlier: the square term of its length was not known yet.
        if self._learnt >= TRUSTED_AFTER and longest <= self._longest:
            seconds = min(seconds, OUTLIER * max(self.seconds(texts, longest), 1e-6))
        self._learnt += 1
        self._longest = max(self._longest, longest)
        x, z = _features(texts, longest)
        self._xx = MEMORY * self._xx + x * x
        self._xz = MEMORY * self._xz + x * z
        self._zz = MEMORY * self._zz + z * z
        self._xy = MEMORY * self._xy + x * seconds
        self._zy = MEMORY * self._zy + z * seconds
        self._fit()

    def seconds(self, texts: int, longest: int) -> float:
        """Return the predicted seconds of such a batch; 0 before the first measurement."""
        x, z = _features(texts, longest)
        return self._per_token_s * x + self._per_square_s * z

    def capacity(self, longest: int) -> int:
        """Return the number of texts of `longest` tokens that fit into a batch: at least 1."""
        fitting = min(self._limits.texts, self._limits.tokens // max(1, longest))
        each_s = self.seconds(1, longest)
        if each_s > 0 and not math.isinf(self._limits.seconds):
            fitting = min(fitting, int(self._limits.seconds / each_s))
        return max(1, fitting)

    def _fit(self) -> None:
        # The ridge keeps the square factor small while all batches have similar lengths and cannot separate the two.
        zz = self._zz + RIDGE * self._xx
        determinant = self._xx * zz - self._xz * self._xz
        if determinant > 0:
            self._per_token_s = (self._xy * zz - self._zy * self._xz) / determinant
            self._per_square_s = (self._zy * self._xx - self._xy * self._xz) / determinant
        if determinant <= 0 or self._per_square_s < 0:
            self._per_token_s, self._per_square_s = self._xy / self._xx, 0.0
        elif self._per_token_s < 0:
            self._per_token_s, self._per_square_s = 0.0, self._zy / self._zz


def _features(texts: int, longest: int) -> tuple[float, float]:
    length = max(1, longest)
    return float(texts * length), texts * length * length / SQUARE_SCALE
