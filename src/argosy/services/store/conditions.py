"""Filters of a shard: conditions on indexed terms, documents and versions.

A shard indexes each field and metadata value of a document as one keyword. Ranges and `exists` become the set of the
collection's own values that meet them, so that they use the same index and existing collections need no new one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import qdrant_edge as edge

from argosy.contracts.filters import Between, Condition, Every, Exists, Filters, Not, OneOf, Scalar, Some, conditions
from argosy.services.store.known_values import ALWAYS, KnownValues
from argosy.services.store.terms import short, term

_EdgeCondition = edge.FieldCondition | edge.HasIdCondition | edge.Filter


def filter_of(filters: Filters, values: Callable[[], KnownValues]) -> edge.Filter | None:
    """Return the filter of a shard; None without conditions.

    `values` returns the collection's values. It is called only for ranges and for `exists`, because these need them.
    """
    must = [_condition(one, values) for one in conditions(filters)]
    return edge.Filter(must=[*must]) if must else None


def _condition(wanted: Condition, values: Callable[[], KnownValues]) -> _EdgeCondition:
    match wanted:
        case OneOf(key, chosen):
            return _one_of(key, chosen)
        case Between():
            return _any_term(values().between(wanted))
        case Exists(key):
            return edge.Filter(must=[]) if key in ALWAYS else _any_term(values().existing(key))
        case Every(members):
            return edge.Filter(must=[_condition(one, values) for one in members])
        case Some(members):
            return edge.Filter(should=[_condition(one, values) for one in members])
        case Not(member):
            return edge.Filter(must_not=[_condition(member, values)])


def _one_of(key: str, values: list[Scalar]) -> _EdgeCondition:
    if key == "document_id":
        return _any_of("document_id", [value for value in values if isinstance(value, str)])
    return _any_term(dict.fromkeys(name for value in values for name in _names(term(key, value))))


def _any_term(terms: Iterable[str]) -> _EdgeCondition:
    return _any_of("terms", [*terms])


def _any_of(field: str, values: list[str]) -> _EdgeCondition:
    if not values:
        return edge.HasIdCondition(set())
    return equals(field, values[0]) if len(values) == 1 else edge.FieldCondition(field, match=edge.MatchAny(values))


def _names(keyword: str) -> list[str]:
    """Return the names under which a term may be indexed: older releases indexed long terms without hashing them."""
    return [*dict.fromkeys((short(keyword), keyword))]


def equals(field: str, value: str | int) -> edge.FieldCondition:
    return edge.FieldCondition(field, match=edge.MatchValue(value))


def of_document(
    document_id: str, *, version: int | None = None, up_to: int | None = None, below: int | None = None
) -> edge.Filter:
    conditions = [equals("document_id", document_id)]
    if version is not None:
        conditions.append(equals("version", version))
    if below is not None:
        conditions.append(edge.FieldCondition("ordinal", range=edge.RangeFloat(lt=below)))
    if up_to is not None:
        conditions.append(edge.FieldCondition("version", range=edge.RangeFloat(lte=up_to)))
    return edge.Filter(must=[*conditions])
