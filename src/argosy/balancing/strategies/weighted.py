"""Each replica in proportion to its reported capacity: requests per second over utilisation.

Source: gRPC's client-side weighted round robin, https://github.com/grpc/proposal/blob/master/A58-client-side-weighted-round-robin-lb-policy.md:
weight = qps / (utilisation + errors per second / qps × penalty), blackout 10 s, expiry 180 s, update 1 s, penalty 1.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from argosy.balancing.candidate import Candidate
from argosy.balancing.outcome import FAULTS, Outcome
from argosy.balancing.strategy import PickRequest, Strategy

BLACKOUT_S = 10.0
EXPIRY_S = 180.0
UPDATE_S = 1.0
ERROR_PENALTY = 1.0
KNOWN_LEAST = 2
"""Number of replicas with a weight below which all replicas count as equal."""


@dataclass(slots=True)
class _Reading:
    since_s: float
    """Time of the first report, or of the first one after the last expiry."""
    at_s: float
    weight: float
    ended: int = 0
    failed: int = 0


class Weighted(Strategy):
    """Strategy in which a replica without a usable weight counts as the average of the others."""

    def __init__(self, rng: random.Random) -> None:
        super().__init__(rng)
        self._readings: dict[str, _Reading] = {}
        self._weights: dict[str, float] = {}
        self._average = 1.0
        self._updated_s = float("-inf")
        self._credit: dict[str, float] = {}

    def pick(self, candidates: Sequence[Candidate], request: PickRequest, now_s: float) -> Candidate:
        if now_s - self._updated_s >= UPDATE_S:
            self._update(now_s)
        credit, weights, average = self._credit, self._weights, self._average
        total, best, most = 0.0, candidates[0], float("-inf")
        for candidate in candidates:
            weight = weights.get(candidate.id, average) * candidate.weight
            total += weight
            held = credit[candidate.id] = credit.get(candidate.id, self.rng.random() * weight) + weight
            if held > most:
                best, most = candidate, held
        credit[best.id] -= total
        return best

    def _update(self, now_s: float) -> None:
        usable = {
            replica_id: reading.weight
            for replica_id, reading in self._readings.items()
            if now_s - reading.since_s >= BLACKOUT_S and now_s - reading.at_s < EXPIRY_S
        }
        enough = len(usable) >= KNOWN_LEAST
        self._weights = usable if enough else {}
        self._average = sum(usable.values()) / len(usable) if enough else 1.0
        self._updated_s = now_s
        self.lacks = "" if enough else "load reports of two replicas over 10 s"

    def ended(self, candidate: Candidate, outcome: Outcome, now_s: float) -> None:
        report = outcome.report
        reading = self._readings.get(candidate.id)
        if reading is not None:
            reading.ended += 1
            reading.failed += outcome.kind in FAULTS
        if report is None or not report.rps:
            return
        utilization = report.application_utilization or report.cpu_utilization
        if not utilization:
            return
        if reading is None or now_s - reading.at_s >= EXPIRY_S:
            reading = self._readings[candidate.id] = _Reading(now_s, now_s, 0.0)
        failing = reading.failed / reading.ended if reading.ended else 0.0
        reading.weight = report.rps / (utilization + failing * ERROR_PENALTY)
        if now_s - reading.at_s >= UPDATE_S:
            reading.at_s, reading.ended, reading.failed = now_s, 0, 0

    def forget(self, replica_id: str) -> None:
        for known in (self._readings, self._weights, self._credit):
            known.pop(replica_id, None)

    def explain(self, candidate: Candidate, now_s: float) -> dict[str, float]:
        return {"weight_rps": self._weights.get(candidate.id, self._average)}
