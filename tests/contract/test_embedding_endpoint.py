"""Tests of the engine that calls an endpoint, with a faulty, busy, slow or unavailable endpoint."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import numpy as np
import pytest

from argosy.config.services import EmbeddingSettings
from argosy.contracts.embedding import TextKind
from argosy.contracts.errors import (
    ArgosyError,
    ConfigError,
    DeadlineExceeded,
    InvalidRequest,
    Overloaded,
    Unavailable,
    UpstreamFailed,
)
from argosy.contracts.request import Deadline, RequestContext
from argosy.services.embedding.backends.fake import FakeEngine
from argosy.services.embedding.backends.openai import ATTEMPTS, OpenAIEngine
from argosy.services.embedding.loading import load
from argosy.serving.batching.batcher import Batcher
from tests.contract.embedding_endpoint import SECRET_WORDS, Endpoint, running

pytestmark = pytest.mark.contract

PASSAGE = TextKind.PASSAGE
KEY = "sk-very-secret"


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with running() as endpoint:
        yield endpoint


@pytest.fixture
def pauses() -> list[float]:
    return []


@pytest.fixture
def engine(endpoint: Endpoint, pauses: list[float]) -> Iterator[OpenAIEngine]:
    engine = OpenAIEngine(endpoint.url, "a-model", KEY, sleep=pauses.append)
    endpoint.asked.clear()
    yield engine
    engine.close()


def refused(engine: OpenAIEngine, expected: type[ArgosyError]) -> ArgosyError:
    with pytest.raises(expected) as caught:
        engine.embed(["a", "b"], PASSAGE)
    message = caught.value.message
    assert KEY not in message
    assert SECRET_WORDS not in message
    assert "127.0.0.1" not in message
    return caught.value


def test_model_key_and_texts_are_sent(engine: OpenAIEngine, endpoint: Endpoint) -> None:
    engine.embed(["a", "b"], PASSAGE)
    assert endpoint.asked == [{"model": "a-model", "input": ["a", "b"], "encoding_format": "float"}]
    assert set(endpoint.authorization) == {f"Bearer {KEY}"}


def test_prompts_of_the_settings_are_sent_and_change_the_revision(engine: OpenAIEngine, endpoint: Endpoint) -> None:
    prompts = {TextKind.QUERY: "query: ", TextKind.PASSAGE: None}
    prompted = OpenAIEngine(endpoint.url, "a-model", KEY, prompts=prompts)
    endpoint.asked.clear()
    prompted.embed(["a"], TextKind.QUERY)
    prompted.embed(["a"], PASSAGE)
    prompted.close()
    assert [asked["input"] for asked in endpoint.asked] == [["query: a"], ["a"]]
    assert prompted.info.revision != engine.info.revision


def test_vectors_are_put_in_order_and_brought_to_unit_length(engine: OpenAIEngine) -> None:
    texts = ["low tide", "the baker"]
    np.testing.assert_allclose(engine.embed(texts, PASSAGE), FakeEngine().embed(texts, PASSAGE), atol=1e-6)


@pytest.mark.parametrize("behaviour", ["500", "502", "503", "504", "408", "cut"])
def test_what_passes_is_tried_again(
    engine: OpenAIEngine, endpoint: Endpoint, pauses: list[float], behaviour: str
) -> None:
    endpoint.behaviours = [behaviour] * (ATTEMPTS - 1)
    assert engine.embed(["a"], PASSAGE).shape == (1, 64)
    assert pauses == sorted(pauses)
    assert len(pauses) == ATTEMPTS - 1


@pytest.mark.parametrize("behaviour", ["503", "cut"])
def test_what_does_not_pass_is_said_after_a_few_attempts(
    engine: OpenAIEngine, endpoint: Endpoint, behaviour: str
) -> None:
    endpoint.behaviours = [behaviour] * 20
    assert refused(engine, Unavailable).retry_after_s == 1.0
    assert len(endpoint.asked) == ATTEMPTS


def test_no_attempt_begins_that_the_deadline_leaves_no_time_for(
    engine: OpenAIEngine, endpoint: Endpoint, pauses: list[float]
) -> None:
    endpoint.behaviours = ["503"] * 20
    with pytest.raises(Unavailable):
        engine.embed(["a"], PASSAGE, Deadline.after(0.09))
    assert pauses == []


def test_an_endpoint_that_hangs_is_given_up_at_the_deadline(engine: OpenAIEngine, endpoint: Endpoint) -> None:
    endpoint.behaviours = ["hang"]
    with pytest.raises(DeadlineExceeded):
        engine.embed(["a"], PASSAGE, Deadline.after(0.2))
    endpoint.released.set()
    assert engine.embed(["a"], PASSAGE).shape == (1, 64)


def test_a_busy_endpoint_says_when_to_come_back(engine: OpenAIEngine, endpoint: Endpoint, pauses: list[float]) -> None:
    endpoint.behaviours = ["429"]
    assert refused(engine, Overloaded).retry_after_s == 7.0
    assert pauses == []


@pytest.mark.parametrize(
    ("behaviour", "expected", "says"),
    [
        ("401", Unavailable, "OPENAI_API_KEY"),
        ("403", Unavailable, "OPENAI_API_KEY"),
        ("404", Unavailable, "services.embedding.model"),
        ("302", UpstreamFailed, "302"),
        ("400", InvalidRequest, "shorten"),
        ("nonsense", UpstreamFailed, "shape"),
        ("nan", UpstreamFailed, "shape"),
        ("huge", UpstreamFailed, "not finite"),
        ("zeros", UpstreamFailed, "zeros"),
        ("short", UpstreamFailed, "63 dimensions, not 64"),
        ("few", UpstreamFailed, "1 vectors for 2 texts"),
        ("twice", UpstreamFailed, "2 vectors for 2 texts"),
    ],
)
def test_a_bad_answer_is_refused_once_and_in_our_words(
    engine: OpenAIEngine, endpoint: Endpoint, behaviour: str, expected: type[ArgosyError], says: str
) -> None:
    endpoint.behaviours = [behaviour]
    assert says in refused(engine, expected).message
    assert len(endpoint.asked) == 1


def test_without_an_endpoint_the_start_says_what_to_check() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/v1"
        with pytest.raises(Unavailable, match=r"connection refused.*services\.embedding\.base_url") as caught:
            OpenAIEngine(url, "m", KEY, sleep=lambda seconds: None)
    assert KEY not in caught.value.message


@pytest.mark.parametrize("url", ["", "endpoint:80", "ftp://endpoint/v1", "http://", "http://h:port/v1"])
def test_what_is_no_address_is_a_setting_to_correct(url: str) -> None:
    with pytest.raises(ConfigError, match=r"services\.embedding\.base_url"):
        OpenAIEngine(url, "m", None)


def test_the_environment_supplies_address_and_key(endpoint: Endpoint) -> None:
    environ = {"OPENAI_BASE_URL": endpoint.url, "OPENAI_API_KEY": KEY}
    loaded = load(EmbeddingSettings(backend="openai"), 1.0, environ)
    loaded.close()
    assert endpoint.authorization == [f"Bearer {KEY}"]
    elsewhere = load(EmbeddingSettings(backend="fake"), 1.0, environ)
    elsewhere.engine.embed(["a"], PASSAGE)
    assert len(endpoint.asked) == 1


async def test_a_text_that_the_endpoint_refuses_fails_alone(engine: OpenAIEngine) -> None:
    batcher = Batcher(engine, max_queue_texts=10)
    context = RequestContext("r", Deadline.after(20))
    result = await batcher.embed(["a", "refuse me", "b"], PASSAGE, context, partial=True)
    await batcher.close()
    assert list(result.errors) == [1]
    np.testing.assert_allclose(result.vectors[[0, 2]], FakeEngine().embed(["a", "b"], PASSAGE), atol=1e-6)
