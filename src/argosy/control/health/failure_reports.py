"""What callers and the replica itself report of its failures: health that a probe alone does not see. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from argosy.contracts.fleet import Calls

WINDOW = 5
"""Probes that are looked back on."""
LEAST_FAILURES = 3
FAILING_SHARE = 0.3


@dataclass(frozen=True, slots=True)
class Evidence:
    """Calls and failures of the last few probe rounds, oldest first."""

    rounds: tuple[tuple[int, int], ...] = ()

    def complaint(self, who: str) -> str:
        """What is wrong, in a sentence for the operator; empty when nothing is."""
        ended = sum(calls for calls, _ in self.rounds)
        failed = sum(failures for _, failures in self.rounds)
        if failed >= LEAST_FAILURES and failed >= FAILING_SHARE * ended:
            return f"{who} {failed} of {ended} requests fail"
        return ""


def next_round(evidence: Evidence, calls: int, failures: int) -> Evidence:
    return Evidence((*evidence.rounds, (calls, failures))[-WINDOW:])


def since(before: Calls, now: Calls) -> tuple[int, int]:
    """Calls and failures between two counts; a count that fell was started anew."""
    if now.ended < before.ended or now.failed < before.failed:
        return now.ended, now.failed
    return now.ended - before.ended, now.failed - before.failed


def news(before: Mapping[str, Calls], now: Mapping[str, Calls]) -> dict[str, tuple[int, int]]:
    """What one caller saw of each replica between two of its reports: calls and failures."""
    return {replica_id: since(before.get(replica_id, Calls()), calls) for replica_id, calls in now.items()}
