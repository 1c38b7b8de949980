"""Whose job is next: who died while working is made up for first, then senders take turns."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BindParameter, Connection, Float, and_, bindparam, exists, or_, select
from sqlalchemy.sql import Select

from argosy.services.documents.schema import ACTIVE, JobState, jobs, lanes


def whose_turn(connection: Connection, now: float) -> int | None:
    """The job to do next: one whose worker died, one of no lane, else the oldest of the lane served longest ago.

    Its row is locked where the database locks rows; what another worker is just taking is passed over. Each look-up
    goes by an index, so that a claim costs the same with ten jobs queued and with ten thousand. A lane whose first
    jobs all wait for older ones of the same document is passed over by the last, thorough look.
    """
    for look in _LOOKS:
        found: int | None = connection.execute(look, {"now": now}).scalar()
        if found is not None:
            return found
    return None


def due(now: float | BindParameter[float]) -> Any:
    return and_(jobs.c.state == JobState.QUEUED, jobs.c.run_at <= now)


def expired(now: float | BindParameter[float]) -> Any:
    return and_(jobs.c.state == JobState.RUNNING, or_(jobs.c.lease_until < now, jobs.c.lease_until.is_(None)))


def _looks() -> tuple[Select[Any], ...]:
    now = bindparam("now", type_=Float)
    waiting, older = jobs.alias("waiting"), jobs.alias("older")
    lane = (
        select(lanes.c.id)
        .where(
            exists().where(waiting.c.lane == lanes.c.id, waiting.c.state == JobState.QUEUED, waiting.c.run_at <= now)
        )
        .order_by(lanes.c.served, lanes.c.id)
        .limit(1)
        .scalar_subquery()
    )
    first_of_document = ~exists().where(
        older.c.document_id == jobs.c.document_id, older.c.id < jobs.c.id, older.c.state.in_(ACTIVE)
    )
    candidates = (
        select(jobs.c.id).where(expired(now)),
        select(jobs.c.id).where(due(now), jobs.c.lane.is_(None)),
        select(jobs.c.id).where(due(now), jobs.c.lane == lane),
        select(jobs.c.id).where(due(now)),
    )
    return tuple(
        look.where(first_of_document).order_by(jobs.c.id).limit(1).with_for_update(skip_locked=True)
        for look in candidates
    )


_LOOKS = _looks()
"""Built once: building a statement costs more than running it."""
