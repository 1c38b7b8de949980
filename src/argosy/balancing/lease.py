"""A request on its way to a replica."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from argosy.balancing.candidate import Candidate
from argosy.balancing.outcome import Kind, LoadReport
from argosy.balancing.strategy import Strategy
from argosy.contracts.errors import DeadlineExceeded, UpstreamFailed
from argosy.contracts.fleet import Endpoint
from argosy.contracts.request import Clock

OnEnd = Callable[["Lease", Kind, LoadReport | None, float | None], None]


class Lease:
    """Counted as in flight until it ends, once."""

    __slots__ = ("_answer", "_clock", "_ended", "_on_end", "candidate", "started_s", "strategy", "trial")

    def __init__(
        self, candidate: Candidate, strategy: Strategy, started_s: float, trial: bool, clock: Clock, on_end: OnEnd
    ) -> None:
        self.candidate = candidate
        self.strategy = strategy
        """The one that picked: it is to learn from the end."""
        self.started_s = started_s
        self.trial = trial
        """Whether the replica is out and was only tried."""
        self._clock = clock
        self._on_end = on_end
        self._ended = False
        self._answer: tuple[Kind, float, LoadReport | None] | None = None

    @property
    def endpoint(self) -> Endpoint:
        return self.candidate.endpoint

    @property
    def ended(self) -> bool:
        return self._ended

    @property
    def answer(self) -> Kind | None:
        """What `answered` was told."""
        return None if self._answer is None else self._answer[0]

    def answered(self, kind: Kind, report: LoadReport | None = None) -> None:
        """Notes how it was answered, and when: a stream goes on after that, which is no latency of the replica's."""
        self._answer = kind, self._clock() - self.started_s, report

    def end(self, kind: Kind, report: LoadReport | None = None, latency_s: float | None = None) -> None:
        """Counts the request as done and lets the strategy learn. Only the first call of it does anything.

        Args:
            latency_s: from the pick to the answer; by default until `answered`, else until now.
        """
        if self._ended:
            return
        self._ended = True
        if self._answer is not None:
            latency_s = self._answer[1] if latency_s is None else latency_s
            report = report or self._answer[2]
        self._on_end(self, kind, report, latency_s)

    def end_by(self, error: BaseException) -> None:
        """As `end`, with the kind that the error which left its block stands for.

        After the answer began only what breaks the stream is the replica's fault.
        """
        if isinstance(error, TimeoutError | DeadlineExceeded):
            kind = Kind.TIMEOUT
        elif self._answer is not None:
            kind = Kind.ERROR if isinstance(error, UpstreamFailed) else self._answer[0]
        elif isinstance(error, asyncio.CancelledError | GeneratorExit):
            kind = Kind.CANCELLED
        else:
            kind = Kind.ERROR
        self.end(kind)
