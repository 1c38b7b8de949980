"""Admission to the batching queue: bounds on the length of each priority's queue and on the time to work it off."""

from __future__ import annotations

from argosy.contracts.errors import DeadlineExceeded, Overloaded, TooLarge
from argosy.contracts.request import Priority, RequestContext
from argosy.serving.batching.queue import WorkQueue

RATE_MEMORY = 0.8
FIRST_RETRY_AFTER_S = 1.0
MAX_RETRY_AFTER_S = 60.0


class QueueAdmission:
    """Admission that estimates the waiting time from the recent time per text of each priority."""

    def __init__(self, queue: WorkQueue, *, max_texts: int, workers: int) -> None:
        """Create the admission; `max_texts` bounds the queue of each priority separately."""
        self._queue = queue
        self._max_texts = max_texts
        self._workers = workers
        self._text_s: dict[Priority, float] = {}

    def learn(self, priority: Priority, text_s: float) -> None:
        """Record that each text of a batch took `text_s` seconds on one worker."""
        old = self._text_s.get(priority, text_s)
        self._text_s[priority] = RATE_MEMORY * old + (1 - RATE_MEMORY) * text_s

    def admit(self, count: int, context: RequestContext) -> None:
        """Check whether `count` more texts may wait.

        Raises: Overloaded when the queue is full; TooLarge when the queue can never hold so many texts;
        DeadlineExceeded when the waiting texts take longer than the time that the caller has left.
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
                "The texts already waiting for the embedding model take longer than the time allowed. Allow more "
                "time, or try again after the time in Retry-After.",
                retry_after_s=min(ahead_s, MAX_RETRY_AFTER_S),
            )

    def _seconds(self, priority: Priority, texts: int) -> float:
        """Return the seconds that `texts` waiting texts take at the measured rate; 0 before the first measurement."""
        return texts * self._text_s.get(priority, 0.0) / self._workers
