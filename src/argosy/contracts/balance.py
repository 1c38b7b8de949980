"""Explanation of the balancing of one service, by each of its callers."""

from __future__ import annotations

import msgspec

from argosy.contracts.fleet import Health


class ReplicaExplanation(msgspec.Struct, frozen=True):
    """Replica as one calling process sees it."""

    id: str
    state: str
    """`in`, `out` (ejected), `trial` (ejected, single requests), `suspect` (weighted down: too many are ejected)."""
    why: str
    """Reason why it is ejected or has less than its full weight; empty otherwise."""
    weight: float
    """Weight relative to the heaviest replica, times the share left by slow start and suspicion; 0 when ejected."""
    in_flight: int
    picked_share: float
    """Share of the picks of the last minute."""
    ended: int
    failed: int
    """Number of ended requests that failed through the replica's fault."""
    figures: dict[str, float]
    """Figures that the strategy chooses by, with units in their names."""
    report_age_s: float | None = None
    """Seconds since its last load report; None when it never sent one."""


class BalanceExplanation(msgspec.Struct, frozen=True):
    """Balancer of one service in one calling process."""

    service: str
    strategy: str
    lacks: str
    """Data that the strategy lacked at its last pick; empty when it had all."""
    panic: bool
    """Whether too few replicas are good, so that none is ejected or weighted down."""
    picks: int
    """Number of picks in the last minute."""
    replicas: list[ReplicaExplanation]


class CallerBalance(msgspec.Struct):
    caller: str
    """Id of the calling replica."""
    age_s: float
    """Age of the explanation in seconds, since the caller was asked."""
    balance: BalanceExplanation


class SilentCaller(msgspec.Struct):
    caller: str
    reason: str
    """Reason why the caller could not be asked."""


class Offer(msgspec.Struct):
    """Replica as the controller offers it to callers."""

    id: str
    offered: bool
    """Whether the replica is in the endpoint set."""
    weight: float
    """Weight in the endpoint set; 0 when the replica is not in it."""
    status: Health
    reason: str
    """Reason why the replica is not offered or not healthy."""


class BalanceView(msgspec.Struct):
    """Response of `GET /v1/services/{name}/balance`."""

    service: str
    strategy: str
    replicas: list[Offer]
    callers: list[CallerBalance]
    """Processes that know the service, whether or not they called it recently."""
    silent: list[SilentCaller]
