"""A request on its way to a replica."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from argosy.balancing.candidate import Candidate
from argosy.balancing.outcome import LoadReport, OutcomeKind
from argosy.balancing.strategy import Strategy
from argosy.contracts.errors import DeadlineExceeded, UpstreamFailed
from argosy.contracts.fleet import Endpoint
from argosy.contracts.request import Clock

OnEnd = Callable[["Lease", OutcomeKind, LoadReport | None, float | None], None]


class Lease:
    """A request that counts as in flight until it ends. It ends once."""

    __slots__ = ("_answer", "_clock", "_ended", "_on_end", "candidate", "started_s", "strategy", "trial")

    def __init__(
        self, candidate: Candidate, strategy: Strategy, started_s: float, trial: bool, clock: Clock, on_end: OnEnd
    ) -> None:
        self.candidate = candidate
        self.strategy = strategy
        """Strategy that picked the replica and learns from the end of the request."""
        self.started_s = started_s
        self.trial = trial
        """Whether the request is the trial of an ejected replica."""
        self._clock = clock
        self._on_end = on_end
        self._ended = False
        self._answer: tuple[OutcomeKind, float, LoadReport | None] | None = None

    @property
    def endpoint(self) -> Endpoint:
        return self.candidate.endpoint

    @property
    def ended(self) -> bool:
        return self._ended

    @property
    def answer(self) -> OutcomeKind | None:
        """Kind of the answer, as passed to `answered`."""
        return None if self._answer is None else self._answer[0]

    def answered(self, kind: OutcomeKind, report: LoadReport | None = None) -> None:
        """Record how and when the request was answered. A stream that follows does not count as latency."""
        self._answer = kind, self._clock() - self.started_s, report

    def end(self, kind: OutcomeKind, report: LoadReport | None = None, latency_s: float | None = None) -> None:
        """Count the request as done and let the strategy learn from it. Only the first call has an effect.

        Args:
            latency_s: from the pick to the answer. By default until `answered` was called, else until now.
        """
        if self._ended:
            return
        self._ended = True
        if self._answer is not None:
            latency_s = self._answer[1] if latency_s is None else latency_s
            report = report or self._answer[2]
        self._on_end(self, kind, report, latency_s)

    def end_by(self, error: BaseException) -> None:
        """End the request with the kind that the error stands for.

        After the answer began, only an error that breaks the stream is the replica's fault.
        """
        if isinstance(error, TimeoutError | DeadlineExceeded):
            kind = OutcomeKind.TIMEOUT
        elif self._answer is not None:
            kind = OutcomeKind.ERROR if isinstance(error, UpstreamFailed) else self._answer[0]
        elif isinstance(error, asyncio.CancelledError | GeneratorExit):
            kind = OutcomeKind.CANCELLED
        else:
            kind = OutcomeKind.ERROR
        self.end(kind)
