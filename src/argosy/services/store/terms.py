"""Terms of a document: each of its fields and metadata values as one indexed keyword."""

from __future__ import annotations

import hashlib

import msgspec

from argosy.contracts.filters import Scalar
from argosy.contracts.store import DocumentFields, Metadata

OWN_FIELDS = ("document_id", "source", "name", "title")
"""Keys that metadata cannot replace."""
MAX_TERM_BYTES = 64
"""Longest term that is indexed unchanged; a longer one is replaced by its hash because each chunk stores it."""


def term(key: str, value: Scalar) -> str:
    """Return one equality as one keyword, so that every key and every type of value is matched in the same way."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return msgspec.json.encode([key, value]).decode()


def short(keyword: str) -> str:
    """Return the keyword, or its hash when it is longer than MAX_TERM_BYTES."""
    encoded = keyword.encode()
    return keyword if len(encoded) <= MAX_TERM_BYTES else f"#{hashlib.blake2b(encoded, digest_size=16).hexdigest()}"


def values_of(fields: DocumentFields) -> Metadata:
    """Return the values by which a document can be filtered, except `document_id`."""
    rest = {key: value for key, value in fields.metadata.items() if key not in OWN_FIELDS}
    return {"source": fields.source, "name": fields.name, "title": fields.title, **rest}
