"""Why a balancer picks as it does: a row for each replica."""

from __future__ import annotations

import msgspec


class ReplicaExplanation(msgspec.Struct, frozen=True):
    id: str
    state: str
    """`in`, `out`, `trial` (out, and tried with single requests), `suspect` (would be out, but too many are)."""
    why: str
    """Why it is not in; empty when it is."""
    weight: float
    """Its own, times what slow start and suspicion leave of it."""
    in_flight: int
    picked_share: float
    """Of the picks of the last minute."""
    ended: int
    failed: int
    figures: dict[str, float]
    """What the strategy's choice rests on, units in the names."""
    report_age_s: float | None = None


class BalanceExplanation(msgspec.Struct, frozen=True):
    service: str
    strategy: str
    lacks: str
    """Data that the strategy had to do without at its last pick."""
    panic: bool
    """Too few good replicas: none is put out or weighted down."""
    replicas: list[ReplicaExplanation]
