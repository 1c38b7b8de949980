from __future__ import annotations

import asyncio
from typing import Any

import pytest

from argosy.config.models import Fleet
from argosy.contracts.embedding import QueryVector
from argosy.contracts.errors import (
    ArgosyError,
    DeadlineExceeded,
    InvalidRequest,
    Overloaded,
    Unavailable,
    UpstreamFailed,
)
from argosy.contracts.generation import AnswerDelta, AnswerDone, AnswerFailed, ChatTurn
from argosy.contracts.retrieval import RetrievalResponse, SearchMode
from argosy.services.gateway.answer.engine import AnswerEngine, patience_s
from argosy.services.gateway.routes import chat
from tests.asgi import Answer, call
from tests.unit.gateway.fakes import PASSAGE, TEXT, Rig
from tests.unit.gateway.stream import events_of

pytestmark = pytest.mark.unit

QUESTION: dict[str, object] = {
    "model": "argosy",
    "messages": [{"role": "user", "content": "How often does the tide turn?"}],
}


async def ask(rig: Rig, **fields: object) -> Answer:
    return await call(rig.app, "POST", "/v1/chat/completions", json=QUESTION | fields)


def content(answer: Answer) -> object:
    return answer.json()["choices"][0]["message"]["content"]  # type: ignore[index]


async def test_an_answer_has_openais_shape_with_citations_beside_it(rig: Rig) -> None:
    answer = await ask(rig)

    said = answer.json()
    assert answer.status == 200
    assert said["object"] == "chat.completion"
    assert said["model"] == "argosy"
    assert said["choices"] == [
        {
            "index": 0,
            "finish_reason": "stop",
            "logprobs": None,
            "message": {"role": "assistant", "content": "Twice a day [1].", "refusal": None},
        }
    ]
    assert said["usage"] == {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}
    assert said["degraded"] == []
    assert said["answered_by"] == "a-model"
    assert said["citations"] == [
        {
            "index": 1,
            "document_id": "d1",
            "name": "tides.md",
            "source": "file:tides.md",
            "title": "Tides",
            "heading_path": [],
            "chunk_id": "c1",
            "page": 3,
            "last_page": 4,
            "start": 100,
            "end": 100 + len(TEXT),
            "quote": TEXT,
            "score": 1.0,
        }
    ]
    assert "x-argosy-degraded" not in answer.headers
    assert set(said["timings_ms"]) == {"retrieve", "first_token", "total"}  # type: ignore[call-overload]


async def test_the_last_user_message_is_the_question_and_what_came_before_is_history(rig: Rig) -> None:
    messages = [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": "Hi", "refusal": None, "tool_calls": None},
        {"role": "user", "content": [{"type": "text", "text": "And the"}, {"type": "text", "text": "tide?"}]},
    ]

    await ask(rig, messages=messages, max_tokens=7, temperature=0.5, top_k=3, mode="lexical", filters={"title": "T"})

    request, _ = rig.upstream.generation.asked[0]
    searched, _ = rig.upstream.retrieval.asked[0]
    assert request.question == searched.query == "And the\ntide?"
    assert request.history == [
        ChatTurn("system", "Be kind."),
        ChatTurn("user", "Hello"),
        ChatTurn("assistant", "Hi"),
    ]
    assert (request.max_tokens, request.temperature) == (7, 0.5)
    assert (searched.top_k, searched.mode, searched.filters) == (3, SearchMode.LEXICAL, {"title": "T"})


async def test_one_engine_serves_all_requests_and_those_at_the_same_time_stay_apart(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    built: list[AnswerEngine] = []

    class Counted(AnswerEngine):
        def __init__(self, *given: Any, **named: Any) -> None:
            super().__init__(*given, **named)
            built.append(self)

    monkeypatch.setattr(chat, "AnswerEngine", Counted)
    rig = Rig(connected=False)
    early = await ask(rig)
    rig.connect()
    questions = [f"Question {n}?" for n in range(5)]

    answers = await asyncio.gather(
        *(
            ask(rig, messages=[{"role": "user", "content": question}], stream=n % 2 == 1)
            for n, question in enumerate(questions)
        )
    )

    assert early.status == 503
    assert [answer.status for answer in answers] == [200] * 5
    assert sorted(request.question for request, _ in rig.upstream.generation.asked) == questions
    assert len(built) == 1


async def test_the_querys_vector_goes_on_to_generation(rig: Rig) -> None:
    vector = QueryVector("m", "r", 2, b"12345678")
    rig.upstream.retrieval.answer = RetrievalResponse([PASSAGE], query_vector=vector)

    await ask(rig)

    request, _ = rig.upstream.generation.asked[0]
    assert request.question_vector == vector


async def test_a_stream_begins_with_the_role_and_ends_with_citations_and_done(rig: Rig) -> None:
    answer = await ask(rig, stream=True)

    chunks, end = events_of(answer)
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert deltas == [{"role": "assistant", "content": ""}, {"content": "Twice "}, {"content": "a day [1]."}, {}]
    assert [chunk["choices"][0]["finish_reason"] for chunk in chunks] == [None, None, None, "stop"]
    assert ["citations" in chunk for chunk in chunks] == [False, False, False, True]
    assert chunks[-1]["citations"][0]["quote"] == TEXT
    assert chunks[-1]["degraded"] == []
    assert len({chunk["id"] for chunk in chunks}) == 1
    assert all("usage" not in chunk for chunk in chunks)
    assert end == "[DONE]"


async def test_a_stream_tells_the_usage_when_asked_to(rig: Rig) -> None:
    answer = await ask(rig, stream=True, stream_options={"include_usage": True})

    chunks, end = events_of(answer)
    assert [chunk["usage"] for chunk in chunks[:-1]] == [None] * 4
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"] == {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}
    assert chunks[-1]["citations"]
    assert end == "[DONE]"


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    "failure",
    [Unavailable("gone"), Overloaded("full"), UpstreamFailed("bad"), DeadlineExceeded("late"), AnswerFailed("x", "y")],
)
async def test_without_generation_the_gateway_quotes_the_documents_and_says_so(
    rig: Rig, stream: bool, failure: ArgosyError | AnswerFailed
) -> None:
    rig.upstream.generation.events = [failure]

    answer = await ask(rig, stream=stream)

    assert answer.headers["x-argosy-degraded"] == "generation"
    assert rig.metric("argosy_degraded_answers_total", missing="generation") == 1
    if stream:
        chunks, end = events_of(answer)
        text = "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks)
        tail = chunks[-1]
        assert end == "[DONE]"
    else:
        text, tail = str(content(answer)), answer.json()
    assert text == "The tide turns twice a day. [1]"
    assert tail["degraded"] == ["generation"]
    assert tail["citations"][0]["quote"] == "The tide turns twice a day."
    assert tail["answered_by"] == "extractive"


async def test_a_first_word_that_does_not_come_in_time_is_not_waited_for() -> None:
    rig = Rig(Fleet.model_validate({"services": {"gateway": {"first_token_timeout_s": 0.02}}}))
    rig.upstream.generation.events = [None]

    async with asyncio.timeout(5):
        answer = await ask(rig)

    assert answer.json()["degraded"] == ["generation"]
    assert rig.upstream.generation.closed == 1


@pytest.mark.parametrize(
    ("spent_s", "left_s", "patient_s"), [(1.0, 60.0, 9.0), (1.0, 2.0, 0.8), (11.0, 60.0, 0.0), (0.0, -1.0, 0.0)]
)
def test_patience_ends_at_the_first_word_limit_and_leaves_a_caller_in_a_hurry_time_for_the_fallback(
    spent_s: float, left_s: float, patient_s: float
) -> None:
    assert patience_s(10.0, spent_s, left_s) == pytest.approx(patient_s)


async def test_what_retrieval_and_generation_did_without_is_named_once(rig: Rig) -> None:
    rig.upstream.retrieval.answer = RetrievalResponse([PASSAGE], ["embedding"])
    rig.upstream.generation.events = [AnswerDelta("x"), AnswerDone([], degraded=["embedding"])]

    answer = await ask(rig)

    assert answer.json()["degraded"] == ["embedding"]
    assert answer.headers["x-argosy-degraded"] == "embedding"
    assert rig.metric("argosy_degraded_answers_total", missing="embedding") == 1


@pytest.mark.parametrize("failure", [UpstreamFailed("It broke."), AnswerFailed("upstream_failed", "It broke.")])
async def test_a_stream_that_breaks_after_the_first_word_ends_with_an_error_and_without_done(
    rig: Rig, failure: ArgosyError | AnswerFailed
) -> None:
    rig.upstream.generation.events = [AnswerDelta("Twice "), failure]

    answer = await ask(rig, stream=True)

    chunks, end = events_of(answer)
    assert end is None
    assert chunks[-1]["error"]["code"] == "upstream_failed"
    assert chunks[-1]["error"]["request_id"] == answer.headers["x-request-id"]
    assert answer.raised is None


async def test_a_stream_that_ends_without_being_finished_is_an_error(rig: Rig) -> None:
    rig.upstream.generation.events = [AnswerDelta("Twice ")]

    chunks, end = events_of(await ask(rig, stream=True))

    assert end is None
    assert "error" in chunks[-1]


async def test_a_bug_in_the_middle_of_a_stream_is_an_error_without_internals(rig: Rig) -> None:
    rig.upstream.generation.events = [AnswerDelta("Twice "), ValueError("/secret/path")]

    answer = await ask(rig, stream=True)

    chunks, end = events_of(answer)
    assert end is None
    assert chunks[-1]["error"]["code"] == "internal_error"
    assert b"secret" not in answer.body


async def test_a_whole_answer_that_breaks_is_replaced_because_nothing_of_it_was_sent(rig: Rig) -> None:
    rig.upstream.generation.events = [AnswerDelta("Wrong "), UpstreamFailed("It broke.")]

    answer = await ask(rig)

    assert content(answer) == "The tide turns twice a day. [1]"
    assert answer.json()["degraded"] == ["generation"]


async def test_generation_finding_the_request_wrong_is_no_reason_to_fall_back(rig: Rig) -> None:
    rig.upstream.generation.events = [InvalidRequest("No.", param="question")]

    answer = await ask(rig)

    assert answer.status == 400


@pytest.mark.parametrize("stream", [True, False])
async def test_without_retrieval_there_is_no_answer_and_the_status_says_so(rig: Rig, stream: bool) -> None:
    rig.upstream.retrieval.error = Unavailable("The store service cannot be reached now.", retry_after_s=1.0)

    answer = await ask(rig, stream=stream)

    assert answer.status == 503
    assert answer.headers["retry-after"] == "1"
    assert answer.error()["retryable"] is True


async def test_a_caller_who_hangs_up_stops_the_work(rig: Rig) -> None:
    rig.upstream.generation.events = [AnswerDelta("Twice "), None]

    answer = await call(rig.app, "POST", "/v1/chat/completions", json=QUESTION | {"stream": True}, hang_up_after=2)

    assert rig.upstream.generation.closed == 1
    assert answer.raised is None


async def test_the_answer_hop_leaves_time_to_report(rig: Rig) -> None:
    rig.kit.clock = lambda: 100.0

    await call(rig.app, "POST", "/v1/chat/completions", json=QUESTION, headers={"x-argosy-deadline-ms": "10000"})

    _, context = rig.upstream.generation.asked[0]
    assert context.deadline.remaining_s() == pytest.approx(9.0)


async def test_a_collection_in_the_model_name_is_searched(rig: Rig) -> None:
    answer = await ask(rig, model="argosy/nope")

    assert answer.status == 404
    assert answer.error()["code"] == "collection_not_found"
    assert rig.upstream.retrieval.asked[0][0].collection == "nope"


async def test_openais_usual_fields_are_taken(rig: Rig) -> None:
    answer = await ask(
        rig,
        temperature=0.2,
        max_completion_tokens=5,
        top_p=1,
        user="u",
        seed=1,
        stop=["x"],
        presence_penalty=0,
        frequency_penalty=0,
        metadata={"a": "b"},
        store=False,
        n=1,
        response_format={"type": "text"},
        tools=[],
        logprobs=False,
    )

    assert answer.status == 200


FOLLOW_UP = [
    {"role": "user", "content": "What does the ferry cost?"},
    {"role": "assistant", "content": "Thirty euros [1]."},
    {"role": "user", "content": "And for children?"},
]


async def test_a_follow_up_is_searched_with_the_topic_before_and_the_query_is_returned(rig: Rig) -> None:
    answer = await ask(rig, messages=FOLLOW_UP)

    searched, _ = rig.upstream.retrieval.asked[0]
    request, _ = rig.upstream.generation.asked[0]
    assert answer.json()["query"] == searched.query == "And for children? ferry cost"
    assert answer.json()["query_by"] == "rule"
    assert (request.question, request.carried) == ("And for children?", "ferry cost")


async def test_a_stream_returns_the_query_in_its_last_chunk(rig: Rig) -> None:
    events, _ = events_of(await ask(rig, messages=FOLLOW_UP, stream=True))

    assert (events[-1]["query"], events[-1]["query_by"]) == ("And for children? ferry cost", "rule")
    assert all("query" not in event for event in events[:-1])


async def test_a_rewrite_that_failed_is_named_in_degraded() -> None:
    rig = Rig(Fleet.model_validate({"services": {"generation": {"backend": "openai", "model": "m"}}}))

    answer = await ask(rig, messages=FOLLOW_UP)

    assert answer.json()["degraded"] == ["generation"]
    assert answer.headers["x-argosy-degraded"] == "generation"
    assert answer.json()["query"] == "And for children? ferry cost"


async def test_sampling_fields_reach_generation(rig: Rig) -> None:
    await ask(rig, stop="END", top_p=0.5, seed=3, max_completion_tokens=4)

    request, _ = rig.upstream.generation.asked[0]
    assert (request.stop, request.top_p, request.seed) == (["END"], 0.5, 3)
    assert (request.max_completion_tokens, request.max_tokens) == (4, None)


async def test_a_fallback_inside_generation_is_named_in_the_header_of_a_stream(rig: Rig) -> None:
    rig.upstream.generation.events = [AnswerDelta("Quoted.", ["generation"]), AnswerDone([], degraded=["generation"])]

    answer = await ask(rig, stream=True)

    assert answer.headers["x-argosy-degraded"] == "generation"
    assert events_of(answer)[0][-1]["degraded"] == ["generation"]


async def test_statements_without_support_and_the_prompts_version_are_returned(rig: Rig) -> None:
    rig.upstream.generation.events = [AnswerDelta("So."), AnswerDone([], unsupported=["So."], prompt="answer-1")]

    whole = (await ask(rig)).json()
    last = events_of(await ask(rig, stream=True))[0][-1]

    assert (whole["unsupported"], whole["prompt"]) == (["So."], "answer-1")
    assert (last["unsupported"], last["prompt"]) == (["So."], "answer-1")
