"""Order of jobs: jobs whose worker died come first, then deletions and index jobs alternate, and lanes take turns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import Any

from sqlalchemy import (
    BindParameter,
    Boolean,
    ColumnElement,
    Connection,
    Float,
    Integer,
    and_,
    bindparam,
    exists,
    false,
    func,
    or_,
    select,
    update,
)
from sqlalchemy.sql import Select

from argosy.services.documents.records.schema import ACTIVE, JobKind, JobState, catalog, jobs, lanes


def turns(connection: Connection, now: float, most: int) -> Iterator[Any]:
    """Yield up to `most` rows (id, kind, lane, bytes) of each kind of job, in the order in which to run them.

    Jobs whose worker died come first. Then deletions alternate with index jobs, so a thousand deletions delay an upload
    no more than one does, and vice versa. Index jobs come from the lanes in turn, least recently served lane first.

    Each job comes once. Lease the jobs and record their turns (`took_turns`) in the same transaction. Rows are locked
    if the database supports it, and rows that another worker is leasing are skipped. Each look-up uses an index, so a
    claim costs the same with ten jobs queued and with ten thousand. A last, complete look-up finds jobs that are not
    among the first of any lane.
    """
    seen: set[int] = set()
    for row in _all_turns(connection, {"now": now, "most": most}):
        if row.id not in seen:
            seen.add(row.id)
            yield row


def _all_turns(connection: Connection, asked: dict[str, Any]) -> Iterator[Any]:
    """Yield the same rows as `turns`, some of them twice."""
    yield from connection.execute(_EXPIRED, asked).all()
    indexing, forgetting = _indexing(connection, asked), _forgetting(connection, asked)
    forgot_last = connection.execute(_FORGOT_LAST).scalar()
    for pair in zip_longest(*((indexing, forgetting) if forgot_last else (forgetting, indexing))):
        yield from (job for job in pair if job is not None)


def _forgetting(connection: Connection, asked: dict[str, Any]) -> Iterator[Any]:
    yield from connection.execute(_FORGET, asked).all()


def _indexing(connection: Connection, asked: dict[str, Any]) -> Iterator[Any]:
    """Yield one job of each lane in turn, then the remaining index jobs."""
    waiting = [
        connection.execute(_OF_LANE, asked | {"lane": lane}).all()
        for lane in connection.execute(_LANES, asked).scalars().all()
    ]
    for round_ in zip_longest(*waiting):
        yield from (job for job in round_ if job is not None)
    # The jobs above are still queued and come again here; there are at most `most` of them.
    yield from connection.execute(_ANY, asked | {"most": 2 * asked["most"]}).all()


def another_is_due(connection: Connection, lane: str | None, now: float) -> bool:
    """Return whether another lane has a job that is due."""
    waits = exists().where(jobs.c.lane == lanes.c.id, jobs.c.state == JobState.QUEUED, jobs.c.run_at <= now)
    other = select(lanes.c.id).where(waits) if lane is None else select(lanes.c.id).where(lanes.c.id != lane, waits)
    return connection.execute(other.limit(1)).first() is not None


def took_turns(connection: Connection, served: Sequence[Any]) -> None:
    """Record the turns of these rows of `turns`, so that other lanes and the other kind come next."""
    if not served:
        return
    connection.execute(_FORGOT, {"forgot": served[-1].kind == JobKind.FORGET})
    lanes_served = {
        row.lane: None for row in reversed(served) if row.lane is not None
    }  # each lane once, the one served last first
    for lane in reversed(lanes_served):
        connection.execute(_SERVED, {"lane": lane})


def due(now: float | BindParameter[float]) -> Any:
    return and_(jobs.c.state == JobState.QUEUED, jobs.c.run_at <= now)


def expired(now: float | BindParameter[float]) -> Any:
    return and_(jobs.c.state == JobState.RUNNING, or_(jobs.c.lease_until < now, jobs.c.lease_until.is_(None)))


# Statements are built once because building one costs more than running it.
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
    found = (
        select(jobs.c.id, jobs.c.kind, jobs.c.lane, jobs.c.bytes)
        .where(*conditions, _FIRST_OF_DOCUMENT)
        .order_by(jobs.c.id)
    )
    return found.limit(bindparam("most", type_=Integer)).with_for_update(skip_locked=True)


_EXPIRED = _look(expired(_NOW))
_FORGET = _look(due(_NOW), jobs.c.kind == JobKind.FORGET)
_OF_LANE = _look(due(_NOW), jobs.c.lane == bindparam("lane"))
_ANY = _look(due(_NOW), jobs.c.kind == JobKind.INDEX)
_FORGOT_LAST = select(catalog.c.forgot_last)
_FORGOT = (
    update(catalog)
    .where(func.coalesce(catalog.c.forgot_last, false()) != bindparam("forgot", type_=Boolean))
    .values(forgot_last=bindparam("forgot", type_=Boolean))
)
_SERVED = (
    update(lanes)
    .where(lanes.c.id == bindparam("lane"))
    .values(served=select(func.coalesce(func.max(lanes.c.served), 0) + 1).scalar_subquery())
)
