"""The admin routes of scaling, through the real application and its defences."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from starlette.types import ASGIApp

from argosy.config.models import Fleet
from argosy.contracts.codec import JSON
from argosy.contracts.history import HistoryPage
from argosy.contracts.scaling import Action, Decision, Reason, ScaleOrder, ScalingView
from argosy.control.api.app import create_admin_app
from argosy.control.controller import Controller
from argosy.control.discovery.publisher import Publisher
from argosy.control.events.feed import Feed
from argosy.control.history.history import History
from argosy.control.history.measures import TICK_S
from argosy.control.history.series import Series
from argosy.control.monitoring.prober import Prober
from argosy.control.platforms.fake import FakePlatform
from argosy.control.prediction.capacity import CapacityFit
from tests.asgi import Answer, call

pytestmark = pytest.mark.unit

PATH = "/v1/services/embedding"
TOKEN = {"authorization": "Bearer token"}


@pytest.fixture
def admin(tmp_path: Path) -> Iterator[ASGIApp]:
    with controller_of(tmp_path) as controller:
        yield create_admin_app(controller, "token")


@contextlib.contextmanager
def controller_of(data_dir: Path) -> Iterator[Controller]:
    fleet = Fleet.model_validate({"services": {"embedding": {"replicas": {"max": 4}}}})
    history = History(data_dir)
    yield Controller(fleet, FakePlatform(), Prober("token", 1.0), Publisher(1), Feed(history), history, public_port=0)
    history.close()


async def view(app: ASGIApp, method: str, path: str, json: object = None) -> ScalingView:
    answer = await call(app, method, path, json=json, headers=TOKEN)
    assert answer.status == 200
    return msgspec.json.decode(answer.body, type=ScalingView)


async def refused(app: ASGIApp, method: str, path: str, json: object = None) -> Answer:
    return await call(app, method, path, json=json, headers=TOKEN)


async def test_it_shows_how_a_service_is_scaled(admin: ASGIApp) -> None:
    seen = await view(admin, "GET", f"{PATH}/scaling")
    assert (seen.policy, seen.min_instances, seen.max_instances, seen.fixed) == ("predictive", 1, 4, "")
    assert (await refused(admin, "GET", "/v1/services/nobody/scaling")).status == 404
    assert "one writer" in (await view(admin, "GET", "/v1/services/store/scaling")).fixed


async def test_it_changes_what_is_given_and_nothing_else(admin: ASGIApp) -> None:
    change = {"policy": "threshold", "max_instances": 6, "cooldown": 60, "thresholds": {"up": {"cpu": 0.6}}}
    seen = await view(admin, "PUT", f"{PATH}/scaling", change)
    assert (seen.policy, seen.min_instances, seen.max_instances, seen.cooldown) == ("threshold", 1, 6, 60)
    assert isinstance(seen.thresholds["up"], dict)
    assert isinstance(seen.thresholds["down"], dict)
    assert (seen.thresholds["up"]["cpu"], seen.thresholds["down"]["cpu"]) == (0.6, 0.3)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"max_instances": 0}', "max_instances"),
        (b'{"min_instances": 9}', "min_instances"),
        (b'{"cooldown": -1}', "cooldown"),
        (b'{"polcy": "target"}', "polcy"),
        (b"[]", "body"),
        (b"\xff", "body"),
        (b"", "body"),
        (b'{"policy": "threshold", "thresholds": {"down": {"cpu": 0.9}}}', "down.cpu"),
    ],
)
async def test_what_cannot_be_is_refused_with_a_reason(admin: ASGIApp, body: bytes, said: str) -> None:
    answer = await call(admin, "PUT", f"{PATH}/scaling", body=body, headers={**TOKEN, "content-type": JSON})
    assert (answer.status, answer.error()["code"]) == (400, "invalid_request")
    assert said in str(answer.error()["message"])


async def test_a_number_by_hand_and_back(admin: ASGIApp) -> None:
    seen = await view(admin, "POST", f"{PATH}/scale", ScaleOrder(3, 60))
    assert seen.current_instances == 3
    assert seen.override is not None
    assert seen.override.replicas == 3
    assert seen.decisions[0].decision.reason is Reason.MANUAL_OVERRIDE
    assert (await view(admin, "POST", f"{PATH}/scale", {})).override is None
    assert (await refused(admin, "POST", f"{PATH}/scale", {"replicas": 5})).status == 400
    assert (await refused(admin, "POST", "/v1/services/store/scale", {"replicas": 1})).status == 409


async def test_the_history_says_what_it_cannot_tell(admin: ASGIApp) -> None:
    answer = await call(admin, "GET", f"{PATH}/history", headers=TOKEN)
    page = msgspec.json.decode(answer.body, type=HistoryPage)
    assert (answer.status, page.step_s, page.series, page.replicas) == (200, 15, {}, {})
    for query, param in (("window=91d", "window"), ("window=soon", "window"), ("measure=colour", "measure")):
        answer = await call(admin, "GET", f"{PATH}/history?{query}", headers=TOKEN)
        assert (answer.status, answer.error()["param"]) == (400, param)
    assert (await refused(admin, "GET", "/v1/services/nobody/history")).status == 404


@pytest.fixture
def recorded(tmp_path: Path) -> Iterator[Controller]:
    """Yield a controller with a day in which four replicas ran where two would suffice, and a model that shows it."""
    series, last = Series(tmp_path), int(time.time() // TICK_S) - 1
    for tick in range(last - 86_400 // TICK_S, last + 1):
        series.record(TICK_S, tick, {"embedding/rate": 3.0, "embedding/replicas": 4.0})
    series.close()
    with controller_of(tmp_path) as controller:
        controller.forecaster._outlooks["embedding"].fitted = CapacityFit(
            400, service_time_s=0.2, slots=4, slots_low=2, slots_high=8, r2=0.9
        )
        yield controller


async def test_a_day_that_a_fixed_number_would_have_served_recommends_it(recorded: Controller) -> None:
    admin = create_admin_app(recorded, "token")
    said = "Over the last 24 h of history, 2 replicas at all times would have been enough"
    assert (await view(admin, "GET", f"{PATH}/scaling")).recommendation.startswith(said)
    limited = Decision(Action.NONE, 4, Reason.AT_MAXIMUM, binding="max_instances = 4")
    recorded.scaler._registrations.of("embedding").record(time.time(), limited, False)
    assert (await view(admin, "GET", f"{PATH}/scaling")).recommendation == "Raise replicas.max: max_instances = 4."
    seen = await view(admin, "PUT", f"{PATH}/scaling", {"min_instances": 2, "max_instances": 2})
    assert said not in seen.recommendation, "there is nothing left to recommend"


async def test_a_rule_that_was_changed_is_recommended_for_anew(recorded: Controller) -> None:
    admin = create_admin_app(recorded, "token")
    assert "2 replicas at all times" in (await view(admin, "GET", f"{PATH}/scaling")).recommendation
    seen = await view(admin, "PUT", f"{PATH}/scaling", {"min_instances": 3})
    assert "3 replicas at all times" in seen.recommendation


async def test_without_a_learnt_model_nothing_is_recommended(recorded: Controller) -> None:
    recorded.forecaster._outlooks["embedding"].fitted = CapacityFit(100, service_time_s=0.2, slots=4, slots_low=2)
    assert (await view(create_admin_app(recorded, "token"), "GET", f"{PATH}/scaling")).recommendation == ""


async def test_a_history_that_cannot_be_read_keeps_no_order_from_being_obeyed(
    recorded: Controller, tmp_path: Path
) -> None:
    with contextlib.closing(sqlite3.connect(tmp_path / "control.db")) as db:
        db.execute("DROP TABLE ticks")
    seen = await view(create_admin_app(recorded, "token"), "POST", f"{PATH}/scale", ScaleOrder(3, 60))
    assert (seen.current_instances, seen.recommendation) == (3, "")


async def test_it_needs_the_token(admin: ASGIApp) -> None:
    answer = await call(admin, "POST", f"{PATH}/scale", json={"replicas": 2})
    assert answer.status == 401
