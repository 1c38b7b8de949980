"""The admin API asks callers over real sockets how they balance a service."""

from __future__ import annotations

import random
import socket
from pathlib import Path

import msgspec
import pytest

from argosy.balancing.balancer import Balancer
from argosy.balancing.outcome import LoadReport, OutcomeKind
from argosy.config.models import Fleet
from argosy.contracts.balance import BalanceExplanation, BalanceView
from argosy.contracts.fleet import Endpoint
from argosy.control.api.app import create_admin_app
from argosy.control.controller import Controller
from argosy.control.discovery.publisher import Publisher
from argosy.control.events.feed import Feed
from argosy.control.history.history import History
from argosy.control.monitoring.prober import Prober
from argosy.control.platforms.fake import FakePlatform
from argosy.control.platforms.platform import Replica
from argosy.serving.app import create_app
from argosy.serving.kit import Kit
from tests.asgi import call
from tests.kits import FLEET_HEADERS, TOKEN, make_kit, served

pytestmark = pytest.mark.integration


class Running(FakePlatform):
    """Platform with replicas that another process started."""

    def __init__(self, replicas: list[Replica]) -> None:
        super().__init__()
        self._running = replicas

    def replicas(self) -> list[Replica]:
        return self._running


def calling_kit() -> Kit:
    """Return the kit of a retrieval process that picked two stores, one of which fails."""
    picking = Balancer("store", "least_connections", rng=random.Random(1))
    picking.update([Endpoint("store-1", "http://store-1"), Endpoint("store-2", "http://store-2")])
    for _ in range(50):
        lease = picking.pick()
        lease.end(OutcomeKind.REFUSED if lease.endpoint.id == "store-2" else OutcomeKind.OK, LoadReport(rif=1))

    def explain(service: str) -> BalanceExplanation | None:
        return picking.explain() if service == "store" else None

    kit = make_kit("retrieval")
    kit.balance = explain
    return kit


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def test_it_shows_what_each_caller_sees_and_names_those_that_do_not_answer(tmp_path: Path) -> None:
    kit = calling_kit()
    history = History(tmp_path)
    async with served(create_app(kit, [])) as retrieval, served(create_app(make_kit(), [])) as store:
        replicas = [
            Replica("retrieval-1", "retrieval", "r1", url=retrieval),
            Replica("retrieval-2", "retrieval", "r1", url=f"http://127.0.0.1:{closed_port()}"),
            Replica("store-1", "store", "r1", url=store),
            Replica("outside-1", "store", "r1", url=f"http://127.0.0.1:{closed_port()}", external=True),
        ]
        publisher = Publisher(1)
        publisher.publish({"store": [Endpoint("store-1", store, 0.25)]})
        platform = Running(replicas)
        controller = Controller(Fleet(), platform, Prober(TOKEN, 1.0), publisher, Feed(history), history, public_port=0)
        app = create_admin_app(controller, TOKEN)
        answer = await call(app, "GET", "/v1/services/store/balance", headers=FLEET_HEADERS)
        unknown = await call(app, "GET", "/v1/services/nobody/balance", headers=FLEET_HEADERS)
        stranger = await call(app, "GET", "/v1/services/store/balance")
    history.close()
    assert (unknown.status, stranger.status) == (404, 401)
    said = msgspec.json.decode(answer.body, type=BalanceView)
    assert (said.service, said.strategy) == ("store", "adaptive")
    assert [(offer.id, offer.offered, offer.weight) for offer in said.replicas[:1]] == [("store-1", True, 0.25)]
    assert [(silent.caller, silent.reason) for silent in said.silent] == [
        ("retrieval-2", "connection refused or reset")
    ]
    [caller] = said.callers
    assert caller.caller == "retrieval-1"
    assert caller.age_s < 5
    assert (caller.balance.strategy, caller.balance.picks) == ("least_connections", 50)
    out = caller.balance.replicas[1]
    assert (out.id, out.state, out.weight, out.failed) == ("store-2", "out", 0.0, 3)
    assert out.why
    assert out.report_age_s is not None
    assert kit.load.requests == 0  # the query does not count as load


async def test_a_set_that_is_not_published_offers_nobody(tmp_path: Path) -> None:
    history = History(tmp_path)
    replicas = [Replica("store-1", "store", "r1")]
    publisher = Publisher(1)
    controller = Controller(
        Fleet(), Running(replicas), Prober(TOKEN, 1.0), publisher, Feed(history), history, public_port=0
    )
    answer = await call(create_admin_app(controller, TOKEN), "GET", "/v1/services/store/balance", headers=FLEET_HEADERS)
    history.close()
    said = msgspec.json.decode(answer.body, type=BalanceView)
    assert [(offer.id, offer.offered) for offer in said.replicas] == [("store-1", False)]
    assert said.replicas[0].reason
    assert (said.callers, said.silent) == ([], [])
