"""Texts that wait or run, by key, so that a text that is requested twice is computed once."""

from __future__ import annotations

from collections.abc import Sequence

from argosy.contracts.embedding import Spans, TextKind
from argosy.serving.batching.queue import Caller, Claim, Key, Work


class Flights:
    """Works with a key, from their acceptance until they are computed, refused or dropped."""

    def __init__(self) -> None:
        self._by_key: dict[Key, Work] = {}

    def claim(
        self,
        caller: Caller,
        texts: Sequence[str],
        kind: TextKind,
        keys: Sequence[Key] | None,
        spans: Sequence[Spans] | None = None,
    ) -> list[Work]:
        """Assign a `Work` to the caller for each text. Returns: the new works, each once.

        Texts with different spans must have different keys.
        """
        new: dict[Key, Work] = {}
        unnamed = []
        for row, text in enumerate(texts):
            own = spans[row] if spans else ()
            if keys is None:
                work = Work(text, kind, None, own)
                unnamed.append(work)
            else:
                key = keys[row]
                found = self._by_key.get(key) or new.get(key)
                work = found or new.setdefault(key, Work(text, kind, key, own))
            work.claims.append(Claim(caller, row))
            caller.works[work] = None
        return [*unnamed, *new.values()]

    def add(self, work: Work) -> None:
        """Let later requests for the text share the work."""
        if work.key is not None:
            self._by_key[work.key] = work

    def remove(self, work: Work) -> None:
        """Forget the text, so that the next request for it computes it again."""
        if work.key is not None:
            self._by_key.pop(work.key, None)
