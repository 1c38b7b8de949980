from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator

import aiohttp
import pytest

from argosy.contracts.errors import (
    ArgosyError,
    DeadlineExceeded,
    Overloaded,
    TooLarge,
    Unavailable,
    UpstreamFailed,
)
from argosy.contracts.generation import (
    AnswerDelta,
    AnswerDone,
    AnswerEvent,
    AnswerFailed,
    ChatTurn,
    GenerateRequest,
    StandaloneRequest,
)
from argosy.contracts.request import RequestContext
from argosy.contracts.retrieval import Passage
from argosy.contracts.store import Chunk
from argosy.services.generation.backends.openai import OpenAIBackend
from argosy.services.generation.fallback import FallbackBackend
from tests.integration.generation.openai_endpoint import Endpoint, running
from tests.kits import context

pytestmark = pytest.mark.integration


def passage(n: int) -> Passage:
    return Passage(Chunk(f"c{n}", f"d{n}", 1, 0, f"{n}.txt", f"file:{n}.txt", f"Text number {n}.", 5, 19, page=n), 0.5)


REQUEST = GenerateRequest(
    "When does the tide turn?", [passage(1), passage(2), passage(3)], max_tokens=50, top_p=0.5, seed=7, stop=["END"]
)


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
    assert "".join(e.text for e in events if isinstance(e, AnswerDelta)) == "The tide turns [1], twice [3]."
    assert len([e for e in events if isinstance(e, AnswerDelta)]) > 3
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


async def test_sampling_fields_are_passed_on_under_the_names_the_caller_used(
    endpoint: Endpoint, backend: OpenAIBackend
) -> None:
    [_ async for _ in backend.answer(REQUEST, context())]
    [_ async for _ in backend.answer(GenerateRequest("And?", [], max_completion_tokens=9, temperature=0.0), context())]

    first, second = endpoint.asked
    assert {name: first[name] for name in ("max_tokens", "top_p", "seed", "stop")} == {
        "max_tokens": 50,
        "top_p": 0.5,
        "seed": 7,
        "stop": ["END"],
    }
    assert (second["max_completion_tokens"], second["temperature"]) == (9, 0.0)
    assert not {"max_tokens", "top_p", "seed", "stop"} & second.keys()


async def test_the_prompts_version_comes_with_the_answer_and_unsupported_statements_are_named(
    endpoint: Endpoint, backend: OpenAIBackend
) -> None:
    endpoint.words = ["Text number 2 is here [2]. ", "The harbour of Rotterdam ", "has 44 cranes [1]."]

    done = [event async for event in backend.answer(REQUEST, context())][-1]

    assert isinstance(done, AnswerDone)
    assert done.prompt == "answer-1"
    assert done.unsupported == ["The harbour of Rotterdam has 44 cranes."]


async def test_a_follow_up_is_rewritten_by_the_model(endpoint: Endpoint, backend: OpenAIBackend) -> None:
    endpoint.words = ['"When does the tide ', 'turn in Ystad?"']
    request = StandaloneRequest("And in Ystad?", [ChatTurn("user", "When does the tide turn?")])

    made = await backend.standalone(request, context())

    assert (made.query, made.model) == ("When does the tide turn in Ystad?", "a-model")
    assert "user: When does the tide turn?" in endpoint.asked[0]["messages"][0]["content"]


@pytest.mark.parametrize("words", [["One line.\n", "Another line."], ["word " * 500], []])
async def test_a_rewrite_that_is_no_question_is_a_failure(
    endpoint: Endpoint, backend: OpenAIBackend, words: list[str]
) -> None:
    endpoint.words = words

    with pytest.raises(UpstreamFailed, match="did not rewrite"):
        await backend.standalone(StandaloneRequest("And?", [ChatTurn("user", "When?")]), context())


async def test_the_proxy_of_the_environment_is_used_and_no_proxy_is_honoured(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", endpoint.url.removesuffix("/v1"))
    monkeypatch.setenv("no_proxy", "")
    backend = OpenAIBackend(aiohttp.ClientSession(), "http://model.invalid/v1", "m", None)

    events = [event async for event in backend.answer(REQUEST, context())]
    monkeypatch.setenv("no_proxy", "model.invalid")
    with pytest.raises(Unavailable):
        await anext(backend.answer(REQUEST, context()))

    assert isinstance(events[-1], AnswerDone)
    assert len(endpoint.asked) == 1
    await backend.close()


class Quoting:
    """Extractive back end of one sentence."""

    async def answer(self, request: GenerateRequest, context: RequestContext) -> AsyncGenerator[AnswerEvent, None]:
        yield AnswerDelta("Quoted.")
        yield AnswerDone([])

    async def close(self) -> None:
        return None


@pytest.mark.parametrize(("behaviour", "retry_after"), [("429", "30"), ("500", None), ("slow", None), ("silent", None)])
async def test_an_overloaded_or_slow_endpoint_is_replaced_by_an_extractive_answer_that_says_so(
    endpoint: Endpoint, backend: OpenAIBackend, behaviour: str, retry_after: str | None
) -> None:
    endpoint.behaviour, endpoint.retry_after = behaviour, retry_after
    with_fallback = FallbackBackend(backend, Quoting(), first_token_timeout_s=0.3)

    events = [event async for event in with_fallback.answer(REQUEST, context())]

    assert events[0] == AnswerDelta("Quoted.", ["generation"])
    assert isinstance(events[-1], AnswerDone)
    assert events[-1].degraded == ["generation"]


async def test_the_endpoint_is_left_alone_for_as_long_as_it_asked(endpoint: Endpoint, backend: OpenAIBackend) -> None:
    now = [100.0]
    endpoint.behaviour, endpoint.retry_after = "429", "30"
    with_fallback = FallbackBackend(backend, Quoting(), 5.0, clock=lambda: now[0])

    for _ in range(3):
        [_ async for _ in with_fallback.answer(REQUEST, context())]
    with pytest.raises(Overloaded, match="pause"):
        await with_fallback.standalone(StandaloneRequest("And?", [ChatTurn("user", "When?")]), context())
    assert len(endpoint.asked) == 1

    now[0], endpoint.behaviour = 131.0, "ok"
    events = [event async for event in with_fallback.answer(REQUEST, context())]

    assert len(endpoint.asked) == 2
    assert isinstance(events[-1], AnswerDone)
    assert events[-1].degraded == []


async def test_an_answer_that_breaks_after_it_began_is_not_replaced(endpoint: Endpoint, backend: OpenAIBackend) -> None:
    endpoint.behaviour = "break"

    events = [event async for event in FallbackBackend(backend, Quoting(), 5.0).answer(REQUEST, context())]

    assert isinstance(events[-1], AnswerFailed)


async def test_an_error_about_the_request_is_not_hidden_by_the_fallback(backend: OpenAIBackend) -> None:
    with pytest.raises(TooLarge):
        await anext(FallbackBackend(backend, Quoting(), 5.0).answer(GenerateRequest("word " * 9000, []), context()))
