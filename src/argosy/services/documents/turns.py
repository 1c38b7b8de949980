"""Whose job is next: who died while working is made up for first, then senders take turns."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, and_, exists, or_, select

from argosy.services.documents.schema import ACTIVE, JobState, jobs, lanes


def whose_turn(connection: Connection, now: float) -> int | None:
    """The job to do next: one whose worker died, one of no lane, else the oldest of the lane served longest ago.

    Its row is locked where the database locks rows; what another worker is just taking is passed over. Each look-up
    goes by an index, so that a claim costs the same with ten jobs queued and with ten thousand. A lane whose first
    jobs all wait for older ones of the same document is passed over by the last, thorough look.
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
    for candidates in (
        select(jobs.c.id).where(expired(now)),
        select(jobs.c.id).where(due(now), jobs.c.lane.is_(None)),
        select(jobs.c.id).where(due(now), jobs.c.lane == lane),
        select(jobs.c.id).where(due(now)),
    ):
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


def due(now: float) -> Any:
    return and_(jobs.c.state == JobState.QUEUED, jobs.c.run_at <= now)


def expired(now: float) -> Any:
    return and_(jobs.c.state == JobState.RUNNING, or_(jobs.c.lease_until < now, jobs.c.lease_until.is_(None)))
