"""Clears away what crashes and refused uploads leave behind, and old records. Blocking; run now and then."""

from __future__ import annotations

from itertools import islice

from argosy.services.documents.blobs import BlobStore
from argosy.services.documents.catalog import Catalog

BLOB_AGE_S = 3600.0
"""Content younger than this may belong to an upload or a job that is under way."""
RECORD_AGE_S = 7 * 86_400.0
_STEP = 500


def sweep(catalog: Catalog, blobs: BlobStore) -> int:
    """Deletes stored content that no document needs, and records of finished batches. Returns: contents deleted."""
    catalog.prune(RECORD_AGE_S)
    deleted = 0
    keys = iter(list(blobs.keys()))
    while step := list(islice(keys, _STEP)):
        deleted += sum(blobs.delete(key, BLOB_AGE_S) for key in catalog.unreferenced(step))
    return deleted
