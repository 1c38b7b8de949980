"""The lease table: what is to be done, by whom, until when. Nothing accepted is lost, nothing is done by two at once.

A worker that dies leaves a lease that expires; one that was only slow finds its fencing token outdated and stops.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
from sqlalchemy import Connection, case, func, select, update

from argosy.contracts.documents import DocumentFault, DocumentStatus
from argosy.contracts.store import Metadata
from argosy.services.documents.database import Database
from argosy.services.documents.job_rules import JobRules
from argosy.services.documents.queueing import discard
from argosy.services.documents.schema import DELETED, JobKind, JobState, collections, documents, jobs
from argosy.services.documents.turns import another_is_due, due, expired, took_turn, whose_turn

WORKER_DIED = DocumentFault("worker_died", "Processing ended abruptly each time it was tried.")


class LeaseLost(Exception):
    """The job is no longer this worker's: its lease ran out, it was superseded, or its document was deleted."""


@dataclass(frozen=True, slots=True)
class Job:
    id: int
    kind: JobKind
    document_id: str
    collection: str
    version: int
    attempts: int
    """This one included."""
    fence: int
    lane: str | None
    """Who sent it; see `turns`."""
    name: str
    source: str
    title: str | None
    """As given by the sender."""
    content_type: str
    content_hash: str | None
    metadata: Metadata = field(default_factory=dict)
    vectors: tuple[str, ...] = ()
    """Where vectors of such chunks may be kept: of the version before, of other documents with the same content."""
    generation: int | None = None
    """Of the collection; None when that is deleted."""

    @property
    def lease(self) -> tuple[int, int]:
        """Names this claim of the job: it may be claimed again by the same process."""
        return self.id, self.fence


@dataclass(frozen=True, slots=True)
class Indexed:
    """What became of a document. `title` is the one found or given; `text_hash` is its parsed text's and
    `vectors_hash` that of its chunks' vectors, both in the blob store."""

    chunks: int
    pages: int | None
    title: str | None
    text_hash: str
    vectors_hash: str | None = None
    embedded: int = 0
    """Chunks whose vectors had to be computed."""
    seconds: Mapping[str, float] = field(default_factory=dict)
    """Time spent in each stage."""
    left_out: Sequence[str] = ()
    """Parts that could not be read, a sentence each."""


class Outcome(msgspec.Struct, omit_defaults=True):
    """What is kept of an index job that is done, for statistics."""

    chunks: int = 0
    pages: int = 0
    embedded: int = 0
    seconds: dict[str, float] = {}


class Jobs:
    """Blocking; safe from several threads and processes."""

    def __init__(self, database: Database, rules: JobRules | None = None) -> None:
        self._database = database
        self.rules = rules or JobRules()

    def claim(self, worker: str) -> Job | None:
        """The next due job, leased for `rules.lease_s`; None when there is none.

        Batches take turns. A job whose worker died is due again when its lease expires, or `dead` past its
        attempts. One document's jobs run one after another.
        """
        with self._database.read() as connection:
            now = self._database.now(connection)
            if connection.execute(select(jobs.c.id).where(expired(now) | due(now)).limit(1)).first() is None:
                return None
        with self._database.write() as connection:
            now = self._database.now(connection)
            self._bury(connection, now)
            turn = whose_turn(connection, now)
            if turn is None:
                return None
            row = connection.execute(
                update(jobs)
                .where(jobs.c.id == turn)
                .values(
                    state=JobState.RUNNING,
                    attempts=jobs.c.attempts + 1,
                    fence=jobs.c.fence + 1,
                    worker=worker,
                    started_at=now,
                    lease_until=now + self.rules.lease_s,
                )
                .returning(*jobs.c)
            ).one()
            took_turn(connection, JobKind(row.kind), row.lane)
            if row.kind == JobKind.INDEX:
                _mark(connection, row, now, status=DocumentStatus.RUNNING, attempts=row.attempts)
            document = connection.execute(select(documents).where(documents.c.id == row.document_id)).one()
            vectors = _vectors(connection, document)
            known = select(func.coalesce(collections.c.generation, 0)).where(collections.c.name == row.collection)
            generation = connection.execute(known).scalar()
        return Job(
            id=row.id,
            kind=JobKind(row.kind),
            document_id=row.document_id,
            collection=row.collection,
            version=row.version,
            attempts=row.attempts,
            fence=row.fence,
            lane=row.lane,
            name=document.name,
            source=document.source,
            title=document.given_title,
            content_type=document.content_type,
            content_hash=document.content_hash,
            metadata=msgspec.json.decode(document.metadata, type=Metadata),
            vectors=vectors,
            generation=generation,
        )

    def heartbeat(self, job: Job) -> None:
        """Extends the lease. Raises: LeaseLost."""
        with self._database.write() as connection:
            self._write(connection, job, lease_until=self._database.now(connection) + self.rules.lease_s)

    def check(self, job: Job) -> None:
        """Raises: LeaseLost, unless the job is still this worker's."""
        mine = (jobs.c.id == job.id, jobs.c.state == JobState.RUNNING, jobs.c.fence == job.fence)
        with self._database.read() as connection:
            if connection.execute(select(jobs.c.id).where(*mine)).first() is None:
                raise LeaseLost

    def stage(self, job: Job, stage: str, progress: float = 0.0) -> None:
        """Records what is being done and how much of the job that makes, 0 to 1. Raises: LeaseLost."""
        with self._database.write() as connection:
            now = self._database.now(connection)
            furthest = case((jobs.c.progress < progress, progress), else_=jobs.c.progress)
            self._write(connection, job, progress=furthest, lease_until=now + self.rules.lease_s)
            if job.kind is JobKind.INDEX:
                _mark(connection, job, now, stage=stage)

    def done(self, job: Job, indexed: Indexed | None = None) -> None:
        """Record that the job is finished; an index job says with what. Stored content that this replaces is
        discarded.

        Raises: LeaseLost.
        """
        kept = None if indexed is None else _outcome(indexed)
        with self._database.write() as connection:
            now = self._database.now(connection)
            ended = {"state": JobState.DONE, "progress": 1.0, "finished_at": now, "outcome": kept}
            self._write(connection, job, **ended, error_code=None, error_detail=None)
            before = connection.execute(select(documents).where(documents.c.id == job.document_id)).one()
            if indexed is not None:
                self._end_waits(connection, now)
                _mark(
                    connection,
                    job,
                    now,
                    status=DocumentStatus.INDEXED,
                    stage=None,
                    chunks=indexed.chunks,
                    pages=indexed.pages,
                    title=indexed.title,
                    left_out=msgspec.json.encode(list(indexed.left_out)).decode() if indexed.left_out else None,
                    text_hash=indexed.text_hash,
                    vectors_hash=indexed.vectors_hash,
                    error_code=None,
                    error_detail=None,
                )
                discard(connection, {before.text_hash, before.vectors_hash} - {indexed.text_hash, indexed.vectors_hash})
            elif before.status == DELETED:  # an older release left its contents to this job
                gone = update(documents).where(documents.c.id == job.document_id)
                connection.execute(gone.values(content_hash=None, text_hash=None, vectors_hash=None))
                discard(connection, [before.content_hash, before.text_hash, before.vectors_hash])

    def discard(self, hashes: Sequence[str]) -> None:
        """Give up stored content that a job made and that no document will need."""
        with self._database.write() as connection:
            discard(connection, hashes)

    def fail(self, job: Job, fault: DocumentFault, *, retryable: bool) -> None:
        """This try went wrong. Retryable: again after a pause, `dead` past the attempts; else `failed` for good.

        Raises: LeaseLost.
        """
        if retryable and (job.attempts < self.rules.max_attempts or job.kind is JobKind.FORGET):
            self._again(job, fault, self.rules.backoff_after_s(job.attempts), waits=0)
            return
        state = JobState.DEAD if retryable else JobState.FAILED
        with self._database.write() as connection:
            now = self._database.now(connection)
            self._write(connection, job, state=state, finished_at=now, error_code=fault.code, error_detail=fault.detail)
            if job.kind is JobKind.INDEX:
                _mark_failed(connection, job, now, DocumentStatus(state.value), fault)

    def wait(self, job: Job, fault: DocumentFault) -> None:
        """Something this job needs is not there now: again after a pause, without limit. Raises: LeaseLost."""
        with self._database.read() as connection:
            waits = connection.execute(select(jobs.c.waits).where(jobs.c.id == job.id)).scalar() or 0
        self._again(job, fault, self.rules.wait_after_s(waits + 1), attempts=job.attempts - 1, waits=waits + 1)

    def postpone(self, job: Job, delay_s: float) -> None:
        """Hands the job back untouched, due after a pause: others go first. Raises: LeaseLost."""
        self._again(job, None, delay_s, attempts=job.attempts - 1)

    def others_wait(self, job: Job) -> bool:
        """Whether another sender has a job that is due."""
        with self._database.read() as connection:
            return another_is_due(connection, job.lane, self._database.now(connection))

    def release(self, job: Job) -> None:
        """Hands the job back untouched, due at once: the worker stops. Raises: LeaseLost."""
        self._again(job, None, 0.0, attempts=job.attempts - 1)

    def _again(self, job: Job, fault: DocumentFault | None, delay_s: float, **values: object) -> None:
        if fault is not None:
            values |= {"error_code": fault.code, "error_detail": fault.detail}
        with self._database.write() as connection:
            now = self._database.now(connection)
            self._write(connection, job, state=JobState.QUEUED, run_at=now + delay_s, lease_until=None, **values)
            if job.kind is JobKind.INDEX:
                shown = {} if fault is None else {"error_code": fault.code, "error_detail": fault.detail}
                _mark(connection, job, now, status=DocumentStatus.QUEUED, stage=None, **shown)

    def _end_waits(self, connection: Connection, now: float) -> None:
        """What one document got through, others need wait for no longer, however often they found it missing."""
        soon = now + self.rules.backoff_s
        waiting = (
            select(jobs.c.id)
            .where(
                jobs.c.state == JobState.QUEUED, jobs.c.kind == JobKind.INDEX, jobs.c.run_at > soon, jobs.c.waits > 0
            )
            .with_for_update(skip_locked=True)  # another one that is just done ends the same waits
        )
        connection.execute(update(jobs).where(jobs.c.id.in_(waiting)).values(run_at=soon))

    def _write(self, connection: Connection, job: Job, **values: object) -> None:
        mine = (jobs.c.id == job.id, jobs.c.state == JobState.RUNNING, jobs.c.fence == job.fence)
        if connection.execute(update(jobs).where(*mine).values(**values)).rowcount == 0:
            raise LeaseLost

    def _bury(self, connection: Connection, now: float) -> None:
        """What killed its worker each time it was tried never reaches `fail`."""
        hopeless = (
            select(jobs.c.id)
            .where(expired(now), jobs.c.attempts >= self.rules.max_attempts, jobs.c.kind == JobKind.INDEX)
            .with_for_update(skip_locked=True)
        )
        buried = connection.execute(
            update(jobs)
            .where(jobs.c.id.in_(hopeless))
            .values(
                state=JobState.DEAD,
                finished_at=now,
                fence=jobs.c.fence + 1,
                error_code=WORKER_DIED.code,
                error_detail=WORKER_DIED.detail,
            )
            .returning(jobs.c.document_id, jobs.c.version)
        )
        for row in buried.all():
            _mark_failed(connection, row, now, DocumentStatus.DEAD, WORKER_DIED)


def _mark(connection: Connection, job: Any, now: float, **values: object) -> None:
    """Writes to the document, unless it has moved on to another version or is deleted. `job` names both."""
    connection.execute(
        update(documents)
        .where(documents.c.id == job.document_id, documents.c.version == job.version, documents.c.status != DELETED)
        .values(updated_at=now, **values)
    )


def _mark_failed(connection: Connection, job: Any, now: float, status: DocumentStatus, fault: DocumentFault) -> None:
    _mark(connection, job, now, status=status, stage=None, error_code=fault.code, error_detail=fault.detail)


def _outcome(indexed: Indexed) -> str:
    outcome = Outcome(indexed.chunks, indexed.pages or 0, indexed.embedded, dict(indexed.seconds))
    return msgspec.json.encode(outcome).decode()


def _vectors(connection: Connection, document: Any) -> tuple[str, ...]:
    if document.vectors_hash is not None or document.content_hash is None:
        return () if document.vectors_hash is None else (document.vectors_hash,)
    same = select(documents.c.vectors_hash).where(
        documents.c.content_hash == document.content_hash, documents.c.vectors_hash.is_not(None)
    )
    return tuple(connection.execute(same.limit(1)).scalars())
