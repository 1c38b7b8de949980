"""Endpoints outside the fleet: the environment's proxy is used for them only, and their faults stand in the status."""

from __future__ import annotations

import base64
import http.server
import threading
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass, field

import msgspec
import pytest

from argosy.clients.proxy import proxy_for
from argosy.contracts.embedding import TextKind
from argosy.contracts.errors import InvalidRequest, Unavailable
from argosy.contracts.generation import AnswerDelta, AnswerDone, AnswerEvent, GenerateRequest
from argosy.contracts.request import RequestContext
from argosy.services.embedding.backends.openai import OpenAIEngine
from argosy.services.generation.fallback import FallbackBackend
from tests.contract.embedding_endpoint import running
from tests.kits import context

pytestmark = pytest.mark.integration


@dataclass
class Proxy:
    """Proxy that answers every plain request itself, as the endpoint would, and refuses tunnels with 502."""

    url: str = ""
    asked: list[tuple[str, str, str | None]] = field(default_factory=list)


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    found = Proxy()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            found.asked.append(("POST", self.path, self.headers.get("proxy-authorization")))
            body = msgspec.json.encode({"data": [{"index": 0, "embedding": [3.0, 4.0]}]})
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_CONNECT(self) -> None:
            found.asked.append(("CONNECT", self.path, self.headers.get("proxy-authorization")))
            self.send_error(502)

        def log_message(self, *rest: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    found.url = f"http://user:p%40ss@127.0.0.1:{server.server_address[1]}"
    yield found
    server.shutdown()
    server.server_close()


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


def test_embeddings_of_an_outside_endpoint_go_through_the_proxy(proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", proxy.url)
    engine = OpenAIEngine("http://embeddings.example:8000/v1", "m", None)
    assert engine.info.dimensions == 2
    expected = f"Basic {base64.b64encode(b'user:p@ss').decode()}"
    assert proxy.asked == [("POST", "http://embeddings.example:8000/v1/embeddings", expected)]
    engine.close()


def test_a_tunnel_is_opened_for_https_and_the_key_is_not_shown_to_the_proxy(
    proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("https_proxy", proxy.url)
    with pytest.raises(Unavailable, match="proxy"):
        OpenAIEngine("https://embeddings.example/v1", "m", "secret-key", sleep=lambda seconds: None)
    assert {(method, path) for method, path, _ in proxy.asked} == {("CONNECT", "embeddings.example:443")}


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost:8000", "[::1]:8000", "127.9.9.9"])
def test_an_endpoint_on_this_machine_is_called_directly(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://proxy.example:3128")
    assert proxy_for(f"http://{host}/v1") is None
    assert proxy_for("http://outside.example/v1") == "http://proxy.example:3128"


def test_the_fault_of_an_embeddings_endpoint_is_known_until_it_works_again() -> None:
    with running() as endpoint:
        engine = OpenAIEngine(endpoint.url, "m", None, sleep=lambda seconds: None)
        assert engine.health.reason() == ""
        endpoint.behaviours += ["401"]
        with pytest.raises(Unavailable):
            engine.embed(["a"], TextKind.PASSAGE)
        assert "refused the API key (401)" in engine.health.reason()
        endpoint.behaviours += ["400"]
        with pytest.raises(InvalidRequest):
            engine.embed(["b"], TextKind.PASSAGE)
        assert "401" in engine.health.reason(), "a refused text says nothing about the endpoint"
        engine.embed(["c"], TextKind.PASSAGE)
        assert engine.health.reason() == ""
        engine.close()


class Model:
    """Language model that fails while `error` is set."""

    error: Exception | None = None

    async def answer(self, request: GenerateRequest, context: RequestContext) -> AsyncGenerator[AnswerEvent, None]:
        if self.error is not None:
            raise self.error
        yield AnswerDelta("Seven.")
        yield AnswerDone([])

    async def close(self) -> None:
        pass


async def test_the_fault_of_a_language_model_is_known_until_it_answers_again(caplog: pytest.LogCaptureFixture) -> None:
    model = Model()
    backend = FallbackBackend(model, Model(), 5.0)  # type: ignore[arg-type]
    request = GenerateRequest("When?", [])
    model.error = Unavailable("The language model's endpoint cannot be reached.")
    with caplog.at_level("WARNING", "argosy"):
        assert [event async for event in backend.answer(request, context())]
    assert backend.health.reason() == "The language model's endpoint cannot be reached"
    [record] = caplog.records
    assert record.__dict__["argosy_fields"]["detail"] == "The language model's endpoint cannot be reached."
    model.error = None
    assert [event async for event in backend.answer(request, context())]
    assert backend.health.reason() == ""
