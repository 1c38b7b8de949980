from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import msgspec
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from argosy.clients.status import StatusClient
from argosy.contracts.errors import Unavailable
from argosy.contracts.fleet import ControllerView, Endpoint, FleetView, Health
from tests.kits import FLEET_HEADERS, TOKEN, context, served

pytestmark = pytest.mark.integration

VIEW = FleetView(ControllerView(1, 2.0, "0.1.0"), Health.HEALTHY, [])


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as made:
        yield made


async def fleet(request: Request) -> Response:
    assert request.headers["authorization"] == FLEET_HEADERS["authorization"]
    return Response(msgspec.json.encode(VIEW))


async def nonsense(request: Request) -> Response:
    return Response(b"<html>")


async def test_the_controllers_view_is_fetched_with_the_fleets_token(session: aiohttp.ClientSession) -> None:
    async with served(Starlette(routes=[Route("/v1/fleet", fleet)])) as url:
        assert await StatusClient(session, url, TOKEN).fleet(context()) == VIEW


async def test_what_does_not_run_or_answers_nonsense_is_unavailable(session: aiohttp.ClientSession) -> None:
    with pytest.raises(Unavailable, match="cannot be reached"):
        await StatusClient(session, "http://127.0.0.1:9", TOKEN).fleet(context())
    async with served(Starlette(routes=[Route("/internal/status", nonsense)])) as url:
        client = StatusClient(session, url, TOKEN)
        with pytest.raises(Unavailable, match="answered 404"):
            await client.fleet(context())
        with pytest.raises(Unavailable, match="invalid status message"):
            await client.replica(Endpoint("store-1", url), context())
