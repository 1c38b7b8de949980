"""Lines of a stream, and server-sent events, from the pieces in which they arrive."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, AsyncIterable


class LineTooLong(ValueError):
    """A line of a stream is longer than the reader allows."""


async def lines(data: AsyncIterable[bytes], max_bytes: int) -> AsyncGenerator[bytes, None]:
    """Yield each line without its line feed; the last one may lack it. Blank lines are yielded too.

    Memory stays below `max_bytes` and one piece; time is linear in the bytes, however small the pieces are.

    Raises: LineTooLong when a line has more than `max_bytes`; the lines before it have been yielded.
    """
    pending = bytearray()
    async for piece in data:
        first, *others = piece.split(b"\n")
        pending += first
        for start in others:
            _check(pending, max_bytes)
            yield bytes(pending)
            pending = bytearray(start)
        _check(pending, max_bytes)
    if pending:
        yield bytes(pending)


async def event_data(data: AsyncIterable[bytes], max_bytes: int) -> AsyncGenerator[bytes, None]:
    """Yield the data of each server-sent event, one line each. Comments, other fields and empty data are skipped.

    Raises: LineTooLong when a line has more than `max_bytes`.
    """
    async with contextlib.aclosing(lines(data, max_bytes)) as found:
        async for line in found:
            field, _, value = line.partition(b":")
            if field.strip() == b"data" and (value := value.strip()):
                yield value


def _check(line: bytearray, max_bytes: int) -> None:
    if len(line) > max_bytes:
        raise LineTooLong(f"A line is over the limit of {max_bytes} bytes.")
