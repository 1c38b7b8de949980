"""Estimates of when a batch will be done, from recent jobs. The functions run inside the caller's transaction."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from sqlalchemy import Connection, func, select

from argosy.services.documents.records.pace import OVERHEAD_BYTES, Ended, Pace, measured, remaining_s, work
from argosy.services.documents.records.schema import ACTIVE, JobKind, JobState, documents, jobs

MEASURED_JOBS = 200
"""Number of most recently finished jobs from which the pace is measured; older ones no longer count."""


def pace(connection: Connection, now: float) -> Pace | None:
    """Return the pace of recently finished jobs and of the running ones so far; None before any job has finished."""
    columns = (jobs.c.started_at, jobs.c.finished_at, jobs.c.bytes, jobs.c.progress, documents.c.content_type)
    index_jobs = (
        select(*columns).join(documents, documents.c.id == jobs.c.document_id).where(jobs.c.kind == JobKind.INDEX)
    )
    recent = (
        index_jobs.where(jobs.c.state == JobState.DONE, jobs.c.finished_at.is_not(None))
        .order_by(jobs.c.finished_at.desc())
        .limit(MEASURED_JOBS)
    )
    ended = [
        Ended(row.started_at, row.finished_at, work(row.bytes, row.content_type), row.content_type)
        for row in connection.execute(recent)
    ]
    if not ended:
        return None
    running = index_jobs.where(jobs.c.state == JobState.RUNNING, jobs.c.started_at <= now)
    parts = [
        Ended(row.started_at, now, row.progress * work(row.bytes, row.content_type), row.content_type)
        for row in connection.execute(running)
    ]
    return measured([*ended, *parts])


def by_kind(parts: Iterable[tuple[str, float]]) -> dict[str, float]:
    """Sum pairs of (kind, work) by kind."""
    total: defaultdict[str, float] = defaultdict(float)
    for kind, part in parts:
        total[kind] += part
    return total


def eta_s(connection: Connection, own: Mapping[str, float], now: float) -> float | None:
    """Return the seconds until one sender's work, given by kind, is done; None before anything was measured."""
    known = pace(connection, now)
    if known is None:
        return None
    active = (jobs.c.kind == JobKind.INDEX, jobs.c.state.in_(ACTIVE))
    senders = connection.execute(select(func.count(jobs.c.lane.distinct())).where(*active)).scalar_one()
    mine = known.work(own)
    everything = known.work(_waiting(connection)) if senders > 1 else mine
    return remaining_s(known.seconds_per_work, mine, everything, senders)


def _waiting(connection: Connection) -> dict[str, float]:
    """Return all queued and running work by kind."""
    rows = connection.execute(
        select(documents.c.content_type, func.sum(jobs.c.bytes).label("size"), func.count(jobs.c.id).label("jobs"))
        .join(documents, documents.c.id == jobs.c.document_id)
        .where(jobs.c.kind == JobKind.INDEX, jobs.c.state.in_(ACTIVE))
        .group_by(documents.c.content_type)
    )
    return {row.content_type: work(int(row.size), row.content_type) + OVERHEAD_BYTES * (row.jobs - 1) for row in rows}
