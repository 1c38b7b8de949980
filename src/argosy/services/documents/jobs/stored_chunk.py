"""Chunks as the store keeps them. The id follows from document, version and ordinal, so storing twice is harmless."""

from __future__ import annotations

import uuid

from argosy.contracts.store import Chunk
from argosy.services.documents.chunking.packer import ChunkDraft
from argosy.services.documents.jobs.leases import Job

_CHUNK_IDS = uuid.UUID("6f0d3c1a-9a52-5b0e-8d5e-0f5a6e0c7b11")


def chunk_id(document_id: str, version: int, ordinal: int) -> str:
    """Return the id of a chunk, a UUID that depends only on the arguments."""
    return str(uuid.uuid5(_CHUNK_IDS, f"{document_id}/{version}/{ordinal}"))


def as_chunk(job: Job, draft: ChunkDraft, unit_vectors: str = "") -> Chunk:
    """Convert a draft to a chunk without name, source, title and metadata.

    The store keeps those once per document; see `UpsertRequest.fields`.
    """
    return Chunk(
        chunk_id=chunk_id(job.document_id, job.version, draft.ordinal),
        document_id=job.document_id,
        version=job.version,
        ordinal=draft.ordinal,
        name="",
        source="",
        text=draft.text,
        start=draft.start,
        end=draft.end,
        page=draft.page,
        last_page=draft.last_page,
        heading_path=draft.heading_path,
        units=draft.units,
        unit_vectors=unit_vectors,
    )
