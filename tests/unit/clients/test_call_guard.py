"""Tests of refusals by the caller: beyond its bulkhead, and of calls that the service would probably refuse."""

from __future__ import annotations

import pytest

from argosy.clients.call_guard import LEAST_REQUESTS, CallGuard
from argosy.config.protection import ProtectionSettings
from argosy.contracts.errors import Overloaded
from argosy.contracts.request import Priority

pytestmark = pytest.mark.unit
ME, BULK = Priority.INTERACTIVE, Priority.BULK


def guard(**settings: object) -> CallGuard:
    return CallGuard("store", ProtectionSettings.model_validate(settings), chance=lambda: 0.0)


def test_past_the_bulkhead_the_service_is_named_and_leaving_makes_room() -> None:
    full = guard(max_concurrent_calls=2)
    full.enter(ME, 0.0)
    full.enter(ME, 0.0)
    with pytest.raises(Overloaded, match=r"2 calls to the store service .* services\.store\.protection"):
        full.enter(ME, 0.0)
    full.leave()
    full.enter(ME, 0.0)
    assert (full.in_work, full.bulkhead_refused) == (2, 1)


def test_bulk_work_that_is_refused_throttles_no_query() -> None:
    shedding = guard()
    for _ in range(LEAST_REQUESTS):
        shedding.enter(BULK, 0.0)
        shedding.heard(BULK, 0.0, refused=True)
        shedding.enter(ME, 0.0)
        shedding.heard(ME, 0.0, refused=False)
    with pytest.raises(Overloaded, match="store service refuses most requests now"):
        shedding.enter(BULK, 0.0)
    shedding.enter(ME, 0.0)
    assert shedding.throttled == 1


def test_calls_that_nobody_has_answered_yet_throttle_nothing() -> None:
    busy = guard(max_concurrent_calls=0)
    for _ in range(10 * LEAST_REQUESTS):
        busy.enter(ME, 0.0)
    assert busy.throttled == 0


def test_switched_off_it_sends_everything() -> None:
    off = guard(throttling=False, max_concurrent_calls=0)
    for _ in range(1000):
        off.enter(ME, 0.0)
    assert (off.throttled, off.bulkhead_refused) == (0, 0)
