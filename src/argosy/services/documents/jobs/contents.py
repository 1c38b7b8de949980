"""Stored contents as the pipeline reads and writes them: those of small documents in groups, which syncs disks less."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from argosy.services.documents.jobs.shared_jobs import LINGER_S
from argosy.services.documents.records.blobs import BlobStore
from argosy.serving.grouping import Grouped

BLOBS_TOGETHER = 64
"""Number of contents of small documents that are read or looked for together."""
BLOBS_BYTES = 4 * 2**20
"""Bytes of texts or vectors of several documents that are written together."""


class Contents:
    """Originals to read, and texts and vectors to keep, of the documents in work."""

    def __init__(self, blobs: BlobStore) -> None:
        self._blobs = blobs
        self._originals: Grouped[str, bytes] = Grouped(self._get, most=BLOBS_TOGETHER, linger_s=LINGER_S)
        self._there: Grouped[str, bool] = Grouped(self._has, most=BLOBS_TOGETHER, linger_s=LINGER_S)
        self._texts: Grouped[bytes, str] = Grouped(self._put, most=BLOBS_BYTES, size=len, linger_s=LINGER_S)
        self._vectors: Grouped[bytes, str] = Grouped(self._put_loosely, most=BLOBS_BYTES, size=len, linger_s=LINGER_S)

    async def original(self, key: str) -> bytes:
        """Return the content with the hash `key`. Raises: NotFound when it is not stored."""
        return await self._originals(key)

    async def has(self, key: str) -> bool:
        return await self._there(key)

    def keep_text(self, text: bytes, stored: list[asyncio.Future[str]]) -> asyncio.Future[str]:
        """Store a text durably. Returns: a future of its hash; the future that stores it is added to `stored`."""
        return self._keep(self._texts, text, stored)

    def keep_vectors(self, vectors: bytes, stored: list[asyncio.Future[str]]) -> asyncio.Future[str]:
        """Store vectors without syncing them: after a power cut, lost vectors are computed again."""
        return self._keep(self._vectors, vectors, stored)

    def _keep(self, put: Grouped[bytes, str], data: bytes, stored: list[asyncio.Future[str]]) -> asyncio.Future[str]:
        putting = asyncio.ensure_future(put(data))
        stored.append(putting)
        return asyncio.shield(putting)  # storing continues when the waiting task is cancelled

    async def _get(self, keys: Sequence[str]) -> list[bytes | Exception]:
        return await asyncio.to_thread(self._blobs.get_all, keys)

    async def _has(self, keys: Sequence[str]) -> list[bool | Exception]:
        return await asyncio.to_thread(lambda: [self._blobs.has(key) for key in keys])

    async def _put(self, contents: Sequence[bytes]) -> list[str]:
        return await asyncio.to_thread(self._blobs.put_all, contents)

    async def _put_loosely(self, contents: Sequence[bytes]) -> list[str]:
        return await asyncio.to_thread(self._blobs.put_all, contents, durable=False)
