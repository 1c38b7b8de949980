"""An extractive answer that goes on where its stream broke off: the same question to the same passages gives the same
text again, so another source can continue it. An answer of a language model cannot be continued like that.
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
    """`events`; when they break off, what the next of `others` adds to the text that was given already.

    Raises: what broke the last source, when none of them says the same and goes on.
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
        log.warning("answer goes on elsewhere", reason=failure.code, after_chars=len(given))
        source = waiting.pop(0)()
