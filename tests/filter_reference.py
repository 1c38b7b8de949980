"""Meaning of filters, written apart from the store: whether the fields of one document meet a filter."""

from __future__ import annotations

from datetime import UTC, datetime

from argosy.contracts.filters import Between, Condition, Every, Exists, Filters, Not, OneOf, Scalar, Some
from argosy.contracts.store import Chunk

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def matches(filters: Filters, chunk: Chunk) -> bool:
    fields: dict[str, Scalar] = {
        **chunk.metadata,
        "document_id": chunk.document_id,
        "source": chunk.source,
        "name": chunk.name,
        "title": chunk.title,
    }
    if isinstance(filters, dict):
        return all(key in fields and _same(fields[key], value) for key, value in filters.items())
    return _meets(filters, fields)


def _meets(wanted: Condition, fields: dict[str, Scalar]) -> bool:
    match wanted:
        case OneOf(key, values):
            return key in fields and any(_same(fields[key], value) for value in values)
        case Exists(key):
            return fields.get(key) is not None
        case Between():
            place = _moment(fields.get(wanted.key)) if wanted.dates else _number(fields.get(wanted.key))
            return place is not None and all(
                bound is None or met
                for bound, met in (
                    (wanted.gt, wanted.gt is not None and place > wanted.gt),
                    (wanted.gte, wanted.gte is not None and place >= wanted.gte),
                    (wanted.lt, wanted.lt is not None and place < wanted.lt),
                    (wanted.lte, wanted.lte is not None and place <= wanted.lte),
                )
            )
        case Every(members):
            return all(_meets(one, fields) for one in members)
        case Some(members):
            return any(_meets(one, fields) for one in members)
        case Not(member):
            return not _meets(member, fields)


def _same(one: Scalar, other: Scalar) -> bool:
    return isinstance(one, bool) == isinstance(other, bool) and one == other


def _number(value: Scalar) -> float | None:
    return None if isinstance(value, bool) or not isinstance(value, int | float) else value


def _moment(value: Scalar) -> float | None:
    if not isinstance(value, str) or len(value) < 10 or value[4] != "-":
        return None
    try:
        found = datetime.fromisoformat(value)
    except ValueError:
        return None
    gap = (found if found.tzinfo else found.replace(tzinfo=UTC)) - EPOCH
    return (gap.days * 86400 + gap.seconds) * 10**6 + gap.microseconds
