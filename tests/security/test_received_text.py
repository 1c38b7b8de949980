"""Numbers and times in received text: parsing never raises and results are bounded."""

from __future__ import annotations

import math
from email.message import EmailMessage

import aiohttp
import pytest

from argosy.balancing.outcome import MOST, LoadReport
from argosy.clients.transport import Transport
from argosy.contracts.errors import ArgosyError, Overloaded, error_from_wire
from argosy.contracts.generation import GenerateRequest
from argosy.contracts.retry_after import MAX_RETRY_AFTER_S
from argosy.services.documents.parsing.mail import _sent
from argosy.services.embedding.backends.endpoint import EndpointConnections
from argosy.services.gateway.hop_headers import body_length
from argosy.services.generation.backends.openai import OpenAIBackend
from argosy.serving.defences import Defences
from argosy.serving.errors import error_response
from argosy.serving.load import LoadTracker
from tests.kits import TOKEN, context, make_kit
from tests.security.test_calls import published
from tests.security.wire import Asked, RawService, listening

pytestmark = pytest.mark.security

WAITS = [
    ("\xb2", None),
    ("\xb3\xb2", None),
    ("1e999", None),
    ("nan", None),
    ("-5", None),
    ("9" * 4000, None),
    ("9" * 20, MAX_RETRY_AFTER_S),
    ("7", 7.0),
    ("Fri, 31 Dec 9999 23:59:59 GMT", MAX_RETRY_AFTER_S),
    ("Sun, 06 Nov 1994 08:49:37 GMT", 0.0),
    ("Sun, 06 Nov 1994 08:49:37 +99999999999999999", None),
]


def full(retry_after: str) -> RawService:
    service = RawService()

    def answer(asked: Asked) -> bytes:
        return f"HTTP/1.1 429 Full\r\nretry-after: {retry_after}\r\ncontent-length: 0\r\n\r\n".encode()

    service.begin(answer)
    return service


@pytest.mark.parametrize(("sent", "wait_s"), WAITS)
async def test_a_language_models_retry_after_cannot_break_an_answer(sent: str, wait_s: float | None) -> None:
    async with listening(full(sent)) as address, aiohttp.ClientSession() as session:
        backend = OpenAIBackend(session, f"http://{address}/v1", "a-model", None)
        with pytest.raises(Overloaded) as caught:
            _ = [event async for event in backend.answer(GenerateRequest("when?", []), context())]
    assert caught.value.retry_after_s == (wait_s or 1.0)


@pytest.mark.parametrize(("sent", "wait_s"), WAITS)
async def test_a_services_retry_after_cannot_break_a_call(sent: str, wait_s: float | None) -> None:
    async with listening(full(sent)) as address, aiohttp.ClientSession() as session:
        with pytest.raises(Overloaded) as caught:
            await Transport(published(address), session, TOKEN).call("store", "/any", 1, int, context())
    assert caught.value.retry_after_s == wait_s
    assert error_response(caught.value, None).status_code == 429


@pytest.mark.parametrize(("sent", "wait_s"), WAITS)
async def test_an_embeddings_endpoints_retry_after_cannot_break_a_batch(sent: str, wait_s: float | None) -> None:
    import asyncio

    async with listening(full(sent)) as address:
        connections = EndpointConnections(f"http://{address}/v1", None)
        reply = await asyncio.to_thread(connections.post, "/embeddings", b"{}", context().deadline)
        connections.close()
    assert (reply.status, reply.retry_after_s) == (429, wait_s)


def test_a_full_service_behind_a_proxy_is_full_and_not_broken() -> None:
    error = error_from_wire(429, b"<html>slow down</html>", "store", 3.0)
    assert (type(error), error.retry_after_s) == (Overloaded, 3.0)
    assert isinstance(error_from_wire(500, b'{"error": "\xff"}', "store"), ArgosyError)


@pytest.mark.parametrize("figure", ["1e308", "9" * 400, "1e13", "inf", "nan", "-1", "\u00b2", "1_0e300"])
def test_a_load_report_cannot_make_sums_infinite(figure: str) -> None:
    assert LoadReport.parse(f"TEXT named_metrics.rif={figure}, eps={figure}") is None
    load = LoadTracker(lambda: 0.0, capacity=1)
    load.take_named(f"TEXT named_metrics.mine={figure}")
    assert load.named == {}


def test_a_figure_at_the_bound_is_kept() -> None:
    assert LoadReport.parse(f"TEXT named_metrics.rif={MOST}") == LoadReport(rif=MOST)
    assert math.isfinite(MOST * MOST)


@pytest.mark.parametrize("length", ["9" * 5000, "\u00b2", "+1", "-1", "1_0", " ", "0x1"])
def test_a_content_length_is_refused_whatever_is_sent(length: str) -> None:
    defences = Defences(TOKEN, frozenset({"127.0.0.1"}), public_prefixes=("/",))
    headers = {"host": "127.0.0.1", "content-length": length, "content-type": "application/json"}
    refused = defences.check("POST", "/v1/search", headers)
    assert refused is not None
    assert refused.status == 400
    with pytest.raises(ArgosyError, match="Content-Length"):
        body_length([(b"content-length", length.encode())])


def test_two_lengths_of_one_body_are_refused() -> None:
    for other in ((b"Content-Length", b"5"), (b"transfer-encoding", b"chunked")):
        with pytest.raises(ArgosyError):
            body_length([(b"content-length", b"4"), other])


@pytest.mark.parametrize("zone", ["+99999999999999999", "+9999999999", "-" + "9" * 500])
def test_a_mails_date_cannot_break_its_parsing(zone: str) -> None:
    message = EmailMessage()
    message["Date"] = "x"
    message.replace_header("Date", "Sun, 06 Nov 1994 08:49:37 +0000")
    message._headers[0] = ("Date", f"Sun, 06 Nov 1994 08:49:37 {zone}")  # type: ignore[attr-defined]
    assert _sent(message) is None


def test_what_a_kit_reports_of_itself_can_be_read_back() -> None:
    assert LoadReport.parse(make_kit().load.header()) is not None
