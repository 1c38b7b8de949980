"""Conditions that a result must fulfil, like `ndcg@10>=0.55`, for use in continuous integration."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from argosy.contracts.errors import InvalidRequest

_CONDITION = re.compile(r"\s*(?:(hybrid|dense|lexical):)?([a-z_]+(?:@\d+)?)\s*(>=|<=|>|<)\s*(-?\d+(?:\.\d+)?)\s*")
_COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}


@dataclass(frozen=True, slots=True)
class Gate:
    """Condition on a metric. Without `mode` it is about the first mode that was evaluated."""

    metric: str
    comparison: str
    limit: float
    mode: str | None = None

    def failure(self, modes: Mapping[str, Mapping[str, float]]) -> str | None:
        """Return why the condition does not hold, or None when it holds."""
        mode = self.mode or next(iter(modes))
        if mode not in modes:
            return f"{self}: the mode {mode} was not evaluated"
        value = modes[mode].get(self.metric)
        if value is None:
            return f"{self}: there is no {self.metric}; measured are {', '.join(modes[mode])}"
        return None if _COMPARISONS[self.comparison](value, self.limit) else f"{self}: {self.metric} is {value:.4f}"

    def __str__(self) -> str:
        return f"{f'{self.mode}:' if self.mode else ''}{self.metric}{self.comparison}{self.limit:g}"


def gate(text: str) -> Gate:
    """Return the condition that a text describes. Raises: InvalidRequest when it describes none."""
    found = _CONDITION.fullmatch(text)
    if found is None:
        raise InvalidRequest(
            f"--gate {text[:80]!r} is not a condition. Write it like ndcg@10>=0.55 or hybrid:right>=0.9."
        )
    return Gate(found[2], found[3], float(found[4]), found[1])
