"""Tests of the event stream that follows a batch to its end."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from argosy.clients.exchange import RawResponse
from argosy.contracts.errors import DocumentNotFound, Overloaded, Unavailable
from argosy.contracts.request import Deadline
from argosy.services.gateway import batches
from argosy.services.gateway.batches import follow

pytestmark = pytest.mark.unit


def view(progress: float, done: bool = False, status: int = 200, retry_after: str | None = None) -> RawResponse:
    body = json.dumps({"progress": progress, "counts": {"indexed": int(done)}, "done": done}).encode()
    return RawResponse(status, body, "application/json", retry_after)


class Waits:
    """Record of the pauses, which take no time."""

    def __init__(self) -> None:
        self.made: list[float] = []

    async def __call__(self, wait_s: float) -> None:
        self.made.append(wait_s)


async def events(
    *answers: RawResponse | Exception, seconds: float = 60.0, waits: Waits | None = None, now_s: float = 0.0
) -> list[str]:
    coming: Iterator[RawResponse | Exception] = iter(answers[1:])

    async def poll(wait_s: float) -> RawResponse:
        assert 0 <= wait_s <= batches.POLL_S
        answer = next(coming)
        if isinstance(answer, Exception):
            raise answer
        return answer

    first = answers[0]
    assert isinstance(first, RawResponse)
    deadline = Deadline.after(seconds, lambda: now_s)
    return [event.decode() async for event in follow(first, poll, deadline, waits or Waits())]


def error(event: str) -> str:
    assert event.startswith("event: error\ndata: ")
    assert event.endswith("\n\n")
    return str(json.loads(event.partition("data: ")[2])["error"]["code"])


def progress(event: str) -> float:
    assert event.startswith("event: batch\ndata: ")
    return float(json.loads(event.partition("data: ")[2])["progress"])


async def test_each_change_is_an_event_and_the_last_one_is_the_end() -> None:
    told = await events(view(0), view(0), view(0.5), view(1, done=True))
    assert told[1] == ": still here\n\n"
    assert [progress(event) for event in told if event.startswith("event")] == [0, 0.5, 1]


async def test_a_batch_that_is_done_is_one_event() -> None:
    assert [progress(event) for event in await events(view(1, done=True))] == [1]


async def test_a_service_that_is_away_is_waited_for() -> None:
    told = await events(view(0), Unavailable("away"), view(0, status=503), view(1, done=True))
    assert [progress(event) for event in told if event.startswith("event")] == [0, 1]


async def test_a_service_that_is_full_is_asked_again_after_the_time_that_it_names() -> None:
    waits = Waits()
    full = view(0, status=429, retry_after="3")
    told = await events(
        view(0), full, Overloaded("full", retry_after_s=2.0), view(0.5), view(1, done=True), waits=waits
    )
    assert [progress(event) for event in told if event.startswith("event")] == [0, 0.5, 1]
    assert waits.made == [3.0, 2.0]


async def test_a_long_wait_is_filled_with_comments_and_ends_with_the_deadline() -> None:
    waits = Waits()
    told = await events(view(0), view(0, status=429, retry_after="600"), view(1, done=True), seconds=25, waits=waits)
    assert waits.made == [10.0, 10.0, 5.0]
    assert told.count(": still here\n\n") == 4


@pytest.mark.parametrize("retry_after", [None, "\u00b2", "soon", "-1", "nan"])
async def test_a_refusal_that_names_no_time_is_waited_out_all_the_same(retry_after: str | None) -> None:
    waits = Waits()
    told = await events(view(0), view(0, status=429, retry_after=retry_after), view(1, done=True), waits=waits)
    assert [progress(event) for event in told if event.startswith("event")] == [0, 1]
    assert waits.made == [batches.AGAIN_S]


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (DocumentNotFound("gone"), "document_not_found"),
        (RawResponse(404, b"no page", "text/html", None), "upstream_failed"),
        (RawResponse(200, b"no view", "text/html", None), "upstream_failed"),
        (RuntimeError("a bug"), "internal_error"),
    ],
)
async def test_a_stream_that_ends_before_the_batch_says_why(answer: RawResponse | Exception, code: str) -> None:
    told = await events(view(0), answer)
    assert len(told) == 2
    assert error(told[-1]) == code


async def test_past_its_time_the_stream_says_that_the_batch_is_not_over() -> None:
    last = (await events(view(0), seconds=-1))[-1]
    assert "Follow the batch again" in last
    assert error(last) == "deadline_exceeded"
