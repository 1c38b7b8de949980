"""Subject of a comparison: a strategy, either alone as its source defines it, or with Argosy's protection around it."""

from __future__ import annotations

from dataclasses import dataclass

from argosy.balancing.table import STRATEGIES
from argosy.contracts.errors import ConfigError

OURS = "adaptive"
WITHOUT_REPORTS = frozenset(
    ("consistent_hash", "least_connections", "peak_ewma", "power_of_two", "response_time", "round_robin")
)
"""Strategies that never read a load report. Composing no reports for them saves a third of the time."""
PROBES_ALONE = frozenset(("adaptive",))
"""Strategies that read reports only from probes, so reports on answers would change nothing."""
GUARDED, ALONE = "guarded", "alone"


@dataclass(frozen=True, slots=True)
class Subject:
    strategy: str
    guarded: bool
    """Whether ejection and slow start are on and, where there are retries, retry budget, throttling and limits too."""

    @classmethod
    def parse(cls, text: str) -> Subject:
        """Parse `NAME`, `NAME:guarded` or `NAME:alone`. Without a suffix, only `adaptive` is guarded.

        Raises: ConfigError when the strategy or the suffix is unknown; the message lists the choices.
        """
        name, _, how = text.strip().partition(":")
        if name not in STRATEGIES:
            raise ConfigError(f"There is no balancing strategy {name!r}; choose from {', '.join(sorted(STRATEGIES))}.")
        if how not in ("", GUARDED, ALONE):
            raise ConfigError(f"{text}: write {GUARDED} or {ALONE} after the colon.")
        return cls(name, how == GUARDED or (not how and name == OURS))

    @property
    def label(self) -> str:
        if self.guarded == (self.strategy == OURS):
            return self.strategy
        return f"{self.strategy}:{GUARDED if self.guarded else ALONE}"
