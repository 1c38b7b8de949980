"""Values of a collection's metadata, by which ranges and `exists` become sets of indexed terms.

They are read from the visible documents at the first filter that needs them, and each later publication adds its own.
Values of documents that are gone stay until the next start: a term that no visible chunk has changes no result.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import msgspec

from argosy.contracts.filters import Between, Scalar, instant
from argosy.contracts.store import DocumentFields
from argosy.services.store.decisions import Decision
from argosy.services.store.terms import short, term, values_of

ALWAYS = ("document_id", "source", "name")
"""Keys that every document has."""


class _OwnFields(msgspec.Struct):
    """Fields of a chunk that has those of its document itself."""

    name: str = ""
    source: str = ""
    title: str | None = None
    metadata: dict[str, Scalar] = {}


_fields = msgspec.json.Decoder(DocumentFields)
_own_fields = msgspec.json.Decoder(_OwnFields)


class KnownValues:
    """Indexed terms of the values other than null, by key, with their place among numbers or instants."""

    def __init__(self) -> None:
        self._places: dict[str, dict[str, tuple[int | float | None, bool]]] = {}
        """Place of each term, and whether it is an instant; the place is None for other texts, true and false."""

    def add(self, fields: DocumentFields) -> None:
        """Add the values of one document."""
        for key, value in values_of(fields).items():
            if value is not None and (key not in ALWAYS or _place(value)[0] is not None):
                keyword = term(key, value)
                known = self._places.setdefault(key, {})
                if (indexed := short(keyword)) not in known:
                    known[indexed] = _place(value)
                    if indexed != keyword:  # older releases indexed long terms without hashing them
                        known[keyword] = known[indexed]

    def add_decision(self, decision: Decision) -> bool:
        """Add the values of a visible document. Returns: whether the decision holds them."""
        if decision.visible and decision.fields:
            self.add(_fields.decode(decision.fields))
        return bool(decision.fields) or not decision.visible

    def between(self, wanted: Between) -> Iterator[str]:
        """Yield the terms of the key's values within the bounds."""
        for indexed, (place, is_instant) in self._places.get(wanted.key, {}).items():
            if place is not None and is_instant == wanted.dates and wanted.holds(place):
                yield indexed

    def existing(self, key: str) -> Iterable[str]:
        """Return the terms of all values of the key."""
        return self._places.get(key, {})


def read_values(decisions: Iterable[Decision], chunks: Callable[[], Iterable[str]]) -> KnownValues:
    """Return the values of the visible documents of a collection.

    Chunks of older releases have the fields of their document themselves. `chunks` returns all chunks as JSON; it is
    called only when there are such documents.
    """
    found = KnownValues()
    held = [found.add_decision(decision) for decision in decisions]
    if not all(held):
        for chunk in chunks():
            own = _own_fields.decode(chunk)
            found.add(DocumentFields(own.name, own.source, own.title, own.metadata))
    return found


def _place(value: Scalar) -> tuple[int | float | None, bool]:
    if isinstance(value, str):
        return instant(value), True
    return (None, False) if isinstance(value, bool) else (value, False)
