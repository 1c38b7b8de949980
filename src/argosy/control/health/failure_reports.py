"""Failure reports about a replica, by its callers and by itself, which a probe alone does not show. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from argosy.contracts.fleet import Calls

WINDOW = 5
"""Number of latest probe rounds that count."""
LEAST_FAILURES = 3
"""Least number of failed requests in the window for a complaint."""
FAILING_SHARE = 0.3
"""Least share of failed requests in the window for a complaint."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """Calls and failures of the last few probe rounds, oldest first."""

    rounds: tuple[tuple[int, int], ...] = ()

    def complaint(self, who: str) -> str:
        """Return a sentence for the operator that begins with `who`; empty when too few requests failed."""
        ended = sum(calls for calls, _ in self.rounds)
        failed = sum(failures for _, failures in self.rounds)
        if failed >= LEAST_FAILURES and failed >= FAILING_SHARE * ended:
            return f"{who} {failed} of {ended} requests fail"
        return ""


def next_round(evidence: Evidence, calls: int, failures: int) -> Evidence:
    """Return the evidence with a new round added and rounds before the window dropped."""
    return Evidence((*evidence.rounds, (calls, failures))[-WINDOW:])


def since(before: Calls, now: Calls) -> tuple[int, int]:
    """Return (calls, failures) between two counts. A count that fell was reset, so all of it is new."""
    if now.ended < before.ended or now.failed < before.failed:
        return now.ended, now.failed
    return now.ended - before.ended, now.failed - before.failed


def news(before: Mapping[str, Calls], now: Mapping[str, Calls]) -> dict[str, tuple[int, int]]:
    """Return (calls, failures) of each replica between two reports of one caller."""
    return {replica_id: since(before.get(replica_id, Calls()), calls) for replica_id, calls in now.items()}
