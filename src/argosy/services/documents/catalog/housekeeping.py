"""Removal of contents that crashes and refused uploads left behind, and of old records. Blocking."""

from __future__ import annotations

from itertools import islice

from argosy.services.documents.catalog.catalog import Catalog
from argosy.services.documents.records.blobs import BlobStore

BLOB_AGE_S = 600.0
"""Age below which content may belong to an upload or a job in progress."""
RECORD_AGE_S = 7 * 86_400.0
_STEP = 500


def sweep(catalog: Catalog, blobs: BlobStore) -> int:
    """Delete stored contents that no document needs, and old records of finished batches.

    Only contents left behind by crashes and refused uploads are found here; `Clearing` deletes all others.

    Returns: the number of contents deleted.
    """
    catalog.prune(RECORD_AGE_S)
    deleted = 0
    keys = iter(list(blobs.keys(BLOB_AGE_S)))
    while step := list(islice(keys, _STEP)):
        if unneeded := catalog.unreferenced(step):
            deleted += catalog.delete_unneeded(blobs, unneeded, BLOB_AGE_S)
    return deleted
