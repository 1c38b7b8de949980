"""What waits for the engine, in two priorities. Not a thread-safe structure: it lives on the event loop.

A `Work` is one text to be computed once, whoever asked for it; each asking is a `Claim`. Work without claims is
nobody's and leaves the queue.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass, field
from itertools import islice

import numpy as np

from argosy.contracts.embedding import TextKind
from argosy.contracts.errors import ArgosyError
from argosy.contracts.request import Priority, RequestContext
from argosy.contracts.vectors import Vector, Vectors

Key = bytes
"""Names a text with everything that its vector depends on; two texts with one key have the same vector."""

BULK_SHARE = 0.1
"""Of the engine's time, what bulk work gets at least while queries keep it busy."""


@dataclass(slots=True)
class EmbedResult:
    """All in the order of the texts; `tokens` counts after truncation. The row of a text in `errors` is not set.

    `seconds` is each text's share of the time its batch took.
    """

    vectors: Vectors
    tokens: list[int]
    truncated: list[bool]
    seconds: list[float]
    errors: dict[int, ArgosyError] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Computed:
    """One text's result. `tokens` counts after truncation; `seconds` is its share of the batch's time."""

    key: Key | None
    vector: Vector
    tokens: int
    truncated: bool
    seconds: float


class Caller:
    """One request: it ends with a result, or with the first error of one of its texts unless it takes parts."""

    def __init__(self, count: int, dimensions: int, context: RequestContext, *, partial: bool) -> None:
        self.context = context
        vectors = np.empty((count, dimensions), np.float32)
        self.result = EmbedResult(vectors, [0] * count, [False] * count, [0.0] * count)
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.works: dict[Work, None] = {}
        """What it waits for, each once, in the order asked."""
        self._partial = partial
        self._missing = count

    def deliver(self, row: int, computed: Computed) -> None:
        self.result.vectors[row] = computed.vector
        self.result.tokens[row] = computed.tokens
        self.result.truncated[row] = computed.truncated
        self.result.seconds[row] = computed.seconds
        self._settled()

    def refuse(self, row: int, error: ArgosyError) -> None:
        """This text has no vector; the caller's others may."""
        if self._partial:
            self.result.errors[row] = error
            self._settled()
        else:
            self.fail(error)

    def fail(self, error: ArgosyError) -> None:
        """None of the caller's texts is answered."""
        if not self.done.done():
            self.done.set_exception(error)

    def _settled(self) -> None:
        self._missing -= 1
        if not self._missing and not self.done.done():
            self.done.set_result(None)


@dataclass(frozen=True, eq=False, slots=True)
class Claim:
    caller: Caller
    row: int


@dataclass(eq=False, slots=True)
class Work:
    text: str
    kind: TextKind
    key: Key | None
    claims: list[Claim] = field(default_factory=list)
    length: int | None = None
    """Tokens before truncation; None until measured."""
    alone: bool = False
    """Was in a batch that failed: runs by itself, so that one bad text fails alone."""


class WorkQueue:
    def __init__(self, bulk_batch_s: float) -> None:
        """`bulk_batch_s` is what a batch of bulk work is taken to cost before one ran."""
        self._waiting: dict[Priority, OrderedDict[Work, None]] = {
            Priority.INTERACTIVE: OrderedDict(),
            Priority.BULK: OrderedDict(),
        }
        self._bulk_batch_s = bulk_batch_s
        self._owed_s = 0.0
        """Engine time that bulk work is due for what queries took while it waited."""

    def __len__(self) -> int:
        return sum(map(len, self._waiting.values()))

    def waiting(self, priority: Priority) -> int:
        return len(self._waiting[priority])

    def add(self, work: Work, priority: Priority) -> None:
        self._waiting[priority][work] = None

    def add_first(self, works: list[Work], priority: Priority) -> None:
        """Before everything else of that priority, in the order given."""
        queue = self._waiting[priority]
        for work in reversed(works):
            queue[work] = None
            queue.move_to_end(work, last=False)

    def promote(self, work: Work) -> None:
        """A query wants what waits as bulk work: it goes with the queries from now on."""
        if work in self._waiting[Priority.BULK]:
            del self._waiting[Priority.BULK][work]
            self._waiting[Priority.INTERACTIVE][work] = None

    def remove(self, work: Work) -> bool:
        """Returns: whether it waited."""
        for queue in self._waiting.values():
            if work in queue:
                del queue[work]
                return True
        return False

    def turn(self) -> Priority:
        """Whose turn it is: the queries', unless they kept bulk work from its share for as long as a batch takes."""
        bulk_is_due = self._waiting[Priority.BULK] and self._owed_s >= self._bulk_batch_s
        return Priority.INTERACTIVE if self._waiting[Priority.INTERACTIVE] and not bulk_is_due else Priority.BULK

    def oldest(self, priority: Priority, count: int) -> list[Work]:
        return list(islice(self._waiting[priority], count))

    def started(self, priority: Priority) -> None:
        """A batch of that priority begins."""
        if priority is Priority.BULK:
            self._owed_s = 0.0

    def ran(self, priority: Priority, seconds: float) -> None:
        """A batch of that priority took that long."""
        if priority is Priority.BULK:
            self._bulk_batch_s = seconds
        elif self._waiting[Priority.BULK]:
            self._owed_s += seconds * BULK_SHARE / (1 - BULK_SHARE)
