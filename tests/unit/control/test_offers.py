"""Reasons that the controller gives for offering a replica to callers or not."""

from __future__ import annotations

import pytest

from argosy.contracts.balance import Offer
from argosy.contracts.fleet import Health, ReplicaView
from argosy.control.monitoring.balance import offer

pytestmark = pytest.mark.unit


def view(status: Health, reason: str = "") -> ReplicaView:
    return ReplicaView("store-1", 1, "http://store-1", "r1", status, reason, None, 0, None, {}, None, 0)


@pytest.mark.parametrize(
    ("status", "reason", "weight", "draining", "said"),
    [
        (Health.HEALTHY, "", 1.0, False, ""),
        (Health.DEGRADED, "slow disk", 0.25, False, "slow disk"),
        (Health.UNHEALTHY, "no answer", None, False, "no answer"),
        (Health.HEALTHY, "", None, True, "draining"),
        (Health.HEALTHY, "well", None, False, "not ready, or it missed a probe while others answer"),
    ],
)
def test_every_replica_that_is_not_offered_has_a_reason(
    status: Health, reason: str, weight: float | None, draining: bool, said: str
) -> None:
    offered = offer(view(status, reason), weight, draining)
    assert offered == Offer("store-1", weight is not None, weight or 0.0, status, said)
