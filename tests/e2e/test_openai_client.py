"""OpenAI's own client, unmodified, against the gateway."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import openai
import pytest
from openai import OpenAI

from tests.e2e.fleet import Ran, SharedFleet

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

MODEL = "sentence-transformers/all-MiniLM-L6-v2"
QUESTION = "How often is the lubricating oil changed?"
TEXTS = ["The funnel is red.", "Der Anker ist schwer.", "⚓", "oil " * 400]


@pytest.fixture
def client(shared_fleet: SharedFleet, added: Ran) -> Iterator[OpenAI]:
    with (
        openai.DefaultHttpxClient(trust_env=False) as http,
        OpenAI(base_url=f"{shared_fleet.url}/v1", api_key="none", http_client=http, max_retries=0) as client,
    ):
        yield client


def extra(answer: Any) -> dict[str, Any]:
    """Return the fields that Argosy adds to OpenAI's."""
    return dict(answer.model_extra or {})


def test_a_streamed_answer_carries_markers_and_in_its_last_chunk_the_citations(client: OpenAI) -> None:
    with client.chat.completions.create(
        model="argosy", messages=[{"role": "user", "content": QUESTION}], stream=True
    ) as stream:
        chunks = list(stream)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert "500 running hours" in text
    assert "[1]" in text
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert not any("citations" in extra(chunk) for chunk in chunks[:-1])
    cited = extra(chunks[-1])["citations"]
    assert cited[0]["index"] == 1
    assert cited[0]["name"] == "manual.pdf"
    assert extra(chunks[-1])["degraded"] == []


def test_a_streamed_answer_counts_tokens_where_it_is_asked_to(client: OpenAI) -> None:
    with client.chat.completions.create(
        model="argosy",
        messages=[{"role": "user", "content": QUESTION}],
        stream=True,
        stream_options={"include_usage": True},
    ) as stream:
        last = list(stream)[-1]
    assert last.usage is not None
    assert last.usage.completion_tokens > 0
    assert last.usage.total_tokens == last.usage.prompt_tokens + last.usage.completion_tokens
    assert extra(last)["citations"]


def test_a_whole_answer_says_the_same_as_the_streamed_one(client: OpenAI) -> None:
    whole = client.chat.completions.create(model="argosy", messages=[{"role": "user", "content": QUESTION}])
    with client.chat.completions.create(
        model="argosy/default", messages=[{"role": "user", "content": QUESTION}], stream=True
    ) as stream:
        chunks = list(stream)
    assert whole.choices[0].message.role == "assistant"
    assert whole.choices[0].message.content == "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert extra(whole)["citations"] == extra(chunks[-1])["citations"]
    assert whole.usage is not None
    assert whole.usage.total_tokens > 0


def test_our_own_fields_pass_through_the_client(client: OpenAI) -> None:
    asked = client.chat.completions.create(
        model="argosy",
        messages=[{"role": "user", "content": QUESTION}],
        extra_body={"collection": "default", "top_k": 1, "mode": "lexical", "filters": {"name": "handbook.md"}},
    )
    assert {cited["name"] for cited in extra(asked)["citations"]} <= {"handbook.md"}


def test_embeddings_are_the_same_as_numbers_and_as_base64(client: OpenAI) -> None:
    as_float = client.embeddings.create(model=MODEL, input=TEXTS, encoding_format="float")
    default = client.embeddings.create(model=MODEL, input=TEXTS)  # the client asks for base64 and decodes it
    numbers = np.array([item.embedding for item in as_float.data])
    assert numbers.shape == (len(TEXTS), 384)
    np.testing.assert_allclose(np.array([item.embedding for item in default.data]), numbers, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(numbers, axis=1), 1.0, atol=1e-5)
    assert [item.index for item in as_float.data] == list(range(len(TEXTS)))
    assert as_float.usage.total_tokens > 0


def test_similar_texts_have_similar_vectors(client: OpenAI) -> None:
    texts = ["The cook is also the doctor.", "Who is the physician on board?", "Diesel costs more this week."]
    data = client.embeddings.create(model=MODEL, input=texts).data
    cook, physician, diesel = (np.array(item.embedding) for item in data)
    assert cook @ physician > cook @ diesel


def test_models_are_listed(client: OpenAI) -> None:
    assert {"argosy", "argosy/default", MODEL} <= {model.id for model in client.models.list()}


def test_an_empty_question_is_a_bad_request(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model="argosy", messages=[{"role": "user", "content": " "}])
    assert caught.value.code == "invalid_request"
    assert caught.value.param == "messages.0.content"
    assert caught.value.request_id


def test_an_unknown_model_is_not_found(client: OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(model="gpt-5", messages=[{"role": "user", "content": QUESTION}])
    assert caught.value.code == "model_not_found"
    with pytest.raises(openai.NotFoundError, match=MODEL):
        client.embeddings.create(model="text-embedding-3-small", input="x")


def test_an_unknown_collection_is_not_found_before_the_stream_begins(client: OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(
            model="argosy/nowhere", messages=[{"role": "user", "content": QUESTION}], stream=True
        )
    assert caught.value.code == "collection_not_found"
