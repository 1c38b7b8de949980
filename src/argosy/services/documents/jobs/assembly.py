"""Assembly of the pipeline from the fleet's settings."""

from __future__ import annotations

import uuid

from argosy.clients.upstreams import Upstreams
from argosy.config.services import DocumentsSettings, EmbeddingSettings
from argosy.contracts.request import Deadline, Priority, RequestContext
from argosy.services.documents.chunking.packer import ChunkLimits
from argosy.services.documents.chunking.tokenization import ModelTokenizer
from argosy.services.documents.jobs.collaborators import Shared
from argosy.services.documents.jobs.fingerprint import vectors_key
from argosy.services.documents.jobs.leases import JobLeases
from argosy.services.documents.jobs.meters import IngestionMeters
from argosy.services.documents.jobs.pipeline import Pipeline
from argosy.services.documents.jobs.pipeline_settings import PipelineSettings
from argosy.services.documents.jobs.shared_calls import SharedEmbedder, SharedStore
from argosy.services.documents.jobs.shared_jobs import LINGER_S
from argosy.services.documents.parsing.pool import ParserPool
from argosy.services.documents.parsing.short_texts import ShortTexts
from argosy.services.documents.records.blobs import BlobStore

SHARED_TEXTS = 64
SHARED_CHUNKS = 200
SHARED_TIMEOUT_S = 120.0


def assembled(
    settings: DocumentsSettings,
    jobs: JobLeases,
    blobs: BlobStore,
    parser: ParserPool,
    tokenizer: ModelTokenizer,
    upstreams: Upstreams,
    embedding: EmbeddingSettings,
    meters: IngestionMeters,
) -> Pipeline:
    """Return the pipeline of one replica. A chunk is never longer than the embedding model reads."""
    tokens = min(settings.chunk_tokens, tokenizer.room)
    chunks = ChunkLimits(tokens=tokens, overlap_tokens=min(settings.chunk_overlap_tokens, tokens // 2))
    return Pipeline(
        jobs,
        blobs,
        parser,
        tokenizer,
        upstreams.embedding,
        upstreams.store,
        PipelineSettings(
            chunks=chunks,
            parse_timeout_s=settings.parse_timeout_s,
            parse_timeout_per_mib_s=settings.parse_timeout_per_mib_s,
            readers=settings.parsers,
            parse_turn_s=settings.parse_turn_s,
            vectors=vectors_key(embedding),
        ),
        on_indexed=meters.indexed,
        shared=Shared(
            SharedEmbedder(upstreams.embedding, SHARED_TEXTS, _shared_context),
            SharedStore(upstreams.store, SHARED_CHUNKS, _shared_context),
            ShortTexts(parser, LINGER_S),
        ),
    )


def _shared_context() -> RequestContext:
    """Return the context of a call that several documents share."""
    return RequestContext(f"jobs-{uuid.uuid4().hex}", Deadline.after(SHARED_TIMEOUT_S), Priority.BULK)
