"""Clears away what crashes and refused uploads leave behind, and old records. Blocking; run now and then."""

from __future__ import annotations

from itertools import islice

from argosy.services.documents.catalog.catalog import Catalog
from argosy.services.documents.records.blobs import BlobStore

BLOB_AGE_S = 600.0
"""Content younger than this may belong to an upload or a job that is under way."""
RECORD_AGE_S = 7 * 86_400.0
_STEP = 500


def sweep(catalog: Catalog, blobs: BlobStore) -> int:
    """Deletes stored content that no document needs, and records of finished batches. Returns: contents deleted.

    Only content that a crash left behind is found here; the rest is deleted by `Clearing`.
    """
    catalog.prune(RECORD_AGE_S)
    deleted = 0
    keys = iter(list(blobs.keys(BLOB_AGE_S)))
    while step := list(islice(keys, _STEP)):
        if unneeded := catalog.unreferenced(step):
            deleted += catalog.delete_unneeded(blobs, unneeded, BLOB_AGE_S)
    return deleted
