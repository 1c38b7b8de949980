"""Continuation of an extractive answer whose stream broke off.

The same question with the same passages gives the same text again, so another source can continue the answer. An answer
of a language model cannot be continued this way.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Callable, Sequence

from argosy.contracts.errors import SERVICE_FAILURES, ArgosyError, UpstreamFailed
from argosy.contracts.generation import AnswerDelta, AnswerEvent
from argosy.telemetry.logs import logger

Source = Callable[[], AsyncGenerator[AnswerEvent, None]]

log = logger("answer")


async def resuming(
    events: AsyncGenerator[AnswerEvent, None], others: Sequence[Source]
) -> AsyncGenerator[AnswerEvent, None]:
    """Yield `events`. When they break off, yield the text that the next of `others` adds to the text already given.

    Raises: the error of the last source, when no source repeats the text already given and completes the answer.
    """
    given = ""
    waiting = list(others)
    source = events
    while True:
        try:
            async with contextlib.aclosing(source):
                said = ""
                async for event in source:
                    if not isinstance(event, AnswerDelta):
                        if not said.startswith(given):
                            raise UpstreamFailed("The answer broke off and could not be continued.")
                        yield event
                        continue
                    said += event.text
                    if not (said.startswith(given) or given.startswith(said)):
                        raise UpstreamFailed("The answer broke off and could not be continued.")
                    if len(said) > len(given):
                        added, given = said[len(given) :], said
                        yield AnswerDelta(added)
                return
        except SERVICE_FAILURES as error:
            failure: ArgosyError = error
        if not waiting:
            raise failure
        log.warning("answer continued from another source", reason=failure.code, after_chars=len(given))
        source = waiting.pop(0)()
