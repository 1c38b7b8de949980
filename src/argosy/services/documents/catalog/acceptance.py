"""Acceptance of an upload: its contents are stored and its documents are queued, or nothing of it is kept."""

from __future__ import annotations

from argosy.contracts.documents import Accepted
from argosy.services.documents.catalog.catalog import Catalog
from argosy.services.documents.catalog.intake import Upload
from argosy.services.documents.catalog.upload_space import SpooledUpload
from argosy.services.documents.catalog.uploads import Incoming
from argosy.services.documents.records.blobs import BlobStore

KEPT_BYTES = 2**20
"""Bytes of an upload's contents that are in memory at once, besides the last content."""


class Acceptance:
    """Accepts uploads. Its methods block."""

    def __init__(self, catalog: Catalog, blobs: BlobStore) -> None:
        self._catalog = catalog
        self._blobs = blobs

    def accept(self, incoming: Incoming, spooled: SpooledUpload) -> Accepted:
        """Accept an upload. Check for room before anything is written, and store contents before they are accepted."""
        uploads = [
            Upload(
                name=content.name,
                source=content.source,
                content_type=content.content_type,
                bytes_len=content.end - content.start,
                content_hash=content.hash,
                title=content.title,
                metadata=content.metadata,
            )
            for content in incoming.contents
        ]
        self._catalog.check_room(incoming.collection, uploads)
        self._keep(incoming, spooled)
        accepted = self._catalog.accept(incoming.collection, uploads, incoming.group)
        for content in incoming.contents:
            # Before this upload was accepted, the last document with the same content may have been deleted with it.
            if not self._blobs.has(content.hash):
                self._blobs.put(spooled.read(content.start, content.end), key=content.hash)
        return accepted

    def _keep(self, incoming: Incoming, spooled: SpooledUpload) -> None:
        """Store contents, several small ones together: syncing them to disk together is faster."""
        group: list[bytes] = []
        keys: list[str] = []
        for content in incoming.contents:
            group.append(spooled.read(content.start, content.end))
            keys.append(content.hash)
            if sum(map(len, group)) >= KEPT_BYTES:
                self._blobs.put_all(group, keys=keys)
                group.clear()
                keys.clear()
        if group:
            self._blobs.put_all(group, keys=keys)
