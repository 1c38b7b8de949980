"""The lease table: what is to be done, by whom, until when. Nothing accepted is lost, nothing is done by two at once.

A worker that dies leaves a lease that expires; one that was only slow finds its fencing token outdated and stops.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec
from sqlalchemy import Connection, and_, case, exists, func, or_, select, update

from argosy.contracts.documents import DocumentFault, DocumentStatus
from argosy.contracts.store import Metadata
from argosy.services.documents.database import Database
from argosy.services.documents.queueing import unreferenced
from argosy.services.documents.schema import ACTIVE, DELETED, JobKind, JobState, batches, documents, jobs

WORKER_DIED = DocumentFault("worker_died", "Processing ended abruptly each time it was tried.")


class LeaseLost(Exception):
    """The job is no longer this worker's: its lease ran out, it was superseded, or its document was deleted."""


@dataclass(frozen=True, slots=True)
class JobRules:
    lease_s: float = 60.0
    max_attempts: int = 4
    """Tries that ended in an error or in the worker's death. Waiting for another service is not a try."""
    backoff_s: float = 1.0
    max_backoff_s: float = 60.0

    def delay_s(self, failures: int) -> float:
        return min(self.max_backoff_s, self.backoff_s * 2.0 ** min(failures - 1, 30))


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
    name: str
    source: str
    title: str | None
    """As given by the sender."""
    content_type: str
    content_hash: str | None
    metadata: Metadata = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Indexed:
    """What became of a document. `title` is the one found or given; `text_hash` is its parsed text's."""

    chunks: int
    pages: int | None
    title: str | None
    text_hash: str


class Jobs:
    """Blocking; safe from several threads and processes. `now` is wall-clock time."""

    def __init__(self, database: Database, now: Callable[[], float], rules: JobRules | None = None) -> None:
        self._database = database
        self._now = now
        self.rules = rules or JobRules()

    def claim(self, worker: str) -> Job | None:
        """The next due job, leased for `rules.lease_s`; None when there is none.

        Batches take turns. A job whose worker died is due again when its lease expires, or `dead` past its
        attempts. One document's jobs run one after another.
        """
        now = self._now()
        with self._database.read() as connection:
            due = connection.execute(select(jobs.c.id).where(_expired(now) | _due(now)).limit(1)).first()
        if due is None:
            return None
        with self._database.write() as connection:
            self._bury(connection, now)
            turn = _whose_turn(connection, now)
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
            if row.batch_id is not None:
                last = select(func.coalesce(func.max(batches.c.served), 0) + 1).scalar_subquery()
                connection.execute(update(batches).where(batches.c.id == row.batch_id).values(served=last))
            if row.kind == JobKind.INDEX:
                _mark(connection, row, now, status=DocumentStatus.RUNNING, attempts=row.attempts)
            document = connection.execute(select(documents).where(documents.c.id == row.document_id)).one()
        return Job(
            id=row.id,
            kind=JobKind(row.kind),
            document_id=row.document_id,
            collection=row.collection,
            version=row.version,
            attempts=row.attempts,
            fence=row.fence,
            name=document.name,
            source=document.source,
            title=document.given_title,
            content_type=document.content_type,
            content_hash=document.content_hash,
            metadata=msgspec.json.decode(document.metadata, type=Metadata),
        )

    def heartbeat(self, job: Job) -> None:
        """Extends the lease. Raises: LeaseLost."""
        with self._database.write() as connection:
            self._write(connection, job, lease_until=self._now() + self.rules.lease_s)

    def stage(self, job: Job, stage: str, progress: float = 0.0) -> None:
        """Records what is being done and how much of the job that makes, 0 to 1. Raises: LeaseLost."""
        now = self._now()
        with self._database.write() as connection:
            furthest = case((jobs.c.progress < progress, progress), else_=jobs.c.progress)
            self._write(connection, job, progress=furthest, lease_until=now + self.rules.lease_s)
            if job.kind is JobKind.INDEX:
                _mark(connection, job, now, stage=stage)

    def done(self, job: Job, indexed: Indexed | None = None) -> list[str]:
        """The job is finished; an index job says with what.

        Returns: hashes of stored content that nothing needs any more. Raises: LeaseLost.
        """
        now = self._now()
        with self._database.write() as connection:
            self._write(connection, job, state=JobState.DONE, progress=1.0, finished_at=now, error_code=None)
            before = connection.execute(select(documents).where(documents.c.id == job.document_id)).one()
            if indexed is not None:
                _mark(
                    connection,
                    job,
                    now,
                    status=DocumentStatus.INDEXED,
                    stage=None,
                    chunks=indexed.chunks,
                    pages=indexed.pages,
                    title=indexed.title,
                    text_hash=indexed.text_hash,
                    error_code=None,
                    error_detail=None,
                )
                freed = [before.text_hash]
            elif before.status == DELETED:
                gone = update(documents).where(documents.c.id == job.document_id)
                connection.execute(gone.values(content_hash=None, text_hash=None))
                freed = [before.content_hash, before.text_hash]
            else:
                freed = []
            return unreferenced(connection, [key for key in freed if key is not None])

    def fail(self, job: Job, fault: DocumentFault, *, retryable: bool) -> None:
        """This try went wrong. Retryable: again after a pause, `dead` past the attempts; else `failed` for good.

        Raises: LeaseLost.
        """
        if retryable and (job.attempts < self.rules.max_attempts or job.kind is JobKind.FORGET):
            self._again(job, fault, self.rules.delay_s(job.attempts))
            return
        now = self._now()
        state = JobState.DEAD if retryable else JobState.FAILED
        with self._database.write() as connection:
            self._write(connection, job, state=state, finished_at=now, error_code=fault.code, error_detail=fault.detail)
            if job.kind is JobKind.INDEX:
                _mark_failed(connection, job, now, DocumentStatus(state.value), fault)

    def wait(self, job: Job, fault: DocumentFault) -> None:
        """Something this job needs is not there now: again after a pause, without limit. Raises: LeaseLost."""
        with self._database.read() as connection:
            waits = connection.execute(select(jobs.c.waits).where(jobs.c.id == job.id)).scalar() or 0
        self._again(job, fault, self.rules.delay_s(waits + 1), attempts=job.attempts - 1, waits=waits + 1)

    def release(self, job: Job) -> None:
        """Hands the job back untouched, due at once: the worker stops. Raises: LeaseLost."""
        self._again(job, None, 0.0, attempts=job.attempts - 1)

    def _again(self, job: Job, fault: DocumentFault | None, delay_s: float, **values: object) -> None:
        now = self._now()
        if fault is not None:
            values |= {"error_code": fault.code, "error_detail": fault.detail}
        with self._database.write() as connection:
            self._write(connection, job, state=JobState.QUEUED, run_at=now + delay_s, lease_until=None, **values)
            if job.kind is JobKind.INDEX:
                shown = {} if fault is None else {"error_code": fault.code, "error_detail": fault.detail}
                _mark(connection, job, now, status=DocumentStatus.QUEUED, stage=None, **shown)

    def _write(self, connection: Connection, job: Job, **values: object) -> None:
        mine = (jobs.c.id == job.id, jobs.c.state == JobState.RUNNING, jobs.c.fence == job.fence)
        if connection.execute(update(jobs).where(*mine).values(**values)).rowcount == 0:
            raise LeaseLost

    def _bury(self, connection: Connection, now: float) -> None:
        """What killed its worker each time it was tried never reaches `fail`."""
        buried = connection.execute(
            update(jobs)
            .where(_expired(now), jobs.c.attempts >= self.rules.max_attempts, jobs.c.kind == JobKind.INDEX)
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


def _whose_turn(connection: Connection, now: float) -> int | None:
    """The job to do next: one whose worker died, one of no batch, else the oldest of the batch served longest ago.

    Each look-up goes by an index, so that a claim costs the same with ten jobs queued and with ten thousand. A batch
    whose first jobs all wait for older ones of the same document is passed over by the last, thorough look.
    """
    waiting = jobs.alias("waiting")
    batch = (
        select(batches.c.id)
        .where(
            exists().where(
                waiting.c.batch_id == batches.c.id, waiting.c.state == JobState.QUEUED, waiting.c.run_at <= now
            )
        )
        .order_by(batches.c.served, batches.c.id)
        .limit(1)
        .scalar_subquery()
    )
    older = jobs.alias("older")
    first_of_document = ~exists().where(
        older.c.document_id == jobs.c.document_id, older.c.id < jobs.c.id, older.c.state.in_(ACTIVE)
    )
    for candidates in (
        select(jobs.c.id).where(_expired(now)),
        select(jobs.c.id).where(_due(now), jobs.c.batch_id.is_(None)),
        select(jobs.c.id).where(_due(now), jobs.c.batch_id == batch),
        select(jobs.c.id).where(_due(now)),
    ):
        found: int | None = connection.execute(
            candidates.where(first_of_document).order_by(jobs.c.id).limit(1)
        ).scalar()
        if found is not None:
            return found
    return None


def _due(now: float) -> Any:
    return and_(jobs.c.state == JobState.QUEUED, jobs.c.run_at <= now)


def _expired(now: float) -> Any:
    return and_(jobs.c.state == JobState.RUNNING, or_(jobs.c.lease_until < now, jobs.c.lease_until.is_(None)))


def _mark(connection: Connection, job: Any, now: float, **values: object) -> None:
    """Writes to the document, unless it has moved on to another version or is deleted. `job` names both."""
    connection.execute(
        update(documents)
        .where(documents.c.id == job.document_id, documents.c.version == job.version, documents.c.status != DELETED)
        .values(updated_at=now, **values)
    )


def _mark_failed(connection: Connection, job: Any, now: float, status: DocumentStatus, fault: DocumentFault) -> None:
    _mark(connection, job, now, status=status, stage=None, error_code=fault.code, error_detail=fault.detail)
