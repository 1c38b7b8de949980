"""Conversations, a language model and the answer cache through a fleet of real processes, with OpenAI's own client."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from openai import OpenAI

from tests.e2e.fleet import FAKE, RealFleet, until
from tests.integration.generation.openai_endpoint import Endpoint, running

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

TEXTS = {
    "ferry.txt": "The ferry to the island costs thirty euros [3]. Children travel free of charge on the ferry.",
    "pump.txt": "The bilge pump of the tug moves forty litres each minute.",
}


@pytest.fixture(scope="module")
def endpoint() -> Iterator[Endpoint]:
    """Run an OpenAI-compatible endpoint in a thread of its own."""
    started: list[Endpoint] = []
    ready, stop = threading.Event(), asyncio.Event()
    loop = asyncio.new_event_loop()

    async def serve() -> None:
        async with running() as made:
            started.append(made)
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    assert ready.wait(30)
    yield started[0]
    loop.call_soon_threadsafe(stop.set)
    thread.join(30)
    loop.close()


@pytest.fixture(scope="module")
def fleet(endpoint: Endpoint, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealFleet]:
    cwd = tmp_path_factory.mktemp("conversation")
    fleet = RealFleet(cwd / "data", cwd)
    model = {
        "generation.backend": "openai",
        "generation.model": "a-model",
        "generation.base_url": endpoint.url,
        "generation.first_token_timeout_s": "1",
        "gateway.answer_cache.mode": "exact",
    }
    options = [part for name, value in model.items() for part in ("--set", f"services.{name}={value}")]
    try:
        fleet.up(*FAKE, *options).ok()
        upload(fleet, TEXTS)
        yield fleet
    finally:
        fleet.end()


@pytest.fixture
def client(fleet: RealFleet, endpoint: Endpoint) -> Iterator[OpenAI]:
    endpoint.behaviour, endpoint.retry_after, endpoint.words = "ok", None, ["Thirty euros [1", ", 9]."]
    endpoint.asked.clear()
    with (
        openai.DefaultHttpxClient(trust_env=False) as http,
        OpenAI(base_url=f"{fleet.url}/v1", api_key="none", http_client=http, max_retries=0) as client,
    ):
        yield client


def upload(fleet: RealFleet, texts: dict[str, str]) -> None:
    """Upload texts and wait until they are indexed."""
    batch = fleet.upload(texts, "default")["batch_id"]
    until(lambda: fleet.call("GET", f"/v1/batches/{batch}?wait_s=30").json()["done"], "indexed")


def ask(client: OpenAI, *turns: str, **fields: Any) -> tuple[str, dict[str, Any]]:
    """Ask with alternating turns of user and assistant; return the streamed text and the last chunk's own fields."""
    roles = ("user", "assistant")
    messages: Any = [{"role": roles[n % 2], "content": turn} for n, turn in enumerate(turns)]
    with client.chat.completions.create(model="argosy", messages=messages, stream=True, **fields) as stream:
        chunks = list(stream)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    return text, dict(chunks[-1].model_extra or {})


def test_a_models_answer_has_only_markers_of_passages_and_names_its_prompt(client: OpenAI, endpoint: Endpoint) -> None:
    text, fields = ask(client, "What does the ferry cost?", stop=["END"], top_p=0.5, seed=3, max_completion_tokens=40)

    assert text == "Thirty euros [1]."
    assert [citation["index"] for citation in fields["citations"]] == [1]
    assert (fields["prompt"], fields["answered_by"], fields["degraded"]) == ("answer-1", "a-model", [])
    sent = endpoint.asked[-1]
    assert (sent["stop"], sent["top_p"], sent["seed"], sent["max_completion_tokens"]) == (["END"], 0.5, 3, 40)


def test_a_follow_up_is_rewritten_by_the_model_or_by_rule_and_the_query_is_returned(
    client: OpenAI, endpoint: Endpoint
) -> None:
    turns = ("What does the ferry cost?", "Thirty euros [1].", "And for children?")
    endpoint.words = ["What does the ferry cost for children?"]
    _, by_model = ask(client, *turns)
    endpoint.behaviour = "500"
    _, by_rule = ask(client, *turns, seed=2)

    assert (by_model["query"], by_model["query_by"]) == ("What does the ferry cost for children?", "model")
    assert (by_rule["query"], by_rule["query_by"]) == ("And for children? ferry cost", "rule")
    assert by_rule["degraded"] == ["generation"]


@pytest.mark.parametrize("behaviour", ["500", "slow"])
def test_an_endpoint_that_fails_or_is_slow_is_replaced_by_an_extractive_answer(
    client: OpenAI, endpoint: Endpoint, behaviour: str
) -> None:
    endpoint.behaviour = behaviour

    text, fields = ask(client, "What does the ferry to the island cost?", seed=5)

    assert "thirty euros" in text
    assert (fields["answered_by"], fields["degraded"]) == ("extractive", ["generation"])


def test_the_cache_repeats_an_answer_until_an_acknowledged_change(
    client: OpenAI, endpoint: Endpoint, fleet: RealFleet
) -> None:
    question = "How much does the pump move?"

    assert ask(client, question)[1]["cached"] == ""
    assert ask(client, question)[1]["cached"] == "exact"
    for n in range(3):
        upload(fleet, {f"new-{n}.txt": f"The pump number {n} is new."})
        assert ask(client, question)[1]["cached"] == ""
        assert ask(client, question)[1]["cached"] == "exact"
    document = next(d for d in fleet.documents("default") if d["name"] == "new-0.txt")
    assert fleet.call("DELETE", f"/v1/documents/{document['id']}").status == 200
    _, fields = ask(client, question)
    assert fields["cached"] == ""
    assert document["id"] not in [citation["document_id"] for citation in fields["citations"]]


def test_a_pause_that_the_endpoint_asks_for_is_kept(client: OpenAI, endpoint: Endpoint) -> None:
    endpoint.behaviour, endpoint.retry_after = "429", "2"
    _, first = ask(client, "What does the ferry cost today?")
    calls = len(endpoint.asked)
    endpoint.behaviour = "ok"
    _, second = ask(client, "What does the ferry cost tomorrow?")

    assert (first["degraded"], second["degraded"]) == (["generation"], ["generation"])
    assert len(endpoint.asked) == calls
    until(lambda: ask(client, "What does the ferry cost now?")[1]["degraded"] == [], "the model is asked again")
