"""Explanation of a balancer's picks: one row per replica."""

from __future__ import annotations

from collections.abc import Mapping

from argosy.balancing.candidate import Candidate
from argosy.balancing.eligibility import Eligibility, State
from argosy.balancing.strategy import Strategy
from argosy.contracts.balance import ReplicaExplanation


def explained(
    candidate: Candidate,
    strategy: Strategy,
    eligibility: Eligibility | None,
    shares: Mapping[str, float],
    now_s: float,
) -> ReplicaExplanation:
    """Explain each replica's standing.

    Args:
        eligibility: None when ejection is off.
        shares: share of the last minute's picks, by replica.
    """
    state, why, factor = _standing(candidate, eligibility, now_s)
    return ReplicaExplanation(
        id=candidate.id,
        state=state,
        why=why,
        weight=candidate.full_weight * factor,
        in_flight=candidate.in_flight,
        picked_share=shares.get(candidate.id, 0.0),
        ended=candidate.ended,
        failed=candidate.failed,
        figures=strategy.explain(candidate, now_s),
        report_age_s=None if candidate.report is None else now_s - candidate.reported_s,
    )


def _standing(candidate: Candidate, eligibility: Eligibility | None, now_s: float) -> tuple[str, str, float]:
    """Return the replica's state, the reason, and the share of its full weight."""
    if eligibility is None:
        return State.IN.value, "", 1.0
    standing = eligibility.standings[candidate.id]
    if standing.state is not State.IN:
        state = "suspect" if standing.suspect else standing.state.value
        return state, standing.why, 1.0 if eligibility.panic else eligibility.weight(candidate.id, now_s)
    factor = 1.0 if eligibility.panic else eligibility.weight(candidate.id, now_s)
    return State.IN.value, "starts slowly" if factor < 1.0 else "", factor
