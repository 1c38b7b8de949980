"""Temporary storage of uploads while they are received: limited in total, and on disk beyond MEMORY_BYTES each.

The files have no name from the moment they are created, so nothing is left of them however the process ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import tempfile
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from argosy.contracts.errors import Overloaded, StorageFull, TooLarge
from argosy.services.documents.records.blobs import NO_SPACE

MEMORY_BYTES = 256 * 2**10
"""Bytes of one request that are held in memory; the rest goes to disk."""
MIN_FREE_BYTES = 16 * 2**20
RETRY_AFTER_S = 5.0
_STALE_S = 86_400.0
_FULL = "The disk is full: nothing was accepted. Free some space and try again."


class UploadSpace:
    """Space for the uploads that are being received. It is thread-safe, and several processes may share a folder."""

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self.used_bytes = 0
        """Bytes of all requests that are being received now."""

    def prepare(self) -> None:
        """Create the folder, and remove old files of processes that were killed before they could unlink them."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for path in self._folder.iterdir():
            with contextlib.suppress(OSError):
                if time.time() - path.stat().st_mtime > _STALE_S:
                    path.unlink()

    def check(self, announced_bytes: int) -> None:
        """Check before a request is read that there is room for it.

        Raises: TooLarge when it can never fit; Overloaded when other uploads take the room; StorageFull when the disk
        has too little free space.
        """
        if announced_bytes > self._max_bytes:
            raise TooLarge(
                f"The body has {announced_bytes} bytes, the limit of all uploads together is {self._max_bytes} "
                "(services.documents.max_receiving_bytes). Send it in parts."
            )
        if self.used_bytes + announced_bytes > self._max_bytes:
            raise self._full()
        if announced_bytes > MEMORY_BYTES:
            self.check_disk(announced_bytes)

    def check_disk(self, wanted_bytes: int) -> None:
        """Check the free disk space. Raises: StorageFull when less than `wanted_bytes` + MIN_FREE_BYTES are free."""
        if shutil.disk_usage(self._folder).free < wanted_bytes + MIN_FREE_BYTES:
            raise StorageFull(_FULL)

    def charge(self, size_bytes: int) -> None:
        """Reserve `size_bytes`. Raises: Overloaded when all uploads together would exceed the limit."""
        with self._lock:
            if self.used_bytes + size_bytes > self._max_bytes:
                raise self._full()
            self.used_bytes += size_bytes

    def give_back(self, size_bytes: int) -> None:
        """Release `size_bytes` that were reserved with `charge`."""
        with self._lock:
            self.used_bytes -= size_bytes

    def file(self) -> BinaryIO:
        """Create a temporary file without a name in the folder. Raises: OSError when the disk is full."""
        return tempfile.TemporaryFile(dir=self._folder, buffering=0)  # its mode is 0600

    def _full(self) -> Overloaded:
        return Overloaded(
            f"Uploads with {self.used_bytes} bytes are being received and the limit is {self._max_bytes} "
            "(services.documents.max_receiving_bytes); this upload was not accepted. "
            f"Send it again in {RETRY_AFTER_S:.0f} seconds.",
            retry_after_s=RETRY_AFTER_S,
        )


class SpooledUpload:
    """Received bytes of one request, in order. Use it as a context manager: its exit releases all space."""

    def __init__(self, spool: UploadSpace) -> None:
        self._spool = spool
        self._lock = threading.Lock()
        self._buffer = bytearray()
        self._file: BinaryIO | None = None
        self._on_disk = 0
        self._closed = False

    def __enter__(self) -> SpooledUpload:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:  # a thread that still reads must not get a reused descriptor
            self._closed = True
            if self._file is not None:
                self._file.close()
            self._spool.give_back(self._on_disk + len(self._buffer))
            self._on_disk = 0
            self._buffer = bytearray()

    @property
    def size(self) -> int:
        return self._on_disk + len(self._buffer)

    @property
    def in_memory_bytes(self) -> int:
        return len(self._buffer)

    async def add(self, piece: bytes | bytearray) -> None:
        """Add a piece of the body.

        Raises: Overloaded when all uploads together exceed the limit; StorageFull when the disk is full.
        """
        if self._take(piece):
            await asyncio.to_thread(self._flush)

    def append(self, data: bytes) -> tuple[int, int]:
        """Add `data`; this blocks. Returns: its start and end.

        Raises: Overloaded when all uploads together exceed the limit; StorageFull when the disk is full.
        """
        start = self.size
        if self._take(data):
            self._flush()
        return start, start + len(data)

    def read(self, start: int, end: int) -> bytes:
        """Return the bytes [start, end); this blocks. Raises: ValueError after the end of the request."""
        with self._lock:
            if self._closed:
                raise ValueError("the request is over")
            if start >= self._on_disk:
                return bytes(self._buffer[start - self._on_disk : end - self._on_disk])
            assert self._file is not None
            parts, at = [], start
            while at < min(end, self._on_disk):
                parts.append(os.pread(self._file.fileno(), min(end, self._on_disk) - at, at))
                at += len(parts[-1])
            if end > self._on_disk:
                parts.append(bytes(self._buffer[: end - self._on_disk]))
            return b"".join(parts)  # a single part, the usual case, is not copied

    def _take(self, piece: bytes | bytearray) -> bool:
        """Add a piece to the buffer. Returns: whether the buffer must be flushed."""
        self._spool.charge(len(piece))
        with self._lock:
            if self._closed:
                self._spool.give_back(len(piece))
                raise ValueError("the request is over")
            self._buffer += piece
            return len(self._buffer) > MEMORY_BYTES

    def _flush(self) -> None:
        with self._lock:
            if self._closed:
                return
            try:
                self._spool.check_disk(len(self._buffer))
                if self._file is None:
                    self._file = self._spool.file()
                written = 0
                while written < len(self._buffer):
                    written += os.write(self._file.fileno(), memoryview(self._buffer)[written:])
            except OSError as error:
                if error.errno in NO_SPACE:
                    raise StorageFull(_FULL) from error
                raise
            self._on_disk += len(self._buffer)
            self._buffer = bytearray()
