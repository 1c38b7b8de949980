from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest

from argosy.contracts.errors import ArgosyError, DeadlineExceeded, Overloaded, Unavailable, UpstreamFailed
from argosy.contracts.generation import AnswerDelta, AnswerDone, AnswerFailed, ChatTurn, GenerateRequest
from argosy.contracts.retrieval import Passage
from argosy.contracts.store import Chunk
from argosy.services.generation.backends.openai import OpenAIBackend
from tests.integration.generation.openai_endpoint import WORDS, Endpoint, running
from tests.kits import context

pytestmark = pytest.mark.integration


def passage(n: int) -> Passage:
    return Passage(Chunk(f"c{n}", f"d{n}", 1, 0, f"{n}.txt", f"file:{n}.txt", f"Text number {n}.", 5, 19, page=n), 0.5)


REQUEST = GenerateRequest("When does the tide turn?", [passage(1), passage(2), passage(3)], max_tokens=50)


@pytest.fixture
async def endpoint() -> AsyncIterator[Endpoint]:
    async with running() as started:
        yield started


@pytest.fixture
async def backend(endpoint: Endpoint) -> AsyncIterator[OpenAIBackend]:
    made = OpenAIBackend(aiohttp.ClientSession(), endpoint.url + "/", "a-model", "a-key")
    yield made
    await made.close()


async def test_the_answer_streams_and_cites_the_passages_its_markers_name(
    endpoint: Endpoint, backend: OpenAIBackend
) -> None:
    events = [event async for event in backend.answer(REQUEST, context())]

    done = events[-1]
    assert [e.text for e in events if isinstance(e, AnswerDelta)] == WORDS
    assert isinstance(done, AnswerDone)
    assert [(c.index, c.chunk_id, c.quote, c.start, c.page) for c in done.citations] == [
        (1, "c1", "Text number 1.", 5, 1),
        (3, "c3", "Text number 3.", 5, 3),
    ]
    assert (done.model, done.finish_reason, done.prompt_tokens, done.completion_tokens) == ("a-model", "stop", 11, 7)
    assert endpoint.authorization == ["Bearer a-key"]


async def test_the_model_is_told_rules_passages_history_and_question(
    endpoint: Endpoint, backend: OpenAIBackend
) -> None:
    asked = GenerateRequest("And then?", REQUEST.passages, [ChatTurn("user", "Hi"), ChatTurn("tool", "x")])

    [_ async for _ in backend.answer(asked, context())]

    sent = endpoint.asked[0]
    system, *turns = sent["messages"]
    assert sent["model"] == "a-model"
    assert sent["stream"] is True
    assert "max_tokens" not in sent
    assert "[2] 2.txt, page 2\nText number 2." in system["content"]
    assert "the documents do not tell" in system["content"]
    assert turns == [{"role": "user", "content": "Hi"}, {"role": "user", "content": "And then?"}]


@pytest.mark.parametrize(
    ("behaviour", "error", "named"),
    [
        ("401", Unavailable, "OPENAI_API_KEY"),
        ("403", Unavailable, "OPENAI_API_KEY"),
        ("404", Unavailable, "services.generation.model"),
        ("500", UpstreamFailed, "500"),
        ("302", UpstreamFailed, "302"),
        ("break_at_once", UpstreamFailed, "broke off"),
        ("nonsense", UpstreamFailed, "not a chat chunk"),
        ("silent", UpstreamFailed, "without a word"),
    ],
)
async def test_what_goes_wrong_before_the_first_word_is_raised_as_our_error(
    endpoint: Endpoint, backend: OpenAIBackend, behaviour: str, error: type[ArgosyError], named: str
) -> None:
    endpoint.behaviour = behaviour

    with pytest.raises(error) as caught:
        await anext(backend.answer(REQUEST, context()))

    assert named in caught.value.message
    assert "secret" not in caught.value.message


@pytest.mark.parametrize(("header", "seconds"), [("7", 7.0), (None, 1.0), ("soon", 1.0)])
async def test_too_many_requests_says_when_to_come_back(
    endpoint: Endpoint, backend: OpenAIBackend, header: str | None, seconds: float
) -> None:
    endpoint.behaviour, endpoint.retry_after = "429", header

    with pytest.raises(Overloaded) as caught:
        await anext(backend.answer(REQUEST, context()))

    assert caught.value.retry_after_s == seconds


@pytest.mark.parametrize(
    ("behaviour", "says"), [("break", "broke off"), ("error_event", "reported an error"), ("no_finish", "broke off")]
)
async def test_an_answer_that_breaks_after_the_first_word_ends_with_failed(
    endpoint: Endpoint, backend: OpenAIBackend, behaviour: str, says: str
) -> None:
    endpoint.behaviour = behaviour

    events = [event async for event in backend.answer(REQUEST, context())]

    assert isinstance(events[0], AnswerDelta)
    assert isinstance(events[-1], AnswerFailed)
    assert events[-1].code == "upstream_failed"
    assert says in events[-1].message
    assert not [e for e in events if isinstance(e, AnswerDone)]


async def test_an_answer_that_stalls_ends_with_failed_at_the_deadline(
    endpoint: Endpoint, backend: OpenAIBackend
) -> None:
    endpoint.behaviour = "stall"

    events = [event async for event in backend.answer(REQUEST, context(0.3))]

    assert isinstance(events[-1], AnswerFailed)
    assert events[-1].code == "deadline_exceeded"


async def test_closing_the_answer_hangs_up(endpoint: Endpoint, backend: OpenAIBackend) -> None:
    endpoint.behaviour = "stall"
    events = backend.answer(REQUEST, context())
    await anext(events)

    await events.aclose()

    assert await asyncio.wait_for(endpoint.hung_up.wait(), 20)


async def test_an_endpoint_that_is_not_there_is_unavailable_and_a_passed_deadline_is_one() -> None:
    backend = OpenAIBackend(aiohttp.ClientSession(), "http://127.0.0.1:9/v1", "m", None)

    with pytest.raises(Unavailable, match="base_url"):
        await anext(backend.answer(REQUEST, context()))
    with pytest.raises(DeadlineExceeded):
        await anext(backend.answer(REQUEST, context(0)))
    await backend.close()
