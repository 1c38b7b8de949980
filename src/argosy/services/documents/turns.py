"""Whose job is next: who died while working is made up for first, then senders take turns."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest
from typing import Any

from sqlalchemy import BindParameter, ColumnElement, Connection, Float, Integer, and_, bindparam, exists, or_, select
from sqlalchemy.sql import Select

from argosy.services.documents.schema import ACTIVE, JobState, jobs, lanes


def turns(connection: Connection, now: float, most: int) -> Iterator[int]:
    """Up to `most` jobs to do next, in order: those whose workers died, those of no lane, then one of each lane in
    turn, the lane that was served longest ago first.

    Each job must be taken, and its lane counted as served, before the next one is asked for. Rows are locked where the
    database locks rows; what another worker is just taking is passed over. Each look-up goes by an index, so that a
    claim costs the same with ten jobs queued and with ten thousand. Jobs that no lane's first ones lead to are found by
    the last, thorough look.
    """
    asked = {"now": now, "most": most}
    for look in (_EXPIRED, _WITHOUT_LANE):
        yield from connection.execute(look, asked).scalars().all()
    waiting = [
        connection.execute(_OF_LANE, asked | {"lane": lane}).scalars().all()
        for lane in connection.execute(_LANES, asked).scalars().all()
    ]
    for round_ in zip_longest(*waiting):
        yield from (job for job in round_ if job is not None)
    yield from connection.execute(_ANY, asked).scalars().all()


def due(now: float | BindParameter[float]) -> Any:
    return and_(jobs.c.state == JobState.QUEUED, jobs.c.run_at <= now)


def expired(now: float | BindParameter[float]) -> Any:
    return and_(jobs.c.state == JobState.RUNNING, or_(jobs.c.lease_until < now, jobs.c.lease_until.is_(None)))


# Statements are built once: building one costs more than running it.
_NOW = bindparam("now", type_=Float)
_older, _waiting = jobs.alias("older"), jobs.alias("waiting")
_FIRST_OF_DOCUMENT = ~exists().where(
    _older.c.document_id == jobs.c.document_id, _older.c.id < jobs.c.id, _older.c.state.in_(ACTIVE)
)
_LANES = (
    select(lanes.c.id)
    .where(
        exists().where(_waiting.c.lane == lanes.c.id, _waiting.c.state == JobState.QUEUED, _waiting.c.run_at <= _NOW)
    )
    .order_by(lanes.c.served, lanes.c.id)
    .limit(bindparam("most", type_=Integer))
)


def _look(*conditions: ColumnElement[bool]) -> Select[Any]:
    found = select(jobs.c.id).where(*conditions, _FIRST_OF_DOCUMENT).order_by(jobs.c.id)
    return found.limit(bindparam("most", type_=Integer)).with_for_update(skip_locked=True)


_EXPIRED = _look(expired(_NOW))
_WITHOUT_LANE = _look(due(_NOW), jobs.c.lane.is_(None))
_OF_LANE = _look(due(_NOW), jobs.c.lane == bindparam("lane"))
_ANY = _look(due(_NOW))
