"""What counts as overload: want of capacity, not a dependency that is broken."""

from __future__ import annotations

import pytest

from argosy.contracts.errors import ArgosyError, DeadlineExceeded, Internal, Overloaded, Unavailable
from argosy.contracts.request import RequestContext
from argosy.serving.app import create_app, typed
from argosy.serving.load import LoadTracker
from tests.asgi import call
from tests.kits import FLEET_HEADERS, make_kit

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("error", "counts"),
    [(Overloaded("full"), 1), (DeadlineExceeded("late"), 1), (Unavailable("store is away"), 0), (Internal("bug"), 0)],
)
async def test_only_want_of_capacity_counts_as_overload(error: ArgosyError, counts: int) -> None:
    async def fail(body: dict[str, str], context: RequestContext) -> None:
        raise error

    kit = make_kit()
    app = create_app(kit, [typed("/fail", dict[str, str], fail)])
    answer = await call(app, "POST", "/fail", json={}, headers=FLEET_HEADERS)
    assert answer.status == error.status
    load: LoadTracker = kit.load
    assert (load.requests, load.snapshot().overloaded) == (1, counts)
