"""Answers that were given before, bounded in bytes and age.

An answer belongs to a scope: the collection with the version of its content, the options of the search, and the model
with its prompt and sampling fields. Within its scope it is found by the question's text, or by its vector.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from argosy.answering.likeness import may_share_answer
from argosy.contracts.generation import AnswerDone
from argosy.contracts.request import Clock

ENTRY_BYTES = 600
"""Memory of an entry beside its texts and its vector."""

Scope = str


@dataclass(frozen=True, slots=True)
class CachedAnswer:
    question: str
    text: str
    done: AnswerDone
    query: str
    query_by: str
    stored_s: float
    vector: Sequence[float] | None = None
    """Unit vector of the question; None for a question that does not stand alone."""

    @property
    def size_bytes(self) -> int:
        texts = len(self.question) + len(self.text) + len(self.query)
        return ENTRY_BYTES + 2 * texts + len(msgspec.msgpack.encode(self.done)) + 32 * len(self.vector or ())


class AnswerCache:
    def __init__(self, max_bytes: int, max_age_s: float, threshold: float, clock: Clock) -> None:
        self._max_bytes = max_bytes
        self._max_age_s = max_age_s
        self._threshold = threshold
        self._clock = clock
        self._entries: OrderedDict[tuple[Scope, str], CachedAnswer] = OrderedDict()
        self._by_scope: dict[Scope, dict[str, None]] = defaultdict(dict)
        self.size_bytes = 0

    def __len__(self) -> int:
        return len(self._entries)

    def exact(self, scope: Scope, key: str) -> CachedAnswer | None:
        """Return the answer stored under this key, which holds the question and its earlier turns."""
        found = self._entries.get((scope, key))
        if found is None:
            return None
        if self._clock() - found.stored_s > self._max_age_s:
            self._drop(scope, key)
            return None
        self._entries.move_to_end((scope, key))
        return found

    def alike(self, scope: Scope, question: str, vector: Sequence[float]) -> CachedAnswer | None:
        """Return the answer to the most similar question, if it is similar enough and asks about the same things."""
        best: tuple[float, str] | None = None
        for key in list(self._by_scope.get(scope, ())):
            held = self._entries[scope, key]
            if held.vector is None or len(held.vector) != len(vector):
                continue
            cosine = sum(map(float.__mul__, held.vector, vector))
            near = cosine >= self._threshold and (best is None or cosine > best[0])
            if near and may_share_answer(question, held.question):
                best = (cosine, key)
        return None if best is None else self.exact(scope, best[1])

    def put(self, scope: Scope, key: str, answer: CachedAnswer) -> None:
        """Store an answer; drop the least recently used ones to make room. One that is too large is not stored."""
        self._drop(scope, key)
        if answer.size_bytes > self._max_bytes:
            return
        self._entries[scope, key] = answer
        self._by_scope[scope][key] = None
        self.size_bytes += answer.size_bytes
        while self.size_bytes > self._max_bytes:
            self._drop(*next(iter(self._entries)))

    def _drop(self, scope: Scope, key: str) -> None:
        gone = self._entries.pop((scope, key), None)
        if gone is None:
            return
        self.size_bytes -= gone.size_bytes
        self._by_scope[scope].pop(key, None)
        if not self._by_scope[scope]:
            del self._by_scope[scope]
