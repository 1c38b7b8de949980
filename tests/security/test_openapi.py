"""Both APIs behave as their OpenAPI documents state, whatever is sent, and never answer with a 500."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.routing import Route

from argosy.config.models import Fleet
from argosy.control.api.app import create_admin_app
from argosy.control.controller import Controller
from argosy.control.discovery.publisher import Publisher
from argosy.control.events.feed import Feed
from argosy.control.history.history import History
from argosy.control.monitoring.prober import Prober
from argosy.control.platforms.fake import FakePlatform
from tests.asgi import call
from tests.e2e.fleet import FAKE, MakeFleet, RealFleet
from tests.kits import served
from tests.security.schema_runs import AnyCase, run
from tests.unit.gateway.fakes import Rig

pytestmark = [pytest.mark.security, pytest.mark.timeout(1800 if os.environ.get("ARGOSY_SOAK") else 180)]

EXAMPLES = 50 if os.environ.get("ARGOSY_SOAK") else 5
GATEWAY_EXAMPLES = max(EXAMPLES, 12)
"""Fewer do not come to a conflict."""
TOKEN = {"authorization": "Bearer token"}


@pytest.fixture(scope="module")
def fleet(make_fleet: MakeFleet) -> RealFleet:
    fleet = make_fleet()
    fleet.up(*FAKE).ok()
    return fleet


def in_time(case: AnyCase) -> None:
    """Remove deadlines, which may give a 504, and event streams, which never end, from a request."""
    for name in [name for name in case.headers or () if name.lower() == "x-argosy-deadline-ms"]:
        del case.headers[name]
    if case.path == "/v1/events" and case.query:
        case.query.pop("follow", None)


class Known:
    """Puts existing names into every other request, because most requests would otherwise end at an unknown name."""

    def __init__(self, **names: str) -> None:
        self._names = names
        self._count = 0

    def __call__(self, case: AnyCase) -> None:
        in_time(case)
        self._count += 1
        if self._count % 2:
            return
        for place in (case.path_parameters, case.body):
            if isinstance(place, dict):
                place.update({name: known for name, known in self._names.items() if name in place})


def test_the_gateway_answers_as_its_document_says(fleet: RealFleet) -> None:
    before = fleet.pids()
    accepted = fleet.call("POST", "/v1/documents", {"documents": [{"text": "High water at noon."}]}).json()
    known = Known(model="argosy", document_id=accepted["documents"][0]["id"], batch_id=accepted["batch_id"])
    seen = run(fleet.url, {}, known, GATEWAY_EXAMPLES)
    assert {200, 201, 202, 400, 404, 409} <= seen
    assert fleet.pids() == before


CHANGES = frozenset(
    {
        "PUT /v1/services/{name}/scaling",
        "POST /v1/services/{name}/scale",
        "POST /v1/services/{name}/replicas/{replica_id}/drain",
        "POST /v1/services/{name}/calibration",
        "POST /v1/plan",
    }
)
"""Operations that change which processes run or are planned."""


def test_the_admin_api_of_a_fleet_answers_as_its_document_says(fleet: RealFleet) -> None:
    token = {"authorization": f"Bearer {fleet.token}"}
    seen = run(fleet.admin_url, token, in_time, EXAMPLES, lambda operation: operation not in CHANGES)
    assert {200, 400, 401, 404} <= seen


def controller_on(history: History) -> Controller:
    fleet = Fleet.model_validate({"services": {"embedding": {"replicas": {"max": 4}}}})
    return Controller(fleet, FakePlatform(), Prober("token", 1.0), Publisher(1), Feed(history), history, public_port=0)


@contextlib.contextmanager
def admin_without_processes(data_dir: Path) -> Iterator[str]:
    """Run the admin API of a controller whose platform starts no processes, on its own loop. Yields: its URL."""
    began, url, stop = threading.Event(), "", asyncio.Event()

    async def serve() -> None:
        nonlocal url
        history = History(data_dir)
        controller = controller_on(history)
        running = asyncio.create_task(controller.run())
        async with served(create_admin_app(controller, "token")) as url:
            began.set()
            await stop.wait()
        controller.ask_to_stop()
        await running
        history.close()

    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    try:
        assert began.wait(30)
        yield url
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(60)
        loop.close()


def test_what_changes_a_fleet_answers_as_the_document_says(tmp_path: Path) -> None:
    """Use a platform without processes, because requests may ask for 256 replicas."""
    with admin_without_processes(tmp_path) as url:
        changed = run(url, TOKEN, in_time, EXAMPLES, lambda operation: operation in CHANGES)
        assert {200, 400, 401, 404, 409} <= changed
        after = ("GET /v1/services/{name}/scaling", "GET /v1/usage", "GET /v1/events", "GET /v1/config")
        assert 200 in run(url, TOKEN, in_time, 3, lambda operation: operation in after)


ERROR = {"$ref": "#/components/schemas/ErrorResponse"}


async def document(api: str, data_dir: Path) -> dict[str, Any]:
    if api == "gateway":
        app = Rig().app
    else:
        history = History(data_dir)
        app = create_admin_app(controller_on(history), "token")
        history.close()
    return (await call(app, "GET", "/openapi.json", headers=TOKEN)).json()


@pytest.mark.parametrize("api", ["gateway", "admin"])
async def test_every_operation_is_described_whole(api: str, tmp_path: Path) -> None:
    """Check that errors have OpenAI's shape and that no answer has a schema that accepts anything."""
    described = await document(api, tmp_path)
    assert described["components"]["schemas"]["ErrorResponse"]["required"] == ["error"]
    for path, operations in described["paths"].items():
        for method, operation in operations.items():
            responses = operation["responses"]
            assert {"400", "403", "421", "500"} <= set(responses), (path, method)
            assert "404" in responses or "{" not in path, (path, method)
            assert "415" in responses or method in ("get", "options"), (path, method)
            assert ("401" in responses) == ("security" in operation), (path, method)
            for status, given in responses.items():
                response = described["components"]["responses"][status] if "$ref" in given else given
                contents = response.get("content", {}).values()
                assert all(content["schema"] for content in contents), (path, method, status)
                if status.startswith(("4", "5")) and path != "/readyz":
                    assert [content["schema"] for content in contents] == [ERROR], (path, method, status)


async def test_routes_outside_of_fastapi_are_described_too(tmp_path: Path) -> None:
    described = await document("gateway", tmp_path)
    router = Rig().app._app._router  # type: ignore[attr-defined]
    plain = {route.path.replace(":path}", "}") for route in router.routes if type(route) is Route}
    assert {path for path in plain if not path.startswith(("/internal/", "/openapi"))} <= set(described["paths"])
