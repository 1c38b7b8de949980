"""The lease table: the jobs, the worker of each, and the end of its lease.

No accepted job is lost, and no job is done by two workers at once: the lease of a dead worker expires, and a worker
that was only slow finds its fencing token outdated and stops.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Float, bindparam, case, select, update

from argosy.contracts.documents import DocumentFault, DocumentStatus
from argosy.services.documents.jobs.claims import ANY_DUE, lease
from argosy.services.documents.jobs.fair_queue import another_is_due, expired, took_turns, turns
from argosy.services.documents.jobs.finishing import finish
from argosy.services.documents.jobs.job import Indexed, Job
from argosy.services.documents.jobs.rules import JobRules
from argosy.services.documents.records.database import Database
from argosy.services.documents.records.queueing import discard
from argosy.services.documents.records.schema import DELETED, JobKind, JobState, documents, jobs

__all__ = ["Indexed", "Job", "JobLeases", "LeaseLost"]

WORKER_DIED = DocumentFault("worker_died", "The indexing process died at each attempt. See `argosy logs documents`.")


class LeaseLost(Exception):
    """The job is no longer this worker's: the lease expired, or the job was superseded or cancelled."""


class JobLeases:
    """The lease table. Its methods block and may be called from several threads and processes."""

    def __init__(self, database: Database, rules: JobRules | None = None) -> None:
        self._database = database
        self.rules = rules or JobRules()

    def claim(self, worker: str) -> Job | None:
        """Lease the next due job for `rules.lease_s` seconds; None when there is none. See `claim_several`."""
        return next(iter(self.claim_several(worker, 1)), None)

    def claim_several(self, worker: str, most: int, most_bytes: int = 0) -> list[Job]:
        """Lease up to `most` due jobs in one transaction, and stop once they hold `most_bytes` together.

        Lanes take turns, also within one claim. A job whose worker died is due again when its lease expires, or becomes
        `dead` when its attempts are used up. Jobs of one document run one after another.
        """
        with self._database.read() as connection:
            now = self._database.now(connection)
            if connection.execute(ANY_DUE, {"now": now}).first() is None:
                return []
        with self._database.write() as connection:
            now = self._database.now(connection)
            self._bury(connection, now)
            taken: list[Any] = []
            size = 0
            for turn in turns(connection, now, most):
                taken.append(turn)
                size += turn.bytes
                if len(taken) >= most or size >= most_bytes:
                    break
            took_turns(connection, taken)
            return lease(connection, [turn.id for turn in taken], worker, now, now + self.rules.lease_s)

    def heartbeat(self, job: Job) -> None:
        """Extend the lease. Raises: LeaseLost when the job is no longer this worker's."""
        if not self.heartbeat_several([job])[0]:
            raise LeaseLost

    def heartbeat_several(self, several: Sequence[Job]) -> list[bool]:
        """Extend the leases in one transaction. Returns: for each job, whether it was still this worker's."""
        with self._database.write() as connection:
            until = self._database.now(connection) + self.rules.lease_s
            held = _held(connection, several, lock=True)
            if held:
                connection.execute(_KEPT, {"jobs": [job for job, _ in held], "until": until})
        return [job.lease in held for job in several]

    def check(self, job: Job) -> None:
        """Check the lease. Raises: LeaseLost when the job is no longer this worker's."""
        if not self.check_several([job])[0]:
            raise LeaseLost

    def check_several(self, several: Sequence[Job]) -> list[bool]:
        """Return, for each job, whether it is still this worker's."""
        with self._database.read() as connection:
            held = _held(connection, several)
        return [job.lease in held for job in several]

    def stage(self, job: Job, stage: str, progress: float = 0.0) -> None:
        """Record the current stage and the progress of the job, 0 to 1, and extend the lease.

        Raises: LeaseLost when the job is no longer this worker's.
        """
        if not self.stage_several([(job, stage, progress)])[0]:
            raise LeaseLost

    def stage_several(self, several: Sequence[tuple[Job, str, float]]) -> list[bool]:
        """Call `stage` for each job in one transaction. Returns: for each, whether it is still this worker's."""
        with self._database.write() as connection:
            now = self._database.now(connection)
            held = _held(connection, [job for job, _, _ in several], lock=True)
            mine = [(job, stage, progress) for job, stage, progress in several if job.lease in held]
            until = now + self.rules.lease_s
            if mine:
                connection.execute(
                    _STAGED, [{"job": job.id, "reached": progress, "until": until} for job, _, progress in mine]
                )
            shown = [
                {"document": job.document_id, "of": job.version, "now": now, "in_stage": stage}
                for job, stage, _ in mine
                if job.kind is JobKind.INDEX
            ]
            if shown:
                connection.execute(_SHOWN, shown)
        return [job.lease in held for job, _, _ in several]

    def done(self, job: Job, indexed: Indexed | None = None) -> None:
        """Record that the job is done, for an index job with its result, and discard replaced stored contents.

        Raises: LeaseLost when the job is no longer this worker's.
        """
        if not self.done_several([(job, indexed)])[0]:
            raise LeaseLost

    def done_several(self, several: Sequence[tuple[Job, Indexed | None]]) -> list[bool]:
        """Call `done` for each job in one transaction. Returns: for each, whether it was still this worker's."""
        with self._database.write() as connection:
            now = self._database.now(connection)
            held = _held(connection, [job for job, _ in several], lock=True)
            mine = [(job, indexed) for job, indexed in several if job.lease in held]
            if any(indexed is not None for _, indexed in mine):
                self._end_waits(connection, now)
            if mine:
                finish(connection, mine, now)
        return [job.lease in held for job, _ in several]

    def discard(self, hashes: Sequence[str]) -> None:
        """Discard stored contents that a job created and that no document will need."""
        with self._database.write() as connection:
            discard(connection, hashes)

    def fail(self, job: Job, fault: DocumentFault, *, retryable: bool) -> None:
        """Record a failed attempt.

        A retryable job is queued again after a backoff, and becomes `dead` when its attempts are used up (deletions are
        retried without limit). Any other job becomes `failed`.

        Raises: LeaseLost when the job is no longer this worker's.
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
        """Queue the job again after a pause because a service is unavailable. The number of waits has no limit.

        Raises: LeaseLost when the job is no longer this worker's.
        """
        with self._database.read() as connection:
            waits = connection.execute(select(jobs.c.waits).where(jobs.c.id == job.id)).scalar() or 0
        self._again(job, fault, self.rules.wait_after_s(waits + 1), attempts=job.attempts - 1, waits=waits + 1)

    def postpone(self, job: Job, delay_s: float) -> None:
        """Return the job to the queue, due after `delay_s`, so that others go first. The attempt does not count.

        Raises: LeaseLost when the job is no longer this worker's.
        """
        self._again(job, None, delay_s, attempts=job.attempts - 1)

    def others_wait(self, job: Job) -> bool:
        """Return whether another sender has a job that is due."""
        with self._database.read() as connection:
            return another_is_due(connection, job.lane, self._database.now(connection))

    def release(self, job: Job) -> None:
        """Return the job to the queue, due at once, because the worker stops. The attempt does not count.

        Raises: LeaseLost when the job is no longer this worker's.
        """
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
        """Retry all waiting jobs soon: once one document succeeds, the dependency is back."""
        connection.execute(_END_WAITS, {"soon": now + self.rules.backoff_s})

    def _write(self, connection: Connection, job: Job, **values: object) -> None:
        mine = (jobs.c.id == job.id, jobs.c.state == JobState.RUNNING, jobs.c.fence == job.fence)
        if connection.execute(update(jobs).where(*mine).values(**values)).rowcount == 0:
            raise LeaseLost

    def _bury(self, connection: Connection, now: float) -> None:
        """Mark jobs as `dead` that killed their worker at every attempt and so never reached `fail`."""
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


# Statements are built once: building one costs more than running it.
_RUNNING = select(jobs.c.id, jobs.c.fence).where(
    jobs.c.id.in_(bindparam("jobs", expanding=True)), jobs.c.state == JobState.RUNNING
)
_RUNNING_LOCKED = _RUNNING.order_by(jobs.c.id).with_for_update()
_SOON = bindparam("soon", type_=Float)
_END_WAITS = (
    update(jobs)
    .where(
        jobs.c.id.in_(
            select(jobs.c.id)
            .where(
                jobs.c.state == JobState.QUEUED, jobs.c.kind == JobKind.INDEX, jobs.c.run_at > _SOON, jobs.c.waits > 0
            )
            .with_for_update(skip_locked=True)  # another finishing job may be ending the same waits
        )
    )
    .values(run_at=_SOON)
)
_REACHED = bindparam("reached", type_=Float)
_STAGED = (
    update(jobs)
    .where(jobs.c.id == bindparam("job"))
    .values(
        progress=case((jobs.c.progress < _REACHED, _REACHED), else_=jobs.c.progress),
        lease_until=bindparam("until"),
    )
)
_KEPT = update(jobs).where(jobs.c.id.in_(bindparam("jobs", expanding=True))).values(lease_until=bindparam("until"))
_SHOWN = (
    update(documents)
    .where(
        documents.c.id == bindparam("document"), documents.c.version == bindparam("of"), documents.c.status != DELETED
    )
    .values(updated_at=bindparam("now"), stage=bindparam("in_stage"))
)


def _held(connection: Connection, several: Sequence[Job], *, lock: bool = False) -> set[tuple[int, int]]:
    """Return the leases that are still their worker's. Of two leases of the same job at most one is."""
    rows = connection.execute(_RUNNING_LOCKED if lock else _RUNNING, {"jobs": list({job.id for job in several})})
    return {(row.id, row.fence) for row in rows}


def _mark(connection: Connection, job: Any, now: float, **values: object) -> None:
    """Update the job's document, unless it has another version by now or is deleted."""
    connection.execute(
        update(documents)
        .where(documents.c.id == job.document_id, documents.c.version == job.version, documents.c.status != DELETED)
        .values(updated_at=now, **values)
    )


def _mark_failed(connection: Connection, job: Any, now: float, status: DocumentStatus, fault: DocumentFault) -> None:
    _mark(connection, job, now, status=status, stage=None, error_code=fault.code, error_detail=fault.detail)
