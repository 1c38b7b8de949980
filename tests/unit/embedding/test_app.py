from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from argosy.config.models import Fleet
from argosy.contracts.embedding import EmbedRequest, EmbedResponse
from argosy.services.embedding.app import EmbeddingService
from argosy.serving.kit import Kit
from tests.asgi import Answer, call
from tests.kits import FLEET_HEADERS, make_kit

pytestmark = pytest.mark.unit


class Unconnected:
    """Stand-in for the other services, none of which the embedding service needs."""

    async def start(self) -> None: ...

    async def stop(self) -> None: ...


class Running:
    def __init__(self, tmp_path: Path, **settings: object) -> None:
        fleet = Fleet.model_validate({"services": {"embedding": {"backend": "fake", **settings}}})
        self.kit: Kit = make_kit("embedding", fleet, data_dir=str(tmp_path))
        self.service = EmbeddingService(self.kit)
        self.service._upstreams = Unconnected()  # type: ignore[assignment]

    async def post(self, message: object, **headers: str) -> Answer:
        sent = {"content-type": "application/msgpack", **FLEET_HEADERS, **headers}
        body = message if isinstance(message, bytes) else msgspec.msgpack.encode(message)
        return await call(self.service.app, "POST", "/embed", body=body, headers=sent)

    async def embed(self, *texts: str, partial: bool = False) -> EmbedResponse:
        answer = await self.post(EmbedRequest(list(texts), partial=partial))
        assert answer.status == 200, answer.body
        return msgspec.msgpack.decode(answer.body, type=EmbedResponse)

    def metric(self, name: str, **labels: str) -> float | None:
        return self.kit.metrics.registry.get_sample_value(f"argosy_embedding_cache_{name}", labels)


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Running]:
    running = Running(tmp_path)
    await running.service.start()
    yield running
    await running.service.stop()


async def test_hits_are_told_in_answers_metrics_and_status(running: Running) -> None:
    assert (await running.embed("low tide", "high tide")).hits == 0
    assert (await running.embed("high tide", "new")).hits == 1

    assert running.metric("hits_total", level="memory") == 1
    assert running.metric("misses_total", level="memory") == 3
    assert running.metric("saved_tokens_total") == 4
    details = running.kit.status().details
    assert (details["cache_memory_hits"], details["cache_misses"]) == (1, 3)
    assert details["dimensions"] == 64


async def test_what_was_embedded_is_known_after_a_restart(tmp_path: Path) -> None:
    for hits in (0, 1):
        running = Running(tmp_path)
        await running.service.start()
        assert (await running.embed("low tide")).hits == hits
        await running.service.stop()


async def test_a_text_cut_under_one_setting_is_not_served_under_another(tmp_path: Path) -> None:
    found = []
    for long_texts in ("truncate", "split", "truncate"):
        running = Running(tmp_path, long_texts=long_texts)
        await running.service.start()
        found.append(await running.embed("tide " * 300 + "lamp " * 300))
        await running.service.stop()
    assert [answer.truncated for answer in found] == [[True], [False], [True]]
    assert [answer.hits for answer in found] == [0, 0, 1]
    assert found[0].vectors == found[2].vectors != found[1].vectors


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"\x81\xa5texts\x91\xa3\xed\xa0\x80", 400),  # a lone surrogate
        (b"\x81\xa5texts\x91\xc0", 400),
        (msgspec.msgpack.encode({"texts": ["x"] * 100_000}), 400),
        (msgspec.msgpack.encode({"texts": ["x" * 2**20]}), 400),
        (msgspec.msgpack.encode({"texts": ["a\0b"]}), 200),
        (msgspec.msgpack.encode({"texts": ["x"], "kind": "poem"}), 400),
    ],
)
async def test_bad_requests_are_refused_and_the_service_stays_up(running: Running, body: bytes, status: int) -> None:
    assert (await running.post(body)).status == status
    assert (await running.embed("fine")).tokens == [3]
