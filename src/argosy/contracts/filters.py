"""Filters of a search: conditions on a document's fields and metadata.

A search carries plain equalities as a mapping, and anything else as a tree of conditions. `document_id`, `source`,
`name` and `title` are keys like those of the metadata, and take precedence over metadata keys of the same name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import msgspec

Scalar = str | int | float | bool | None


class OneOf(msgspec.Struct, array_like=True, frozen=True, tag="in"):
    """The key has one of these values. Texts are compared exactly; 2 and 2.0 are equal, 1 and true are not."""

    key: str
    values: list[Scalar]


class Between(msgspec.Struct, array_like=True, frozen=True, tag="range"):
    """The key has a value within these bounds; a missing bound is None.

    With `dates`, the bounds are instants (see `instant`) and only texts that hold an ISO date or time have a place.
    Otherwise only numbers have one; true and false are not numbers.
    """

    key: str
    gt: int | float | None = None
    gte: int | float | None = None
    lt: int | float | None = None
    lte: int | float | None = None
    dates: bool = False

    def holds(self, place: int | float) -> bool:
        """Return whether this number or instant is within the bounds."""
        return (
            (self.gt is None or place > self.gt)
            and (self.gte is None or place >= self.gte)
            and (self.lt is None or place < self.lt)
            and (self.lte is None or place <= self.lte)
        )


class Exists(msgspec.Struct, array_like=True, frozen=True, tag="exists"):
    """The key has a value other than null."""

    key: str


class Every(msgspec.Struct, array_like=True, frozen=True, tag="and"):
    conditions: list[Condition]


class Some(msgspec.Struct, array_like=True, frozen=True, tag="or"):
    """Alternatives; a chunk must meet one or more of them."""

    conditions: list[Condition]


class Not(msgspec.Struct, array_like=True, frozen=True, tag="not"):
    condition: Condition


Condition = OneOf | Between | Exists | Every | Some | Not
Filters = dict[str, Scalar] | Condition
"""Values that keys must equal, or a condition. An empty mapping is no filter."""

_DATE = re.compile(r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)?", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MAX_DATE_CHARS = 48


def instant(text: str) -> int | None:
    """Return the instant of an ISO 8601 date or time as microseconds since 1970; None for any other text.

    A time without an offset is UTC. A date alone is its first instant.
    """
    if len(text) > _MAX_DATE_CHARS or _DATE.fullmatch(text) is None:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return ((found if found.tzinfo else found.replace(tzinfo=UTC)) - _EPOCH) // timedelta(microseconds=1)


def conditions(filters: Filters) -> Iterator[Condition]:
    """Yield the conditions that must all be met."""
    if isinstance(filters, dict):
        for key, value in filters.items():
            yield OneOf(key, [value])
    elif isinstance(filters, Every):
        yield from filters.conditions
    else:
        yield filters
