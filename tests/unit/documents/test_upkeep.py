"""Background work of the documents service continues after an error, and the error is reported."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from argosy.services.documents import upkeep
from argosy.services.documents.upkeep import Upkeep
from argosy.serving.loops import Loops
from tests.waiting import until

pytestmark = pytest.mark.unit


class Meters:
    def saw_queue(self, documents: int, size: int, busy: int) -> None:
        return


async def test_the_figure_that_scaling_follows_does_not_stand_still_after_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answers: list[Any] = [ValueError("no row"), (7, 1)]

    def queue(self: Upkeep) -> tuple[int, int]:
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer  # type: ignore[no-any-return]

    def failing(*arguments: object) -> None:
        raise OSError("no disk")

    monkeypatch.setattr(Upkeep, "_queue", queue)
    monkeypatch.setattr(upkeep, "sweep", failing)
    loops = Loops()
    nothing: Any = None
    kept = Upkeep(nothing, nothing, nothing, Meters(), lambda: 0, loops, queue_watch_s=0.001)  # type: ignore[arg-type]
    running = asyncio.create_task(kept.run())
    await until(lambda: kept.queued == 7)
    await until(lambda: len(loops.reasons()) == 2)
    assert sorted(loops.reasons()) == ["housekeeping failed (OSError)", "watch of the queue failed (ValueError)"]
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await loops.close()
