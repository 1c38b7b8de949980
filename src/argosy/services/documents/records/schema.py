"""Tables of the catalog for SQLite and PostgreSQL. Times are wall-clock seconds (UTC)."""

from __future__ import annotations

import enum

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    text,
)

VERSION = 4
"""Version of the tables, raised with each change. A newer catalog is refused; an older one is upgraded."""

DELETED = "deleted"
"""Status of a deleted document. Its row stays without data, so that a later upload does not reuse a version."""


class JobKind(enum.StrEnum):
    INDEX = "index"
    """Index a version of a document."""
    FORGET = "forget"
    """Delete a document from the store."""


class JobState(enum.StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    """The document cannot be indexed; retrying would not help."""
    DEAD = "dead"
    """All attempts failed."""
    CANCELLED = "cancelled"
    """A newer version superseded the job, the document was deleted, or a user cancelled it."""


ACTIVE = (JobState.QUEUED, JobState.RUNNING)

metadata = MetaData()
_Key = BigInteger().with_variant(Integer, "sqlite")

catalog = Table(
    "catalog",
    metadata,
    Column("schema_version", Integer, nullable=False),
    Column("last_generation", BigInteger),
    Column("forgot_last", Boolean),
)
"""Table of one row. `forgot_last` tells whether the job claimed last is a deletion."""

collections = Table(
    "collections",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("created_at", Float, nullable=False),
    Column("generation", BigInteger),
)
"""Collections. A name that is used again gets a higher generation; NULL, as in older catalogs, counts as 0."""

removals = Table(
    "removals",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("generation", BigInteger, primary_key=True),
    Column("created_at", Float, nullable=False),
)
"""Deleted collections that the store may still hold."""

discards = Table(
    "discards",
    metadata,
    Column("id", _Key, primary_key=True, autoincrement=True),
    Column("hash", String(64), nullable=False),
)
"""Stored contents that have lost a reference. They are deleted unless another document needs them."""

documents = Table(
    "documents",
    metadata,
    Column("id", String(24), primary_key=True),
    Column("collection", String(64), nullable=False),
    Column("source", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("title", Text),
    Column("given_title", Text),
    Column("content_type", Text, nullable=False),
    Column("metadata", Text, nullable=False),
    Column("status", String(16), nullable=False),
    Column("stage", String(32)),
    Column("attempts", Integer, nullable=False, default=0),
    Column("version", Integer, nullable=False),
    Column("fingerprint", String(64), nullable=False),
    Column("content_hash", String(64)),
    Column("text_hash", String(64)),
    Column("vectors_hash", String(64)),
    Column("bytes", BigInteger, nullable=False),
    Column("chunks", Integer),
    Column("pages", Integer),
    Column("left_out", Text),
    Column("error_code", String(64)),
    Column("error_detail", Text),
    Column("created_at", Float, nullable=False),
    Column("updated_at", Float, nullable=False),
    Index("documents_by_age", "created_at", "id"),
    Index("documents_by_content", "content_hash"),
    Index("documents_by_text", "text_hash"),
    Index("documents_by_vectors", "vectors_hash"),
)

batches = Table(
    "batches",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("created_at", Float, nullable=False),
)

lanes = Table(
    "lanes",
    metadata,
    Column("id", String(80), primary_key=True),
    Column("served", BigInteger, nullable=False),
    Index("lanes_by_turn", "served", "id"),
)
"""Lanes that take turns: a lane is a batch, or all batches of one group. Idle lanes are removed."""

jobs = Table(
    "jobs",
    metadata,
    Column("id", _Key, primary_key=True, autoincrement=True),
    Column("kind", String(8), nullable=False),
    Column("document_id", String(24), ForeignKey("documents.id"), nullable=False),
    Column("collection", String(64), nullable=False),
    Column("version", Integer, nullable=False),
    Column("batch_id", String(32)),
    Column("lane", String(80)),
    Column("state", String(16), nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("progress", Float, nullable=False, default=0.0),
    Column("attempts", Integer, nullable=False, default=0),
    Column("waits", Integer, nullable=False, default=0),
    Column("run_at", Float, nullable=False),
    Column("lease_until", Float),
    Column("fence", Integer, nullable=False, default=0),
    Column("worker", Text),
    Column("started_at", Float),
    Column("finished_at", Float),
    Column("error_code", String(64)),
    Column("error_detail", Text),
    Column("outcome", Text),
    Index("jobs_by_lane", "lane", "state", "run_at"),
    Index("jobs_by_state", "state", "kind", "run_at"),
    Index("jobs_by_batch", "batch_id", "state", "id"),
    Index("jobs_by_document", "document_id", "state"),
    Index(
        "jobs_by_finish",
        "finished_at",
        sqlite_where=text("finished_at IS NOT NULL"),
        postgresql_where=text("finished_at IS NOT NULL"),
    ),
)

entries = Table(
    "entries",
    metadata,
    Column("batch_id", String(32), ForeignKey("batches.id"), primary_key=True),
    Column("ordinal", Integer, primary_key=True),
    Column("document_id", String(24), nullable=False),
    Column("name", Text, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("unchanged", Boolean, nullable=False),
    Column("job_id", BigInteger),
    Index("entries_by_job", "job_id"),
    Index("entries_by_document", "document_id"),
)
