"""A batch followed to its end."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from argosy.clients.exchange import RawResponse
from argosy.contracts.errors import Unavailable
from argosy.contracts.request import Deadline
from argosy.services.gateway import batches
from argosy.services.gateway.batches import follow

pytestmark = pytest.mark.unit


def view(progress: float, done: bool = False, status: int = 200) -> RawResponse:
    body = json.dumps({"progress": progress, "counts": {"indexed": int(done)}, "done": done}).encode()
    return RawResponse(status, body, "application/json", None)


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "AGAIN_S", 0.0)


async def events(*answers: RawResponse | Exception, seconds: float = 60.0) -> list[str]:
    coming: Iterator[RawResponse | Exception] = iter(answers[1:])

    async def poll(wait_s: float) -> RawResponse:
        assert 0 <= wait_s <= batches.POLL_S
        answer = next(coming)
        if isinstance(answer, Exception):
            raise answer
        return answer

    first = answers[0]
    assert isinstance(first, RawResponse)
    return [event.decode() async for event in follow(first, poll, Deadline.after(seconds))]


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


async def test_a_batch_that_is_forgotten_ends_the_stream() -> None:
    assert len(await events(view(0), view(0, status=404))) == 1


async def test_past_its_time_the_stream_says_that_the_batch_is_not_over() -> None:
    assert "follow it again" in (await events(view(0), seconds=-1))[-1]
