"""Test that only members of the fleet can choose a strategy with a header."""

from __future__ import annotations

import msgspec
import pytest

from argosy.contracts.request import STRATEGY_HEADER, RequestContext
from argosy.serving.app import create_app, typed
from tests.asgi import call
from tests.kits import FLEET_HEADERS, make_kit

pytestmark = pytest.mark.unit


class Seen(msgspec.Struct):
    strategy: str | None = None


async def see(asked: Seen, context: RequestContext) -> Seen:
    assert context.headers().get(STRATEGY_HEADER) == context.strategy, "the next hop is sent what this one was"
    return Seen(context.strategy)


@pytest.mark.parametrize(("token", "strategy"), [(FLEET_HEADERS, "prequal"), ({}, None)])
async def test_only_the_fleets_token_chooses_a_strategy(token: dict[str, str], strategy: str | None) -> None:
    kit = make_kit("gateway")
    kit.public_prefixes = ("/",)
    kit.configure_defences(("127.0.0.1",), (), 1024)
    headers = {**token, STRATEGY_HEADER: "prequal", "accept": "application/json"}
    answer = await call(create_app(kit, [typed("/see", Seen, see)]), "POST", "/see", json={}, headers=headers)
    assert (answer.status, answer.json()) == (200, {"strategy": strategy})
