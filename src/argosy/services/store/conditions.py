"""Filters of a shard: conditions on indexed terms, documents and versions."""

from __future__ import annotations

import hashlib

import msgspec
import qdrant_edge as edge

from argosy.contracts.store import Metadata

MAX_TERM_BYTES = 64
"""Longest term that is indexed unchanged; a longer one is replaced by its hash because each chunk stores it."""


def term(key: str, value: str | int | float | bool | None) -> str:
    """Return one equality as one keyword, so that every key and every type of value is matched in the same way."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return msgspec.json.encode([key, value]).decode()


def short(keyword: str) -> str:
    """Return the keyword, or its hash when it is longer than MAX_TERM_BYTES."""
    encoded = keyword.encode()
    return keyword if len(encoded) <= MAX_TERM_BYTES else f"#{hashlib.blake2b(encoded, digest_size=16).hexdigest()}"


def filter_of(filters: Metadata) -> edge.Filter | None:
    if not filters:
        return None
    terms = dict(filters)
    must: list[edge.FieldCondition] = []
    if isinstance(document_id := terms.get("document_id"), str):
        del terms["document_id"]
        must.append(equals("document_id", document_id))
    must.extend(_has_term(term(key, value)) for key, value in terms.items())
    return edge.Filter(must=[*must])


def _has_term(keyword: str) -> edge.FieldCondition:
    """Return the condition for a term; long terms also match unhashed, because older releases indexed them so."""
    hashed = short(keyword)
    if hashed == keyword:
        return equals("terms", keyword)
    return edge.FieldCondition("terms", match=edge.MatchAny([hashed, keyword]))


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
