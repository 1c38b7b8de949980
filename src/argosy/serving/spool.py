"""A request's body, received whole before anybody works on it: in memory while it is small, else in a nameless file."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import tempfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import IO, TypeVar

from argosy.contracts.errors import Overloaded, StorageFull

T = TypeVar("T")
R = TypeVar("R")
MEMORY_BYTES = 256 * 2**10
PIECE_BYTES = 256 * 2**10
RETRY_AFTER_S = 2.0


class Spool:
    def __init__(self, file: IO[bytes], size: int) -> None:
        self._file = file
        self.size = size

    async def pieces(self) -> AsyncIterator[bytes]:
        """The body from its beginning; once."""
        self._file.seek(0)
        left = self.size
        while left > 0:
            piece = await _on_disk(self.size, self._file.read, PIECE_BYTES)
            left -= len(piece)
            yield piece


@contextlib.asynccontextmanager
async def spooled(pieces: AsyncIterator[bytes], folder: Path) -> AsyncIterator[Spool]:
    """Receive all pieces. What does not fit into memory goes to the disk of `folder`, and is gone with the block.

    Raises: StorageFull; Overloaded, no file could be opened; whatever `pieces` raises.
    """
    with tempfile.SpooledTemporaryFile(MEMORY_BYTES, dir=str(folder)) as file:
        size = 0
        async for piece in pieces:
            size += len(piece)
            try:
                await _on_disk(size, file.write, piece)
            except OSError as error:
                if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                    raise StorageFull("There is no room on the disk to receive the body. Free some.") from error
                if error.errno in (errno.EMFILE, errno.ENFILE):
                    raise Overloaded(
                        "No file can be opened to receive the body. Try again after the time in Retry-After.",
                        retry_after_s=RETRY_AFTER_S,
                    ) from error
                raise
        yield Spool(file, size)


async def _on_disk(size: int, work: Callable[[T], R], argument: T) -> R:
    """Off the event loop once the body is on disk: a disk may be slow."""
    return work(argument) if size <= MEMORY_BYTES else await asyncio.to_thread(work, argument)
