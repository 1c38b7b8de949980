"""Statistics of recent ingestion from the job table. They survive restarts and cover all replicas."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

import msgspec
from sqlalchemy import func, select

from argosy.contracts.documents import IngestionReport, StageTime
from argosy.services.documents.jobs.finishing import Outcome
from argosy.services.documents.records.database import Database
from argosy.services.documents.records.pace import Ended, busy_s
from argosy.services.documents.records.queueing import queue_size
from argosy.services.documents.records.schema import JobKind, JobState, jobs

MAX_JOBS = 10_000
"""Highest number of jobs counted. In a busier window, the latest are counted, and the report gives their period."""
ENDED = (JobState.DONE, JobState.FAILED, JobState.DEAD)


def report(database: Database, window_s: float) -> IngestionReport:
    """Return the statistics of the last `window_s` seconds. This blocks."""
    with database.read() as connection:
        now = database.now(connection)
        rows = connection.execute(
            select(jobs.c.state, jobs.c.started_at, jobs.c.finished_at, jobs.c.error_code, jobs.c.outcome)
            .where(jobs.c.kind == JobKind.INDEX, jobs.c.state.in_(ENDED), jobs.c.finished_at >= now - window_s)
            .order_by(jobs.c.finished_at.desc())
            .limit(MAX_JOBS)
        ).all()
        waiting, size = queue_size(connection)
        busy = connection.execute(
            select(func.count(jobs.c.id)).where(jobs.c.state == JobState.RUNNING, jobs.c.kind == JobKind.INDEX)
        ).scalar_one()
    covered_s = window_s if len(rows) < MAX_JOBS else max(0.0, now - rows[-1].finished_at)
    begins_s = now - covered_s
    worked_s = busy_s(Ended(max(begins_s, row.started_at or begins_s), row.finished_at, 0.0) for row in rows)
    outcomes = [msgspec.json.decode(row.outcome, type=Outcome) for row in rows if row.outcome is not None]
    chunks = sum(outcome.chunks for outcome in outcomes)
    return IngestionReport(
        window_s=covered_s,
        processed=len(rows),
        indexed=sum(row.state == JobState.DONE for row in rows),
        errors=dict(Counter(row.error_code or "unknown" for row in rows if row.state != JobState.DONE)),
        stages=_stages(outcomes),
        queue_documents=waiting,
        queue_bytes=size,
        workers_busy=busy,
        busy_s=worked_s,
        documents_per_s=_rate(len(rows), worked_s),
        pages_per_s=_rate(sum(outcome.pages for outcome in outcomes), worked_s),
        chunks_per_s=_rate(chunks, worked_s),
        chunks=chunks,
        chunks_embedded=sum(outcome.embedded for outcome in outcomes),
    )


def _rate(count: int, seconds: float) -> float | None:
    return count / seconds if seconds > 0 else None


def _stages(outcomes: Sequence[Outcome]) -> dict[str, StageTime]:
    spent: dict[str, list[float]] = defaultdict(list)
    for outcome in outcomes:
        for stage, seconds in outcome.seconds.items():
            spent[stage].append(seconds)
    return {stage: _time(sorted(seconds)) for stage, seconds in spent.items()}


def _time(seconds: Sequence[float]) -> StageTime:
    """Summarise sorted seconds. The p95 is the smallest value that at least 95 % of them do not exceed."""
    rank = -(-95 * len(seconds) // 100)
    return StageTime(len(seconds), sum(seconds) / len(seconds), seconds[rank - 1])
