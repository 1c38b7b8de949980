"""Web pages of allowed origins can call the public API from a browser; all other origins are refused as before."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from argosy.config.loader import load
from argosy.contracts.errors import ConfigError, Overloaded
from argosy.services.gateway.app import create_gateway_app
from argosy.services.gateway.gateway import Gateway
from argosy.serving.app import create_app
from argosy.serving.browsers import BrowserAccess
from tests.kits import make_kit, served

pytestmark = pytest.mark.integration

PAGE = "https://app.example.org"
SETTING = f'services.gateway.allowed_origins=["{PAGE}"]'
PREFLIGHT = {"access-control-request-method": "POST", "access-control-request-headers": "content-type,x-anything"}


@pytest.fixture
async def gateway() -> AsyncIterator[str]:
    async with served(create_gateway_app(Gateway(make_kit("gateway", load(None, {}, [SETTING]))))) as url:
        yield url


@pytest.fixture
async def small() -> AsyncIterator[str]:
    """Serve a stream and a refusal behind the gateway's layers."""

    async def stream(request: Request) -> Response:
        async def words() -> AsyncIterator[bytes]:
            for word in (b"data: one\n\n", b"data: two\n\n"):
                yield word

        return StreamingResponse(words(), headers={"x-argosy-degraded": "embedding"}, media_type="text/event-stream")

    async def full(request: Request) -> Response:
        raise Overloaded("The queue is full.", retry_after_s=3)

    kit = make_kit("gateway", load(None, {}, [SETTING]))
    kit.public_prefixes = ("/",)
    kit.configure_defences(("127.0.0.1",), (PAGE,), 1000)
    routes = [Route("/v1/stream", stream, methods=["POST"]), Route("/v1/full", full, methods=["POST"])]
    async with served(BrowserAccess(create_app(kit, routes), kit)) as url:
        yield url


async def test_a_preflight_of_an_allowed_origin_is_answered(gateway: str) -> None:
    async with (
        aiohttp.ClientSession() as session,
        session.options(f"{gateway}/v1/chat/completions", headers={"origin": PAGE, **PREFLIGHT}) as answer,
    ):
        assert answer.status == 200
        assert answer.headers["access-control-allow-origin"] == PAGE
        assert "POST" in answer.headers["access-control-allow-methods"]
        assert "x-anything" in answer.headers["access-control-allow-headers"]


async def test_the_page_can_read_a_stream_and_the_exposed_headers(small: str) -> None:
    headers = {"origin": PAGE, "content-type": "application/json", "sec-fetch-site": "cross-site"}
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{small}/v1/stream", data=b"{}", headers=headers) as answer,
    ):
        assert answer.status == 200
        assert answer.headers["access-control-allow-origin"] == PAGE
        exposed = {name.strip() for name in answer.headers["access-control-expose-headers"].split(",")}
        assert exposed == {"x-request-id", "x-argosy-degraded", "retry-after"}
        assert answer.headers["x-argosy-degraded"] == "embedding"
        assert await answer.read() == b"data: one\n\ndata: two\n\n"


async def test_the_page_can_read_why_it_was_refused(small: str) -> None:
    headers = {"origin": PAGE, "content-type": "application/json"}
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{small}/v1/full", data=b"{}", headers=headers) as answer,
    ):
        assert answer.status == 429
        assert answer.headers["retry-after"] == "3"
        assert answer.headers["access-control-allow-origin"] == PAGE


@pytest.mark.parametrize("origin", ["https://evil.example.org", f"{PAGE}.evil.example", "null"])
async def test_another_origin_is_refused_and_gets_no_headers(gateway: str, origin: str) -> None:
    async with aiohttp.ClientSession() as session:
        for method, more in (("OPTIONS", PREFLIGHT), ("GET", {})):
            async with session.request(method, f"{gateway}/v1/models", headers={"origin": origin, **more}) as answer:
                assert answer.status == 403
                assert not [name for name in answer.headers if name.lower().startswith("access-control")]


async def test_a_preflight_to_another_host_is_refused(gateway: str) -> None:
    headers = {"origin": PAGE, "host": "evil.example.org", **PREFLIGHT}
    async with aiohttp.ClientSession() as session, session.options(f"{gateway}/v1/models", headers=headers) as answer:
        assert answer.status == 421
        assert "access-control-allow-origin" not in answer.headers


async def test_a_cross_site_write_without_an_allowed_origin_is_refused(small: str) -> None:
    headers = {"content-type": "application/json", "sec-fetch-site": "cross-site"}
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{small}/v1/stream", data=b"{}", headers=headers) as answer,
    ):
        assert answer.status == 403


@pytest.mark.parametrize("origin", ["*", "app.example.org", "https://app.example.org/", "https://app.example.org/x"])
def test_a_setting_that_no_browser_sends_is_refused(origin: str) -> None:
    with pytest.raises(ConfigError, match=r"is not an origin; write scheme, host and port"):
        load(None, {}, [f'services.gateway.allowed_origins=["{origin}"]'])
