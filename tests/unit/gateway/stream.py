"""Reader of an event stream, as a client would read it."""

from __future__ import annotations

from typing import Any

import msgspec

from tests.asgi import Answer


def events_of(answer: Answer) -> tuple[list[dict[str, Any]], str | None]:
    """Return the events in order, and `[DONE]` if the stream ended with it."""
    lines = [line.removeprefix("data: ") for line in answer.body.decode().split("\n\n") if line]
    end = lines.pop() if lines and lines[-1] == "[DONE]" else None
    return [msgspec.json.decode(line) for line in lines], end
