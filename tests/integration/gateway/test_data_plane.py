from __future__ import annotations

import base64
from collections.abc import AsyncIterator

import aiohttp
import numpy as np
import openai
import pytest

from argosy.config.models import Fleet
from argosy.contracts.embedding import TextKind
from tests.integration.gateway.data_plane import TEXTS, Plane
from tests.integration.generation.openai_endpoint import Endpoint, running

pytestmark = pytest.mark.integration

QUESTION = "How often does the tide turn?"


@pytest.fixture
async def plane() -> AsyncIterator[Plane]:
    made = Plane(Fleet())
    async with made.running():
        yield made


@pytest.fixture
async def client(plane: Plane) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=f"{plane.url}/v1", api_key="unused", max_retries=0) as made:
        yield made


async def test_openais_client_gets_a_cited_answer(client: openai.AsyncOpenAI) -> None:
    answer = await client.chat.completions.create(
        model="argosy", messages=[{"role": "user", "content": QUESTION}], temperature=0, max_tokens=100
    )

    said = answer.choices[0].message.content
    assert said is not None
    assert said.startswith("The tide turns twice a day. [1]")
    assert answer.model_extra is not None
    assert answer.model_extra["citations"][0]["quote"] == TEXTS[0]
    assert answer.model_extra["degraded"] == []
    assert answer.usage is not None
    assert answer.usage.total_tokens > 0


@pytest.mark.parametrize("stream", [False, True])
async def test_a_question_is_embedded_once_for_retrieval_and_answer(plane: Plane, stream: bool) -> None:
    body = {"model": "argosy", "messages": [{"role": "user", "content": QUESTION}], "stream": stream}

    async with aiohttp.ClientSession() as session, session.post(f"{plane.url}/v1/chat/completions", json=body) as said:
        assert (said.status, bool(await said.read())) == (200, True)

    assert [request.texts for request in plane.embedded if request.kind is TextKind.QUERY] == [[QUESTION]]
    assert [request.kind for request in plane.embedded].count(TextKind.PASSAGE) == 1


async def test_a_lexical_search_brings_no_vector_and_the_answer_embeds_its_question_itself(plane: Plane) -> None:
    body = {"model": "argosy", "messages": [{"role": "user", "content": QUESTION}], "mode": "lexical"}

    async with aiohttp.ClientSession() as session, session.post(f"{plane.url}/v1/chat/completions", json=body) as said:
        assert (await said.json())["degraded"] == []

    assert [request.texts for request in plane.embedded if request.kind is TextKind.QUERY] == [[QUESTION]]


async def test_openais_client_streams(client: openai.AsyncOpenAI) -> None:
    stream = await client.chat.completions.create(
        model="argosy/default",
        messages=[{"role": "user", "content": QUESTION}],
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = [chunk async for chunk in stream]

    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text.startswith("The tide turns twice a day. [1]")
    assert len(chunks) > 4
    assert chunks[-1].usage is not None
    assert (chunks[-1].model_extra or {})["citations"][0]["quote"] == TEXTS[0]


async def test_openais_client_gets_embeddings_in_both_formats(client: openai.AsyncOpenAI) -> None:
    model = "sentence-transformers/all-MiniLM-L6-v2"
    default = await client.embeddings.create(model=model, input=["a tide", "a light"])
    encoded = await client.embeddings.create(model=model, input="a tide", encoding_format="base64")

    assert [item.embedding for item in default.data] == [[1, 0, 0, 0], [0, 1, 0, 0]]
    assert np.frombuffer(base64.b64decode(str(encoded.data[0].embedding)), "<f4").tolist() == [1, 0, 0, 0]
    assert default.usage.prompt_tokens == 4


async def test_openais_client_raises_its_own_errors_from_ours(client: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        await client.chat.completions.create(
            model="argosy/nope", messages=[{"role": "user", "content": QUESTION}], stream=True
        )
    assert caught.value.code == "collection_not_found"
    with pytest.raises(openai.BadRequestError, match="n: must be 1"):
        await client.chat.completions.create(model="argosy", messages=[{"role": "user", "content": QUESTION}], n=2)


async def test_each_service_that_is_gone_has_its_fallback_and_every_answer_says_so(
    plane: Plane, client: openai.AsyncOpenAI
) -> None:
    async def ask(within_ms: int = 60_000) -> tuple[str, list[str]]:
        answer = await client.chat.completions.create(
            model="argosy",
            messages=[{"role": "user", "content": QUESTION}],
            extra_headers={"x-argosy-deadline-ms": str(within_ms)},
        )
        return answer.choices[0].message.content or "", (answer.model_extra or {})["degraded"]

    plane.without("embedding")
    await plane.settled()
    without_embedding = await ask()
    plane.without("embedding", "generation")
    await plane.settled()
    without_both = await ask()
    plane.without("store")
    await plane.settled()
    with pytest.raises(openai.InternalServerError) as caught:
        await ask(within_ms=2000)

    assert without_embedding[1] == ["embedding"]
    assert without_both[1] == ["embedding", "generation"]
    assert without_embedding[0].startswith(TEXTS[0])
    assert without_both[0].startswith(TEXTS[0])
    assert caught.value.status_code == 503
    assert "store" in caught.value.message


async def test_a_search_and_an_upload_go_through(plane: Plane) -> None:
    async with aiohttp.ClientSession() as session:
        async with session.post(f"{plane.url}/v1/search", json={"query": "tide", "top_k": 2}) as response:
            found = await response.json()
        form = aiohttp.FormData()
        form.add_field("files", b"x" * 300_000, filename="a.txt", content_type="text/plain")
        async with session.post(f"{plane.url}/v1/documents", data=form) as response:
            status, accepted = response.status, await response.json()

    assert found["results"][0]["text"] == TEXTS[0]
    assert found["results"][0]["score"] == pytest.approx(1 / 1.5)  # best by both scores, without any support
    assert len(found["results"]) == 2
    assert set(found["timings_ms"]) == {"embed", "store", "fuse"}
    assert (status, accepted) == (202, {"batch_id": "b1"})
    kind, body = plane.uploads[0]
    assert kind.startswith("multipart/form-data; boundary=")
    assert body.count(b"x") >= 300_000


async def test_without_a_controller_health_says_what_the_gateway_sees(plane: Plane) -> None:
    async with aiohttp.ClientSession() as session, session.get(f"{plane.url}/v1/health") as response:
        said = await response.json()

    assert said["controller"] is None
    assert "controller is not running" in said["note"]
    states = {service["name"]: service["replicas"][0]["pid"] for service in said["services"]}
    assert all(states.values())
    assert set(states) == {"store", "embedding", "documents", "retrieval", "generation", "gateway"}


async def _collect(stream: openai.AsyncStream[openai.types.chat.ChatCompletionChunk], words: list[str]) -> None:
    async for chunk in stream:
        words.append(chunk.choices[0].delta.content or "")


@pytest.fixture
async def endpoint() -> AsyncIterator[Endpoint]:
    async with running() as started:
        yield started


async def test_a_language_model_that_breaks_off_ends_openais_stream_with_an_error(endpoint: Endpoint) -> None:
    settings = {"services": {"generation": {"backend": "openai", "model": "a-model", "base_url": endpoint.url}}}
    plane = Plane(Fleet.model_validate(settings))
    async with (
        plane.running(),
        openai.AsyncOpenAI(base_url=f"{plane.url}/v1", api_key="unused", max_retries=0) as client,
    ):
        messages: list[openai.types.chat.ChatCompletionMessageParam] = [{"role": "user", "content": QUESTION}]
        whole = await client.chat.completions.create(model="argosy", messages=messages)
        endpoint.behaviour = "break"
        stream = await client.chat.completions.create(model="argosy", messages=messages, stream=True)
        words: list[str] = []
        with pytest.raises(openai.APIError, match="broke off"):
            await _collect(stream, words)
        replaced = await client.chat.completions.create(model="argosy", messages=messages)
        endpoint.behaviour = "401"
        refused = await client.chat.completions.create(model="argosy", messages=messages, stream=True)
        tail = [chunk async for chunk in refused][-1]

    assert whole.choices[0].message.content == "The tide turns [1], twice [3]."
    assert [c["index"] for c in (whole.model_extra or {})["citations"]] == [1, 3]
    assert "".join(words) == "The tide turns"
    assert (replaced.model_extra or {})["degraded"] == ["generation"]
    assert (tail.model_extra or {})["degraded"] == ["generation"]
