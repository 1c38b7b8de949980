"""Why a service's callers pick its replicas as they do."""

from __future__ import annotations

import msgspec

from argosy.contracts.fleet import Health


class ReplicaExplanation(msgspec.Struct, frozen=True):
    """One replica as one calling process sees it."""

    id: str
    state: str
    """`in`, `out`, `trial` (out, and tried with single requests), `suspect` (would be out, but too many are)."""
    why: str
    """Why it is not in, or gets less than its weight; empty for any other."""
    weight: float
    """Its own over the heaviest's, times what slow start and suspicion leave of it; 0 when it is out."""
    in_flight: int
    picked_share: float
    """Of the picks of the last minute."""
    ended: int
    failed: int
    """Of those that ended: by the replica's fault."""
    figures: dict[str, float]
    """What the strategy's choice rests on, units in the names."""
    report_age_s: float | None = None
    """Since its last load report; None when it never sent one."""


class BalanceExplanation(msgspec.Struct, frozen=True):
    """One calling process's balancer of one service."""

    service: str
    strategy: str
    lacks: str
    """Data that the strategy had to do without at its last pick."""
    panic: bool
    """Too few good replicas: none is put out or weighted down."""
    picks: int
    """Of the last minute."""
    replicas: list[ReplicaExplanation]


class CallerBalance(msgspec.Struct):
    caller: str
    """The calling replica's id."""
    age_s: float
    """How old its explanation is: since it was asked."""
    balance: BalanceExplanation


class SilentCaller(msgspec.Struct):
    caller: str
    reason: str
    """Why it could not be asked."""


class Offer(msgspec.Struct):
    """What the controller tells callers of one replica."""

    id: str
    offered: bool
    """Whether it is in the endpoint set."""
    weight: float
    """In that set; 0 for one that is not."""
    status: Health
    reason: str
    """Why it is not offered, or not healthy."""


class BalanceView(msgspec.Struct):
    """The answer of `GET /v1/services/{name}/balance`."""

    service: str
    strategy: str
    replicas: list[Offer]
    callers: list[CallerBalance]
    """Processes that know the service, whether or not they called it lately."""
    silent: list[SilentCaller]
