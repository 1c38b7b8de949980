"""A real model file, run by llama.cpp in its own process."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest

from argosy.contracts.errors import Overloaded, StartError, UpstreamFailed
from argosy.contracts.generation import (
    AnswerDelta,
    AnswerDone,
    ChatTurn,
    GenerateRequest,
    StandaloneRequest,
)
from argosy.contracts.retrieval import Passage
from argosy.contracts.store import Chunk
from argosy.services.generation.backends.llamacpp import LlamaCppBackend, ModelFile
from argosy.services.generation.backends.openai import ModelUse
from tests.integration.generation.small_model import unpacked
from tests.kits import context

pytestmark = [
    pytest.mark.integration,
    pytest.mark.timeout(400),
    pytest.mark.skipif(not os.environ.get("ARGOSY_PLATFORMS"), reason="make test-platforms runs it"),
]

TEXT = "The tide turns twice a day at the outer buoy."
PASSAGE = Passage(Chunk("c", "d", 1, 0, "sea.md", "file:sea.md", TEXT, 0, len(TEXT)), 1.0)
QUESTION = GenerateRequest("How often does the tide turn?", [PASSAGE], temperature=0.0, seed=1, max_tokens=16)
LONG_S = 120.0


@pytest.fixture
def file(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> ModelFile:
    gguf, packages = unpacked(Path(request.config.cache.mkdir("llm")))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(packages), os.environ.get("PYTHONPATH", "")]))
    return ModelFile(gguf, context_tokens=1024, answer_tokens=400, threads=1, max_queued=0)


@pytest.fixture
async def backend(file: ModelFile) -> AsyncIterator[LlamaCppBackend]:
    made = LlamaCppBackend(file, ModelUse(room=600))
    await made.start()
    yield made
    await made.close()


async def test_a_model_file_answers_in_a_stream_from_a_process_of_its_own(backend: LlamaCppBackend) -> None:
    events = [event async for event in backend.answer(QUESTION, context(LONG_S))]
    again = [event async for event in backend.answer(QUESTION, context(LONG_S))]

    done = events[-1]
    assert isinstance(done, AnswerDone)
    assert done.model.startswith("SmolLM2")
    assert 0 < done.completion_tokens <= 16
    assert len([e for e in events if isinstance(e, AnswerDelta)]) > 1
    assert [e.text for e in events if isinstance(e, AnswerDelta)] == [
        e.text for e in again if isinstance(e, AnswerDelta)
    ]
    assert backend.pid is not None
    assert backend.pid != os.getpid()
    assert backend.memory_bytes > 50 * 2**20
    assert await backend.counts(["", "Hello there"]) == [0, 2]


async def test_the_event_loop_runs_on_while_the_model_computes(backend: LlamaCppBackend) -> None:
    beats = 0

    async def beat() -> None:
        nonlocal beats
        while True:
            await asyncio.sleep(0.005)
            beats += 1

    beating = asyncio.create_task(beat())
    events = [event async for event in backend.answer(QUESTION, context(LONG_S))]
    beating.cancel()

    assert isinstance(events[-1], AnswerDone)
    assert beats > len(events)


async def test_a_closed_answer_stops_the_model_and_a_full_queue_refuses(backend: LlamaCppBackend) -> None:
    story = GenerateRequest("Tell a long story about the tide.", [PASSAGE], seed=1, temperature=0.0, max_tokens=400)
    events = backend.answer(story, context(LONG_S))
    await anext(events)
    with pytest.raises(Overloaded):
        await anext(backend.answer(QUESTION, context(LONG_S)))

    await events.aclose()

    after = [event async for event in backend.answer(QUESTION, context(LONG_S))]
    assert isinstance(after[-1], AnswerDone)


async def test_a_follow_up_is_rewritten_or_refused_but_never_hangs(backend: LlamaCppBackend) -> None:
    asked = StandaloneRequest("And at night?", [ChatTurn("user", "How often does the tide turn?")])
    try:
        made = await backend.standalone(asked, context(LONG_S))
    except UpstreamFailed:
        return
    assert made.query


async def test_a_model_process_that_was_killed_is_replaced(backend: LlamaCppBackend) -> None:
    assert backend.pid is not None
    first = psutil.Process(backend.pid)
    first.send_signal(signal.SIGKILL)
    async with asyncio.timeout(60):
        while first.is_running() and first.status() != psutil.STATUS_ZOMBIE:
            await asyncio.sleep(0.01)

    events = [event async for event in backend.answer(QUESTION, context(LONG_S))]

    assert isinstance(events[-1], AnswerDone)
    assert backend.pid != first.pid


async def test_the_model_process_ends_with_its_parents_pipe(backend: LlamaCppBackend) -> None:
    process = backend._process
    assert process is not None
    assert process.stdin is not None

    process.stdin.close()

    assert await asyncio.wait_for(process.wait(), 60) == 0


async def test_a_damaged_model_is_an_error_at_the_start(file: ModelFile, tmp_path: Path) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(file.path.read_bytes()[:5000])
    made = LlamaCppBackend(ModelFile(broken, 1024, 64, 1, 0), ModelUse(room=600))

    with pytest.raises(StartError, match=r"broken\.gguf"):
        await made.start()
    await made.close()
