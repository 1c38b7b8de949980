"""What is compared: a strategy, alone as its source defines it, or with what Argosy puts around it."""

from __future__ import annotations

from dataclasses import dataclass

from argosy.balancing.table import STRATEGIES
from argosy.contracts.errors import ConfigError

OURS = "adaptive"
WITHOUT_REPORTS = frozenset(
    ("consistent_hash", "least_connections", "peak_ewma", "power_of_two", "response_time", "round_robin")
)
"""Strategies that never look at a load report: composing none for them saves a third of the time."""
PROBES_ALONE = frozenset(("adaptive",))
"""Strategies that look at a report only when a probe brought it: those on answers would change nothing."""
GUARDED, ALONE = "guarded", "alone"


@dataclass(frozen=True, slots=True)
class Subject:
    strategy: str
    guarded: bool
    """With ejection and slow start, and with retry budget, throttling and limits where there are retries."""

    @classmethod
    def parse(cls, text: str) -> Subject:
        """`NAME`, `NAME:guarded` or `NAME:alone`. Only `adaptive` is guarded unless told otherwise.

        Raises: ConfigError, naming the strategies there are.
        """
        name, _, how = text.strip().partition(":")
        if name not in STRATEGIES:
            raise ConfigError(f"There is no balancing strategy {name!r}; choose of {', '.join(sorted(STRATEGIES))}.")
        if how not in ("", GUARDED, ALONE):
            raise ConfigError(f"{text}: after the colon stands {GUARDED} or {ALONE}.")
        return cls(name, how == GUARDED or (not how and name == OURS))

    @property
    def label(self) -> str:
        if self.guarded == (self.strategy == OURS):
            return self.strategy
        return f"{self.strategy}:{GUARDED if self.guarded else ALONE}"
