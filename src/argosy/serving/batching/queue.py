"""Queue of texts that wait for the engine, in two priorities. It is used on the event loop only and not thread-safe.

A `Work` is one text that is computed once for all callers; each request for it is a `Claim`. Work without claims is
removed from the queue.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass, field
from itertools import islice

import numpy as np

from argosy.contracts.embedding import Spans, TextKind
from argosy.contracts.errors import ArgosyError
from argosy.contracts.request import Priority, RequestContext
from argosy.contracts.vectors import Vector, Vectors

Key = bytes
"""Key of a text and of everything else that its vector depends on; equal keys mean equal vectors."""

BULK_SHARE = 0.1
"""Least share of the engine's time that bulk work gets while queries keep the engine busy."""


@dataclass(slots=True)
class EmbedResult:
    """Results of one call, in the order of the texts.

    `vectors` has the shape (texts, dimensions), float32. `tokens` counts after truncation. `seconds` is each text's
    share of the time of its batch. The row of a text that is in `errors` is not set.
    """

    vectors: Vectors
    tokens: list[int]
    truncated: list[bool]
    seconds: list[float]
    spans: list[Vectors | None]
    """Vectors of the spans of each text; None for a text without spans, and with an engine that has none."""
    errors: dict[int, ArgosyError] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Computed:
    """Result of one text. `tokens` counts after truncation; `seconds` is its share of the batch's time."""

    key: Key | None
    vector: Vector
    tokens: int
    truncated: bool
    seconds: float
    spans: Vectors | None = None
    """Vectors of the text's spans, if it has some and the engine gives them."""


class Caller:
    """One request. It ends with a result or with the first error of a text, unless partial results are accepted."""

    def __init__(self, count: int, dimensions: int, context: RequestContext, *, partial: bool) -> None:
        self.context = context
        vectors = np.empty((count, dimensions), np.float32)
        self.result = EmbedResult(vectors, [0] * count, [False] * count, [0.0] * count, [None] * count)
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.works: dict[Work, None] = {}
        """Works that the request waits for, each once, in the order of the texts."""
        self._partial = partial
        self._missing = count

    def deliver(self, row: int, computed: Computed) -> None:
        """Set the result of one row; the request ends with its last row."""
        self.result.vectors[row] = computed.vector
        self.result.tokens[row] = computed.tokens
        self.result.truncated[row] = computed.truncated
        self.result.seconds[row] = computed.seconds
        self.result.spans[row] = computed.spans
        self._settled()

    def refuse(self, row: int, error: ArgosyError) -> None:
        """Record that the text of this row has no vector; other texts of the caller may have one."""
        if self._partial:
            self.result.errors[row] = error
            self._settled()
        else:
            self.fail(error)

    def fail(self, error: ArgosyError) -> None:
        """Fail the whole request."""
        if not self.done.done():
            self.done.set_exception(error)

    def _settled(self) -> None:
        self._missing -= 1
        if not self._missing and not self.done.done():
            self.done.set_result(None)


@dataclass(frozen=True, eq=False, slots=True)
class Claim:
    """Request of one caller for the text in one of its rows."""

    caller: Caller
    row: int


@dataclass(eq=False, slots=True)
class Work:
    """One text to embed, with the callers that wait for it."""

    text: str
    kind: TextKind
    key: Key | None
    spans: Spans = ()
    claims: list[Claim] = field(default_factory=list)
    length: int | None = None
    """Number of tokens before truncation; None until measured."""
    alone: bool = False
    """Whether the text runs alone because its batch failed, so that a bad text fails no others."""


class WorkQueue:
    """Waiting works by priority, oldest first, with a guaranteed share for bulk work."""

    def __init__(self, bulk_batch_s: float) -> None:
        """Create an empty queue; `bulk_batch_s` is the assumed time of a bulk batch before one was measured."""
        self._waiting: dict[Priority, OrderedDict[Work, None]] = {
            Priority.INTERACTIVE: OrderedDict(),
            Priority.BULK: OrderedDict(),
        }
        self._bulk_batch_s = bulk_batch_s
        self._owed_s = 0.0
        """Engine time owed to bulk work for the time that queries used while it waited."""

    def __len__(self) -> int:
        return sum(map(len, self._waiting.values()))

    def waiting(self, priority: Priority) -> int:
        return len(self._waiting[priority])

    def add(self, work: Work, priority: Priority) -> None:
        self._waiting[priority][work] = None

    def add_first(self, works: list[Work], priority: Priority) -> None:
        """Insert the works at the front of the priority's queue, in the given order."""
        queue = self._waiting[priority]
        for work in reversed(works):
            queue[work] = None
            queue.move_to_end(work, last=False)

    def promote(self, work: Work) -> None:
        """Move waiting bulk work to the interactive queue because a query needs it."""
        if work in self._waiting[Priority.BULK]:
            del self._waiting[Priority.BULK][work]
            self._waiting[Priority.INTERACTIVE][work] = None

    def remove(self, work: Work) -> bool:
        """Remove the work. Returns: whether it was waiting."""
        for queue in self._waiting.values():
            if work in queue:
                del queue[work]
                return True
        return False

    def turn(self) -> Priority:
        """Return the priority that runs next: interactive, unless bulk work is owed the time of a whole batch."""
        bulk_is_due = self._waiting[Priority.BULK] and self._owed_s >= self._bulk_batch_s
        return Priority.INTERACTIVE if self._waiting[Priority.INTERACTIVE] and not bulk_is_due else Priority.BULK

    def oldest(self, priority: Priority, count: int) -> list[Work]:
        """Return up to `count` oldest works of the priority, without removing them."""
        return list(islice(self._waiting[priority], count))

    def started(self, priority: Priority) -> None:
        """Record that a batch of that priority begins."""
        if priority is Priority.BULK:
            self._owed_s = 0.0

    def ran(self, priority: Priority, seconds: float) -> None:
        """Record the time that a batch of that priority took."""
        if priority is Priority.BULK:
            self._bulk_batch_s = seconds
        elif self._waiting[Priority.BULK]:
            self._owed_s += seconds * BULK_SHARE / (1 - BULK_SHARE)
