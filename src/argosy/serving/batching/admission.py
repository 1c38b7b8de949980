"""Whether more texts may wait: a bound on each priority's queue, and on the time it takes to get through it."""

from __future__ import annotations

from argosy.contracts.errors import DeadlineExceeded, Overloaded, TooLarge
from argosy.contracts.request import Priority, RequestContext
from argosy.serving.batching.queue import WorkQueue

RATE_MEMORY = 0.8
FIRST_RETRY_AFTER_S = 1.0
MAX_RETRY_AFTER_S = 60.0


class QueueAdmission:
    """Knows how long a text of each priority took lately, and so how long those that wait will take."""

    def __init__(self, queue: WorkQueue, *, max_texts: int, workers: int) -> None:
        """`max_texts` bounds each priority by itself."""
        self._queue = queue
        self._max_texts = max_texts
        self._workers = workers
        self._text_s: dict[Priority, float] = {}

    def learn(self, priority: Priority, text_s: float) -> None:
        """Each text of a batch took that long, on one worker."""
        old = self._text_s.get(priority, text_s)
        self._text_s[priority] = RATE_MEMORY * old + (1 - RATE_MEMORY) * text_s

    def admit(self, count: int, context: RequestContext) -> None:
        """Raises: Overloaded; TooLarge, the queue can never hold so many; DeadlineExceeded, those that wait already
        take longer than the caller does.
        """
        limit, priority = self._max_texts, context.priority
        if count > limit:
            raise TooLarge(f"{count} texts in one request; the limit is {limit}. Send fewer at a time.")
        own = self._queue.waiting(priority)
        ahead_s = self._seconds(Priority.INTERACTIVE, self._queue.waiting(Priority.INTERACTIVE))
        if priority is Priority.BULK:
            ahead_s += self._seconds(priority, own)
        excess = own + count - limit
        if excess > 0:
            wait_s = ahead_s - self._seconds(priority, own - excess)
            raise Overloaded(
                f"The queue of the embedding engine is full ({limit} texts). Try again after the time in Retry-After.",
                retry_after_s=min(wait_s or FIRST_RETRY_AFTER_S, MAX_RETRY_AFTER_S),
            )
        if count and ahead_s > context.deadline.remaining_s():
            raise DeadlineExceeded(
                "The texts that wait for the embedding model take longer than the time allowed. Allow more, or try "
                "again after the time in Retry-After.",
                retry_after_s=min(ahead_s, MAX_RETRY_AFTER_S),
            )

    def _seconds(self, priority: Priority, texts: int) -> float:
        """How long so many waiting texts take at the rate measured; 0 while there is none."""
        return texts * self._text_s.get(priority, 0.0) / self._workers
