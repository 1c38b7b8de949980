"""Spool that receives a whole request body before it is processed: in memory if small, else in an unnamed file."""

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
    """Received body of `size` bytes."""

    def __init__(self, file: IO[bytes], size: int) -> None:
        self._file = file
        self.size = size

    async def pieces(self) -> AsyncIterator[bytes]:
        """Yield the body from its beginning, in pieces of at most PIECE_BYTES. Call this once."""
        self._file.seek(0)
        left = self.size
        while left > 0:
            piece = await _on_disk(self.size, self._file.read, PIECE_BYTES)
            left -= len(piece)
            yield piece


@contextlib.asynccontextmanager
async def spooled(pieces: AsyncIterator[bytes], folder: Path) -> AsyncIterator[Spool]:
    """Receive all pieces. A body over MEMORY_BYTES is stored on the disk of `folder` until the block ends.

    Raises: StorageFull when the disk is full; Overloaded when no file can be opened; any error of `pieces`.
    """
    with tempfile.SpooledTemporaryFile(MEMORY_BYTES, dir=str(folder)) as file:
        size = 0
        async for piece in pieces:
            size += len(piece)
            try:
                await _on_disk(size, file.write, piece)
            except OSError as error:
                if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                    raise StorageFull("The disk is full, so the body cannot be received. Free disk space.") from error
                if error.errno in (errno.EMFILE, errno.ENFILE):
                    raise Overloaded(
                        "No file can be opened to receive the body. Try again after the time in Retry-After.",
                        retry_after_s=RETRY_AFTER_S,
                    ) from error
                raise
        yield Spool(file, size)


async def _on_disk(size: int, work: Callable[[T], R], argument: T) -> R:
    """Return `work(argument)`, run in a thread if the body is on disk, because a disk may be slow."""
    return work(argument) if size <= MEMORY_BYTES else await asyncio.to_thread(work, argument)
