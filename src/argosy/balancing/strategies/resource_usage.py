"""Lowest utilisation as reported by the replicas: the highest of processor, memory and admission.

Replicas within 5 points of each other are compared by requests in flight; otherwise all callers would take the same
replica until its next report. Reports older than 10 s are ignored.
"""

from __future__ import annotations

from collections.abc import Sequence

from argosy.balancing.candidate import Candidate
from argosy.balancing.strategy import PickRequest, Strategy

REPORT_EXPIRES_S = 10.0
STEP = 0.05


def utilization(candidate: Candidate, now_s: float) -> float | None:
    """Return the utilisation in [0, 1], above 1 when overcommitted; None without a recent report."""
    report = candidate.report
    if report is None or now_s - candidate.reported_s > REPORT_EXPIRES_S:
        return None
    told = (report.cpu_utilization, report.mem_utilization, report.application_utilization)
    return max((value for value in told if value is not None), default=None)


class ResourceUsage(Strategy):
    """Strategy in which a replica without a report counts as the average, and in-flight decides without any report."""

    def pick(self, candidates: Sequence[Candidate], request: PickRequest, now_s: float) -> Candidate:
        looked_at = self.some(candidates)
        told = [utilization(candidate, now_s) for candidate in looked_at]
        known = [value for value in told if value is not None]
        self.lacks = "" if known else "load reports"
        average = sum(known) / len(known) if known else 0.0
        best, least = looked_at[0], (float("inf"), 0.0, 0.0)
        for candidate, value in zip(looked_at, told, strict=True):
            level = round((average if value is None else value) / candidate.weight / STEP)
            cost = (level, (candidate.in_flight + 1) / candidate.weight, self.rng.random())
            if cost < least:
                best, least = candidate, cost
        return best

    def explain(self, candidate: Candidate, now_s: float) -> dict[str, float]:
        value = utilization(candidate, now_s)
        return {} if value is None else {"utilization": value}
