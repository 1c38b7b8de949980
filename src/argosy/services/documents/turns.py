"""Whose job is next: jobs whose worker died come first, then forgetting and indexing alternate, and senders take turns
among themselves."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, and_, exists, false, func, or_, select, update

from argosy.services.documents.schema import ACTIVE, JobKind, JobState, catalog, jobs, lanes


def whose_turn(connection: Connection, now: float) -> int | None:
    """Return the job to do next: one whose worker died, else a deletion, or the oldest of the lane served longest ago.

    Deletions get every second turn: a thousand of them hold up an upload no more than one, and the other way round.

    The job's row is locked where the database locks rows, and rows that another worker is taking are passed over. Each
    look-up goes by an index, so that a claim costs the same with ten jobs queued and with ten thousand. A lane whose
    first jobs all wait for older ones of the same document is passed over by the last, thorough look.
    """
    waiting = jobs.alias("waiting")
    lane = (
        select(lanes.c.id)
        .where(
            exists().where(waiting.c.lane == lanes.c.id, waiting.c.state == JobState.QUEUED, waiting.c.run_at <= now)
        )
        .order_by(lanes.c.served, lanes.c.id)
        .limit(1)
        .scalar_subquery()
    )
    older = jobs.alias("older")
    first_of_document = ~exists().where(
        older.c.document_id == jobs.c.document_id, older.c.id < jobs.c.id, older.c.state.in_(ACTIVE)
    )
    forgetting = [select(jobs.c.id).where(due(now), jobs.c.kind == JobKind.FORGET)]
    indexing = [
        select(jobs.c.id).where(due(now), jobs.c.lane == lane),
        select(jobs.c.id).where(due(now), jobs.c.kind == JobKind.INDEX),
    ]
    forgot_last = connection.execute(select(catalog.c.forgot_last)).scalar()
    turns = indexing + forgetting if forgot_last else forgetting + indexing
    for candidates in (select(jobs.c.id).where(expired(now)), *turns):
        next_one = candidates.where(first_of_document).order_by(jobs.c.id).limit(1)
        found: int | None = connection.execute(next_one.with_for_update(skip_locked=True)).scalar()
        if found is not None:
            return found
    return None


def another_is_due(connection: Connection, lane: str | None, now: float) -> bool:
    """Whether there is a job to do of another lane than this one."""
    waits = exists().where(jobs.c.lane == lanes.c.id, jobs.c.state == JobState.QUEUED, jobs.c.run_at <= now)
    other = select(lanes.c.id).where(waits) if lane is None else select(lanes.c.id).where(lanes.c.id != lane, waits)
    return connection.execute(other.limit(1)).first() is not None


def took_turn(connection: Connection, kind: JobKind, lane: str | None) -> None:
    """Note who was served, so that others come next."""
    forgot = kind is JobKind.FORGET
    connection.execute(
        update(catalog).where(func.coalesce(catalog.c.forgot_last, false()) != forgot).values(forgot_last=forgot)
    )
    if lane is not None:
        last = select(func.coalesce(func.max(lanes.c.served), 0) + 1).scalar_subquery()
        connection.execute(update(lanes).where(lanes.c.id == lane).values(served=last))


def due(now: float) -> Any:
    return and_(jobs.c.state == JobState.QUEUED, jobs.c.run_at <= now)


def expired(now: float) -> Any:
    return and_(jobs.c.state == JobState.RUNNING, or_(jobs.c.lease_until < now, jobs.c.lease_until.is_(None)))
