"""Tests of the overload count: missing capacity counts, a broken dependency does not."""

from __future__ import annotations

import pytest
from starlette.routing import Mount
from starlette.types import Receive, Scope, Send

from argosy.contracts.errors import ArgosyError, DeadlineExceeded, Internal, Overloaded, Unavailable
from argosy.contracts.request import RequestContext
from argosy.serving.app import create_app, typed
from argosy.serving.load import MOST_NAMED, LoadTracker
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


async def test_an_app_reports_what_it_measures_by_name_beside_its_load() -> None:
    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        report = (
            b"TEXT cpu_utilization=9, named_metrics.gpu=0.25, named_metrics.rif=99, named_metrics.bad=nan,"
            b"named_metrics.a b=1"
        )
        headers = [(b"content-type", b"text/plain"), (b"Endpoint-Load-Metrics", report)]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"done"})

    kit = make_kit()
    app = create_app(kit, [Mount("/", answer)])
    found = await call(app, "GET", "/anything", headers=FLEET_HEADERS)
    report = found.headers["endpoint-load-metrics"]
    assert report.endswith("named_metrics.gpu=0.25")
    assert report.count("TEXT") == 1
    assert "rif=99" not in report
    assert kit.load.snapshot().named == {"gpu": 0.25}


def test_only_so_many_names_are_kept_and_only_while_they_are_said() -> None:
    now = [0.0]
    load = LoadTracker(lambda: now[0], capacity=1)
    for number in range(MOST_NAMED + 5):
        load.take_named(f"TEXT named_metrics.m{number}=1")
    load.take_named("TEXT named_metrics.m0=2")
    assert len(load.named) == MOST_NAMED
    assert load.named["m0"] == 2
    now[0] = 40.0
    load.take_named("TEXT named_metrics.m1=3")
    now[0] = 70.0
    assert load.named == {"m1": 3}, "what was said more than a minute ago is not known any more"
